// Package storetest is the contract of a reconcile.Store as one suite. Every
// adapter passes it, against its real server or the emulator:
//
//	func TestStoreKeepsTheContract(t *testing.T) {
//		storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Place {
//			server := startServer(t)
//			return storetest.Place{
//				Store: newClient(server).Store(…),
//				Other: newClient(server).Store(…),
//				Neighbour: func(t *testing.T) func(*testing.T) { … },
//				Down:      func(t *testing.T) func() { … },
//			}
//		}})
//	}
//
// What Place leaves nil can't be brought about with that server; the tests that
// need it are skipped and say so. Whatever the suite does, it looks at every
// error that it gets for the values that it wrote: none may be quoted.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Harness makes places to test on.
type Harness struct {
	// New makes a place without an entry. It is called once per test and cleans
	// up by t.Cleanup.
	New func(t *testing.T) Place
}

// Place is where one entry can be, with the hands of those who have to do with
// it. Only Store and Other are needed.
type Place struct {
	// Store is under test.
	Store reconcile.Store
	// Other is the same place as another process sees it: it shares nothing
	// with Store but the server.
	Other reconcile.Store
	// Exclusive says that of those who start from one revision the server lets
	// one through, although the store is not Guarded: it does not compare, so a
	// process that stood still for long may yet get through.
	Exclusive bool

	// Neighbour adds something of somebody else's to the place, something new
	// on each call, and creates the place if it has to. The function that it
	// returns fails the test unless that is still there, unchanged.
	Neighbour func(t *testing.T) (check func(t *testing.T))
	// Handwrite puts a value in the entry as a person would: without a key ID.
	Handwrite func(t *testing.T, value string)
	// Remove deletes the place as a person would, neighbours and all.
	Remove func(t *testing.T)

	// Unclear are the ways in which the next write can be done while its answer
	// gets lost, by a name such as "the connection drops".
	Unclear map[string]func(t *testing.T)
	// Down makes every call fail without an effect, until up is called.
	Down func(t *testing.T) (up func())
	// Hang makes every call hang until its context ends.
	Hang func(t *testing.T)
	// Deny takes the permission to write, if not to read as well, until allow
	// is called.
	Deny func(t *testing.T) (allow func())
	// Permission are words that an error must have when Deny caused it: they
	// name what is missing.
	Permission []string
	// Fill uses up what the server grants: nothing more can be created.
	Fill func(t *testing.T)
	// Longest is the length of the longest value that fits, in bytes.
	Longest int
	// Misnamed are stores whose names the server never takes, by what is wrong
	// with each.
	Misnamed map[string]reconcile.Store
	// WriteOnly is the place as one sees it who may write the entry and learn
	// which key it has, but may not read values.
	WriteOnly func(t *testing.T) reconcile.Store
}

// Run tests the contract. A store that does not compare and set is excused from
// the tests that need it, unless its server is Exclusive.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range contract {
		t.Run(c.sentence, func(t *testing.T) {
			b := &bench{t: t, Place: h.New(t)}
			if b.Store == nil || b.Other == nil {
				t.Fatal("the harness made a place without Store and Other")
			}
			if c.guarded && !b.Store.Guarded() && !b.Exclusive {
				t.Skip("this store does not compare and set")
			}
			c.test(b)
		})
	}
}

// contract is the suite in the order in which a reader would want it.
var contract = []struct {
	sentence string
	guarded  bool
	test     func(*bench)
}{
	{"a store has one name and one kind of guard", false, sameName},
	{"reading an absent entry says not found", false, absent},
	{"an absent entry says not found beside its neighbours", false, absentBeside},
	{"what was published is read back", false, readBack},
	{"what was published is what another process reads", false, readElsewhere},
	{"a revision lives until the next publication", false, revisionMoves},
	{"a publication over another one replaces it as a whole", false, replaced},
	{"a stale revision is a conflict and changes nothing", true, stale},
	{"creating what exists is a conflict and changes nothing", true, created},
	{"of concurrent first publications exactly one wins", true, raceToCreate},
	{"of concurrent replacements exactly one wins", true, raceToReplace},
	{"neighbours survive the creation and the replacement of an entry", false, neighboursKept},
	{"a neighbour's change after the read is not lost", false, neighbourMoves},
	{"a value without a key ID is reported and can be replaced", false, handwritten},
	{"an entry that a person deleted is created again", false, removed},
	{"a deletion after the read is a conflict", true, removedMeanwhile},
	{"a cancelled call is unclear and says why", false, cancelled},
	{"a call that hangs ends with its context", false, hanging},
	{"a run that is too old to write writes nothing", false, tooOld},
	{"after an unclear answer the next read tells", false, unclear},
	{"a server that is down gives no clear answer", false, down},
	{"a missing permission is denied and changes nothing", false, denied},
	{"a full server is a quota and changes nothing", false, full},
	{"a value that is too long is refused and changes nothing", false, tooLong},
	{"a name that the server never takes is refused", false, misnamed},
	{"who may not read values publishes all the same", false, writeOnly},
}

