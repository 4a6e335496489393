package simulate

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// A mutant is a wrong protocol. It is made of the right one from outside: by
// another plan in place of the decision, or by a port that does not do what its
// caller relies on. So production code has no switch but the hook for the
// decision.

type (
	state   = protocol.State
	rules   = protocol.Rules
	trigger = protocol.Trigger
	plan    = protocol.Plan
	decider = func(state, rules, trigger, time.Time) plan
)

// deciding mutants plan wrongly.
func deciding(name string, d decider) mutant {
	return mutant{name: name, bend: func(_ *sim, in *replica) { in.rec.Decide = d }}
}

// ruled mutants obey other rules.
func ruled(name string, change func(*rules)) mutant {
	return deciding(name, func(s state, r rules, t trigger, now time.Time) plan {
		change(&r)
		return rotation.Decide(s, r, t, now)
	})
}

// blind mutants see another state.
func blind(name string, change func(*state)) mutant {
	return deciding(name, func(s state, r rules, t trigger, now time.Time) plan {
		s.Keys, s.Stores, s.Consumers = slices.Clone(s.Keys), slices.Clone(s.Stores), slices.Clone(s.Consumers)
		change(&s)
		return rotation.Decide(s, r, t, now)
	})
}

// asAPerson takes what IBM disabled for what a person disabled.
func asAPerson(s *state) {
	s.Keys = slices.Clone(s.Keys)
	for i := range s.Keys {
		if s.Keys[i].Found() {
			s.Keys[i].Leaked = time.Time{}
		}
	}
}

// lacking mutants leave steps out.
func lacking(name string, out func(protocol.Step) bool) mutant {
	return deciding(name, func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), out)
		return p
	})
}

func action(a protocol.Action) func(protocol.Step) bool {
	return func(s protocol.Step) bool { return s.Action == a }
}

// altered mutants take other steps.
func altered(name string, change func(*protocol.Step)) mutant {
	return deciding(name, func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.Clone(p.Steps)
		for i := range p.Steps {
			change(&p.Steps[i])
		}
		return p
	})
}

// ported mutants have another IAM or other stores.
func ported(name string, bend func(s *sim, in *replica)) mutant {
	return mutant{name: name, bend: bend}
}

// intruded mutants are wrong only if an intruder uses it.
func intruded(m mutant) mutant {
	m.intruded = true
	return m
}

// inTwist mutants are wrong only in histories with a twist.
func inTwist(t twist, m mutant) mutant {
	m.twist = t
	return m
}

// shown mutants are wrong in a scene that chance seldom plays.
func shown(scene func(*testing.T, *mutant) []string, m mutant) mutant {
	m.scene = scene
	return m
}

// storeDenies is a store that denies access for a month.
func storeDenies(t *testing.T, m *mutant) []string {
	return endure(t, stay{"GP", []step{publish}, denied}, time.Hour, 30, m)
}

// deletionsAreDenied is an identity that may not delete keys.
func deletionsAreDenied(t *testing.T, m *mutant) []string {
	return endure(t, stay{"GP", []step{retire, remove, disable}, denied}, 12*time.Hour, 300, m)
}

// updatesAreDenied is an identity that may not change keys.
func updatesAreDenied(t *testing.T, m *mutant) []string {
	return endure(t, stay{"GP", []step{unfuse, supersede, extend, remember, condemn}, denied}, 12*time.Hour, 30, m)
}

// theFuseStays is two runs that can't move the fuse of a published key out. The second
// replaces the key, and the third is in time.
func theFuseStays(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 1, "A")
		s.rules.Overlap, s.rules.SweepEvery = 30*time.Hour, 11*time.Hour+50*time.Minute
		s.boot(s.replicas[0])
		s.policy = &script{sim: s}
		due(s)
		var f *fact
		for i := range 3 {
			s.policy = &script{sim: s}
			if i < 2 {
				s.policy = &script{sim: s, at: unfuse, then: denied}
			}
			s.sweep(s.replicas[0])
			s.until(s.now.Add(s.rules.SweepEvery))
			if i == 0 {
				f = s.newest()
			}
		}
		if !f.liveAt(s.now) {
			problems = append(problems, fmt.Sprintf("%s ended at %s, within an overlap of its replacement", s.nick(f.id), f.expires))
		}
		s.kill(s.replicas[0])
		s.settle()
	})
	return problems
}

// keysPileUp are demanded rotations by an identity that may not delete keys.
func keysPileUp(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 0, "A")
		s.policy = &script{sim: s}
		rested(s)
		s.policy = &lasting{sim: s, stay: stay{"G", []step{retire}, denied}, on: true}
		for range 30 {
			s.begin(s.replicas[0], reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NewerThan: s.now}}, 10*time.Minute)
			s.settle()
			s.until(s.now.Add(s.rules.Overlap + time.Hour))
		}
		problems = s.violations
		s.kill(s.replicas[0])
		s.settle()
	})
	return problems
}

// unlockedWithItsFuse is a key that was published and locked with its fuse on, then
// replaced, and then unlocked. Its successor, whose mark names it, was deleted meanwhile.
func unlockedWithItsFuse(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 1, "A")
		s.policy = &script{sim: s}
		due(s)
		s.policy = &script{sim: s, at: unfuse, then: crashBefore}
		s.sweep(s.replicas[0])
		s.until(s.now.Add(time.Minute))
		s.policy = &script{sim: s}
		f := s.newest()
		s.cloud.SetKeyLocked(f.id, true)
		s.refresh(f)
		s.until(s.now.Add(s.rules.Window))
		for range 2 {
			s.begin(s.replicas[0], reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NotKey: f.id}}, 10*time.Minute)
			s.settle()
			s.until(s.now.Add(s.rules.Window))
		}
		if s.newest() == f {
			problems = append(problems, "the locked key is not replaced")
		}
		successor := s.newest()
		if err := s.cloud.DeleteAPIKey(cloud.Owner(), successor.id); err != nil {
			problems = append(problems, err.Error())
		}
		s.refresh(successor)
		s.until(s.now.Add(s.rules.Window))
		s.sweep(s.replicas[0])
		s.until(s.now.Add(s.rules.Window))
		if s.newest() == successor {
			problems = append(problems, "the deleted key is not replaced")
		}
		s.cloud.SetKeyLocked(f.id, false)
		s.refresh(f)
		s.sweep(s.replicas[0])
		s.until(s.now.Add(time.Hour))
		problems = append(problems, s.violations...)
		s.kill(s.replicas[0])
		s.settle()
	})
	return problems
}

