//go:build real

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

// two are the flows in which the version before this one and this one are at work
// together.
var two = []string{"the first key", "a key that is due", "a demand", "a leak", "a repair by copy"}

// TestRealVersions runs the last release and this version on one account, as during an
// upgrade and a roll-back, and kills them.
func TestRealVersions(t *testing.T) {
	before := os.Getenv("LATCHKEY_BEFORE")
	if before == "" {
		t.Fatal("LATCHKEY_BEFORE is not set: run make test-real")
	}
	if before == "none" {
		t.Skip("this clone has no history, so the last release can't be built from it")
	}
	r := chance(t)
	for _, f := range flows {
		if !slices.Contains(two, f.name) {
			continue
		}
		for _, pair := range []struct{ name, first, second string }{
			{"an upgrade", before, ""},
			{"a roll-back", "", before},
		} {
			seeds := [2]uint64{r.Uint64(), r.Uint64()}
			t.Run(f.name+", "+pair.name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seeds[0], seeds[1]))
				n, _ := measure(t, f, "job")
				for range 3 {
					b := draw(r, forms[r.IntN(len(forms))], r.IntN(n))
					t.Run(b.String(), func(t *testing.T) { handOver(t, f, b, pair.first, pair.second) })
				}
				t.Run("both at once", func(t *testing.T) { bothAtOnce(t, f, pair.first, pair.second) })
			})
		}
	}
}

// common makes a flow's start state, with a config that both versions take.
func common(t *testing.T, f flow) *killing {
	t.Helper()
	k := begin(t, f)
	k.config = strings.Replace(k.config, ", deprovision", "", 1) // a later verb
	return k
}

// handOver kills one version at a request, lets the other one go on, and checks at the
// end with this one.
func handOver(t *testing.T, f flow, b blow, first, second string) {
	k := common(t, f)
	p := k.upAs(first, b.form)
	k.hold(b.at, b.effect)
	k.disturb()
	answer := p.deliver(k.asked)
	k.await("request "+fmt.Sprint(b.at), func() bool { return k.seen() > b.at || answer.over() })
	p.kill()
	<-answer.done
	k.cloud.ClearFaults()
	k.look("after the kill")
	other := k.upAs(second, b.survivor)
	k.settle(other)
	k.look("after a sweep of the other version")
	other.down()
	k.converge(b.survivor, b.again, answer)
}

// bothAtOnce gives one event to replicas of both versions at the same time.
func bothAtOnce(t *testing.T, f flow, first, second string) {
	k := common(t, f)
	k.rivals = true
	one, other := k.upAs(first, "serve"), k.upAs(second, "serve")
	n := k.cloud.Settings()
	n.Latency = emulator.Duration{Duration: 4 * time.Millisecond} // so that their calls interleave
	k.cloud.Set(n)
	k.disturb()
	answers := []*delivered{one.deliver(k.asked), other.deliver(k.asked)}
	for _, a := range answers {
		<-a.done
	}
	k.cloud.ClearFaults()
	k.look("after both versions")
	one.down()
	other.down()
	taken := answers[0]
	if taken.status != http.StatusOK {
		taken = answers[1]
	}
	k.converge("serve", true, taken)
}
