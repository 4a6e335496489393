package rotation

import (
	"cmp"
	"slices"
	"time"
)

// Decide says what to do about one credential. The same arguments always give
// the same plan.
func Decide(s State, r Rules, t Trigger, now time.Time) Plan {
	v := look(s, r, t, now)
	p := Plan{Published: v.published.ID, Next: v.next(t), Notes: v.notes()}
	if p.Blocked = v.blocked(t); p.Blocked != "" {
		p.Next = now.Add(r.SweepEvery)
		if p.Blocked != Paused {
			// A leak does not wait for a person, and consumers hold what is
			// published, whatever else is wrong.
			p.Steps = append(v.leak(t), v.unfuse()...)
		}
		if p.Blocked != Paused && p.Blocked != ClockSkew {
			p.Steps = append(p.Steps, v.exposed()...)
			p.Steps = append(p.Steps, v.sustained()...)
			if p.Blocked == KeyLocked {
				p.Steps = append(p.Steps, v.catchUp("")...) // stores and consumers can have it all the same
			}
			p.Steps = append(p.Steps, v.remember(t)...) // a demand outlives what a person has to mend first
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
		p.Steps = append(p.Steps, v.farewell()...)
		return p
	}
	if adoptions := v.adoptions(); len(adoptions) > 0 {
		p.Steps, p.Next = append(p.Steps, adoptions...), now
		if t != (Trigger{}) {
			p.Waiting = InProgress // what is demanded is for the next look
		}
		return p // what an adopted key needs is decided once it is ours
	}
	// What is alive comes first: a policy that can't be granted keeps nothing
	// from it.
	p.Steps = slices.Concat(p.Steps, v.unfuse(), v.exposed(), v.sustained(), v.extensions(), v.identity())

	if v.inFlight() {
		p.Waiting = InProgress
		p.Steps = append(p.Steps, v.remember(t)...)
		return p
	}
	p.Steps = append(p.Steps, v.endings()...)

	due := v.due(t)
	if due == "" {
		p.Steps = append(p.Steps, v.catchUp("")...)
		p.Waiting = cmp.Or(v.storeTrouble(false), v.optionalTrouble(), v.consumerTrouble())
		return p
	}
	p.Blocked, p.Waiting = v.mayMint(due, p.Steps)
	if p.Waiting == StoreUnreachable && v.expiring(v.presumed()) {
		p.Blocked, p.Waiting = StoreSilent, ""
	}
	if p.Blocked != "" || p.Waiting != "" {
		// Stores and consumers that are behind hold back the end of older keys,
		// which may be what the new one waits for.
		p.Steps = append(p.Steps, v.catchUp(p.Waiting)...)
		p.Steps = append(p.Steps, v.remember(t)...)
		return p
	}
	p.Steps = append(p.Steps, v.renewal(due)...)
	return p
}

// view is the state with what follows from it, worked out once.
type view struct {
	State
	r   Rules
	now time.Time

	named     map[string]bool // the IDs that any store names
	published Key             // zero when no live key is named
	newest    Key             // the newest named key that IAM has, live or not
	arbiter   int             // index into Stores of the store that decides, -1 when none is guarded
	allRead   bool            // every store answered
	unlisted  bool            // a young named key is not visible yet
	leaked    Key             // the key whose revocation is asked for, as IAM has it; zero when it is not ours
}

func look(s State, r Rules, t Trigger, now time.Time) view {
	v := view{State: s, r: r, now: now, named: map[string]bool{}, allRead: true}
	if i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.ID == t.Leaked }); t.Leaked != "" && i >= 0 {
		// The rest of the plan sees the key as the first steps leave it.
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
		v.Stores[v.arbiter].Required = true // nothing is minted without the store that decides
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
		// Publication is at most a Window after birth, and IAM's lag at most
		// another: until then absence proves nothing.
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
		if k.Live(now) && (v.published.ID == "" || k.Compare(v.published) > 0) {
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

// blocked names what only a person can mend.
func (v view) blocked(t Trigger) Reason {
	switch {
	case v.Paused:
		return Paused
	case v.Skew.Abs() > v.r.MaxSkew:
		return ClockSkew
	case v.Identity.Collides:
		return NameCollision
	case v.Identity.NameTaken:
		return NameTaken
	case v.Identity.Given && !v.Identity.Exists:
		return IdentityAbsent
	case !v.Identity.Exists && len(v.named) > 0 && !v.unlisted:
		return IdentityGone
	case v.Identity.Locked && len(v.Identity.Unsatisfied) > 0:
		return IdentityLocked
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

// disabled reports whether people disabled the newest key that a store names. One
// that has expired since says nothing more, and the one before it counts.
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

// storeTrouble is the first required store's fault that a person has to mend,
// or the first fault at all that passes by itself. What somebody else wrote
// into a store is a person's to clear up even if the store is optional.
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

// optionalTrouble is a fault that holds nothing back but the ending of keys.
func (v view) optionalTrouble() Reason {
	for _, st := range v.Stores {
		if st.Fault != "" {
			return st.Fault
		}
	}
	return ""
}

// consumerTrouble says that nobody knows which key some consumer has.
func (v view) consumerTrouble() Reason {
	if slices.ContainsFunc(v.Consumers, func(c Consumer) bool { return c.Unknown }) {
		return ConsumerUnknown
	}
	return ""
}

// identity makes sure of the service ID and its policies.
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

// leak writes on a key that it leaked, so that the next look knows it too, and
// ends it at once where that was asked for.
func (v view) leak(t Trigger) (steps []Step) {
	k := v.leaked
	if k.ID == "" || k.Locked {
		return nil
	}
	if k.Leaked.IsZero() {
		steps = append(steps, Step{Action: Condemn, Key: k.ID, At: v.now, Reason: KeyLeaked})
	}
	if t.Contain && k.Live(v.now) {
		steps = append(steps, Step{Action: Disable, Key: k.ID, Reason: KeyLeaked})
	}
	return steps
}

// catchUp brings stores and consumers that are behind up to the published key,
// and then ends the leaked keys that they held. A new key may be waiting for
// something meanwhile.
func (v view) catchUp(waiting Reason) []Step {
	steps := append(v.repairs(), v.restarts(waiting == KeysFull)...)
	done := func(a Action, target string) bool {
		return slices.ContainsFunc(steps, func(s Step) bool { return s.Action == a && s.Target == target && s.Key == v.published.ID })
	}
	for _, c := range v.Consumers {
		if c.Unknown || c.Key != v.published.ID && !done(RestartConsumer, c.Name) {
			return steps
		}
	}
	named := map[string]bool{}
	for _, st := range v.Stores {
		if st.Fault != "" {
			return steps
		}
		if !done(Copy, st.Name) {
			named[st.Key] = true
		}
	}
	for _, k := range v.Keys {
		if !k.Leaked.IsZero() && !k.Locked && !k.Expired(v.now) && !named[k.ID] && !v.free(k) && !v.unlisted {
			steps = append(steps, v.revoke(k)...)
		}
	}
	return steps
}

// free reports whether nobody has to hold a leaked key any more. What no store
// took, no consumer has.
func (v view) free(k Key) bool {
	return !v.named[k.ID] && (k.Disabled || k.Fused(v.r) || v.published.ID == "" || v.restarted() || v.full() && v.served())
}

// exposed ends the leaked keys that nobody has to hold any more. What else is
// wrong with the credential does not keep them alive.
func (v view) exposed() (steps []Step) {
	if !v.allRead || v.unlisted {
		return nil
	}
	for _, k := range v.Keys {
		if !k.Leaked.IsZero() && !k.Locked && !k.Expired(v.now) && v.free(k) {
			steps = append(steps, v.revoke(k)...)
		}
	}
	return steps
}

// adoptable reports whether a store holds the value of the key that is to be
// taken over.
func (v view) adoptable() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Adoptable != "" })
}

// adoptions take an existing key over where its value is.
func (v view) adoptions() (steps []Step) {
	for _, st := range v.order() {
		if st.Adoptable != "" && st.Fault == "" {
			steps = append(steps, Step{Action: Adopt, Key: st.Adoptable, Target: st.Name, Reason: Adoption})
		}
	}
	return steps
}

// farewell ends the keys of something that is gone, and then its service ID.
func (v view) farewell() (steps []Step) {
	for _, k := range v.Keys {
		switch {
		case k.Locked || v.rival(k):
		case k.Expired(v.now):
			if !v.now.Before(k.Expires.Add(v.r.ExpiryMargin)) {
				steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: IsExpired})
			}
		case !k.Leaked.IsZero():
			steps = append(steps, v.revoke(k)...)
		case k.Disabled || !k.Superseded.IsZero():
		case k.Fused(v.r):
			steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: NeverPublished})
		default:
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Overlap), Reason: SubjectGone})
		}
	}
	if v.Identity.Exists && !v.Identity.Given && !v.Identity.Locked && len(v.Keys)+v.Foreign == 0 {
		steps = append(steps, Step{Action: RemoveIdentity, Reason: SubjectGone})
	}
	return steps
}

