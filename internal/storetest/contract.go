package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func sameName(b *bench) {
	name, guarded := b.Store.Name(), b.Store.Guarded()
	if name == "" {
		b.t.Error("the store has no name")
	}
	b.first()
	if b.Store.Name() != name || b.Store.Guarded() != guarded {
		b.t.Errorf("name and guard changed from %q, %v to %q, %v", name, guarded, b.Store.Name(), b.Store.Guarded())
	}
	if b.Other.Name() != name || b.Other.Guarded() != guarded {
		b.t.Errorf("the name and guard of the other store are %q, %v; want %q, %v", b.Other.Name(), b.Other.Guarded(), name, guarded)
	}
}

func absent(b *bench) {
	if first, again := b.vacant(b.Store), b.vacant(b.Store); first != again {
		b.t.Errorf("two reads of an absent entry have revisions %q and %q", first, again)
	}
}

func absentBeside(b *bench) {
	b.needs(b.Neighbour != nil, "Neighbour")
	check := b.Neighbour(b.t)
	e := b.entry()
	b.publish(b.Store, e, b.vacant(b.Store))
	b.holds(e)
	check(b.t)
}

func readBack(b *bench) {
	e := b.entry()
	b.publish(b.Store, e, b.vacant(b.Store))
	b.holds(e)
}

func readElsewhere(b *bench) {
	e := b.entry()
	revision := b.vacant(b.Other)
	b.publish(b.Store, e, revision) // a store that has not read it
	b.holds(e)
	// A store that read an older revision before.
	b.read(b.Store)
	b.publish(b.Other, b.entry(), b.read(b.Other).Revision)
	next := b.entry()
	b.publish(b.Store, next, b.read(b.Other).Revision)
	b.holds(next)
}

func revisionMoves(b *bench) {
	vacant := b.vacant(b.Store)
	b.publish(b.Store, b.entry(), vacant)
	one, same := b.read(b.Store).Revision, b.read(b.Other).Revision
	if one == "" || one == vacant || one != same {
		b.t.Errorf("revisions: %q before, then %q, and %q for another process", vacant, one, same)
	}
	b.publish(b.Store, b.entry(), one)
	if two := b.read(b.Store).Revision; two == one {
		b.t.Errorf("the revision is still %q after another publication", two)
	}
}

func replaced(b *bench) {
	before := b.first()
	e := b.entry()
	b.publish(b.Store, e, before.Revision)
	b.holds(e)
}

func stale(b *bench) {
	old := b.first()
	now := b.entry()
	b.publish(b.Other, now, old.Revision)
	b.want(b.Store.Publish(b.t.Context(), b.entry(), old.Revision), port.ErrConflict, "publishing at a stale revision")
	b.holds(now)
	// Again: what the first attempt read must not make the second succeed.
	b.want(b.Store.Publish(b.t.Context(), b.entry(), old.Revision), port.ErrConflict, "publishing at a stale revision again")
	b.holds(now)
}

func created(b *bench) {
	vacant := b.vacant(b.Store)
	e := b.entry()
	b.publish(b.Other, e, vacant)
	b.want(b.Store.Publish(b.t.Context(), b.entry(), vacant), port.ErrConflict, "creating what exists")
	b.holds(e)
}

func raceToCreate(b *bench)  { race(b, b.vacant(b.Store)) }
func raceToReplace(b *bench) { race(b, b.first().Revision) }

// race lets several publishers of both stores start from one revision.
func race(b *bench, revision string) {
	const publishers = 8
	entries, errs := make([]port.Entry, publishers), make([]error, publishers)
	for i := range entries {
		entries[i] = b.entry()
	}
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range entries {
		s := []port.Store{b.Store, b.Other}[i%2]
		all.Go(func() {
			<-start
			errs[i] = s.Publish(b.t.Context(), entries[i], revision)
		})
	}
	close(start)
	all.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err != nil:
			b.want(err, port.ErrConflict, "losing the race")
		case winner >= 0:
			b.t.Errorf("publishers %d and %d both won", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		b.t.Fatal("no publisher won")
	}
	b.holds(entries[winner])
}

func neighboursKept(b *bench) {
	b.needs(b.Neighbour != nil, "Neighbour")
	one, two := b.Neighbour(b.t), b.Neighbour(b.t)
	before := b.first()
	one(b.t)
	two(b.t)
	b.publish(b.Store, b.entry(), before.Revision)
	one(b.t)
	two(b.t)
	// A store that has not read the location must keep them as well.
	b.publish(b.Other, b.entry(), b.read(b.Store).Revision)
	one(b.t)
	two(b.t)
}

