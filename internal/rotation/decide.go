package rotation

import (
	"cmp"
	"slices"
	"time"
)

// Decide plans the steps for one credential. It is deterministic.
func Decide(s State, r Rules, t Trigger, now time.Time) Plan {
	v := look(s, r, t, now)
	p := Plan{Published: v.published.ID, Next: v.next(t), Notes: v.notes()}
	if p.Blocked = v.blocked(t); p.Blocked != "" {
		p.Next = now.Add(r.SweepEvery)
		if p.Blocked != Paused {
			// Leaks are recorded, and published keys get their full lifetime,
			// whatever else is wrong.
			p.Steps = append(v.leak(t), v.unfuse()...)
		}
		if p.Blocked != Paused && p.Blocked != ClockSkew {
			p.Steps = append(p.Steps, v.exposed()...)
			p.Steps = append(p.Steps, v.sustained()...)
			if p.Blocked == KeyLocked {
				p.Steps = append(p.Steps, v.catchUp()...) // a locked key can still be copied
			}
			p.Steps = append(p.Steps, v.remember(t)...) // the demand must survive until a person has acted
		}
		return p
	}
	p.Steps = v.leak(t)
	if v.unlisted {
		p.Waiting = NotVisible
		p.Steps = append(p.Steps, v.remember(t)...)
		return p
	}
	if v.Gone {
		p.Steps = append(p.Steps, v.removal()...)
		return p
	}
	if adoptions := v.adoptions(); len(adoptions) > 0 {
		p.Steps, p.Next = append(p.Steps, adoptions...), now
		if t != (Trigger{}) {
			p.Waiting = InProgress // the next run meets the demand
		}
		return p // the next run plans for the adopted key
	}
	// Live keys come first, so that a policy that can't be granted does not delay
	// them.
	p.Steps = slices.Concat(p.Steps, v.unfuse(), v.exposed(), v.sustained(), v.extensions(), v.identity())

	if v.inFlight() {
		p.Waiting = InProgress
		p.Steps = append(p.Steps, v.remember(t)...)
		return p
	}
	p.Steps = append(p.Steps, v.endings()...)

	due := v.due(t)
	if due == "" {
		p.Steps = append(p.Steps, v.catchUp()...)
		p.Waiting = cmp.Or(v.storeTrouble(false), v.optionalTrouble(), v.consumerTrouble())
		return p
	}
	p.Blocked, p.Waiting = v.mayMint(due, p.Steps)
	if need := v.need(); due.demand() && need != "" && (p.Waiting == KeysFull || p.Blocked == Storm) {
		// What holds back a demand does not hold back a need.
		due = need
		p.Blocked, p.Waiting = v.mayMint(due, p.Steps)
	}
	if p.Waiting == StoreUnreachable && v.expiring(v.presumed()) {
		p.Blocked, p.Waiting = StoreSilent, ""
	}
	if p.Blocked != "" || p.Waiting != "" {
		// Stores and consumers that are behind delay the end of older keys, which
		// may be the reason why the new key must wait.
		p.Steps = append(p.Steps, v.catchUp()...)
		p.Steps = append(p.Steps, v.remember(t)...)
		return p
	}
	p.Steps = append(p.Steps, v.renewal(due)...)
	return p
}

// view is the state with the facts that follow from it.
type view struct {
	State
	r   Rules
	now time.Time

	named     map[string]bool // the IDs that any store names
	published Key             // the newest named live key, one that did not leak if there is any; zero if none
	newest    Key             // the newest named key that IAM has, live or not
	arbiter   int             // index into Stores of the first guarded store, -1 if there is none
	allRead   bool            // every store answered
	unlisted  bool            // a young named key is not visible yet
	leaked    Key             // the key whose revocation is requested; zero if it is not ours
}

func look(s State, r Rules, t Trigger, now time.Time) view {
	v := view{State: s, r: r, now: now, named: map[string]bool{}, allRead: true}
	if i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.ID == t.Leaked }); t.Leaked != "" && i >= 0 {
		// The rest of the plan sees the key as it is after the first steps.
		v.leaked = s.Keys[i]
		v.Keys = slices.Clone(s.Keys)
		v.Keys[i].Disabled = v.leaked.Disabled || t.Contain
		if v.leaked.Leaked.IsZero() {
			v.Keys[i].Leaked = now
		}
	}
	v.arbiter = slices.IndexFunc(s.Stores, func(st Store) bool { return st.Guarded })
	if v.arbiter >= 0 {
		v.Stores = slices.Clone(s.Stores)
		v.Stores[v.arbiter].Required = true // no key is minted without the arbiter
	}
	for _, st := range v.Stores {
		if st.Fault != "" {
			v.allRead = false
			continue
		}
		if st.Key == "" {
			continue
		}
		v.named[st.Key] = true
		known := slices.ContainsFunc(s.Keys, func(k Key) bool { return k.ID == st.Key })
		// A key is published at most one Window after its birth, and IAM's lag is
		// at most another one. Until then, absence proves nothing.
		if !known && now.Before(st.Created.Add(2*r.Window)) {
			v.unlisted = true
		}
	}
	for _, k := range v.Keys {
		if !v.named[k.ID] {
			continue
		}
		if v.newest.ID == "" || k.Compare(v.newest) > 0 {
			v.newest = k
		}
		if k.Live(now) && (v.published.ID == "" || prefer(k, v.published)) {
			v.published = k
		}
	}
	for i, st := range v.Stores {
		if st.Adoptable != "" && v.published.ID != "" && v.published.ID != st.Adoptable {
			v.Stores = slices.Clone(v.Stores)
			v.Stores[i].Fault, v.allRead = EntryUnmarked, false // too late: another key is published
		}
	}
	return v
}

