package simulate

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// sim is a running history: a queue of events in virtual time, and the replicas
// whose calls wait in it. A replica's goroutine runs from the answer of one call to
// the next call. The scheduler waits until all of them wait, so its goroutine alone
// uses all fields but arrived.
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
	line   []byte   // what is hashed next
	lines  []string // the trace, if the options ask for it
	trace  bool
	seed   uint64
	mutant *mutant

	healing  bool // all faults have ended
	blocked  reason.Reason
	random   bool // chance decides what happens
	twists   map[twist]*rand.Rand
	played   map[string]bool // the hands that have been played, by name
	intruded bool            // the intruder plays in this history
	member   *intruder
}

// event is a function to call at a time.
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

// after calls do after d.
func (s *sim) after(d time.Duration, do func()) { s.at(s.now.Add(max(d, 0)), do) }

func (s *sim) at(at time.Time, do func()) {
	s.nth++
	heap.Push(&s.queue, &event{at: at, nth: s.nth, do: do})
}

// until runs all events before end.
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

// mostEvents ends a history that does not come to rest. An ordinary one has some
// thousands.
const mostEvents = 200_000

// settle lets the replicas run until each waits for an answer, and accepts the new
// calls in an order that does not depend on the Go scheduler.
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
	if s.trace {
		s.lines = append(s.lines, s.now.Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
	for i, arg := range args {
		if p, ok := arg.(coder); ok {
			args[i] = p.code()
		} else if err, ok := arg.(error); ok {
			args[i] = errorCode(err)
		}
	}
	line := strconv.AppendUint(s.line[:0], s.hash, 10)
	line = append(strconv.AppendInt(append(line, ' '), s.now.UnixNano(), 10), ' ')
	s.line = fmt.Appendf(line, format, args...)
	h := fnv.New64a()
	_, _ = h.Write(s.line)
	s.hash = h.Sum64()
}

// coder is an argument of note that counts by its codes.
type coder interface{ code() string }

// sentinels name what an error means.
var sentinels = []struct {
	err  error
	name string
}{
	{port.ErrNotFound, "not-found"}, {port.ErrConflict, "conflict"}, {port.ErrDenied, "denied"},
	{port.ErrRefused, "refused"}, {port.ErrQuota, "quota"}, {port.ErrNotActive, "not-active"},
	{port.ErrNotYet, "not-yet"}, {port.ErrUnavailable, "unavailable"}, {port.ErrUnlocked, "unlocked"},
	{observe.ErrFailed, "observe"}, {errDead, "dead"}, {context.Canceled, "canceled"},
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
	out result.Outcome
	err error
}

// String is for a reader.
func (e ending) String() string {
	return fmt.Sprintf("%s %s %s (kept: %t)", e.out.Result, e.out.Reason, e.out.Error, e.out.Recorded)
}

// code is everything in the outcome but its prose.
func (e ending) code() string {
	o := e.out
	text := fmt.Appendf(nil, "%s %s %s %s %s %s %s %s %s %s", o.Result, o.Reason, o.ServiceID, o.Key, moment(o.KeyCreated), moment(o.KeyExpires),
		o.Replaced, moment(o.ReplacedEnds), moment(o.Next), o.Leaked)
	for _, st := range o.Stores {
		text = fmt.Appendf(text, " store %s %s %s", st.Name, st.Key, st.Fault)
	}
	for _, st := range o.Steps {
		text = fmt.Appendf(text, " step %s %s %s %s %s %t", st.Action, st.Key, st.Target, moment(st.At), st.Reason, st.Error != "")
	}
	for _, n := range o.Notes {
		text = fmt.Appendf(text, " note %s %s %s %s", n.Reason, n.Key, n.Store, moment(n.At))
	}
	if e.err != nil {
		text = fmt.Appendf(text, " %s", errorCode(e.err))
	}
	return string(fmt.Appendf(text, " %t %t", o.Error != "", o.Recorded))
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

// replica is one process of latchkey.
type replica struct {
	name string
	// offset is its clock minus the actual time.
	offset time.Duration
	rec    *reconcile.Reconciler
	cred   port.Credential
	born   int // how often it was started
	edition
	behind bool // its config is the one before the change
	live   []*run
	// forced are the rotations that demands and leaks forced.
	forced []time.Time
}

// run is one Reconcile.
type run struct {
	*replica
	nth     int
	req     reconcile.Request
	ctx     context.Context //nolint:containedctx // the run is what the scheduler knows of a call's context
	cancel  context.CancelFunc
	start   time.Time
	pending []*call
	// thaw is the moment until which the process is frozen.
	thaw time.Time
	// dead is set if the process has stopped, and over if Reconcile has returned.
	dead, over bool
	calls      int
	out        result.Outcome
	err        error
	end        time.Time
	// mutations counts its effects on IAM, stores and consumers.
	mutations int
	old       bool     // its config is the one before the change
	names     []string // of the credential in its config
	// retired are the keys that it has deleted, and released the entries that it has
	// unlocked.
	retired, released []string
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
	// answered is set once the replica has the answer. A dropped call never has an
	// effect.
	answered, dropped, sent bool
	index                   int // of the call in its run, from 0
	made                    time.Time
	// learn gets the answer before the replica does.
	learn func(error)
	nap   time.Duration
	// late is set if it has its effect although its process is suspended.
	late bool
}

var errDead = errors.New("the process died")

// yield makes a call of a port. It returns the answer when the scheduler delivers
// it.
func (s *sim) yield(ctx context.Context, st step, detail string, op func() error) error {
	return s.yieldAnd(ctx, st, detail, op, func(error) {})
}

func (s *sim) yieldAnd(ctx context.Context, st step, detail string, op func() error, learn func(error)) error {
	r := ctx.Value(runKey{}).(*run)
	c := &call{sim: s, run: r, step: st, name: string(st) + " " + detail, op: op, ctx: ctx, answer: make(chan error, 1), learn: learn}
	s.mu.Lock()
	s.arrived = append(s.arrived, c)
	s.mu.Unlock()
	err := <-c.answer
	if is(err, errPanics) {
		panic(err)
	}
	return err
}

// accept decides the fate of a call that has arrived.
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
		c.reply(fmt.Errorf("%w: %w", port.ErrUnavailable, c.ctx.Err()))
		return
	}
	c.index, c.made = r.calls, s.now
	r.calls++
	if r.calls > mostCalls {
		s.violate("P10", "run %d of %s makes more than %d calls", r.nth, r.name, mostCalls)
		s.kill(r.replica)
		c.reply(errDead)
		return
	}
	r.pending = append(r.pending, c)
	f := s.policy.fate(c)
	if f.fault != none {
		s.hits.add(c.step, f.fault)
		s.note("%s#%d %s !%s", r.name, r.nth, c.name, f.fault)
	}
	c.late = f.late
	if f.freeze > 0 {
		r.thaw = s.now.Add(f.freeze)
		if f.suspend {
			s.postpone(r, f.freeze)
		}
	}
	s.after(f.send, func() { s.send(c, f) })
	if c.ctx.Done() == nil && c.step != napping { // the adapter's own limit ends it
		s.after(callTime, func() { c.reply(fmt.Errorf("%w: no answer in time", port.ErrUnavailable)) })
	}
}

