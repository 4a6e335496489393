package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// ledger is the checker's record of a history.
type ledger struct {
	violations []string
	complete   []span // runs that saw everything and failed in nothing
	calm       []span // those that said that all is done
	out        string // how IAM is out: "", "unavailable" or "denied"
	// idGone is set if a person deleted the service ID.
	idGone  bool
	issued  time.Time // when the call that has its effect now was made
	doubles int       // second keys of one window where no store compares and sets
	firsts  int       // keys that a store has named
	// owed is the latest accepted demand for a newer key. unwanted and revoked are
	// the keys that accepted demands want replaced and revoked.
	owed              time.Time
	crowded           time.Time // when many keys were made by hand
	unwanted, revoked []string
}

type span struct{ from, to time.Time }

// evidence is what a run has read, and when.
type evidence struct {
	reads   map[*place]sight
	granted []access.Policy
	wants   []access.Policy      // as its config says
	found   time.Time            // when it asked for the service IDs
	listed  map[string]time.Time // when it last listed the keys of an identity
	skew    time.Duration
	limit   time.Time // when its context ends
	minted  int
	wrote   map[string]bool // keys that it has tried to publish
	// asListed is its clock when it last observed, and settling is set while it
	// observes. moved is when a key that it read showed that the clock had moved.
	asListed time.Duration
	settling bool
	moved    time.Time
	hearing
}

// sight is what a run last read from a store.
type sight struct {
	in     *place
	key    string
	value  bool
	owner  string
	failed bool
	at     time.Time
	// created is the key's birth as the entry has it, and own is set if the value is
	// that of the key.
	created time.Time
	own     bool
	adopts  bool // the value is that of the key to adopt
}

func newEvidence() evidence {
	return evidence{reads: map[*place]sight{}, wrote: map[string]bool{}, listed: map[string]time.Time{}}
}

func (s *sim) violate(promise, format string, args ...any) {
	text := fmt.Sprintf("at %s: ", s.now.Format("02 15:04:05")) + fmt.Sprintf(format, args...)
	s.violations = append(s.violations, promise+": "+text)
	s.note("VIOLATION %s: %s", promise, prose(text))
}

// nick returns a short name for a key or a service ID.
func (w *world) nick(id string) string {
	for i, f := range w.order {
		if f.id == id {
			return fmt.Sprintf("k%d", i+1)
		}
	}
	if len(id) > 4 {
		return id[len(id)-4:]
	}
	return id
}

// slack covers IAM's minutes, and the seconds of its Date.
const slack = time.Minute + 2*time.Second

func (s *sim) wasRead(r *run, p *place, e port.Entry, err error) {
	saw := sight{in: p, key: e.KeyID, value: !e.Value.Empty(), owner: e.Owner, failed: err != nil && !is(err, port.ErrNotFound), at: s.now, created: e.Created}
	if f := s.keys[e.KeyID]; f != nil && !e.Value.Empty() {
		saw.own = e.Value.Equal(secret.New(f.value))
	}
	saw.adopts = s.adopting != nil && e.Value.Equal(secret.New(s.adopting.value))
	r.reads[p] = saw
	if err == nil {
		r.sights = append(r.sights, saw)
	}
}

func (s *sim) mutated(what, key string) {
	if r := s.acting; r != nil {
		r.settling = false
		if !r.moved.IsZero() && s.issued.After(r.moved) {
			s.violate("P8", "%s although the clock has moved since the observation", what)
		}
		s.acting.mutations++
		s.disturb(r)
		s.note("  %s %s", what, s.nick(key))
	}
}

// skewed reports whether the acting run's clock is too far off to mint or end keys.
func (s *sim) skewed() bool {
	r := s.acting
	return min(r.skew.Abs(), r.offset.Abs()) > s.rules.MaxSkew+30*time.Second && r.skew == r.offset && r.thaw.IsZero()
}

// racing counts the runs that may not see each other's keys: running ones, those
// that minted less than IAM's lag ago, and those that minted after the minting run
// last listed keys, less that lag.
func (s *sim) racing(minting *run, iamID string) int {
	n := 0
	looked := minting.listed[iamID].Add(-s.lag)
	if minting.listed[iamID].IsZero() {
		looked = minting.start.Add(-s.lag)
	}
	for _, r := range s.runs {
		if !r.over && !r.dead {
			n++
			continue
		}
		for _, f := range s.order {
			if f.by == r && (s.now.Sub(f.born) < s.lag+slack || f.born.After(looked)) {
				n++
				break
			}
		}
	}
	return max(n, 1)
}