// unfusingIsDenied is a rotation that may not move the fuse of its key out.
func unfusingIsDenied(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 1, "A")
		s.policy = &script{sim: s}
		due(s)
		s.policy = &script{sim: s, at: unfuse, then: denied}
		s.sweep(s.replicas[0])
		s.until(s.now.Add(10 * time.Minute))
		if f := s.newest(); s.apps[0].newest == f.id {
			problems = append(problems, fmt.Sprintf("%s is restarted with %s, which its fuse ends", s.apps[0].name, s.nick(f.id)))
		}
		s.kill(s.replicas[0])
		s.settle()
	})
	return problems
}

// markedMeanwhile is a rotation during which another replica marks the replaced key: at
// each moment between the effects of calls and their answers, in turn.
func markedMeanwhile(t *testing.T, m *mutant) (problems []string) {
	for at := 5 * time.Millisecond; at < 300*time.Millisecond; at += 10 * time.Millisecond {
		synctest.Test(t, func(*testing.T) {
			s := staged(1, Options{mutant: m}, "G", 0, "A")
			s.policy = &script{sim: s}
			due(s)
			old := s.newest().id
			now := func() (cloud.APIKey, marker.Marker, string) {
				k, err := s.keyNow(old)
				if err != nil {
					t.Fatal(err)
				}
				mk, text, _ := marker.Parse(k.Description)
				return k, mk, text
			}
			s.after(at, func() {
				k, mk, text := now()
				mk.Served = s.now
				description := mk.Describe(text)
				if _, err := s.cloud.UpdateAPIKey(s.minter.Actor(), old, k.EntityTag, cloud.APIKeyChange{Description: &description}); err != nil {
					t.Fatal(err)
				}
			})
			s.sweep(s.replicas[0])
			s.until(s.now.Add(10 * time.Minute))
			if _, mk, _ := now(); mk.Served.IsZero() {
				problems = append(problems, fmt.Sprintf("after %s: %s loses the mark of another replica", at, s.nick(old)))
			}
			s.kill(s.replicas[0])
			s.settle()
		})
	}
	return problems
}

// setsClockBack is a policy by which a restart takes five minutes, and the clock is set
// back by four meanwhile.
type setsClockBack struct{ *script }

func (p setsClockBack) fate(c *call) fate {
	f := p.script.fate(c)
	if c.step == restart {
		f.send = 5 * time.Minute
		c.run.offset -= 4 * time.Minute
	}
	return f
}

// clockIsSetBack is a demanded rotation with a slow restart, during which the clock is set.
func clockIsSetBack(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 1, "A")
		s.policy = &script{sim: s}
		rested(s)
		s.policy = setsClockBack{&script{sim: s}}
		s.begin(s.replicas[0], reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NewerThan: s.now}}, 10*time.Minute)
		s.settle()
		s.until(s.now.Add(20 * time.Minute))
		problems = s.violations
		s.kill(s.replicas[0])
		s.settle()
	})
	return problems
}

// staleFuse is a run whose list and get show a fuse that was moved out, while a person
// empties the store.
func staleFuse(t *testing.T, m *mutant) (problems []string) {
	for seed := range uint64(40) {
		synctest.Test(t, func(*testing.T) {
			s := staged(seed, Options{mutant: m}, "G", 0, "A", "B")
			s.policy = &script{sim: s}
			due(s)
			s.policy = &script{sim: s, at: unfuse, then: crashBefore}
			s.sweep(s.replicas[0])
			s.until(s.now.Add(s.rules.Window + time.Minute))
			s.policy = &script{sim: s}
			s.sweep(s.replicas[0])
			s.until(s.now.Add(2 * time.Second))
			f := s.newest()
			s.put(s.places[0], port.Entry{}, false, true)
			s.lag, s.stale = 60*time.Second, true
			s.sweep(s.replicas[1])
			s.until(s.now.Add(10 * time.Minute))
			if !f.gone.IsZero() {
				problems = append(problems, fmt.Sprintf("seed %d: %s is deleted with its full lifetime", seed, s.nick(f.id)))
			}
			for _, in := range s.replicas {
				s.kill(in)
			}
			s.settle()
		})
	}
	return problems
}

func keysBy(name string, wrap func(iam) port.Keys) mutant {
	return ported(name, func(s *sim, in *replica) { in.rec.Keys = wrap(iam{s}) })
}

func storesBy(name string, wrap func(adapter) port.Store) mutant {
	return ported(name, func(_ *sim, in *replica) {
		for i, st := range in.cred.Stores {
			in.cred.Stores[i] = wrap(st.(adapter))
		}
	})
}

func crewsBy(name string, wrap func(crew) port.Consumers) mutant {
	return ported(name, func(_ *sim, in *replica) {
		for i, c := range in.cred.Consumers {
			in.cred.Consumers[i] = wrap(c.(crew))
		}
	})
}

// The ports that lie.

type emptyIsAbsent struct{ adapter }

// Read takes an answer without content for a store without the entry.
func (p emptyIsAbsent) Read(ctx ctx) (port.Entry, error) {
	e, err := p.adapter.Read(ctx)
	if is(err, errContentless) {
		return port.Entry{Revision: fmt.Sprint(p.rev)}, port.ErrNotFound
	}
	return e, err
}

// absentID takes an answer of IAM without content for a thing that is not there.
type absentID struct{ iam }

func (k absentID) Find(ctx ctx, name string) ([]port.ServiceID, time.Time, error) {
	ids, date, err := k.iam.Find(ctx, name)
	if is(err, errContentless) {
		k.compare(runOf(ctx))
		return nil, k.date(), nil
	}
	return ids, date, err
}

func (k absentID) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	l, err := k.iam.List(ctx, iamID, creds...)
	if is(err, errContentless) {
		k.compare(runOf(ctx))
		return port.KeyList{Date: k.date()}, nil
	}
	return l, err
}

func (k absentID) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	if is(err, errContentless) {
		return rec, port.ErrNotFound
	}
	return rec, err
}

// adoptsAny takes any value for that of the key to adopt.
type adoptsAny struct{ iam }

func (k adoptsAny) Identify(ctx ctx, v secret.Value) (port.KeyRecord, error) {
	if _, err := k.iam.Identify(ctx, v); !is(err, port.ErrNotFound) {
		return k.iam.Identify(ctx, v)
	}
	return k.Get(ctx, k.adopting.id)
}

// unreleased is a store that latchkey can't unlock.
type unreleased struct{ port.Store }

type swallowsPanics struct{ adapter }

