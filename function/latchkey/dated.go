package main

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// keptIn reports whether the credential is kept in a secret of Secrets Manager
// of one of these names, and whether its key gives that secret its date.
func keptIn(c reconcile.Credential, names map[string]bool) (kept, dated bool) {
	for _, st := range c.Stores {
		if s, ok := st.(*secretsmanager.Store); ok && names[s.Secret()] {
			kept, dated = true, dated || s.Dates()
		}
	}
	return kept, dated
}

// sweep is the reconciler's, but for the notice that secrets of these names are
// about to expire. The date of a secret that we keep is our own, that of its
// key, and the notice comes up to 90 days before it. What is due by then the
// rules say, so the notice is a reason to look; about any other secret it is a
// demand.
func (d *desk) sweep(catalog reconcile.Catalog, secrets map[string]bool, scope reconcile.Scope, ask reconcile.Ask) reconcile.Swept {
	if len(secrets) == 0 || ask.Trigger == (reconcile.Ask{}).Trigger {
		return d.reconcile(d.work, catalog, scope, ask)
	}
	others := d.reconcile(d.work, &datedBy{catalog, secrets, false}, scope, ask)
	ours := d.reconcile(d.work, &datedBy{catalog, secrets, true}, scope, reconcile.Ask{Cause: ask.Cause})
	return reconcile.Swept{Outcomes: append(others.Outcomes, ours.Outcomes...), Unknown: errors.Join(others.Unknown, ours.Unknown)}
}

// datedBy is a catalog of the credentials of which a secret has its date from
// us, or of the others.
type datedBy struct {
	reconcile.Catalog
	secrets map[string]bool
	ours    bool
}

// Credentials satisfies reconcile.Catalog.
func (c *datedBy) Credentials(ctx context.Context, scope reconcile.Scope) ([]reconcile.Credential, error) {
	all, err := c.Catalog.Credentials(ctx, scope)
	return slices.DeleteFunc(slices.Clone(all), func(x reconcile.Credential) bool {
		_, dated := keptIn(x, c.secrets)
		return dated != c.ours
	}), err
}
