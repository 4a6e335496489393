// Package storetest tests the contract of a port.Store. Every adapter runs
// the suite against its real server or the emulator:
//
//	func TestStoreKeepsTheContract(t *testing.T) {
//		storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
//			server := startServer(t)
//			return storetest.Location{
//				Store: newClient(server).Store(…),
//				Other: newClient(server).Store(…),
//				Neighbour: func(t *testing.T) func(*testing.T) { … },
//				Down:      func(t *testing.T) func() { … },
//			}
//		}})
//	}
//
// A test that needs a field of Location which is nil is skipped and names the
// field. The suite checks every error that it gets for the values that it wrote:
// no error may quote one.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Harness creates locations for tests.
type Harness struct {
	// New creates a location without an entry. It is called once per test and
	// cleans up with t.Cleanup.
	New func(t *testing.T) Location
}

// Location is where one entry lives, with functions that change the server. Only
// Store and Other are required.
type Location struct {
	// Store is the store under test.
	Store port.Store
	// Other is a store of another process at the same location. It shares only
	// the server with Store.
	Other port.Store
	// Exclusive reports that the server lets one of several writers of one
	// revision succeed, although the store is not Guarded: a process that was
	// suspended for long may still succeed later.
	Exclusive bool

	// Neighbour adds data of another writer to the location, different data on
	// each call. It creates the location if needed. check fails the test unless
	// the data is still there, unchanged.
	Neighbour func(t *testing.T) (check func(t *testing.T))
	// Handwrite writes a value without a key ID to the entry, as a person would.
	Handwrite func(t *testing.T, value string)
	// Remove deletes the location with its neighbours, as a person would.
	Remove func(t *testing.T)

	// Whole reports that the entry is all of the location: removing it removes what
	// neighbours wrote there.
	Whole bool
	// AllowRemove grants what only the removal of an entry needs. Nil grants nothing.
	AllowRemove func(t *testing.T)

	// Unclear has the ways to do the next write and lose its answer, by a name
	// such as "the connection drops".
	Unclear map[string]func(t *testing.T)
	// Down makes every call fail without an effect until up is called.
	Down func(t *testing.T) (up func())
	// Hang makes every call block until its context ends.
	Hang func(t *testing.T)
	// Deny removes the permission to write until allow is called. It may remove
	// the permission to read as well.
	Deny func(t *testing.T) (allow func())
	// Permission has the words that an error caused by Deny must contain. They
	// name the missing permission.
	Permission []string
	// Fill uses up the server's quota: nothing more can be created.
	Fill func(t *testing.T)
	// Longest is the maximum length of a value in bytes.
	Longest int
	// Misnamed has stores with names that the server rejects, by the fault of
	// each.
	Misnamed map[string]port.Store
	// WriteOnly returns a store at the location that may write the entry and read
	// its metadata, but not its value.
	WriteOnly func(t *testing.T) port.Store
}

// Run tests the contract. It skips the tests of compare-and-set for a store that
// is not Guarded, unless its server is Exclusive.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range contract {
		t.Run(c.sentence, func(t *testing.T) {
			b := &bench{t: t, Location: h.New(t)}
			if b.Store == nil || b.Other == nil {
				t.Fatal("the location has no Store or no Other")
			}
			if c.guarded && !b.Store.Guarded() && !b.Exclusive {
				t.Skip("this store does not compare and set")
			}
			c.test(b)
		})
	}
}

// contract is the suite, in reading order.
var contract = []struct {
	sentence string
	guarded  bool
	test     func(*bench)
}{
	{"a store has one name and one kind of guard", false, sameName},
	{"reading an absent entry returns not found", false, absent},
	{"reading an absent entry beside its neighbours returns not found", false, absentBeside},
	{"what was published is read back", false, readBack},
	{"what was published is what another process reads", false, readElsewhere},
	{"a revision is valid until the next publication", false, revisionMoves},
	{"a publication replaces the whole entry", false, replaced},
	{"a stale revision is a conflict and changes nothing", true, stale},
	{"creating what exists is a conflict and changes nothing", true, created},
	{"of concurrent first publications exactly one wins", true, raceToCreate},
	{"of concurrent replacements exactly one wins", true, raceToReplace},
	{"neighbours survive the creation and the replacement of an entry", false, neighboursKept},
	{"a neighbour's change after the read is not lost", false, neighbourMoves},
	{"a value without a key ID is reported and can be replaced", false, handwritten},
	{"a deleted entry is created again", false, removed},
	{"a deletion after the read is a conflict", true, removedMeanwhile},
	{"a cancelled call gives no clear answer and names the cause", false, cancelled},
	{"a call that hangs ends with its context", false, hanging},
	{"a run that is too old to write writes nothing", false, tooOld},
	{"after a lost answer the next read is right", false, unclear},
	{"a server that is down gives no clear answer", false, down},
	{"a missing permission is named and changes nothing", false, denied},
	{"a full server is a quota error and changes nothing", false, full},
	{"a value that is too long is refused and changes nothing", false, tooLong},
	{"a name that the server rejects is refused", false, misnamed},
	{"a store that may not read values publishes", false, writeOnly},
	{"an entry that is removed is absent, and its neighbours are kept", false, removes},
	{"a location with nothing else in it is removed with the entry", false, removesAll},
	{"removing an entry that changed is a conflict and changes nothing", false, removesStale},
	{"an entry is removed once, and made again after that", false, removesTwice},
}

