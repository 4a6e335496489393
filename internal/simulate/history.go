package simulate

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Verdict is the result of a history.
type Verdict struct {
	Seed uint64
	// Violations are the promises that were broken, each with a sentence.
	Violations []string
	// Hash covers everything that happened. Two protocols that do the same for
	// a seed have the same hash; the text of errors and messages does not count.
	Hash uint64
	// Lines are the trace, if the options ask for it.
	Lines []string
	// Published is how many keys some store has named.
	Published int

	hits    *coverage
	blocked reason.Reason // why the credential is blocked after all faults
	life    time.Duration // of all keys together
	doubles int
}

// mutant is a wrong protocol. bend changes a replica when it starts.
type mutant struct {
	name string
	bend func(s *sim, in *replica)
	// intruded is set if only the intruder shows that the protocol is wrong.
	intruded bool
	// scene shows that the protocol is wrong, if chance takes too long. It returns the
	// problems, and none for the right protocol, which is nil.
	scene func(*testing.T, *mutant) []string
	// twist is what shows it in a history.
	twist twist
}

// Options are the options of a history. The zero value plays what the seed holds.
type Options struct {
	// Trace keeps a line for everything that happens.
	Trace bool

	mutant *mutant
	// intruded lets the intruder play in any history, not only in some.
	intruded bool
	// lagging plays a flow with the longest lags of IAM.
	lagging bool
	// twist is played in any history.
	twist twist
	seed  uint64
	// hand is a manual change before the call with the index at. undone reverts it
	// later.
	hand   *hand
	at     int
	undone bool
	// after is called at the end of a flow, before anything else happens.
	after func(*sim)
}

// Run plays the history of a seed.
func Run(t *testing.T, seed uint64, o Options) (v Verdict) {
	synctest.Test(t, func(*testing.T) {
		s := newSim(seed, o)
		s.drawTwists(o)
		s.history()
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(seed)
	})
	return v
}

func newSim(seed uint64, o Options) *sim {
	s := &sim{world: newWorld(seed), rnd: rand.New(rand.NewPCG(seed, 1)), hits: newCoverage(), trace: o.Trace, seed: seed, mutant: o.mutant, intruded: o.intruded, played: map[string]bool{}}
	s.chance = rand.New(rand.NewPCG(seed, 2))
	s.onLeak, s.account = "disable", cloud.AccountID
	return s
}

func (s *sim) verdict(seed uint64) Verdict {
	v := Verdict{
		Seed: seed, Violations: s.violations, Hash: s.hash, Lines: s.lines, Published: s.firsts,
		hits: s.hits, blocked: s.blocked, doubles: s.doubles,
	}
	for _, f := range s.order {
		v.life += minTime(f.gone, f.expires, s.now).Sub(f.born)
	}
	return v
}

// boot starts a replica's process, with empty memory.
func (s *sim) boot(in *replica) {
	in.born++
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], s.seed)
	copy(seed[8:], fmt.Sprintf("%s/%d", in.name, in.born))
	api := iam{s}
	in.rec = &reconcile.Reconciler{
		Identities: api, Keys: api, Exchange: api, Owner: owner,
		Account: func(context.Context) (string, error) { return s.account, nil },
		Now:     func() time.Time { return s.now.Add(in.offset) },
		Sleep:   s.nap,
		Rand:    rand.NewChaCha8(seed),
	}
	switch in.edition {
	case earlier:
		in.rec.Keys = former{api}
	case later:
		in.rec.Keys, in.rec.Identities = coming{api}, coming{api}
	}
	in.cred = port.Credential{
		Name: credential, Entry: credential, ServiceIDName: idName, Description: "Sends logs",
		Policies: s.wanted, OnLeak: s.onLeak, Offboard: leavingRules, Existing: s.leaving != nil, Rules: s.rules, Optional: map[string]bool{}, Provers: []port.Prover{logs{s}},
	}
	for _, p := range s.places {
		in.cred.Stores = append(in.cred.Stores, adapter{s, p})
		in.cred.Optional[p.name] = p.optional
		if s.twists[rollOuts] != nil || slices.ContainsFunc(s.apps, func(a *app) bool { return a.place == p }) {
			in.cred.Consumers = append(in.cred.Consumers, crew{s, p})
		}
	}
	s.configure(in)
	if s.mutant != nil {
		s.note("%s boots as the mutant %q", in.name, s.mutant.name)
		s.mutant.bend(s, in)
	}
}

// layouts are the stores that a credential may have: g is guarded, p is not, and o
// is optional and guarded. Stores with capitals return their values.
var layouts = []string{"G", "G", "GP", "GP", "PG", "P", "GG", "PP", "g", "gP", "GPo", "GO", "p", "gp"}

