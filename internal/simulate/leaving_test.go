package simulate

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// farewell is a deprovisioning: whether a key is in use, whether it is forced, and whether
// it is undone within its wait.
type farewell struct {
	inUse, forced, undone bool
	// intruder is played before the call with the index at.
	intruder func(*sim)
	at       int
}

func (l farewell) String() string {
	return fmt.Sprintf("in use %t, forced %t, undone %t", l.inUse, l.forced, l.undone)
}

var farewells = []farewell{{}, {undone: true}, {inUse: true}, {inUse: true, forced: true}, {inUse: true, forced: true, undone: true}}

// theirs is what others have beside the credential.
type theirs struct {
	serviceID, key string
	entry          port.Entry
}

// neighbours gives others a service ID with a key, and an entry in the last store.
func (s *sim) neighbours() theirs {
	id := s.cloud.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, Name: "theirs", Description: marker.Marker{Owner: owner, Credential: "another"}.Describe("")})
	k := s.cloud.AddAPIKey(cloud.NewAPIKey{Name: "theirs", IAMID: id.IAMID})
	e := port.Entry{KeyID: "ApiKey-of-others", Value: secret.New("the key of another owner's service ID"), Owner: "test"}
	s.put(s.places[len(s.places)-1], e, true, true)
	return theirs{id.ID, k.ID, e}
}

// part lets a replica run with a demand.
func (s *sim) part(in *replica, d offboard.Demand) {
	s.begin(in, reconcile.Request{Cause: "demand", End: d}, 10*time.Minute)
	s.settle()
	s.until(s.now.Add(20 * time.Minute))
}

// run plays a deprovisioning with faults by the index of the call, and then clean sweeps.
func (l farewell) run(t *testing.T, faults map[int]fault, m *mutant) (calls []step, v Verdict) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "GPO", 0, "A", "B")
		s.policy = &script{sim: s}
		due(s)
		others := s.neighbours()
		s.sweep(s.replicas[0]) // so that there are two keys
		s.until(s.now.Add(8 * 24 * time.Hour))
		if f := s.newest(); l.inUse {
			if _, err := s.cloud.ExchangeAPIKey(f.value); err != nil {
				s.violate("P1", "a consumer does not get in: %v", err)
			}
		}
		s.leaving = &leaving{forced: l.forced}
		for _, in := range s.replicas { // they know the credential by its marker
			s.kill(in)
		}
		s.settle()
		before := s.newest()
		sc := &script{sim: s, faults: faults, before: l.at}
		if l.intruder != nil {
			sc.meddle = func() { l.intruder(s) }
		}
		s.policy = sc
		end := offboard.Demand{Ask: offboard.End, Force: l.forced}
		s.part(s.replicas[0], end)
		if !s.marked() {
			s.part(s.replicas[1], end) // the caller was not told that it is recorded
		}
		if l.undone {
			s.part(s.replicas[0], offboard.Demand{Ask: offboard.Undo})
			s.part(s.replicas[1], offboard.Demand{Ask: offboard.Undo})
		}
		for i := range 4 {
			s.part(s.replicas[i%2], offboard.Demand{})
			s.until(s.now.Add(leavingRules.Wait / 2))
		}
		calls = sc.calls
		s.policy = &script{sim: s}
		if l.undone {
			s.part(s.replicas[0], offboard.Demand{Ask: offboard.Undo})
		}
		for i := range 4 {
			s.part(s.replicas[i%2], offboard.Demand{})
			s.until(s.now.Add(leavingRules.Wait / 2))
		}
		l.check(s, others, before)
		s.checkHers()
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(1)
	})
	return calls, v
}

// check checks what is left.
func (l farewell) check(s *sim, others theirs, before *fact) {
	if _, err := s.cloud.GetServiceID(cloud.Owner(), others.serviceID, false); err != nil {
		s.violate("P11", "the service ID of others is gone")
	}
	if _, err := s.keyNow(others.key); err != nil {
		s.violate("P11", "the key of others is gone")
	}
	if last := s.places[len(s.places)-1]; last.keyID() != others.entry.KeyID {
		s.violate("P11", "the entry of others is %q", last.keyID())
	}
	ours := slices.ContainsFunc(s.order, func(f *fact) bool { return f.gone.IsZero() })
	f := s.newest()
	if stays := l.undone || l.inUse && !l.forced; stays {
		same := f == before && s.places[0].keyID() == f.id || f != nil && s.member != nil // what she wrote may cost a key
		if !same || !f.liveAt(s.now) || s.marked() {
			s.violate("P9", "the credential is not what it was")
		}
		return
	}
	if s.member != nil { // what she wrote to her store may stay there
		s.member.place.there = false
	}
	if ours || len(s.ids) > 0 || s.places[0].there || s.places[1].there {
		s.violate("P9", "left of it: keys %t, %d service IDs, entries %t and %t", ours, len(s.ids), s.places[0].there, s.places[1].there)
	}
}

