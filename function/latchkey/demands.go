package main

import (
	"slices"
	"sync"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// demands follows what one event demanded until all of it outlives the process:
// only then may an answer that comes before the end say 202.
type demands struct {
	late     chan struct{} // closed when the answer is near
	mu       sync.Mutex
	pending  int // requests that are not expanded yet
	unknown  bool
	expected []string
	kept     map[string]bool
}

func (d *demands) open(requests int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = requests
}

// expect takes the credentials that one request is about.
func (d *demands) expect(credentials []reconcile.Credential, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending--
	d.unknown = d.unknown || err != nil
	for _, c := range credentials {
		d.expected = append(d.expected, c.Name)
	}
}

func (d *demands) keep(credential string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = map[string]bool{}
	}
	d.kept[credential] = true
}

// all returns the credentials if every one of them is kept, else nothing.
func (d *demands) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending > 0 || d.unknown || slices.ContainsFunc(d.expected, func(name string) bool { return !d.kept[name] }) {
		return nil
	}
	return slices.Clone(d.expected)
}

// underWay are the outcomes of work that outlasts the answer. Asking the same
// again tells how it went.
func underWay(names []string) (outcomes []reconcile.Outcome) {
	for _, name := range names {
		outcomes = append(outcomes, reconcile.Outcome{
			Credential: name, Result: reconcile.ResultInProgress,
			Message: "the work goes on, and the next look finishes what is left; send the same again to learn how it went",
		})
	}
	return outcomes
}