// Publish goes on after a panic as if nothing had been.
func (p swallowsPanics) Publish(ctx ctx, e port.Entry, revision string) (err error) {
	defer func() { _ = recover() }()
	return p.adapter.Publish(ctx, e, revision)
}

// Read does, too.
func (p swallowsPanics) Read(ctx ctx) (e port.Entry, err error) {
	defer func() { _ = recover() }()
	return p.adapter.Read(ctx)
}

type waitsLong struct{ adapter }

// Read waits as long as the store asks for, whatever time the run has.
func (p waitsLong) Read(ctx ctx) (port.Entry, error) {
	e, err := p.adapter.Read(ctx)
	if is(err, port.ErrUnavailable) {
		_ = p.nap(context.WithoutCancel(ctx), time.Hour)
	}
	return e, err
}

type dropsFields struct{ iam }

// Update writes a marker without the fields that this version does not know.
func (k dropsFields) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if m, text, ok := marker.Parse(rec.Description); ok {
		m.Unknown = nil
		rec.Description = m.Describe(text)
	}
	return k.iam.Update(ctx, rec, c)
}

type believesRestarts struct{ crew }

// Consumers takes the newest revision of an app for the one that runs.
func (c believesRestarts) Consumers(ctx ctx) ([]protocol.Consumer, error) {
	found, err := c.crew.Consumers(ctx)
	for i := range found {
		for _, a := range c.apps {
			if a.name == found[i].Name {
				found[i].Key = a.newest
			}
		}
	}
	return found, err
}

// Restart does not look whether the revision runs.
func (c believesRestarts) Restart(ctx ctx, name, keyID string) error {
	if err := c.crew.Restart(ctx, name, keyID); !is(err, port.ErrNotActive) && !is(err, port.ErrRefused) {
		return err
	}
	return nil
}

type restartsAgain struct{ crew }

// Restart makes a revision whatever the newest one bears.
func (c restartsAgain) Restart(ctx ctx, name, keyID string) error {
	return c.yield(ctx, restart, name+" "+c.nick(keyID), func() error {
		for _, a := range c.apps {
			if a.name == name {
				c.mutated("restart", keyID)
				return c.revise(a, keyID)
			}
		}
		return nil
	})
}

type believesDeletions struct{ iam }

// Retire takes a deletion that IAM denied for one that is done.
func (k believesDeletions) Retire(ctx ctx, keyID string) error {
	err := k.iam.Retire(ctx, keyID)
	if is(err, port.ErrDenied) {
		return nil
	}
	return err
}

type believesUpdates struct{ iam }

// Update takes a fuse that could not be moved out for one that was.
func (k believesUpdates) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	now, err := k.iam.Update(ctx, rec, c)
	if is(err, port.ErrDenied) && !c.Expires.IsZero() && c.Superseded.IsZero() {
		rec.Expires = c.Expires
		return rec, nil
	}
	return now, err
}

// hasNames knows a key by the names in its config only.
type hasNames struct {
	iam
	in *replica
}

// Mint marks a key with the name in the config, whatever its service ID bears.
func (k hasNames) Mint(ctx ctx, m port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	mk, text, _ := marker.Parse(m.Description)
	mk.Credential = k.in.cred.Name
	m.Description = mk.Describe(text)
	return k.iam.Mint(ctx, m, v)
}

// isStranger takes a key with another name for one that was made long ago.
type isStranger struct {
	iam
	in *replica
}

func (k isStranger) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	if !slices.Contains(k.in.cred.Names(), rec.Credential) {
		rec.Created = time.Time{}
	}
	return rec, err
}

type keepsNothing struct{ iam }

func (k keepsNothing) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if !c.Renew.IsZero() {
		return rec, nil
	}
	return k.iam.Update(ctx, rec, c)
}

type condemnsNothing struct{ iam }

func (k condemnsNothing) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if !c.Leaked.IsZero() {
		return rec, nil
	}
	return k.iam.Update(ctx, rec, c)
}

type overwrites struct{ iam }

// Update takes whatever version there is: If-Match: *.
func (k overwrites) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if now, err := k.keyNow(rec.ID); err == nil {
		rec.Version = now.EntityTag
	}
	return k.iam.Update(ctx, rec, c)
}

type provesNoState struct{ iam }

// Update believes what was read before a deletion.
func (k provesNoState) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if !c.Withdrawn.IsZero() {
		return rec, nil
	}
	return k.iam.Update(ctx, rec, c)
}

type mintsAnew struct{ iam }

// Mint answers an unclear creation with another one, as an SDK's retry of a
// create without a value of its own does.
func (k mintsAnew) Mint(ctx ctx, m port.MintRequest, v secret.Value) (made port.KeyRecord, err error) {
	for range 3 {
		if made, err = k.post(ctx, m, v); err == nil || !is(err, port.ErrUnavailable) {
			return made, err
		}
		v = secret.New(v.Expose()[1:] + "x")
	}
	return made, err
}

type mintsWithoutFuse struct{ iam }

func (k mintsWithoutFuse) Mint(ctx ctx, m port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	m.Expires = m.Expires.Add(89 * 24 * time.Hour)
	return k.iam.Mint(ctx, m, v)
}

type trustsClock struct {
	iam
	in *replica
}

func (k trustsClock) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	l, err := k.iam.List(ctx, iamID, creds...)
	l.Date = k.now.Add(k.in.offset)
	return l, err
}

func (k trustsClock) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	rec.Date = k.now.Add(k.in.offset)
	return rec, err
}

func (k trustsClock) Find(ctx ctx, name string) ([]port.ServiceID, time.Time, error) {
	ids, _, err := k.iam.Find(ctx, name)
	return ids, k.now.Add(k.in.offset), err
}

type seesNoDrift struct {
	iam
	in *replica
}

// Get shows the time that the run expects: it began with its run's skew.
func (k seesNoDrift) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	if err == nil {
		rec.Date = k.now.Add(k.in.offset - runOf(ctx).skew)
	}
	return rec, err
}

// believesAnswers takes a key to be as the process's last change left it, and does not ask
// IAM, whose answer would show that the clock has moved.
type believesAnswers struct {
	iam
	in      *replica
	answers map[string]port.KeyRecord
}

func (k believesAnswers) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	now, err := k.iam.Update(ctx, rec, c)
	if delete(k.answers, rec.ID); err == nil {
		k.answers[rec.ID] = now
	}
	return now, err
}

// Get shows the time that the run expects.
func (k believesAnswers) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, known := k.answers[keyID]
	if !known {
		return k.iam.Get(ctx, keyID)
	}
	delete(k.answers, keyID)
	rec.Date = k.now.Add(k.in.offset - runOf(ctx).skew)
	return rec, nil
}

