package simulate

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// intruder is a member of the account who may create service IDs and keys of her
// own, and write one store. She knows every name, ID and marker. Nothing of hers
// may be granted, joined, copied or ended, and the other stores must not notice:
// the checker knows no fact about her keys, so every use of one is a violation.
type intruder struct {
	place *place // the store that she may write
	iamID string // of her last service ID
	ids   []cloud.ServiceID
	keys  []cloud.APIKey
}

// hers returns the intruder, with a service ID that claims to be the credential's.
func (s *sim) hers() *intruder {
	if s.member == nil {
		s.member = &intruder{place: s.anyPlace()}
	}
	return s.member
}

func forgery() marker.Marker { return marker.Marker{Owner: owner, Credential: credential} }

// forgeID makes one more service ID of hers, for her next keys.
func (s *sim) forgeID(name string, m marker.Marker) {
	she := s.hers()
	id := s.cloud.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, Name: name, Description: m.Describe("Sends logs")})
	she.ids, she.iamID = append(she.ids, id), id.IAMID
}

// forge makes one more key of hers, and her service ID if she has none.
func (s *sim) forge(m marker.Marker) cloud.APIKey {
	she := s.hers()
	if she.iamID == "" {
		s.forgeID(idName, forgery())
	}
	k := s.cloud.AddAPIKey(cloud.NewAPIKey{
		Name: marker.KeyName(credential, s.now, "0a1b2c3d"), IAMID: she.iamID, Description: m.Describe(""), ExpiresAt: roundUp(s.now.Add(s.rules.Fuse)),
	})
	she.keys = append(she.keys, k)
	return k
}

// plant writes her store.
func (s *sim) plant(keyID, value string, created time.Time) {
	she := s.hers()
	s.put(she.place, port.Entry{KeyID: keyID, Value: secret.New(value), Created: created, IAMID: she.iamID, Owner: owner}, true, true)
}

// anyTime is a time that she writes where latchkey writes a key's birth.
func (s *sim) anyTime() time.Time {
	return s.now.Add(pick(s.rnd, -1000*time.Hour, -time.Minute, 0, 3*time.Minute, 9000*time.Hour))
}

// tricks are what the intruder does.
var tricks = []hand{
	{"forges a service ID and a key", func(s *sim) (func(), bool) {
		s.forge(forgery())
		return nil, true
	}},
	{"forges a key with marks", func(s *sim) (func(), bool) {
		m := forgery()
		m.Renew, m.Answers, m.Leaked = s.anyTime(), s.anyTime(), s.anyTime()
		m.Claimed, m.Current, m.Since = s.now, "ApiKey-hers", s.anyTime()
		s.forge(m)
		return nil, true
	}},
	{"plants a key of hers", func(s *sim) (func(), bool) {
		k := s.forge(forgery())
		s.plant(k.ID, k.Value, s.anyTime())
		return nil, true
	}},
	{"plants a key that does not exist", func(s *sim) (func(), bool) {
		s.plant("ApiKey-00000000-0000-4000-8000-000000000000", "a value that IAM does not know at all", s.anyTime())
		return nil, true
	}},
	{"plants her value under the key that is published", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if f == nil {
			return nil, false
		}
		s.plant(f.id, s.forge(forgery()).Value, s.anyTime())
		return nil, true
	}},
	{"plants her value under an older key", func(s *sim) (func(), bool) {
		if len(s.order) == 0 {
			return nil, false
		}
		s.plant(s.order[0].id, s.forge(forgery()).Value, s.anyTime())
		return nil, true
	}},
}

const plantsNoID = "plants a text that is no key's ID"

// schemes are what else she does, in the enumeration only: random histories draw from
// the tricks.
var schemes = []hand{
	{"forges a service ID that is to be deprovisioned", func(s *sim) (func(), bool) {
		m := forgery()
		m.Deprovision = s.now.Add(-1000 * time.Hour)
		s.forgeID(idName, m)
		s.forge(forgery())
		return nil, true
	}},
	{"forges a service ID under the next name of the credential", func(s *sim) (func(), bool) {
		s.forgeID(newName, marker.Marker{Owner: owner, Credential: newName})
		s.forge(marker.Marker{Owner: owner, Credential: newName})
		return nil, true
	}},
	{"forges a key that has ended", func(s *sim) (func(), bool) {
		m := forgery()
		m.Superseded, m.Withdrawn, m.Suspended = s.anyTime(), s.anyTime(), s.now.Add(-1000*time.Hour)
		m.Refused, m.Refusal, m.Served = s.anyTime(), reason.StoreRefused, s.anyTime()
		s.forge(m)
		return nil, true
	}},
	{"plants the published value under a key of hers", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if f == nil {
			return nil, false
		}
		s.plant(s.forge(forgery()).ID, f.value, s.anyTime())
		return nil, true
	}},
	{"plants her value under the newest key", func(s *sim) (func(), bool) {
		if len(s.order) == 0 {
			return nil, false
		}
		s.plant(s.order[len(s.order)-1].id, s.forge(forgery()).Value, s.anyTime())
		return nil, true
	}},
	{plantsNoID, func(s *sim) (func(), bool) {
		s.plant(strings.Repeat("ApiKey-", 1000), s.forge(forgery()).Value, s.anyTime())
		return nil, true
	}},
}

// checkHers checks that what the intruder made is as she made it: P11.
func (s *sim) checkHers() {
	if s.member == nil {
		return
	}
	for _, was := range s.member.ids {
		now, err := s.cloud.GetServiceID(cloud.Owner(), was.ID, false)
		groups, _ := s.cloud.GroupsOf(cloud.Owner(), was.IAMID)
		switch {
		case err != nil || now.EntityTag != was.EntityTag:
			s.violate("P11", "changes the intruder's service ID: %v", err)
		case len(s.policies(was.IAMID, 0)) > 0 || len(groups) > 0:
			s.violate("P11", "gives the intruder's service ID policies or groups")
		}
	}
	for _, was := range s.member.keys {
		now, err := s.keyNow(was.ID)
		over := !was.ExpiresAt.IsZero() && !was.ExpiresAt.After(s.now)
		if err != nil && !over || err == nil && now.EntityTag != was.EntityTag {
			s.violate("P11", "changes the intruder's key %s: %v", was.ID, err)
		}
		for _, p := range s.places {
			if p != s.member.place && (p.keyID() == was.ID || p.there && p.entry.Value.Equal(secret.New(was.Value))) {
				s.violate("P11", "%s has the intruder's key", p.name)
			}
		}
		for _, a := range s.apps {
			if a.mark == was.ID {
				s.violate("P11", "restarts %s with the intruder's key", a.name)
			}
		}
	}
}

// intrude lets the intruder play tricks in some histories. Her draws are her own,
// so the other histories are those without her.
func (s *sim) intrude(length time.Duration) {
	r := rand.New(rand.NewPCG(s.seed, 4))
	if sometimes := r.IntN(6) == 0; !sometimes && !s.intruded {
		return
	}
	for range 1 + r.IntN(5) {
		h := tricks[r.IntN(len(tricks))]
		s.after(time.Duration(r.Int64N(int64(length))), func() {
			s.play(h, "the intruder")
		})
	}
}