// checkMint checks the creation of a key: P3, P5, P6, P8 and P10.
func (s *sim) checkMint(r *run, m port.MintRequest, v secret.Value, k cloud.APIKey) {
	s.mutated("mint", "")
	live, all := 0, 0
	for _, f := range s.order {
		if f.iamID != k.IAMID || !f.gone.IsZero() || !f.expires.IsZero() && s.now.Sub(f.expires) > 90*24*time.Hour {
			continue // IAM deletes keys that have expired for long
		}
		all++
		if f.ours() && !f.leaked && f.liveAt(s.now) {
			live++
		}
	}
	if s.crowded.IsZero() || s.crowded.Before(r.listed[k.IAMID].Add(-s.lag)) {
		all += s.foreign[k.IAMID] // else it could not know of them
	}
	racing := s.racing(r, k.IAMID)
	if r.over || r.dead || s.now.Sub(s.issued) > 2*time.Minute {
		racing++ // what is in transit cannot be recalled
	}
	most := s.rules.MaxKeys + racing - 1
	if m.Reason != reason.Demanded && m.Reason != reason.Remembered {
		most += s.rules.Spare // a need may have more than a demand
	}
	if live+1 > most {
		s.violate("P3", "%d live keys, %d allowed with %d racing", live+1, most, racing)
	}
	if all >= s.rules.KeyLimit+racing-1 {
		s.violate("P3", "minted with %d keys there", all)
	}
	if lacks := absent(r.wants, r.granted); len(lacks) > 0 && s.now.Sub(s.issued) < 2*time.Minute {
		s.violate("P5", "minted although the policies that were read lack %s", strings.Join(lacks, ", "))
	}
	for _, text := range []string{m.Name, m.Description} {
		if strings.Contains(text, v.Expose()[:8]) {
			s.violate("P6", "the value stands in %q", text)
		}
	}
	if s.skewed() {
		s.violate("P8", "minted with a clock that is off by %s", r.offset)
	}
	longest := s.rules.Fuse + 2*slack
	if !r.thaw.IsZero() { // it may have been suspended between IAM's answer and its own reading of the clock
		longest += drift
	}
	if at := k.ExpiresAt; r.offset == r.skew && (at.IsZero() || at.After(s.now.Add(longest)) || at.Before(r.start.Add(s.rules.Fuse-2*slack))) {
		s.violate("P2", "born with expiry %s", at)
	}
	for _, f := range s.order {
		// minAge counts from created_at, which has minutes.
		if !f.gone.IsZero() && (s.arbiterLost() && s.arbitrated() || s.contained() || s.lostToHand(f)) {
			continue // it lost to a person's hand, and is gone
		}
		if !f.gone.IsZero() && f.gone.Before(r.listed[f.iamID].Add(-s.lag)) && s.outrun(f) {
			continue // it lost to another key, and is gone
		}
		if !r.knows(f) {
			continue // it was made after the credential was renamed, and the stores' arbiter decides
		}
		if s.now.Sub(s.issued) < 2*time.Minute && s.now.Sub(f.born) < s.rules.MinAge-slack && !f.born.After(r.listed[f.iamID].Add(-s.lag)) && f.excused == "" && f.by != nil {
			s.violate("P10", "minted %s after %s, which it could see", s.now.Sub(f.born), s.nick(f.id))
		}
	}
	// A process that was suspended between two attempts of the adapter creates a
	// second key if another replica has ended the first.
	if r.minted++; r.minted > 1 && s.now.Sub(r.start) < s.rules.Window {
		s.violate("P10", "one run mints %d keys", r.minted)
	}
	s.checkServed(r, m.Reason)
	f := &fact{id: k.ID, iamID: k.IAMID, value: v.Expose(), born: s.now, by: r}
	s.keys[k.ID], s.order = f, append(s.order, f)
	s.changed(k)
}

