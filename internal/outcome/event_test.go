package outcome

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

func step(a protocol.Action, why reason.Reason) result.Step {
	return result.Step{Step: protocol.Step{Action: a, Key: "ApiKey-1", Reason: why}}
}

func note(why reason.Reason) result.Note {
	return result.Note{Note: protocol.Note{Reason: why}, Message: why.Sentence()}
}

func TestTypeOfTheWorstOutcome(t *testing.T) {
	out := func(r result.Result, steps ...result.Step) result.Outcome {
		return result.Outcome{Credential: "a", Result: r, Steps: steps}
	}
	rotated := out(result.Published)
	rotated.Replaced = "ApiKey-0"
	expiring := out(result.Unchanged)
	expiring.Notes = append(expiring.Notes, note(reason.Expiring))
	failed := step(protocol.Disable, reason.KeyLeaked)
	failed.Error = "denied"
	for name, tc := range map[string]struct {
		want     string
		outcomes []result.Outcome
	}{
		"a first key is provisioned":                        {"provisioned", []result.Outcome{out(result.Published)}},
		"a key in another's place is rotated":               {"rotated", []result.Outcome{rotated}},
		"of many the rotated one counts":                    {"rotated", []result.Outcome{out(result.Published), rotated, out(result.Unchanged)}},
		"a leaked key that was disabled is revoked":         {"revoked", []result.Outcome{out(result.Published, step(protocol.Disable, reason.KeyLeaked))}},
		"a leaked key that was not disabled is not":         {"provisioned", []result.Outcome{out(result.Published, failed)}},
		"an overlap that starts is superseded":              {"superseded", []result.Outcome{out(result.Changed, step(protocol.Supersede, reason.Replaced))}},
		"deleted keys are retired":                          {"retired", []result.Outcome{out(result.Changed, step(protocol.Retire, reason.Replaced))}},
		"anything else is repaired":                         {"repaired", []result.Outcome{out(result.Changed, step(protocol.Copy, reason.StoreBehind), step(protocol.Retire, reason.Replaced))}},
		"blocked is worse than what was done":               {"blocked", []result.Outcome{rotated, out(result.Blocked)}},
		"a deferred step is in progress":                    {"in-progress", []result.Outcome{out(result.InProgress)}},
		"a key that ends soon is expiring":                  {"expiring", []result.Outcome{out(result.Unchanged), expiring}},
		"a credential that no entry yields is unconfigured": {"unconfigured", []result.Outcome{out(result.Unconfigured)}},
		"nothing to do is unchanged":                        {"unchanged", []result.Outcome{out(result.Unchanged)}},
		"no outcome at all is unchanged":                    {"unchanged", nil},
		"a step that failed is worse than a block":          {"failed", []result.Outcome{out(result.Blocked), out(result.Failed)}},
		"an overlap and an end are both superseded":         {"superseded", []result.Outcome{out(result.Changed, step(protocol.Retire, reason.Replaced), step(protocol.Supersede, reason.Replaced))}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Type(tc.outcomes...); got != TypePrefix+tc.want {
				t.Errorf("type %s, want %s", got, tc.want)
			}
		})
	}
}

// An outcome event that comes back, as from a sink that sends to latchkey, asks for nothing.
func TestEveryOutcomeEventThatComesBackIsNotForUs(t *testing.T) {
	all := []result.Outcome{{Replaced: "ApiKey-0", Result: result.Published}}
	for _, r := range []result.Result{result.Unchanged, result.Changed, result.Published, result.InProgress, result.Blocked, result.Unconfigured, result.Failed} {
		all = append(all, result.Outcome{Result: r})
		for _, s := range []protocol.Action{protocol.Disable, protocol.Retire, protocol.Supersede, protocol.NarrowPolicy} {
			all = append(all, result.Outcome{Result: r, Steps: []result.Step{step(s, reason.KeyLeaked)}}, result.Outcome{Result: r, Steps: []result.Step{step(s, reason.Replaced)}})
		}
		for _, why := range []reason.Reason{reason.Expiring, reason.PolicyWider, reason.ProfileReady} {
			all = append(all, result.Outcome{Result: r, Notes: []result.Note{note(why)}})
		}
	}
	kinds := map[string]bool{}
	for _, o := range all {
		e := cloudevents.New("1.0")
		e.SetID("1")
		e.SetSource("/latchkey")
		e.SetType(Type(o))
		kinds[Type(o)] = true
		if _, err := (event.Reader{}).Interpret(e); !errors.Is(err, event.ErrNotForUs) {
			t.Errorf("%s: %v", Type(o), err)
		}
	}
	if len(kinds) != 15 {
		t.Errorf("%d types, and package event knows 15: %v", len(kinds), slices.Sorted(maps.Keys(kinds)))
	}
}

func TestTheSameOutcomeIsTheSameEvent(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	blocked := result.Outcome{Credential: "a", Result: result.Blocked, Reason: reason.KeyCap, Key: "ApiKey-1", Next: at}
	later := blocked
	later.Next, later.Error = at.Add(time.Hour), "seen at another time"
	repaired := blocked
	repaired.Result, repaired.Reason, repaired.Steps = result.Changed, "", []result.Step{step(protocol.Copy, reason.StoreBehind)}
	id := func(source string, o result.Outcome, at time.Time) string { return newEvent(source, o, at).ID }
	same := map[string][2]string{
		"a change sent twice":          {id("/latchkey/p", repaired, at), id("/latchkey/p", repaired, at.Add(time.Millisecond))},
		"a block found an hour later":  {id("/latchkey/p", blocked, at), id("/latchkey/p", later, at.Add(time.Hour))},
		"a block seen by two replicas": {id("/latchkey/p", blocked, at), id("/latchkey/p", blocked, at.Add(time.Second))},
	}
	for name, ids := range same {
		if ids[0] != ids[1] {
			t.Errorf("%s: %s and %s", name, ids[0], ids[1])
		}
	}
	other := blocked
	other.Reason = reason.StoreDenied
	different := map[string][2]string{
		"another reason":              {id("/latchkey/p", blocked, at), id("/latchkey/p", other, at)},
		"another installation":        {id("/latchkey/p", blocked, at), id("/latchkey/q", blocked, at)},
		"the same change again":       {id("/latchkey/p", repaired, at), id("/latchkey/p", repaired, at.Add(time.Minute))},
		"a block that is there a day": {id("/latchkey/p", blocked, at), id("/latchkey/p", blocked, at.Add(24*time.Hour))},
	}
	for name, ids := range different {
		if ids[0] == ids[1] {
			t.Errorf("%s: both are %s", name, ids[0])
		}
	}
}

func TestShortAndLongText(t *testing.T) {
	o := result.Outcome{
		Credential: "logs-sender/4f", Result: result.Blocked, Reason: reason.KeyCap, Message: reason.KeyCap.Sentence(), Key: "ApiKey-1", Owner: "ops@example.com",
		Notes: []result.Note{{Note: protocol.Note{Reason: reason.Expiring, Key: "ApiKey-1"}, Message: reason.Expiring.Sentence()}},
	}
	e := newEvent("/latchkey/p", o, time.Now())
	want := "latchkey: logs-sender/4f blocked. " + reason.KeyCap.Sentence() + ". Owner: ops@example.com. Key: ApiKey-1. ApiKey-1: " + reason.Expiring.Sentence() +
		". To see it: latchkey status logs-sender/4f."
	if e.Short != "latchkey: logs-sender/4f blocked" || e.Long != want || e.Severity != "HIGH" || e.Subject != "logs-sender/4f" {
		t.Errorf("%+v", e)
	}
}
