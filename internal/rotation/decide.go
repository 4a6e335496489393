package rotation

import (
	"cmp"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Decide plans the steps for one credential. It is deterministic.
//
// The first closed gate says how far the plan may go. The rules that need no more
// then add their steps, in order.
func Decide(s protocol.State, r protocol.Rules, t protocol.Trigger, now time.Time) protocol.Plan {
	v := look(s, r, t, now)
	p := protocol.Plan{Published: v.published.ID, Next: v.next(t), Notes: v.notes(t)}
	closed, open := v.gate(t)
	holdBack(&p, closed)
	if p.Blocked != "" {
		p.Next = now.Add(r.SweepEvery)
	}
	course := standard
	switch {
	case open < reason.Visible:
	case v.Gone:
		course = removing
	case len(v.adoptions()) > 0:
		course, p.Next = adoption, now // the next plan is for the adopted key
	}
	for _, rule := range course {
		if open >= rule.needs {
			p.Steps = append(p.Steps, rule.steps(v, t, &p)...)
		}
	}
	if v.lockedLeak() && p.Blocked == "" && !slices.ContainsFunc(p.Steps, func(s protocol.Step) bool { return s.Action == protocol.Mint }) {
		holdBack(&p, reason.KeyLocked)
	}
	return p
}

// holdBack sets the reason why a plan is blocked or has to wait.
func holdBack(p *protocol.Plan, r reason.Reason) {
	p.Blocked, p.Waiting = "", ""
	if r.Kind() == reason.Block {
		p.Blocked = r
	} else {
		p.Waiting = r
	}
}

// gate returns the first reason that closes a gate, and the level up to which the
// plan may go.
func (v view) gate(t protocol.Trigger) (reason.Reason, reason.Level) {
	closed := v.blocked(t)
	switch {
	case closed != "":
	case v.unlisted:
		closed = reason.NotVisible
	case slices.ContainsFunc(v.Keys, v.rival):
		closed = reason.InProgress
	default:
		return "", reason.Quiet
	}
	return closed, closed.Lets()
}

// rule adds steps to a plan that may go as far as it needs.
type rule struct {
	name  string
	needs reason.Level
	steps func(v view, t protocol.Trigger, p *protocol.Plan) []protocol.Step
}

// standard is the course of a credential that is in use.
var standard = []rule{
	{"record a demand", reason.Trusted, func(v view, t protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.recording(t) }},
	{"record a leak, and contain it", reason.Unpaused, func(v view, t protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.leak(t) }},
	{"give keys that a store names their full lifetime", reason.Unpaused, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.unfuse() }},
	{"end leaked keys that no consumer needs", reason.Trusted, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.endings(Leaked) }},
	{"extend keys that are held", reason.Trusted, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.sustained() }},
	{"extend keys that are used", reason.Trusted, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.extensions() }},
	{"create the service ID and its policies", reason.Visible, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.identity() }},
	{"end keys that no consumer can have", reason.Quiet, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step {
		return v.endings(Pending, Held, Orphan, Ended)
	}},
	{"rotate, or catch up", reason.Quiet, view.rotate},
	{"restart consumers that are behind", reason.Quiet, func(v view, _ protocol.Trigger, p *protocol.Plan) []protocol.Step { return v.after(p.Steps).restarts() }},
	{"end keys that consumers had until now", reason.Quiet, func(v view, _ protocol.Trigger, p *protocol.Plan) []protocol.Step {
		return v.after(p.Steps).endings(Held, Overlapping, Leaked)
	}},
	{"take down policies that the config does not say", reason.Quiet, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.narrowing() }},
}

// removing is the course of a credential whose project is deleted.
var removing = []rule{
	{"record a leak, and contain it", reason.Unpaused, func(v view, t protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.leak(t) }},
	{"end all keys, and then the service ID", reason.Visible, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.removal() }},
}

// adoption is the course of a credential that takes over an existing key.
var adoption = []rule{
	{"record a leak, and contain it", reason.Unpaused, func(v view, t protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.leak(t) }},
	{"adopt the key", reason.Visible, func(v view, _ protocol.Trigger, _ *protocol.Plan) []protocol.Step { return v.adoptions() }},
}