// callTime is the longest time that an adapter waits for an answer.
const callTime = 50 * time.Second

// mostCalls is the maximum number of calls in a run. Four rounds of a whole
// rotation and two minutes of polling need far less.
const mostCalls = 1500

// send applies the effect of a call, if it has one.
func (s *sim) send(c *call, f fate) {
	if c.dropped {
		return
	}
	if !c.answered && !f.late && s.frozen(c.run, func() { s.send(c, f) }) {
		return
	}
	if f.fault == crashBefore {
		if !c.answered {
			s.kill(c.run.replica)
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
		s.kill(c.run.replica)
		return
	}
	s.after(f.back, func() { s.deliver(c, err) })
}

// deliver gives the answer to the replica.
func (s *sim) deliver(c *call, err error) {
	if c.answered || s.frozen(c.run, func() { s.deliver(c, err) }) {
		return
	}
	c.reply(err)
}

// frozen reports whether the run's process is suspended. If so, it calls again when
// the process resumes.
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
	if err != nil {
		c.run.errors = append(c.run.errors, fail{c.step, err})
	}
	c.run.off = max(c.run.off, c.run.offset.Abs())
	c.run.pending = slices.DeleteFunc(c.run.pending, func(o *call) bool { return o == c })
	c.answer <- err
}