// knows reports whether a key bears a name of the credential that is in the run's config.
func (r *run) knows(f *fact) bool {
	return slices.Contains(r.names, f.shown[0].mark.Credential)
}

// contained reports whether a key was contained, as IBM does with one that it finds in
// public. minAge does not delay its successor.
func (w *world) contained() bool {
	for _, f := range w.order {
		if f.contained || !f.found.IsZero() {
			return true
		}
	}
	return false
}

// lostToHand reports whether a person wrote a store without compare-and-set while the
// key's run was at work, which then took the key back, or a write reached a store that was
// in transit for long.
func (w *world) lostToHand(f *fact) bool {
	meanwhile := func(at time.Time) bool { return !at.Before(f.by.start) && !at.After(f.gone) }
	return f.by != nil && slices.ContainsFunc(w.places, func(p *place) bool {
		return !p.guarded && meanwhile(p.touched) || p.late && meanwhile(p.since)
	})
}

// outrun reports whether a key lost to one that was minted at the same time.
func (w *world) outrun(f *fact) bool {
	for _, g := range w.order {
		if g != f && g.by != f.by && g.born.Sub(f.born).Abs() < w.rules.Window && (!g.stored.IsZero() || g.born.Before(f.born) || g.born.Equal(f.born) && g.id < f.id) {
			return true
		}
	}
	return false
}

// newest is the newest live key that a store names.
func (w *world) newest() *fact {
	var best *fact
	for _, f := range w.order {
		if w.named(f.id) && f.liveAt(w.now) {
			best = f
		}
	}
	return best
}

func (w *world) arbitrated() bool {
	for _, p := range w.places {
		if p.guarded {
			return true
		}
	}
	return false
}

// checkPublish checks a write to a store: P1, P7 and P11.
func (s *sim) checkPublish(p *place, e port.Entry, st step) {
	r, f := s.acting, s.keys[e.KeyID]
	s.mutated("write "+p.name, e.KeyID)
	p.late = s.now.Sub(s.issued) > 2*time.Minute
	saw, ok := r.reads[p]
	if !ok || saw.failed && saw.key == "" && !r.wrote[e.KeyID] {
		s.violate("P11", "writes to %s, which it could not read", p.name)
	}
	if p.there && ok && !saw.failed && !p.late && (p.entry.KeyID == "" && saw.key == "" && saw.value && !p.entry.Value.Equal(e.Value) || p.entry.Owner != "" && p.entry.Owner != owner && saw.owner == p.entry.Owner) {
		s.violate("P11", "writes over what another owner has in %s", p.name)
	}
	if f == nil {
		s.violate("P11", "writes a key that is not ours to %s", p.name)
		return
	}
	if !e.Value.Equal(secret.New(f.value)) {
		s.violate("P1", "writes to %s a value that is not that of %s", p.name, s.nick(f.id))
	}
	if st == publish && !f.proven {
		s.violate("P1", "publishes %s to %s without a proof", s.nick(f.id), p.name)
	}
	if s.skewed() {
		s.violate("P8", "writes to %s with a clock that is off by %s", p.name, r.offset)
	}
	if !f.liveAt(s.now) && f.excused == "" && !p.late {
		s.violate("P1", "writes %s to %s, which does not work", s.nick(f.id), p.name)
	}
	if st == publish && f.stored.IsZero() && s.issued.Sub(f.born) > s.rules.Window {
		s.violate("P1", "publishes %s to %s %s after its birth", s.nick(f.id), p.name, s.issued.Sub(f.born))
	}
	if has := s.keys[p.keyID()]; has != nil && has != f && saw.key == has.id && has.liveAt(s.now) && has.excused == "" && older(f, has) && !p.late && s.now.Sub(s.issued) < 5*time.Second {
		s.violate("P7", "writes %s to %s over %s, which is newer", s.nick(f.id), p.name, s.nick(has.id))
	}
	if !f.stored.IsZero() || st != publish {
		return
	}
	s.firsts++
	if before := s.newest(); before != nil && before.by != nil && before.excused == "" && !p.late {
		// Without a guarded store, two service IDs that were created at the same
		// time have an arbiter each.
		if f.leaked {
			return // its publication was under way when its end was asked for, and its run does not read it again before
		}
		near, two := f.born.Sub(before.born).Abs() < s.rules.MinAge-slack, !s.arbitrated() && f.iamID != before.iamID
		if near && !two && (!s.arbitrated() || !s.arbiterLost()) {
			s.violate("P7", "publishes %s although %s was published for the same", s.nick(f.id), s.nick(before.id))
		}
		if near || two {
			s.doubles++
		}
	}
}

