package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// errManyToEnd: a name that stands for several credentials is a slip too easily.
var errManyToEnd = errors.New("several credentials have this name: name a single one")

// Deprovision brings a credential to its end, or back. Keys are disabled at once and the
// trusted profile is deleted. Sweeps do the rest after the wait.
func (r Runner) Deprovision(ctx context.Context, name string, d offboard.Demand, yes, dryRun bool) error {
	names := []string{name}
	credentials, unlisted, err := r.find(ctx, names)
	switch {
	case err != nil:
		return err
	case len(credentials) > 1:
		return errors.Join(unlisted, errManyToEnd)
	}
	ask := reconcile.Request{End: d}
	if dryRun {
		return r.dryRun(ctx, credentials, unlisted, ask)
	}
	if d.Ask == offboard.End {
		also := ""
		if len(credentials) == 1 && credentials[0].Profile != nil {
			also = " Its trusted profile is deleted now, and an undo does not bring it back."
		}
		question := fmt.Sprintf("Disable the keys of %s now, and delete them, its service ID and its store entries after the wait?%s", name, also)
		if err := r.Std.Confirm(yes, question); err != nil {
			return err
		}
	}
	return r.print(ctx, r.sweep(ctx, credentials, unlisted, ask, "deprovision"), names, true)
}
