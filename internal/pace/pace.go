// Package pace sends calls as fast as each upstream host answers them, and no
// faster.
//
// A gate per host learns from the answers how many calls at once, and how many a
// second, the host bears. A 429 closes the host for as long as it asks. Calls
// that wait are sent in this order:
//
//	tokens           without one no other call succeeds
//	leaks, demands   and runs that have begun to write
//	looks            older runs first
//
// So a run that has begun ends before the ones behind it. Begin holds a run back
// until no call waits any longer.
//
// A process logs in to one account. So one Pacer has one gate per host and
// account.
package pace

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Class says how urgent the calls of a run are.
type Class int

// The classes.
const (
	token  Class = iota // set by the transport
	Leak                // the end of a leaked key
	Demand              // a newer key
	Look                // what is due anyway
)

const (
	patience = 20 * time.Second      // the longest wait of a call for its turn
	mostRuns = 32                    // runs of one class at once
	stagger  = 50 * time.Millisecond // for which a run that makes no call holds the next one back
)

// Pacer limits the calls and the runs of one process. It is safe for concurrent
// use.
type Pacer struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	hosts   map[string]*host
	arrived int // calls and runs, in order
	running map[Class]int
	begun   time.Time
	silent  *Run // the last run that began or got an answer, until its next call
	waiting queue
	timer   *time.Timer
}

// New returns a Pacer without any limit yet. A nil log logs nothing.
func New(log *slog.Logger) *Pacer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Pacer{log: log, hosts: map[string]*host{}, running: map[Class]int{}}
}

// host is one upstream with the calls that wait for it.
type host struct {
	name    string
	gate    *gate
	waiting queue
	timer   *time.Timer
}

// Run is work on one credential.
type Run struct {
	pacer *Pacer
	began Class // the class of Begin
	class Class // guarded by pacer.mu
	order int
	held  bool // Begin has let it begin, and it has not ended
}

type (
	runKey   struct{}
	countKey struct{}
)

// Counted returns a context that adds each call that is sent with it to n.
func Counted(ctx context.Context, n *atomic.Int64) context.Context {
	return context.WithValue(ctx, countKey{}, n)
}