// mostOverlaps is how many overlaps a superseded key may live in all.
const mostOverlaps = 3

// extension is the end of a superseded key that somebody still uses, and
// whether that is later than the end it has. A consumer that reads its store
// again within the overlap does not use the key in the second half of it.
func (v view) extension(k Key) (at time.Time, used, later bool) {
	if v.held(k) || !k.Ending(v.r, v.now) || !k.Used.After(k.Superseded) || k.Used.Before(k.Expires.Add(-v.r.Overlap/2)) {
		return k.Expires, false, false
	}
	at = k.Expires.Add(v.r.Overlap)
	if last := k.Superseded.Add(mostOverlaps * v.r.Overlap).Truncate(time.Minute); at.After(last) {
		at = last
	}
	return at, true, at.After(k.Expires)
}

// extensions lengthen the overlap of keys that are still used. That needs no
// store: it takes nothing from anybody.
func (v view) extensions() (steps []Step) {
	for _, k := range v.Keys {
		if at, _, later := v.extension(k); later {
			steps = append(steps, Step{Action: Extend, Key: k.ID, At: at, Reason: StillUsed})
		}
	}
	return steps
}

// notice is how long before its end people hear of a published key that should
// have been replaced.
const notice = 14 * 24 * time.Hour

// presumed is the key that consumers must have, when the stores that would say
// so do not answer.
func (v view) presumed() Key {
	k := v.published
	for _, other := range v.Keys {
		presumable := other.Live(v.now) && other.Superseded.IsZero() && !other.Fused(v.r)
		if v.published.ID == "" && presumable && other.Compare(k) > 0 {
			k = other
		}
	}
	return k
}