// TestADeprovisioningUnderFaults puts every fault at every call of a deprovisioning and of
// its undo: nothing foreign is touched, nothing in use ends without force, and nothing of
// ours is left.
func TestADeprovisioningUnderFaults(t *testing.T) {
	type scenario struct {
		farewell
		faults map[int]fault
		calls  []step
	}
	var all []scenario
	for _, l := range farewells {
		calls, v := l.run(t, nil, nil)
		for _, line := range v.Violations {
			t.Errorf("%s, without a fault: %s", l, line)
		}
		for i := range calls {
			for _, f := range sampled(enumerated, 4) {
				all = append(all, scenario{l, map[int]fault{i: f}, calls})
			}
		}
	}
	done, bad := enumerate(t, all, func(t *testing.T, sc scenario) Verdict {
		_, v := sc.run(t, sc.faults, nil)
		return v
	}, func(sc scenario) string { return flow{name: sc.String()}.describe(sc.faults, sc.calls) })
	report(t, false, fmt.Sprintf("deprovisionings=%d violations=%d", done, bad))
}

// TestEnumerateIntruderInADeprovisioning lets the intruder do each of her tricks at every call
// of a deprovisioning and of its undo. An ordinary run plays a sample.
func TestEnumerateIntruderInADeprovisioning(t *testing.T) {
	type visit struct {
		farewell
		trick string
	}
	var all []visit
	for _, l := range farewells {
		calls, _ := l.run(t, nil, nil)
		for _, trick := range slices.Concat(tricks, schemes) {
			for store := range 2 { // the last one is that of others
				for at := range calls {
					l.at, l.intruder = at, func(s *sim) {
						s.member = &intruder{place: s.places[store]}
						s.play(trick, "the intruder")
					}
					all = append(all, visit{l, trick.name})
				}
			}
		}
	}
	if !*pairs {
		all = everyNth(all, 23)
	}
	done, bad := enumerate(t, all, func(t *testing.T, v visit) Verdict {
		_, out := v.run(t, nil, nil)
		return out
	}, func(v visit) string {
		return fmt.Sprintf("%s, the intruder %s before call %d", v.farewell, v.trick, v.at)
	})
	report(t, *pairs, fmt.Sprintf("deprovisionings %d, visits of the intruder %d, violations %d", len(farewells), done, bad))
}

// unused says that no key was ever used.
type unused struct{ iam }

func (unused) Used(ctx, string) (time.Time, error) { return time.Time{}, nil }

// disablesNothing only marks a key.
type disablesNothing struct{ iam }

func (disablesNothing) Disable(ctx, string) error { return nil }

// marksNothing loses the record of a deprovisioning.
type marksNothing struct{ iam }

func (marksNothing) Mark(ctx, port.ServiceID, marker.Marker) error { return nil }

// enablesNothing forgets an undo.
type enablesNothing struct{ iam }

func (enablesNothing) Enable(ctx, string) error { return nil }

// takesAll takes every entry for our own.
type takesAll struct{ adapter }

func (p takesAll) Read(ctx ctx) (port.Entry, error) {
	e, err := p.adapter.Read(ctx)
	e.Owner = owner
	return e, err
}

// leavesEntries removes no entry.
type leavesEntries struct{ adapter }

func (leavesEntries) Remove(ctx, string) error { return nil }

// TestADeprovisioningShowsWrongProtocols plays wrong protocols, each of which breaks a
// promise.
func TestADeprovisioningShowsWrongProtocols(t *testing.T) {
	hurried := ported("does not wait", func(_ *sim, in *replica) { in.cred.Offboard.Wait = 0 })
	again := ported("makes the credential again", func(_ *sim, in *replica) { in.cred.Existing = false })
	for _, m := range []mutant{
		keysBy("does not read the use", func(i iam) port.Keys { return unused{i} }),
		keysBy("deletes keys without disabling them", func(i iam) port.Keys { return disablesNothing{i} }),
		keysBy("an undo enables nothing", func(i iam) port.Keys { return enablesNothing{i} }),
		ported("does not record the demand", func(s *sim, in *replica) { in.rec.Identities = marksNothing{iam{s}} }),
		storesBy("takes every entry for its own", func(a adapter) port.Store { return takesAll{a} }),
		storesBy("leaves the entries", func(a adapter) port.Store { return leavesEntries{a} }),
		hurried, again,
	} {
		t.Run(m.name, func(t *testing.T) {
			for _, l := range farewells {
				if _, v := l.run(t, nil, &m); len(v.Violations) > 0 {
					t.Logf("killed: %s: %s", l, v.Violations[0])
					return
				}
			}
			t.Error("survived")
		})
	}
}
