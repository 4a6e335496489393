// Package latest keeps the last outcome of each credential in this process. The
// metrics and the status page read it, so that neither calls IBM Cloud.
package latest

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Outcome is the last outcome of a credential, and when its run ended.
type Outcome struct {
	result.Outcome
	Ended time.Time
}

// Outcomes are the last outcomes. The zero value is ready. It is safe for
// concurrent use.
type Outcomes struct {
	mu    sync.Mutex
	by    map[string]Outcome // by credential
	swept time.Time
}

// Keep keeps the outcome of a run. If the run could not observe the credential, what
// an earlier one observed stays: a key expires whether IAM answers or not.
func (l *Outcomes) Keep(o result.Outcome, ended time.Time) {
	if o.Credential == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]Outcome{}
	}
	if was, known := l.by[o.Credential]; known && o.Condition == condition.Unknown {
		o.ServiceID, o.Key, o.KeyCreated, o.KeyExpires = was.ServiceID, was.Key, was.KeyCreated, was.KeyExpires
		o.Stores, o.Keys = was.Stores, was.Keys
	}
	l.by[o.Credential] = Outcome{Outcome: o, Ended: ended}
}

// Swept keeps the outcomes of a sweep over all credentials. If it looked at every
// credential, those that it did not find are forgotten.
func (l *Outcomes) Swept(swept result.Sweep, ended time.Time) {
	found := make(map[string]bool, len(swept.Outcomes))
	for _, o := range swept.Outcomes {
		found[o.Credential] = true
		l.Keep(o, ended)
	}
	if swept.Unknown != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swept = ended
	for name := range l.by {
		if !found[name] {
			delete(l.by, name)
		}
	}
}

// Each visits the outcomes with their conditions at now, in no order. visit must not use
// the receiver.
func (l *Outcomes) Each(now time.Time, visit func(Outcome)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.by {
		o.Outcome = o.At(now)
		visit(o)
	}
}

// At returns the outcomes with their conditions at now, in the order of the
// credentials' names.
func (l *Outcomes) At(now time.Time) []Outcome {
	l.mu.Lock()
	all := make([]Outcome, 0, len(l.by))
	l.mu.Unlock()
	l.Each(now, func(o Outcome) { all = append(all, o) })
	slices.SortFunc(all, func(a, b Outcome) int { return cmp.Compare(a.Credential, b.Credential) })
	return all
}

// Names returns the names of the credentials.
func (l *Outcomes) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.by))
}

// LastSweep returns when the last sweep ended that looked at every credential, or
// zero if none did.
func (l *Outcomes) LastSweep() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.swept
}
