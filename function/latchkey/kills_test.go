package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

// The program is killed, ended, stopped and woken as a platform does it: the
// real binary, as a process of its own, at every request of every flow. What
// was kept is read from the whole state of the emulated cloud.
//
//	make kills                    every request of every flow
//	go test ./function/latchkey   some of them, drawn from a seed that is printed

var (
	everyKill = flag.Bool("kills", false, "kill at every request of every flow, and fail every call in every way, not some")
	killSeed  = flag.Uint64("killseed", 0, "the seed of what is drawn; 0 draws one")
)

// forms are the ways in which the program is at work as one process.
var forms = []string{"job", "serve"}

// toll counts over all tests of this file.
var toll struct{ kills, violations atomic.Int64 }

// binary builds the program once, without the race detector: what is killed is
// what is deployed.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "latchkey-kills-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "latchkey")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return program, nil
})

// chance is the randomness of one test, from a seed that is printed.
func chance(t *testing.T) *rand.Rand {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -killseed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no process is started")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(program)) })
	began := time.Now()
	for _, part := range []struct {
		name string
		run  func(*testing.T, *rand.Rand)
	}{
		{"killed at a request", killAtRequests},
		{"killed at any time", killAtAnyTime},
		{"told to end", endAtRequests},
		{"stopped and woken", stopAtRequests},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, chance(t)) })
	}
	fmt.Printf("kills=%d violations=%d in %s\n", toll.kills.Load(), toll.violations.Load(), time.Since(began).Round(time.Second))
}

// blow is one interruption.
type blow struct {
	form     string // of the program that is hit
	survivor string // the form of the one that goes on
	at       int    // index of the request
	effect   bool   // whether the request has its effect
	again    bool   // whether the sender, who got no answer, sends once more
}

func (b blow) String() string {
	when, sender := "before", "no repetition"
	if b.effect {
		when = "after"
	}
	if b.again {
		sender = "repeated"
	}
	return fmt.Sprintf("%s %s %d %s, then %s", b.form, when, b.at, sender, b.survivor)
}

func draw(r *rand.Rand, form string, at int) blow {
	return blow{form: form, survivor: forms[r.IntN(len(forms))], at: at, effect: r.IntN(2) == 0, again: r.IntN(2) == 0}
}

// measure runs a flow undisturbed, and tells how many requests it makes and how
// long it takes.
func measure(t *testing.T, f flow, form string) (requests int, lasts time.Duration) {
	t.Run("undisturbed "+form, func(t *testing.T) {
		k := begin(t, f)
		p := k.up(form)
		k.arm(emulator.Fault{Kind: emulator.FaultSlow, Delay: emulator.Duration{Duration: time.Nanosecond}, After: 1 << 30}) // only counts
		k.disturb()
		began := time.Now()
		answer := p.deliver(k.asked)
		<-answer.done
		lasts = time.Since(began)
		if requests = k.seen(); requests == 0 {
			t.Fatal("the program made no request")
		}
		p.down()
		k.cloud.ClearFaults()
		k.look("after an undisturbed run")
		k.converge(forms[0], false, answer)
	})
	if t.Failed() {
		t.FailNow()
	}
	return requests, lasts
}

func killAtRequests(t *testing.T, r *rand.Rand) {
	for _, f := range flows {
		var blows []blow
		form := forms[r.IntN(len(forms))]
		seeds := [2]uint64{r.Uint64(), r.Uint64()}
		if !*everyKill && r.IntN(2) > 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seeds[0], seeds[1]))
			for _, form := range forms {
				if *everyKill {
					n, _ := measure(t, f, form)
					for at := range n {
						for _, effect := range []bool{false, true} {
							b := draw(r, form, at)
							b.effect = effect
							blows = append(blows, b)
						}
					}
				}
			}
			if !*everyKill {
				n, _ := measure(t, f, form)
				blows = append(blows, draw(r, form, r.IntN(n)))
			}
			for _, b := range blows {
				t.Run(b.String(), func(t *testing.T) { killAt(t, f, b) })
			}
		})
	}
}

// killAt lets the program come to one request, kills it there, and lets another
// process go on.
func killAt(t *testing.T, f flow, b blow) {
	k := begin(t, f)
	p := k.up(b.form)
	k.hold(b.at, b.effect)
	k.disturb()
	answer := p.deliver(k.asked)
	k.await("request "+fmt.Sprint(b.at), func() bool { return k.seen() > b.at || answer.over() })
	p.kill()
	<-answer.done
	k.cloud.ClearFaults()
	k.look("after the kill")
	k.converge(b.survivor, b.again, answer)
}

func killAtAnyTime(t *testing.T, r *rand.Rand) {
	n := 2
	if *everyKill {
		n = 120
	}
	for i := range n {
		f, b, at := flows[r.IntN(len(flows))], draw(r, forms[r.IntN(len(forms))], 0), r.Float64()
		lag := time.Duration(r.IntN(3)) * 150 * time.Millisecond
		t.Run(fmt.Sprintf("%d: %s", i, f.name), func(t *testing.T) {
			t.Parallel()
			k := begin(t, f)
			k.cloud.SetLag(lag)
			n := k.cloud.Settings()
			n.Latency = emulator.Duration{Duration: 4 * time.Millisecond}
			k.cloud.Set(n)
			p := k.up(b.form)
			k.disturb()
			answer := p.deliver(k.asked)
			after := time.Duration(at * float64(800*time.Millisecond))
			select {
			case <-time.After(after):
			case <-answer.done:
			}
			t.Logf("%s killed after %s, with a lag of %s", b.form, after.Round(time.Millisecond), lag)
			p.kill()
			<-answer.done
			k.cloud.ClearFaults()
			k.cloud.SetLag(0)
			k.look("after the kill")
			k.converge(b.survivor, b.again, answer)
		})
	}
}