func (s *sim) furnish(layout string, apps int) {
	for i, kind := range layout {
		s.places = append(s.places, &place{
			name: fmt.Sprintf("store-%c", 'a'+i), guarded: kind == 'G' || kind == 'g' || kind == 'O',
			shows: kind < 'a', optional: kind == 'O' || kind == 'o',
		})
		p := s.places[i]
		s.readers = append(s.readers, &reader{name: "reader of " + p.name, place: p})
	}
	for i := range apps {
		p := s.places[i%len(s.places)]
		s.apps = append(s.apps, &app{name: fmt.Sprintf("app-%d", i), place: p, reader: reader{name: fmt.Sprintf("app-%d", i), place: p}})
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// history plays a random history: a first rotation with or without faults, random
// events, and then a phase without faults in which everything must be repaired.
func (s *sim) history() {
	r := s.rnd
	ch := &chance{sim: s, rnd: rand.New(rand.NewPCG(s.seed, 3))}
	s.policy = ch
	all := cells()
	ch.target = all[s.seed%uint64(len(all))]
	if r := s.twists[bent]; r != nil {
		ch.target.fault = pick(r, strange...)
	}
	ch.often = pick(r, 0, 0.003, 0.02, 0.02, 0.1)
	ch.slow = pick(r, 0, 0.01, 0.2)

	s.rules = protocol.Standard()
	s.rules.After, s.rules.Expire = 60*24*time.Hour, 90*24*time.Hour
	s.rules.Jitter = protocol.Jitter(credential, s.rules.After)
	s.rules.Overlap = pick(r, time.Hour, 2*time.Hour, 24*time.Hour, 24*time.Hour)
	s.rules.SweepEvery = pick(r, time.Hour, time.Hour, 6*time.Hour, 6*time.Hour, 12*time.Hour)
	if ch.target.step == extend { // which needs a sweep near the end of an overlap
		s.rules.Overlap, s.rules.SweepEvery = 2*time.Hour, time.Hour
	}
	s.lag = pick(r, 0, 5*time.Second, 60*time.Second)
	s.stale = s.lag > 0 && r.IntN(2) == 0
	layout, apps := pick(r, layouts...), pick(r, 0, 0, 1, 2)
	if s.twists[rollOuts] != nil {
		apps = max(apps, 1)
	}
	s.furnish(s.suited(layout), apps)
	s.provide()

	for i := range pick(r, 1, 2, 2, 3, 4) {
		in := &replica{name: string(rune('A' + i)), behind: s.changes()}
		if r.IntN(4) == 0 {
			in.offset = time.Duration(r.Int64N(int64(8*time.Minute))) - 4*time.Minute
		}
		if r.IntN(10) == 0 {
			in.offset = time.Duration(r.Int64N(int64(20*time.Minute))) - 10*time.Minute
		}
		s.replicas = append(s.replicas, in)
		s.boot(in)
	}
	if twice := r.IntN(12) == 0; (twice || ch.target.step == remove) && s.given == "" { // two replicas created the service ID at once, long ago
		for range 2 {
			id, err := s.cloud.CreateServiceID(s.minter.Actor(), cloud.NewServiceID{
				AccountID: cloud.AccountID, Name: idName,
				Description: marker.Marker{Owner: owner, Credential: credential}.Describe("Sends logs"),
			})
			if err != nil {
				panic(err)
			}
			s.ids[id.ID] = s.now
		}
	}
	s.now = s.now.Add(time.Duration(r.Int64N(int64(time.Hour)))) // anywhere between minutes

	fresh := r.IntN(3) == 0
	if !fresh {
		s.quiet(2)
		s.leap()
	}
	ch.on = true
	s.eventful()
	ch.on = false
	s.heal()
}

// quiet sweeps without faults, until a stable state is reached.
func (s *sim) quiet(sweeps int) {
	for range sweeps {
		in := s.replicas[0]
		was := in.offset
		in.offset = 0
		s.sweep(in)
		s.until(s.now.Add(s.rules.SweepEvery))
		in.offset = was
	}
}

func (s *sim) sweep(in *replica) *run {
	r := s.begin(in, reconcile.Request{Cause: "timer"}, 100*time.Second)
	s.settle()
	return r
}

// leap advances the time until the published key is nearly due.
func (s *sim) leap() {
	f := s.newest()
	if f == nil {
		return
	}
	due := f.born.Add(s.rules.After - s.rules.Jitter)
	s.until(due.Add(-time.Duration(s.rnd.Int64N(int64(3 * time.Hour)))))
	s.complete = append(s.complete, span{s.now, s.now})
	for _, rd := range s.readers {
		s.reread(rd)
		s.authenticate(rd)
	}
	for _, a := range s.apps {
		s.authenticate(&a.reader)
	}
}

// eventful fills the next hours with sweeps, demands, outages and manual changes.
func (s *sim) eventful() {
	r := s.rnd
	length := pick(r, 3*time.Hour, 10*time.Hour, 10*time.Hour, 30*time.Hour)
	if ch, ok := s.policy.(*chance); ok && ch.target.step == extend {
		length = 30 * time.Hour
	}
	end := s.now.Add(length)
	within := func() time.Duration { return time.Duration(r.Int64N(int64(length))) }

	copies := pick(r, 1, 1, 2, 5) // of every event
	for at := time.Duration(0); at < length; at += s.rules.SweepEvery / time.Duration(pick(r, 1, 1, 4)) {
		s.deliver5(at, copies, reconcile.Request{Cause: "timer"})
	}
	for range pick(r, 0, 0, 1, 2, 3) {
		at := within()
		req := reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NewerThan: s.now.Add(at)}}
		s.after(at, func() {
			if f := s.newest(); f != nil && r.IntN(3) == 0 {
				req.Trigger = protocol.Trigger{NotKey: f.id}
			}
			if len(s.order) > 0 && r.IntN(5) == 0 {
				f := s.order[len(s.order)-1-r.IntN(min(2, len(s.order)))]
				req.Trigger = protocol.Trigger{Leaked: f.id, Contain: r.IntN(2) == 0}
				f.leaked, f.contained, f.excused = true, f.contained || req.Trigger.Contain, cmp.Or(f.excused, "revoked")
			}
			s.deliver5(0, copies, req)
		})
	}
	for range pick(r, 0, 0, 0, 1, 2) {
		h := hands[r.IntN(len(hands))]
		s.after(within(), func() {
			undo, done := s.play(h, "a person")
			if late := within() / 2; undo != nil && done && r.IntN(3) > 0 && s.now.Add(late).Before(end) {
				s.after(late, func() { s.note("a person undoes it: %s", h.name); s.disturb(nil); undo() })
			}
		})
	}
	for range pick(r, 0, 0, 1, 2) {
		what, long := pick(r, "unavailable", "unavailable", "denied"), time.Duration(r.Int64N(int64(6*time.Hour)))
		var where *string
		if r.IntN(3) == 0 {
			where = &s.out
		} else {
			where = &s.anyPlace().down
		}
		s.after(within(), func() {
			*where = what
			s.note("outage: %s", what)
			s.after(long, func() { *where = ""; s.note("outage over") })
		})
	}
	s.intrude(length)
	s.twist(length)
	s.rollOutConfig(length)
	for _, rd := range s.readers {
		s.consume(rd, end.Add(3*s.rules.SweepEvery+24*time.Hour))
	}
	for _, a := range s.apps {
		s.serve(&a.reader, end.Add(3*s.rules.SweepEvery+24*time.Hour))
	}
	s.until(end)
}

