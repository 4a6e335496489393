package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
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
		if n.Reason == reason.ForgedMarker {
			d.foreign(out.Label(), n.Thing, n.Creator)
		}
	}
}

// drift prints what a service ID has beyond the config. It is no failure.
func (d *examination) drift(c port.Credential, out result.Outcome) {
	for _, n := range out.Notes {
		if n.Reason.Drift() {
			d.tally.Drift++
			fmt.Fprintf(d.out, "drift %s: %s\n", result.Label(c.Name, c.Project), n)
		}
	}
}

// leftProfiles prints the trusted profiles of ours that no credential has, such as after
// the end of its project or its config entry. It is no failure.
func (d *examination) leftProfiles(ctx context.Context, credentials []port.Credential) {
	all, err := d.IAM.MarkedProfiles(ctx)
	switch {
	case errors.Is(err, port.ErrDenied):
		return // a login that may not see profiles has made none
	case err != nil:
		d.unsure("", "trusted profiles: whether one is left over is unknown: %v", err)
		return
	}
	for _, p := range all {
		if slices.ContainsFunc(credentials, func(c port.Credential) bool {
			return c.Profile != nil && slices.Contains(c.Names(), p.Marker.Credential)
		}) {
			continue
		}
		d.tally.Drift++
		fmt.Fprintf(d.out, "drift %s: the trusted profile %s is latchkey's, and the config does not ask for it. If no consumer uses it: ibmcloud iam trusted-profile-delete %[2]s\n",
			p.Marker.Credential, p.ID)
	}
}