// expiring reports whether a key should have been replaced and ends soon.
func (v view) expiring(k Key) bool {
	return k.ID != "" && !k.Expires.IsZero() && !k.Fused(v.r) && !v.now.Before(v.dueAt(k)) && k.Expires.Sub(v.now) <= notice
}

// notes are what people should know.
func (v view) notes() (notes []Note) {
	k := v.published
	if v.expiring(k) {
		notes = append(notes, Note{Reason: Expiring, Key: k.ID, At: k.Expires})
	}
	for _, name := range k.Stores {
		if !slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Name == name }) {
			notes = append(notes, Note{Reason: StoreDropped, Key: k.ID, Store: name, At: k.Expires})
		}
	}
	for _, k := range v.Keys {
		switch _, used, later := v.extension(k); {
		case later:
			notes = append(notes, Note{Reason: StillUsed, Key: k.ID, At: k.Used})
		case used:
			notes = append(notes, Note{Reason: UsedToTheEnd, Key: k.ID, At: k.Used})
		}
	}
	return notes
}

// unfuse gives every named key its full life: a consumer may hold it.
func (v view) unfuse() (steps []Step) {
	for _, k := range v.Keys {
		if v.named[k.ID] && k.Live(v.now) && !k.Locked && k.Fused(v.r) {
			steps = append(steps, Step{Action: Unfuse, Key: k.ID, At: k.Created.Add(v.r.Expire), Reason: FuseOn})
		}
	}
	return steps
}

