package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// A reason names what is in the way, and not the step at which it was.

// closing denies every read but the first.
type closing struct {
	*shelf
	reads int
}

func (s *closing) Read(ctx context.Context) (port.Entry, error) {
	if s.reads++; s.reads > 1 {
		return port.Entry{}, port.ErrDenied
	}
	return s.shelf.Read(ctx)
}

func TestAStoreThatDeniesTheReadBeforeADeletionIsNamed(t *testing.T) {
	w := newBench(t)
	w.rotated()
	m := marker.Marker{Owner: owner, Credential: w.c.Name}
	name := marker.KeyName(w.c.Name, w.now, "0a1b2c3d")
	w.add(w.ids[0].IAMID, name, m.Describe(""), secret.New("unpublished"), w.now.Add(w.c.Rules.Fuse))
	w.now = w.now.Add(time.Hour)
	w.c.Stores = []port.Store{w.a, &closing{shelf: w.b}}
	if out := w.must(result.Blocked, protocol.Trigger{}); out.Reason != reason.StoreDenied {
		t.Errorf("blocked by %s: %s", out.Reason, out.Error)
	}
}

// suspended is IAM for a process that stands still while a list is under way.
type suspended struct{ *memory }

func (m suspended) List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	l, err := m.memory.List(ctx, iamID, credentials...)
	m.now = m.now.Add(10 * time.Minute)
	return l, err
}

func TestAnAnswerThatTookMinutesShowsNoSkewOfTheClock(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.reconciler.Keys = suspended{w.memory}
	out, err := w.reconciler.Reconcile(t.Context(), w.c, reconcile.Request{Cause: "test"})
	if !errors.Is(err, observe.ErrFailed) {
		t.Errorf("%s %s, error %v", out.Result, out.Reason, err)
	}
}

// behind is IAM that does not know a young key's value at once.
type behind struct {
	*memory
	misses int
}

func (m *behind) Exchange(ctx context.Context, v secret.Value) (port.Bearer, error) {
	if m.misses--; m.misses >= 0 {
		return port.Bearer{}, port.ErrNotYet
	}
	return m.memory.Exchange(ctx, v)
}

func TestAYoungKeyIsCopiedOnceIAMKnowsItsValue(t *testing.T) {
	w := newBench(t)
	w.b.fail["Publish"] = port.ErrUnavailable
	out := w.run(protocol.Trigger{})
	w.b.fail["Publish"] = nil
	w.now = w.now.Add(time.Minute)
	w.reconciler.Exchange, w.reconciler.Sleep = &behind{w.memory, 2}, func(context.Context, time.Duration) error { return nil }
	if w.must(result.Changed, protocol.Trigger{}); w.b.entry.KeyID != out.Key {
		t.Errorf("store-b names %q, want %s", w.b.entry.KeyID, out.Key)
	}
}

func TestAYoungKeyThatIAMDoesNotKnowYetIsNotAltered(t *testing.T) {
	w := newBench(t)
	w.b.fail["Publish"] = port.ErrUnavailable
	w.run(protocol.Trigger{})
	w.b.fail["Publish"] = nil
	w.now = w.now.Add(time.Minute)
	w.reconciler.Exchange = &behind{w.memory, 100}
	if out := w.must(result.Failed, protocol.Trigger{}); !strings.Contains(out.Error, "IAM does not know the value yet") || w.b.entry.KeyID != "" {
		t.Errorf("store-b names %q: %s", w.b.entry.KeyID, out.Error)
	}
}

func TestAnUnclearAnswerToTheClearanceOfAKeyIsNotTheStores(t *testing.T) {
	w := newBench(t)
	w.a.guarded = false
	w.fail["Lookup"] = port.ErrUnavailable
	recorded := &recorder{memory: w.memory}
	w.reconciler.Keys = recorded
	w.must(result.Failed, protocol.Trigger{})
	if recorded.refusal != reason.ProofUnclear {
		t.Errorf("the key is refused for %q", recorded.refusal)
	}
}

// recorder keeps the reason that a key was refused for.
type recorder struct {
	*memory
	refusal reason.Reason
}

func (m *recorder) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	m.refusal = c.Refusal
	return m.memory.Update(ctx, rec, c)
}

