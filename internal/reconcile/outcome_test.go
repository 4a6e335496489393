package reconcile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// says is an adapter's error.
func says(sentinel error, text string) error {
	return fmt.Errorf("writing secret %q: %w: %w", "logs", sentinel, errors.New(text))
}

const theirs = `400 the name "logs..sender" breaks the rule dns-1123`

func TestABlockedOutcomeSaysWhatTheOtherSideSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		fails  func(w *bench, err error)
		err    error
		reason reason.Reason
		store  string // the store whose outcome has the error, too
	}{
		"the first store rejects the entry":   {func(w *bench, err error) { w.a.fail["Publish"] = err }, says(port.ErrRefused, theirs), reason.StoreRefused, "store-a"},
		"the first store denies the write":    {func(w *bench, err error) { w.a.fail["Publish"] = err }, says(port.ErrDenied, theirs), reason.StoreDenied, "store-a"},
		"the first store is full":             {func(w *bench, err error) { w.a.fail["Publish"] = err }, says(port.ErrQuota, theirs), reason.StoreQuota, "store-a"},
		"the second store rejects the entry":  {func(w *bench, err error) { w.b.fail["Publish"] = err }, says(port.ErrRefused, theirs), reason.StoreRefused, "store-b"},
		"a store denies the read":             {func(w *bench, err error) { w.b.fail["Read"] = err }, says(port.ErrDenied, theirs), reason.StoreDenied, "store-b"},
		"a store rejects the read":            {func(w *bench, err error) { w.b.fail["Read"] = err }, says(port.ErrRefused, theirs), reason.StoreRefused, "store-b"},
		"IAM denies a policy":                 {func(w *bench, err error) { w.fail["Grant"] = err }, says(port.ErrDenied, theirs), reason.PolicyDenied, ""},
		"IAM rejects a policy":                {func(w *bench, err error) { w.fail["Grant"] = err }, says(port.ErrRefused, theirs), reason.PolicyRefused, ""},
		"IAM has as many keys as it takes":    {func(w *bench, err error) { w.fail["Mint"] = err }, says(port.ErrQuota, theirs), reason.KeyCap, ""},
		"IAM rejects the value":               {func(w *bench, err error) { w.fail["Mint"] = err }, says(port.ErrRefused, theirs), reason.ValueRefused, ""},
		"IAM denies a key":                    {func(w *bench, err error) { w.fail["Mint"] = err }, says(port.ErrDenied, theirs), reason.IdentityDenied, ""},
		"IAM denies a service ID":             {func(w *bench, err error) { w.fail["Create"] = err }, says(port.ErrDenied, theirs), reason.IdentityDenied, ""},
		"IAM denies a membership":             {func(w *bench, err error) { w.fail["Join"], w.c.Groups = err, []string{"senders"} }, says(port.ErrDenied, theirs), reason.GroupDenied, ""},
		"IAM knows no such group":             {func(w *bench, err error) { w.fail["Join"], w.c.Groups = err, []string{"senders"} }, says(port.ErrNotFound, theirs), reason.GroupDenied, ""},
		"the new key gets no token":           {func(w *bench, err error) { w.fail["Exchange"] = err }, says(port.ErrRefused, theirs), reason.ProofDenied, ""},
		"the service ID can't be cleared for": {func(w *bench, err error) { w.a.guarded, w.fail["Mark"] = false, err }, says(port.ErrDenied, theirs), reason.IdentityDenied, "store-a"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			tt.fails(w, tt.err)
			out := w.must(result.Blocked, protocol.Trigger{})
			if want := tt.reason.Sentence() + ": " + tt.err.Error(); out.Reason != tt.reason || out.Message != want {
				t.Errorf("%s: %q, want %s: %q", out.Reason, out.Message, tt.reason, want)
			}
			checkStores(t, out, tt.store, tt.err.Error())
		})
	}
}

// checkStores wants the error at one store, or at none.
func checkStores(t *testing.T, out result.Outcome, store, want string) {
	t.Helper()
	for _, st := range out.Stores {
		if st.Name == store && st.Error != want {
			t.Errorf("store %s says %q, want %q", st.Name, st.Error, want)
		}
		if st.Name != store && st.Error != "" {
			t.Errorf("store %s says %q", st.Name, st.Error)
		}
	}
	text, err := json.Marshal(out.Stores)
	if err != nil || strings.Contains(string(text), `"error"`) != (store != "") {
		t.Errorf("as JSON: %s, %v", text, err)
	}
}

