package storetest

import (
	"github.com/latchkey-io/latchkey/internal/port"
)

// remover returns the store, if it can remove an entry.
func (b *bench) remover() port.Remover {
	b.t.Helper()
	r, ok := b.Store.(port.Remover)
	b.needs(ok, "store that removes entries")
	if b.AllowRemove != nil {
		b.AllowRemove(b.t)
	}
	return r
}

func removes(b *bench) {
	b.needs(b.Neighbour != nil && !b.Whole, "Neighbour beside the entry")
	r := b.remover()
	one := b.Neighbour(b.t)
	b.publish(b.Store, b.entry(), b.vacant(b.Store))
	two := b.Neighbour(b.t)
	b.publish(b.Store, b.entry(), b.read(b.Store).Revision) // the neighbour may have removed the metadata
	b.want(r.Remove(b.t.Context(), b.read(b.Store).Revision), nil, "removing")
	b.vacant(b.Store)
	b.vacant(b.Other)
	one(b.t)
	two(b.t)
}

func removesAll(b *bench) {
	r := b.remover()
	before, _ := b.Store.Read(b.t.Context())
	b.want(r.Remove(b.t.Context(), b.first().Revision), nil, "removing")
	b.vacant(b.Store)
	if after := b.vacant(b.Other); before.Revision == "" && after != "" {
		b.t.Errorf("something is left: revision %q", after)
	}
}

func removesStale(b *bench) {
	r := b.remover()
	old := b.first()
	now := b.entry()
	b.publish(b.Other, now, old.Revision)
	b.want(r.Remove(b.t.Context(), old.Revision), port.ErrConflict, "removing at a stale revision")
	b.holds(now)
	b.want(r.Remove(TooOld(b.t), b.read(b.Store).Revision), port.ErrUnavailable, "removing in a run that is too old")
	b.holds(now)
}

func removesTwice(b *bench) {
	r := b.remover()
	e := b.first()
	b.want(r.Remove(b.t.Context(), e.Revision), nil, "removing")
	b.want(r.Remove(b.t.Context(), b.vacant(b.Store)), nil, "removing what is absent")
	again := b.entry()
	b.publish(b.Store, again, b.vacant(b.Store))
	b.holds(again)
}