// rotate plans a new key if one is due and may be created. Otherwise it copies the
// published key to the stores that are behind: they delay the end of older keys, which
// may be why the new key must wait.
func (v view) rotate(t protocol.Trigger, p *protocol.Plan) []protocol.Step {
	due := v.due(t)
	if due == "" {
		v.trouble(p)
		return v.repairs()
	}
	why := v.mayMint(due, p.Steps)
	if need := v.need(); need != "" && !v.spreads(need) && (why == reason.KeysFull || why == reason.Storm) {
		due, why = need, v.mayMint(need, p.Steps) // what holds back a demand does not hold back a need
	}
	switch {
	case why == "" && v.spreads(due):
		p.Later = v.renewal(reason.Spread)
	case why == "":
		steps, left := v.renewal(due), protocol.Plan{}
		v.after(steps).trouble(&left)
		p.Left, p.LeftBlocks = cmp.Or(left.Blocked, left.Waiting), left.Blocked != ""
		return steps
	case why == reason.StoreUnreachable && (v.expiring(v.presumed()) || v.deserted()):
		holdBack(p, reason.StoreSilent)
	case why == reason.KeysFull && v.rewritten(due):
		holdBack(p, reason.EntryRewritten)
	case why == reason.KeysFull:
		holdBack(p, v.after(v.unfuse()).crowd())
	default:
		holdBack(p, why)
	}
	return v.repairs()
}

// spreads reports whether the key is left to a later sweep, since it is only old.
func (v view) spreads(due reason.Reason) bool {
	return v.Spread && due == reason.Aged && !v.expiring(v.published)
}

// deserted reports whether a service ID that has existed for long has no key that
// consumers could have.
func (v view) deserted() bool {
	return v.presumed().ID == "" && !v.Identity.Created.IsZero() && v.now.Sub(v.Identity.Created) > notice
}

// crowd returns what keeps the live keys from ending, or KeysFull if some end by themselves.
func (v view) crowd() reason.Reason {
	soon := v.now.Add(max(mostOverlaps*v.r.Overlap, v.r.Fuse, 3*v.r.SweepEvery))
	expires := func(k protocol.Key) bool { return k.Live(v.now) && k.Expired(soon) }
	locked := func(k protocol.Key) bool { return k.Live(v.now) && k.Locked && k.ID != v.published.ID }
	refused, n := v.refused(), len(v.refused())
	switch {
	case n > 0 && refused[n-1].Refusal.Kind() == reason.Block: // demands were tried again and again
		return refused[n-1].Refusal
	case slices.ContainsFunc(v.Keys, expires):
		return reason.KeysFull
	case !v.allRead:
		return v.storeTrouble(anyStore)
	case slices.ContainsFunc(v.Keys, locked):
		return reason.KeyLocked
	case v.consumerTrouble() != "":
		return v.consumerTrouble()
	case v.declined():
		return v.published.Refusal
	}
	if left := v.after(v.repairs()); left.after(left.restarts()).settled() { // overlaps start in this run
		return reason.KeysFull
	}
	return reason.KeyCap
}

// rewritten reports whether something else than latchkey changed an entry.
func (v view) rewritten(due reason.Reason) bool {
	wentBack := func(k protocol.Key) bool {
		return k.Created.After(v.published.Created) && k.Live(v.now) && !k.Fused(v.r)
	}
	known := v.published.ID != "" || !v.occupied() // a person may have ended the key that a store names
	return due == reason.ValueAltered || due == reason.FirstStoreBehind || known && slices.ContainsFunc(v.Keys, wentBack)
}

// view is the state with the facts that follow from it.
type view struct {
	protocol.State
	r     protocol.Rules
	now   time.Time
	asked time.Time // since when a newer key is demanded

	named        map[string]bool // the IDs that any store names
	published    protocol.Key    // the newest named live key; one that leaked, whose phase is Leaked, only if all did; zero if none
	newest       protocol.Key    // the newest named key that IAM has, live or not
	firstGuarded int             // index into Stores of the first guarded store, -1 if there is none
	allRead      bool            // every store answered
	unlisted     bool            // a young named key is not visible yet
	leaked       protocol.Key    // the key whose revocation is requested; zero if it is not ours
	left         map[string]bool // what stores named before the steps that led to this state
}

func look(s protocol.State, r protocol.Rules, t protocol.Trigger, now time.Time) view {
	v := view{State: s, r: r, now: now, asked: t.NewerThan, named: map[string]bool{}, allRead: true}
	v.lookAtLeak(t)
	v.firstGuarded = slices.IndexFunc(s.Stores, func(st protocol.Store) bool { return st.Guarded })
	v.Stores = slices.Clone(s.Stores)
	if v.firstGuarded >= 0 {
		v.Stores[v.firstGuarded].Required = true // no key is minted without the arbiter
	}
	v.lookAtStores()
	for _, k := range v.Keys {
		if !v.named[k.ID] {
			continue
		}
		if k.Compare(v.newest) > 0 {
			v.newest = k
		}
		if k.Live(now) && (v.published.ID == "" || prefer(k, v.published)) {
			v.published = k
		}
	}
	for i, st := range v.Stores {
		if st.Adoptable != "" && v.published.ID != "" && v.published.ID != st.Adoptable {
			v.Stores[i].Fault, v.allRead = reason.EntryUnmarked, false // too late: another key is published
		}
	}
	return v
}

