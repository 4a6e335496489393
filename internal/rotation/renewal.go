package rotation

import (
	"cmp"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// due returns why a new key is due, or nothing. A demand comes before the needs
// that can wait.
func (v view) due(t protocol.Trigger) reason.Reason {
	k := v.published
	switch {
	case v.disabled():
		return reason.KeyEnded
	case k.ID == "":
		return reason.NothingThere
	case !v.newest.Leaked.IsZero():
		return reason.KeyLeaked
	case t.Unmet(k):
		return reason.Demanded
	case slices.ContainsFunc(v.Keys, func(o protocol.Key) bool { return !k.Meets(o.Renew) }):
		return reason.Remembered
	}
	return v.need()
}

// need returns why a new key is needed although no event asks for one, or nothing. A key
// ends soon if IAM gave it a short life, or if no sweep could move its fuse out. The run
// that moves the fuse out after all mints no key.
func (v view) need() reason.Reason {
	k := v.published
	switch {
	case !v.now.Before(v.dueAt(k)):
		return reason.Aged
	case k.EndsSoon(v.r, v.now):
		return reason.ExpiresSoon
	case v.declined():
		return "" // the first store has the key, and a later one refuses it
	case v.spoilt():
		return reason.ValueAltered
	}
	if v.firstGuarded >= 0 {
		if st := v.Stores[v.firstGuarded]; st.Key != "" && st.Key != k.ID {
			return reason.FirstStoreBehind
		}
	}
	if !v.copyable() && v.behind() {
		return reason.NoCopySource
	}
	return ""
}

func (v view) dueAt(k protocol.Key) time.Time { return k.Created.Add(v.r.After - v.r.Jitter) }

// mayMint returns why no key may be created, or nothing. steps are those before.
func (v view) mayMint(due reason.Reason, steps []protocol.Step) reason.Reason {
	if fault := v.noPlace(); fault != "" {
		return fault
	}
	if why, until := v.refusal(due); !until.IsZero() {
		return why
	}
	left, most := v.after(steps), v.r.MaxKeys
	if !due.Demand() {
		most += v.r.Spare
	}
	switch {
	case v.Identity.Locked && v.firstGuarded < 0 && !v.Identity.Given: // the service ID is the arbiter, and can't be written
		return reason.IdentityLocked
	case due.Demand() && v.Storm, due == reason.KeyLeaked && v.LeakStorm:
		return reason.Storm
	case v.now.Before(v.youngest().Add(v.r.MinAge)):
		return reason.TooYoung
	case left.here()+v.Foreign >= v.r.KeyLimit:
		return reason.KeyCap
	case left.live() >= most:
		return reason.KeysFull
	}
	return ""
}

// noPlace returns why no store could take a new key, or nothing.
func (v view) noPlace() reason.Reason {
	if slices.ContainsFunc(v.Stores, func(st protocol.Store) bool { return st.Fault == "" }) {
		return v.storeTrouble(required)
	}
	return cmp.Or(v.storeTrouble(required), v.storeTrouble(anyStore), reason.StoreUnreachable)
}

// youngest returns the birth of the newest key that delays the next.
func (v view) youngest() (born time.Time) {
	for _, k := range v.Keys {
		contained := k.Disabled && !k.Leaked.IsZero() // its consumers have no working key
		if k.Created.After(born) && !contained {
			born = k.Created
		}
	}
	return born
}

// live counts the keys that count toward MaxKeys. A leaked key ends as soon as
// consumers have the new one, so it does not.
func (v view) live() (n int) {
	for _, k := range v.Keys {
		if replaced := !k.Leaked.IsZero() && !k.Locked; k.Live(v.now) && !replaced {
			n++
		}
	}
	return n
}

// here counts our keys on the service ID that a new key would be on.
func (v view) here() int {
	return len(slices.DeleteFunc(slices.Clone(v.Keys), func(k protocol.Key) bool { return k.Elsewhere }))
}

// order returns the stores with the arbiter first.
func (v view) order() []protocol.Store {
	if v.firstGuarded <= 0 {
		return v.Stores
	}
	rest := slices.Delete(slices.Clone(v.Stores), v.firstGuarded, v.firstGuarded+1)
	return slices.Insert(rest, 0, v.Stores[v.firstGuarded])
}

// renewal creates a key and publishes it.
func (v view) renewal(due reason.Reason) []protocol.Step {
	steps := []protocol.Step{
		{Action: protocol.Mint, Key: protocol.NewKey, Reason: due},
		{Action: protocol.Prove, Key: protocol.NewKey, Reason: reason.NewlyMinted},
	}
	for _, st := range v.order() {
		if st.Fault != "" {
			continue
		}
		steps = append(steps, protocol.Step{Action: protocol.Publish, Key: protocol.NewKey, Target: st.Name, Reason: due})
		if len(steps) == 3 { // the first publication
			steps = append(steps, protocol.Step{Action: protocol.Unfuse, Key: protocol.NewKey, Reason: reason.FuseOn})
		}
	}
	return steps
}

// recording writes a demand down on the published key before anything is done about
// it, so that the next run meets it if this one can't.
func (v view) recording(t protocol.Trigger) []protocol.Step {
	k := v.published
	if k.ID == "" || k.Locked || !t.Unmet(k) || !k.Renew.Before(t.NewerThan) {
		return nil
	}
	return []protocol.Step{{Action: protocol.Record, Key: k.ID, At: t.NewerThan, Reason: reason.Demanded}}
}
