//go:build bench

package bench

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	pairs = flag.Int("pairs", 9, "how often each pair is measured")
	rows  = flag.String("rows", "", "part of the names of the rows to measure; empty is all")
	junk  = flag.Duration("junk", time.Minute, "how long junk events are sent")
)

// row is one line of the result.
type row struct {
	name string
	// run returns what was measured, as a number and in words.
	run  func(t *testing.T) (measured float64, words string)
	goal float64
	// least is set if the goal is the least, and not the most.
	least bool
}

// TestBench measures all rows. It fails if one misses its goal.
func TestBench(t *testing.T) {
	all := slices.Concat(processRows(), waitingRows(), jobRows(), limitRows(), attackRows())
	for _, r := range all {
		if !strings.Contains(r.name, *rows) {
			continue
		}
		var line string
		t.Run(r.name, func(t *testing.T) {
			got, words := r.run(t)
			verdict := "ok"
			if r.least && got < r.goal || !r.least && got > r.goal {
				verdict = "SHORT"
				t.Fail()
			}
			than := "≤"
			if r.least {
				than = "≥"
			}
			line = fmt.Sprintf("%-44s %-46s %s %-6.4g %s", r.name, words, than, r.goal, verdict)
		})
		fmt.Println(cmp.Or(line, r.name+" could not be measured"))
	}
}

// interleaved measures two things in turns, so that both see the same machine,
// and returns the medians.
func interleaved(a, b func() float64) (ofA, ofB float64) {
	as, bs := make([]float64, *pairs), make([]float64, *pairs)
	for i := range *pairs {
		as[i], bs[i] = a(), b()
	}
	return median(as), median(bs)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// ratio is what a row against a reference has measured.
func ratio(ours, reference float64, unit string) (float64, string) {
	return ours / reference, fmt.Sprintf("%.2f (%.3g %s / %.3g %s)", ours/reference, ours, unit, reference, unit)
}