// rival reports whether another instance may still be at work with k.
func (v view) rival(k Key) bool {
	return !v.named[k.ID] && k.Live(v.now) && k.Superseded.IsZero() && k.Leaked.IsZero() && v.now.Before(k.Created.Add(v.r.Window))
}

func (v view) inFlight() bool { return slices.ContainsFunc(v.Keys, v.rival) }

// endings ends the keys that nobody may hold any more, or soon will not.
func (v view) endings() (steps []Step) {
	if !v.allRead {
		return nil
	}
	settled := v.settled()
	for _, k := range v.Keys {
		switch {
		case v.named[k.ID] || k.Locked:
		case k.Expired(v.now):
			if !v.now.Before(k.Expires.Add(v.r.ExpiryMargin)) {
				steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: IsExpired})
			}
		case !k.Leaked.IsZero(): // see exposed
		case k.Disabled || !k.Superseded.IsZero():
			// Disabled by people, or already on its way out.
		case k.Fused(v.r):
			steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: NeverPublished})
		case v.newest.ID == "" && len(v.named) > 0:
			// What a store names is gone: somebody may live on this one until
			// another is published.
		case (v.newest.ID == "" || k.Compare(v.newest) > 0) && (v.marked(k) || v.consumerTrouble() != ""):
			// A consumer may have it, and gets what the stores name first.
		case v.newest.ID == "" || k.Compare(v.newest) > 0:
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Fuse), Reason: RolledBack})
		case settled || v.full() && v.unheld(k):
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Overlap), Reason: Replaced})
		}
	}
	return steps
}

// settled reports whether every store and every consumer has the published
// key, so that the overlap of the others may start.
func (v view) settled() bool {
	for _, st := range v.Stores {
		if st.Key != v.published.ID {
			return false
		}
	}
	return v.restarted() && v.published.ID != ""
}

// restarted reports whether every consumer has the published key.
func (v view) restarted() bool {
	return !slices.ContainsFunc(v.Consumers, func(c Consumer) bool { return c.Unknown || c.Key != v.published.ID })
}

// revoke ends a leaked key: it stops at once, whatever a deletion may take.
func (v view) revoke(k Key) (steps []Step) {
	if k.Live(v.now) {
		steps = append(steps, Step{Action: Disable, Key: k.ID, Reason: KeyLeaked})
	}
	return append(steps, Step{Action: Retire, Key: k.ID, Reason: KeyLeaked})
}

// full reports whether as many keys as allowed are alive.
func (v view) full() bool {
	live := 0
	for _, k := range v.Keys {
		if k.Live(v.now) {
			live++
		}
	}
	return live >= v.r.MaxKeys
}

// end is now + d, rounded up to the minute that IAM stores.
func (v view) end(d time.Duration) time.Time {
	return v.now.Add(d + time.Minute - time.Nanosecond).Truncate(time.Minute)
}

// due says why a new key is wanted, or nothing.
func (v view) due(t Trigger) Reason {
	k := v.published
	switch {
	case k.ID == "":
		return NothingThere
	case !v.newest.Leaked.IsZero():
		return KeyLeaked
	case t.unmet(k):
		return Demanded
	case slices.ContainsFunc(v.Keys, func(o Key) bool { return !k.Meets(o.Renew) }):
		return Remembered
	case !v.now.Before(v.dueAt(k)):
		return Aged
	case !k.Expires.IsZero() && !k.Fused(v.r) && !v.now.Before(k.Expires.Add(-4*v.r.SweepEvery)):
		return ExpiresSoon
	}
	if v.arbiter >= 0 {
		if st := v.Stores[v.arbiter]; st.Fault == "" && st.Key != "" && st.Key != k.ID {
			return ArbiterBehind
		}
	}
	if !v.copyable() && v.behind() {
		return NoCopySource
	}
	return ""
}