// arbiterLost reports whether a person changed the entry that the replicas agree
// by.
func (w *world) arbiterLost() bool {
	for _, p := range w.places {
		if p.guarded {
			return p.handled
		}
	}
	return true
}

func older(a, b *fact) bool { return a.born.Before(b.born.Add(-slack)) }

// checkEnd checks every write that ends a key: P4 and P8.
func (s *sim) checkEnd(f *fact, doing string) {
	r := s.acting
	if s.skewed() && !f.contained { // what is contained ends whatever the time
		s.violate("P8", "%s %s with a clock that is off by %s", doing, s.nick(f.id), r.offset)
	}
	for _, p := range s.places {
		if !s.knows(r, p) {
			continue
		}
		if f.contained || !f.found.IsZero() || r.cred.Gone || s.leaving != nil || r.req.Trigger.Leaked == f.id && r.req.Trigger.Contain {
			break
		}
		saw, ok := r.reads[p]
		switch {
		case ok && saw.key == f.id:
			s.violate("P4", "%s %s, which %s names", doing, s.nick(f.id), p.name)
		case f.by == r && !r.wrote[f.id]: // no consumer can have it
		case !ok || saw.failed:
			s.violate("P4", "%s %s although %s could not be read", doing, s.nick(f.id), p.name)
		case p.keyID() == f.id && !p.byPerson && !p.late && p.since.Before(s.issued.Add(-s.rules.Window)):
			s.violate("P4", "%s %s, which %s has named for long", doing, s.nick(f.id), p.name)
		}
	}
}

// checkUpdate checks an update of a key: P1, P2, P4 and P11.
func (s *sim) checkUpdate(rec port.KeyRecord, c port.KeyChange, st step) {
	f, r := s.keys[rec.ID], s.acting
	s.mutated(string(st), rec.ID)
	if f == nil {
		s.violate("P11", "changes the foreign key %s", rec.ID)
		return
	}
	s.checkCause(r, c.Refusal)
	if c.Expires.IsZero() {
		return
	}
	marker := f.last().mark
	shortens := f.expires.IsZero() || c.Expires.Before(f.expires.Add(-slack))
	if shortens {
		s.checkEnd(f, "shortens")
	}
	switch st {
	case extend:
		last := marker.Superseded.Add(3*s.rules.Overlap + slack)
		if !marker.Leaked.IsZero() {
			s.violate("P7", "extends %s, which leaked", s.nick(f.id))
		}
		if s.sawHeld(r, f) {
			held := minTime(s.now.Add(max(s.rules.Overlap, s.rules.Fuse, 3*s.rules.SweepEvery)+2*slack), f.born.Add(s.rules.Expire+2*slack))
			if held.After(last) || marker.Superseded.IsZero() {
				last = held
			}
		}
		if shortens || c.Expires.After(last) {
			s.violate("P2", "extends %s until %s", s.nick(f.id), c.Expires)
		}
	case unfuse:
		if f.stored.IsZero() {
			s.violate("P2", "gives %s its full life although no store ever had it", s.nick(f.id))
		}
		if !marker.Superseded.IsZero() {
			s.violate("P2", "gives %s its full life although it is superseded", s.nick(f.id))
		}
	case supersede:
		if shortens && !marker.Superseded.IsZero() {
			s.violate("P1", "shortens the overlap of %s", s.nick(f.id))
		}
		if least := s.issued.Add(min(s.rules.Overlap, s.rules.Fuse) - 2*time.Minute); c.Expires.Before(least) {
			s.violate("P1", "leaves %s no overlap: until %s at %s", s.nick(f.id), c.Expires, s.issued)
		}
		for _, a := range s.apps {
			unseen := a.deployed.After(r.start) // the run has listed the apps before
			if a.key == f.id && !a.away && !unseen && !a.place.byPerson && !a.place.handled && !a.excused && f.excused == "" && !s.taken() && (s.arbitrated() || s.doubles == 0) {
				s.violate("P1", "supersedes %s, which %s still holds", s.nick(f.id), a.name)
			}
		}
	}
}

