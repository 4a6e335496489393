package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/plural"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
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
// ran is set if the outcomes are those of runs: their results are printed, too.
func (f Format) print(ctx context.Context, std Streams, now time.Time, outcomes []result.Outcome, ran bool) error {
	switch {
	case f.structured():
		if outcomes == nil {
			outcomes = []result.Outcome{}
		}
		return f.printStructured(std.Out, map[string]any{"outcomes": outcomes})
	case f.Output == "wide":
		std.Width = 0
	}
	return printTable(std, now, leaveOutInterrupted(ctx, outcomes), ran)
}

// leaveOutInterrupted drops credentials that Ctrl-C kept from being looked at.
func leaveOutInterrupted(ctx context.Context, outcomes []result.Outcome) (kept []result.Outcome) {
	if ctx.Err() == nil {
		return outcomes
	}
	for _, o := range outcomes {
		if o.Result != result.Failed || len(o.Steps) > 0 {
			kept = append(kept, o)
		}
	}
	return kept
}

// printStructured writes a document in the wanted format for programs.
func (f Format) printStructured(out io.Writer, doc map[string]any) error {
	if f.Output == "yaml" && !f.JSON {
		return printYAML(out, doc)
	}
	return PrintJSON(out, doc)
}

// PrintJSON writes a document as JSON, with two blanks a level.
func PrintJSON(out io.Writer, doc any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// printYAML prints the same as PrintJSON, which is valid YAML of another style.
func printYAML(out io.Writer, doc map[string]any) error {
	var text strings.Builder
	if err := PrintJSON(&text, doc); err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text.String()), &node); err != nil {
		return err
	}
	plain(&node)
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	if err := e.Encode(&node); err != nil {
		return err // Close repeats it
	}
	return e.Close()
}

// plain removes the style of JSON.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

func printTable(std Streams, now time.Time, outcomes []result.Outcome, ran bool) error {
	t := table{width: std.Width}
	column := func(header string, text func(result.Outcome) cell) {
		t.header = append(t.header, header)
		for i, o := range outcomes {
			if len(t.header) == 1 {
				t.rows = append(t.rows, nil)
			}
			t.rows[i] = append(t.rows[i], text(o))
		}
	}
	ids, at, stores := whole, func(t time.Time) cell { return cell{text: day(t)} }, storeStates
	if std.Width > 0 {
		ids, at, stores = shortIDs, func(t time.Time) cell { return cell{text: relative(t, now)} }, storeCount
	}
	label := labels(std, outcomes)
	column("CREDENTIAL", func(o result.Outcome) cell { return cell{text: label(o, ids)} })
	if std.Width == 0 && slices.ContainsFunc(outcomes, func(o result.Outcome) bool { return o.Project != "" }) {
		column("PROJECT", func(o result.Outcome) cell { return cell{text: cmp.Or(o.Project, "-")} })
	}
	column("CONDITION", func(o result.Outcome) cell {
		if std.Colour {
			return cell{string(o.Condition), colours[o.Condition]}
		}
		return cell{text: string(o.Condition)}
	})
	if ran {
		column("RESULT", func(o result.Outcome) cell { return cell{text: string(o.Result)} })
	}
	column("KEY", func(o result.Outcome) cell { return cell{text: cmp.Or(ids(o.Key), "-")} })
	if !ran || std.Width == 0 { // a table with results is too wide for a terminal
		column("EXPIRES", func(o result.Outcome) cell { return at(o.KeyExpires) })
	}
	column("NEXT", func(o result.Outcome) cell { return at(o.Next) })
	column("STORES", func(o result.Outcome) cell { return cell{text: stores(o)} })
	if err := t.write(std.Out); err != nil {
		return err
	}
	for _, o := range outcomes {
		lines := []string{o.Message}
		if !strings.Contains(o.Message, o.Error) { // else the message quotes it
			lines = append(lines, o.Error)
		}
		lines = append(lines, storeErrors(o)...)
		for _, n := range o.Notes {
			lines = append(lines, n.String())
		}
		for _, line := range lines {
			if line == "" {
				continue
			}
			if err := std.printLine("%s: %s", label(o, whole), line); err != nil {
				return err
			}
		}
	}
	return std.printLine("%s", totals(outcomes, ran))
}

// labels returns how a credential is called. On a terminal its project is shown by
// name, unless two of the outcomes have the name. Else shown is applied to its own.
func labels(std Streams, outcomes []result.Outcome) func(o result.Outcome, shown func(string) string) string {
	named := func(o result.Outcome) string {
		entry, _, _ := strings.Cut(o.Credential, "/")
		return entry + "/" + o.Project
	}
	count := map[string]int{}
	for _, o := range outcomes {
		count[named(o)]++
	}
	return func(o result.Outcome, shown func(string) string) string {
		if std.Width > 0 && o.Project != "" && count[named(o)] == 1 {
			return named(o)
		}
		return shown(o.Credential)
	}
}

func whole(s string) string { return s }

