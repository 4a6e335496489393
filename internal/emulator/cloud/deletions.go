package cloud

import (
	"iter"
	"slices"
	"time"
)

// deletions holds deleted values that lists still show, in the order of their
// sequence numbers.
type deletions[T any] struct{ items []deletion[T] }

type deletion[T any] struct {
	seq   int64
	gone  time.Time
	value T
}

// add adds a value that was deleted now and drops those whose lag has passed.
func (g *deletions[T]) add(seq int64, now time.Time, lag time.Duration, v T) {
	g.items = slices.DeleteFunc(g.items, func(x deletion[T]) bool { return !now.Before(x.gone.Add(lag)) })
	if lag <= 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(g.items, seq, func(x deletion[T], seq int64) int { return int(x.seq - seq) })
	g.items = slices.Insert(g.items, i, deletion[T]{seq: seq, gone: now, value: v})
}

// drop removes a value that was restored.
func (g *deletions[T]) drop(seq int64) {
	g.items = slices.DeleteFunc(g.items, func(x deletion[T]) bool { return x.seq == seq })
}

// with merges the values whose lag has not passed into a source.
func (g *deletions[T]) with(source func(int64) iter.Seq2[int64, T], now time.Time, lag time.Duration) func(int64) iter.Seq2[int64, T] {
	if len(g.items) == 0 || lag <= 0 {
		return source
	}
	return func(after int64) iter.Seq2[int64, T] {
		return func(yield func(int64, T) bool) {
			rest := g.items
			until := func(seq int64) bool {
				for ; len(rest) > 0 && (seq == 0 || rest[0].seq < seq); rest = rest[1:] {
					x := rest[0]
					if x.seq > after && now.Before(x.gone.Add(lag)) && !yield(x.seq, x.value) {
						return false
					}
				}
				return true
			}
			for seq, v := range source(after) {
				if !until(seq) || !yield(seq, v) {
					return
				}
			}
			until(0)
		}
	}
}
