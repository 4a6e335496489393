package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestItsOwnLoginIsChangedByForceOnly(t *testing.T) {
	s := newStage(t, emulator.Options{})
	self := s.cloud.Cloud().Minter().IAMID
	login := ""
	for _, k := range s.cloud.State(true).APIKeys {
		if k.IAMID == self {
			login = k.ID
		}
	}
	config := holesHead + strings.Replace(static("c", place1), "{name: c, policies: [{service: logs, roles: [Sender]}]}",
		"{id: "+strings.TrimPrefix(self, "iam-")+", manage: keys}", 1)
	run := func(args ...string) (int, string) {
		return s.as(s.cloud.Ready().APIKey, config, args...)
	}
	for _, args := range [][]string{
		{"rotate", "c", "--no-wait"}, {"revoke", "c", "--key", login, "--yes", "--no-wait"}, {"revoke", "c", "--key", login, "--containment", "--yes", "--no-wait"},
		{"adopt", "c", "--key", login, "--no-wait"}, {"sweep"}, {"plan"}, {"doctor"},
	} {
		if _, out := run(args...); !strings.Contains(out, "logged in as this service ID") {
			t.Errorf("%v does not say that the service ID is latchkey's own login:\n%s", args, out)
		}
	}
	keys := 0
	for _, k := range s.cloud.State(true).APIKeys {
		if k.IAMID == self {
			keys++
		}
		if k.ID == login && (k.Disabled || !k.ExpiresAt.IsZero()) {
			t.Errorf("the login's key was changed: %+v", k)
		}
	}
	if keys != 1 {
		t.Errorf("the login has %d keys, want its own only", keys)
	}
	if code, out := run("rotate", "c", "--force", "--yes"); code != cli.ExitOK || !strings.Contains(out, "published") {
		t.Errorf("by force: exit %d\n%s", code, out)
	}
}

// A credential with the service ID of latchkey's login, or with a key of it to adopt, is
// named before any look.
func TestItsOwnLoginIsSaidWhenItStarts(t *testing.T) {
	s := newStage(t, emulator.Options{})
	self, login := s.cloud.Cloud().Minter().IAMID, ""
	for _, k := range s.cloud.State(true).APIKeys {
		if k.IAMID == self {
			login = k.ID
		}
	}
	made, err := s.cloud.Cloud().CreateServiceID(cloud.Owner(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	other, own := made.ID, strings.TrimPrefix(self, "iam-")
	entry := func(serviceID, more string) string {
		return holesHead + strings.Replace(static("c", place1), "{name: c, policies: [{service: logs, roles: [Sender]}]}", serviceID, 1) + more
	}
	for name, tc := range map[string]struct {
		config string
		said   bool
		reads  int
	}{
		"our service ID":     {entry("{id: "+own+", manage: keys}", ""), true, 0},
		"our key to adopt":   {entry("{id: "+other+", manage: keys}", "  adopt: "+login+"\n"), true, 1},
		"another service ID": {entry("{id: "+other+", manage: keys}", ""), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.cloud.Counter(http.MethodGet, "/v1/apikeys/*")
			s.said.reset()
			code, _ := s.as(s.cloud.Ready().APIKey, tc.config, "validate", "--live")
			out := s.said.String()
			named := strings.Contains(out, "c: "+own+": latchkey is logged in as this service ID")
			if named != tc.said || tc.said == (code == cli.ExitOK) {
				t.Errorf("validate --live: exit %d, with the login named: %t\n%s", code, named, out)
			}
			if n := s.cloud.Counter(http.MethodGet, "/v1/apikeys/*") - before; n != tc.reads {
				t.Errorf("validate --live read %d keys, want %d", n, tc.reads)
			}

			log := &record{}
			cfg, err := config.Load("test.yaml", []byte(tc.config))
			if err != nil {
				t.Fatal(err)
			}
			p, err := connect(s.environment(), slog.New(slog.NewJSONHandler(log, nil)), cfg, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.cloud.http.CloseIdleConnections)
			p.warnOfOwnLogin()
			if strings.Contains(log.String(), "own login") {
				t.Errorf("it warns before it logs in: %s", log)
			}
			for range 2 {
				if err := p.iam.Usable(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if !tc.said {
				return // TestEntriesOfOurOwnLoginAreFound has the rest
			}
			warned := func() int {
				return strings.Count(log.String(), `"msg":"a credential is latchkey's own login","credential":"c","service_id":"`+own+`"`)
			}
			if err := until(t.Context(), 10*time.Second, func() bool { return warned() > 0 }); err != nil {
				t.Fatalf("no warning: %s", log)
			}
			if n := warned(); n != 1 {
				t.Errorf("%d warnings, want 1", n)
			}
		})
	}
}

// Each form warns at its first login.
func TestEveryFormWarnsOfItsOwnLogin(t *testing.T) {
	s := newStage(t, emulator.Options{})
	own := strings.TrimPrefix(s.cloud.Cloud().Minter().IAMID, "iam-")
	yaml := holesHead + strings.Replace(static("c", place1), "{name: c, policies: [{service: logs, roles: [Sender]}]}", "{id: "+own+", manage: keys}", 1)
	for name, start := range map[string]func(environment, *slog.Logger) (*assembly, error){
		"takes events": func(env environment, log *slog.Logger) (*assembly, error) {
			return wireService(t.Context(), env, log, "", "")
		},
		"sweeps": func(env environment, log *slog.Logger) (*assembly, error) {
			return wireSweep(t.Context(), env, log, "")
		},
	} {
		log := &record{}
		env := func(name string) string {
			if name == "LATCHKEY_CONFIG" {
				return yaml
			}
			return s.environment()(name)
		}
		p, err := start(env, slog.New(slog.NewJSONHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.cloud.http.CloseIdleConnections)
		if err := p.iam.Usable(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := until(t.Context(), 10*time.Second, func() bool { return strings.Contains(log.String(), own) }); err != nil {
			t.Errorf("what %s does not warn: %s", name, log)
		}
	}
}
