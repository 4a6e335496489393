package reconcile

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/drift"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// addNotes adds the notes of the plan and about leaked keys.
func (ru *run) addNotes(plan protocol.Plan) {
	for _, n := range plan.Notes {
		replaced := n.Reason == reason.Expiring && ru.fresh != nil && ru.fresh.stored
		if !replaced {
			ru.note(n)
		}
	}
	ru.noteBeyond()
	ru.out.Leaked = ru.fate()
	for _, k := range ru.facts.Keys {
		if k.Leaked.IsZero() && k.ID != ru.req.Trigger.Leaked {
			continue
		}
		switch {
		case ru.out.Took(protocol.Disable, k.ID):
			ru.note(protocol.Note{Reason: reason.TokensLive, Key: k.ID, At: ru.now().Add(protocol.TokenLife).Truncate(time.Second)})
		case k.Locked && k.Live(ru.now()):
			ru.note(protocol.Note{Reason: reason.KeyLocked, Key: k.ID})
		case k.Live(ru.now()) && !ru.out.Took(protocol.Retire, k.ID):
			ru.note(protocol.Note{Reason: reason.LeakedAlive, Key: k.ID})
		}
	}
}

// noteBeyond adds notes about keys that others put back, about what the credential has
// beyond the config, and about what only looks like ours.
func (ru *run) noteBeyond() {
	ru.note(ru.state().PutBack(ru.c.Rules, ru.now())...)
	narrowed := func(policy string) bool { return ru.out.Took(protocol.NarrowPolicy, policy) }
	ru.out.Notes = append(ru.out.Notes, drift.Forged(ru.facts.Forged)...)
	ru.out.Notes = append(ru.out.Notes, drift.Notes(ru.c, ru.id, ru.facts, narrowed)...)
}

// noteCleanUp adds a note about something that is over and could not be removed,
// with the upstream's own error.
func (ru *run) noteCleanUp(s protocol.Step, err error) {
	n := protocol.Note{Reason: reason.CleanUpFailed, Key: s.Key, Thing: s.Target}
	ru.out.Notes = append(ru.out.Notes, result.Note{Note: n, Message: n.Reason.Sentence() + ": " + fence.Words(err)})
}

// note adds notes with their sentences. A note about a use names the client.
func (ru *run) note(notes ...protocol.Note) {
	for _, n := range notes {
		if ru.UsedBy != nil && (n.Reason == reason.StillUsed || n.Reason == reason.UsedToTheEnd) {
			n.By = ru.UsedBy(ru.id.IAMID, n.At)
		}
		ru.out.Notes = append(ru.out.Notes, result.Note{Note: n, Message: n.Reason.Sentence()})
	}
}

// fate returns the state of the key whose revocation was requested.
func (ru *run) fate() result.Leaked {
	id := ru.req.Trigger.Leaked
	i := slices.IndexFunc(ru.facts.Keys, func(k protocol.Key) bool { return k.ID == id })
	switch {
	case id == "" || ru.out.Leaked == result.LeakedElsewhere:
		return ru.out.Leaked
	case ru.facts.Stranger != "":
		return result.LeakedForeign
	case i < 0 && ru.facts.Unseen(id):
		return result.LeakedAlive
	case i < 0:
		return result.LeakedGone
	case !ru.works(ru.facts.Keys[i]):
		return result.LeakedRevoked
	}
	return result.LeakedAlive
}