// Another replica ends the key once its window is over. The next key may be published
// then, however late in its window that one was cleared.
func TestTheClearanceOfAKeyEndsWithItsWindow(t *testing.T) {
	w := newBench(t)
	w.a.guarded = false
	w.rotated()
	w.now = w.now.Add(50 * time.Second)
	w.a.fail["Publish"], w.b.fail["Publish"] = port.ErrUnavailable, port.ErrUnavailable
	w.run(protocol.Trigger{NewerThan: w.now})
	if len(w.keys) != 2 || w.ids[0].Marker.Current != w.keys[1].ID {
		t.Fatalf("%d keys, and %+v", len(w.keys), w.ids[0].Marker)
	}
	w.keys = w.keys[:1]
	w.a.fail["Publish"], w.b.fail["Publish"] = nil, nil
	w.now = w.now.Add(14*time.Minute + 30*time.Second)
	w.reconciler = w.process()
	w.must(result.Published, protocol.Trigger{NewerThan: w.now})
}

// A role that is missing for a restart is not missing for the store's entry: only a run
// that restarts meets it.
func TestARestartThatIsDeniedBlocksAndIsTold(t *testing.T) {
	w := newBench(t)
	w.app.fail["Restart"] = says(port.ErrDenied, "403 needs the role Writer")
	for range 2 {
		out := w.must(result.Blocked, protocol.Trigger{})
		if out.Reason != reason.StoreDenied || !strings.HasSuffix(out.Message, "403 needs the role Writer") {
			t.Errorf("blocked by %s: %s", out.Reason, out.Message)
		}
		w.now = w.now.Add(time.Hour)
	}
	if out := w.look(); out.Condition != condition.Blocked || out.Reason != reason.StoreDenied {
		t.Errorf("a look says %s, %s", out.Condition, out.Reason)
	}
	w.app.fail["Restart"] = nil
	w.must(result.Changed, protocol.Trigger{})
	if out := w.look(); out.Condition != condition.OK {
		t.Errorf("after the restart a look says %s, %s", out.Condition, out.Reason)
	}
}

// look observes and decides.
func (w *bench) look() result.Outcome {
	w.t.Helper()
	out, _, err := w.reconciler.Plan(w.t.Context(), w.c, reconcile.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// A run that publishes says what it could not do, in the words of the next look.
func TestARunThatPublishesSaysWhatItCouldNotRead(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(w *bench)
		reason  reason.Reason
		said    string
	}{
		"consumers that can't be read": {func(w *bench) { w.app.fail["Consumers"] = says(port.ErrUnavailable, "503 try later") }, reason.ConsumerUnknown, "503 try later"},
		"consumers that are denied":    {func(w *bench) { w.app.fail["Consumers"] = says(port.ErrDenied, "403 no") }, reason.ConsumerUnknown, "403 no"},
		"an optional store that does not answer": {func(w *bench) {
			w.b.fail["Read"], w.c.Optional["store-b"] = says(port.ErrUnavailable, "503 try later"), true
		}, reason.StoreUnreachable, "503 try later"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.rotated()
			tt.prepare(w)
			for _, leaks := range []bool{false, true} {
				trigger := protocol.Trigger{NewerThan: w.now}
				if leaks {
					trigger = protocol.Trigger{Leaked: w.a.entry.KeyID}
				}
				out := w.must(result.Published, trigger)
				looked := w.look()
				if out.Reason != tt.reason || !strings.Contains(out.Message, tt.said) {
					t.Errorf("%+v: %s: %s", trigger, out.Reason, out.Message)
				}
				if out.Condition != looked.Condition || out.Reason != looked.Reason || out.Message != looked.Message {
					t.Errorf("%+v: the run says %s, %s: %s; a look %s, %s: %s",
						trigger, out.Condition, out.Reason, out.Message, looked.Condition, looked.Reason, looked.Message)
				}
				w.now = w.now.Add(time.Hour)
			}
		})
	}
}

