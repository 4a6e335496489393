package access

import (
	"slices"
	"time"
)

// Drift is a granted policy that the config does not say.
type Drift struct {
	Policy
	// Wider is set if the policy also grants a role that the config says.
	Wider bool
	// Keep are the roles that the config says for the policy's target.
	Keep []string
}

// Beyond returns the policies that grant what the config does not say.
func Beyond(wanted, granted []Policy) (found []Drift) {
	for _, g := range granted {
		d := Drift{Policy: g}
		beyond := slices.Clone(g.Roles)
		for _, w := range wanted {
			d.Wider = d.Wider || g.Covers(w) && slices.ContainsFunc(w.Roles, g.Has)
			if g.SameTarget(w) {
				beyond = slices.DeleteFunc(beyond, w.Has)
				d.Keep = append(d.Keep, slices.DeleteFunc(slices.Clone(w.Roles), func(r string) bool { return !g.Has(r) })...)
			}
		}
		if len(beyond) > 0 {
			found = append(found, d)
		}
	}
	return found
}

// Excess returns the policies of ours that the config does not say, and the policies
// that the others leave granted. One whose roles to keep are granted by a policy that
// stays goes as a whole: IAM has no two policies with one target and the same roles.
func Excess(wanted, granted []Policy) (excess []Drift, left []Policy) {
	left = granted
	beyond := Beyond(wanted, granted)
	stay := slices.DeleteFunc(slices.Clone(granted), func(p Policy) bool {
		return slices.ContainsFunc(beyond, func(d Drift) bool { return d.ID == p.ID })
	})
	for _, d := range beyond {
		if !d.Ours || d.ID == "" {
			continue
		}
		keep := d.Policy
		if keep.Roles = d.Keep; Fulfilled(keep, stay) {
			d.Keep = nil
		}
		excess = append(excess, d)
		if len(d.Keep) == 0 {
			left = slices.DeleteFunc(slices.Clone(left), func(p Policy) bool { return p.ID == d.ID })
		}
	}
	return excess, left
}

// Removable returns the IDs of the policies among excess that can be taken down now. One
// that goes as a whole waits until the policies that stay are older than a while, since
// services learn of a policy late.
func Removable(excess []Drift, wanted, left []Policy, now time.Time, while time.Duration) (ids []string) {
	settled := len(Missing(wanted, left)) == 0 && !slices.ContainsFunc(left, func(p Policy) bool {
		return p.Since.IsZero() || now.Sub(p.Since) < while
	})
	for _, d := range excess {
		if settled || len(d.Keep) > 0 {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