type allKeys struct{ iam }

func ours(rec port.KeyRecord) port.KeyRecord {
	if !rec.Ours {
		rec.Ours = true
		rec.Description = marker.Marker{Owner: owner, Credential: credential}.Describe(rec.Description)
	}
	return rec
}

// List takes all keys of the service ID for ours.
func (k allKeys) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	l, err := k.iam.List(ctx, iamID, creds...)
	if err != nil || l.Foreign == 0 {
		return l, err
	}
	k.lagged(0, 0, 0)
	page, _ := k.cloud.ListAPIKeys(cloud.Owner(), cloud.APIKeyQuery{AccountID: cloud.AccountID, IAMID: iamID, PageSize: 100})
	for _, key := range page.Items {
		if _, _, mine := k.keyOf(key); !mine {
			out, _, _ := k.keyOf(key)
			l.Keys = append(l.Keys, out)
		}
	}
	l.Foreign = 0
	return l, nil
}

func (k allKeys) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	return ours(rec), err
}

// trustsMarkers takes what carries our marker for ours without regard to its creator.
type trustsMarkers struct{ iam }

func (k trustsMarkers) Find(ctx ctx, name string) ([]port.ServiceID, time.Time, error) {
	ids, date, err := k.iam.Find(ctx, name)
	for i := range ids {
		ids[i].Ours = ids[i].Marked && ids[i].Marker.Owner == owner
	}
	return ids, date, err
}

func (k trustsMarkers) Lookup(ctx ctx, iamID string) (port.ServiceID, error) {
	id, err := k.iam.Lookup(ctx, iamID)
	id.Ours = id.Marked && id.Marker.Owner == owner
	return id, err
}

func (k trustsMarkers) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	l, err := k.iam.List(ctx, iamID, creds...)
	for _, f := range l.Forged {
		key, kerr := k.keyNow(f.ID)
		if kerr != nil {
			continue
		}
		m, _, _ := marker.Parse(key.Description)
		out, _, _ := k.keyOf(key)
		l.Keys, l.Foreign = append(l.Keys, marker.Mark(out, key.Name, m)), l.Foreign-1
	}
	l.Forged = nil
	return l, err
}

func (k trustsMarkers) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	rec.Ours, rec.Forged = rec.Ours || rec.Forged, false
	return rec, err
}

// trustsStores takes a key that a store names for ours, and its service ID too.
type trustsStores struct{ trustsMarkers }

func (k trustsStores) Find(ctx ctx, name string) ([]port.ServiceID, time.Time, error) {
	return k.iam.Find(ctx, name)
}

func (k trustsStores) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	if !k.named(keyID) {
		return k.iam.Get(ctx, keyID)
	}
	return k.trustsMarkers.Get(ctx, keyID)
}

type listIsAll struct{ iam }

// Get finds only what the run's list has shown.
func (k listIsAll) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	if k.hiddenFrom(keyID) {
		return port.KeyRecord{}, fmt.Errorf("%w: not in the list", port.ErrNotFound)
	}
	return k.iam.Get(ctx, keyID)
}

// hiddenFrom reports whether a list may lack the key.
func (w *world) hiddenFrom(keyID string) bool {
	f := w.keys[keyID]
	return f != nil && w.now.Sub(f.born) < w.lag
}

type grantsAnything struct{ iam }

func (k grantsAnything) Granted(ctx ctx, iamID string) ([]access.Policy, error) {
	_, err := k.iam.Granted(ctx, iamID)
	return k.wanted, err
}

type clearsAll struct{ iam }

// Mark agrees to every key.
func (clearsAll) Mark(ctx, port.ServiceID, marker.Marker) error { return nil }

type forces struct{ adapter }

// Publish writes whatever was there.
func (p forces) Publish(ctx ctx, e port.Entry, _ string) error {
	return p.adapter.Publish(ctx, e, fmt.Sprint(p.rev))
}

type seesOnce struct {
	adapter
	first *map[*run]port.Entry
}

// Read remembers what its run read first.
func (p seesOnce) Read(ctx ctx) (port.Entry, error) {
	r := runOf(ctx)
	if e, ok := (*p.first)[r]; ok {
		if e.Value.Empty() {
			return e, port.ErrNotFound
		}
		return e, nil
	}
	e, err := p.adapter.Read(ctx)
	if err == nil || is(err, port.ErrNotFound) {
		*p.first = map[*run]port.Entry{r: e}
	}
	return e, err
}

type surely struct{ adapter }

// Publish takes an unclear answer for a refusal by a replica that was first.
func (p surely) Publish(ctx ctx, e port.Entry, revision string) error {
	err := p.adapter.Publish(ctx, e, revision)
	if is(err, port.ErrUnavailable) {
		return port.ErrConflict
	}
	return err
}

// Read never shows the own write, so that a read-back does not help.
func (p surely) Read(ctx ctx) (port.Entry, error) {
	e, err := p.adapter.Read(ctx)
	if f := p.keys[e.KeyID]; err == nil && f != nil && f.by == runOf(ctx) {
		return port.Entry{Revision: e.Revision, KeyID: "someone-else"}, nil
	}
	return e, err
}

type believes struct{ iam }

// Exchange takes every value for that of the key.
func (k believes) Exchange(ctx ctx, v secret.Value) (port.Bearer, error) {
	b, err := k.iam.Exchange(ctx, v)
	if is(err, port.ErrNotYet) {
		for _, f := range k.order {
			if f.gone.IsZero() && runOf(ctx).minted == 0 {
				return port.Bearer{IAMID: f.iamID, Account: cloud.AccountID}, nil
			}
		}
	}
	return b, err
}

// readsNoPrints does not see which value a key's name was made from.
type readsNoPrints struct{ iam }

func (k readsNoPrints) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	l, err := k.iam.List(ctx, iamID, creds...)
	for i := range l.Keys {
		l.Keys[i].Print = ""
	}
	return l, err
}

func (k readsNoPrints) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := k.iam.Get(ctx, keyID)
	rec.Print = ""
	return rec, err
}

type impatient struct{ logs }

// Prove deletes the key that fails.
func (p impatient) Prove(ctx ctx, proof port.Proof) error {
	err := p.logs.Prove(ctx, proof)
	if err != nil {
		_ = iam{p.sim}.Retire(ctx, proof.KeyID)
		return fmt.Errorf("%w: %v", port.ErrRefused, err) //nolint:errorlint // a final no
	}
	return nil
}

