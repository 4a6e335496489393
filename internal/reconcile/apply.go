package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// minted is the key that this round made.
type minted struct {
	rotation.Key
	value  secret.Value
	stored bool // a store may hold it
}

// patience is how long a proof or a read-back may wait for IAM's lag.
const patience = 60 * time.Second

// round observes, decides and applies once.
func (ru *run) round(ctx context.Context) error {
	if err := ru.observe(ctx); err != nil {
		return err
	}
	plan := ru.decide()
	// Who lost an election must not go on to mint: a list that lags hides the
	// rival, and the next key would lose to it again.
	if i := slices.IndexFunc(plan.Steps, func(s rotation.Step) bool { return s.Action == rotation.Mint }); i >= 0 && ru.spent {
		plan.Steps, plan.Waiting = plan.Steps[:i], rotation.InProgress
	}
	switch {
	case plan.Blocked != "":
		ru.block(plan.Blocked)
	case plan.Waiting != "":
		ru.out.Result, ru.out.Reason = ResultInProgress, plan.Waiting
	}
	err := ru.apply(ru.within(ctx), plan)
	ru.out.Kept = ru.kept(plan)
	ru.report(plan)
	return err
}

// took reports whether a step about a key was taken with success.
func (ru *run) took(a rotation.Action, keyID string) bool {
	return slices.ContainsFunc(ru.out.Steps, func(s StepOutcome) bool { return s.Action == a && s.Key == keyID && s.Error == "" })
}

// report tells people what the steps leave behind.
func (ru *run) report(plan rotation.Plan) {
	for _, n := range plan.Notes {
		replaced := n.Reason == rotation.Expiring && ru.fresh != nil && ru.fresh.stored
		if !replaced {
			ru.tell(n)
		}
	}
	ru.out.Leaked = ru.fate()
	for _, k := range ru.keys {
		if k.Leaked.IsZero() && k.ID != ru.ask.Trigger.Leaked {
			continue
		}
		switch {
		case ru.took(rotation.Disable, k.ID):
			ru.tell(rotation.Note{Reason: rotation.TokensLive, Key: k.ID, At: ru.now().Add(tokenLife).Truncate(time.Second)})
		case k.Live(ru.now()) && !ru.took(rotation.Retire, k.ID):
			ru.tell(rotation.Note{Reason: rotation.LeakedAlive, Key: k.ID})
		}
	}
}

// fate is what has become of the key whose revocation was asked for.
func (ru *run) fate() Leaked {
	id := ru.ask.Trigger.Leaked
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == id })
	switch {
	case id == "" || ru.out.Leaked == LeakedElsewhere:
		return ru.out.Leaked
	case ru.other != "":
		return LeakedForeign
	case i < 0 && ru.unseen(id):
		return LeakedAlive
	case i < 0:
		return LeakedGone
	case ru.took(rotation.Disable, id) || ru.took(rotation.Retire, id) || !ru.keys[i].Live(ru.now()):
		return LeakedEnded
	}
	return LeakedAlive
}

// tokenLife is how long an access token outlives its key at the most.
const tokenLife = time.Hour

func (ru *run) tell(notes ...rotation.Note) {
	for _, n := range notes {
		ru.out.Notes = append(ru.out.Notes, NoteOutcome{Note: n, Message: n.Reason.Sentence()})
	}
}

func (ru *run) block(reason rotation.Reason) {
	ru.out.Result, ru.out.Reason, ru.out.Message = ResultBlocked, reason, reason.Sentence()
}

