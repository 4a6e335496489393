// Package start keeps the garbage collector away from the start of the program.
//
// The libraries allocate 3 MB when they initialize themselves, whether they are used or
// not. With Go's usual first limit of 4 MB the collector would run before the first answer,
// for a quarter of the start's CPU time. The package imports little, so it is initialized
// before they have allocated that much.
package start

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	enough = 400 // percent: the heap may grow to 16 MB
	lasts  = time.Second
)

func init() { //nolint:gochecknoinits // what runs later comes after the libraries
	lift(lasts)
}

// lift raises the first limit of the heap. The usual one holds again after the first
// collection, since later limits are multiples of what is in use, and after most at the
// latest. Then the channel is closed.
func lift(most time.Duration) (restored <-chan struct{}) {
	usual, done := debug.SetGCPercent(enough), make(chan struct{})
	restore := sync.OnceFunc(func() {
		debug.SetGCPercent(usual)
		close(done)
	})
	time.AfterFunc(most, restore)
	unused := new([64]byte) // the first collection finds it
	runtime.AddCleanup(unused, func(restore func()) { restore() }, restore)
	return done
}