// With returns a context whose calls are of a class. A nil Pacer returns ctx.
func (p *Pacer) With(ctx context.Context, class Class) context.Context {
	if p == nil {
		return ctx
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arrive(class).With(ctx)
}

// ClassOf returns the class of a context's calls. Without one they are looks.
func ClassOf(ctx context.Context) Class {
	r, _ := ctx.Value(runKey{}).(*Run)
	if r == nil {
		return Look
	}
	return r.began
}

// arrive returns a run behind all others of its class. p.mu is held.
func (p *Pacer) arrive(class Class) *Run {
	p.arrived++
	return &Run{pacer: p, began: class, class: class, order: p.arrived}
}

// Begin waits until another run of the class may begin: no call waits for its
// turn, the hosts take another one, and fewer than 32 runs of the class are under way. More urgent runs
// begin first. The caller must end the run. The error is that of ctx.
func (p *Pacer) Begin(ctx context.Context, class Class) (*Run, error) {
	p.mu.Lock()
	r := p.arrive(class)
	turn := p.waiting.add(r)
	p.advance(time.Now())
	p.mu.Unlock()
	select {
	case <-turn.ready:
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting.remove(turn) {
			return nil, ctx.Err()
		}
	}
	return r, nil
}

// With returns a context whose calls are those of the run.
func (r *Run) With(ctx context.Context) context.Context { return context.WithValue(ctx, runKey{}, r) }

// End lets the next run begin. It must be called once.
func (r *Run) End() {
	p := r.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[r.began]--
	r.held = false
	if p.silent == r {
		p.silent = nil
	}
	p.advance(time.Now())
}

// advance lets runs begin. p.mu is held.
func (p *Pacer) advance(now time.Time) {
	for len(p.waiting) > 0 {
		class := p.waiting[0].class
		if p.running[class] >= mostRuns || p.backlog(class) {
			return
		}
		wait := p.next(now)
		if p.silent != nil {
			wait = max(wait, p.begun.Add(stagger).Sub(now))
		}
		if wait > 0 {
			p.timer = again(p.timer, wait, func() { p.advance(time.Now()) }, &p.mu)
			return
		}
		p.begun, p.silent = now, p.waiting[0].Run
		p.running[class]++
		p.silent.held = true
		p.waiting.next()
	}
}

// backlog reports whether a call of the class, or of a more urgent one, waits
// for its turn. p.mu is held.
func (p *Pacer) backlog(class Class) bool {
	for _, h := range p.hosts {
		if len(h.waiting) > 0 && h.waiting[0].class <= class {
			return true
		}
	}
	return false
}

// next returns when each host with a known rate takes another call. Otherwise a
// run would begin between two calls of another one. p.mu is held.
func (p *Pacer) next(now time.Time) (wait time.Duration) {
	for _, h := range p.hosts {
		if h.gate.bucket == nil || now.Before(h.gate.closed) {
			continue // no limit, or no call to this host could be sent for long
		}
		if w, ok := h.gate.admit(now, false); ok {
			wait = max(wait, w)
		}
	}
	return wait
}

// enter waits until a call may be sent. It returns when it is sent.
func (p *Pacer) enter(ctx context.Context, name string, class Class, until time.Time) (*host, time.Time, error) {
	p.mu.Lock()
	h := p.hosts[name]
	if h == nil {
		h = &host{name: name, gate: newGate()}
		p.hosts[name] = h
	}
	now := time.Now()
	if h.gate.closed.After(until) {
		defer p.mu.Unlock()
		return nil, now, fmt.Errorf("%s asks for no calls for another %s", name, h.gate.closed.Sub(now).Round(time.Second))
	}
	r := p.arrive(class)
	if own, _ := ctx.Value(runKey{}).(*Run); own != nil {
		if class == Demand { // the run has begun to write
			own.class = min(own.class, class)
		}
		r.class, r.order = min(own.class, class), own.order
		if p.silent == own {
			p.silent = nil
		}
	}
	turn := h.waiting.add(r)
	p.dispatch(h, now)
	p.advance(now)
	p.mu.Unlock()

	select {
	case <-turn.ready: // without a timer, which most calls don't need
		return h, turn.at, nil
	default:
	}
	late := time.NewTimer(until.Sub(now))
	defer late.Stop()
	var err error
	select {
	case <-turn.ready:
		return h, turn.at, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = fmt.Errorf("%s takes no more calls: waited for %s", name, patience)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !h.waiting.remove(turn) { // it was its turn just now
		return h, turn.at, nil
	}
	p.advance(time.Now())
	return nil, now, err
}

// leave records the answer to a call.
func (p *Pacer) leave(ctx context.Context, h *host, sentAt time.Time, v verdict, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if own, _ := ctx.Value(runKey{}).(*Run); own != nil && own.held {
		p.begun, p.silent = now, own // its next call comes at once, or it ends
	}
	if h.gate.answered(now, sentAt, v, after) {
		if v == refused {
			p.log.Info("slowing down", "host", h.name, "pause", h.gate.closed.Sub(now).Round(time.Millisecond).String())
		}
	}
	p.dispatch(h, now)
	p.advance(now)
}

// dispatch sends the calls whose turn it is. p.mu is held.
func (p *Pacer) dispatch(h *host, now time.Time) {
	for len(h.waiting) > 0 {
		wait, ok := h.gate.admit(now, h.waiting[0].class == Look)
		if !ok {
			return // an answer dispatches the next one
		}
		if wait > 0 {
			h.timer = again(h.timer, wait, func() {
				now := time.Now()
				p.dispatch(h, now)
				p.advance(now)
			}, &p.mu)
			return
		}
		h.gate.sent(now)
		h.waiting[0].at = now
		h.waiting.next()
	}
}

// again resets a timer, or makes one that calls f under the lock.
func again(t *time.Timer, d time.Duration, f func(), lock sync.Locker) *time.Timer {
	if t != nil {
		t.Reset(d)
		return t
	}
	return time.AfterFunc(d, func() {
		lock.Lock()
		defer lock.Unlock()
		f()
	})
}

// turn is one call or run that waits.
type turn struct {
	*Run
	ready chan struct{} // closed when it is its turn
	at    time.Time     // valid then
	place int           // in the queue
}

// queue is a heap of turns. The first one is the next.
type queue []*turn

func (q *queue) add(r *Run) *turn {
	t := &turn{Run: r, ready: make(chan struct{})}
	heap.Push(q, t)
	return t
}

func (q *queue) next() { close(heap.Pop(q).(*turn).ready) }

// remove takes a turn out. It returns false if it is not in the queue any more.
func (q *queue) remove(t *turn) bool {
	if t.place < 0 {
		return false
	}
	heap.Remove(q, t.place)
	return true
}

// Len satisfies heap.Interface.
func (q queue) Len() int { return len(q) }

// Less satisfies heap.Interface.
func (q queue) Less(i, j int) bool {
	if q[i].class != q[j].class {
		return q[i].class < q[j].class
	}
	return q[i].order < q[j].order
}

// Swap satisfies heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push satisfies heap.Interface.
func (q *queue) Push(x any) {
	t := x.(*turn)
	t.place = len(*q)
	*q = append(*q, t)
}

// Pop satisfies heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q, t.place = (*q)[:last], -1
	return t
}