// apply takes the steps in order. A step that fails ends the round, except
// for a store or a consumer that is not the first: its trouble only keeps the
// old key from being ended.
func (ru *run) apply(ctx context.Context, plan rotation.Plan) error {
	defer ru.rememberLate(ctx, plan)()
	var late, unmarked error
	unwritten := false
	for _, step := range plan.Steps {
		if late != nil && ru.ends(step) {
			continue // somebody may still hold the old key
		}
		if unwritten && step.Action == rotation.RestartConsumer {
			continue // it might be marked with a key that its store does not have
		}
		if step.Key == rotation.NewKey && ru.fresh != nil {
			step.Key = ru.fresh.ID
		}
		err := ru.take(ctx, step)
		if errors.Is(err, errAgain) {
			return err
		}
		done := StepOutcome{Step: step}
		if step.Action == rotation.Mint && ru.fresh != nil {
			done.Key = ru.fresh.ID
		}
		if err != nil {
			done.Error = err.Error()
		}
		ru.out.Steps = append(ru.out.Steps, done)
		ru.log.Info("step", "action", string(step.Action), "key", done.Key, "target", step.Target,
			"reason", string(step.Reason), "error", done.Error)
		if err == nil {
			if ru.ask.Kept != nil && ru.kept(plan) {
				ru.ask.Kept(ru.c.Name)
			}
			continue
		}
		if step.Action == rotation.Condemn {
			if errors.Is(err, errDrift) || errors.Is(err, errTooLate) {
				return err // this run knows nothing about time any more
			}
			unmarked = err // what the mark says is being done
			continue
		}
		if step.Action == rotation.RestartConsumer || (step.Action == rotation.Publish && ru.fresh.stored) || step.Action == rotation.Copy {
			ru.hold(step, err)
			late = errors.Join(late, err)
			unwritten = unwritten || step.Action != rotation.RestartConsumer
			continue
		}
		return errors.Join(unmarked, late, ru.explain(ctx, step, err))
	}
	if held := ru.out.Result == ResultBlocked || ru.out.Result == ResultInProgress; ru.fresh != nil && ru.fresh.stored && !held {
		ru.out.Result = ResultPublished
	}
	return errors.Join(unmarked, late)
}

// hold says why a store that is not the first did not get the key, where only a
// person can mend that. One that is optional blocks nothing.
func (ru *run) hold(step rotation.Step, err error) {
	final := errors.Is(err, ErrDenied) || errors.Is(err, ErrRefused) || errors.Is(err, ErrQuota)
	switch {
	case errors.Is(err, errAltered):
		ru.block(rotation.EntryAltered)
	case !final || step.Action == rotation.RestartConsumer:
	case !ru.c.Optional[step.Target]:
		ru.block(storeFault(err))
	case ru.out.Result != ResultBlocked:
		ru.out.Result, ru.out.Reason = ResultInProgress, storeFault(err)
	}
}

// ends reports whether a step ends a key that consumers may hold. A contained
// key has ended already.
func (ru *run) ends(s rotation.Step) bool {
	switch s.Action {
	case rotation.Supersede:
		return true
	case rotation.Disable, rotation.Retire:
		contained := ru.ask.Trigger.Contain && s.Key == ru.ask.Trigger.Leaked
		return s.Reason == rotation.KeyLeaked && !contained
	}
	return false
}

// explain turns a step's failure into a blocked reason where only a person can
// mend it.
func (ru *run) explain(ctx context.Context, step rotation.Step, err error) error {
	denied, refused := errors.Is(err, ErrDenied), errors.Is(err, ErrRefused)
	switch {
	case (step.Action == rotation.Mint || step.Action == rotation.GrantPolicy || errors.Is(err, errUncleared)) && ru.locked(ctx, err):
		ru.block(rotation.IdentityLocked)
	case step.Action == rotation.Publish && (denied || refused || errors.Is(err, ErrQuota)):
		ru.block(storeFault(err))
	case errors.Is(err, errStorm):
		ru.block(rotation.Storm)
	case step.Action == rotation.GrantPolicy && strings.HasPrefix(step.Target, groupLabel) && (denied || refused || errors.Is(err, ErrNotFound)):
		ru.block(rotation.GroupDenied)
	case step.Action == rotation.GrantPolicy && denied:
		ru.block(rotation.PolicyDenied)
	case step.Action == rotation.GrantPolicy && refused:
		ru.block(rotation.PolicyWeaker)
	case step.Action == rotation.Prove && (denied || refused || errors.Is(err, ErrNotYet)):
		ru.block(rotation.ProofDenied)
	case step.Action == rotation.Mint && errors.Is(err, ErrQuota):
		ru.block(rotation.KeyCap)
	case step.Action == rotation.Mint && refused:
		ru.block(rotation.ValueRefused)
	case denied:
		ru.block(rotation.IdentityDenied)
	}
	return err
}

