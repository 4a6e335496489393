package reconcile

import (
	"context"
	"slices"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// recordLate records the demand on the published key if the caller is about to be
// answered before the new key is published. The returned function stops waiting
// for that.
func (ru *run) recordLate(ctx context.Context, plan rotation.Plan) (stop func()) {
	t := ru.wanted
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == plan.Published })
	mints := slices.ContainsFunc(plan.Steps, func(s rotation.Step) bool { return s.Action == rotation.Mint })
	if ru.req.Answering == nil || ru.req.Recorded == nil || !mints || i < 0 || t.Leaked != "" || !ru.keys[i].Owes(t) {
		return func() {}
	}
	old := ru.keys[i]
	at := t.NewerThan
	if old.Meets(at) {
		at = old.After(old.Born()) // only NotKey is unmet, and any newer key meets it
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ru.req.Answering:
		case <-done:
			return
		}
		err := ru.change(ctx, old.ID, KeyChange{Renew: at, Served: t.Expiry}, func(k rotation.Key) bool { return !k.Renew.Before(at) })
		if err != nil {
			ru.log.Warn("recording a demand before the caller is answered", "key", old.ID, "error", err.Error())
			return
		}
		ru.req.Recorded(ru.c.Name)
	}()
	return func() {
		close(done)
		<-ended
	}
}

// recordRefusal records on a new key that it could not be published, and why. Later
// runs then do not mint a key at every sweep.
func (ru *run) recordRefusal(ctx context.Context, s rotation.Step, err error) {
	if ru.fresh == nil || is(err, errAgain, errDrift, errTooLate, errUnread, errWithdrawal) || s.Action != rotation.Prove && s.Action != rotation.Publish {
		return
	}
	final := is(err, ErrDenied, ErrRefused, ErrQuota)
	why := storeFault(err)
	switch {
	case !final && ru.fresh.stored:
		return // the next run copies the key, or tries again
	case final && ru.out.Result == ResultBlocked:
		why = ru.out.Reason
	case s.Action == rotation.Prove:
		why = rotation.ProofUnclear
	}
	err = ru.change(ctx, ru.fresh.ID, KeyChange{Refused: ru.now(), Refusal: why}, func(k rotation.Key) bool { return !k.Refused.IsZero() })
	if err != nil {
		ru.log.Warn("recording why a key could not be published", "key", ru.fresh.ID, "error", err.Error())
	}
}

// recorded reports whether the demand is met or recorded. Without a service ID it
// is not, because sweeps find credentials by their markers.
func (ru *run) recorded(plan rotation.Plan) bool {
	if ru.id.ID == "" {
		return false
	}
	t := ru.wanted
	if t == (rotation.Trigger{}) || plan.Blocked == rotation.KeyForeign {
		return true
	}
	if t.Leaked != "" {
		return ru.leakRecorded(t.Leaked)
	}
	published := ru.fresh != nil && ru.fresh.stored
	if t.NotKey != "" && !published && (ru.unseen(t.NotKey) || t.NotKey != plan.Published && ru.unread()) {
		return false // a store may name that key
	}
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == plan.Published })
	if i < 0 {
		return ru.mintsNext(plan)
	}
	return published || !ru.keys[i].Owes(t) || ru.took(rotation.Record, plan.Published)
}

func (ru *run) leakRecorded(id string) bool {
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == id })
	if i < 0 {
		return !ru.unseen(id)
	}
	return !ru.keys[i].Leaked.IsZero() || ru.took(rotation.MarkLeaked, id)
}

// mintsNext reports whether, if no key is published, the next run certainly mints
// a key that meets any demand. That is not so if a store could not be read, or if
// another replica, an adoption or a person who enables a key could publish an
// older one.
func (ru *run) mintsNext(plan rotation.Plan) bool {
	if ru.unread() || plan.Waiting == rotation.InProgress || ru.c.AdoptKey != "" || ru.c.Gone {
		return false
	}
	for _, e := range ru.entries {
		if ru.unseen(e.KeyID) {
			return false
		}
	}
	at := ru.started.Add(ru.offset)
	return !slices.ContainsFunc(ru.keys, func(k rotation.Key) bool {
		rival := k.Live(at) && k.Superseded.IsZero() && at.Before(k.Created.Add(ru.c.Rules.Window))
		disabled := ru.named(k.ID) && k.Disabled && !k.Expired(at)
		return k.Leaked.IsZero() && (rival || disabled)
	})
}

// unread reports whether a store could not be read.
func (ru *run) unread() bool {
	return slices.ContainsFunc(ru.entries, func(e reading) bool { return e.err != nil })
}