var mutants = []mutant{
	// Rule 1: the window, and the time of a write.
	ruled("has no window: keys of others are retired while they are at work", func(r *rules) { r.Window = 0 }),
	ported("looks at no deadline before it writes", func(s *sim, in *replica) {
		in.rec.Now = func() time.Time {
			if len(in.live) > 0 {
				return in.live[0].start.Add(in.offset)
			}
			return s.now.Add(in.offset)
		}
	}),
	// Rule 2: an overlap starts once, under a real version, and is as long as it
	// says.
	altered("retires superseded keys before their overlap", func(s *protocol.Step) {
		if s.Action == protocol.Supersede {
			s.Action, s.At = protocol.Retire, time.Time{}
		}
	}),
	ruled("gives no overlap", func(r *rules) { r.Overlap = 0 }),
	altered("halves the overlap", func(s *protocol.Step) {
		if s.Action == protocol.Supersede {
			s.At = s.At.Add(-time.Hour)
		}
	}),
	shown(markedMeanwhile, keysBy("updates whatever version there is", func(k iam) port.Keys { return overwrites{k} })),
	ruled("deletes at the moment of expiry", func(r *rules) { r.ExpiryMargin = 0 }),
	lacking("never starts an overlap", action(protocol.Supersede)),
	// Rule 3: restarts are remembered, and waited for.
	lacking("restarts no consumer", action(protocol.RestartConsumer)),
	blind("does not know its consumers", func(s *state) { s.Consumers = nil }),
	blind("takes a consumer that it could not read for settled", func(s *state) {
		s.Consumers = slices.DeleteFunc(s.Consumers, func(c protocol.Consumer) bool { return c.Unknown })
	}),
	blind("takes every consumer for restarted", func(s *state) {
		for i := range s.Consumers {
			if len(s.Stores) > 0 && s.Stores[0].Key != "" {
				s.Consumers[i].Key = s.Stores[0].Key
			}
		}
	}),
	inTwist(rollOuts, crewsBy("takes a restart that was accepted for one that is done", func(c crew) port.Consumers { return believesRestarts{c} })),
	inTwist(rollOuts, crewsBy("makes a revision at every look", func(c crew) port.Consumers { return restartsAgain{c} })),
	deciding("restarts a consumer when nothing is published", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		for _, c := range s.Consumers {
			if p.Published == "" && p.Blocked == "" {
				p.Steps = append(p.Steps, protocol.Step{Action: protocol.RestartConsumer, Target: c.Name, Reason: reason.ConsumerBehind})
			}
		}
		return p
	}),
	shown(unfusingIsDenied, keysBy("takes a fuse that could not be moved out for one that was", func(k iam) port.Keys { return believesUpdates{k} })),
	// Clean-up holds nothing back.
	shown(deletionsAreDenied, deciding("waits until what is over is gone", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		i := slices.IndexFunc(p.Steps, action(protocol.Mint))
		if i >= 0 && slices.ContainsFunc(p.Steps[:i], action(protocol.Retire)) {
			p.Steps = p.Steps[:i]
		}
		return p
	})),
	shown(keysPileUp, keysBy("takes a deletion that is refused for one that is done", func(k iam) port.Keys { return believesDeletions{k} })),
	shown(updatesAreDenied, deciding("waits until the fuse of the published key has ended", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		keeps := slices.ContainsFunc(s.Keys, func(k protocol.Key) bool { return k.ID == p.Published && k.FuseEnds(r, now) })
		if i := slices.IndexFunc(p.Steps, action(protocol.Mint)); i >= 0 && keeps {
			p.Steps = p.Steps[:i]
		}
		return p
	})),
	shown(theFuseStays, blind("forgets which key a new one replaces", func(s *state) {
		for i := range s.Keys {
			s.Keys[i].Replaces = ""
		}
	})),
	// Rule 4: demands are remembered.
	keysBy("says that it remembers a demand", func(k iam) port.Keys { return keepsNothing{k} }),
	keysBy("says that it remembers a leak", func(k iam) port.Keys { return condemnsNothing{k} }),
	inTwist(notices, blind("forgets the dates that keys have served", func(s *state) {
		for i := range s.Keys {
			s.Keys[i].Served = time.Time{}
		}
	})),
	inTwist(versions, ported("drops the fields of a marker that it does not know", func(s *sim, in *replica) {
		if in.edition != later {
			in.rec.Keys = dropsFields{iam{s}}
		}
	})),
	// Rule 5: the arbiter decides.
	deciding("writes the arbiter last", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.Clone(p.Steps)
		var at []int
		for i, st := range p.Steps {
			if st.Action == protocol.Publish {
				at = append(at, i)
			}
		}
		if n := len(at); n > 1 {
			p.Steps[at[0]].Target, p.Steps[at[n-1]].Target = p.Steps[at[n-1]].Target, p.Steps[at[0]].Target
		}
		return p
	}),
	storesBy("ignores a conflict", func(p adapter) port.Store { return forces{p} }),
	storesBy("takes an unclear write for a refusal, and withdraws the key", func(p adapter) port.Store { return surely{p} }),
	// Rule 6: without an arbiter the service ID decides, and stores are read
	// right before.
	ported("agrees to every key where no store compares and sets", func(s *sim, in *replica) { in.rec.Identities = clearsAll{iam{s}} }),
	storesBy("reads a store once and never again", func(p adapter) port.Store { return seesOnce{p, &map[*run]port.Entry{}} }),
	// Rule 7: orphans end.
	lacking("leaves orphans alone", func(s protocol.Step) bool { return s.Reason == reason.RolledBack }),
	shown(unlockedWithItsFuse, deciding("deletes as never published what is older than a key that a store took", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.Clone(p.Steps)
		for _, k := range s.Keys {
			named := slices.ContainsFunc(s.Stores, func(st protocol.Store) bool { return st.Key == k.ID })
			if k.Fused(r) && !named && !k.Locked && now.Sub(k.Created) > r.Window {
				p.Steps = append(p.Steps, protocol.Step{Action: protocol.Retire, Key: k.ID, Reason: reason.NeverPublished})
			}
		}
		return p
	})),
	// Rule 8: absence from a list proves nothing, and minAge brakes.
	ported("trusts a list's absence", func(s *sim, in *replica) {
		in.rec.Keys = listIsAll{iam{s}}
		in.rec.Decide = func(st state, r rules, t trigger, now time.Time) plan {
			st.Stores = slices.Clone(st.Stores)
			for i := range st.Stores {
				st.Stores[i].Created = time.Time{}
			}
			return rotation.Decide(st, r, t, now)
		}
	}),
	ruled("mints without a brake", func(r *rules) { r.MinAge = 0 }),
	shown(staleFuse, keysBy("deletes what a list that lags shows as never published", func(k iam) port.Keys { return provesNoState{k} })),
	// Rule 10: no key without a place, and an error is not absence.
	blind("takes a store's error for an empty store", func(s *state) {
		for i := range s.Stores {
			s.Stores[i].Fault = ""
		}
	}),
	blind("ends keys although a store could not be read", func(s *state) {
		s.Stores = slices.DeleteFunc(s.Stores, func(st protocol.Store) bool { return st.Fault == reason.StoreUnreachable })
	}),
	inTwist(bent, storesBy("takes an answer without content for an empty store", func(p adapter) port.Store { return emptyIsAbsent{p} })),
	inTwist(bent, ported("takes an answer of IAM without content for absence", func(s *sim, in *replica) {
		in.rec.Keys, in.rec.Identities = absentID{iam{s}}, absentID{iam{s}}
	})),
	inTwist(bent, storesBy("goes on after a panic as if nothing had been", func(p adapter) port.Store { return swallowsPanics{p} })),
	storesBy("waits as long as a store asks for", func(p adapter) port.Store { return waitsLong{p} }),
	// What only some configs have.
	inTwist(given, ported("makes a service ID beside the given one", func(_ *sim, in *replica) { in.cred.Given = "" })),
	inTwist(adopts, ported("adopts whatever value a store has", func(s *sim, in *replica) { in.rec.Keys = adoptsAny{iam{s}} })),
	inTwist(renames, ported("forgets the former name", func(_ *sim, in *replica) { in.cred.Former = nil })),
	inTwist(renames, ported("takes a key with another name for a stranger's", func(s *sim, in *replica) { in.rec.Keys = isStranger{iam{s}, in} })),
	inTwist(locking, ported("releases no lock", func(_ *sim, in *replica) {
		for i, st := range in.cred.Stores {
			in.cred.Stores[i] = unreleased{st}
		}
	})),
	inTwist(configs, blind("leaves a store that was added empty", func(s *state) {
		if slices.ContainsFunc(s.Stores, func(st protocol.Store) bool { return st.Key != "" }) {
			s.Stores = slices.DeleteFunc(s.Stores, func(st protocol.Store) bool { return st.Key == "" && st.Fault == "" })
		}
	})),
	blind("takes an optional store for a required one", func(s *state) {
		for i := range s.Stores {
			s.Stores[i].Required = true
		}
	}),
	// Rule 11: a failed proof leaves its key to the fuse.
	ported("deletes a key whose proof failed", func(s *sim, in *replica) {
		in.cred.Provers = []port.Prover{impatient{logs{s}}}
	}),
	// Rule 12: the clock.
	ported("trusts the local clock", func(s *sim, in *replica) {
		k := trustsClock{iam{s}, in}
		in.rec.Keys, in.rec.Identities = k, k
	}),
	blind("acts whatever its clock says", func(s *state) { s.Skew = 0 }),
	ported("does not notice that the clock moves", func(s *sim, in *replica) { in.rec.Keys = seesNoDrift{iam{s}, in} }),
	shown(clockIsSetBack, ported("takes a key to be as its own last answer showed it, however long ago", func(s *sim, in *replica) {
		in.rec.Keys = believesAnswers{iam{s}, in, map[string]port.KeyRecord{}}
	})),
	inTwist(slow, ported("compares the clocks when the slowest answer is there", func(s *sim, in *replica) {
		in.rec.Decide = func(st state, r rules, t trigger, now time.Time) plan {
			var at time.Time
			for _, listed := range in.live[0].listed {
				at = listed
			}
			if !at.IsZero() {
				st.Skew -= s.now.Sub(at)
			}
			return rotation.Decide(st, r, t, now)
		}
	})),
	// Rule 13: what others wrote.
	blind("writes over what others wrote", func(s *state) {
		for i := range s.Stores {
			if f := s.Stores[i].Fault; f == reason.EntryUnmarked || f == reason.EntryForeign {
				s.Stores[i].Fault, s.Stores[i].Key = "", ""
			}
		}
	}),
	// Whose it is.
	intruded(ported("trusts the marker", func(s *sim, in *replica) {
		k := trustsMarkers{iam{s}}
		in.rec.Keys, in.rec.Identities = k, k
	})),
	intruded(ported("trusts the identity that a store names", func(s *sim, in *replica) {
		k := trustsStores{trustsMarkers{iam{s}}}
		in.rec.Keys, in.rec.Identities = k, k
	})),
	intruded(blind("trusts the time that a store says", func(s *state) {
		for i, st := range s.Stores {
			unknown := !slices.ContainsFunc(s.Keys, func(k protocol.Key) bool { return k.ID == st.Key })
			if st.Key != "" && unknown && st.Created.IsZero() {
				s.Stores[i].Created = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
			}
		}
	})),
	// The promises.
	deciding("moves the fuse out before it publishes", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.Clone(p.Steps)
		for i := 1; i < len(p.Steps); i++ {
			if p.Steps[i].Action == protocol.Unfuse && p.Steps[i-1].Action == protocol.Publish {
				p.Steps[i], p.Steps[i-1] = p.Steps[i-1], p.Steps[i]
			}
		}
		return p
	}),
	lacking("leaves the fuse on", action(protocol.Unfuse)),
	keysBy("mints without a fuse", func(k iam) port.Keys { return mintsWithoutFuse{k} }),
	keysBy("answers an unclear creation with another", func(k iam) port.Keys { return mintsAnew{k} }),
	ported("does not read the policies back", func(s *sim, in *replica) { in.rec.Identities = grantsAnything{iam{s}} }),
	lacking("grants no policy", action(protocol.GrantPolicy)),
	lacking("proves nothing", action(protocol.Prove)),
	ported("copies a value without a proof", func(s *sim, in *replica) {
		in.rec.Exchange, in.rec.Keys = believes{iam{s}}, readsNoPrints{iam{s}}
	}),
	ruled("keeps any number of keys", func(r *rules) { r.MaxKeys = 100 }),
	ported("mints up to IAM's limit", func(_ *sim, in *replica) { in.cred.Rules.KeyLimit = 100 }),
	shown(storeDenies, blind("forgets that a store refused a key", func(s *state) {
		for i := range s.Keys {
			s.Keys[i].Refused = time.Time{}
		}
	})),
	ruled("rotates nothing", func(r *rules) { r.After, r.Expire = 80*24*time.Hour, 100*24*time.Hour }),
	deciding("finds something due at every look", func(s state, r rules, t trigger, now time.Time) plan {
		t.NewerThan = now
		return rotation.Decide(s, r, t, now)
	}),
	deciding("copies nothing", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), action(protocol.Copy))
		return p
	}),
	deciding("brings back a service ID that an administrator deleted", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if p.Blocked != reason.IdentityGone {
			return p
		}
		s.Stores = slices.Clone(s.Stores)
		for i := range s.Stores {
			s.Stores[i].Key = ""
		}
		return rotation.Decide(s, r, t, now)
	}),
	blind("believes the value beside a key ID", func(s *state) {
		for i := range s.Stores {
			s.Stores[i].Altered = false
		}
	}),
	ruled("waits for a person when the published key is disabled", func(r *rules) { r.BlockDisabled = true }),
	inTwist(scans, deciding("waits for a person when IBM disables a key", func(s state, r rules, t trigger, now time.Time) plan {
		r.BlockDisabled = slices.ContainsFunc(s.Keys, protocol.Key.Found)
		asAPerson(&s)
		return rotation.Decide(s, r, t, now)
	})),
	inTwist(scans, blind("keeps a key that IBM disabled, as one that a person disabled", asAPerson)),
	keysBy("takes all keys for its own", func(k iam) port.Keys { return allKeys{k} }),
	ported("asks for more than the config", func(_ *sim, in *replica) {
		in.cred.Policies = append(slices.Clone(in.cred.Policies), access.Policy{Service: "logs", Roles: []string{"Sender"}, ResourceGroup: "any"})
	}),
	deciding("says that a replica is at work when a store does not answer", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if p.Waiting == reason.StoreUnreachable {
			p.Waiting = reason.InProgress
		}
		return p
	}),
	inTwist(given, deciding("says that keys are full whatever keeps them alive", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if p.Blocked == reason.KeyCap {
			p.Blocked, p.Waiting = "", reason.KeysFull
		}
		return p
	})),
	shown(entryRewritten, deciding("says that keys are full when something else changes an entry", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if p.Blocked == reason.EntryRewritten {
			p.Blocked, p.Waiting = "", reason.KeysFull
		}
		return p
	})),
	blind("copies over a key that IAM may not show yet", func(s *state) {
		first := slices.IndexFunc(s.Stores, func(st protocol.Store) bool { return st.Guarded })
		for i := range s.Stores {
			if first >= 0 && i != first {
				s.Stores[i].Created = time.Time{} // so it is long ago
			}
		}
	}),
	deciding("forgets the demand on a key that has expired", func(s state, r rules, t trigger, now time.Time) plan {
		s.Keys = slices.Clone(s.Keys)
		for i := range s.Keys {
			if k := &s.Keys[i]; k.Expired(now.Add(-r.ExpiryMargin)) {
				k.Renew = time.Time{}
			}
		}
		return rotation.Decide(s, r, t, now)
	}),
	blind("takes a leaked key for a sound one", func(s *state) {
		for i := range s.Keys {
			s.Keys[i].Leaked = time.Time{}
		}
	}),
	deciding("contains every leak at once", func(s state, r rules, t trigger, now time.Time) plan {
		t.Contain = t.Leaked != ""
		return rotation.Decide(s, r, t, now)
	}),
	lacking("ends no leaked key", func(s protocol.Step) bool {
		return s.Reason == reason.KeyLeaked && (s.Action == protocol.Disable || s.Action == protocol.Retire)
	}),
	deciding("takes the oldest key for the published one", func(s state, r rules, t trigger, now time.Time) plan {
		s.Keys = slices.Clone(s.Keys)
		for i := range s.Keys {
			k := &s.Keys[i]
			k.AsOf = time.Unix(0, 0).Add(now.Sub(k.AsOf))
		}
		return rotation.Decide(s, r, t, now)
	}),
	// Limits that the credentials of a process share.
	shown(oneKeyAfterAnother, deciding("makes a key for every demand", func(s state, r rules, t trigger, now time.Time) plan {
		s.Storm, s.LeakStorm = false, false
		p := rotation.Decide(s, r, t, now)
		p.Steps = slices.Clone(p.Steps)
		for i, st := range p.Steps {
			if st.Action == protocol.Mint && st.Reason.Demand() {
				p.Steps[i].Reason = reason.Aged // which no limit counts
			}
		}
		return p
	})),
	shown(callersDemand, altered("counts a demand for no caller", func(s *protocol.Step) {
		if s.Action == protocol.Mint && s.Reason == reason.Demanded {
			s.Reason = reason.Remembered
		}
	})),
	shown(callersDemand, ported("has no limit for all callers together", func(_ *sim, in *replica) { in.rec.ForcedPerHour = 10_000 })),
	shown(callersDemand, altered("counts a revocation as a demand", func(s *protocol.Step) {
		if s.Action == protocol.Mint && s.Reason == reason.KeyLeaked {
			s.Reason = reason.Demanded
		}
	})),
	shown(allAreDueInAStorm, deciding("lets a key that is due wait for a storm", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if i := slices.IndexFunc(p.Steps, action(protocol.Mint)); i >= 0 && s.Storm && p.Steps[i].Reason == reason.Aged {
			p.Steps, p.Blocked = p.Steps[:i], reason.Storm
		}
		return p
	})),
	shown(allAreOldAtOnce, blind("replaces all old keys in one interval", func(s *state) { s.Spread = false })),
	shown(othersComeFirst, deciding("leaves an old key to later sweeps until it has expired", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if i := slices.IndexFunc(p.Steps, action(protocol.Mint)); i >= 0 && s.Spread && p.Steps[i].Reason == reason.Aged {
			p.Steps, p.Later = p.Steps[:i], p.Steps[i:]
		}
		return p
	})),
	// A conflict that stays.
	shown(writesConflict, storesBy("takes a conflict for another replica's key, whatever the store names", func(p adapter) port.Store { return &concedes{adapter: p} })),
	shown(overlapsConflict, ported("waits until a conflict has passed", func(s *sim, in *replica) {
		k := notesConflicts{iam{s}, map[string]bool{}}
		in.rec.Keys = k
		in.rec.Decide = func(st state, r rules, t trigger, now time.Time) plan {
			p := rotation.Decide(st, r, t, now)
			if i := slices.IndexFunc(p.Steps, func(s protocol.Step) bool { return k.on[s.Key] }); i >= 0 {
				p.Steps, p.Waiting = p.Steps[:i+1], reason.InProgress
			}
			return p
		}
	})),
	// No consumer gets a worse key than it has.
	shown(leakedIsNewest, prefers("restarts a consumer with a key that leaked", func(_ rules, k *protocol.Key) { k.Leaked = time.Time{} })),
	shown(newestEndsSoon, prefers("lets a key that ends soon take the place of others", func(r rules, k *protocol.Key) { k.Expires = k.Created.Add(r.Expire) })),
	shown(newestIsLocked, prefers("takes a locked key's fuse for one that can be moved out", func(_ rules, k *protocol.Key) { k.Locked = false })),
	// Before a key is made, and before it ends.
	shown(theArbiterIsSilent, blind("mints without its arbiter", func(s *state) {
		i := slices.IndexFunc(s.Stores, func(st protocol.Store) bool { return st.Guarded })
		if i >= 0 && !s.Stores[i].Required && s.Stores[i].Fault == reason.StoreUnreachable {
			s.Stores[i].Guarded = false
		}
	})),
	deciding("starts the overlap of a key that a store names", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		for _, k := range s.Keys {
			replaced := p.Published != "" && k.ID != p.Published && k.Live(now) && k.Superseded.IsZero()
			if p.Blocked == "" && replaced && names(s, k.ID) {
				p.Steps = append(p.Steps, protocol.Step{Action: protocol.Supersede, Key: k.ID, At: now.Add(r.Overlap), Reason: reason.Replaced})
			}
		}
		return p
	}),
	keysBy("counts an overlap from the start of its run", func(k iam) port.Keys { return overlapsFromStart{k} }),
	deciding("ends a key although stores name only keys that IAM lacks", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		if p.Blocked != "" || slices.ContainsFunc(s.Keys, func(k protocol.Key) bool { return names(s, k.ID) }) {
			return p
		}
		s.Stores = slices.Clone(s.Stores)
		for i := range s.Stores {
			s.Stores[i].Key, s.Stores[i].Foreign = "", ""
		}
		for _, st := range rotation.Decide(s, r, t, now).Steps {
			if (st.Action == protocol.Supersede || st.Action == protocol.Retire) && !takes(p, st) {
				p.Steps = append(p.Steps, st)
			}
		}
		return p
	}),
	shown(secondStoreIsLate, deciding("restarts a consumer before its store has the key", func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		k := s.Key(p.Published)
		if p.Blocked != "" || k.ID == "" || !k.Leaked.IsZero() || slices.ContainsFunc(p.Steps, action(protocol.Mint)) {
			return p
		}
		for _, c := range s.Consumers {
			st := protocol.Step{Action: protocol.RestartConsumer, Key: k.ID, Target: c.Name, Reason: reason.ConsumerBehind}
			if c.Key != k.ID && !c.Unknown && !takes(p, st) {
				p.Steps = append(p.Steps, st)
			}
		}
		return p
	})),
}

