package outcome

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

func step(a rotation.Action, why rotation.Reason) reconcile.StepOutcome {
	return reconcile.StepOutcome{Step: rotation.Step{Action: a, Key: "ApiKey-1", Reason: why}}
}

func note(why rotation.Reason) reconcile.NoteOutcome {
	return reconcile.NoteOutcome{Note: rotation.Note{Reason: why}, Message: why.Sentence()}
}

func TestTypeOfTheWorstOutcome(t *testing.T) {
	out := func(r reconcile.Result, steps ...reconcile.StepOutcome) reconcile.Outcome {
		return reconcile.Outcome{Credential: "a", Result: r, Steps: steps}
	}
	rotated := out(reconcile.ResultPublished)
	rotated.Replaced = "ApiKey-0"
	expiring := out(reconcile.ResultUnchanged)
	expiring.Notes = append(expiring.Notes, note(rotation.Expiring))
	failed := step(rotation.Disable, rotation.KeyLeaked)
	failed.Error = "denied"
	for name, tc := range map[string]struct {
		want     string
		outcomes []reconcile.Outcome
	}{
		"a first key is provisioned":                        {"provisioned", []reconcile.Outcome{out(reconcile.ResultPublished)}},
		"a key in another's place is rotated":               {"rotated", []reconcile.Outcome{rotated}},
		"of many the rotated one counts":                    {"rotated", []reconcile.Outcome{out(reconcile.ResultPublished), rotated, out(reconcile.ResultUnchanged)}},
		"a leaked key that was disabled is revoked":         {"revoked", []reconcile.Outcome{out(reconcile.ResultPublished, step(rotation.Disable, rotation.KeyLeaked))}},
		"a leaked key that was not disabled is not":         {"provisioned", []reconcile.Outcome{out(reconcile.ResultPublished, failed)}},
		"an overlap that starts is superseded":              {"superseded", []reconcile.Outcome{out(reconcile.ResultChanged, step(rotation.Supersede, rotation.Replaced))}},
		"deleted keys are retired":                          {"retired", []reconcile.Outcome{out(reconcile.ResultChanged, step(rotation.Retire, rotation.Replaced))}},
		"anything else is repaired":                         {"repaired", []reconcile.Outcome{out(reconcile.ResultChanged, step(rotation.Copy, rotation.StoreBehind), step(rotation.Retire, rotation.Replaced))}},
		"blocked is worse than what was done":               {"blocked", []reconcile.Outcome{rotated, out(reconcile.ResultBlocked)}},
		"a deferred step is in progress":                    {"in-progress", []reconcile.Outcome{out(reconcile.ResultInProgress)}},
		"a key that ends soon is expiring":                  {"expiring", []reconcile.Outcome{out(reconcile.ResultUnchanged), expiring}},
		"a credential that no entry yields is unconfigured": {"unconfigured", []reconcile.Outcome{out(reconcile.ResultUnconfigured)}},
		"nothing to do is unchanged":                        {"unchanged", []reconcile.Outcome{out(reconcile.ResultUnchanged)}},
		"no outcome at all is unchanged":                    {"unchanged", nil},
		"a step that failed is worse than a block":          {"failed", []reconcile.Outcome{out(reconcile.ResultBlocked), out(reconcile.ResultFailed)}},
		"an overlap and an end are both superseded":         {"superseded", []reconcile.Outcome{out(reconcile.ResultChanged, step(rotation.Retire, rotation.Replaced), step(rotation.Supersede, rotation.Replaced))}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Type(tc.outcomes...); got != TypePrefix+tc.want {
				t.Errorf("type %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTheSameOutcomeIsTheSameEvent(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	blocked := reconcile.Outcome{Credential: "a", Result: reconcile.ResultBlocked, Reason: rotation.KeyCap, Key: "ApiKey-1", Next: at}
	later := blocked
	later.Next, later.Error = at.Add(time.Hour), "seen at another time"
	repaired := blocked
	repaired.Result, repaired.Reason, repaired.Steps = reconcile.ResultChanged, "", []reconcile.StepOutcome{step(rotation.Copy, rotation.StoreBehind)}
	id := func(source string, o reconcile.Outcome, at time.Time) string { return newEvent(source, o, at).ID }
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
	other.Reason = rotation.StoreDenied
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
	o := reconcile.Outcome{
		Credential: "logs-sender/4f", Result: reconcile.ResultBlocked, Reason: rotation.KeyCap, Message: rotation.KeyCap.Sentence(), Key: "ApiKey-1",
		Notes: []reconcile.NoteOutcome{{Note: rotation.Note{Reason: rotation.Expiring, Key: "ApiKey-1"}, Message: rotation.Expiring.Sentence()}},
	}
	e := newEvent("/latchkey/p", o, time.Now())
	want := "latchkey: logs-sender/4f blocked. " + rotation.KeyCap.Sentence() + ". Key: ApiKey-1. ApiKey-1: " + rotation.Expiring.Sentence() +
		". To see it: latchkey status logs-sender/4f."
	if e.Short != "latchkey: logs-sender/4f blocked" || e.Long != want || e.Severity != "HIGH" || e.Subject != "logs-sender/4f" {
		t.Errorf("%+v", e)
	}
}