// nap is a replica's sleep between polls.
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

// begin starts a Reconcile with its own deadline.
func (s *sim) begin(in *replica, req reconcile.Request, deadline time.Duration) *run {
	r := &run{replica: in, nth: len(s.runs), req: req, start: s.now, old: in.behind, names: in.cred.Names()}
	s.runs = append(s.runs, r)
	in.live = append(in.live, r)
	r.evidence = newEvidence()
	r.wants = s.wanted
	r.skew = in.offset
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.WithValue(context.Background(), runKey{}, r))
	r.ctx = ctx
	s.note("%s#%d begins: %s", in.name, r.nth, req.Cause)
	s.deadline(r, s.now.Add(deadline))
	rec, cred := in.rec, in.cred
	go func() {
		grow(len(in.name))
		r.out, r.err = rec.Reconcile(ctx, cred, req)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived = append(s.arrived, &call{sim: s, run: r, step: returned, learn: func(error) {}})
	}()
	return r
}

// grow makes a goroutine's stack as large as a run needs it. A stack that grows in the
// depth of a run is copied with all of its frames, which takes a tenth of the time.
//
//go:noinline
func grow(i int) byte {
	var room [40 << 10]byte // the compiler keeps it, as i is not constant
	return room[i]
}

func (s *sim) deadline(r *run, at time.Time) {
	r.limit = at
	s.at(at, func() { s.expire(r) })
}

// postpone moves the deadline of a run whose monotonic clock was suspended.
func (s *sim) postpone(r *run, d time.Duration) { s.deadline(r, r.limit.Add(d)) }

// expire ends a run's context. A request in transit may still arrive.
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
		c.reply(fmt.Errorf("%w: %w", port.ErrUnavailable, context.DeadlineExceeded))
	}
	s.after(2*callTime, func() { s.checkOver(r) })
}

// checkOver checks that a run ends soon after its time: P9.
func (s *sim) checkOver(r *run) {
	if !r.over && !r.dead && !s.frozen(r, func() { s.after(2*callTime, func() { s.checkOver(r) }) }) {
		s.violate("P9", "%s#%d goes on long after its time", r.name, r.nth)
	}
}

// kill stops a process. Its requests in transit may or may not have their effect,
// as with a broken connection. What a suspended process has not sent has none.
func (s *sim) kill(in *replica) {
	s.note("%s dies", in.name)
	for _, r := range slices.Clone(in.live) {
		r.dead = true
		r.cancel()
		for _, c := range slices.Clone(r.pending) {
			unsent := s.now.Before(r.thaw) && !c.late
			c.dropped = !c.sent && (!s.policy.arrives(c) || unsent)
			c.reply(errDead)
		}
	}
	in.live = nil
	s.boot(in)
}

// returned handles the end of a Reconcile.
func (s *sim) returned(r *run) {
	r.over, r.end = true, s.now
	if !r.dead {
		s.checkReleased(r)
	}
	r.cancel()
	r.live = slices.DeleteFunc(r.live, func(o *run) bool { return o == r })
	if r.dead {
		return
	}
	s.note("%s#%d ends: %s", r.name, r.nth, ending{r.out, r.err})
	s.finished(r)
}