func TestAStoreThatFailsSaysWhyThoughNothingIsBlocked(t *testing.T) {
	unavailable := says(port.ErrUnavailable, "503 try later")
	for name, tt := range map[string]struct {
		prepare func(w *bench)
		result  result.Result
		reason  reason.Reason
		store   string
	}{
		"a store can't be read":     {func(w *bench) { w.b.fail["Read"] = unavailable }, result.InProgress, reason.StoreUnreachable, "store-b"},
		"a publication fails":       {func(w *bench) { w.a.fail["Publish"] = unavailable }, result.Failed, "", "store-a"},
		"a later publication fails": {func(w *bench) { w.b.fail["Publish"] = unavailable }, result.Failed, "", "store-b"},
		"an optional store rejects": {func(w *bench) {
			w.b.fail["Publish"], w.c.Optional["store-b"] = says(port.ErrRefused, "503 try later"), true
		}, result.Published, reason.StoreRefused, "store-b"},
		"a copy fails": {func(w *bench) {
			w.rotated()
			w.b.entry, w.b.fail["Publish"] = port.Entry{}, unavailable
		}, result.Failed, "", "store-b"},
		"a restart fails":                {func(w *bench) { w.app.fail["Restart"] = unavailable }, result.Failed, "", "store-a"},
		"the value read back is another": {func(w *bench) { w.c.ReadBack["store-b"], w.b.spoils = true, "ApiKey-503-try-later" }, result.Failed, "", "store-b"},
		"consumers can't be read":        {func(w *bench) { w.rotated(); w.app.fail["Consumers"] = unavailable }, result.InProgress, reason.ConsumerUnknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			tt.prepare(w)
			out := w.run(protocol.Trigger{})
			if w.c.Optional["store-b"] && out.Condition != condition.Due {
				t.Errorf("an optional store makes the credential %s", out.Condition)
			}
			if out.Result != tt.result || out.Reason != tt.reason {
				t.Errorf("%s %s, want %s %s: %s", out.Result, out.Reason, tt.result, tt.reason, out.Error)
			}
			if tt.reason != "" && !strings.Contains(out.Message, "503 try later") {
				t.Errorf("the message is %q", out.Message)
			}
			for _, st := range out.Stores {
				if (st.Name == tt.store) != strings.Contains(strings.ReplaceAll(st.Error, "-", " "), "503 try later") {
					t.Errorf("store %s says %q", st.Name, st.Error)
				}
			}
		})
	}
}

func TestAPlanSaysWhatAStoreSaid(t *testing.T) {
	for _, tt := range []struct {
		err    error
		result result.Result
		reason reason.Reason
	}{
		{says(port.ErrRefused, theirs), result.Blocked, reason.StoreRefused},
		{says(port.ErrUnavailable, theirs), result.InProgress, reason.StoreUnreachable},
	} {
		w := newBench(t)
		w.b.fail["Read"] = tt.err
		out, plan, err := w.reconciler.Plan(t.Context(), w.c, reconcile.Request{Cause: "plan"})
		if err != nil {
			t.Fatal(err)
		}
		if want := tt.reason.Sentence() + ": " + tt.err.Error(); out.Result != tt.result || out.Reason != tt.reason || out.Message != want {
			t.Errorf("%s %s %q, want %q (%+v)", out.Result, out.Reason, out.Message, want, plan)
		}
		checkStores(t, out, "store-b", tt.err.Error())
	}
}

func TestAFailedStepIsLoggedAsAWarningWithoutEmptyFields(t *testing.T) {
	w := newBench(t)
	w.b.fail["Publish"] = says(port.ErrUnavailable, "503 try later")
	w.run(protocol.Trigger{})
	failed := 0
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `=""`) || strings.Contains(line, "= ") {
			t.Errorf("an empty field: %s", line)
		}
		if warns := strings.Contains(line, "level=WARN"); warns != strings.Contains(line, "error=") {
			t.Errorf("the level is wrong: %s", line)
		} else if warns {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d warnings, want those of the step and of the run:\n%s", failed, w.log)
	}
}

func TestAnOutcomesNextIsThatOfTheNextLook(t *testing.T) {
	w := newBench(t)
	looks := func(what string, out result.Outcome) {
		t.Helper()
		looked, _, err := w.process().Plan(t.Context(), w.c, reconcile.Request{})
		if err != nil || looked.Next.Sub(out.Next).Abs() > time.Minute {
			t.Errorf("%s: the outcome says %s, the next look %s (%v)", what, out.Next, looked.Next, err)
		}
	}
	looks("after the first key", w.must(result.Published, protocol.Trigger{}))
	w.now = w.now.Add(time.Hour)
	looks("after a rotation by hand", w.must(result.Published, protocol.Trigger{NewerThan: w.now}))
	w.now = w.now.Add(time.Hour)
	second := w.run(protocol.Trigger{})
	looks("in the overlap", second)
	looks("after a revocation in the overlap", w.must(result.Published, protocol.Trigger{Leaked: second.Key}))
}
