package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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

// A key that leaked and does not work any more is in nobody's way.
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
