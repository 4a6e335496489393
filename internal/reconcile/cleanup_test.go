package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

const day = 24 * time.Hour

// A key or service ID that cannot be removed is reported, and delays no rotation.
func TestWhatCannotBeRemovedHoldsNothingBack(t *testing.T) {
	for name, tc := range map[string]struct {
		over func(w *bench) // leaves something to remove
		fail string
		err  error
	}{
		"an expired key, denied": {func(w *bench) {
			w.now = w.now.Add(61 * day)
			w.must(result.Published, protocol.Trigger{})
			w.now = w.now.Add(2 * day)
		}, "Retire", port.ErrDenied},
		"an expired key, refused": {func(w *bench) {
			w.now = w.now.Add(61 * day)
			w.must(result.Published, protocol.Trigger{})
			w.now = w.now.Add(2 * day)
		}, "Retire", port.ErrRefused},
		"an empty duplicate of the service ID": {func(w *bench) {
			again := w.ids[0]
			again.ID, again.IAMID, again.Created = "ServiceId-again", "iam-ServiceId-again", w.now.Add(-day)
			w.ids = append(w.ids, again)
			w.reconciler = w.process()
		}, "Remove", port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.rotated()
			tc.over(w)
			w.fail[tc.fail] = fmt.Errorf("%w: 409 delete_not_possible", tc.err)
			for range 3 {
				out := w.run(protocol.Trigger{})
				if out.Result == result.Failed || out.Result == result.Blocked || out.Error != "" {
					t.Fatalf("the result is %s %s: %s", out.Result, out.Reason, out.Error)
				}
				if len(out.Notes) == 0 || out.Notes[0].Reason != reason.CleanUpFailed || !strings.Contains(out.Notes[0].Message, "409 delete_not_possible") {
					t.Errorf("notes %+v", out.Notes)
				}
				w.now = w.now.Add(time.Hour)
			}
			w.now = w.now.Add(61 * day)
			w.must(result.Published, protocol.Trigger{})
		})
	}
}

// A key that no store took, and that cannot be deleted, lives until its fuse ends.
func TestAPendingKeyThatCannotBeDeletedDoesNotDelayTheNext(t *testing.T) {
	w := newBench(t)
	w.fail["Exchange"] = port.ErrDenied
	w.must(result.Blocked, protocol.Trigger{})
	for i := range w.keys {
		w.keys[i].Refused = time.Time{} // its process died before it could record why
	}
	delete(w.fail, "Exchange")
	w.fail["Retire"] = port.ErrDenied
	w.now = w.now.Add(time.Hour)
	if out := w.must(result.Published, protocol.Trigger{}); out.Notes[0].Reason != reason.CleanUpFailed {
		t.Errorf("notes %+v", out.Notes)
	}
}

// Once replaced, a key with its fuse on looks like one that no store took.
func TestNoKeyReplacesOneThatKeepsItsFuse(t *testing.T) {
	w := newBench(t)
	w.fail["Update"] = port.ErrUnavailable
	w.run(protocol.Trigger{})
	w.now = w.now.Add(time.Hour)
	if out := w.run(protocol.Trigger{NewerThan: w.now}); out.Result != result.Failed || len(w.keys) != 1 {
		t.Errorf("%d keys: %+v", len(w.keys), out)
	}
	delete(w.fail, "Update")
	w.must(result.Published, protocol.Trigger{NewerThan: w.now})
}