// locked reports whether a lock on the service ID explains why something was
// not created on it: an earlier run that knew it may not know the lock, and
// whether a locked one takes keys is not documented.
func (ru *run) locked(ctx context.Context, err error) bool {
	if errors.Is(err, ErrQuota) || errors.Is(err, errTooLate) {
		return false
	}
	id, lerr := ru.Identities.Lookup(ctx, ru.id.IAMID)
	if lerr == nil && id.Locked {
		ru.keep(ru.c.Name, ServiceID{}) // the next run reads it anew
	}
	return lerr == nil && id.Locked
}

func (ru *run) take(ctx context.Context, s rotation.Step) error {
	if err := ru.mayWrite(ctx, time.Time{}); err != nil {
		return err
	}
	switch s.Action {
	case rotation.CreateIdentity:
		return ru.createIdentity(ctx)
	case rotation.RemoveDuplicate:
		return ru.removeDuplicate(ctx, s.Target)
	case rotation.Rename:
		return ru.rename(ctx)
	case rotation.RemoveIdentity:
		return ru.removeIdentity(ctx)
	case rotation.Condemn:
		return ru.change(ctx, s.Key, KeyChange{Leaked: s.At}, func(k rotation.Key) bool { return !k.Leaked.IsZero() })
	case rotation.Disable:
		return ru.disable(ctx, s)
	case rotation.Extend:
		return ru.changeAsRead(ctx, s.Key, func(k rotation.Key) (KeyChange, bool) {
			return KeyChange{Expires: s.At}, k.Leaked.IsZero() && k.Expires.Before(s.At)
		})
	case rotation.Adopt:
		return ru.adopt(ctx, s)
	case rotation.GrantPolicy:
		if group, ok := strings.CutPrefix(s.Target, groupLabel); ok {
			return ru.join(ctx, group)
		}
		return ru.grant(ctx, s.Target)
	case rotation.Unfuse:
		return ru.change(ctx, s.Key, KeyChange{Expires: ru.unfused(s)},
			func(k rotation.Key) bool { return !k.Superseded.IsZero() || !k.Expires.Before(ru.unfused(s)) })
	case rotation.Supersede:
		return ru.supersede(ctx, s)
	case rotation.Remember:
		return ru.change(ctx, s.Key, KeyChange{Renew: s.At},
			func(k rotation.Key) bool { return !k.Renew.Before(s.At) })
	case rotation.Retire:
		return ru.retire(ctx, s)
	case rotation.Mint:
		return ru.mint(ctx, s.Reason)
	case rotation.Prove:
		return ru.prove(ctx)
	case rotation.Publish:
		return ru.publish(ctx, s.Target)
	case rotation.Copy:
		return ru.copy(ctx, s)
	case rotation.RestartConsumer:
		return ru.restart(ctx, s)
	}
	return fmt.Errorf("taking step: unknown action %q", s.Action)
}

// underWay is how long a write may take to arrive: somebody else may end the
// key at the window, so the last one leaves before.
const underWay = 2 * time.Minute

// mayWrite refuses a write that comes too late: nobody writes later than a
// window after its observation, or after the birth of the key it is about.
// The wall clock tells, so a process that was frozen sees it.
func (ru *run) mayWrite(ctx context.Context, born time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", errTooLate, err)
	}
	age := ru.wall().Sub(ru.started)
	if !born.IsZero() {
		age = max(age, ru.now().Sub(born)+underWay)
	}
	if age < 0 || age >= ru.c.Rules.Window {
		return fmt.Errorf("%w: %s old", errTooLate, age.Round(time.Second))
	}
	return nil
}

