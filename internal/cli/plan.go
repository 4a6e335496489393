package cli

import (
	"fmt"
	"strings"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/plural"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// printPlan prints the steps that a run would take to each of the credentials.
func (r Runner) printPlan(swept result.Sweep, credentials []port.Credential) error {
	var lines []string
	steps, unknown := 0, 0
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	label := labels(r.Std, swept.Outcomes)
	for _, o := range swept.Outcomes {
		name := label(o, whole)
		switch {
		case o.Condition == condition.Unknown:
			unknown++
			add("%s: %s: %s", name, o.Condition, strings.Trim(o.Message+": "+o.Error, ": "))
		case o.Message != "":
			add("%s: %s: %s", name, o.Condition, o.Message)
		default:
			add("%s: %s: nothing to do", name, o.Condition)
		}
		for _, s := range o.Steps {
			add("  %s: %s", shownStep(r.Std, s.Step), s.Reason.Sentence())
			steps++
		}
		for _, line := range storeErrors(o) {
			add("  %s", line)
		}
		for _, n := range o.Notes {
			add("  %s", n)
		}
	}
	if len(swept.Outcomes) > 0 || swept.Unknown == nil { // else nothing is known, and the error says why
		total := plural.Count(len(swept.Outcomes), "credential") + ": " + plural.Count(steps, "step") + " due"
		if unknown > 0 {
			total += fmt.Sprintf(", %d unknown", unknown)
		}
		add("%s", total)
	}
	if text := r.spread(swept, credentials); text != "" {
		add("%s", text)
	}
	for _, line := range lines {
		if err := r.Std.printLine("%s", line); err != nil {
			return fmt.Errorf("printing the plan: %w", err)
		}
	}
	return nil
}

// spread says how many sweeps replace the keys that are only old, if it is more than one.
func (r Runner) spread(swept result.Sweep, credentials []port.Credential) string {
	first, later := 0, 0
	for _, o := range swept.Outcomes {
		if o.Reason == reason.Spread {
			later++
		} else if o.Condition == condition.Due && o.Reason == reason.Aged {
			first++
		}
	}
	if later == 0 {
		return ""
	}
	rules := make([]protocol.Rules, len(credentials))
	for i, c := range credentials {
		rules[i] = c.Rules
	}
	most := protocol.Routine(rules, r.Every)
	return fmt.Sprintf("%d keys have reached their rotation age. In each %s at most %d are replaced because of their age alone, so that takes %d sweeps.",
		first+later, r.Days(r.Every), most, (first+later+most-1)/most)
}