// bench is one test's location with what the tests share.
type bench struct {
	Location
	t      *testing.T
	made   int
	values []string // no error may contain one of these
}

// entry returns a complete entry, a different one on each call.
func (b *bench) entry() port.Entry {
	b.made++
	value := fmt.Sprintf("canary-%02d-kT5uW9xQ2mZ7rB4nC8vL1pS6hJ3fD0gY", b.made)
	b.values = append(b.values, value)
	return port.Entry{
		KeyID: fmt.Sprintf("ApiKey-%04d", b.made),
		Value: secret.New(value),
		// IAM's times have whole minutes.
		Created: time.Date(2026, time.November, 24, 10, b.made%60, 0, 0, time.UTC),
		IAMID:   fmt.Sprintf("iam-ServiceId-%04d", b.made),
		Owner:   "storetest",
	}
}

// want fails the test unless err wraps the sentinel sort and no other. A nil sort
// means success. It also fails if the error contains a value.
func (b *bench) want(err, sort error, doing string) {
	b.t.Helper()
	b.clean(err)
	if sort == nil {
		if err != nil {
			b.t.Fatalf("%s: %v", doing, err)
		}
		return
	}
	if err == nil {
		b.t.Fatalf("%s: no error, want one that is %q", doing, sort)
	}
	if !errors.Is(err, sort) {
		b.t.Errorf("%s: %q is not %q", doing, err, sort)
	}
	for _, other := range sorts {
		if errors.Is(err, other) && !errors.Is(sort, other) {
			b.t.Errorf("%s: %q is also %q; an error must wrap one sentinel", doing, err, other)
		}
	}
}

var sorts = []error{
	port.ErrNotFound, port.ErrConflict, port.ErrDenied, port.ErrRefused,
	port.ErrQuota, port.ErrNotActive, port.ErrNotYet, port.ErrUnavailable,
}

// clean fails the test if the error, or one that it wraps, prints a value.
func (b *bench) clean(err error) {
	b.t.Helper()
	if err == nil {
		return
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		printed := fmt.Sprintf(verb, err)
		for _, v := range b.values {
			if strings.Contains(printed, v) {
				b.t.Errorf("an error quotes a value with %s: %s", verb, strings.ReplaceAll(printed, v, "‹the value›"))
			}
		}
	}
	switch err := err.(type) { //nolint:errorlint // the tree itself is walked
	case interface{ Unwrap() error }:
		b.clean(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			b.clean(e)
		}
	}
}

// read returns the entry and its revision.
func (b *bench) read(s port.Store) port.Entry {
	b.t.Helper()
	e, err := s.Read(b.t.Context())
	b.want(err, nil, "reading")
	return e
}

// vacant returns the revision at which an entry can be created.
func (b *bench) vacant(s port.Store) string {
	b.t.Helper()
	e, err := s.Read(b.t.Context())
	b.want(err, port.ErrNotFound, "reading an absent entry")
	if !e.Value.Empty() || e.KeyID != "" {
		b.t.Errorf("an absent entry has key %q and %d bytes of value", e.KeyID, len(e.Value.Expose()))
	}
	return e.Revision
}

// publish publishes the entry and fails the test unless that succeeds.
func (b *bench) publish(s port.Store, e port.Entry, revision string) {
	b.t.Helper()
	b.want(s.Publish(b.t.Context(), e, revision), nil, "publishing")
}

// first publishes the first entry and returns what it reads back.
func (b *bench) first() port.Entry {
	b.t.Helper()
	b.publish(b.Store, b.entry(), b.vacant(b.Store))
	return b.read(b.Store)
}

// holds fails the test unless both stores read exactly this entry.
func (b *bench) holds(want port.Entry) {
	b.t.Helper()
	for name, s := range map[string]port.Store{"the store": b.Store, "another process": b.Other} {
		got := b.read(s)
		if got.KeyID != want.KeyID || !got.Value.Equal(want.Value) || !got.Created.Equal(want.Created) ||
			got.IAMID != want.IAMID || got.Owner != want.Owner {
			b.t.Errorf("%s reads key %s of %s, made %s by %s, value %s; want key %s of %s, made %s by %s, value %s", name,
				got.KeyID, got.IAMID, got.Created, got.Owner, got.Value.Fingerprint(),
				want.KeyID, want.IAMID, want.Created, want.Owner, want.Value.Fingerprint())
		}
		if got.Revision == "" {
			b.t.Errorf("%s reads no revision", name)
		}
	}
}

// needs skips the test if the location lacks a field.
func (b *bench) needs(there bool, what string) {
	b.t.Helper()
	if !there {
		b.t.Skip("the location has no " + what)
	}
}

// TooOld returns the context of a run that is too old to write.
func TooOld(t *testing.T) context.Context {
	t.Helper()
	return fence.WithCheck(t.Context(), func() error { return errors.New("this run is too old to write") })
}

// cancelledContext returns a context that is cancelled.
func cancelledContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
