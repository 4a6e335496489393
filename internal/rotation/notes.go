package rotation

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// notice is how long before its expiry a note warns of an overdue published key.
const notice = 14 * 24 * time.Hour

// presumed returns the key that consumers must have, if no store answers.
func (v view) presumed() protocol.Key {
	k := v.published
	for _, other := range v.Keys {
		if v.published.ID == "" && !other.Disabled && other.Superseded.IsZero() && !other.Fused(v.r) && other.Compare(k) > 0 {
			k = other
		}
	}
	return k
}

// expiring reports whether a key is overdue and expires soon.
func (v view) expiring(k protocol.Key) bool {
	return !v.now.Before(v.dueAt(k)) && k.Expired(v.now.Add(notice))
}

// notes returns the information for the user.
func (v view) notes(t protocol.Trigger) (notes []protocol.Note) {
	k := v.published
	if v.expiring(k) {
		notes = append(notes, protocol.Note{Reason: reason.Expiring, Key: k.ID, At: k.Expires})
	}
	for _, name := range k.Stores {
		if !slices.ContainsFunc(v.Stores, func(st protocol.Store) bool { return st.Name == name }) {
			notes = append(notes, protocol.Note{Reason: reason.StoreDropped, Key: k.ID, Store: name, At: k.Expires})
		}
	}
	if _, until := v.refusal(v.due(t)); !until.IsZero() {
		notes = append(notes, protocol.Note{Reason: reason.NextTry, At: until})
	}
	for _, st := range v.Stores {
		if st.Altered {
			notes = append(notes, protocol.Note{Reason: reason.ValueAltered, Key: st.Key, Store: st.Name})
		}
	}
	if v.disabled() {
		notes = append(notes, protocol.Note{Reason: reason.KeyEnded, Key: v.newest.ID, By: v.newest.DisabledBy})
	}
	for _, k := range v.Keys {
		notes = append(append(notes, k.FoundNotes(v.now)...), v.notesOf(k)...)
	}
	return notes
}

// notesOf returns the information about a key that is to end.
func (v view) notesOf(k protocol.Key) (notes []protocol.Note) {
	if k.Locked && !v.hasHolder(k) && v.phase(k) == Held && v.settled() {
		notes = append(notes, protocol.Note{Reason: reason.KeyLocked, Key: k.ID, At: k.Expires})
	}
	switch _, used, later := v.extension(k); {
	case later, !used && !v.hasHolder(k) && k.Extended(v.r, v.now) && k.Used.After(v.now.Add(-v.r.Overlap/2)):
		notes = append(notes, protocol.Note{Reason: reason.StillUsed, Key: k.ID, At: k.Used})
	case used:
		notes = append(notes, protocol.Note{Reason: reason.UsedToTheEnd, Key: k.ID, At: k.Used})
	}
	return notes
}
