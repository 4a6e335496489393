package simulate

import (
	"cmp"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// hand is a manual change. do returns how to revert it, if that makes sense, and
// false if there was nothing to change.
type hand struct {
	name string
	do   func(s *sim) (undo func(), done bool)
}

// play lets someone do what a hand does.
func (s *sim) play(h hand, by string) (undo func(), done bool) {
	undo, done = h.do(s)
	if done {
		s.played[h.name] = true
	}
	s.note("%s %s: %t", by, h.name, done)
	s.disturb(nil)
	return undo, done
}

// publishedFact returns the key that the stores name.
func (s *sim) publishedFact() *fact {
	f := s.newest()
	if f == nil || !f.gone.IsZero() {
		return nil
	}
	return f
}

func (s *sim) anyPlace() *place { return s.places[s.rnd.IntN(len(s.places))] }

func (s *sim) refresh(f *fact) {
	k, err := s.keyNow(f.id)
	if err == nil {
		s.changed(k)
	}
}

func (s *sim) keyNow(id string) (cloud.APIKey, error) {
	s.lagged(0, 0, 0)
	return s.cloud.GetAPIKey(cloud.Owner(), id, false)
}

// idOf returns the service ID of the published key, or any of ours.
func (s *sim) idOf() string {
	if f := s.publishedFact(); f != nil {
		return strings.TrimPrefix(f.iamID, "iam-")
	}
	least := ""
	for id := range s.ids {
		if least == "" || id < least {
			least = id
		}
	}
	return least
}

// clocks are changes of a clock during a run. Random histories have them at gets.
var clocks = []hand{
	{"sets the clock on", setClock(4 * time.Minute)},
	{"sets the clock back", setClock(-4 * time.Minute)},
	{"sets the clock on by more than is allowed", setClock(9 * time.Minute)},
	{"sets the clock back by more than is allowed", setClock(-9 * time.Minute)},
}

func setClock(by time.Duration) func(*sim) (func(), bool) {
	return func(s *sim) (func(), bool) {
		in := s.replicas[0]
		in.offset += by
		return func() { in.offset -= by }, true
	}
}

const deletesID = "deletes the service ID"

var hands = []hand{
	{"rolls a store back", func(s *sim) (func(), bool) {
		p := s.anyPlace()
		for i := len(p.past) - 1; i >= 0; i-- {
			if e := p.past[i]; e.KeyID != p.keyID() && e.KeyID != "" {
				s.put(p, e, true, true)
				return nil, true
			}
		}
		return nil, false
	}},
	{"removes an entry", func(s *sim) (func(), bool) {
		p := s.anyPlace()
		if !p.there {
			return nil, false
		}
		s.put(p, port.Entry{}, false, true)
		return nil, true
	}},
	{"writes a value by hand", func(s *sim) (func(), bool) {
		p := s.anyPlace()
		s.put(p, port.Entry{Value: secret.New("typed by a person, who knows what it is")}, true, true)
		return func() { s.put(p, port.Entry{}, false, true) }, true
	}},
	{"spoils a value", func(s *sim) (func(), bool) {
		p := s.anyPlace()
		if p.keyID() == "" {
			return nil, false
		}
		e := p.entry
		e.Value = secret.New("not the value that IAM knows, whoever wrote it")
		s.put(p, e, true, true)
		return func() { s.put(p, port.Entry{}, false, true) }, true
	}},
	{"lets another installation use the entry", func(s *sim) (func(), bool) {
		p := s.anyPlace()
		s.put(p, port.Entry{KeyID: "ApiKey-of-others", Value: secret.New("somebody else's key, which is not ours"), Owner: "test"}, true, true)
		return func() { s.put(p, port.Entry{}, false, true) }, true
	}},
	{"locks the published key", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if f == nil {
			return nil, false
		}
		f.excused = cmp.Or(f.excused, "locked")
		s.cloud.SetKeyLocked(f.id, true)
		s.refresh(f)
		return func() {
			if f.gone.IsZero() {
				s.cloud.SetKeyLocked(f.id, false)
				s.refresh(f)
			}
		}, true
	}},
	{"disables the published key", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if f == nil {
			return nil, false
		}
		f.excused = cmp.Or(f.excused, "disabled")
		s.cloud.SetKeyDisabled(f.id, true)
		s.refresh(f)
		return func() {
			if f.gone.IsZero() {
				f.dead, f.found = time.Time{}, time.Time{}
				s.cloud.SetKeyDisabled(f.id, false)
				s.refresh(f)
			}
		}, true
	}},
	{"deletes the published key", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if f == nil {
			return nil, false
		}
		f.excused, f.gone = "deleted", s.now
		s.lagged(0, s.lag, 0)
		s.cloud.RemoveKey(f.id)
		return nil, true
	}},
	{"takes the marker off the published key", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if f == nil {
			return nil, false
		}
		f.excused = "unmarked"
		s.cloud.SetKeyDescription(f.id, "mine now")
		s.refresh(f)
		return nil, true
	}},
	{"locks the service ID", func(s *sim) (func(), bool) {
		id := s.idOf()
		if id == "" {
			return nil, false
		}
		s.cloud.SetServiceIDLocked(id, true)
		return func() {
			if _, there := s.ids[id]; there {
				s.cloud.SetServiceIDLocked(id, false)
			}
		}, true
	}},
	{deletesID, func(s *sim) (func(), bool) {
		id := s.idOf()
		if id == "" {
			return nil, false
		}
		for _, f := range s.order {
			if f.iamID == "iam-"+id && f.gone.IsZero() {
				f.excused, f.gone = "deleted", s.now
			}
		}
		s.idGone = true
		delete(s.ids, id)
		s.cloud.RemoveServiceID(id)
		return nil, true
	}},
	{"takes the policies away", func(s *sim) (func(), bool) {
		id := s.idOf()
		if id == "" {
			return nil, false
		}
		s.cloud.Revoke("iam-"+id, "logs")
		return nil, true
	}},
	{"takes the Sender role from latchkey", func(s *sim) (func(), bool) {
		s.cloud.Revoke(s.minter.IAMID, "logs")
		s.cloud.Grant(s.minter.IAMID, "logs", "crn:v1:bluemix:public:iam::::role:Administrator")
		if id := s.idOf(); id != "" {
			s.cloud.Revoke("iam-"+id, "logs")
		}
		return func() {
			s.cloud.Grant(s.minter.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
			if id := s.idOf(); id != "" {
				s.cloud.Revoke("iam-"+id, "logs") // the weaker policy that stands in the way
			}
		}, true
	}},
	{"makes many keys", func(s *sim) (func(), bool) {
		id := s.idOf()
		if id == "" {
			return nil, false
		}
		n := 9 + s.rnd.IntN(10)
		var made []string
		for range n {
			made = append(made, s.cloud.AddAPIKey(cloud.NewAPIKey{Name: "theirs", IAMID: "iam-" + id}).ID)
		}
		s.foreign["iam-"+id] += n
		s.crowded = s.now
		return func() {
			if _, there := s.ids[id]; !there {
				return
			}
			for _, k := range made {
				s.cloud.RemoveKey(k)
			}
			s.foreign["iam-"+id] -= n
		}, true
	}},
	{"asks for a wider policy", func(s *sim) (func(), bool) {
		if s.given != "" {
			return nil, false // the config has no policies
		}
		s.wanted = []access.Policy{{Service: "logs", Roles: []string{"Sender"}}}
		for _, in := range s.replicas {
			s.kill(in)
		}
		return nil, true
	}},
	{"sets a clock", func(s *sim) (func(), bool) {
		in := s.replicas[s.rnd.IntN(len(s.replicas))]
		was := in.offset
		in.offset += time.Duration(s.rnd.Int64N(int64(20*time.Minute))) - 10*time.Minute
		return func() { in.offset = was }, true
	}},
}