// sawHeld reports whether a run has read a store that names the key, or may have
// read a consumer that has it.
func (s *sim) sawHeld(r *run, f *fact) bool {
	for _, a := range s.apps {
		if a.mark == f.id || a.key == f.id {
			return true
		}
	}
	for _, saw := range r.reads {
		if saw.key == f.id {
			return true
		}
	}
	return false
}

// taken reports whether a person deleted a key that a store names.
func (w *world) taken() bool {
	for _, p := range w.places {
		if f := w.keys[p.keyID()]; f != nil && f.excused == "deleted" {
			return true
		}
	}
	return false
}

// checkRetire checks the deletion of a key: P1, P4 and P11.
func (s *sim) checkRetire(id string) {
	f, r := s.keys[id], s.acting
	s.mutated("retire", id)
	if f == nil {
		s.violate("P11", "deletes the foreign key %s", id)
		s.keys[id] = &fact{id: id}
		return
	}
	s.checkEnd(f, "deletes")
	s.checkLeft(f)
	had := !f.stored.IsZero() && !f.removed && !f.planted
	switch {
	case f.leaked, !f.found.IsZero(): // IBM's action on a leak is a revocation with containment
	case s.now.Sub(s.issued) > 2*time.Minute && f.stored.After(s.issued):
		// The deletion was in transit for minutes when the key was published.
	case s.lateIn(f):
		// The publication was in transit, and came after the read of the store.
	case f.liveAt(s.now) && had && (s.arbitrated() || s.doubles == 0):
		s.violate("P1", "deletes %s, which a store had and which still works", s.nick(id))
	case f.liveAt(s.now) && f.by != r && s.now.Sub(f.born) < s.rules.Window-slack:
		s.violate("P7", "deletes %s of another replica after %s", s.nick(id), s.now.Sub(f.born))
	case !f.expires.IsZero() && !f.expires.After(s.now) && had && s.now.Sub(f.expires) < s.rules.ExpiryMargin-3*time.Second:
		s.violate("P1", "deletes %s %s after its expiry", s.nick(id), s.now.Sub(f.expires))
	case f.by == r && f.stored.IsZero(): // its run withdraws it
	case f.disabled && f.excused != "" && f.liveUnlessDisabled(s.now):
		s.violate("P11", "deletes %s, which a person disabled", s.nick(id))
	}
}

// lateIn reports whether a store names the key by a write that was in transit for
// minutes and that the acting run has not read.
func (s *sim) lateIn(f *fact) bool {
	for _, p := range s.places {
		if saw := s.acting.reads[p]; p.keyID() == f.id && p.late && saw.key != f.id {
			return true
		}
	}
	return false
}

func (f *fact) liveUnlessDisabled(at time.Time) bool {
	return f.expires.IsZero() || f.expires.After(at)
}

// checkDisable checks the end of a leaked key: P4 and P11.
func (s *sim) checkDisable(id string) {
	f := s.keys[id]
	s.mutated("disable", id)
	if f != nil && s.leaving != nil {
		s.checkSuspended(f)
		return
	}
	if f == nil || !f.leaked {
		s.violate("P11", "disables %s without a demand", s.nick(id))
		return
	}
	s.checkEnd(f, "disables")
}

// checkCreate checks the creation of a service ID: P7 and P11.
func (s *sim) checkCreate(made cloud.ServiceID) {
	s.mutated("create", made.ID)
	if s.idGone {
		for _, p := range s.places {
			if saw := s.acting.reads[p]; saw.key != "" && s.keys[saw.key] != nil {
				s.violate("P11", "brings back the service ID that a person deleted")
			}
		}
	}
	for id, since := range s.ids {
		if !since.After(s.acting.found.Add(-s.lag)) {
			s.violate("P7", "creates a second service ID beside %s", s.nick(id))
		}
	}
	s.ids[made.ID] = s.now
}

