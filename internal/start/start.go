// Package start keeps the garbage collector away from the start of the program.
//
// The libraries allocate 3 MB when they initialize themselves, whether they are used or
// not. With Go's usual first limit of 4 MB the collector would run before the first answer,
// for a quarter of the start's CPU time. The package imports little, so it is initialized
// before they have allocated that much.
package start

import (
	"runtime/debug"
	"time"
)

const (
	enough = 400 // percent: the heap may grow to 16 MB
	lasts  = time.Second
)

func init() { //nolint:gochecknoinits // what runs later comes after the libraries
	time.AfterFunc(lasts, lift())
}

// lift raises the limit of the heap, and returns what restores it.
func lift() (restore func()) {
	usual := debug.SetGCPercent(enough)
	return func() { debug.SetGCPercent(usual) }
}
