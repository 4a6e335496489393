package rehearse

import (
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

func TestASweepReplacesItsShareOfTheKeysThatAreOld(t *testing.T) {
	rules := protocol.Rules{After: 60 * 24 * time.Hour, SweepEvery: time.Hour}
	for name, tc := range map[string]struct {
		seen, others, due int
		want              []int // keys that each sweep replaces
	}{
		"one sweep replaces few keys":                    {seen: 20, due: 20, want: []int{20}},
		"of many it replaces 32":                         {seen: 70, due: 70, want: []int{32, 32, 6}},
		"of a few among many it replaces their share":    {seen: 70, others: 70, due: 40, want: []int{16, 16, 8}},
		"a key that is due alone does not wait":          {seen: 1, others: 6000, due: 1, want: []int{1}},
		"a share of less than one is one in some sweeps": {seen: 20, others: 980, due: 3, want: []int{1, 0, 1, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var a Account
			for range tc.seen {
				a.Seen = append(a.Seen, Seen{Credential: port.Credential{Rules: rules}})
			}
			for range tc.others {
				a.Others = append(a.Others, rules)
			}
			b := a.budget()
			var got []int
			for due := tc.due; due > 0 && len(got) < 100; {
				b.begin()
				n := 0
				for range due {
					may := b.of()
					if first, second := may(), may(); first && second { // each round of a run asks
						n++
					}
				}
				due -= n
				got = append(got, n)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("sweeps replace %v keys, want %v", got, tc.want)
			}
		})
	}
}