// deliver5 sends copies of an event to some replicas: late, lost or out of order.
func (s *sim) deliver5(at time.Duration, copies int, req reconcile.Request) {
	r := s.rnd
	for range copies {
		if r.IntN(12) == 0 {
			continue // lost
		}
		late := time.Duration(0)
		switch r.IntN(6) {
		case 0, 1:
			late = time.Duration(r.Int64N(int64(2 * time.Second)))
		case 2:
			late = time.Duration(r.Int64N(int64(20 * time.Minute)))
		}
		deadline := pick(r, 100*time.Second, 100*time.Second, 10*time.Minute, 8*time.Second)
		s.after(at+late, func() {
			in := s.replicas[r.IntN(len(s.replicas))]
			for _, l := range in.live {
				if s.now.Before(l.thaw) {
					return // the replica is suspended
				}
			}
			s.begin(in, req, deadline)
		})
	}
}

// consume lets a consumer re-read its store at random times within the overlap,
// and use its key in between.
func (s *sim) consume(rd *reader, end time.Time) {
	if !s.now.Before(end) {
		return
	}
	s.authenticate(rd)
	s.reread(rd)
	s.authenticate(rd)
	most := s.rules.Overlap - 3*time.Minute
	next := most/8 + time.Duration(s.rnd.Int64N(int64(most-most/8)))
	s.after(time.Duration(s.rnd.Int64N(int64(next))), func() { s.authenticate(rd) })
	s.after(next, func() { s.consume(rd, end) })
}

// serve lets an app use the key that it read when it started.
func (s *sim) serve(rd *reader, end time.Time) {
	if !s.now.Before(end) || rd.away {
		return
	}
	s.authenticate(rd)
	s.after(time.Minute+time.Duration(s.rnd.Int64N(int64(2*time.Hour))), func() { s.serve(rd, end) })
}

