package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// common are the flags of the commands for people.
type common struct {
	Config   string `help:"The config file." placeholder:"FILE"`
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
	JSON     bool   `help:"Print outcomes as JSON." name:"json"`
}

// print writes outcomes as a table or as JSON, and returns the error that names
// the exit code.
func (c common) print(out io.Writer, swept reconcile.Swept, names []string) error {
	write := printTable
	if c.JSON {
		write = printJSON
	}
	if err := write(out, swept.Outcomes); err != nil {
		return fmt.Errorf("printing outcomes: %w", err)
	}
	return verdict(swept, names)
}

func printJSON(out io.Writer, outcomes []reconcile.Outcome) error {
	if outcomes == nil {
		outcomes = []reconcile.Outcome{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"outcomes": outcomes})
}

func printTable(out io.Writer, outcomes []reconcile.Outcome) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CREDENTIAL\tRESULT\tKEY\tEXPIRES\tNEXT\tSTORES")
	for _, o := range outcomes {
		var stores []string
		for _, s := range o.Stores {
			stores = append(stores, s.Name+": "+storeState(s, o.Key))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", o.Credential, o.Result, cmp.Or(o.Key, "-"), day(o.KeyExpires), day(o.Next), strings.Join(stores, ", "))
	}
	if err := w.Flush(); err != nil {
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
			if _, err := fmt.Fprintf(out, "%s: %s\n", o.Credential, line); err != nil {
				return err
			}
		}
	}
	return nil
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
func verdict(swept reconcile.Swept, names []string) error {
	worst := swept.Worst()
	switch {
	case swept.Unknown != nil:
		return fmt.Errorf("%w: %w", errTryAgain, swept.Unknown)
	case len(swept.Outcomes) == 0 && len(names) > 0:
		return fmt.Errorf("finding %s: the config yields no such credential", strings.Join(names, ", "))
	case worst == reconcile.ResultFailed:
		return fmt.Errorf("%w: a step failed", errTryAgain)
	case worst == reconcile.ResultBlocked:
		return errBlocked
	}
	return nil
}

func printPlan(out io.Writer, swept reconcile.Swept) {
	for _, o := range swept.Outcomes {
		switch {
		case o.Result == reconcile.ResultFailed:
			fmt.Fprintf(out, "%s: could not be checked: %s\n", o.Credential, o.Error)
		case o.Result == reconcile.ResultBlocked || o.Result == reconcile.ResultInProgress || o.Result == reconcile.ResultOrphaned:
			fmt.Fprintf(out, "%s: %s: %s\n", o.Credential, o.Result, o.Message)
		case len(o.Steps) == 0:
			fmt.Fprintf(out, "%s: nothing to do\n", o.Credential)
		default:
			fmt.Fprintf(out, "%s:\n", o.Credential)
		}
		for _, s := range o.Steps {
			fmt.Fprintf(out, "  %s: %s\n", stepLine(s.Step), s.Reason.Sentence())
		}
		for _, line := range storeErrors(o) {
			fmt.Fprintf(out, "  %s\n", line)
		}
		for _, n := range o.Notes {
			fmt.Fprintf(out, "  %s\n", n)
		}
	}
}

// stepLine is a step on one line.
func stepLine(s rotation.Step) string {
	words := []string{string(s.Action), s.Key, s.Target}
	if !s.At.IsZero() {
		words = append(words, "until "+s.At.UTC().Format(time.DateTime))
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