// checkRemove checks the deletion of a service ID.
func (s *sim) checkRemove(id string, keys int) {
	s.mutated("remove", id)
	since, ours := s.ids[id]
	if !ours {
		s.violate("P11", "deletes the service ID %s, which is not ours", s.nick(id))
	}
	for _, f := range s.order {
		if f.iamID == "iam-"+id && f.gone.IsZero() && f.stored.IsZero() && f.by != nil && f.born.Sub(f.by.start) > s.rules.Window {
			keys-- // its creation was under way for so long that its run publishes nothing
		}
	}
	if late := s.now.Sub(s.issued) > 2*time.Minute; keys > 0 && !late {
		s.violate("P4", "deletes the service ID %s with %d keys", s.nick(id), keys)
	}
	for _, f := range s.order {
		if f.iamID == "iam-"+id && f.gone.IsZero() {
			f.gone, f.excused = s.now, "deleted" // it was under way, and can't be called back
		}
	}
	if s.now.Sub(since) < s.rules.Window-slack-drift {
		s.violate("P7", "deletes the service ID %s after %s", s.nick(id), s.now.Sub(since))
	}
	delete(s.ids, id)
}

// checkGrant checks a policy: P11.
func (s *sim) checkGrant(iamID string, p access.Policy) {
	s.mutated("grant", iamID)
	if _, ours := s.ids[strings.TrimPrefix(iamID, "iam-")]; !ours {
		s.violate("P11", "grants a policy to %s, which is not ours", s.nick(iamID))
	}
	wants := func(w access.Policy) bool { return w.Label() == p.Label() }
	if !slices.ContainsFunc(s.acting.wants, wants) {
		s.violate("P11", "grants %s, which the config of its run does not have", p.Label())
	}
}

// finished checks the outcome of a run for values (P6), and records it.
func (s *sim) finished(r *run) {
	text, err := json.Marshal(r.out)
	if err != nil {
		s.violate("P6", "the outcome can't be written: %v", err)
	}
	said := string(text)
	if r.err != nil {
		said += r.err.Error()
	}
	for _, f := range s.order {
		if f.value != "" && strings.Contains(said, f.value[:12]) {
			s.violate("P6", "the outcome tells the value of %s", s.nick(f.id))
		}
	}
	if r.out.Result == result.Blocked && (r.out.Reason == "" || r.out.Reason.Sentence() == "") {
		s.violate("P9", "blocked without a sentence: %q", r.out.Reason)
	}
	held := r.out.Result == result.Blocked || r.out.Result == result.InProgress ||
		r.out.Result == result.Published && r.out.Reason.Kind() >= reason.Wait
	if r.err == nil && held && r.calls > 0 { // else it shared the outcome of another run
		s.checkCause(r, r.out.Reason)
	}
	s.promised(r)
	whole := r.err == nil && r.out.Error == "" && r.out.Reason != reason.ClockSkew
	for _, st := range r.out.Stores {
		whole = whole && st.Fault == ""
	}
	for _, saw := range r.reads {
		whole = whole && !saw.failed
	}
	whole = whole && !r.heard(port.ErrUnavailable, consumers) && r.calls > 0 // else it shared the outcome of another run
	if whole {
		s.complete = append(s.complete, span{r.start, s.now})
		is := r.out.Result
		if is == result.Unchanged && r.out.Recorded || is == result.Changed || is == result.Published {
			s.calm = append(s.calm, span{r.start, s.now})
		}
	}
}

// promised records a demand that a run reports as met or recorded.
func (s *sim) promised(r *run) {
	if r.err != nil || !r.out.Recorded || r.out.Result == result.Failed || r.out.Reason == reason.KeyForeign {
		return // a failure is answered 503: the sender keeps the demand
	}
	t := r.req.Trigger
	if t.NewerThan.After(s.owed) && !t.NewerThan.After(s.now) && t.Expiry.IsZero() {
		s.owed = t.NewerThan
	}
	if t.NotKey != "" {
		s.unwanted = append(s.unwanted, t.NotKey)
	}
	// IAM may lack a younger key, which no store names. It is left to its fuse.
	if f := s.keys[t.Leaked]; t.Leaked != "" && (f == nil || !f.stored.IsZero() || f.born.Before(r.start.Add(-s.lag))) {
		s.revoked = append(s.revoked, t.Leaked)
	}
}