func (ru *run) marker() Marker {
	return Marker{Owner: ru.Owner, Credential: ru.c.Name, With: ru.c.With}
}

func (ru *run) createIdentity(ctx context.Context) error {
	id, err := ru.Identities.Create(ctx, ru.c.ServiceIDName, ru.marker().Describe(ru.c.Description))
	if err != nil {
		return fmt.Errorf("creating service ID %q: %w", ru.c.ServiceIDName, err)
	}
	ru.id, ru.out.ServiceID = id, id.ID
	return nil
}

// removeDuplicate deletes a service ID if it still has no keys: they would be
// deleted with it.
func (ru *run) removeDuplicate(ctx context.Context, id string) error {
	i := slices.IndexFunc(ru.ours, func(d ServiceID) bool { return d.ID == id })
	l, err := ru.Keys.List(ctx, ru.ours[i].IAMID, ru.c.names()...)
	if err != nil {
		return fmt.Errorf("removing duplicate %s: %w", id, err)
	}
	if len(l.Keys)+l.Foreign > 0 {
		return fmt.Errorf("%w: duplicate %s has keys now", errAgain, id)
	}
	if err := ru.checkDrift(l.Date); err != nil {
		return fmt.Errorf("removing duplicate %s: %w", id, err)
	}
	if err := ru.mayWrite(ctx, time.Time{}); err != nil {
		return fmt.Errorf("removing duplicate %s: %w", id, err)
	}
	return ru.Identities.Remove(ctx, id)
}

// grant makes one policy and reads it back: IAM may answer success and grant
// less, and it is eventually consistent. A policy on the right resource that
// lacks a role is the former; none at all may be the latter.
func (ru *run) grant(ctx context.Context, label string) error {
	i := slices.IndexFunc(ru.c.Policies, func(p Policy) bool { return p.Label() == label })
	want := ru.c.Policies[i]
	if err := ru.Identities.Grant(ctx, ru.id.IAMID, want); err != nil {
		return fmt.Errorf("granting %s: %w", label, err)
	}
	return ru.poll(ctx, func() error {
		granted, err := ru.Identities.Granted(ctx, ru.id.IAMID)
		if err != nil {
			return fmt.Errorf("reading back %s: %w", label, err)
		}
		if fulfilled(want, granted) {
			return nil
		}
		for _, g := range granted {
			if g.Service == want.Service && g.Instance == want.Instance && g.ResourceGroup == want.ResourceGroup {
				return fmt.Errorf("reading back %s: granted only %v: %w", label, g.Roles, ErrRefused)
			}
		}
		return fmt.Errorf("reading back %s: %w", label, ErrNotYet)
	})
}

// unfused is the new key's full life where the plan could not know its birth.
func (ru *run) unfused(s rotation.Step) time.Time {
	if s.At.IsZero() && ru.fresh != nil {
		return ru.fresh.Created.Add(ru.c.Rules.Expire)
	}
	return s.At
}

// supersede starts a key's overlap. It starts at the write, not when it was
// planned: the process may have stood still in between.
func (ru *run) supersede(ctx context.Context, s rotation.Step) error {
	var ends time.Time
	err := ru.changeAsRead(ctx, s.Key, func(k rotation.Key) (KeyChange, bool) {
		ends = s.At.Add(ru.wall().Sub(ru.started)).Add(time.Minute - time.Nanosecond).Truncate(time.Minute)
		open := k.Superseded.IsZero() || k.Expires.Before(ends)
		if !open {
			ends = k.Expires // it lives longer already
		}
		return KeyChange{Expires: ends, Superseded: ru.now()}, open
	})
	if err == nil && s.Key == ru.out.Replaced {
		ru.out.ReplacedEnds = ends
	}
	return err
}

