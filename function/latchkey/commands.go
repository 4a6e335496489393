package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// place is what every command by hand needs to know.
type place struct {
	Config   string `help:"The config file." placeholder:"FILE"`
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
	JSON     bool   `help:"Print outcomes as JSON." name:"json"`
}

func (c place) open(ctx context.Context, p *process) (*desk, error) {
	p.endpoint = c.Endpoint
	return p.desk(ctx, c.Config)
}

type sweepCommand struct {
	place
	Credentials []string `arg:"" optional:"" help:"Entries or instances; none means all."`
}

// Run looks at the credentials once and does what is due.
func (c sweepCommand) Run(ctx context.Context, p *process) error {
	d, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer d.farewell(reportInJob)
	swept := d.reconcile(ctx, d.catalog, reconcile.Scope{Names: c.Credentials}, reconcile.Ask{Cause: "sweep by hand"})
	return p.report(c.place, swept, c.Credentials)
}

type rotateCommand struct {
	place
	Credential string `arg:"" help:"An entry, or one instance of it."`
	NotKey     string `help:"Demand a key other than this one; by default a key newer than now." placeholder:"ID"`
}

// Run demands a newer key.
func (c rotateCommand) Run(ctx context.Context, p *process) error {
	d, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer d.farewell(reportInJob)
	demand := rotation.Trigger{NotKey: c.NotKey}
	if c.NotKey == "" {
		demand.NewerThan = d.now()
	}
	names := []string{c.Credential}
	swept := d.reconcile(ctx, d.catalog, reconcile.Scope{Names: names}, reconcile.Ask{Trigger: demand, Cause: "rotate by hand"})
	return errors.Join(p.report(c.place, swept, names), lost(swept))
}

// lost is a demand that is neither met nor written down: it has to be made
// again. What a blocked credential waits for says its reason.
func lost(swept reconcile.Swept) error {
	for _, o := range swept.Outcomes {
		held := o.Result == reconcile.ResultInProgress || (o.Leaked == reconcile.LeakedAlive && o.Result != reconcile.ResultBlocked)
		if held && !o.Kept {
			return fmt.Errorf("%w: what was asked of %s is not done, and nobody will remember it", errTryAgain, o.Credential)
		}
	}
	return nil
}

type statusCommand struct {
	place
	Credentials []string `arg:"" optional:"" help:"Entries or instances; none means all."`
}

// Run shows what is there, and changes nothing.
func (c statusCommand) Run(ctx context.Context, p *process) error {
	swept, _, err := c.plan(ctx, p, c.Credentials)
	if err != nil {
		return err
	}
	return p.report(c.place, swept, c.Credentials)
}

type planCommand struct {
	place
	Credentials []string `arg:"" optional:"" help:"Entries or instances; none means all."`
}

// errPending is a plan that is not empty.
var errPending = errors.New("changes are pending")

// Run says what a sweep would do now, and why, and does none of it.
func (c planCommand) Run(ctx context.Context, p *process) error {
	swept, steps, err := c.plan(ctx, p, c.Credentials)
	if err != nil {
		return err
	}
	if c.JSON {
		return errors.Join(p.report(c.place, swept, c.Credentials), pending(steps))
	}
	for _, o := range swept.Outcomes {
		switch {
		case o.Result == reconcile.ResultFailed:
			fmt.Fprintf(p.stdout, "%s: could not be looked at: %s\n", o.Credential, o.Error)
		case o.Result == reconcile.ResultBlocked || o.Result == reconcile.ResultInProgress || o.Result == reconcile.ResultOrphaned:
			fmt.Fprintf(p.stdout, "%s: %s: %s\n", o.Credential, o.Result, o.Message)
		case len(o.Steps) == 0:
			fmt.Fprintf(p.stdout, "%s: nothing to do\n", o.Credential)
		default:
			fmt.Fprintf(p.stdout, "%s:\n", o.Credential)
		}
		for _, s := range o.Steps {
			fmt.Fprintf(p.stdout, "  %s: %s\n", say(s.Step), s.Reason.Sentence())
		}
		for _, n := range o.Notes {
			fmt.Fprintf(p.stdout, "  %s\n", note(n))
		}
	}
	return errors.Join(p.verdict(swept, c.Credentials), pending(steps))
}

