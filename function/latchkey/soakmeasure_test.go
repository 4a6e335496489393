package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// end ends a replica in one of three ways. A dump must not have a value, either.
func (s *soak) end(p *program, life int) {
	switch life % 3 {
	case 0:
		p.down()
	case 1:
		p.kill()
	case 2:
		p.dump(s)
	}
	s.look("after a replica ended")
}

// dump ends the program with a dump of its stacks, and returns how many goroutines it
// had. The dump must not contain a value.
func (p *program) dump(s *soak) int {
	p.said.reset()
	p.signal(syscall.SIGQUIT)
	<-p.over
	s.look("after a dump of the stacks")
	return len(regexp.MustCompile(dumpPattern).FindAllString(p.said.String(), -1))
}

// resident returns the resident memory in MiB.
func (p *program) resident() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.k.t.Fatal(err)
	}
	found := regexp.MustCompile(`VmRSS:\s*(\d+) kB`).FindSubmatch(text)
	if found == nil {
		p.k.t.Fatal("the program has no resident memory: it has ended")
	}
	kib, _ := strconv.Atoi(string(found[1]))
	return float64(kib) / 1024
}

// descriptors returns how many files and sockets are open.
func (p *program) descriptors() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.k.t.Fatalf("counting descriptors, which takes root since the program forbids dumps: %v", err)
	}
	return len(list)
}

// sampled is one measurement.
type sampled struct {
	at  time.Duration
	mib float64
}

// slopeParts is how many medians of the second half make a slope. A median of a part does
// not see when garbage was collected.
const slopeParts = 20

// slope returns by how many MiB the memory grew in an hour, by a line through the medians
// of the second half of the time, and the standard error of that. With fewer samples than
// parts, any growth may be chance.
func slope(memory []sampled) (perHour, chance float64) {
	half := memory[len(memory)/2:]
	if len(half) < slopeParts {
		return 0, math.Inf(1)
	}
	var x, y []float64
	for i := range slopeParts {
		part := slices.Clone(half[i*len(half)/slopeParts : (i+1)*len(half)/slopeParts])
		x = append(x, part[len(part)/2].at.Hours())
		slices.SortFunc(part, func(a, b sampled) int { return cmp.Compare(a.mib, b.mib) })
		y = append(y, part[len(part)/2].mib)
	}
	meanX, meanY := mean(x), mean(y)
	var xx, xy float64
	for i := range x {
		xx += (x[i] - meanX) * (x[i] - meanX)
		xy += (x[i] - meanX) * (y[i] - meanY)
	}
	perHour = xy / xx
	rest := 0.0
	for i := range x {
		off := y[i] - meanY - perHour*(x[i]-meanX)
		rest += off * off
	}
	return perHour, math.Sqrt(rest / (slopeParts - 2) / xx)
}

func mean(of []float64) (sum float64) {
	for _, v := range of {
		sum += v
	}
	return sum / float64(len(of))
}

func TestASlopeOfMemoryIsToldFromNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// An hour with a sample a second: 3 MiB of noise, and garbage that is collected each
	// half minute.
	hour := func(perHour float64) (all []sampled) {
		for i := range 3600 {
			at := time.Duration(i) * time.Second
			start := min(float64(i)/600, 1) * 10 // caches fill in the first ten minutes
			all = append(all, sampled{at, 40 + start + perHour*at.Hours() + float64(i%30)/10 + 3*random.Float64()})
		}
		return all
	}
	for name, tc := range map[string]struct {
		memory []sampled
		grows  bool
	}{
		"a flat hour":            {hour(0), false},
		"a hidden leak":          {hour(3), true},
		"half the bound":         {hour(mostGrowth / 2), false},
		"a few seconds of chaos": {hour(0)[:30], false},
	} {
		t.Run(name, func(t *testing.T) {
			perHour, chance := slope(tc.memory)
			if got := perHour-3*chance > mostGrowth; got != tc.grows {
				t.Errorf("%.2f MiB an hour ± %.2f: grows %t", perHour, chance, got)
			}
		})
	}
}

func percentile(of []time.Duration, part float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	of = slices.Clone(of)
	slices.Sort(of)
	return of[min(int(float64(len(of))*part), len(of)-1)]
}
