package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// fake is a catalog, looks and IAM for the credential c.
type fake struct {
	unlisted error
	planned  []protocol.Step
	planErr  error
	keyErr   error
	answers  []result.Outcome // of one sweep each; the last one repeats
	sweeps   int
	cause    result.Cause
}

func (f *fake) Credentials(context.Context, catalog.Scope) ([]port.Credential, error) {
	return []port.Credential{{Name: "c", Rules: protocol.Standard()}}, f.unlisted
}

func (f *fake) Unknown(names []string, _ []port.Credential) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "c" })
}

func (f *fake) look(_ context.Context, credentials []port.Credential, _ reconcile.Request) (looked result.Sweep) {
	for _, c := range credentials {
		out := result.Outcome{Credential: c.Name, Condition: condition.OK, Result: result.Unchanged}
		for _, s := range f.planned {
			out.Condition, out.Steps = condition.Missing, append(out.Steps, result.Step{Step: s})
		}
		if f.planErr != nil {
			out.Condition, out.Result, out.Error = condition.Unknown, result.Failed, f.planErr.Error()
		}
		looked.Outcomes = append(looked.Outcomes, out)
	}
	looked.Unknown = f.planErr
	return looked
}

func (f *fake) Get(context.Context, string) (port.KeyRecord, error) {
	return port.KeyRecord{}, f.keyErr
}

func (f *fake) sweep(_ context.Context, _ []port.Credential, unlisted error, _ reconcile.Request, cause result.Cause) result.Sweep {
	o := f.answers[min(f.sweeps, len(f.answers)-1)]
	f.sweeps++
	f.cause = cause
	o.Credential = "c"
	if o.Condition = condition.OK; o.Result == result.Blocked || o.Result == result.InProgress {
		o.Condition = condition.Condition(o.Result)
	}
	return result.Sweep{Outcomes: []result.Outcome{o}, Unknown: unlisted}
}

func (f *fake) runner(out, progress *bytes.Buffer) Runner {
	return Runner{
		Std:    Streams{In: strings.NewReader(""), Out: out, Err: progress, Watched: true},
		Format: Format{Output: "table"}, Catalog: f, Look: f.look, Foresee: f.look, Keys: f, Sweeper: f.sweep, Every: time.Hour, Days: time.Duration.String, Now: time.Now, User: "eve",
	}
}

func TestADemandIsWaitedFor(t *testing.T) {
	young := result.Outcome{Result: result.InProgress, Reason: reason.TooYoung}
	for name, tc := range map[string]struct {
		answers []result.Outcome
		demand  Demand
		age     time.Duration // of the published key, for an answer with the reason too young
		sweeps  int
		took    time.Duration
		want    error
	}{
		"a demand that is met at once is tried once": {
			answers: []result.Outcome{{Result: result.Published}}, demand: Demand{Wait: true}, sweeps: 1,
		},
		"a failed run is tried again after a second": {
			answers: []result.Outcome{{Result: result.Failed}, {Result: result.Published}}, demand: Demand{Wait: true}, sweeps: 2, took: time.Second,
		},
		"with --no-wait it is tried once": {
			answers: []result.Outcome{{Result: result.InProgress}}, sweeps: 1, want: ErrTryAgain,
		},
		"a blocked credential is not tried again": {
			answers: []result.Outcome{{Result: result.Blocked, Reason: reason.KeyDisabled}}, demand: Demand{Wait: true}, sweeps: 1, want: ErrAct,
		},
		"the pauses double up to 15 seconds until the time is up": {
			answers: []result.Outcome{{Result: result.InProgress}}, demand: Demand{Wait: true, Timeout: time.Minute},
			sweeps: 8, took: time.Minute, want: ErrTryAgain, // 1+2+4+8+15+15+15
		},
		"a young key is waited for without a try": {
			answers: []result.Outcome{young, {Result: result.Published}}, demand: Demand{Wait: true}, age: 4 * time.Minute,
			sweeps: 2, took: 6*time.Minute + time.Second,
		},
		"a key that stays too young for the whole time is not waited for": {
			answers: []result.Outcome{young}, demand: Demand{Wait: true, Timeout: time.Minute}, sweeps: 1, want: ErrTryAgain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{answers: slices.Clone(tc.answers)}
				if tc.age > 0 || tc.answers[0].Reason == reason.TooYoung {
					f.answers[0].KeyCreated = time.Now().Add(-tc.age)
				}
				var out, progress bytes.Buffer
				began := time.Now()
				err := f.runner(&out, &progress).Rotate(t.Context(), tc.demand, "c", "")
				if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
					t.Errorf("error %v, want %v", err, tc.want)
				}
				if took := time.Since(began); f.sweeps != tc.sweeps || took != tc.took {
					t.Errorf("%d tries in %s, want %d in %s\n%s", f.sweeps, took, tc.sweeps, tc.took, progress.String())
				}
				if f.cause.Caller != "eve by hand" || f.cause.Type != "rotate" {
					t.Errorf("cause %+v", f.cause)
				}
			})
		})
	}
}

func TestAnInterruptEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		f := &fake{answers: []result.Outcome{{Result: result.InProgress}}}
		var out, progress bytes.Buffer
		began := time.Now()
		if err := f.runner(&out, &progress).Rotate(ctx, Demand{Wait: true}, "c", ""); !errors.Is(err, ErrTryAgain) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestADemandThatIsNotMetSaysWhetherItIsRecorded(t *testing.T) {
	for recorded, want := range map[bool]string{true: "is recorded and not met", false: "was not recorded: run the command again"} {
		f := &fake{answers: []result.Outcome{{Result: result.InProgress, Recorded: recorded}}}
		var out, progress bytes.Buffer
		if err := f.runner(&out, &progress).Rotate(t.Context(), Demand{}, "c", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("recorded %t: %v", recorded, err)
		}
	}
}

func TestAPlanSweepsNothing(t *testing.T) {
	mint := []protocol.Step{{Action: protocol.Mint, Key: protocol.NewKey, Reason: reason.NothingThere}}
	lost := errors.New("no answer")
	for name, tc := range map[string]struct {
		fake  fake
		names []string
		want  error
		says  string
	}{
		"steps are pending":                             {fake: fake{planned: mint}, want: ErrDue, says: "mint new"},
		"no step is nothing to do":                      {fake: fake{}, says: "nothing to do"},
		"a credential that can't be observed is unsure": {fake: fake{planErr: lost}, want: ErrTryAgain, says: "c: unknown: no answer"},
		"an unlisted credential is unsure too":          {fake: fake{unlisted: lost}, want: ErrTryAgain, says: "nothing to do"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, progress bytes.Buffer
			err := tc.fake.runner(&out, &progress).Plan(t.Context(), tc.names)
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if tc.fake.sweeps != 0 || !strings.Contains(out.String(), tc.says) {
				t.Errorf("%d sweeps, printed %q", tc.fake.sweeps, out.String())
			}
		})
	}
}

// pasted is a key's value where its ID belongs.
const pasted = "canary-pasted-0123456789abcdefghijklmnopqrst"

