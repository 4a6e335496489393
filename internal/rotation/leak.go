package rotation

import (
	"slices"

	"github.com/latchkey-io/latchkey/internal/reason"
)

// leak marks a key as leaked, so that later runs know, and disables it if
// containment is requested.
func (v view) leak(t Trigger) (steps []Step) {
	k := v.leaked
	if k.ID == "" || k.Locked {
		return nil
	}
	if k.Leaked.IsZero() {
		steps = append(steps, Step{Action: MarkLeaked, Key: k.ID, At: v.now, Reason: reason.KeyLeaked})
	}
	if t.Contain && k.Live(v.now) {
		steps = append(steps, Step{Action: Disable, Key: k.ID, Reason: reason.KeyLeaked})
	}
	return steps
}

// lockedLeak reports whether a lock keeps a leaked key alive.
func (v view) lockedLeak() bool {
	return slices.ContainsFunc(v.Keys, func(k Key) bool { return !k.Leaked.IsZero() && k.Locked && k.Live(v.now) })
}
