package reconcile

import (
	"context"
	"sync"

	"github.com/latchkey-io/latchkey/internal/result"
)

// flights runs one call at a time per name. Calls with the same key share a
// waiting call, which observes after all of them arrived. A running call is never
// shared, because it may have observed before the later event.
type flights struct {
	mu    sync.Mutex
	names map[string]*lane
}

type lane struct {
	running bool
	queue   []*call
}

type call struct {
	key   string
	start chan struct{} // closed when it is this call's turn
	done  chan struct{}
	out   result.Outcome
	err   error
}

func (f *flights) do(ctx context.Context, name, key string, fn func() (result.Outcome, error)) (result.Outcome, error) {
	f.mu.Lock()
	if f.names == nil {
		f.names = map[string]*lane{}
	}
	l := f.names[name]
	if l == nil {
		l = &lane{}
		f.names[name] = l
	}
	for _, waiting := range l.queue {
		if waiting.key == key {
			f.mu.Unlock()
			select {
			case <-waiting.done:
				return waiting.out, waiting.err
			case <-ctx.Done():
				return unobserved(name, ctx.Err()), ctx.Err()
			}
		}
	}
	c := &call{key: key, start: make(chan struct{}), done: make(chan struct{})}
	if l.running {
		l.queue = append(l.queue, c)
	} else {
		l.running = true
		close(c.start)
	}
	f.mu.Unlock()

	select {
	case <-c.start:
	case <-ctx.Done():
		// Others may share this call, so it stays in the queue. It returns the
		// error when its turn comes.
		go func() {
			<-c.start
			f.finish(name, l, c, unobserved(name, ctx.Err()), ctx.Err())
		}()
		return unobserved(name, ctx.Err()), ctx.Err()
	}
	out, err := fn()
	f.finish(name, l, c, out, err)
	return out, err
}

func (f *flights) finish(name string, l *lane, c *call, out result.Outcome, err error) {
	c.out, c.err = out, err
	close(c.done)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(l.queue) == 0 {
		delete(f.names, name)
		return
	}
	next := l.queue[0]
	l.queue = l.queue[1:]
	close(next.start)
}