// lookAtLeak finds the key whose revocation is requested. The rest of the plan sees
// it as it is after the first steps.
func (v *view) lookAtLeak(t protocol.Trigger) {
	i := slices.IndexFunc(v.Keys, func(k protocol.Key) bool { return k.ID == t.Leaked })
	if i < 0 {
		return
	}
	v.leaked, v.Keys = v.Keys[i], slices.Clone(v.Keys)
	k := &v.Keys[i]
	k.Disabled = k.Disabled || t.Contain && !k.Locked
	if k.Leaked.IsZero() {
		k.Leaked = v.now
	}
}

// lookAtStores finds which keys the stores name, and whether that is all known.
func (v *view) lookAtStores() {
	for i, st := range v.Stores {
		switch first := v.firstGuarded < 0 || v.firstGuarded == i; {
		case st.Fault != "":
			v.allRead = v.allRead && others(st)
		case st.Key != "":
			v.named[st.Key], v.unlisted = true, v.unlisted || first && v.hidden(st)
		}
	}
}

// hidden reports whether a store names a key that IAM may not return yet: it is published at
// most one Window after its birth, first in the arbiter, and IAM's lag is at most another one.
func (v view) hidden(st protocol.Store) bool {
	known := slices.ContainsFunc(v.Keys, func(k protocol.Key) bool { return k.ID == st.Key })
	return st.Fault == "" && st.Key != "" && !known && v.now.Before(st.Created.Add(2*v.r.Window))
}

// prefer reports whether the published key is k rather than other: one that did not
// leak, else the newer one.
func prefer(k, other protocol.Key) bool {
	if sound := k.Leaked.IsZero(); sound != other.Leaked.IsZero() {
		return sound
	}
	return k.Compare(other) > 0
}

// blocks are the reasons that close a gate before anything is planned, in their order.
var blocks = []struct {
	reason reason.Reason
	holds  func(v view, t protocol.Trigger) bool
}{
	{reason.Paused, func(v view, _ protocol.Trigger) bool { return v.Paused }},
	{reason.ClockSkew, func(v view, _ protocol.Trigger) bool { return v.Skew.Abs() > v.r.MaxSkew }},
	{reason.NameCollision, func(v view, _ protocol.Trigger) bool { return v.Identity.Collides }},
	{reason.NewerVersion, func(v view, _ protocol.Trigger) bool { return v.Identity.Newer }},
	{reason.ForgedMarker, func(v view, _ protocol.Trigger) bool { return v.Identity.Posing }},
	{reason.IdentityTwice, func(v view, _ protocol.Trigger) bool { return v.Identity.Twice }},
	{reason.NameTaken, func(v view, _ protocol.Trigger) bool { return v.Identity.NameTaken }},
	{reason.IdentityAbsent, func(v view, _ protocol.Trigger) bool { return v.Identity.Given && !v.Identity.Exists }},
	{reason.IdentityGone, func(v view, _ protocol.Trigger) bool { return !v.Identity.Exists && len(v.named) > 0 && !v.unlisted }},
	{reason.IdentityLocked, func(v view, _ protocol.Trigger) bool { return v.Identity.Locked && len(v.Identity.Unsatisfied) > 0 }},
	{reason.IdentityShared, view.shared},
	{reason.KeyDisabled, func(v view, _ protocol.Trigger) bool { return v.r.BlockDisabled && v.disabled() }},
	{reason.KeyForeign, func(v view, t protocol.Trigger) bool { return t.Leaked != "" && t.Leaked == v.Stranger }},
	{reason.AdoptionFailed, view.unadoptable},
}

// blocked returns why a person must act, or nothing.
func (v view) blocked(t protocol.Trigger) reason.Reason {
	for _, b := range blocks {
		if b.holds(v, t) {
			return b.reason
		}
	}
	return v.storeTrouble(func(st protocol.Store) bool { return st.Required && st.Fault.Kind() == reason.Block })
}

// shared reports whether something must be granted to a service ID that others have
// keys of. One that the config gives is the user's choice, and a key to be adopted
// is ours next.
func (v view) shared(protocol.Trigger) bool {
	return v.Foreign > 0 && !v.Identity.Given && len(v.Identity.Unsatisfied) > 0 && !v.adoptable()
}

