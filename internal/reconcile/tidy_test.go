package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// cleanUpFailed returns the words of the note about a key that could not be removed.
func cleanUpFailed(out result.Outcome, key string) string {
	i := slices.IndexFunc(out.Notes, func(n result.Note) bool { return n.Reason == reason.CleanUpFailed && n.Key == key })
	if i < 0 {
		return ""
	}
	return out.Notes[i].Message
}

// The update with the mark "withdrawn" proves that no other replica has moved the fuse out.
// What IAM answers to the deletion then delays no key.
func TestAWithdrawnKeyLeavesRoomWhateverItsDeletionIsAnswered(t *testing.T) {
	for name, tc := range map[string]struct {
		fail string
		err  error
		want result.Result
	}{
		"a deletion without a clear answer": {"Retire", port.ErrUnavailable, result.Published},
		"a deletion that is denied":         {"Retire", port.ErrDenied, result.Published},
		"an update without a clear answer":  {"Update", port.ErrUnavailable, result.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.fail["Exchange"] = port.ErrDenied
			w.must(result.Blocked, protocol.Trigger{})
			pending := w.keys[0].ID
			w.keys[0].Refused = time.Time{} // its process died before it could record why
			delete(w.fail, "Exchange")
			w.fail[tc.fail] = fmt.Errorf("%w: status 409 delete_not_possible", tc.err)
			w.now = w.now.Add(time.Hour)
			out := w.must(tc.want, protocol.Trigger{})
			if said := cleanUpFailed(out, pending); (tc.want == result.Published) != strings.Contains(said, "409 delete_not_possible") {
				t.Errorf("the note says %q, and the error is %q", said, out.Error)
			}
			if tc.want == result.Published && out.Condition != condition.OK {
				t.Errorf("the condition is %s: %s", out.Condition, out.Message) // the next run leaves it to its fuse
			}
			if tc.want == result.Failed && len(w.keys) != 1 {
				t.Errorf("%d keys", len(w.keys))
			}
		})
	}
}

// Nothing else tells that the key is there.
func TestAKeyThatCannotBeWithdrawnIsAFailureAlthoughNothingIsDue(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.fail["Exchange"] = port.ErrDenied
	w.must(result.Blocked, protocol.Trigger{NewerThan: w.now})
	for i := range w.keys {
		w.keys[i].Refused, w.keys[i].Renew = time.Time{}, time.Time{}
	}
	w.fail["Update"] = port.ErrUnavailable
	w.now = w.now.Add(time.Hour)
	if out := w.must(result.Failed, protocol.Trigger{}); len(w.keys) != 2 || out.Error == "" {
		t.Errorf("%d keys: %+v", len(w.keys), out)
	}
}

// Each key that no store took lives for its fuse. There are not more than any demand may have.
func TestWithdrawnKeysThatStayCountAsLive(t *testing.T) {
	w := newBench(t)
	for range 20 {
		w.fail["Exchange"] = port.ErrUnavailable
		w.run(protocol.Trigger{})
		for i := range w.keys {
			w.keys[i].Refused = time.Time{}
		}
		w.fail["Retire"] = port.ErrUnavailable
		w.now = w.now.Add(time.Hour)
	}
	if n := len(w.keys); n > w.c.Rules.MaxKeys {
		t.Errorf("%d keys, at most %d may be live", n, w.c.Rules.MaxKeys)
	}
}

// A leaked key that no longer works delays nothing.
func TestALeakedKeyThatIsDisabledIsTroubleNoMore(t *testing.T) {
	for _, err := range []error{port.ErrUnavailable, port.ErrRefused, port.ErrDenied} {
		for _, contain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, contained: %t", err, contain), func(t *testing.T) {
				w := newBench(t)
				leaked := w.rotated()
				w.fail["Retire"] = fmt.Errorf("%w: status 409 delete_not_possible", err)
				out := w.must(result.Published, protocol.Trigger{Leaked: leaked, Contain: contain})
				if out.Leaked != result.LeakedRevoked || out.Error != "" || !strings.Contains(cleanUpFailed(out, leaked), "409 delete_not_possible") {
					t.Errorf("the key is %s: %s %+v", out.Leaked, out.Error, out.Notes)
				}
				for range 40 {
					w.now = w.now.Add(day)
					out = w.run(protocol.Trigger{})
					if out.Result == result.Failed || out.Result == result.Blocked || out.Error != "" || cleanUpFailed(out, leaked) == "" {
						t.Fatalf("after %s: %s %s %s %+v", w.now, out.Result, out.Reason, out.Error, out.Notes)
					}
				}
				delete(w.fail, "Retire")
				if out = w.run(protocol.Trigger{}); !out.Took(protocol.Retire, leaked) {
					t.Errorf("the key is left: %+v", out.Steps)
				}
			})
		}
	}
}

// One that still works is.
func TestALeakedKeyThatStillWorksIsTrouble(t *testing.T) {
	w := newBench(t)
	leaked := w.rotated()
	w.fail["Disable"], w.fail["Retire"] = port.ErrUnavailable, port.ErrUnavailable
	if out := w.must(result.Failed, protocol.Trigger{Leaked: leaked}); out.Leaked != result.LeakedAlive || cleanUpFailed(out, leaked) != "" {
		t.Errorf("the key is %s: %+v", out.Leaked, out.Notes)
	}
}

// That it could not be disabled first does not matter.
func TestALeakedKeyThatIsDeletedNeedNotBeDisabled(t *testing.T) {
	for _, err := range []error{port.ErrUnavailable, port.ErrDenied} {
		for _, contain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, contained: %t", err, contain), func(t *testing.T) {
				w := newBench(t)
				leaked := w.rotated()
				w.fail["Disable"] = err
				out := w.must(result.Published, protocol.Trigger{Leaked: leaked, Contain: contain})
				if out.Leaked != result.LeakedRevoked || out.Error != "" || out.Message != "" {
					t.Errorf("the key is %s: %s %s", out.Leaked, out.Message, out.Error)
				}
			})
		}
	}
	w := newBench(t)
	leaked := w.rotated()
	w.fail["Disable"], w.fail["Mint"] = port.ErrDenied, port.ErrUnavailable
	if out := w.must(result.Blocked, protocol.Trigger{Leaked: leaked, Contain: true}); out.Leaked != result.LeakedAlive || out.Reason != reason.IdentityDenied {
		t.Errorf("the key is %s: %s %s", out.Leaked, out.Reason, out.Message)
	}
}
