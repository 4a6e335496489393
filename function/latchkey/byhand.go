package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// The commands that only people give, one key at a time.

type revokeCommand struct {
	place
	Credential  string `arg:"" help:"An entry, or one instance of it."`
	Key         string `help:"The ID of the key that leaked." placeholder:"ID" required:""`
	Containment bool   `help:"Disable it before consumers have another: they fail until then."`
	Yes         bool   `help:"Don't ask."`
}

// Run ends a leaked key as soon as consumers have another, or before.
func (c revokeCommand) Run(ctx context.Context, p *process) error {
	question := fmt.Sprintf("Replace and end key %s of %s?", c.Key, c.Credential)
	if c.Containment {
		question = fmt.Sprintf("Disable key %s of %s now, before its consumers have another?", c.Key, c.Credential)
	}
	if err := p.confirm(c.Yes, question); err != nil {
		return err
	}
	d, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer d.farewell(reportInJob)
	names := []string{c.Credential}
	swept := d.reconcile(ctx, d.catalog, reconcile.Scope{Names: names}, reconcile.Ask{
		Trigger: rotation.Trigger{Leaked: c.Key, Contain: c.Containment}, Cause: "revoke by hand",
	})
	swept, here := reconcile.WhereLeaked(swept)
	if !here && swept.Unknown == nil {
		return fmt.Errorf("revoking key %s: it is not one of %s", c.Key, c.Credential)
	}
	return errors.Join(p.report(c.place, swept, names), lost(swept))
}

type adoptCommand struct {
	place
	Credential string `arg:"" help:"The entry."`
	Key        string `help:"The ID of the existing key." placeholder:"ID" required:""`
}

// Run takes an existing key over where a store holds its value, as adopt in the
// config does.
func (c adoptCommand) Run(ctx context.Context, p *process) error {
	d, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer d.farewell(reportInJob)
	names := []string{c.Credential}
	catalog := &adopting{Catalog: d.catalog, key: c.Key}
	// The first look takes the key over; the second does what is due for it.
	ask := reconcile.Ask{Cause: "adopt by hand"}
	swept := d.reconcile(ctx, catalog, reconcile.Scope{Names: names}, ask)
	if len(swept.Outcomes) == 1 && swept.Outcomes[0].Result == reconcile.ResultChanged {
		next := d.reconcile(ctx, catalog, reconcile.Scope{Names: names}, ask)
		if len(next.Outcomes) == 1 {
			next.Outcomes[0].Steps = append(swept.Outcomes[0].Steps, next.Outcomes[0].Steps...)
		}
		swept = next
	}
	return p.report(c.place, swept, names)
}

// adopting is a catalog whose credentials take over a key.
type adopting struct {
	reconcile.Catalog
	key string
}

var errManyToAdopt = errors.New("one key can't be adopted by many credentials: name an instance")

func (a *adopting) Credentials(ctx context.Context, scope reconcile.Scope) ([]reconcile.Credential, error) {
	all, err := a.Catalog.Credentials(ctx, scope)
	if len(all) > 1 {
		return nil, errors.Join(err, errManyToAdopt)
	}
	for i := range all {
		all[i].AdoptKey = a.key
	}
	return all, err
}

// confirm asks on a terminal. Elsewhere nobody answers, so --yes has to.
func (p *process) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if f, ok := p.stdin.(*os.File); ok {
		if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			return errors.New("asking before a key ends: this is no terminal, so say --yes")
		}
	} else {
		return errors.New("asking before a key ends: this is no terminal, so say --yes")
	}
	return p.ask(question)
}

var errNo = errors.New("nothing was done")

func (p *process) ask(question string) error {
	fmt.Fprintf(p.stdout, "%s [y/N] ", question)
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errNo
	}
	return nil
}