// prefer reports whether the published key is k rather than other: one that did not
// leak, else the newer one.
func prefer(k, other Key) bool {
	if sound := k.Leaked.IsZero(); sound != other.Leaked.IsZero() {
		return sound
	}
	return k.Compare(other) > 0
}

// blocked returns why a person must act, or nothing.
func (v view) blocked(t Trigger) Reason {
	switch {
	case v.Paused:
		return Paused
	case v.Skew.Abs() > v.r.MaxSkew:
		return ClockSkew
	case v.Identity.Collides:
		return NameCollision
	case v.Identity.Posing:
		return ForgedMarker
	case v.Identity.Twice:
		return IdentityTwice
	case v.Identity.NameTaken:
		return NameTaken
	case v.Identity.Given && !v.Identity.Exists:
		return IdentityAbsent
	case !v.Identity.Exists && len(v.named) > 0 && !v.unlisted:
		return IdentityGone
	case v.Identity.Locked && len(v.Identity.Unsatisfied) > 0:
		return IdentityLocked
	case v.Foreign > 0 && !v.Identity.Given && len(v.Identity.Unsatisfied) > 0 && !v.adoptable():
		return IdentityShared
	case v.disabled():
		return KeyDisabled
	case v.published.Locked, v.leaked.Locked && v.leaked.Live(v.now):
		return KeyLocked
	case t.Leaked != "" && t.Leaked == v.Stranger:
		return KeyForeign
	case v.Adopting != "" && v.allRead && v.newest.ID == "" && !v.unlisted && !v.adoptable():
		return AdoptionFailed
	}
	return v.storeTrouble(true)
}

// disabled reports whether a person disabled the newest key that a store names.
// Keys that have expired since do not count.
func (v view) disabled() bool {
	named := slices.DeleteFunc(slices.Clone(v.Keys), func(k Key) bool { return !v.named[k.ID] })
	slices.SortFunc(named, func(a, b Key) int { return b.Compare(a) })
	for _, k := range named {
		if !k.Disabled || !k.Leaked.IsZero() {
			return false
		}
		if !k.Expired(v.now) {
			return true
		}
	}
	return false
}

// storeTrouble returns the first fault of a required store that a person must
// fix, or, if people is false, the first temporary fault of any store. A foreign
// or unmarked entry needs a person even in an optional store.
func (v view) storeTrouble(people bool) Reason {
	for _, st := range v.Stores {
		passes := st.Fault == StoreUnreachable || st.Fault == StoreNotActive
		others := st.Fault == EntryUnmarked || st.Fault == EntryForeign
		if st.Fault != "" && passes != people && (st.Required || !people || others) {
			return st.Fault
		}
	}
	return ""
}

// optionalTrouble returns the first fault of any store. It only delays the end of
// keys.
func (v view) optionalTrouble() Reason {
	for _, st := range v.Stores {
		if st.Fault != "" {
			return st.Fault
		}
	}
	return ""
}

// consumerTrouble returns ConsumerUnknown if a consumer could not be read.
func (v view) consumerTrouble() Reason {
	if slices.ContainsFunc(v.Consumers, func(c Consumer) bool { return c.Unknown }) {
		return ConsumerUnknown
	}
	return ""
}

// identity creates the service ID and its policies, and removes duplicates.
func (v view) identity() (steps []Step) {
	for _, id := range v.Identity.Duplicates {
		steps = append(steps, Step{Action: RemoveDuplicate, Target: id, Reason: Duplicate})
	}
	if v.Identity.Former != "" {
		steps = append(steps, Step{Action: Rename, Target: v.Identity.Former, Reason: Renamed})
	}
	if !v.Identity.Exists {
		steps = append(steps, Step{Action: CreateIdentity, Reason: NoIdentity})
	}
	for _, policy := range v.Identity.Unsatisfied {
		steps = append(steps, Step{Action: GrantPolicy, Target: policy, Reason: NoPolicy})
	}
	return steps
}

// adoptable reports whether a store holds the value of the key to adopt.
func (v view) adoptable() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Adoptable != "" })
}

// adoptions adopt an existing key in every store that holds its value.
func (v view) adoptions() (steps []Step) {
	for _, st := range v.order() {
		if st.Adoptable != "" && st.Fault == "" {
			steps = append(steps, Step{Action: Adopt, Key: st.Adoptable, Target: st.Name, Reason: Adoption})
		}
	}
	return steps
}
