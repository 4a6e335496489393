package service

import (
	"slices"
	"sync"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
)

// demands tracks which demands of one event are recorded. An answer before the
// run ends is 202 only if all of them are.
type demands struct {
	mu       sync.Mutex
	pending  int // bundles whose credentials are not listed yet
	unknown  bool
	expected []string
	recorded map[string]bool
}

func (d *demands) open(bundles int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = bundles
}

// expect adds the credentials of one bundle.
func (d *demands) expect(credentials []port.Credential, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending--
	d.unknown = d.unknown || err != nil
	for _, c := range credentials {
		d.expected = append(d.expected, c.Name)
	}
}

// record marks that a credential's demand outlives this process.
func (d *demands) record(credential string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recorded == nil {
		d.recorded = map[string]bool{}
	}
	d.recorded[credential] = true
}

// all returns the credentials if every one of them is recorded, else nothing.
func (d *demands) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending > 0 || d.unknown || slices.ContainsFunc(d.expected, func(name string) bool { return !d.recorded[name] }) {
		return nil
	}
	return slices.Clone(d.expected)
}

// underWay returns the outcomes of work that continues after the answer.
func underWay(names []string) (outcomes []result.Outcome) {
	for _, name := range names {
		outcomes = append(outcomes, result.Outcome{
			Credential: name, Condition: condition.InProgress, Result: result.InProgress,
			Message: "work continues in the background, and the next sweep completes what is left; send the same event again to see the result",
		})
	}
	return outcomes
}
