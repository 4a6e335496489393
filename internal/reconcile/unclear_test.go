package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
)

// deaf is a store that takes a write, answers something else, and is then read so often
// before it fails.
type deaf struct {
	*shelf
	answer error
	reads  int // before it can't be read any more
	wrote  bool
}

func (s *deaf) Publish(ctx context.Context, e port.Entry, revision string) error {
	if err := s.shelf.Publish(ctx, e, revision); err != nil {
		return err
	}
	s.wrote = true
	return s.answer
}

func (s *deaf) Read(ctx context.Context) (port.Entry, error) {
	if s.wrote {
		if s.reads--; s.reads < 0 {
			return port.Entry{}, port.ErrUnavailable
		}
	}
	return s.shelf.Read(ctx)
}

func TestAWriteWhoseAnswerIsUnclearIsReadBack(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		reads  int
		want   result.Result
	}{
		"no answer":                                 {port.ErrUnavailable, 100, result.Published},
		"a conflict with the write itself":          {port.ErrConflict, 100, result.Published},
		"no answer, and no read":                    {port.ErrUnavailable, 0, result.Failed},
		"a conflict with the write itself, no read": {port.ErrConflict, 0, result.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Consumers = nil
			old := w.rotated()
			w.c.Stores = []port.Store{&deaf{shelf: w.a, answer: tc.answer, reads: tc.reads}, w.b}
			w.must(tc.want, protocol.Trigger{NewerThan: w.now})
			if k := w.find(w.a.entry.KeyID); k == nil || k.ID == old {
				t.Errorf("the first store names %s, which is %+v", w.a.entry.KeyID, k)
			}
			w.c.Stores, w.now = []port.Store{w.a, w.b}, w.now.Add(time.Hour)
			w.run(protocol.Trigger{})
			if k := w.find(w.a.entry.KeyID); k == nil || k.ID == old || k.Fused(w.c.Rules) || w.b.entry.KeyID != k.ID {
				t.Errorf("after the next run the stores name %s and %s; the first is %+v", w.a.entry.KeyID, w.b.entry.KeyID, k)
			}
		})
	}
}

// It is another writer that was first.
func TestAKeyIsWithdrawnIfTheEntryIsRemovedMeanwhile(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.meanwhile(func() { w.a.entry, w.a.rev = port.Entry{}, w.a.rev+1 })
	w.must(result.InProgress, protocol.Trigger{NewerThan: w.now})
	if len(w.keys) != 1 || w.keys[0].ID != old {
		t.Errorf("%d keys: %+v", len(w.keys), w.keys)
	}
}
