// Package start keeps the garbage collector away from the start of the program.
//
// The libraries allocate 3 MB when they initialize themselves, whether they are used or
// not. With Go's usual first limit of 4 MB the collector would run before the first answer,
// for a quarter of the start's CPU time. The package imports little, so it is initialized
// before they have allocated that much.
//
// A job gets a smaller heap after its start: see Lean.
package start

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	enough = 400 // percent: the heap may grow to 16 MB
	lasts  = time.Second
	lean   = 50 // percent: what a job may have beside what is in use
)

func init() { //nolint:gochecknoinits // what runs later comes after the libraries
	lift(lasts)
}

// usual is the limit that holds after the start, in percent.
var usual struct {
	sync.Mutex
	percent int
	holds   bool
}

// Lean lowers the limit of the heap beside what is in use, unless the variable GOGC sets it.
// It is for a process that mostly waits for answers, and ends soon.
func Lean() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual.Lock()
	defer usual.Unlock()
	usual.percent = lean
	if usual.holds {
		debug.SetGCPercent(lean)
	}
}

// lift raises the first limit of the heap. The usual one holds again after the first
// collection, since later limits are multiples of what is in use, and after most at the
// latest. Then the channel is closed.
func lift(most time.Duration) (restored <-chan struct{}) {
	usual.Lock()
	defer usual.Unlock()
	usual.percent, usual.holds = debug.SetGCPercent(enough), false
	done := make(chan struct{})
	restore := sync.OnceFunc(func() {
		usual.Lock()
		defer usual.Unlock()
		usual.holds = true
		debug.SetGCPercent(usual.percent)
		close(done)
	})
	time.AfterFunc(most, restore)
	unused := new([64]byte) // the first collection finds it
	runtime.AddCleanup(unused, func(restore func()) { restore() }, restore)
	return done
}