// change updates one key unless that is done already. A conflict is read again
// for a while, since what was read may lag: to observe everything anew would lose
// the value of a key that is half published, and who was first may have done the
// same.
func (ru *run) change(ctx context.Context, keyID string, c KeyChange, done func(rotation.Key) bool) error {
	const first, longest = 250 * time.Millisecond, 8 * time.Second
	end := ru.wall().Add(patience)
	for pause := first; ; pause = min(2*pause, longest) {
		err := ru.changeAsRead(ctx, keyID, func(k rotation.Key) (KeyChange, bool) { return c, !done(k) })
		if !errors.Is(err, ErrConflict) || !ru.wall().Add(pause).Before(end) {
			return err
		}
		if serr := ru.sleep(ctx, pause); serr != nil {
			return err
		}
	}
}

// changeAsRead updates one key: read, look whether a change is still wanted and
// which, write under the version that was read. A conflict is to be observed anew.
func (ru *run) changeAsRead(ctx context.Context, keyID string, wanted func(rotation.Key) (KeyChange, bool)) error {
	rec, err := ru.getPatiently(ctx, keyID)
	if err != nil {
		return err
	}
	c, open := wanted(rec.Key)
	if !open {
		return nil
	}
	if err := ru.mayWrite(ctx, time.Time{}); err != nil {
		return err
	}
	switch err := ru.Keys.Update(ctx, rec, c); {
	case errors.Is(err, ErrConflict):
		return fmt.Errorf("%w: updating key %s: %w", errAgain, keyID, err)
	case err != nil:
		return fmt.Errorf("updating key %s: %w", keyID, err)
	}
	if !c.Expires.IsZero() && ru.out.Key == keyID {
		ru.out.KeyExpires = c.Expires
	}
	return nil
}

// getPatiently reads a key that was seen to exist: that IAM does not know it
// may be IAM's lag.
func (ru *run) getPatiently(ctx context.Context, keyID string) (rec KeyRecord, err error) {
	err = ru.poll(ctx, func() error {
		rec, err = ru.get(ctx, keyID)
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%w: %w", ErrNotYet, err)
		}
		return err
	})
	return rec, err
}

// get reads a key and the clock with it.
func (ru *run) get(ctx context.Context, keyID string) (KeyRecord, error) {
	rec, err := ru.Keys.Get(ctx, keyID)
	if err != nil {
		return rec, fmt.Errorf("reading key %s: %w", keyID, err)
	}
	if err := ru.checkDrift(rec.Date); err != nil {
		return rec, err
	}
	if !rec.Ours {
		return rec, fmt.Errorf("reading key %s: no longer ours: %w", keyID, ErrRefused)
	}
	return rec, nil
}

// retire deletes a key that nobody holds, if it still is as it was observed:
// an instance may have published it meanwhile.
func (ru *run) retire(ctx context.Context, s rotation.Step) error {
	rec, err := ru.get(ctx, s.Key)
	if errors.Is(err, ErrNotFound) {
		ru.release(ctx, s.Key) // whoever deleted it may not have come so far
		return nil
	}
	if err != nil {
		return err
	}
	// A leaked key ends whatever became of its expiry: this plan may have moved
	// its fuse out.
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == s.Key })
	if i < 0 || (s.Reason != rotation.KeyLeaked && !ru.keys[i].Expires.Equal(rec.Expires)) {
		return fmt.Errorf("%w: key %s has another expiry", errAgain, s.Key)
	}
	if s.Reason == rotation.NeverPublished || (s.Reason == rotation.KeyLeaked && !rec.Disabled) {
		if err := ru.checkUnnamed(ctx, s.Key); err != nil {
			return err
		}
	}
	if s.Reason == rotation.NeverPublished {
		// A deletion carries no version, and what IAM showed may lag: only a
		// change under the version that was read proves that nobody moved the
		// fuse out.
		if err := ru.mark(ctx, rec); err != nil {
			return err
		}
	}
	if err := ru.mayWrite(ctx, time.Time{}); err != nil {
		return err
	}
	if err := ru.Keys.Retire(ctx, s.Key); err != nil {
		return err
	}
	ru.release(ctx, s.Key)
	return nil
}

