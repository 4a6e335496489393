// Package listing lets the looks of one sweep share lists, such as that of a project's
// secrets, so that a hundred of them cost one call.
package listing

import (
	"context"
	"errors"
	"sync"
)

// Placed is a store that can be read with others of its place, such as one of the
// secrets of a project.
type Placed interface {
	// Place returns a comparable value, equal for stores of the same place.
	Place() any
}

// Shared are lists of places that the looks of one sweep share. A list may lag and may be
// partly old, so it only shows that a credential needs nothing; see package sweep.
type Shared struct {
	mu     sync.Mutex
	wanted map[any]int // stores by place
	read   map[listKey]*list
}

type listKey struct {
	place any
	what  string
}

type list struct {
	done  chan struct{} // closed when the list was read
	value any
	err   error
}

// Want says that a look will read a store. All calls of Want come before the looks.
func (s *Shared) Want(store any) {
	p, ok := store.(Placed)
	if !ok {
		return
	}
	if s.wanted == nil {
		s.wanted = map[any]int{}
	}
	s.wanted[p.Place()]++
}

var errUnread = errors.New("the list was not read")

type sharedKey struct{}

// With returns a context whose looks share the lists.
func (s *Shared) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedKey{}, s)
}

// few is how many stores of one place are read by themselves: a list shows more than
// what is asked for.
const few = 3

// Of returns what read lists at a place. It is called once for all looks that share
// lists; the others wait for it. Of returns false if the caller has to read its own part:
// outside of a sweep, if the looks read few stores of the place, and if the list can't be
// read.
func Of[T any](ctx context.Context, place any, what string, read func() (T, error)) (all T, ok bool) {
	s, _ := ctx.Value(sharedKey{}).(*Shared)
	if s == nil || s.wanted[place] <= few {
		return all, false
	}
	s.mu.Lock()
	if s.read == nil {
		s.read = map[listKey]*list{}
	}
	key := listKey{place, what}
	at := s.read[key]
	first := at == nil
	if first {
		at = &list{done: make(chan struct{}), err: errUnread}
		s.read[key] = at
	}
	s.mu.Unlock()
	if first {
		func() {
			defer close(at.done) // even if read panics
			at.value, at.err = read()
		}()
	}
	select {
	case <-at.done:
	case <-ctx.Done():
		return all, false
	}
	all, ok = at.value.(T)
	return all, ok && at.err == nil
}