var onlyMutant = flag.String("mutant", "", "only the mutant of this name")

// patienceWithMutants is how many histories a mutant may live through.
const patienceWithMutants = 10_000

var search = flag.Bool("search", false, "search for a history that shows each mutant, and do not try those in testdata/killers.txt first")

//go:embed testdata/killers.txt
var killersText string

// killers returns, by mutant, a seed whose history showed it when the file was written:
//
//	go test ./internal/simulate -run Mutants -v -search | sed -n 's/.*killed after [0-9]*: \(.*\): seed \([0-9]*\): .*/\2 \1/p'
//
// A seed that no longer shows its mutant costs a search, and no more.
func killers() map[string]uint64 {
	seeds := map[string]uint64{}
	for line := range strings.Lines(killersText) {
		number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if seed, err := strconv.ParseUint(number, 10, 64); err == nil {
			seeds[name] = seed
		}
	}
	return seeds
}

// detects reports whether the mutant breaks a promise in the seed's history, and the
// right protocol breaks none.
func detects(t *testing.T, m mutant, seed uint64) bool {
	wrong := Run(t, seed, Options{mutant: &m, intruded: m.intruded, twist: m.twist})
	return len(wrong.Violations) > 0 && len(Run(t, seed, Options{intruded: m.intruded, twist: m.twist}).Violations) == 0
}

