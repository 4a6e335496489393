package listing_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/listing"
)

type store string

func (s store) Place() any { return s }

// shared returns a context whose looks share lists of the place.
func shared(t *testing.T, at store) context.Context {
	lists := new(listing.Shared)
	for range 4 {
		lists.Want(at)
	}
	return lists.With(t.Context())
}

func TestLooksWaitForTheOneThatReadsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, reads := shared(t, "project"), atomic.Int32{}
		var looks sync.WaitGroup
		for range 3 {
			looks.Go(func() {
				all, ok := listing.Of(ctx, store("project"), "secrets", func() (int, error) {
					time.Sleep(time.Second) // virtual
					return int(reads.Add(1)), nil
				})
				if all != 1 || !ok {
					t.Errorf("%d, %v", all, ok)
				}
			})
		}
		over, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		synctest.Wait()
		if _, ok := listing.Of(over, store("project"), "secrets", func() (int, error) { return 2, nil }); ok {
			t.Error("a look whose time is over got the list")
		}
		looks.Wait()
	})
}

func TestALookReadsItsOwnPartWithoutAList(t *testing.T) {
	for name, c := range map[string]struct {
		swept store // "" outside of a sweep
		err   error
	}{
		"outside of a sweep":     {},
		"in a sweep of few":      {swept: "another"},
		"if the list is refused": {swept: "project", err: errors.New("denied")},
	} {
		ctx := t.Context()
		if c.swept != "" {
			ctx = shared(t, c.swept)
		}
		if _, ok := listing.Of(ctx, store("project"), "secrets", func() (int, error) { return 1, c.err }); ok {
			t.Errorf("%s: it uses the list", name)
		}
	}
}

func TestAListWhoseReaderPanicsIsNone(t *testing.T) {
	ctx := shared(t, "project")
	func() {
		defer func() { _ = recover() }()
		listing.Of(ctx, store("project"), "secrets", func() (int, error) { panic("bent") })
	}()
	if _, ok := listing.Of(ctx, store("project"), "secrets", func() (int, error) { return 1, nil }); ok {
		t.Error("it uses a list that was not read")
	}
}
