package main

import (
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
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
