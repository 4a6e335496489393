package observe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

func TestNarrowingWaitsForWhatStays(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	exact := access.Policy{ID: "exact", Service: "logs", Roles: []string{"Sender"}, Instance: "1", Ours: true, Since: now.Add(-time.Hour)}
	wide := access.Policy{ID: "wide", Service: "logs", Roles: []string{"Sender"}, Ours: true, Since: now.Add(-time.Hour)}
	roles := exact
	roles.Roles = []string{"Manager", "Sender"}
	young, theirs, theirsWide := exact, exact, wide
	young.Since = now.Add(-time.Minute)
	theirs.Ours, theirsWide.Ours, theirsWide.ID = false, false, "theirs"
	for name, tc := range map[string]struct {
		narrow      bool
		granted     []access.Policy
		excess      []string
		unsatisfied bool
	}{
		"without narrowPolicies nothing goes":                       {false, []access.Policy{exact, wide}, nil, false},
		"a wider policy goes beside the exact one":                  {true, []access.Policy{exact, wide}, []string{"wide"}, false},
		"it waits for the exact one to be granted":                  {true, []access.Policy{wide}, nil, true},
		"it waits until services know the exact one":                {true, []access.Policy{young, wide}, nil, false},
		"an exact policy of others is enough":                       {true, []access.Policy{theirs, wide}, []string{"wide"}, false},
		"a wider policy of others stays":                            {true, []access.Policy{exact, theirsWide}, nil, false},
		"roles go at once, since the others stay":                   {true, []access.Policy{roles}, []string{"exact"}, false},
		"a policy that the config says stays":                       {true, []access.Policy{exact}, nil, false},
		"what only a wider policy of others covers is not granted":  {true, []access.Policy{theirsWide}, nil, false},
		"what only a wider policy of ours covers is to be replaced": {true, []access.Policy{wide, theirsWide}, []string{"wide"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := Facts{Granted: tc.granted, clock: fence.NewClock(func() time.Time { return now }), c: port.Credential{
				Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: "1"}}, NarrowPolicies: tc.narrow, Rules: protocol.Standard(),
			}}
			s := f.State(port.ServiceID{})
			if diff := cmp.Diff(tc.excess, s.Identity.Excess); diff != "" {
				t.Errorf("excess (-want +got)\n%s", diff)
			}
			if got := len(s.Identity.Unsatisfied) > 0; got != tc.unsatisfied {
				t.Errorf("unsatisfied: %v", s.Identity.Unsatisfied)
			}
		})
	}
}