// say is a step in one line.
func say(s rotation.Step) string {
	parts := []string{string(s.Action), s.Key, s.Target}
	if !s.At.IsZero() {
		parts = append(parts, "until "+s.At.UTC().Format(time.DateTime))
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

func pending(steps int) error {
	if steps > 0 {
		return errPending
	}
	return nil
}

// plan observes and decides for each credential in the scope.
func (c place) plan(ctx context.Context, p *process, names []string) (swept reconcile.Swept, steps int, err error) {
	d, err := c.open(ctx, p)
	if err != nil {
		return swept, 0, err
	}
	credentials, err := d.catalog.Credentials(ctx, reconcile.Scope{Names: names})
	swept.Unknown = err
	for _, credential := range credentials {
		out, plan, perr := d.reconciler.Plan(ctx, credential, reconcile.Ask{Cause: "plan"})
		switch {
		case perr != nil:
			out.Result, out.Error = reconcile.ResultFailed, perr.Error()
			swept.Unknown = errors.Join(swept.Unknown, perr)
		case out.Result == reconcile.ResultOrphaned:
		case plan.Blocked != "":
			out.Result, out.Reason = reconcile.ResultBlocked, plan.Blocked
		case plan.Waiting != "":
			out.Result, out.Reason = reconcile.ResultInProgress, plan.Waiting
		}
		out.Message = out.Reason.Sentence()
		for _, s := range plan.Steps {
			out.Steps = append(out.Steps, reconcile.StepOutcome{Step: s})
		}
		steps += len(plan.Steps)
		swept.Outcomes = append(swept.Outcomes, out)
	}
	return swept, steps, nil
}

// report prints outcomes as a table or as JSON.
func (p *process) report(c place, swept reconcile.Swept, names []string) error {
	if c.JSON {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		outcomes := swept.Outcomes
		if outcomes == nil {
			outcomes = []reconcile.Outcome{}
		}
		if err := e.Encode(map[string]any{"outcomes": outcomes}); err != nil {
			return fmt.Errorf("printing outcomes: %w", err)
		}
		return p.verdict(swept, names)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CREDENTIAL\tRESULT\tKEY\tEXPIRES\tNEXT\tSTORES")
	for _, o := range swept.Outcomes {
		var stores []string
		for _, s := range o.Stores {
			state := s.Key
			switch {
			case s.Fault != "":
				state = string(s.Fault)
			case s.Key == o.Key && s.Key != "":
				state = "current"
			case s.Key == "":
				state = "empty"
			}
			stores = append(stores, s.Name+": "+state)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", o.Credential, o.Result, dash(o.Key), dashDay(o.KeyExpires), dashDay(o.Next), strings.Join(stores, ", "))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing outcomes: %w", err)
	}
	for _, o := range swept.Outcomes {
		lines := []string{o.Message, o.Error}
		for _, n := range o.Notes {
			lines = append(lines, note(n))
		}
		for _, line := range lines {
			if line != "" {
				fmt.Fprintf(p.stdout, "%s: %s\n", o.Credential, line)
			}
		}
	}
	return p.verdict(swept, names)
}

// note is something that people should know, in one line.
func note(n reconcile.NoteOutcome) string {
	line := n.Message
	if n.Store != "" {
		line = n.Store + ": " + line
	}
	if n.Key != "" {
		line = n.Key + ": " + line
	}
	if !n.At.IsZero() {
		line += " (" + n.At.UTC().Format(time.DateTime) + ")"
	}
	return line
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func dashDay(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return day(t)
}

// verdict turns outcomes into the error that names the exit code.
func (p *process) verdict(swept reconcile.Swept, names []string) error {
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
