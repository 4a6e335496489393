package simulate

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// sim is one history under way: a queue of events in virtual time, and the
// instances whose calls wait in it. Only the scheduler's goroutine touches
// anything but arrived: an instance's goroutine runs from the answer of one
// call to the next call, and the scheduler waits until all have come to rest.
type sim struct {
	*world
	rnd      *rand.Rand
	queue    events
	nth      int // of the next event: ties in time are broken by it
	happened int
	policy   policy
	hits     *coverage

	mu      sync.Mutex // guards arrived
	arrived []*call

	runs   []*run
	hash   uint64
	lines  []string // the trace, when somebody wants to read it
	trace  bool
	seed   uint64
	mutant *mutant
}

// event is something that happens at a moment.
type event struct {
	at  time.Time
	nth int
	do  func()
}

type events []*event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	if d := q[i].at.Compare(q[j].at); d != 0 {
		return d < 0
	}
	return q[i].nth < q[j].nth
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// after lets something happen d from now.
func (s *sim) after(d time.Duration, do func()) { s.at(s.now.Add(max(d, 0)), do) }

func (s *sim) at(at time.Time, do func()) {
	s.nth++
	heap.Push(&s.queue, &event{at: at, nth: s.nth, do: do})
}

// until runs everything that happens before the moment.
func (s *sim) until(end time.Time) {
	for len(s.queue) > 0 && s.queue[0].at.Before(end) {
		if s.happened++; s.happened == mostEvents {
			s.violate("P10", "the history does not come to an end")
		}
		if s.happened >= mostEvents {
			return
		}
		e := heap.Pop(&s.queue).(*event)
		if e.at.After(s.now) {
			s.now = e.at
		}
		e.do()
		s.settle()
	}
	if end.After(s.now) {
		s.now = end
	}
}

// mostEvents ends a history in which somebody does something for ever: an
// ordinary one has some thousands.
const mostEvents = 200_000

// settle lets the instances run until each waits for a call's answer, and
// decides about the new calls in an order that no goroutine's luck changes.
func (s *sim) settle() {
	for {
		synctest.Wait()
		s.mu.Lock()
		got := s.arrived
		s.arrived = nil
		s.mu.Unlock()
		if len(got) == 0 {
			return
		}
		slices.SortFunc(got, func(a, b *call) int {
			if d := a.run.nth - b.run.nth; d != 0 {
				return d
			}
			return strings.Compare(a.name, b.name)
		})
		for _, c := range got {
			s.accept(c)
		}
	}
}

