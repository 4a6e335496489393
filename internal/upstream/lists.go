package upstream

import (
	"context"
	"sync"
)

// Placed is a store that can be read with others of its place, such as one of the
// secrets of a project.
type Placed interface {
	// Place returns a comparable value, equal for stores of the same place.
	Place() any
}

// Lists are lists of places that the looks of one sweep share. A list may lag and may be
// partly old, so it only shows that a credential needs nothing; see package sweep.
type Lists struct {
	mu     sync.Mutex
	wanted map[any]int // stores by place
	read   map[listKey]*list
}

type listKey struct {
	place any
	what  string
}

type list struct {
	once  sync.Once
	value any
	err   error
}

// Want says that a look will read a store. All calls of Want come before the looks.
func (l *Lists) Want(store any) {
	p, ok := store.(Placed)
	if !ok {
		return
	}
	if l.wanted == nil {
		l.wanted = map[any]int{}
	}
	l.wanted[p.Place()]++
}

type listsKey struct{}

// With returns a context whose looks share the lists.
func (l *Lists) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, listsKey{}, l)
}

// few is how many stores of one place are read by themselves: a list shows more than
// what is asked for.
const few = 3

// Listed returns what read lists at a place. It is called once for all looks that share
// lists. Listed returns false if the caller has to read its own part: outside of a sweep,
// if the looks read few stores of the place, and if the list can't be read.
func Listed[T any](ctx context.Context, place any, what string, read func() (T, error)) (all T, ok bool) {
	l, _ := ctx.Value(listsKey{}).(*Lists)
	if l == nil || l.wanted[place] <= few {
		return all, false
	}
	l.mu.Lock()
	if l.read == nil {
		l.read = map[listKey]*list{}
	}
	key := listKey{place, what}
	if l.read[key] == nil {
		l.read[key] = &list{}
	}
	at := l.read[key]
	l.mu.Unlock()
	at.once.Do(func() { at.value, at.err = read() })
	all, ok = at.value.(T)
	return all, ok && at.err == nil
}