// mark notes on a key that it is about to be deleted; its expiry stays.
func (ru *run) mark(ctx context.Context, rec KeyRecord) error {
	if err := ru.mayWrite(ctx, time.Time{}); err != nil {
		return err
	}
	err := ru.Keys.Update(ctx, rec, KeyChange{Withdrawn: ru.now()})
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: marking key %s: %w", errAgain, rec.ID, err)
	}
	if err != nil {
		return fmt.Errorf("marking key %s: %w", rec.ID, err)
	}
	return nil
}

// checkUnnamed looks once more whether a store names a key that is about to be
// deleted: its instance may have been slow, not gone.
func (ru *run) checkUnnamed(ctx context.Context, keyID string) error {
	for _, e := range ru.entries {
		now, err := e.store.Read(ctx)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return fmt.Errorf("looking for key %s in %s: %w", keyID, e.store.Name(), err)
		case now.KeyID == keyID:
			return fmt.Errorf("%w: store %s names key %s now", errAgain, e.store.Name(), keyID)
		}
	}
	return nil
}

func (ru *run) mint(ctx context.Context, due rotation.Reason) error {
	forced := due == rotation.Demanded || due == rotation.Remembered || due == rotation.KeyLeaked
	if forced && !ru.storm.enter(ru.now()) {
		return fmt.Errorf("minting a key: %w: %d within an hour", errStorm, forcedPerHour)
	}
	value, err := secret.Random(ru.Rand)
	if err != nil {
		return err
	}
	// The name's random part need not be secret; it must not come from the
	// value's bytes in a way that tells them.
	sum := sha256.Sum256([]byte("name of " + value.Expose()))
	now := ru.now()
	m := ru.marker()
	m.With = nil
	m.Answers = ru.answers()
	for _, st := range ru.c.Stores {
		m.Stores = append(m.Stores, st.Name())
	}
	k, err := ru.Keys.Mint(ctx, MintRequest{
		IAMID:       ru.id.IAMID,
		Name:        KeyName(ru.c.Name, now, hex.EncodeToString(sum[:4])),
		Description: m.Describe(ru.ask.Cause),
		Expires:     now.Add(ru.c.Rules.Fuse),
		OnLeak:      ru.c.OnLeak,
	}, value)
	if err != nil {
		return fmt.Errorf("minting a key: %w", err)
	}
	ru.fresh = &minted{Key: k, value: value}
	return nil
}

// answers is the latest demand that the new key meets.
func (ru *run) answers() time.Time {
	at := ru.wanted.NewerThan
	for _, k := range ru.keys {
		if k.Renew.After(at) {
			at = k.Renew
		}
	}
	return at
}

// prove shows that the new key does its job, while the keys are listed once
// more: of two instances that minted at once, the lower key wins.
func (ru *run) prove(ctx context.Context) error {
	var proof, lost error
	var g errgroup.Group
	g.Go(func() error {
		proof = ru.proveKey(ctx)
		return nil
	})
	g.Go(func() error {
		lost = ru.elect(ctx)
		return nil
	})
	_ = g.Wait()
	if lost != nil {
		return lost
	}
	return proof
}

func (ru *run) proveKey(ctx context.Context) error {
	var who Bearer
	err := ru.poll(ctx, func() (err error) {
		who, err = ru.Exchange.Exchange(ctx, ru.fresh.value)
		return err
	})
	if err != nil {
		return fmt.Errorf("proving key %s: getting a token: %w", ru.fresh.ID, err)
	}
	if who.IAMID != ru.id.IAMID {
		return fmt.Errorf("proving key %s: its token is for %s: %w", ru.fresh.ID, who.IAMID, ErrRefused)
	}
	if ru.Account != nil {
		account, err := ru.Account(ctx)
		if err != nil {
			return fmt.Errorf("proving key %s: %w", ru.fresh.ID, err)
		}
		if who.Account != account {
			return fmt.Errorf("proving key %s: its token is for account %s: %w", ru.fresh.ID, who.Account, ErrRefused)
		}
	}
	for _, p := range ru.c.Provers {
		err := ru.poll(ctx, func() error {
			return p.Prove(ctx, Proof{Credential: ru.c.Name, KeyID: ru.fresh.ID, Token: who.Token})
		})
		if err != nil {
			return fmt.Errorf("proving key %s: %s: %w", ru.fresh.ID, p.Name(), err)
		}
	}
	return nil
}