// checkKept checks P7: an accepted demand is met in the end, and a due key is
// replaced.
func (s *sim) checkKept(good *fact) {
	for _, f := range s.order {
		if f.excused != "" && f.excused != "revoked" {
			return // what was written on it may be gone with it
		}
	}
	for _, p := range s.places {
		if p.handled || p.late && p.keyID() == good.id { // a key that was under way for long may be too old
			return
		}
	}
	if good.born.Add(slack).Before(s.owed) {
		s.violate("P7", "%s was born at %s, and a newer one than %s was promised", s.nick(good.id), good.born, s.owed)
	}
	for _, id := range s.unwanted {
		if id == good.id {
			s.violate("P7", "%s is published still, and another was promised", s.nick(id))
		}
	}
	for _, id := range s.revoked {
		if f := s.keys[id]; f != nil && f.liveAt(s.now) && !f.last().Locked {
			s.violate("P7", "%s is alive still, and its revocation was promised", s.nick(id))
		}
	}
	if age := s.now.Sub(good.born); age > s.rules.After-s.rules.Jitter+3*s.rules.SweepEvery {
		s.violate("P7", "%s is %s old and due, and is not replaced", s.nick(good.id), age)
	}
}

// checkFound checks that what IBM found in public and disabled is deleted by the last run.
func (s *sim) checkFound(last *run) {
	if s.leaving != nil {
		return // its keys end when their wait is over
	}
	for _, f := range s.order {
		seen := !f.found.IsZero() && f.found.Before(last.start.Add(-s.lag)) && f.liveUnlessDisabled(s.now)
		if k := f.last(); seen && f.ours() && k.Disabled && !k.Locked && !s.named(f.id) {
			s.violate("P7", "IBM disabled %s at %s, and it is there still", s.nick(f.id), f.found.Format("02 15:04:05"))
		}
	}
}

// swept reports whether a complete run took place between two times.
func (s *sim) swept(from, to time.Time) bool {
	for _, c := range s.complete {
		if !c.from.Before(from) && !c.to.After(to) {
			return true
		}
	}
	return false
}

// authenticate uses the key that a consumer holds: P1 as the consumer sees it.
func (s *sim) authenticate(r *reader) {
	if r.key == "" || r.excused || r.away {
		return
	}
	f := s.keys[r.key]
	if f == nil {
		return
	}
	s.lagged(0, 0, 0)
	_, err := s.cloud.ExchangeAPIKey(r.value.Expose())
	if err == nil {
		f.dead = time.Time{} // a person may have enabled it again
		return
	}
	if f.excused != "" {
		s.checkReplaced(r, f)
		return
	}
	if !s.arbitrated() && s.doubles > 0 {
		return
	}
	had := f.stored
	if r.since.After(had) {
		had = r.since
	}
	if !s.swept(had, minTime(f.expires, f.gone, s.now)) || !s.swept(s.now.Add(-s.rules.Fuse), s.now) {
		return // no run looked while the consumer had the key, or for a whole fuse
	}
	s.violate("P1", "%s holds %s since %s and does not get in", r.name, s.nick(r.key), r.since.Format("02 15:04:05"))
	r.excused = true
}

// checkReplaced checks that a key that a person or IBM ended excuses a consumer only
// until two runs said that all is done, to which IAM's lists no longer showed it. What
// re-reads its store must have read it since the first.
func (s *sim) checkReplaced(r *reader, f *fact) {
	if f.dead.IsZero() {
		f.dead = s.now
	}
	runs := 0
	for _, c := range s.calm {
		restarted := slices.ContainsFunc(s.apps, func(a *app) bool { return &a.reader == r })
		if c.from.After(f.dead.Add(s.lag)) && (restarted || c.to.Before(r.since)) {
			runs++
		}
	}
	if runs < 2 || !s.arbitrated() && s.doubles > 0 {
		return
	}
	s.violate("P1", "%s holds %s since %s, which was ended, and nothing replaces it", r.name, s.nick(f.id), r.since.Format("02 15:04:05"))
	r.excused = true
}

func minTime(ts ...time.Time) time.Time {
	var least time.Time
	for _, t := range ts {
		if !t.IsZero() && (least.IsZero() || t.Before(least)) {
			least = t
		}
	}
	return least
}

