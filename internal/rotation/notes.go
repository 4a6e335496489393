package rotation

import (
	"slices"
	"time"
)

// notice is how long before its expiry a note warns of an overdue published key.
const notice = 14 * 24 * time.Hour

// presumed returns the key that consumers must have, if no store answers.
func (v view) presumed() Key {
	k := v.published
	for _, other := range v.Keys {
		presumable := other.Live(v.now) && other.Superseded.IsZero() && !other.Fused(v.r)
		if v.published.ID == "" && presumable && other.Compare(k) > 0 {
			k = other
		}
	}
	return k
}

// expiring reports whether a key is overdue and expires soon.
func (v view) expiring(k Key) bool {
	return k.ID != "" && !k.Expires.IsZero() && !k.Fused(v.r) && !v.now.Before(v.dueAt(k)) && k.Expires.Sub(v.now) <= notice
}

// notes returns the information for the user.
func (v view) notes() (notes []Note) {
	k := v.published
	if v.expiring(k) {
		notes = append(notes, Note{Reason: Expiring, Key: k.ID, At: k.Expires})
	}
	for _, name := range k.Stores {
		if !slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Name == name }) {
			notes = append(notes, Note{Reason: StoreDropped, Key: k.ID, Store: name, At: k.Expires})
		}
	}
	for _, k := range v.Keys {
		switch _, used, later := v.extension(k); {
		case later:
			notes = append(notes, Note{Reason: StillUsed, Key: k.ID, At: k.Used})
		case used:
			notes = append(notes, Note{Reason: UsedToTheEnd, Key: k.ID, At: k.Used})
		}
	}
	return notes
}

// remember records a demand that cannot be met now on the published key, so that
// the next sweep meets it.
func (v view) remember(t Trigger) []Step {
	k := v.published
	if k.ID == "" || !t.unmet(k) || k.Locked || !k.Leaked.IsZero() {
		return nil
	}
	at := t.NewerThan
	if k.Meets(at) {
		if !k.Meets(k.Renew) {
			return nil
		}
		at = k.After(v.now) // only NotKey is unmet
	}
	if !k.Renew.Before(at) {
		return nil
	}
	return []Step{{Action: Remember, Key: k.ID, At: at, Reason: Demanded}}
}

// next returns when the state will have changed without an event.
func (v view) next(t Trigger) time.Time {
	next := v.now.Add(max(v.r.After, v.r.SweepEvery))
	earlier := func(at time.Time) {
		if at.After(v.now) && at.Before(next) {
			next = at
		}
	}
	if v.published.ID != "" {
		earlier(v.dueAt(v.published))
		if !v.published.Expires.IsZero() && !v.published.Fused(v.r) {
			earlier(v.published.Expires.Add(-4 * v.r.SweepEvery))
		}
	}
	for _, k := range v.Keys {
		switch {
		case v.rival(k):
			earlier(k.Created.Add(v.r.Window))
		case !v.named[k.ID] && !k.Expires.IsZero():
			earlier(k.Expires.Add(v.r.ExpiryMargin))
		case !k.Superseded.IsZero() && !k.Expires.IsZero():
			_, near := v.bit()
			earlier(k.Expires.Add(-near))
		}
	}
	if !v.allRead || v.unlisted {
		earlier(v.now.Add(v.r.SweepEvery))
	}
	for _, at := range v.waits(t) {
		earlier(at)
	}
	return next
}

// waits returns when what a plan waits for may be over.
func (v view) waits(t Trigger) (times []time.Time) {
	for _, st := range v.Stores {
		if v.unlisted && st.Key != "" {
			times = append(times, st.Created.Add(2*v.r.Window))
		}
	}
	if v.due(t) == "" {
		return times
	}
	for _, k := range v.Keys {
		times = append(times, k.Created.Add(v.r.MinAge))
		if !k.Expires.IsZero() {
			times = append(times, k.Expires) // one live key fewer
		}
	}
	return times
}
