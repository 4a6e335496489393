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
)

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
