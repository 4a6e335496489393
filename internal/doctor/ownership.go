package doctor

import (
	"fmt"

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