// checkHealed checks P2, P3 and P9, two sweeps after the last fault.
func (s *sim) checkHealed(last *run) {
	if last.err != nil {
		s.violate("P9", "the second sweep after the faults fails: %v", last.err)
		return
	}
	if last.out.Result == result.Blocked {
		if r := last.out.Reason; r == reason.KeyDisabled && !s.rules.BlockDisabled {
			s.violate("P9", "blocked by %s, which latchkey repairs", r)
		}
		return
	}
	if last.out.Error != "" {
		s.violate("P9", "the second sweep after the faults fails: %s", last.out.Error)
	}
	good := s.newest()
	if good == nil {
		s.violate("P9", "nothing is published after two sweeps, and the last says %s %s", last.out.Result, last.out.Reason)
		return
	}
	if last.out.Result != result.InProgress {
		s.checkKept(good)
		s.checkFound(last)
	}
	for _, p := range s.places {
		if p.keyID() != good.id && !p.othersIn() {
			s.violate("P9", "%s names %s and not %s after two sweeps (%s %s)", p.name, s.nick(p.keyID()), s.nick(good.id), last.out.Result, last.out.Reason)
		}
		if p.keyID() == good.id && p.shows && p.entry.Value.Expose() != good.value {
			s.violate("P9", "%s has a value that is not that of %s after two sweeps", p.name, s.nick(good.id))
		}
	}
	if !good.expires.IsZero() && !good.expires.After(good.born.Add(s.rules.Fuse+16*time.Minute)) && !good.last().Locked {
		s.violate("P9", "%s still has its fuse on after two sweeps", s.nick(good.id))
	}
	for _, a := range s.apps {
		// An app that started with a person's value keeps it until its next restart.
		if late := !a.late.IsZero() && s.now.Sub(a.late) <= 2*s.rules.SweepEvery; late {
			continue // no two sweeps have seen it
		}
		if (a.mark != good.id || a.key != good.id && !a.excused) && (s.arbitrated() || s.doubles == 0) && !a.place.othersIn() {
			s.violate("P9", "%s holds %s, marked %s, after two sweeps", a.name, s.nick(a.key), s.nick(a.mark))
		}
	}
}

// checkRestart checks that no consumer gets a worse key than it has: P1. An app gets what
// its store has by then, whatever the run has read there.
func (s *sim) checkRestart(a *app, keyID string) {
	if keyID == "" {
		s.violate("P1", "restarts %s with no key", a.name)
	}
	has, gets := s.keys[a.key], s.keys[keyID]
	if has == nil || gets == nil || a.place.keyID() != keyID || !has.liveAt(s.now) || has.leaked || a.place.late || s.now.Sub(s.issued) > time.Minute {
		return
	}
	switch {
	case gets.leaked && leakSeen(gets) && gets.last().since.Before(s.acting.listed[gets.iamID].Add(-s.lag)):
		s.violate("P1", "restarts %s, which has %s, with %s, which leaked", a.name, s.nick(a.key), s.nick(keyID))
	case !gets.expires.IsZero() && gets.excused == "" && gets.expires.Before(s.now.Add(s.rules.SweepEvery)) && gets.expires.Before(has.expires):
		s.violate("P1", "restarts %s, which has %s, with %s, which ends at %s", a.name, s.nick(a.key), s.nick(keyID), gets.expires)
	}
}

// checkEnding checks P2: a key that no store names will expire.
func (s *sim) checkEnding() {
	if slices.ContainsFunc(s.apps, func(a *app) bool { return a.place.othersIn() }) {
		return // that app keeps the key that it has, which must not end
	}
	for _, f := range s.order {
		m := f.last().mark
		if !m.Superseded.IsZero() && !f.expires.IsZero() && !f.expires.After(m.Superseded.Add(3*s.rules.Overlap+slack)) {
			continue
		}
		if !s.named(f.id) && f.ours() && f.liveAt(s.now) && f.excused == "" && (f.expires.IsZero() || f.expires.After(s.now.Add(max(s.rules.Overlap, s.rules.Fuse, 3*s.rules.SweepEvery)+2*slack))) {
			s.violate("P2", "%s, which no store names, lives until %s", s.nick(f.id), f.expires)
		}
	}
}

func leakSeen(f *fact) bool {
	return !f.last().mark.Leaked.IsZero()
}
