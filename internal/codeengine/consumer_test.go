package codeengine_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

const marker = "LATCHKEY_KEY_ID_LOGS_SENDER_IAM_API_KEY"

// consumers are those of a store with the restart.
func (w *world) consumers(r codeengine.Restart) reconcile.Consumers {
	return w.store(func(c *codeengine.StoreConfig) { c.Restart = r }).Consumers()
}

// label is how a consumer in team-a is named.
func (w *world) label(app string) string { return "app/" + w.team().ID + "/" + app }

func (w *world) list(r codeengine.Restart) string {
	w.t.Helper()
	list, err := w.consumers(r).Consumers(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, c := range list {
		name, ours := strings.CutPrefix(c.Name, w.label(""))
		if !ours {
			w.t.Errorf("a consumer is named %s", c.Name)
		}
		if c.Unknown {
			name += "?"
		}
		if c.Key != "" {
			name += "=" + c.Key
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func env(vars ...map[string]any) map[string]any {
	list := []any{}
	for _, v := range vars {
		list = append(list, v)
	}
	return map[string]any{"run_env_variables": list}
}

func TestNoRestartMeansNoConsumers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if c := w.consumers(codeengine.Restart{}); c != nil {
		t.Errorf("consumers %v", c)
	}
}

func TestConsumersAreTheAppsThatTakeTheEntryFromTheirEnvironment(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	key := func(reference, key string) map[string]any {
		return map[string]any{"type": "secret_key_reference", "name": "K", "reference": reference, "key": key}
	}
	for name, spec := range map[string]map[string]any{
		"full":    env(map[string]any{"type": "secret_full_reference", "reference": secretName, "prefix": "P_"}),
		"key":     env(map[string]any{"type": "literal", "name": "A", "value": "b"}, key(secretName, entryName)),
		"other":   env(key(secretName, "OTHER_KEY")),
		"else":    env(key("another-secret", entryName), map[string]any{"type": "secret_full_reference", "reference": "another-secret"}),
		"config":  env(map[string]any{"type": "config_map_full_reference", "reference": secretName}),
		"mount":   {"run_volume_mounts": []any{map[string]any{"type": "secret", "reference": secretName, "mount_path": "/keys"}}},
		"marked":  env(key(secretName, entryName), map[string]any{"type": "literal", "name": marker, "value": "ApiKey-7"}),
		"foreign": env(key(secretName, entryName), map[string]any{"type": "literal", "name": marker + "_2", "value": "ApiKey-7"}),
	} {
		w.Cloud().AddApp(w.team().ID, name, spec)
	}
	for name, c := range map[string]struct {
		restart codeengine.Restart
		want    string
	}{
		"all":                      {codeengine.Restart{All: true}, "foreign full key marked=ApiKey-7 shipper"},
		"some by name":             {codeengine.Restart{Names: []string{"app/mount", "app/full"}}, "full mount"},
		"one that is not there":    {codeengine.Restart{Names: []string{"app/key", "app/gone"}}, "key gone?"},
		"all, and one by its name": {codeengine.Restart{All: true, Names: []string{"app/web", "app/gone"}}, "foreign full key marked=ApiKey-7 shipper web gone?"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.list(c.restart); got != c.want {
				t.Errorf("consumers %q, want %q", got, c.want)
			}
		})
	}
}

func TestConsumersOfAnUnreadableProjectAreAnError(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	c := w.consumers(codeengine.Restart{All: true})
	w.Inject(emulator.Fault{Path: "/v2/projects/*/apps", Kind: emulator.FaultStatus, Status: 500, Count: 1})
	_, err := c.Consumers(t.Context())
	wants(t, err, reconcile.ErrUnavailable, "listing the apps")
	w.Cloud().RemoveProject(w.team().ID)
	if _, err := c.Consumers(t.Context()); err == nil {
		t.Error("a deleted project has no consumers, it seems")
	}
}

func TestAllPagesOfAppsAreRead(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		next := `"next":{"href":"x","start":"2"},`
		if r.URL.Query().Get("start") == "2" {
			next = ""
		}
		fmt.Fprintf(rw, `{"limit":100,%s"apps":[{"name":"app%s","run_env_variables":[{"type":"secret_full_reference","reference":"logs-sender"}]}]}`,
			next, r.URL.Query().Get("start"))
	})
	list, err := s.Consumers().Consumers(t.Context())
	if err != nil || len(list) != 2 || list[0].Name == list[1].Name {
		t.Errorf("consumers %v (%v)", list, err)
	}
}

