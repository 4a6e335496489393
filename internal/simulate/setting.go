package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// A setting is a twist of the config. A history has one only if its options ask for
// it, so the other histories stay as they are.
const (
	given   twist = "given"   // the config gives a service ID that a person made
	adopts  twist = "adopts"  // and a key of it, whose value a store has
	renames twist = "renames" // the entry gets another name, on one replica after the other
	locking twist = "locking" // stores lock the entry of a key that is in use
	configs twist = "configs" // a store is added and keys are rotated later, on one replica after the other
)

var settings = []twist{given, adopts, renames, locking, configs}

// newName is the name of the credential after its entry was renamed.
const newName = "log-shipper"

// changes reports whether the config changes during the history.
func (s *sim) changes() bool { return s.twists[renames] != nil || s.twists[configs] != nil }

// suited returns a layout that a setting can have. Two replicas that rotate a given
// service ID have no arbiter without a guarded store, and the store that is added must
// not be one.
func (s *sim) suited(layout string) string {
	guarded := slices.ContainsFunc([]byte(layout), func(kind byte) bool { return kind == 'G' || kind == 'g' || kind == 'O' })
	switch {
	case (s.twists[given] != nil || s.twists[adopts] != nil) && !guarded:
		return "G" + layout
	case s.twists[configs] != nil && (len(layout) == 1 || layout == "PG"):
		return "GP"
	}
	return layout
}

// provide makes what the config of a setting gives.
func (s *sim) provide() {
	if s.twists[configs] != nil {
		for _, a := range s.apps {
			a.place, a.reader.place = s.places[0], s.places[0]
		}
		s.readers[len(s.readers)-1].away = true // its consumers come when every replica knows the store
	}
	if s.twists[given] == nil && s.twists[adopts] == nil {
		return
	}
	id := s.cloud.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, Name: "theirs", Description: "made by a person"})
	s.cloud.Grant(id.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	s.given, s.ids[id.ID], s.wanted = id.ID, s.now, nil
	if s.twists[adopts] == nil {
		return
	}
	k := s.cloud.AddAPIKey(cloud.NewAPIKey{Name: "made by hand", IAMID: id.IAMID})
	s.adopting = &fact{id: k.ID, iamID: k.IAMID, value: k.Value, born: s.now, proven: true, excused: "unmarked"}
	s.keys[k.ID], s.order = s.adopting, append(s.order, s.adopting)
	s.places[0].entry, s.places[0].there = port.Entry{Value: secret.New(k.Value)}, true
	s.changed(k)
	s.now = s.now.Add(time.Hour) // beyond IAM's lag
}

// configure gives a replica the config of the history's setting.
func (s *sim) configure(in *replica) {
	c := &in.cred
	c.Given = s.given
	if s.adopting != nil {
		c.AdoptKey = s.adopting.id
	}
	if s.twists[renames] != nil && !in.behind {
		c.Name, c.Entry, c.Former = newName, newName, []string{credential}
	}
	if s.twists[configs] != nil && in.behind {
		c.Rules.After -= 10 * 24 * time.Hour
		c.Stores = c.Stores[:len(c.Stores)-1]
	}
	for i, st := range c.Stores {
		if s.twists[locking] != nil {
			c.Stores[i] = locker{st.(adapter)}
		}
	}
}

// rollOutConfig gives each replica the new config at some time.
func (s *sim) rollOutConfig(length time.Duration) {
	for _, in := range s.replicas {
		if r := s.twists[renames]; r != nil || s.twists[configs] != nil {
			if r == nil {
				r = s.twists[configs]
			}
			s.after(upTo(r, length), func() { in.behind = false; s.kill(in) })
		}
	}
}

// knows reports whether a store is in the config of a run.
func (s *sim) knows(r *run, p *place) bool {
	return s.twists[configs] == nil || !r.old || p != s.places[len(s.places)-1]
}

// locker is a store that locks the entry of a key that is in use.
type locker struct{ adapter }

var _ port.Releaser = locker{}

// Publish writes the entry and locks it.
func (l locker) Publish(ctx ctx, e port.Entry, revision string) error {
	if err := l.adapter.Publish(ctx, e, revision); err != nil {
		return err
	}
	if err := l.yield(ctx, publish, "lock "+l.name, func() error { return nil }); err != nil {
		return fmt.Errorf("%w: %s", port.ErrUnlocked, err.Error())
	}
	return nil
}

// Release unlocks the entry of a key that was deleted.
func (l locker) Release(ctx ctx, keyID string) error {
	r := runOf(ctx)
	r.released = append(r.released, l.name+keyID)
	return l.yield(ctx, publish, "unlock "+l.name, func() error {
		if f := l.keys[keyID]; f != nil && f.gone.IsZero() {
			l.violate("P4", "unlocks %s, which IAM has", l.nick(keyID))
		}
		return nil
	})
}

// checkReleased checks that a run that deleted a key has unlocked its entries: P2.
func (s *sim) checkReleased(r *run) {
	if s.twists[locking] == nil || r.ctx.Err() != nil || !r.moved.IsZero() || r.heard(errPanics, publish) || r.age(s.now) >= s.rules.Window {
		return
	}
	if back := r.skew - r.offset; back > s.now.Sub(r.start) {
		return // its clock shows a time before its start, and it writes nothing
	}
	for _, id := range r.retired {
		for _, p := range s.places {
			if f := s.keys[id]; f != nil && !f.stored.IsZero() && !slices.Contains(r.released, p.name+id) {
				s.violate("P2", "%s is deleted, and %s stays locked", s.nick(id), p.name)
			}
		}
	}
}

// age returns how old a run is by its own clock, which may have been set.
func (r *run) age(now time.Time) time.Duration { return now.Sub(r.start) + (r.offset - r.skew).Abs() }

// record returns a key as a get shows it.
func (i iam) record(k cloud.APIKey) port.KeyRecord {
	out := port.KeyRecord{IAMID: k.IAMID, Creator: k.CreatedBy, Version: k.EntityTag, Name: k.Name, Description: k.Description, Date: i.date()}
	var m marker.Marker
	out.Key, m, out.Ours = i.keyOf(k)
	out.Credential, out.Forged = m.Credential, !out.Ours && m.Owner == owner
	return out
}

// Identify returns the key with a value.
func (i iam) Identify(ctx ctx, v secret.Value) (out port.KeyRecord, err error) {
	err = i.call(ctx, byValue, "", func() error {
		i.lagged(0, i.delay(), 0)
		k, err := i.cloud.APIKeyByValue(i.minter.Actor(), v.Expose(), false)
		if err == nil {
			out = i.record(k)
		}
		return err
	})
	return out, err
}

// Adopt writes a marker on the key of a person.
func (i iam) Adopt(ctx ctx, rec port.KeyRecord, m marker.Marker) error {
	description := m.Describe(rec.Description)
	return i.call(ctx, remember, i.nick(rec.ID), func() error {
		i.lagged(0, 0, 0)
		k, err := i.cloud.UpdateAPIKey(i.minter.Actor(), rec.ID, rec.Version, cloud.APIKeyChange{Description: &description})
		if err != nil {
			return err
		}
		i.mutated("adopt", rec.ID)
		if f := i.keys[rec.ID]; f == nil || f != i.adopting {
			i.violate("P11", "adopts %s, which the config does not name", rec.ID)
		} else {
			f.adopted, f.excused = true, ""
			if !f.liveAt(i.now) {
				f.excused = "ended before"
			}
		}
		i.changed(k)
		return nil
	})
}