// TestMutants shows that the checker notices every wrong protocol.
func TestMutants(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes 50 mutants too slow: make test runs them without it")
	}
	if !selected() {
		t.Skip("the mutants take more than a minute: make test runs them, and so does -run Mutants")
	}
	killed := 0
	for _, m := range mutants {
		if *onlyMutant != "" && m.name != *onlyMutant {
			continue
		}
		if m.scene != nil {
			if problems := m.scene(t, nil); len(problems) > 0 {
				t.Errorf("the right protocol: %s", problems[0])
			}
			if problems := m.scene(t, &m); len(problems) > 0 {
				killed++
				t.Logf("killed by a scene: %s: %s", m.name, problems[0])
				continue
			}
			t.Errorf("survived: %s", m.name)
			continue
		}
		if seed, known := killers()[m.name]; known && !*search && detects(t, m, seed) {
			killed++
			t.Logf("killed again: %s: seed %d", m.name, seed)
			continue
		}
		limit := patienceWithMutants
		y := many(t, 1, limit, Options{mutant: &m, intruded: m.intruded, twist: m.twist}, func(y *tally) bool {
			// Only a history that the right protocol comes through well counts.
			y.bad = slices.DeleteFunc(y.bad, func(v Verdict) bool {
				return len(Run(t, v.Seed, Options{intruded: m.intruded, twist: m.twist}).Violations) > 0
			})
			return len(y.bad) > 0
		})
		if len(y.bad) == 0 {
			t.Errorf("survived %d histories: %s", y.histories, m.name)
			continue
		}
		killed++
		t.Logf("killed after %d: %s: seed %d: %s", y.histories, m.name, y.bad[0].Seed, y.bad[0].Violations[0])
	}
	t.Logf("killed %d/%d", killed, len(mutants))
}

// The table in docs/protocol.md says which rule each mutant takes away.
func TestTheTableOfRulesNamesEveryMutant(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "### Which mutant shows which rule")
	table, _, _ = strings.Cut(table, "\n### ")
	var listed, played []string
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) != 5 {
			continue
		}
		for _, name := range strings.Split(cells[3], ";") {
			if name = strings.TrimSpace(name); name != "" && name != "mutant" && name != "---" && !strings.HasPrefix(name, "none: ") {
				listed = append(listed, name)
			}
		}
	}
	for _, m := range mutants {
		played = append(played, m.name)
	}
	slices.Sort(listed)
	slices.Sort(played)
	if diff := cmp.Diff(listed, played); diff != "" {
		t.Errorf("the table (-) and the mutants (+):\n%s", diff)
	}
}