func TestAWrongNameOrKeyIsAnErrorBeforeAnythingIsDone(t *testing.T) {
	for name, tc := range map[string]struct {
		fake fake
		do   func(Runner) error
		says string
	}{
		"a name that the config does not yield": {
			do: func(r Runner) error { return r.Sweep(t.Context(), []string{"c", "d"}) }, says: "finding d: the config yields no such credential",
		},
		"a leaked key that IAM does not have": {
			fake: fake{keyErr: port.ErrNotFound},
			do:   func(r Runner) error { return r.Revoke(t.Context(), Demand{Yes: true}, "c", "ApiKey-1", false) }, says: "IAM has no key ApiKey-1",
		},
		"a leaked key without an ID": {
			do: func(r Runner) error { return r.Revoke(t.Context(), Demand{Yes: true}, "c", "", false) }, says: "--key is empty",
		},
		"a leaked key's value in place of its ID": {
			do: func(r Runner) error { return r.Revoke(t.Context(), Demand{Yes: true}, "c", pasted, false) }, says: "--key (not repeated here) is not the ID of a key",
		},
		"a value in place of the ID of a key to adopt": {
			do: func(r Runner) error { return r.Adopt(t.Context(), Demand{}, "c", pasted) }, says: "--key (not repeated here)",
		},
		"a value in place of the ID of a key to replace": {
			do: func(r Runner) error { return r.Rotate(t.Context(), Demand{}, "c", pasted) }, says: "--not-key (not repeated here)",
		},
		"a key to replace that IAM does not have": {
			fake: fake{keyErr: port.ErrNotFound},
			do:   func(r Runner) error { return r.Rotate(t.Context(), Demand{}, "c", "ApiKey-1") }, says: "IAM has no key ApiKey-1",
		},
		"a key to adopt without an ID": {
			do: func(r Runner) error { return r.Adopt(t.Context(), Demand{}, "c", "") }, says: "--key is empty",
		},
		"a key to adopt that IAM does not have": {
			fake: fake{keyErr: port.ErrNotFound},
			do:   func(r Runner) error { return r.Adopt(t.Context(), Demand{}, "c", "ApiKey-1") }, says: "IAM has no key ApiKey-1",
		},
		"a revocation without --yes": {
			do: func(r Runner) error { return r.Revoke(t.Context(), Demand{}, "c", "ApiKey-1", true) }, says: "pass --yes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out, progress bytes.Buffer
			err := tc.do(tc.fake.runner(&out, &progress))
			if err == nil || !strings.Contains(err.Error(), tc.says) || tc.fake.sweeps != 0 {
				t.Errorf("%v after %d sweeps", err, tc.fake.sweeps)
			}
			if strings.Contains(fmt.Sprint(err, out.String(), progress.String()), pasted) {
				t.Errorf("the value is printed: %v", err)
			}
		})
	}
}

func TestARevocationOfAnotherCredentialsKeyIsAnError(t *testing.T) {
	f := &fake{answers: []result.Outcome{{Result: result.Unchanged, Leaked: result.LeakedElsewhere}}}
	var out, progress bytes.Buffer
	if err := f.runner(&out, &progress).Revoke(t.Context(), Demand{Yes: true}, "c", "ApiKey-1", false); err == nil || !strings.Contains(err.Error(), "it is not a key of c") {
		t.Error(err)
	}
}

// projects is a catalog of one credential per project.
type projects struct {
	*fake
	all []port.Credential
}

func (p projects) Credentials(_ context.Context, scope catalog.Scope) (found []port.Credential, err error) {
	for _, c := range p.all {
		if slices.Contains(scope.Names, c.Name) || slices.Contains(scope.Names, c.Entry) {
			found = append(found, c)
		}
	}
	return found, nil
}

func (p projects) Unknown(names []string, found []port.Credential) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(found, func(c port.Credential) bool { return name == c.Name || name == c.Entry })
	})
}

func TestAProjectsNameStandsForItsID(t *testing.T) {
	f := projects{fake: &fake{}, all: []port.Credential{
		{Name: "logs/1", Entry: "logs", Project: "shop"}, {Name: "logs/2", Entry: "logs", Project: "twice"}, {Name: "logs/3", Entry: "logs", Project: "twice"},
		{Name: "audit/1", Entry: "audit", Project: "shop"},
	}}
	for name, tc := range map[string]struct{ want, err string }{
		"logs/1":     {want: "logs/1"},
		"logs/shop":  {want: "logs/1"},
		"audit/shop": {want: "audit/1"},
		"logs/twice": {err: "several projects have this name: name one of logs/2, logs/3"},
		"logs/none":  {err: "finding logs/none: the config yields no such credential"},
		"none":       {err: "finding none: the config yields no such credential"},
	} {
		var out bytes.Buffer
		r := f.runner(&out, &out)
		r.Catalog = f
		found, _, err := r.find(t.Context(), []string{name})
		switch {
		case tc.err != "":
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || len(found) != 1 || found[0].Name != tc.want:
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

func TestATerminalShowsProjectsByNameUnlessTwoHaveIt(t *testing.T) {
	outcomes := []result.Outcome{{Credential: "logs/1", Project: "shop"}, {Credential: "logs/2", Project: "twice"}, {Credential: "logs/3", Project: "twice"}, {Credential: "c"}}
	for width, want := range map[int]string{80: "logs/shop logs/2 logs/3 c", 0: "logs/1 logs/2 logs/3 c"} {
		var got []string
		label := labels(Streams{Width: width}, outcomes)
		for _, o := range outcomes {
			got = append(got, label(o, whole))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("in %d columns: %v", width, got)
		}
	}
}