// bench is one test's place with what the tests have in common.
type bench struct {
	Place
	t      *testing.T
	made   int
	values []string // all that may stand in no error
}

// entry makes an entry with everything in it, different each time.
func (b *bench) entry() reconcile.Entry {
	b.made++
	value := fmt.Sprintf("canary-%02d-kT5uW9xQ2mZ7rB4nC8vL1pS6hJ3fD0gY", b.made)
	b.values = append(b.values, value)
	return reconcile.Entry{
		KeyID: fmt.Sprintf("ApiKey-%04d", b.made),
		Value: secret.New(value),
		// IAM's clock has whole minutes.
		Created: time.Date(2026, time.November, 24, 10, b.made%60, 0, 0, time.UTC),
		IAMID:   fmt.Sprintf("iam-ServiceId-%04d", b.made),
		Owner:   "storetest",
	}
}

// want fails unless err is of the wanted sort and of no other; nil wants
// success. It looks for values in the error.
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
			b.t.Errorf("%s: %q is %q, too; one error must mean one thing", doing, err, other)
		}
	}
}

var sorts = []error{
	reconcile.ErrNotFound, reconcile.ErrConflict, reconcile.ErrDenied, reconcile.ErrRefused,
	reconcile.ErrQuota, reconcile.ErrNotActive, reconcile.ErrNotYet, reconcile.ErrUnavailable,
}

// clean fails if the error, or one that it wraps, prints a value.
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
func (b *bench) read(s reconcile.Store) reconcile.Entry {
	b.t.Helper()
	e, err := s.Read(b.t.Context())
	b.want(err, nil, "reading")
	return e
}

// vacant returns the revision at which an entry can be created.
func (b *bench) vacant(s reconcile.Store) string {
	b.t.Helper()
	e, err := s.Read(b.t.Context())
	b.want(err, reconcile.ErrNotFound, "reading an absent entry")
	if !e.Value.Empty() || e.KeyID != "" {
		b.t.Errorf("an absent entry has key %q and %d bytes of value", e.KeyID, len(e.Value.Expose()))
	}
	return e.Revision
}

// publish must succeed.
func (b *bench) publish(s reconcile.Store, e reconcile.Entry, revision string) {
	b.t.Helper()
	b.want(s.Publish(b.t.Context(), e, revision), nil, "publishing")
}

// first publishes the first entry and returns it as it was read back.
func (b *bench) first() reconcile.Entry {
	b.t.Helper()
	b.publish(b.Store, b.entry(), b.vacant(b.Store))
	return b.read(b.Store)
}

// holds fails unless the place has exactly this entry, whoever looks.
func (b *bench) holds(want reconcile.Entry) {
	b.t.Helper()
	for who, s := range map[string]reconcile.Store{"the store": b.Store, "another process": b.Other} {
		got := b.read(s)
		if got.KeyID != want.KeyID || !got.Value.Equal(want.Value) || !got.Created.Equal(want.Created) ||
			got.IAMID != want.IAMID || got.Owner != want.Owner {
			b.t.Errorf("%s reads key %s of %s, made %s by %s, value %s; want key %s of %s, made %s by %s, value %s", who,
				got.KeyID, got.IAMID, got.Created, got.Owner, got.Value.Fingerprint(),
				want.KeyID, want.IAMID, want.Created, want.Owner, want.Value.Fingerprint())
		}
		if got.Revision == "" {
			b.t.Errorf("%s reads no revision", who)
		}
	}
}

// needs skips the test when the harness lacks a hand for it.
func (b *bench) needs(there bool, what string) {
	b.t.Helper()
	if !there {
		b.t.Skip("the harness has no " + what)
	}
}

// TooOld returns the context of a run that is too old to write.
func TooOld(t *testing.T) context.Context {
	t.Helper()
	return reconcile.WithWriteCheck(t.Context(), func() error { return errors.New("this run is too old to write") })
}

// cancelledContext is over before it starts.
func cancelledContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