// heal ends all faults, and checks that two sweeps repair everything and that a
// third has nothing to do.
func (s *sim) heal() {
	s.healing = true
	for _, a := range s.apps {
		s.takeOver(a)
		s.comeBack(a)
	}
	s.out = ""
	for _, p := range s.places {
		p.down = ""
	}
	for _, in := range s.replicas {
		in.edition, in.behind = present, false
		s.kill(in)
	}
	s.settle()
	for _, in := range s.replicas {
		in.offset = 0
	}
	// Calls in transit arrive within two minutes, and the window of a stopped
	// process passes.
	s.until(s.now.Add(s.rules.Window + 2*time.Minute))
	// Two sweeps suffice, unless the maximum number of keys is live until their
	// overlaps, which use can extend to three, or fuses end.
	var last *run
	longest := s.now.Add(max(3*s.rules.Overlap, s.rules.Fuse, 3*s.rules.SweepEvery) + time.Hour)
	for i := range 3 + int(longest.Sub(s.now)/s.rules.SweepEvery) {
		room, waits := s.makesRoom(longest), s.refused()
		last = s.sweep(s.replicas[i%len(s.replicas)])
		s.until(s.now.Add(s.rules.SweepEvery))
		if i > 0 && !slices.Contains([]reason.Reason{reason.KeysFull, reason.EntryRewritten}, last.out.Reason) && !waits || i > 2 && !room {
			break
		}
	}
	s.checkHealed(last)
	if last.out.Result == result.Blocked {
		s.blocked = last.out.Reason
	}
	for range 3 {
		last = s.sweep(s.replicas[0])
		s.until(s.now.Add(2 * time.Minute))
	}
	if last.out.Result != result.Blocked && last.out.Result != result.Published {
		s.checkEnding()
	}
	last = s.rest(last)
	s.liveOn(last)
	s.checkHers()
	if s.seed%8 == 0 {
		s.checkArbiter()
	}
}

// refused reports whether a key that could not be published may delay the next one.
func (s *sim) refused() bool {
	return slices.ContainsFunc(s.order, func(f *fact) bool {
		m := f.last().mark
		return !m.Refused.IsZero() && f.liveAt(s.now) && s.now.Sub(m.Refused) < s.rules.Fuse
	})
}

// makesRoom reports whether a key of ours expires before by.
func (s *sim) makesRoom(by time.Time) bool {
	return slices.ContainsFunc(s.order, func(f *fact) bool {
		return f.ours() && f.liveAt(s.now) && !f.expires.IsZero() && f.expires.Before(by)
	})
}

// rest checks that runs come to rest: a run after one without steps changes
// nothing, and there is such a run.
func (s *sim) rest(last *run) *run {
	for range 6 {
		before, nearly := last.out.Steps, s.nearlyDue(s.newest())
		last = s.sweep(s.replicas[0])
		s.until(s.now.Add(2 * time.Minute))
		between := func(st result.Step) bool { // a key expired, came near its end or was used
			return st.Reason == reason.IsExpired || st.Reason == reason.StillUsed || st.Reason == reason.StillHeld || nearly
		}
		switch {
		case last.mutations == 0:
			return last
		case len(before) == 0 && !slices.ContainsFunc(last.out.Steps, between):
			s.violate("P10", "a look that finds nothing due changes something")
			return last
		}
	}
	s.violate("P10", "every look changes something")
	return last
}

// nearlyDue reports whether a key becomes due within minutes.
func (s *sim) nearlyDue(f *fact) bool {
	const about = 5 * time.Minute
	if f == nil {
		return false
	}
	aged := f.born.Add(s.rules.After - s.rules.Jitter)
	soon := f.expires.Add(-4 * s.rules.SweepEvery)
	anew := f.last().mark.Refused.Add(s.rules.Fuse) // a store after the first has refused it
	return s.now.Sub(aged).Abs() < about || s.now.Sub(anew).Abs() < about || !f.expires.IsZero() && s.now.Sub(soon).Abs() < about
}

// liveOn checks that all consumers authenticate until the last overlap is over.
// Sweeps continue if a person must act or the published key expires meanwhile.
func (s *sim) liveOn(last *run) {
	end := s.now.Add(s.rules.Overlap + 2*time.Hour)
	for s.now.Before(end) {
		good := s.newest()
		lasting := good != nil && (good.expires.IsZero() || good.expires.After(end))
		if lasting && last.out.Result != result.Blocked {
			s.until(end)
			return
		}
		last = s.sweep(s.replicas[0])
		s.until(minTime(end, s.now.Add(s.rules.SweepEvery)))
	}
}
