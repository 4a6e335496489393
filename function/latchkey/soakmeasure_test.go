package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"syscall"
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

// grown returns by how many MiB the median of the last quarter is above that of the
// second, and what that makes an hour.
func grown(memory []sampled) (growth, slope float64) {
	quarter := len(memory) / 4
	if quarter == 0 {
		return 0, 0
	}
	median := func(part []sampled) (mib float64, at time.Duration) {
		part = slices.Clone(part)
		at = part[len(part)/2].at
		slices.SortFunc(part, func(a, b sampled) int { return int((a.mib - b.mib) * 1024) })
		return part[len(part)/2].mib, at
	}
	before, from := median(memory[quarter : 2*quarter])
	after, to := median(memory[3*quarter:])
	return after - before, (after - before) / max((to-from).Hours(), 1e-9)
}

func percentile(of []time.Duration, part float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	of = slices.Clone(of)
	slices.Sort(of)
	return of[min(int(float64(len(of))*part), len(of)-1)]
}