// elect withdraws the new key if a rival's is lower. A list that lags hides
// rivals: the store that decides settles those.
func (ru *run) elect(ctx context.Context) error {
	l, err := ru.Keys.List(ctx, ru.id.IAMID, ru.c.names()...)
	if err != nil {
		return nil //nolint:nilerr // an election that could not be held decides nothing
	}
	if err := ru.checkDrift(l.Date); err != nil {
		return fmt.Errorf("electing among new keys: %w", err)
	}
	for _, k := range l.Keys {
		young := ru.now().Before(k.Created.Add(ru.c.Rules.Window))
		known := ru.listed(k.ID) // it was here before: then it was no rival, or nothing would have been minted
		if k.ID != ru.fresh.ID && !known && young && k.Leaked.IsZero() && k.Live(ru.now()) && k.Superseded.IsZero() && k.Compare(ru.fresh.Key) < 0 {
			return ru.withdraw(ctx, "the rival key "+k.ID+" is lower")
		}
	}
	return nil
}

// withdraw deletes the own key: only while no store can hold it.
func (ru *run) withdraw(ctx context.Context, why string) error {
	if err := ru.Keys.Retire(ctx, ru.fresh.ID); err != nil {
		return fmt.Errorf("withdrawing key %s: %w", ru.fresh.ID, err)
	}
	return fmt.Errorf("%w: %s", errAgain, why)
}

func (ru *run) reading(store string) reading {
	i := slices.IndexFunc(ru.entries, func(e reading) bool { return e.store.Name() == store })
	return ru.entries[i]
}

// publish writes the new key to one store. The first one to be written is the
// store that decides between instances.
func (ru *run) publish(ctx context.Context, store string) error {
	at := ru.reading(store)
	if err := ru.clear(ctx, at); err != nil {
		return err
	}
	// Clearing takes calls, and the process may have stood still in one.
	if err := ru.mayWrite(ctx, ru.fresh.Created); err != nil {
		return fmt.Errorf("publishing key %s to %s: %w", ru.fresh.ID, store, err)
	}
	entry := Entry{KeyID: ru.fresh.ID, Value: ru.fresh.value, Created: ru.fresh.Created, IAMID: ru.id.IAMID, Owner: ru.Owner}
	err := ru.put(ctx, at.store, entry, at.Revision)
	if err == nil {
		// The store said that it is done: consumers may hold the key, whatever
		// reading it back tells.
		ru.published(store)
		return ru.readBack(ctx, at.store, entry)
	}
	err = fmt.Errorf("publishing key %s to %s: %w", ru.fresh.ID, store, err)
	conflict := errors.Is(err, ErrConflict)
	if !conflict && !errors.Is(err, ErrUnavailable) {
		return err // a definite refusal: the key is left to its fuse, which keeps minAge's brake
	}
	// A lost answer, or a conflict with our own lost answer: read back.
	back, rerr := at.store.Read(context.WithoutCancel(ctx))
	if errors.Is(rerr, ErrNotFound) {
		back, rerr = Entry{Revision: back.Revision}, nil
	}
	switch {
	case rerr == nil && back.KeyID == ru.fresh.ID:
		ru.published(store)
		return nil
	case conflict && rerr == nil && back.KeyID == at.KeyID && back.Revision != at.Revision && ru.anothers(back) == ru.anothers(at.Entry):
		// A neighbour in the same place changed, not our entry: nobody was first.
		i := slices.IndexFunc(ru.entries, func(e reading) bool { return e.store.Name() == store })
		ru.entries[i].Entry = back
		return ru.publish(ctx, store)
	case conflict && !ru.fresh.stored && rerr == nil:
		return ru.withdraw(ctx, "another instance published to "+store+" first")
	}
	return err
}

