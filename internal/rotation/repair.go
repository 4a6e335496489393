package rotation

import (
	"slices"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// has reports whether a store has the published key, with its value as far as
// that can be read.
func (v view) has(st protocol.Store) bool {
	return st.Fault == "" && st.Key == v.published.ID && !st.Altered
}

func (v view) behind() bool {
	return slices.ContainsFunc(v.Stores, func(st protocol.Store) bool { return st.Fault == "" && !v.has(st) })
}

// spoilt reports whether a consumer of a store may have started with a value that
// is not the named key's. Only a new key shows which consumers have restarted since.
func (v view) spoilt() bool {
	return slices.ContainsFunc(v.Stores, func(st protocol.Store) bool {
		return st.Altered && st.Fault == "" && (!v.copyable() || slices.ContainsFunc(v.Consumers, func(c protocol.Consumer) bool { return c.Store == "" || c.Store == st.Name }))
	})
}

// copyable reports whether a store returns the published value.
func (v view) copyable() bool {
	return slices.ContainsFunc(v.Stores, func(st protocol.Store) bool {
		return v.has(st) && st.Readable
	})
}

// repairs copies the published key to the stores that are behind, unless they may be ahead. The
// arbiter is only written if it is empty. If it names another key, a new key is due.
func (v view) repairs() (steps []protocol.Step) {
	if v.firstGuarded >= 0 && v.Stores[v.firstGuarded].Fault != "" {
		return nil // the arbiter may name a newer key
	}
	if !v.fit() || !v.copyable() {
		return nil
	}
	for i, st := range v.order() {
		decides := v.firstGuarded >= 0 && i == 0 && st.Key != "" && st.Key != v.published.ID
		if st.Fault != "" || v.has(st) || decides || v.hidden(st) {
			continue
		}
		why := reason.StoreBehind
		if st.Altered {
			why = reason.ValueAltered
		}
		steps = append(steps, protocol.Step{Action: protocol.Copy, Key: v.published.ID, Target: st.Name, Reason: why})
	}
	return steps
}

// fit reports whether the published key may take the place of another. One that
// leaked or ends before two more sweeps does not.
func (v view) fit() bool {
	k := v.published
	lasts := k.Fused(v.r) && !k.Locked
	for _, s := range v.sustained() {
		if s.Key == k.ID {
			k.Expires = s.At
		}
	}
	return k.ID != "" && k.Leaked.IsZero() && (lasts || !k.Expired(v.now.Add(2*v.r.SweepEvery)))
}

// restarts restarts the consumers that are behind and reach the published key. If a
// consumer's store is unknown, every store must have the key.
func (v view) restarts() (steps []protocol.Step) {
	if !v.fit() {
		return nil
	}
	for _, c := range v.Consumers {
		lacks := func(st protocol.Store) bool { return (c.Store == "" || c.Store == st.Name) && !v.has(st) }
		if !c.Unknown && c.Key != v.published.ID && !slices.ContainsFunc(v.Stores, lacks) {
			steps = append(steps, protocol.Step{Action: protocol.RestartConsumer, Key: v.published.ID, Target: c.Name, Reason: reason.ConsumerBehind})
		}
	}
	return steps
}
