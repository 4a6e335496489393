package doctor

import (
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// foreign reports a service ID or key that carries our marker and is not ours. An
// installation that changed its login finds out here what it has to claim.
func (d *examination) foreign(of, thing, creator string) {
	if creator == "" {
		creator = "unknown"
	}
	fix := "if an earlier login of latchkey made it: identity.formerly: [" + creator + "] in the config"
	if creator == "unknown" {
		fix = "if latchkey made it"
	}
	d.fail(fix+", or: latchkey claim "+thing+"; else delete it",
		"%s: %s carries latchkey's marker, and was made by %s, who is not latchkey: it is left alone", of, thing, creator)
}

// ownership reports what a credential's outcome shows to be foreign.
func (d *examination) ownership(out reconcile.Outcome) {
	for _, n := range out.Notes {
		if n.Reason == rotation.ForgedMarker {
			d.foreign(out.Credential, n.Thing, n.Creator)
		}
	}
}