// note adds a line to the trace, and the line without its prose to the hash:
// errors count by their sentinels, so rewording one leaves the hash as it is.
func (s *sim) note(format string, args ...any) {
	codes := slices.Clone(args)
	for i, arg := range args {
		if p, ok := arg.(coder); ok {
			codes[i] = p.code()
		} else if err, ok := arg.(error); ok {
			codes[i] = errorCode(err)
		}
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %s", s.hash, s.now.UnixNano(), fmt.Sprintf(format, codes...))
	s.hash = h.Sum64()
	if s.trace {
		s.lines = append(s.lines, s.now.Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// coder is an argument of note that counts by its codes.
type coder interface{ code() string }

// sentinels name what an error means.
var sentinels = []struct {
	err  error
	name string
}{
	{reconcile.ErrNotFound, "not-found"}, {reconcile.ErrConflict, "conflict"}, {reconcile.ErrDenied, "denied"},
	{reconcile.ErrRefused, "refused"}, {reconcile.ErrQuota, "quota"}, {reconcile.ErrNotActive, "not-active"},
	{reconcile.ErrNotYet, "not-yet"}, {reconcile.ErrUnavailable, "unavailable"}, {reconcile.ErrUnlocked, "unlocked"},
	{reconcile.ErrObserve, "observe"}, {errDead, "dead"}, {context.Canceled, "canceled"},
}

func errorCode(err error) string {
	code := "error"
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			code += " " + s.name
		}
	}
	return code
}

// ending is what a Reconcile returned.
type ending struct {
	out reconcile.Outcome
	err error
}

// String is for a reader.
func (e ending) String() string {
	return fmt.Sprintf("%s %s %s (kept: %t)", e.out.Result, e.out.Reason, e.out.Error, e.out.Kept)
}

// code is everything in the outcome but its prose.
func (e ending) code() string {
	o := e.out
	text := fmt.Sprintf("%s %s %s %s %s %s %s %s %s %s", o.Result, o.Reason, o.ServiceID, o.Key, moment(o.KeyCreated), moment(o.KeyExpires),
		o.Replaced, moment(o.ReplacedEnds), moment(o.Next), o.Leaked)
	for _, st := range o.Stores {
		text += fmt.Sprintf(" store %s %s %s", st.Name, st.Key, st.Fault)
	}
	for _, st := range o.Steps {
		text += fmt.Sprintf(" step %s %s %s %s %s %t", st.Action, st.Key, st.Target, moment(st.At), st.Reason, st.Error != "")
	}
	for _, n := range o.Notes {
		text += fmt.Sprintf(" note %s %s %s %s", n.Reason, n.Key, n.Store, moment(n.At))
	}
	if e.err != nil {
		text += " " + errorCode(e.err)
	}
	return text + fmt.Sprintf(" %t %t", o.Error != "", o.Kept)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// prose is text that no hash depends on.
type prose string

func (prose) code() string { return "" }

// instance is one process that runs latchkey.
type instance struct {
	name string
	// offset is its clock's distance from the truth.
	offset time.Duration
	rec    *reconcile.Reconciler
	cred   reconcile.Credential
	born   int // how often it was started
	live   []*run
}

// run is one Reconcile.
type run struct {
	*instance
	nth     int
	ask     reconcile.Ask
	ctx     context.Context //nolint:containedctx // the run is what the scheduler knows of a call's context
	cancel  context.CancelFunc
	start   time.Time
	pending []*call
	// thaw is the moment until which the process is frozen.
	thaw time.Time
	// dead: the process is gone. over: Reconcile has returned.
	dead, over bool
	calls      int
	out        reconcile.Outcome
	err        error
	end        time.Time
	// mutations are the effects that it had on IAM, stores and consumers.
	mutations int
	evidence
}

type runKey struct{}

// call is one call of a port that waits for its answer.
type call struct {
	*sim
	run    *run
	step   step
	name   string
	op     func() error
	ctx    context.Context //nolint:containedctx // its end answers the call
	answer chan error
	// answered calls are not waited for; a dropped one never has an effect.
	answered, dropped, sent bool
	index                   int // the how-manieth of its run, from 0
	made                    time.Time
	// learn is told the answer before the instance is.
	learn func(error)
	nap   time.Duration
}

var errDead = errors.New("the process died")

// yield is what every port does: it waits until the scheduler has decided what
// becomes of the call, and has carried it out.
func (s *sim) yield(ctx context.Context, st step, detail string, op func() error) error {
	return s.yieldAnd(ctx, st, detail, op, func(error) {})
}

func (s *sim) yieldAnd(ctx context.Context, st step, detail string, op func() error, learn func(error)) error {
	r := ctx.Value(runKey{}).(*run)
	c := &call{sim: s, run: r, step: st, name: string(st) + " " + detail, op: op, ctx: ctx, answer: make(chan error, 1), learn: learn}
	s.mu.Lock()
	s.arrived = append(s.arrived, c)
	s.mu.Unlock()
	return <-c.answer
}

// accept decides what becomes of a call that has arrived.
func (s *sim) accept(c *call) {
	r := c.run
	switch {
	case c.step == returned:
		s.returned(r)
		return
	case r.dead:
		c.reply(errDead)
		return
	case c.ctx.Err() != nil:
		c.reply(fmt.Errorf("%w: %w", reconcile.ErrUnavailable, c.ctx.Err()))
		return
	}
	c.index, c.made = r.calls, s.now
	r.calls++
	if r.calls > mostCalls {
		s.violate("P10", "run %d of %s makes more than %d calls", r.nth, r.name, mostCalls)
		s.kill(r.instance)
		c.reply(errDead)
		return
	}
	r.pending = append(r.pending, c)
	f := s.policy.fate(c)
	if f.fault != none {
		s.hits.add(c.step, f.fault)
		s.note("%s#%d %s !%s", r.name, r.nth, c.name, f.fault)
	}
	if f.freeze > 0 {
		r.thaw = s.now.Add(f.freeze)
		if f.suspend {
			s.postpone(r, f.freeze)
		}
	}
	s.after(f.send, func() { s.send(c, f) })
}

// mostCalls bounds a run: observing a few keys and stores, four rounds of a
// whole rotation and two minutes of polling need far less.
const mostCalls = 1500

// send is the moment at which the call has its effect, if it has one.
func (s *sim) send(c *call, f fate) {
	if c.dropped {
		return
	}
	if !c.answered && !f.late && s.frozen(c.run, func() { s.send(c, f) }) {
		return
	}
	if f.fault == crashBefore {
		if !c.answered {
			s.kill(c.run.instance)
		}
		return
	}
	c.sent = true
	var err error
	if f.effect {
		s.acting, s.issued = c.run, c.made
		err = c.op()
		s.acting = nil
	}
	if f.err != nil {
		err = f.err
	}
	if err != nil {
		s.note("%s#%d %s: %v", c.run.name, c.run.nth, c.name, err)
	} else {
		s.note("%s#%d %s", c.run.name, c.run.nth, c.name)
	}
	if c.answered {
		return
	}
	if f.fault == crashAfter {
		s.kill(c.run.instance)
		return
	}
	s.after(f.back, func() { s.deliver(c, err) })
}

// deliver is the moment at which the instance learns of the answer.
func (s *sim) deliver(c *call, err error) {
	if c.answered || s.frozen(c.run, func() { s.deliver(c, err) }) {
		return
	}
	c.reply(err)
}

// frozen reports whether the run's process stands still, and if so tries again
// when it goes on.
func (s *sim) frozen(r *run, again func()) bool {
	if r.dead || !s.now.Before(r.thaw) {
		return false
	}
	s.at(r.thaw, again)
	return true
}

func (c *call) reply(err error) {
	if c.answered {
		return
	}
	c.answered = true
	c.learn(err)
	c.run.pending = slices.DeleteFunc(c.run.pending, func(o *call) bool { return o == c })
	c.answer <- err
}

// nap is how an instance waits between polls.
func (s *sim) nap(ctx context.Context, d time.Duration) error {
	r := ctx.Value(runKey{}).(*run)
	c := &call{sim: s, run: r, step: napping, name: string(napping), op: func() error { return nil }, ctx: ctx,
		answer: make(chan error, 1), learn: func(error) {}, nap: d}
	s.mu.Lock()
	s.arrived = append(s.arrived, c)
	s.mu.Unlock()
	if err := <-c.answer; err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// begin starts a Reconcile with a deadline of its own.
func (s *sim) begin(in *instance, ask reconcile.Ask, deadline time.Duration) *run {
	r := &run{instance: in, nth: len(s.runs), ask: ask, start: s.now}
	s.runs = append(s.runs, r)
	in.live = append(in.live, r)
	r.evidence = newEvidence()
	r.wants = s.wanted
	r.skew = in.offset
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.WithValue(context.Background(), runKey{}, r))
	r.ctx = ctx
	s.note("%s#%d begins: %s", in.name, r.nth, ask.Cause)
	s.deadline(r, s.now.Add(deadline))
	rec, cred := in.rec, in.cred
	go func() {
		r.out, r.err = rec.Reconcile(ctx, cred, ask)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived = append(s.arrived, &call{sim: s, run: r, step: returned, learn: func(error) {}})
	}()
	return r
}

func (s *sim) deadline(r *run, at time.Time) {
	r.limit = at
	s.at(at, func() { s.expire(r) })
}

// postpone moves the deadline of a run whose machine was suspended: its
// monotonic clock stood still.
func (s *sim) postpone(r *run, d time.Duration) { s.deadline(r, r.limit.Add(d)) }

// expire ends a run's context. A request that is under way may still arrive.
func (s *sim) expire(r *run) {
	if r.over || r.dead || r.ctx.Err() != nil || s.now.Before(r.limit) || s.frozen(r, func() { s.expire(r) }) {
		return
	}
	s.note("%s#%d is out of time", r.name, r.nth)
	r.cancel()
	for _, c := range slices.Clone(r.pending) {
		if c.ctx.Err() == nil {
			continue
		}
		arrives := s.policy.arrives(c)
		c.dropped = !c.sent && !arrives
		s.hits.add(c.step, timeout)
		c.reply(fmt.Errorf("%w: %w", reconcile.ErrUnavailable, context.DeadlineExceeded))
	}
}

// kill ends a process. What it has sent and the other side has not yet done is
// done or not, as with a request whose connection breaks.
func (s *sim) kill(in *instance) {
	s.note("%s dies", in.name)
	for _, r := range slices.Clone(in.live) {
		r.dead = true
		r.cancel()
		for _, c := range slices.Clone(r.pending) {
			c.dropped = !c.sent && !s.policy.arrives(c)
			c.reply(errDead)
		}
	}
	in.live = nil
	s.boot(in)
}

// returned is the end of a Reconcile.
func (s *sim) returned(r *run) {
	r.over, r.end = true, s.now
	r.cancel()
	r.live = slices.DeleteFunc(r.live, func(o *run) bool { return o == r })
	if r.dead {
		return
	}
	s.note("%s#%d ends: %s", r.name, r.nth, ending{r.out, r.err})
	s.finished(r)
}
