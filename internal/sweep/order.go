package sweep

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/result"
)

// soon is how long before its expiry a key's rotation is urgent. It is that of
// the note "expiring".
const soon = 14 * 24 * time.Hour

// mostHints bounds the memory of a process: an account has up to 100,000 service
// IDs.
const mostHints = 200_000

// hint is what the last look at a credential showed. It only decides the order:
// each run observes everything again.
type hint struct {
	looked        time.Time
	leaked        bool // the leaked key still worked
	waits         bool // a run or a demand was unfinished
	expires, next time.Time
}

func hintOf(out result.Outcome, now time.Time) hint {
	return hint{
		looked: now, leaked: out.Leaked == result.LeakedAlive,
		waits:   out.Result == result.InProgress || out.Result == result.Failed,
		expires: out.KeyExpires, next: out.Next,
	}
}

// The ranks, the most urgent first.
const (
	rankLeaked = iota
	rankExpiring
	rankWaits
	rankDue
	rankRest
)

// rank returns how urgent a credential is. One that was never seen is due.
func (h hint) rank(now time.Time) int {
	switch {
	case h.leaked:
		return rankLeaked
	case !h.expires.IsZero() && h.expires.Sub(now) < soon:
		return rankExpiring
	case h.waits:
		return rankWaits
	case h.looked.IsZero(), !h.next.IsZero() && !now.Before(h.next):
		return rankDue
	}
	return rankRest
}

// order returns the indexes of the credentials by rank: leaked, expiring, waiting,
// due, the rest. Of one rank, the key that expires first comes first, and then
// the oldest look. Where nothing is known, as in a new process, the names stand
// on a ring by their hash, and each interval begins at another place. So sweeps
// that end early come to all credentials after some intervals.
func order(names []string, seen map[string]hint, now time.Time, every time.Duration) []int {
	type place struct {
		hint
		index, rank int
		ring        uint64
	}
	start := startOf(now, every)
	places := make([]place, len(names))
	for i, name := range names {
		h := seen[name]
		places[i] = place{hint: h, index: i, rank: h.rank(now), ring: hashOf(name) - start}
	}
	slices.SortFunc(places, func(a, b place) int {
		c := cmp.Compare(a.rank, b.rank)
		if c == 0 && a.rank == rankExpiring {
			c = a.expires.Compare(b.expires)
		}
		return cmp.Or(c, a.looked.Compare(b.looked), cmp.Compare(a.ring, b.ring), cmp.Compare(a.index, b.index))
	})
	out := make([]int, len(places))
	for i, p := range places {
		out[i] = p.index
	}
	return out
}

// startOf returns the place on the ring at which an interval begins. Multiples of
// the golden ratio leave no large gap (Knuth, volume 3, section 6.4).
func startOf(now time.Time, every time.Duration) uint64 {
	if every <= 0 {
		return 0
	}
	const golden = 0x9E3779B97F4A7C15
	return uint64(now.UnixNano()/int64(every)) * golden //nolint:gosec // wraps around the ring
}

func hashOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	// FNV of names that differ at the end only differs little in the high bits.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// forget drops the older half of the hints.
func forget(seen map[string]hint) {
	times := make([]time.Time, 0, len(seen))
	for _, h := range seen {
		times = append(times, h.looked)
	}
	slices.SortFunc(times, time.Time.Compare)
	middle := times[len(times)/2]
	for name, h := range seen {
		if !h.looked.After(middle) {
			delete(seen, name)
		}
	}
}
