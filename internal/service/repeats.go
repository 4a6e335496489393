package service

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
)

const (
	// maxAge is the age from which a signed delivery, or a request to provision, is
	// refused: it may have been captured and sent again.
	maxAge = 24 * time.Hour
	// mostRepeats is how many events one process remembers.
	mostRepeats = 10_000
)

// repeats remembers events, so that one that comes again is the same event. It is the
// memory of one process: another one does not have it.
type repeats struct {
	mu    sync.Mutex
	first map[fingerprint]*firstTime
	order []fingerprint // the oldest first
}

// fingerprint identifies an event and its sender.
type fingerprint [16]byte

// firstTime is what is known of an event that came before.
type firstTime struct {
	seen        time.Time
	at          time.Time // the event's time, or when it was seen
	provisioned bool      // it made what it requested
}

func newRepeats() repeats { return repeats{first: map[fingerprint]*firstTime{}} }

// delivery returns the event of a signed delivery. One that comes again has the time of
// the first, so that it demands nothing new.
func (r *repeats) delivery(hook string, e event.Event, now time.Time) (event.Event, error) {
	if err := young(e, now); err != nil {
		return e, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.remember(fingerprintOf("delivery", hook, e.ID()), e, now)
	e.SetTime(f.at)
	return e, nil
}

// provision turns a request to provision into a look if the same event has made its
// credential before: what was deleted since needs a new event. The error is
// event.ErrMalformed if the event is too old. fulfilled records that the event's
// requests are done.
func (r *repeats) provision(e event.Event, requests []event.Request, caller string, now time.Time) (allowed []event.Request, fulfilled func(), err error) {
	isProvision := func(q event.Request) bool { return q.Verb == event.Provision }
	if !slices.ContainsFunc(requests, isProvision) {
		return requests, func() {}, nil
	}
	if err := young(e, now); err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.remember(fingerprintOf("provision", caller, e.Source(), e.ID(), string(e.Data())), e, now)
	if f.provisioned {
		requests = slices.Clone(requests)
		for i := range requests {
			if isProvision(requests[i]) {
				requests[i].Verb = event.Look
			}
		}
	}
	return requests, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f.provisioned = true
	}, nil
}

// remember returns what is known of an event. Callers hold the lock.
func (r *repeats) remember(of fingerprint, e event.Event, now time.Time) *firstTime {
	for len(r.order) > 0 && (len(r.order) > mostRepeats || now.Sub(r.first[r.order[0]].seen) > maxAge) {
		delete(r.first, r.order[0])
		r.order = r.order[1:]
	}
	if f, again := r.first[of]; again {
		return f
	}
	f := &firstTime{seen: now, at: e.Time()}
	if f.at.IsZero() {
		f.at = now
	}
	r.first[of], r.order = f, append(r.order, of)
	return f
}

// young returns an error if an event has a time and is too old. A revocation never is:
// it stays due, and a repeated one changes nothing.
func young(e event.Event, now time.Time) error {
	if at := e.Time(); !at.IsZero() && now.Sub(at) > maxAge && e.Type() != event.TypeRevoke {
		return fmt.Errorf("%w: its time %s is more than %s ago: send a new one", event.ErrMalformed, at.UTC().Format(time.RFC3339), maxAge)
	}
	return nil
}

func fingerprintOf(parts ...string) (f fingerprint) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	copy(f[:], h.Sum(nil))
	return f
}