// totals counts the outcomes by condition, or by result if they are those of runs,
// the worst first.
func totals(outcomes []result.Outcome, ran bool) string {
	words := []string{
		string(condition.Unknown), string(condition.Expired), string(condition.Leaked), string(condition.Blocked), string(condition.Missing),
		string(condition.Expiring), string(condition.Due), string(condition.InProgress), string(condition.Unconfigured), string(condition.OK),
	}
	word := func(o result.Outcome) string { return string(o.Condition) }
	if ran {
		words = []string{
			string(result.Failed), string(result.Blocked), string(result.InProgress), string(result.Published),
			string(result.Changed), string(result.Unconfigured), string(result.Unchanged),
		}
		word = func(o result.Outcome) string { return string(o.Result) }
	}
	counts := map[string]int{}
	for _, o := range outcomes {
		counts[word(o)]++
	}
	var parts []string
	for _, w := range words {
		if counts[w] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[w], w))
		}
	}
	if len(parts) == 0 {
		return plural.Count(0, "credential")
	}
	return plural.Count(len(outcomes), "credential") + ": " + strings.Join(parts, ", ")
}

// storeErrors returns a line for each store whose error the message does not
// already quote.
func storeErrors(o result.Outcome) (lines []string) {
	for _, s := range o.Stores {
		if s.Error != "" && !strings.Contains(o.Message, s.Error) && !strings.Contains(o.Error, s.Error) {
			lines = append(lines, s.Name+": "+s.Error)
		}
	}
	return lines
}

func storeStates(o result.Outcome) string {
	var stores []string
	for _, s := range o.Stores {
		stores = append(stores, s.Name+": "+storeState(s, o.Key))
	}
	return cmp.Or(strings.Join(stores, ", "), "-")
}

// storeCount counts the stores that have the published key.
func storeCount(o result.Outcome) string {
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

func storeState(s result.Store, published string) string {
	switch {
	case s.Fault != "":
		return string(s.Fault)
	case s.Key == "":
		return "empty"
	case s.Altered:
		return "altered"
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
func verdict(std Streams, swept result.Sweep, names []string) error {
	has := func(is func(result.Outcome) bool) bool { return slices.ContainsFunc(swept.Outcomes, is) }
	switch {
	case swept.Unknown != nil:
		return unknownError(swept.Unknown)
	case len(swept.Outcomes) == 0 && len(names) > 0:
		return fmt.Errorf("finding %s: the config yields no such credential", strings.Join(names, ", "))
	case has(func(o result.Outcome) bool { return o.Result == result.Failed }):
		return fmt.Errorf("%w: %s", ErrTryAgain, first(std, swept, func(o result.Outcome) bool { return o.Result == result.Failed }))
	}
	for _, code := range []error{ErrTryAgain, ErrAct, ErrDue} {
		if of := func(o result.Outcome) bool { return errors.Is(exitOf(o), code) }; has(of) {
			return fmt.Errorf("%w: %s", code, first(std, swept, of))
		}
	}
	return nil
}

// unknownError returns the error of a look that could not read everything. A refused
// login is an error of its own, and a person must act if IAM denies the reading.
func unknownError(err error) error {
	switch {
	case errors.Is(err, port.ErrLogin):
		return err
	case errors.Is(err, port.ErrDenied):
		return fmt.Errorf("%w: %w", ErrAct, err)
	}
	return fmt.Errorf("%w: %w", ErrTryAgain, err)
}

// exitOf returns the error that names the exit code of a condition.
func exitOf(o result.Outcome) error {
	switch o.Condition {
	case condition.InProgress, condition.Unknown:
		return ErrTryAgain
	case condition.Expired, condition.Leaked:
		return ErrAct
	case condition.Blocked:
		if o.Reason != reason.Paused { // the config asks for that
			return ErrAct
		}
	case condition.Missing, condition.Expiring, condition.Due:
		return ErrDue
	}
	return nil
}

// first names the first outcome of a kind with what an upstream said, and counts the
// others. What each of them says has been printed.
func first(std Streams, swept result.Sweep, is func(result.Outcome) bool) string {
	var text string
	more := -1
	label := labels(std, swept.Outcomes)
	for _, o := range swept.Outcomes {
		if !is(o) {
			continue
		}
		if more++; more > 0 {
			continue
		}
		text = fmt.Sprintf("%s is %s", label(o, whole), o.Condition)
		if o.Result == result.Failed {
			text = label(o, whole) + " failed"
		}
		if o.Reason != "" {
			text += fmt.Sprintf(" (%s)", o.Reason)
		}
		if said := quoted(o); said != "" {
			text += ": " + said
		}
	}
	if more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// quoted returns what an upstream said: the run's own error, or that of the first
// store that has the outcome's reason.
func quoted(o result.Outcome) string {
	if o.Error != "" {
		return o.Error
	}
	for _, s := range o.Stores {
		if s.Fault == o.Reason && s.Error != "" {
			return s.Name + ": " + s.Error
		}
	}
	return ""
}

// stepLine is a step on one line.
func stepLine(s protocol.Step) string {
	words := []string{string(s.Action), s.Key, s.Target}
	if !s.At.IsZero() {
		at := s.At.UTC().Format(time.DateTime)
		switch s.Action {
		case protocol.Record: // a demand for a key that is newer
			words = append(words, "newer than "+at)
		case protocol.MarkLeaked: // when it was marked
		default:
			words = append(words, "until "+at)
		}
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