// readBack compares what a store gives with what it was given, where the config
// asks for that. The old key stays until they are the same.
func (ru *run) readBack(ctx context.Context, st Store, given Entry) error {
	if !ru.c.ReadBack[st.Name()] {
		return nil
	}
	got, err := st.Read(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("reading key %s back from %s: %w", given.KeyID, st.Name(), err)
	case got.KeyID != given.KeyID:
		return fmt.Errorf("reading key %s back from %s: %w: it names %q", given.KeyID, st.Name(), ErrUnavailable, got.KeyID)
	case !got.Value.Empty() && !got.Value.Equal(given.Value):
		return fmt.Errorf("reading key %s back from %s: %w", given.KeyID, st.Name(), errAltered)
	}
	return nil
}

// published notes that consumers may hold the new key from now on.
func (ru *run) published(store string) {
	if !ru.fresh.stored {
		ru.fresh.stored, ru.out.Replaced = true, ru.before
		ru.out.Key, ru.out.KeyCreated, ru.out.KeyExpires = ru.fresh.ID, ru.fresh.Created, ru.fresh.Expires
		ru.out.Next = ru.fresh.Created.Add(ru.c.Rules.After - ru.c.Rules.Jitter)
		if len(ru.ours) == 1 { // the keys of a second service ID have to be looked at
			ru.keep(ru.c.Name, ru.id)
		}
	}
	ru.noteStore(store, ru.fresh.ID)
}

func (ru *run) noteStore(store, keyID string) {
	for i := range ru.out.Stores {
		if ru.out.Stores[i].Name == store {
			ru.out.Stores[i].Key = keyID
		}
	}
}

// proveCopy shows that a value is the key's before another store gets it:
// people's hands may have changed it.
func (ru *run) proveCopy(ctx context.Context, from reading) error {
	who, err := ru.Exchange.Exchange(ctx, from.Value)
	switch {
	case errors.Is(err, ErrNotYet):
		return fmt.Errorf("%w: %w", errAltered, err)
	case err != nil:
		return err
	case !ru.ourIdentity(who.IAMID):
		return fmt.Errorf("%w: its token is for %s", errAltered, who.IAMID)
	}
	return nil
}

// copy brings a store up to the published key from one that has it.
func (ru *run) copy(ctx context.Context, s rotation.Step) error {
	to := ru.reading(s.Target)
	for _, from := range ru.entries {
		if from.err != nil || from.KeyID != s.Key || from.Value.Empty() {
			continue
		}
		if err := ru.proveCopy(ctx, from); err != nil {
			return fmt.Errorf("copying key %s from %s to %s: %w", s.Key, from.store.Name(), s.Target, err)
		}
		if err := ru.unmoved(ctx, to); err != nil {
			return err
		}
		if err := ru.mayWrite(ctx, time.Time{}); err != nil {
			return fmt.Errorf("copying key %s to %s: %w", s.Key, s.Target, err)
		}
		e := from.Entry
		e.Revision = ""
		err := ru.put(ctx, to.store, e, to.Revision)
		if errors.Is(err, ErrConflict) {
			return fmt.Errorf("%w: copying key %s to %s: %w", errAgain, s.Key, s.Target, err)
		}
		if err != nil {
			return fmt.Errorf("copying key %s to %s: %w", s.Key, s.Target, err)
		}
		ru.noteStore(s.Target, s.Key)
		return ru.readBack(ctx, to.store, e)
	}
	return fmt.Errorf("copying key %s to %s: %w", s.Key, s.Target, errAgain)
}
