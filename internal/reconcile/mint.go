package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storm"
)

// minted is the key that this round created.
type minted struct {
	protocol.Key
	value  secret.Value
	stored bool // a store may hold it
}

// mint creates a key with its fuse.
func (ru *run) mint(ctx context.Context, s protocol.Step) error {
	due := s.Reason
	if f, forced := ru.forcedBy(due); forced && !ru.storm.Enter(f, ru.ForcedPerHour) {
		return fmt.Errorf("minting a key: %w", errStorm)
	}
	if n := ru.remaining(); n >= ru.c.Rules.KeyLimit { // deletions that the plan counted on have failed
		return fmt.Errorf("minting a key: %w: the service ID has %d keys", port.ErrQuota, n)
	}
	value, err := secret.Random(ru.Rand)
	if err != nil {
		return err
	}
	now := ru.now()
	m := ru.marker()
	m.With, m.Credential = nil, ru.known()
	m.Answers, m.Served = ru.answers(), ru.served()
	if k := ru.facts.Newest(ru.before); k.Fused(ru.c.Rules) {
		m.Replaces = k.ID
	}
	for _, st := range ru.c.Stores {
		m.Stores = append(m.Stores, st.Name())
	}
	k, err := ru.Keys.Mint(ctx, port.MintRequest{
		IAMID:       ru.id.IAMID,
		Name:        marker.KeyName(m.Credential, now, marker.Print(value)),
		Description: m.Describe(ru.describeKey(due)),
		Expires:     now.Add(ru.c.Rules.Fuse),
		OnLeak:      ru.c.OnLeak,
		Reason:      due,
	}, value)
	if err != nil {
		return err
	}
	ru.fresh = &minted{Key: k.Key, value: value}
	ru.fence.Minted(k.ID, k.Created)
	if due == reason.Remembered {
		ru.out.RecordedCause = ru.recordedCause()
	}
	return nil
}

// remaining returns how many keys the service ID has, as far as is known.
func (ru *run) remaining() int {
	return ru.facts.Foreign[ru.id.IAMID] + ru.facts.Count(func(k protocol.Key) bool { return !k.Elsewhere && !ru.out.Took(protocol.Retire, k.ID) })
}

// answers returns the latest demand that the new key meets.
func (ru *run) answers() time.Time {
	at := ru.wanted.NewerThan
	for _, k := range ru.facts.Keys {
		if k.Renew.After(at) {
			at = k.Renew
		}
	}
	return at
}

// served returns the latest expiry date of a secret that the new key serves. A key
// that is minted for another reason inherits it, since notices about a date come
// for months.
func (ru *run) served() time.Time {
	at := ru.wanted.Expiry
	for _, k := range ru.facts.Keys {
		if k.Served.After(at) {
			at = k.Served
		}
	}
	return at
}

// prove gets a token with the new key and calls the provers with it.
func (ru *run) prove(ctx context.Context, _ protocol.Step) error {
	var who port.Bearer
	err := ru.poll(ctx, func() (err error) {
		who, err = ru.Exchange.Exchange(ctx, ru.fresh.value)
		return fence.Answered(err)
	})
	if err != nil {
		return fmt.Errorf("proving key %s: getting a token: %w", ru.fresh.ID, err)
	}
	if who.IAMID != ru.id.IAMID {
		return fmt.Errorf("proving key %s: its token is for %s: %w", ru.fresh.ID, who.IAMID, port.ErrRefused)
	}
	if ru.Account != nil {
		account, err := ru.Account(ctx)
		if err != nil {
			return fmt.Errorf("proving key %s: %w", ru.fresh.ID, err)
		}
		if who.Account != account {
			return fmt.Errorf("proving key %s: its token is for account %s: %w", ru.fresh.ID, who.Account, port.ErrRefused)
		}
	}
	for _, p := range ru.c.Provers {
		if err := ru.Prove(ctx, p, port.Proof{Credential: ru.c.Name, KeyID: ru.fresh.ID, Token: who.Token}); err != nil {
			return fmt.Errorf("proving key %s: %s: %w", ru.fresh.ID, p.Name(), err)
		}
	}
	return nil
}

// Prove calls a prover until it succeeds, or fails in a way that IAM's lag can't explain.
func (r *Reconciler) Prove(ctx context.Context, by port.Prover, p port.Proof) error {
	wait := patience
	if by, patient := by.(port.Patient); patient {
		wait = by.Patience()
	}
	return r.pollFor(ctx, wait, func() error { return fence.Answered(by.Prove(ctx, p)) })
}

// withdraw deletes the new key. No store may hold it.
func (ru *run) withdraw(ctx context.Context, why string) error {
	if err := ru.Keys.Withdraw(ctx, ru.fresh.ID); err != nil {
		return fmt.Errorf("%w: key %s, because %s: %w", fault.ErrWithdrawal, ru.fresh.ID, why, err)
	}
	return fmt.Errorf("%w: %s", observe.ErrAgain, why)
}

// recordedCause returns the cause of the latest recorded demand, or "".
func (ru *run) recordedCause() string {
	var latest protocol.Key
	for _, k := range ru.facts.Keys {
		if k.Renew.After(latest.Renew) {
			latest = k
		}
	}
	return latest.RenewCause
}

// describeKey returns the text before a new key's marker: what the key is for, what
// the run was requested by, and the cause of a recorded demand.
func (ru *run) describeKey(due reason.Reason) string {
	texts := []string{ru.c.KeyDescription, ru.req.Cause, ""}
	if cause := ru.recordedCause(); due == reason.Remembered && cause != "" {
		texts[2] = "demanded earlier: " + cause
	}
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), "; ")
}

// forcedBy returns what a rotation for the reason counts as. A demand that an earlier
// run recorded has no caller: the run that meets it is a look.
func (ru *run) forcedBy(due reason.Reason) (f storm.Force, forced bool) {
	f = storm.Force{At: ru.now(), Credential: ru.c.Name, Leaked: due == reason.KeyLeaked}
	if due == reason.Demanded {
		f.Caller = ru.req.Caller
	}
	return f, f.Leaked || due == reason.Demanded || due == reason.Remembered
}

// dueByDemand returns the reason of a rotation that a demand would force: this
// request's, or an earlier one's.
func (ru *run) dueByDemand() reason.Reason {
	if t := ru.req.Trigger; t.NewerThan.IsZero() && t.NotKey == "" {
		return reason.Remembered
	}
	return reason.Demanded
}

func (ru *run) overForced(due reason.Reason) bool {
	f, _ := ru.forcedBy(due)
	return ru.storm.Over(f, ru.ForcedPerHour)
}