func (v view) dueAt(k Key) time.Time { return k.Created.Add(v.r.After - v.r.Jitter) }

// mayMint looks at everything that must hold before a key is made.
func (v view) mayMint(due Reason, steps []Step) (blocked, waiting Reason) {
	freed, live, newest := 0, 0, time.Time{}
	ended := map[string]bool{}
	for _, st := range steps {
		if st.Action == Retire {
			freed++
		}
		ended[st.Key] = ended[st.Key] || st.Action == Retire || st.Action == Disable
	}
	for _, k := range v.Keys {
		// A leaked key ends as soon as consumers have the new one, so the keys
		// before it, which may live for days, do not keep it alive.
		replaced := !k.Leaked.IsZero() && !k.Locked
		if k.Live(v.now) && !ended[k.ID] && !replaced {
			live++
		}
		contained := k.Disabled && !k.Leaked.IsZero() // its consumers have nothing: they can't wait
		if k.Created.After(newest) && !contained {
			newest = k.Created
		}
	}
	for _, st := range v.Stores {
		if st.Fault != "" && st.Required {
			return "", st.Fault
		}
	}
	if !slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Fault == "" }) {
		return "", StoreUnreachable
	}
	forced := due == Demanded || due == Remembered || due == KeyLeaked
	switch {
	case v.Identity.Locked && v.arbiter < 0 && !v.Identity.Given:
		// The service ID itself decides between instances, and can't be written:
		// the key could not be published.
		return IdentityLocked, ""
	case forced && v.Storm:
		return Storm, ""
	case !newest.IsZero() && v.now.Before(newest.Add(v.r.MinAge)):
		return "", TooYoung
	case len(v.Keys)+v.Foreign-freed >= v.r.KeyLimit:
		return KeyCap, ""
	case live >= v.r.MaxKeys:
		return "", KeysFull
	}
	return "", ""
}

// order has the arbiter first, whatever the config says, then the others.
func (v view) order() []Store {
	if v.arbiter <= 0 {
		return v.Stores
	}
	out := []Store{v.Stores[v.arbiter]}
	for i, st := range v.Stores {
		if i != v.arbiter {
			out = append(out, st)
		}
	}
	return out
}

// renewal is the whole way of a new key.
func (v view) renewal(due Reason) []Step {
	steps := []Step{
		{Action: Mint, Key: NewKey, Reason: due},
		{Action: Prove, Key: NewKey, Reason: NewlyMinted},
	}
	complete, first := true, true
	written := map[string]bool{}
	for _, st := range v.order() {
		if st.Fault != "" {
			complete = false
			continue
		}
		steps = append(steps, Step{Action: Publish, Key: NewKey, Target: st.Name, Reason: due})
		written[st.Name] = true
		if first {
			first = false
			steps = append(steps, Step{Action: Unfuse, Key: NewKey, Reason: FuseOn})
		}
	}
	for _, c := range v.Consumers {
		if c.Unknown || !v.reaches(c, written) {
			complete = false
			continue
		}
		steps = append(steps, Step{Action: RestartConsumer, Key: NewKey, Target: c.Name, Reason: ConsumerBehind})
	}
	if !complete {
		return steps
	}
	for _, k := range v.Keys {
		if !k.Leaked.IsZero() {
			// One that nobody has to hold was ended before.
			if !k.Locked && !k.Expired(v.now) && !v.free(k) {
				steps = append(steps, v.revoke(k)...)
			}
			continue
		}
		old := v.named[k.ID] && k.Live(v.now) && !k.Locked && (k.Superseded.IsZero() || k.Expires.Before(v.end(v.r.Overlap)))
		if old && !v.now.Before(k.Created.Add(v.r.Window)) {
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Overlap), Reason: Replaced})
		}
	}
	return steps
}

func (v view) behind() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Fault == "" && st.Key != v.published.ID })
}

// copyable reports whether a store shows the published value.
func (v view) copyable() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool {
		return st.Fault == "" && st.Key == v.published.ID && st.Readable
	})
}