func neighbourMoves(b *bench) {
	b.needs(b.Neighbour != nil, "Neighbour")
	before := b.first()
	check := b.Neighbour(b.t)
	e := b.entry()
	// A server may guard the whole location or only the entry.
	if err := b.Store.Publish(b.t.Context(), e, before.Revision); err != nil {
		b.want(err, port.ErrConflict, "publishing after a neighbour's change")
		check(b.t)
		b.holds(before)
		b.publish(b.Store, e, b.read(b.Store).Revision)
	}
	check(b.t)
	b.holds(e)
}

func handwritten(b *bench) {
	b.needs(b.Handwrite != nil, "Handwrite")
	const value = "canary-by-hand-kT5uW9xQ2mZ7rB4nC8vL1pS6"
	b.values = append(b.values, value)
	b.Handwrite(b.t, value)
	got := b.read(b.Store)
	if !got.Unmarked() || !got.Value.Equal(secret.New(value)) {
		b.t.Errorf("a value written by hand has key %q; unmarked is %v", got.KeyID, got.Unmarked())
	}
	e := b.entry()
	b.publish(b.Store, e, got.Revision)
	b.holds(e)
}

func removed(b *bench) {
	b.needs(b.Remove != nil, "Remove")
	b.first()
	b.Remove(b.t)
	e := b.entry()
	b.publish(b.Store, e, b.vacant(b.Store))
	b.holds(e)
}

func removedMeanwhile(b *bench) {
	b.needs(b.Remove != nil, "Remove")
	for name, s := range map[string]port.Store{"has read it": b.Store, "has not": b.Other} {
		e := b.first()
		b.Remove(b.t)
		b.want(s.Publish(b.t.Context(), b.entry(), e.Revision), port.ErrConflict, "publishing over a deletion by a store that "+name)
		b.vacant(b.Store)
	}
}

func cancelled(b *bench) {
	vacant := b.vacant(b.Store)
	ctx := cancelledContext(b.t)
	unclearBecause(b, b.Store.Publish(ctx, b.entry(), vacant), context.Canceled, "publishing")
	_, err := b.Store.Read(ctx)
	unclearBecause(b, err, context.Canceled, "reading")
	b.vacant(b.Store) // nothing was sent
	e := b.first()
	unclearBecause(b, b.Store.Publish(ctx, b.entry(), e.Revision), context.Canceled, "replacing")
	b.holds(e)
}

func hanging(b *bench) {
	b.needs(b.Hang != nil, "Hang")
	e := b.first()
	b.Hang(b.t)
	const patience = 50 * time.Millisecond
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(b.t.Context(), patience)
		b.t.Cleanup(cancel)
		return ctx
	}
	_, err := b.Store.Read(short())
	unclearBecause(b, err, context.DeadlineExceeded, "reading")
	unclearBecause(b, b.Store.Publish(short(), b.entry(), e.Revision), context.DeadlineExceeded, "publishing")
}

func tooOld(b *bench) {
	ctx := TooOld(b.t)
	vacant := b.vacant(b.Store)
	b.want(b.Store.Publish(ctx, b.entry(), vacant), port.ErrUnavailable, "creating in a run that is too old")
	b.vacant(b.Store)
	b.first()
	e, err := b.Store.Read(ctx)
	b.want(err, nil, "reading in a run that is too old")
	b.want(b.Store.Publish(ctx, b.entry(), e.Revision), port.ErrUnavailable, "replacing in a run that is too old")
	b.holds(e)
}

// unclearBecause wants ErrUnavailable with the context's cause.
func unclearBecause(b *bench, err, cause error, doing string) {
	b.t.Helper()
	b.want(err, port.ErrUnavailable, doing+" in a context that has ended")
	if !errors.Is(err, cause) {
		b.t.Errorf("%s: %q does not contain %q", doing, err, cause)
	}
}

func unclear(b *bench) {
	b.needs(len(b.Unclear) > 0, "Unclear")
	// Each way affects the next write, so one location serves them all.
	for way, lose := range b.Unclear {
		b.t.Run(way, func(t *testing.T) {
			in := &bench{Location: b.Location, t: t, made: b.made}
			defer func() { b.made = in.made }()
			now, err := in.Store.Read(t.Context())
			if !errors.Is(err, port.ErrNotFound) {
				in.want(err, nil, "reading")
			}
			for range 2 { // a creation or a replacement, and a replacement
				e := in.entry()
				lose(t)
				in.want(in.Store.Publish(t.Context(), e, now.Revision), port.ErrUnavailable, "publishing with the answer lost")
				in.holds(e)
				if in.Store.Guarded() {
					// A repetition is a conflict with itself and changes nothing.
					in.want(in.Store.Publish(t.Context(), e, now.Revision), port.ErrConflict, "publishing it again")
					in.holds(e)
				}
				now = in.read(in.Store)
			}
		})
	}
}

