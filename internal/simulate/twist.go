package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// twist is something that happens in some histories only. Each draws from a source
// of its own, so the histories without it stay as they are.
type twist string

// The twists.
const (
	scans    twist = "scans"     // IBM finds keys in public and does what their policy says
	rollOuts twist = "roll-outs" // revisions fail or are late, and apps come, go and start by themselves
	versions twist = "versions"  // replicas run an earlier and a later version
	bent     twist = "bent"      // IAM and the stores give answers that are none, and adapters panic
	slow     twist = "slow"      // one of the parallel reads takes minutes
	notices  twist = "notices"   // a secret has one expiry date and many notices
)

var twists = []twist{scans, rollOuts, versions, bent, slow, notices}

// drawTwists draws the twists of a history. Those with an intruder only have the
// one that the options ask for.
func (s *sim) drawTwists(o Options) {
	r := rand.New(rand.NewPCG(s.seed, 5))
	s.random, s.twists = true, map[twist]*rand.Rand{}
	for i, t := range twists {
		if drawn := r.IntN(6) == 0; drawn && !o.intruded || o.twist == t {
			s.twists[t] = rand.New(rand.NewPCG(s.seed, 6+uint64(i)))
		}
	}
	for i, t := range settings {
		if o.twist == t {
			s.twists[t] = rand.New(rand.NewPCG(s.seed, 40+uint64(i)))
		}
	}
}

// twist plays what the twists of a history add to its events.
func (s *sim) twist(length time.Duration) {
	if r := s.twists[scans]; r != nil {
		s.onLeak = pick(r, "disable", "disable", "delete")
		s.playSome(r, scanning, 1+r.IntN(2), length, "IBM")
	}
	if r := s.twists[versions]; r != nil {
		for _, in := range s.replicas {
			in.edition = pick(r, present, earlier, later)
			s.after(upTo(r, length), func() { in.edition = present; s.kill(in) })
			s.kill(in)
		}
	}
	if r := s.twists[notices]; r != nil {
		s.notify(r, length)
	}
	if r := s.twists[rollOuts]; r != nil {
		s.playSome(r, deploying, r.IntN(4), length, "a person")
	}
}

// playSome plays n of the hands at some time, and reverts those that can be reverted.
func (s *sim) playSome(r *rand.Rand, from []hand, n int, length time.Duration, by string) {
	for range n {
		h := from[r.IntN(len(from))]
		s.after(upTo(r, length), func() {
			if undo, done := s.play(h, by); undo != nil && done {
				s.after(upTo(r, length/2), func() { s.note("%s undoes it: %s", by, h.name); s.disturb(nil); undo() })
			}
		})
	}
}

// notify sends notices about one expiry date. The first demands a key.
func (s *sim) notify(r *rand.Rand, length time.Duration) {
	s.expiry = s.now.Add(30 * 24 * time.Hour)
	for range 2 + r.IntN(5) {
		at := upTo(r, length)
		req := reconcile.Request{Cause: "notice", Trigger: protocol.Trigger{NewerThan: s.now.Add(at), Expiry: s.expiry}}
		s.after(at, func() { s.begin(s.replicas[r.IntN(len(s.replicas))], req, 100*time.Second) })
	}
}

// checkServed checks that a key is made once for an expiry date: P7.
func (s *sim) checkServed(r *run, why reason.Reason) {
	if t := r.req.Trigger; t.Expiry.IsZero() || t.NotKey != "" || why != reason.Demanded || s.twists[versions] != nil {
		return
	}
	f := s.newest()
	named := func(p *place) bool { return s.knows(r, p) && p.keyID() == f.id } // in the run's config
	if f == nil || f.excused != "" || f.by == nil || !slices.ContainsFunc(s.places, named) || f.stored.After(r.start.Add(-s.lag-slack)) {
		return
	}
	if f.by.req.Trigger.Expiry.Equal(r.req.Trigger.Expiry) {
		s.violate("P7", "mints for the date that %s was minted for", s.nick(f.id))
	}
}

// scanning is what IBM does with keys that it finds in public.
var scanning = []hand{
	{"finds the published key in public", func(s *sim) (func(), bool) { return nil, s.leak(s.publishedFact()) }},
	{"finds the key before the published one in public", func(s *sim) (func(), bool) {
		f := s.publishedFact()
		if i := slices.Index(s.order, f); i > 0 {
			return nil, s.leak(s.order[i-1])
		}
		return nil, false
	}},
}

// leak lets IBM find a key in public.
func (s *sim) leak(f *fact) bool {
	if f == nil || !f.gone.IsZero() {
		return false
	}
	s.lagged(0, s.lag, 0)
	found, err := s.cloud.LeakKey(f.id, "", "a public repository")
	if err != nil {
		panic(err) // the key is there
	}
	if f.excused = cmp.Or(f.excused, "found by IBM"); found.Action == "disable" && !f.disabled {
		f.found = s.now
	}
	if found.Action == "delete" {
		f.gone = s.now
		return true
	}
	s.refresh(f)
	return true
}
