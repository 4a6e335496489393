package cloud

import (
	"iter"
	"slices"
)

// sequence keeps values in the order of their arrival, so that a page costs its
// own length however long the list is. A removed value leaves a gap until half
// of the slots are gaps.
type sequence[T any] struct {
	slots []slot[T]
	last  int64
	gaps  int
}

type slot[T any] struct {
	seq   int64
	taken bool
	value T
}

// add returns the value's sequence number, which is greater than all before it.
func (s *sequence[T]) add(v T) int64 {
	s.last++
	s.slots = append(s.slots, slot[T]{seq: s.last, taken: true, value: v})
	return s.last
}

func (s *sequence[T]) index(seq int64) (int, bool) {
	return slices.BinarySearchFunc(s.slots, seq, func(x slot[T], seq int64) int {
		return int(x.seq - seq)
	})
}

func (s *sequence[T]) remove(seq int64) {
	i, found := s.index(seq)
	if !found || !s.slots[i].taken {
		return
	}
	s.slots[i] = slot[T]{seq: seq}
	s.gaps++
	if s.gaps > 64 && s.gaps > len(s.slots)/2 {
		s.slots = slices.DeleteFunc(s.slots, func(x slot[T]) bool { return !x.taken })
		s.gaps = 0
	}
}

func (s *sequence[T]) len() int { return len(s.slots) - s.gaps }

// after yields the values with greater sequence numbers, oldest first.
func (s *sequence[T]) after(seq int64) iter.Seq2[int64, T] {
	return func(yield func(int64, T) bool) {
		i, _ := s.index(seq + 1)
		for ; i < len(s.slots); i++ {
			if s.slots[i].taken && !yield(s.slots[i].seq, s.slots[i].value) {
				return
			}
		}
	}
}
