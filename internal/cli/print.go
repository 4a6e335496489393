package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Format are the flags that choose how outcomes are printed.
type Format struct {
	Output string `help:"Format of the outcomes: ${enum}. A table fits the terminal, and is wide elsewhere." short:"o" enum:"table,wide,json,yaml" default:"table" placeholder:"FORMAT"`
	JSON   bool   `help:"The same as -o json." name:"json"`
}

// structured reports whether outcomes are printed for programs.
func (f Format) structured() bool { return f.JSON || f.Output == "json" || f.Output == "yaml" }

// print writes outcomes in the wanted format. now is the time that a terminal shows
// times relative to.
func (f Format) print(ctx context.Context, std Streams, now time.Time, outcomes []reconcile.Outcome) error {
	switch {
	case f.JSON || f.Output == "json":
		return printJSON(std.Out, outcomes)
	case f.Output == "yaml":
		return printYAML(std.Out, outcomes)
	case f.Output == "wide":
		std.Width = 0
	}
	return printTable(std, now, leaveOutInterrupted(ctx, outcomes))
}

// leaveOutInterrupted drops credentials that Ctrl-C kept from being looked at.
func leaveOutInterrupted(ctx context.Context, outcomes []reconcile.Outcome) (kept []reconcile.Outcome) {
	if ctx.Err() == nil {
		return outcomes
	}
	for _, o := range outcomes {
		if o.Result != reconcile.ResultFailed || len(o.Steps) > 0 {
			kept = append(kept, o)
		}
	}
	return kept
}

func printJSON(out io.Writer, outcomes []reconcile.Outcome) error {
	if outcomes == nil {
		outcomes = []reconcile.Outcome{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"outcomes": outcomes})
}

// printYAML prints the same as printJSON, which is valid YAML of another style.
func printYAML(out io.Writer, outcomes []reconcile.Outcome) error {
	var text strings.Builder
	if err := printJSON(&text, outcomes); err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text.String()), &doc); err != nil {
		return err
	}
	plain(&doc)
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	return errors.Join(e.Encode(&doc), e.Close())
}

// plain removes the style of JSON.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

func printTable(std Streams, now time.Time, outcomes []reconcile.Outcome) error {
	t := table{width: std.Width, header: []string{"CREDENTIAL", "RESULT", "KEY", "EXPIRES", "NEXT", "STORES"}}
	for _, o := range outcomes {
		row := []cell{{text: o.Credential}, {text: string(o.Result)}, {text: cmp.Or(o.Key, "-")}, {text: day(o.KeyExpires)}, {text: day(o.Next)}, {text: storeStates(o)}}
		if std.Width > 0 {
			row[0].text, row[2].text = shortIDs(row[0].text), shortIDs(row[2].text)
			row[3].text, row[4].text, row[5].text = relative(o.KeyExpires, now), relative(o.Next, now), storeCount(o)
		}
		if std.Colour {
			row[1].colour = colours[o.Result]
		}
		t.rows = append(t.rows, row)
	}
	if err := t.write(std.Out); err != nil {
		return err
	}
	for _, o := range outcomes {
		lines := append([]string{o.Message, o.Error}, storeErrors(o)...)
		for _, n := range o.Notes {
			lines = append(lines, n.String())
		}
		for _, line := range lines {
			if line == "" {
				continue
			}
			if err := std.printLine("%s: %s", o.Credential, line); err != nil {
				return err
			}
		}
	}
	return std.printLine("%s", totals(outcomes))
}

// totals counts the outcomes by result, the worst first.
func totals(outcomes []reconcile.Outcome) string {
	var parts []string
	for _, r := range []reconcile.Result{
		reconcile.ResultFailed, reconcile.ResultBlocked, reconcile.ResultInProgress, reconcile.ResultPublished, reconcile.ResultChanged,
		reconcile.ResultUnconfigured, reconcile.ResultUnchanged,
	} {
		n := 0
		for _, o := range outcomes {
			if o.Result == r {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, r))
		}
	}
	if len(parts) == 0 {
		return counted(0, "credential")
	}
	return counted(len(outcomes), "credential") + ": " + strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// storeErrors returns a line for each store whose error the message does not
// already quote.
func storeErrors(o reconcile.Outcome) (lines []string) {
	for _, s := range o.Stores {
		if s.Error != "" && !strings.Contains(o.Message, s.Error) && !strings.Contains(o.Error, s.Error) {
			lines = append(lines, s.Name+": "+s.Error)
		}
	}
	return lines
}

func storeStates(o reconcile.Outcome) string {
	var stores []string
	for _, s := range o.Stores {
		stores = append(stores, s.Name+": "+storeState(s, o.Key))
	}
	return strings.Join(stores, ", ")
}

// storeCount counts the stores that have the published key.
func storeCount(o reconcile.Outcome) string {
	current := 0
	for _, s := range o.Stores {
		if storeState(s, o.Key) == "current" {
			current++
		}
	}
	switch {
	case len(o.Stores) == 0:
		return "-"
	case current == len(o.Stores):
		return "current"
	}
	return fmt.Sprintf("%d of %d", current, len(o.Stores))
}

func storeState(s reconcile.StoreOutcome, published string) string {
	switch {
	case s.Fault != "":
		return string(s.Fault)
	case s.Key == "":
		return "empty"
	case s.Key == published:
		return "current"
	}
	return s.Key
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

// verdict turns outcomes into the error that names the exit code.
func verdict(swept reconcile.SweepResult, names []string) error {
	worst := swept.Worst()
	switch {
	case swept.Unknown != nil:
		return fmt.Errorf("%w: %w", ErrTryAgain, swept.Unknown)
	case len(swept.Outcomes) == 0 && len(names) > 0:
		return fmt.Errorf("finding %s: the config yields no such credential", strings.Join(names, ", "))
	case worst == reconcile.ResultFailed:
		return fmt.Errorf("%w: a step failed", ErrTryAgain)
	case worst == reconcile.ResultBlocked:
		return ErrBlocked
	}
	return nil
}

func printPlan(std Streams, swept reconcile.SweepResult) error {
	var lines []string
	steps := 0
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, o := range swept.Outcomes {
		switch {
		case o.Result == reconcile.ResultFailed:
			add("%s: could not be checked: %s", o.Credential, o.Error)
		case o.Result == reconcile.ResultBlocked || o.Result == reconcile.ResultInProgress || o.Result == reconcile.ResultUnconfigured:
			add("%s: %s: %s", o.Credential, o.Result, o.Message)
		case len(o.Steps) == 0:
			add("%s: nothing to do", o.Credential)
		default:
			add("%s:", o.Credential)
		}
		for _, s := range o.Steps {
			add("  %s: %s", stepLine(s.Step), s.Reason.Sentence())
			steps++
		}
		for _, line := range storeErrors(o) {
			add("  %s", line)
		}
		for _, n := range o.Notes {
			add("  %s", n)
		}
	}
	for _, line := range append(lines, counted(len(swept.Outcomes), "credential")+": "+counted(steps, "step")+" due") {
		if err := std.printLine("%s", line); err != nil {
			return fmt.Errorf("printing the plan: %w", err)
		}
	}
	return nil
}

// stepLine is a step on one line.
func stepLine(s rotation.Step) string {
	words := []string{string(s.Action), s.Key, s.Target}
	if !s.At.IsZero() {
		words = append(words, "until "+s.At.UTC().Format(time.DateTime))
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
