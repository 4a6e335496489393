package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// foreign reports a service ID or key that carries our marker and is not ours. An
// installation that changed its login finds out here what it has to claim.
func (d *examination) foreign(of, thing, creator string) {
	if creator == "" {
		creator = "unknown"
	}
	first := "if an earlier login of latchkey made it: identity.formerly: [" + creator + "] in the config"
	if creator == "unknown" {
		first = "if latchkey made it"
	}
	d.fail(fix(first+", or: latchkey claim "+thing+"; else delete it"),
		"%s: %s carries latchkey's marker, and was made by %s, who is not latchkey: it is left alone", of, thing, creator)
}

// ownership reports what a credential's outcome shows to be foreign.
func (d *examination) ownership(out result.Outcome) {
	for _, n := range out.Notes {
		if n.Reason == rotation.ForgedMarker {
			d.foreign(out.Label(), n.Thing, n.Creator)
		}
	}
}

// drift prints what a service ID has beyond the config. It is no failure. Runs do not
// read memberships of access groups, which take a call for each service ID.
func (d *examination) drift(ctx context.Context, c port.Credential, out result.Outcome) {
	say := func(format string, args ...any) {
		d.tally.Drift++
		fmt.Fprintf(d.out, "drift "+format+"\n", args...)
	}
	for _, n := range out.Notes {
		if n.Reason.Drift() {
			say("%s: %s", result.Label(c.Name, c.Project), n)
		}
	}
	if out.ServiceID == "" || c.Given != "" {
		return
	}
	groups, err := d.IAM.Groups(ctx, "iam-"+out.ServiceID)
	if err != nil {
		return // the roles on access groups are checked elsewhere
	}
	for _, g := range groups {
		if !slices.Contains(c.Groups, g.ID) && !slices.Contains(c.Groups, g.Name) {
			say("%s: %s is a member of the access group %q, which the config does not say: ibmcloud iam access-group-service-id-remove %q %s, or add it to accessGroups",
				result.Label(c.Name, c.Project), out.ServiceID, g.Name, g.Name, out.ServiceID)
		}
	}
}
