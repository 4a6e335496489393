package fence

import (
	"context"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// answers has the keys that a run made or changed, as IAM's last answers showed them.
// Steps that run beside each other share it.
type answers struct {
	mu   sync.Mutex
	keys map[string]port.KeyRecord
}

// Answered returns a key as the run's last create or update left it, once. It returns
// false if no answer showed the key's version, or if IAM's time must be compared first.
func (g Keys) Answered(keyID string) (port.KeyRecord, bool) {
	g.a.mu.Lock()
	defer g.a.mu.Unlock()
	rec, ok := g.a.keys[keyID]
	delete(g.a.keys, keyID)
	return rec, ok && g.f.certain()
}

// keep keeps an answer, without marks that can't be true. If it shows that the clocks
// have moved apart, the run writes nothing more.
func (g Keys) keep(rec port.KeyRecord) {
	if !rec.Date.IsZero() {
		rec.Key = plausible(rec.Key, rec.Date)
		_ = g.f.Check(rec.Date) // the clock remembers that
	}
	if rec.Version == "" {
		return
	}
	g.a.mu.Lock()
	defer g.a.mu.Unlock()
	if g.a.keys == nil {
		g.a.keys = map[string]port.KeyRecord{}
	}
	g.a.keys[rec.ID] = rec
}

// Mint creates a key.
func (g Keys) Mint(ctx context.Context, m port.MintRequest, v secret.Value) (k port.KeyRecord, err error) {
	err = g.f.write(ctx, time.Time{}, func() (err error) {
		k, err = g.Keys.Mint(ctx, m, v)
		return err
	})
	if err == nil {
		g.keep(k)
	}
	return k, err
}

// Update changes a key.
func (g Keys) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (now port.KeyRecord, err error) {
	err = g.f.write(ctx, time.Time{}, func() (err error) {
		now, err = g.Keys.Update(ctx, rec, c)
		return err
	})
	if err == nil {
		g.keep(now)
	}
	return now, err
}