// An optional store that refuses the key blocks nothing. The run says why it lacks the
// key, and so does a look.
func TestAnOptionalStoreThatRefusesTheKeyIsTold(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.b.fail["Publish"], w.c.Optional["store-b"] = says(port.ErrDenied, "403 no"), true
	agrees := func(out result.Outcome) {
		t.Helper()
		if out.Condition != condition.Due || out.Reason != reason.StoreDenied {
			t.Errorf("%s: %s, %s", out.Result, out.Condition, out.Message)
		}
		if looked := w.look(); looked.Condition != out.Condition || looked.Reason != out.Reason {
			t.Errorf("the run says %s, %s, a look %s, %s", out.Condition, out.Reason, looked.Condition, looked.Reason)
		}
	}
	if out := w.must(result.Published, protocol.Trigger{NewerThan: w.now}); out.Replaced != old || !out.Recorded {
		t.Errorf("%s is replaced, recorded: %t", out.Replaced, out.Recorded)
	} else {
		agrees(out)
		if w.app.key != out.Key {
			t.Errorf("the app of store-a has %s, want %s, which its store has", w.app.key, out.Key)
		}
	}
	w.now = w.now.Add(time.Hour)
	agrees(w.must(result.InProgress, protocol.Trigger{}))
	w.b.fail["Publish"] = nil
	w.must(result.Changed, protocol.Trigger{})
	if out := w.look(); out.Condition != condition.OK {
		t.Errorf("after the copy a look says %s, %s", out.Condition, out.Reason)
	}
}

func TestAConsumerThatFailsIsToldWithTheEndOfItsKey(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.app.fail["Restart"] = says(port.ErrRefused, "revision 2 fails")
	tells := func(out result.Outcome, want string) {
		t.Helper()
		if out.Reason != reason.ConsumerFailed || !strings.HasSuffix(out.Message, want) {
			t.Errorf("%s: %q, want the end %q", out.Reason, out.Message, want)
		}
	}
	out := w.must(result.Blocked, protocol.Trigger{NewerThan: w.now})
	tells(out, "revision 2 fails; its key "+old+" expires at 2027-02-22 08:00:00 UTC")
	w.find(old).Expires = w.now.Add(time.Minute)
	w.now = w.now.Add(2 * time.Minute)
	tells(w.must(result.Blocked, protocol.Trigger{}), "revision 2 fails; its key "+old+" expired at 2026-11-24 09:01:00 UTC")
}

func TestALookSaysThatAConsumerStarts(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.app.fail["Restart"] = says(port.ErrNotActive, "revision 2 is not ready")
	out := w.must(result.InProgress, protocol.Trigger{NewerThan: w.now})
	if looked := w.look(); out.Reason != reason.ConsumerStarting || looked.Condition != out.Condition || looked.Reason != out.Reason {
		t.Errorf("the run says %s, %s, a look %s, %s", out.Condition, out.Reason, looked.Condition, looked.Reason)
	}
	w.app.next = "" // another revision took its place
	if looked := w.look(); looked.Condition != condition.Due || looked.Reason != reason.ConsumerBehind {
		t.Errorf("a look says %s, %s", looked.Condition, looked.Reason)
	}
}

// A tool that restores an old copy of a secret, and a person who rolls a store back, put a
// replaced key into it. The value works again after each run, so the note is what tells.
func TestAKeyThatIsPutBackIsTold(t *testing.T) {
	w := newBench(t)
	w.c.Consumers = nil
	old := w.rotated()
	copied := w.b.entry
	w.must(result.Published, protocol.Trigger{NewerThan: w.now})
	replaced := w.now
	put := func(o result.Outcome) (stores []string) {
		for _, n := range o.Notes {
			if n.Reason == reason.PutBack && n.Key == old && n.At.Equal(replaced) {
				stores = append(stores, n.Store)
			}
		}
		return stores
	}
	w.b.entry = copied
	w.now = w.now.Add(time.Minute)
	if got := put(w.look()); len(got) > 0 {
		t.Errorf("a minute after the rotation, when a run may have read the store before: %v", got)
	}
	w.now = w.now.Add(time.Hour)
	for _, out := range []result.Outcome{w.look(), w.run(protocol.Trigger{})} {
		if got := put(out); !slices.Equal(got, []string{"store-b"}) {
			t.Errorf("told of %v, want store-b: %+v", got, out.Notes)
		}
	}
	if w.b.entry.KeyID == old {
		t.Error("the store has the old key")
	}
	if got := put(w.look()); len(got) > 0 {
		t.Errorf("after the repair: %v", got)
	}
}
