package observe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Cause returns what was observed that a reason is about: the first error of a store, or
// of its consumers, with this reason, or who is in the way.
func (f *Facts) Cause(why reason.Reason) error {
	switch why {
	case reason.ConsumerUnknown, reason.ConsumerSilent:
		return f.consumerError()
	case reason.OwnLogin:
		return errors.New(f.ServiceID.ID)
	case reason.NameCollision:
		return f.Collision()
	case reason.NameTaken:
		return f.TakenBy()
	case reason.StoreSilent:
		why = reason.StoreUnreachable
	}
	for _, e := range f.Entries {
		if e.Err != nil && fault.OfStore(e.Err) == why {
			return e.Err
		}
	}
	return nil
}

// consumerError returns why consumers could not be read, or names those that do not
// exist.
func (f *Facts) consumerError() error {
	if f.ConsumerErr != nil {
		return f.ConsumerErr
	}
	var missing []string
	for _, c := range f.Consumers {
		if c.Unknown {
			missing = append(missing, c.Name)
		}
	}
	return errors.New(strings.Join(missing, ", "))
}

// RunsWith says with which key a consumer runs, and how long that works. It is empty if
// that is not known.
func (f *Facts) RunsWith(consumer string) string {
	for _, c := range f.Consumers {
		i := slices.IndexFunc(f.Keys, func(k protocol.Key) bool { return k.ID == c.Key })
		if c.Name != consumer || i < 0 || f.Keys[i].Expires.IsZero() {
			continue
		}
		verb := "expires"
		if f.Keys[i].Expired(f.clock.Now()) {
			verb = "expired"
		}
		return fmt.Sprintf("; its key %s %s at %s UTC", c.Key, verb, f.Keys[i].Expires.UTC().Format(time.DateTime))
	}
	return ""
}

// Starting reports whether steps begin with restarts of consumers that were restarted
// with the key already, and no other consumer is to restart.
func (f *Facts) Starting(steps []protocol.Step) bool {
	again := func(s protocol.Step) bool {
		return slices.ContainsFunc(f.Consumers, func(c protocol.Consumer) bool { return c.Name == s.Target && c.Next == s.Key })
	}
	first := func(s protocol.Step) bool { return s.Action == protocol.RestartConsumer && !again(s) }
	return len(steps) > 0 && steps[0].Action == protocol.RestartConsumer && !slices.ContainsFunc(steps, first)
}

// StoreOf returns the store that a step writes, or whose consumer it restarts. It is
// empty if there is none.
func (f *Facts) StoreOf(s protocol.Step) string {
	switch s.Action {
	case protocol.Publish, protocol.Copy, protocol.Adopt, protocol.RemoveEntry:
		return s.Target
	case protocol.RestartConsumer:
		i := slices.IndexFunc(f.Consumers, func(c protocol.Consumer) bool { return c.Name == s.Target })
		if i >= 0 {
			return f.Consumers[i].Store
		}
	}
	return ""
}