func TestARunThatIsTooOldToWriteRestartsNothing(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.Cloud().AddApp(w.team().ID, "theirs", env(map[string]any{"type": "secret_full_reference", "reference": secretName}))
	before := len(w.app("theirs").Revisions)
	err := w.consumers(codeengine.Restart{All: true}).Restart(storetest.TooOld(t), w.label("theirs"), "ApiKey-1")
	wants(t, err, reconcile.ErrUnavailable)
	if now := len(w.app("theirs").Revisions); now != before {
		t.Errorf("the app has %d revisions, had %d", now, before)
	}
}

func TestARestartKeepsTheAppAndLeavesTheKeyOnIt(t *testing.T) {
	for name, versionless := range map[string]bool{"as it is": false, "where no version means the oldest": true} {
		t.Run(name, func(t *testing.T) {
			switches := cloud.DefaultSwitches()
			switches.VersionlessIsOldest = versionless
			w := newWorld(t, emulator.Options{Switches: &switches})
			theirs := []map[string]any{
				{"type": "literal", "name": "EMPTY", "value": ""},
				{"type": "secret_full_reference", "reference": secretName, "prefix": "P_"},
				{"type": "config_map_key_reference", "name": "C", "reference": "m", "key": "k"},
			}
			spec := env(theirs...)
			// As the API has it since the version that we ask for: without a name.
			spec["run_volume_mounts"] = []any{map[string]any{"type": "config_map", "reference": "m", "mount_path": "/m"}}
			spec["scale_min_instances"] = 1
			w.Cloud().AddApp(w.team().ID, "theirs", spec)
			c := w.consumers(codeengine.Restart{All: true})
			before := w.app("theirs")
			for _, key := range []string{"ApiKey-1", "ApiKey-2", "ApiKey-2"} {
				if err := c.Restart(t.Context(), w.label("theirs"), key); err != nil {
					t.Fatal(err)
				}
			}
			after := w.app("theirs")
			want := append(before.Env(), cloud.EnvVar{Type: "literal", Name: marker, Value: "ApiKey-2"})
			if !slices.Equal(after.Env(), want) {
				t.Errorf("environment %+v, want %+v", after.Env(), want)
			}
			if len(after.Revisions) != 3 {
				t.Errorf("revisions %v: want one more for each new key", after.Revisions)
			}
			for _, field := range []string{"image_reference", "run_volume_mounts", "scale_min_instances"} {
				if fmt.Sprint(after.Spec[field]) != fmt.Sprint(before.Spec[field]) {
					t.Errorf("%s is now %v, was %v", field, after.Spec[field], before.Spec[field])
				}
			}
			if got := w.list(codeengine.Restart{All: true}); !strings.Contains(got, "theirs=ApiKey-2") {
				t.Errorf("consumers %q", got)
			}
		})
	}
}

