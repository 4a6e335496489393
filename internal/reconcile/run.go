package reconcile

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
)

// run is one round over one credential: what it has read, and what it has done.
type run struct {
	*Reconciler
	fence      *fence.Fence
	Identities port.Identities // in place of the Reconciler's, behind the fence
	Keys       fence.Keys
	Profiles   port.Profiles // nil for none

	c   port.Credential
	req Request
	log *slog.Logger
	out *result.Outcome
	// memberships lets the run read access groups that the config does not name.
	memberships bool
	facts       *observe.Facts // set once, and never written
	attempt
}

// attempt is what a round decided and did.
type attempt struct {
	// id is the service ID as the steps left it: the observed one, or one that they made.
	id      port.ServiceID
	profile port.Profile // the trusted profile that a step made
	before  string       // the key that was published when the run observed
	fresh   *minted
	// wanted is the demand as it was when the plan was made. The clock may move
	// later.
	wanted  protocol.Trigger
	left    bool                          // the credential comes to its end, or has come to it
	why     string                        // why that is blocked
	spent   bool                          // an earlier round of this run has minted
	renewed atomic.Pointer[protocol.Step] // the demand that was recorded, once it was
	last    bool                          // no other round follows
	ends    map[string]time.Time          // when keys end whose expiry this run has changed, as IAM answered
	// withdrawn is a key that bears that mark: no other replica had moved its fuse out.
	withdrawn string
}

// newRun returns one round over a credential. It reads and writes through the fence.
func (r *Reconciler) newRun(c port.Credential, req Request, log *slog.Logger, out *result.Outcome) *run {
	f := fence.New(fence.NewClock(r.wall), c.Rules.Window)
	ru := &run{Reconciler: r, c: c, req: req, log: log, out: out, fence: f, attempt: attempt{ends: map[string]time.Time{}}}
	ru.Identities, ru.Keys, ru.Profiles = f.Identities(r.Identities), f.Keys(r.Keys), f.Profiles(r.Profiles)
	ru.c.Stores = make([]port.Store, len(c.Stores))
	for i, st := range c.Stores {
		ru.c.Stores[i] = f.Store(st)
	}
	ru.c.Consumers = make([]port.Consumers, len(c.Consumers))
	for i, cs := range c.Consumers {
		ru.c.Consumers[i] = f.Consumers(cs)
	}
	return ru
}

// observe reads the facts.
func (ru *run) observe(ctx context.Context) error {
	by := observe.Observer{
		Identities: ru.Identities, Keys: ru.Keys, Profiles: ru.Profiles, Clock: ru.fence.Clock, Memory: &ru.memory, Owner: ru.Owner, Self: ru.Self, Log: ru.log, Memberships: ru.memberships,
	}
	f, err := by.Observe(ctx, ru.c, ru.req.Trigger.Leaked, ru.req.End)
	if err != nil {
		return err
	}
	ru.facts, ru.id = f, f.ServiceID
	if ru.out.Leaked = ""; f.Elsewhere {
		ru.out.Leaked = result.LeakedElsewhere
	}
	return nil
}

// now returns the time by IAM's clock.
func (ru *run) now() time.Time { return ru.fence.Now() }
