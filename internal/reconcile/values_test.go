package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// A print is short enough that another value with the same one can be found. IAM says
// whose a value is.
func TestAValueWithThePrintOfTheKeyIsCopiedOnlyIfItIsTheKeys(t *testing.T) {
	for name, known := range map[string]bool{"a value of another service ID": true, "a value that IAM does not know": false} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Consumers = nil
			genuine := w.rotated()
			planted := secret.New("a value that was planted")
			if known {
				_, planted = w.intruder("anything")
			}
			w.find(genuine).Print = marker.Print(planted)
			w.a.entry.Value, w.b.entry = planted, port.Entry{}
			if out := w.must(result.Blocked, protocol.Trigger{}); out.Reason != reason.EntryAltered || w.b.entry.KeyID != "" {
				t.Errorf("blocked by %s, the second store names %q", out.Reason, w.b.entry.KeyID)
			}
		})
	}
}

// blind is IAM that cannot say whose one value is.
type blind struct {
	*memory
	value secret.Value
}

func (m blind) Identify(ctx context.Context, v secret.Value) (port.KeyRecord, error) {
	if v.Equal(m.value) {
		return port.KeyRecord{}, port.ErrUnavailable
	}
	return m.memory.Identify(ctx, v)
}

// It authenticates as the service ID, too.
func TestTheValueOfAnOlderKeyIsNotCopied(t *testing.T) {
	for name, adopted := range map[string]bool{"the key's name tells its print": false, "IAM can't identify the value": true} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Consumers = nil
			w.rotated()
			older := w.a.entry.Value
			genuine := w.must(result.Published, protocol.Trigger{NewerThan: w.now}).Key
			w.now = w.now.Add(time.Hour)
			third := &shelf{name: "store-c", fail: map[string]error{}}
			third.entry = w.a.entry
			w.a.entry.Value, w.b.entry = older, port.Entry{}
			w.c.Stores = []port.Store{w.a, w.b, third}
			if adopted {
				w.find(genuine).Print, w.reconciler.Keys = "", blind{w.memory, older}
			}
			if out := w.run(protocol.Trigger{}); w.b.entry.KeyID != genuine || !w.b.entry.Value.Equal(third.entry.Value) {
				t.Errorf("the second store names %q, or has the value of an older key: %+v", w.b.entry.KeyID, out.Steps)
			}
		})
	}
}

func TestAValueThatIsReadBackIsCompared(t *testing.T) {
	for name, tc := range map[string]struct {
		reads func(w *bench) // what happens to the entry before it is read back
		want  result.Result
	}{
		"it is the same":                {func(*bench) {}, result.Published},
		"it is not shown":               {func(w *bench) { w.a.entry.Value, w.a.entry.Cleared = nil, true }, result.Published},
		"it is another":                 {func(w *bench) { w.a.entry.Value = secret.New("another value") }, result.Blocked},
		"it can't be read":              {func(w *bench) { w.a.fail["Read"] = port.ErrUnavailable }, result.Failed},
		"the entry names another key":   {func(w *bench) { w.a.entry.KeyID = "ApiKey-another" }, result.Failed},
		"the entry is there no more":    {func(w *bench) { w.a.entry = port.Entry{} }, result.Failed},
		"the entry can't be read by us": {func(w *bench) { w.a.fail["Read"] = port.ErrDenied }, result.Blocked},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			old := w.rotated()
			w.c.ReadBack["store-a"] = true
			w.c.Stores = []port.Store{wrote{w.a, func() { tc.reads(w) }}, w.b}
			w.must(tc.want, protocol.Trigger{NewerThan: w.now})
			if ends := !w.find(old).Superseded.IsZero(); ends != (tc.want == result.Published) {
				t.Errorf("the overlap of the old key has started: %t", ends)
			}
		})
	}
}
