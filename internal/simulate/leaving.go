package simulate

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/offboard"
)

// leaving is a deprovisioning that was demanded. No random history has one: see
// leaving_test.go.
type leaving struct{ forced bool }

var leavingRules = offboard.Rules{Quiet: 7 * 24 * time.Hour, Wait: 24 * time.Hour}

// checkSuspended checks that a deprovisioning disables nothing in use without force.
func (s *sim) checkSuspended(f *fact) {
	k, err := s.cloud.GetAPIKey(cloud.Owner(), f.id, false)
	if ago := s.now.Sub(k.LastAuthn); err == nil && !s.leaving.forced && !k.LastAuthn.IsZero() && ago < leavingRules.Quiet-slack {
		s.violate("P11", "disables %s, which was used %s ago", s.nick(f.id), ago)
	}
}

// marked reports whether the end of the credential is recorded.
func (s *sim) marked() bool {
	for id := range s.ids {
		if now, err := s.cloud.GetServiceID(cloud.Owner(), id, false); err == nil {
			m, _, _ := marker.Parse(now.Description)
			return !m.Deprovision.IsZero()
		}
	}
	return false
}

// checkLeft checks that a deprovisioning deletes a key only after its wait, and after the
// entries that name it.
func (s *sim) checkLeft(f *fact) {
	if s.leaving == nil {
		return
	}
	m := f.last().mark
	if s.named(f.id) && (s.member == nil || s.member.place.keyID() != f.id) {
		s.violate("P4", "deletes %s, which a store names", s.nick(f.id))
	}
	if !m.Suspended.IsZero() && s.marked() && s.now.Before(m.Suspended.Add(leavingRules.Wait-slack)) {
		s.violate("P11", "deletes %s %s after it was disabled", s.nick(f.id), s.now.Sub(m.Suspended))
	}
}

// checkRemoved checks that an entry is removed by a deprovisioning, and is ours.
func (s *sim) checkRemoved(p *place) {
	s.mutated("remove entry", p.keyID())
	if s.leaving == nil || p.there && p.entry.Owner != owner {
		s.violate("P11", "removes the entry of %s", p.name)
	}
}