// TestTwoEntriesOfOneSecretRestartAnAppOnceEach: with one marker for both they
// would go on for ever.
func TestTwoEntriesOfOneSecretRestartAnAppOnceEach(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	one := w.consumers(codeengine.Restart{All: true})
	two := w.store(func(c *codeengine.StoreConfig) { c.Entry, c.Restart.All = "OTHER_KEY", true }).Consumers()
	for range 3 {
		for key, c := range map[string]reconcile.Consumers{"ApiKey-1": one, "ApiKey-2": two} {
			if err := c.Restart(t.Context(), w.label("shipper"), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := w.app("shipper").Revisions; len(got) != 3 {
		t.Errorf("revisions %v: want the first and one per entry", got)
	}
}

func TestARestartStartsOverWhenTheAppWasChanged(t *testing.T) {
	for _, status := range []int{409, 412} {
		for name, c := range map[string]struct {
			times int
			want  error
		}{"twice": {2, nil}, "each time": {3, reconcile.ErrConflict}} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				w := newWorld(t, emulator.Options{})
				w.Inject(emulator.Fault{Method: "PATCH", Kind: emulator.FaultStatus, Status: status, Count: c.times})
				err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), w.label("shipper"), "ApiKey-1")
				if c.want != nil {
					wants(t, err, c.want, "shipper")
				} else if err != nil {
					t.Error(err)
				}
				if got := w.Counter("PATCH", "/v2/*"); got != 3 {
					t.Errorf("%d attempts, want 3", got)
				}
			})
		}
	}
}

// TestAnotherWritersChangeIsNotUndone changes the app between our read and our
// patch.
func TestAnotherWritersChangeIsNotUndone(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	changed := false
	inner := w.http.Transport
	w.http = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPatch && !changed {
			changed = true
			x := w.app("shipper")
			patch := env(map[string]any{"type": "literal", "name": "NEW", "value": "theirs"},
				map[string]any{"type": "secret_full_reference", "reference": secretName})
			if _, err := w.Cloud().UpdateApp(cloud.Owner(), x.ProjectID, x.Name, x.EntityTag, patch); err != nil {
				t.Error(err)
			}
		}
		return inner.RoundTrip(r)
	})}
	if err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), w.label("shipper"), "ApiKey-1"); err != nil {
		t.Fatal(err)
	}
	got := w.app("shipper").Env()
	if len(got) != 3 || got[0].Value != "theirs" || got[2].Value != "ApiKey-1" {
		t.Errorf("environment %+v", got)
	}
}

func TestRestartsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		app   string
		spoil func(w *world)
		want  error
	}{
		"an app that is not there":     {"gone", func(*world) {}, reconcile.ErrNotFound},
		"no permission":                {"shipper", func(w *world) { w.place().Deny(w.t) }, reconcile.ErrDenied},
		"a lost answer":                {"shipper", func(w *world) { w.Inject(emulator.Fault{Method: "PATCH", Kind: emulator.FaultLost}) }, reconcile.ErrUnavailable},
		"no room for another revision": {"shipper", (*world).fillRevisions, reconcile.ErrQuota},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			c.spoil(w)
			err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), w.label(c.app), "ApiKey-1")
			wants(t, err, c.want, c.app)
		})
	}
	w := newWorld(t, emulator.Options{})
	err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), "app/other-project/shipper", "ApiKey-1")
	wants(t, err, reconcile.ErrRefused, "no consumer of")
}

// fillRevisions uses up the project's revisions.
func (w *world) fillRevisions() {
	w.t.Helper()
	for {
		x := w.app("web")
		if _, err := w.Cloud().UpdateApp(cloud.Owner(), x.ProjectID, x.Name, "*", env()); err != nil {
			return
		}
	}
}

func TestAServiceThatRepeatsTheEnvironmentIsNotQuoted(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			fmt.Fprintf(rw, `{"name":"a","entity_tag":"1","run_env_variables":[{"type":"literal","name":"PASSWORD","value":"%s"}]}`, canary)
			return
		}
		rw.WriteHeader(400)
		fmt.Fprintf(rw, `{"errors":[{"code":"bad_request","message":"not valid: %s"}]}`, canary)
	})
	wants(t, s.Consumers().Restart(t.Context(), "app/5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21/a", "ApiKey-1"), reconcile.ErrRefused, "left out")
}