// drained is what is documented of an end: at most drain for what is under way.
const drained = drain + 5*time.Second

func endAtRequests(t *testing.T, r *rand.Rand) {
	f := flows[slices.IndexFunc(flows, func(f flow) bool { return f.name == "a demand" })]
	for _, form := range forms {
		n, _ := measure(t, f, form)
		indices := []int{r.IntN(n)}
		if *everyKill {
			indices = indices[:0]
			for at := range n {
				indices = append(indices, at)
			}
		}
		for _, at := range indices {
			b := draw(r, form, at)
			t.Run(fmt.Sprintf("%s at request %d, which is answered", form, at), func(t *testing.T) {
				t.Parallel()
				k := begin(t, f)
				p := k.up(b.form)
				k.arm(emulator.Fault{Kind: emulator.FaultHang, After: at, Count: 1})
				answer := p.deliver(k.asked)
				k.await("the request", func() bool { return k.seen() > at || answer.over() })
				toll.kills.Add(1)
				p.signal(syscall.SIGTERM)
				// A job ends where it is; what serves takes nothing more and ends
				// what is under way.
				if form == "serve" {
					k.await("the drain", func() bool { return p.said.contains(`"msg":"draining"`) })
				}
				k.cloud.ClearFaults()
				p.ends(drained, cli.ExitOK)
				<-answer.done
				if form == "serve" && (answer.status != 200 || k.published() == k.old) {
					k.violate("a drain", "answered %d, and %s is published", answer.status, k.published())
				}
				k.look("after the end")
				k.converge(b.survivor, b.again, answer)
			})
		}
	}
	if !*everyKill {
		return
	}
	for _, at := range []int{3, 7} {
		t.Run(fmt.Sprintf("serve at request %d, which is never answered", at), func(t *testing.T) {
			t.Parallel()
			k := begin(t, f)
			p := k.up("serve")
			k.hold(at, at == 7)
			answer := p.deliver(k.asked)
			k.await("the request", func() bool { return k.seen() > at })
			toll.kills.Add(1)
			p.signal(syscall.SIGTERM)
			p.ends(drained, cli.ExitOK)
			<-answer.done
			k.cloud.ClearFaults()
			k.look("after the end")
			k.converge("job", true, answer)
		})
	}
}

// stopAtRequests stops the program after a request had its effect, for longer
// than a run may act on what it observed, while others go on. Woken, it must not
// write.
func stopAtRequests(t *testing.T, r *rand.Rand) {
	for _, f := range flows {
		form := forms[r.IntN(len(forms))]
		seeds := [2]uint64{r.Uint64(), r.Uint64()}
		if !*everyKill && r.IntN(4) > 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seeds[0], seeds[1]))
			n, _ := measure(t, f, form)
			indices := []int{r.IntN(n)}
			if *everyKill {
				indices = indices[:0]
				for at := range n {
					indices = append(indices, at)
				}
			}
			for _, at := range indices {
				b := draw(r, form, at)
				t.Run(b.String(), func(t *testing.T) { stopAt(t, f, b, 100*time.Millisecond) })
			}
		})
	}
	if *everyKill {
		f := flows[slices.IndexFunc(flows, func(f flow) bool { return f.name == "a demand" })]
		t.Run("for longer than a caller waits", func(t *testing.T) {
			t.Parallel()
			stopAt(t, f, blow{form: "serve", survivor: "job", at: 9}, time.Second)
		})
	}
}

func stopAt(t *testing.T, f flow, b blow, stands time.Duration) {
	k := begin(t, f)
	p := k.up(b.form)
	yes := true
	k.arm(emulator.Fault{Kind: emulator.FaultHang, Effect: &yes, After: b.at, Count: 1})
	k.disturb()
	answer := p.deliver(k.asked)
	k.await("the request", func() bool { return k.seen() > b.at || answer.over() })
	toll.kills.Add(1)
	p.signal(syscall.SIGSTOP)
	k.cloud.ClearFaults() // the answer is on its way, and the stopped process does not read it
	select {
	case <-time.After(stands):
	case <-t.Context().Done():
	}
	k.cloud.Advance(20 * time.Minute)
	other := k.up(b.survivor)
	k.calm(other)
	if b.again {
		k.cloud.Advance(time.Hour)
		k.calm(other)
	}
	other.down()
	before := len(k.cloud.Events())
	p.signal(syscall.SIGCONT)
	for tries := 0; !answer.over(); tries++ {
		if tries == 30 {
			t.Fatalf("the woken process gives no answer; it said\n%s", p.said.String())
		}
		select {
		case <-answer.done:
		case <-time.After(2 * time.Second):
			k.cloud.Advance(time.Minute) // it may wait for IAM's lag
		}
	}
	p.down()
	for _, e := range k.cloud.Events()[before:] {
		k.violate("the window", "a process that was stopped at request %d wrote late: %s %s (%d)", b.at, e.Method, e.Path, e.Status)
	}
	k.look("after the process was woken")
	k.converge(b.survivor, false, answer)
}

// calm sweeps until there is nothing left to do: who looks then has no reason
// to write.
func (k *killing) calm(p *program) {
	k.t.Helper()
	for range 5 {
		before := len(k.cloud.Events())
		k.settle(p)
		k.look("while one process stands still")
		if len(k.cloud.Events()) == before {
			return
		}
	}
	k.violate("P9", "five sweeps do not find everything done")
}