func down(b *bench) {
	b.needs(b.Down != nil, "Down")
	e := b.first()
	up := b.Down(b.t)
	_, err := b.Store.Read(b.t.Context())
	b.want(err, port.ErrUnavailable, "reading from a server that is down")
	b.want(b.Store.Publish(b.t.Context(), b.entry(), e.Revision), port.ErrUnavailable, "publishing to a server that is down")
	b.want(b.Other.Publish(b.t.Context(), b.entry(), e.Revision), port.ErrUnavailable, "publishing to a server that is down")
	up()
	b.holds(e)
	next := b.entry()
	b.publish(b.Store, next, b.read(b.Store).Revision)
	b.holds(next)
}

func denied(b *bench) {
	b.needs(b.Deny != nil, "Deny")
	vacant := b.vacant(b.Store)
	allow := b.Deny(b.t)
	b.lacks(b.Store.Publish(b.t.Context(), b.entry(), vacant), "creating without permission")
	allow()
	e := b.first()
	allow = b.Deny(b.t)
	b.lacks(b.Store.Publish(b.t.Context(), b.entry(), e.Revision), "replacing without permission")
	allow()
	b.holds(e)
}

// lacks wants an error that names the missing permission.
func (b *bench) lacks(err error, doing string) {
	b.t.Helper()
	b.want(err, port.ErrDenied, doing)
	for _, word := range b.Permission {
		if err != nil && !strings.Contains(err.Error(), word) {
			b.t.Errorf("%s: %q does not contain %q", doing, err, word)
		}
	}
}

func full(b *bench) {
	b.needs(b.Fill != nil, "Fill")
	vacant := b.vacant(b.Store)
	b.Fill(b.t)
	b.want(b.Store.Publish(b.t.Context(), b.entry(), vacant), port.ErrQuota, "creating on a full server")
	// A store that tries to create returns it here already, which saves a key.
	if _, err := b.Store.Read(b.t.Context()); !errors.Is(err, port.ErrQuota) {
		b.want(err, port.ErrNotFound, "reading on a full server")
	}
}

func tooLong(b *bench) {
	b.needs(b.Longest > 0, "Longest")
	long := func(n int) port.Entry {
		e := b.entry()
		e.Value = secret.New(b.values[len(b.values)-1] + strings.Repeat("x", n-len(e.Value.Expose())))
		return e
	}
	vacant := b.vacant(b.Store)
	b.want(b.Store.Publish(b.t.Context(), long(b.Longest+1), vacant), port.ErrRefused, "creating with a value that is too long")
	b.vacant(b.Store)
	e := b.first()
	b.want(b.Store.Publish(b.t.Context(), long(b.Longest+1), e.Revision), port.ErrRefused, "replacing with a value that is too long")
	b.holds(e)
}

func misnamed(b *bench) {
	b.needs(len(b.Misnamed) > 0, "Misnamed")
	for fault, s := range b.Misnamed {
		e, err := s.Read(b.t.Context())
		b.want(err, port.ErrRefused, "reading where "+fault)
		b.want(s.Publish(b.t.Context(), b.entry(), e.Revision), port.ErrRefused, "publishing where "+fault)
	}
}

func writeOnly(b *bench) {
	b.needs(b.WriteOnly != nil, "WriteOnly")
	blind := b.WriteOnly(b.t)
	e := b.entry()
	b.publish(blind, e, b.vacant(blind))
	b.holds(e)
	check := func(*testing.T) {}
	if b.Neighbour != nil {
		check = b.Neighbour(b.t)
		b.publish(b.Store, e, b.read(b.Store).Revision) // the neighbour may have removed the metadata
	}
	for range 2 {
		got := b.read(blind)
		if got.KeyID != e.KeyID || got.IAMID != e.IAMID || got.Owner != e.Owner || !got.Created.Equal(e.Created) {
			b.t.Errorf("it reads key %s of %s, made %s by %s; want %s of %s, made %s by %s",
				got.KeyID, got.IAMID, got.Created, got.Owner, e.KeyID, e.IAMID, e.Created, e.Owner)
		}
		if !got.Value.Empty() && !got.Value.Equal(e.Value) {
			b.t.Error("it reads another value")
		}
		e = b.entry()
		b.publish(blind, e, got.Revision)
		b.holds(e)
		check(b.t)
	}
	old := b.read(blind)
	b.publish(b.Store, b.entry(), b.read(b.Store).Revision)
	if blind.Guarded() {
		b.want(blind.Publish(b.t.Context(), b.entry(), old.Revision), port.ErrConflict, "publishing at a stale revision")
	}
}
