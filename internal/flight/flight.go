// Package flight runs one call at a time per name.
package flight

import (
	"context"
	"sync"
)

// Flights runs one call at a time per name. Calls with the same key share a
// waiting call, which begins after all of them arrived. A running call is never
// shared, because it may have begun before the later one. The zero value is ready.
type Flights[T any] struct {
	mu    sync.Mutex
	names map[string]*lane[T]
}

type lane[T any] struct {
	running bool
	queue   []*call[T]
}

type call[T any] struct {
	key   string
	start chan struct{} // closed when it is this call's turn
	done  chan struct{}
	out   T
	err   error
}

// Do calls fn, or shares a waiting call. If ctx ends before that begins, it returns the
// zero value and the context's error.
func (f *Flights[T]) Do(ctx context.Context, name, key string, fn func() (T, error)) (out T, err error) {
	f.mu.Lock()
	if f.names == nil {
		f.names = map[string]*lane[T]{}
	}
	l := f.names[name]
	if l == nil {
		l = &lane[T]{}
		f.names[name] = l
	}
	for _, waiting := range l.queue {
		if waiting.key == key {
			f.mu.Unlock()
			select {
			case <-waiting.done:
				return waiting.out, waiting.err
			case <-ctx.Done():
				return out, ctx.Err()
			}
		}
	}
	c := &call[T]{key: key, start: make(chan struct{}), done: make(chan struct{})}
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
			f.finish(name, l, c, out, ctx.Err())
		}()
		return out, ctx.Err()
	}
	out, err = fn()
	f.finish(name, l, c, out, err)
	return out, err
}

func (f *Flights[T]) finish(name string, l *lane[T], c *call[T], out T, err error) {
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
