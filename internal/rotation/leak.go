package rotation

import "slices"

// leak marks a key as leaked, so that later runs know, and disables it if
// containment is requested.
func (v view) leak(t Trigger) (steps []Step) {
	k := v.leaked
	if k.ID == "" || k.Locked {
		return nil
	}
	if k.Leaked.IsZero() {
		steps = append(steps, Step{Action: MarkLeaked, Key: k.ID, At: v.now, Reason: KeyLeaked})
	}
	if t.Contain && k.Live(v.now) {
		steps = append(steps, Step{Action: Disable, Key: k.ID, Reason: KeyLeaked})
	}
	return steps
}

// lockedLeak reports whether a lock keeps a leaked key alive.
func (v view) lockedLeak() bool {
	return slices.ContainsFunc(v.Keys, func(k Key) bool { return !k.Leaked.IsZero() && k.Locked && k.Live(v.now) })
}

// revocable reports whether a leaked key is to be ended once no consumer needs it.
func (v view) revocable(k Key) bool { return v.phase(k) == Leaked && !k.Locked }

// free reports whether no consumer needs a leaked key any more. No consumer has a
// key that no store took.
func (v view) free(k Key) bool {
	return !v.named[k.ID] && (k.Disabled || k.Fused(v.r) || v.published.ID == "" || v.restarted())
}

// exposed ends the leaked keys that no consumer needs, whatever else is wrong
// with the credential.
func (v view) exposed() (steps []Step) {
	if !v.allRead || v.unlisted {
		return nil
	}
	for _, k := range v.Keys {
		if v.revocable(k) && v.free(k) {
			steps = append(steps, v.revoke(k)...)
		}
	}
	return steps
}

// revoke disables and deletes a leaked key. The deletion may fail or take time.
func (v view) revoke(k Key) (steps []Step) {
	if k.Live(v.now) {
		steps = append(steps, Step{Action: Disable, Key: k.ID, Reason: KeyLeaked})
	}
	return append(steps, Step{Action: Retire, Key: k.ID, Reason: KeyLeaked})
}