// repairs copies the published key to the stores that are behind. The arbiter
// is filled only when it is empty: due sees to it when it names another key.
func (v view) repairs() (steps []Step) {
	if v.arbiter >= 0 && v.Stores[v.arbiter].Fault != "" {
		return nil // the store that decides may name a newer key
	}
	if !v.copyable() {
		return nil
	}
	for i, st := range v.order() {
		decides := v.arbiter >= 0 && i == 0 && st.Key != ""
		if st.Fault == "" && st.Key != v.published.ID && !decides {
			steps = append(steps, Step{Action: Copy, Key: v.published.ID, Target: st.Name, Reason: StoreBehind})
		}
	}
	return steps
}

// restarts catches up on consumers that an earlier run left behind. While as many
// keys as allowed are alive, the key that one holds on to may be what the next one
// waits for: then what its own store names is better, even a leaked key, which has
// to live until that store names another.
func (v view) restarts(full bool) (steps []Step) {
	current := map[string]bool{}
	for _, st := range v.Stores {
		current[st.Name] = st.Fault == "" && st.Key == v.published.ID
	}
	for _, copied := range v.repairs() {
		current[copied.Target] = true
	}
	for _, c := range v.Consumers {
		own, _ := v.own(c)
		switch {
		case c.Unknown || c.Key == v.published.ID:
		case v.reaches(c, current):
			steps = append(steps, Step{Action: RestartConsumer, Key: v.published.ID, Target: c.Name, Reason: ConsumerBehind})
		case full && own != "" && c.Key != own:
			steps = append(steps, Step{Action: RestartConsumer, Key: own, Target: c.Name, Reason: ConsumerBehind})
		}
	}
	return steps
}

// reaches reports whether a restart makes the consumer read the key: its store
// has it. One whose store is not known waits until every store does.
func (v view) reaches(c Consumer, has map[string]bool) bool {
	if c.Store != "" {
		return has[c.Store]
	}
	return !slices.ContainsFunc(v.Stores, func(st Store) bool { return !has[st.Name] })
}

// remember writes a demand that cannot be met now on the published key, so
// that the next sweep meets it.
func (v view) remember(t Trigger) []Step {
	k := v.published
	if k.ID == "" || !t.unmet(k) || k.Locked || !k.Leaked.IsZero() {
		return nil
	}
	at := t.NewerThan
	if k.Meets(at) {
		if !k.Meets(k.Renew) {
			return nil
		}
		at = k.After(v.now) // only NotKey is unmet
	}
	if !k.Renew.Before(at) {
		return nil
	}
	return []Step{{Action: Remember, Key: k.ID, At: at, Reason: Demanded}}
}

// next is when something will have changed by itself.
func (v view) next(t Trigger) time.Time {
	next := v.now.Add(max(v.r.After, v.r.SweepEvery))
	earlier := func(at time.Time) {
		if at.After(v.now) && at.Before(next) {
			next = at
		}
	}
	if v.published.ID != "" {
		earlier(v.dueAt(v.published))
		if !v.published.Expires.IsZero() && !v.published.Fused(v.r) {
			earlier(v.published.Expires.Add(-4 * v.r.SweepEvery))
		}
	}
	for _, k := range v.Keys {
		switch {
		case v.rival(k):
			earlier(k.Created.Add(v.r.Window))
		case !v.named[k.ID] && !k.Expires.IsZero():
			earlier(k.Expires.Add(v.r.ExpiryMargin))
		case !k.Superseded.IsZero() && !k.Expires.IsZero():
			_, near := v.bit()
			earlier(k.Expires.Add(-near))
		}
	}
	for _, st := range v.Stores {
		if v.unlisted && st.Key != "" {
			earlier(st.Created.Add(2 * v.r.Window))
		}
	}
	if !v.allRead || v.unlisted {
		earlier(v.now.Add(v.r.SweepEvery))
	}
	if v.due(t) != "" {
		for _, k := range v.Keys {
			earlier(k.Created.Add(v.r.MinAge))
			if !k.Expires.IsZero() {
				earlier(k.Expires) // one live key fewer
			}
		}
	}
	return next
}