// disabled reports whether a person disabled the newest key that a store names.
// Keys that have expired since do not count.
func (v view) disabled() bool {
	named := slices.DeleteFunc(slices.Clone(v.Keys), func(k protocol.Key) bool { return !v.named[k.ID] })
	slices.SortFunc(named, func(a, b protocol.Key) int { return b.Compare(a) })
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

// storeTrouble returns the first fault of the stores that count, or nothing.
func (v view) storeTrouble(counts func(protocol.Store) bool) reason.Reason {
	for _, st := range v.Stores {
		if st.Fault != "" && counts(st) {
			return st.Fault
		}
	}
	return ""
}

// others reports whether an entry was read and has a value that is not latchkey's.
func others(st protocol.Store) bool {
	return st.Fault == reason.EntryUnmarked || st.Fault == reason.EntryForeign
}

func required(st protocol.Store) bool { return st.Required }

func anyStore(protocol.Store) bool { return true }

// consumerTrouble returns ConsumerUnknown if a consumer could not be read. That is
// ConsumerSilent once the consumer may have a key that expires soon or has expired.
func (v view) consumerTrouble() reason.Reason {
	if !slices.ContainsFunc(v.Consumers, func(c protocol.Consumer) bool { return c.Unknown }) {
		return ""
	}
	expires := func(k protocol.Key) bool {
		return v.published.ID != k.ID && k.Superseded.IsZero() && !k.Fused(v.r) && k.Live(v.now) && k.Expired(v.now.Add(notice))
	}
	if v.now.Sub(v.published.Created) > (v.r.Expire-v.r.After)/2 || slices.ContainsFunc(v.Keys, expires) {
		return reason.ConsumerSilent
	}
	return reason.ConsumerUnknown
}

// trouble sets what keeps stores, consumers or older keys behind when no new key is
// due any more. An optional store never blocks.
func (v view) trouble(p *protocol.Plan) {
	fault := v.storeTrouble(anyStore)
	switch {
	case v.declined() && !v.copyable():
		p.Waiting = v.published.Refusal
		if slices.ContainsFunc(v.Stores, func(st protocol.Store) bool { return st.Required && !v.has(st) }) {
			holdBack(p, v.published.Refusal)
		}
	case fault != "":
		p.Waiting = fault
	case slices.ContainsFunc(v.Stores, v.hidden):
		p.Waiting = reason.NotVisible
	default:
		holdBack(p, v.consumerTrouble())
	}
}

// identity creates the service ID and its policies, and removes duplicates.
func (v view) identity() (steps []protocol.Step) {
	for _, id := range v.Identity.Duplicates {
		steps = append(steps, protocol.Step{Action: protocol.RemoveDuplicate, Target: id, Reason: reason.Duplicate})
	}
	if v.Identity.Former != "" {
		steps = append(steps, protocol.Step{Action: protocol.Rename, Target: v.Identity.Former, Reason: reason.Renamed})
	}
	if !v.Identity.Exists {
		steps = append(steps, protocol.Step{Action: protocol.CreateIdentity, Reason: reason.NoIdentity})
	}
	for _, policy := range v.Identity.Unsatisfied {
		steps = append(steps, protocol.Step{Action: protocol.GrantPolicy, Target: policy, Reason: reason.NoPolicy})
	}
	return steps
}

// narrowing takes down policies that the config does not say.
func (v view) narrowing() (steps []protocol.Step) {
	for _, policy := range v.Identity.Excess {
		steps = append(steps, protocol.Step{Action: protocol.NarrowPolicy, Target: policy, Reason: reason.PolicyExcess})
	}
	return steps
}

// adoptable reports whether a store holds the value of the key to adopt.
func (v view) adoptable() bool {
	return slices.ContainsFunc(v.Stores, func(st protocol.Store) bool { return st.Adoptable != "" })
}

// unadoptable reports whether no store has the value of the key to adopt. A store that
// names any key of ours had it.
func (v view) unadoptable(protocol.Trigger) bool {
	named := func(st protocol.Store) bool { return st.Key == v.Adopting || st.Foreign == v.Adopting }
	return v.Adopting != "" && v.allRead && len(v.named) == 0 && !v.adoptable() && !slices.ContainsFunc(v.Stores, named)
}

// adoptions adopt an existing key in every store that holds its value.
func (v view) adoptions() (steps []protocol.Step) {
	for _, st := range v.order() {
		if st.Adoptable != "" && st.Fault == "" {
			steps = append(steps, protocol.Step{Action: protocol.Adopt, Key: st.Adoptable, Target: st.Name, Reason: reason.Adoption})
		}
	}
	return steps
}
