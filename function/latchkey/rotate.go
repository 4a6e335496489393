package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

type rotateCommand struct {
	common
	Credential string `arg:"" help:"A config entry, or a single credential of it."`
	NotKey     string `help:"Demand a key other than this one; by default a key newer than now." placeholder:"ID"`
}

// Run demands a newer key.
func (c rotateCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	demand := rotation.Trigger{NotKey: c.NotKey}
	if c.NotKey == "" {
		demand.NewerThan = p.cloud.now()
	}
	names := []string{c.Credential}
	credentials, unknown := p.catalog.Credentials(ctx, catalog.Scope{Names: names})
	swept := p.sweep(ctx, credentials, unknown, reconcile.Ask{Trigger: demand, Cause: "rotate by hand"})
	return errors.Join(c.print(std.out, swept, names), unrecorded(swept))
}

// unrecorded returns an error for a demand that is neither met nor recorded: the
// command has to be run again. The reason of a blocked credential is printed.
func unrecorded(swept reconcile.Swept) error {
	for _, o := range swept.Outcomes {
		unmet := o.Result == reconcile.ResultInProgress || (o.Leaked == reconcile.LeakedAlive && o.Result != reconcile.ResultBlocked)
		if unmet && !o.Kept {
			return fmt.Errorf("%w: the demand for %s is not met and was not recorded: run the command again", errTryAgain, o.Credential)
		}
	}
	return nil
}

type revokeCommand struct {
	common
	Credential  string `arg:"" help:"A config entry, or a single credential of it."`
	Key         string `help:"The ID of the key that leaked." placeholder:"ID" required:""`
	Containment bool   `help:"Disable it before consumers have another: they fail until then."`
	Yes         bool   `help:"Skip the confirmation."`
}

// Run replaces and deletes a leaked key. With containment it is disabled first.
func (c revokeCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	question := fmt.Sprintf("Replace and delete key %s of %s?", c.Key, c.Credential)
	if c.Containment {
		question = fmt.Sprintf("Disable key %s of %s now, before its consumers have another?", c.Key, c.Credential)
	}
	if err := confirm(std, c.Yes, question); err != nil {
		return err
	}
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	names := []string{c.Credential}
	credentials, unknown := p.catalog.Credentials(ctx, catalog.Scope{Names: names})
	swept := p.sweep(ctx, credentials, unknown, reconcile.Ask{
		Trigger: rotation.Trigger{Leaked: c.Key, Contain: c.Containment}, Cause: "revoke by hand",
	})
	swept, here := reconcile.WhereLeaked(swept)
	if !here && swept.Unknown == nil {
		return fmt.Errorf("revoking key %s: it is not a key of %s", c.Key, c.Credential)
	}
	return errors.Join(c.print(std.out, swept, names), unrecorded(swept))
}

type adoptCommand struct {
	common
	Credential string `arg:"" help:"A config entry with one credential, or a single credential of it."`
	Key        string `help:"The ID of the existing key." placeholder:"ID" required:""`
}

// errManyToAdopt: a key can belong to one credential only.
var errManyToAdopt = errors.New("one key can't be adopted by several credentials: name a single one")

// Run takes over an existing key whose value a store holds, as adopt in the
// config does.
func (c adoptCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	names := []string{c.Credential}
	adopt := func() reconcile.Swept {
		credentials, unknown := p.catalog.Credentials(ctx, catalog.Scope{Names: names})
		if len(credentials) > 1 {
			return reconcile.Swept{Unknown: errors.Join(unknown, errManyToAdopt)}
		}
		for i := range credentials {
			credentials[i].AdoptKey = c.Key
		}
		return p.sweep(ctx, credentials, unknown, reconcile.Ask{Cause: "adopt by hand"})
	}
	// The first run adopts the key; the second does what is due for it.
	swept := adopt()
	if len(swept.Outcomes) == 1 && swept.Outcomes[0].Result == reconcile.ResultChanged {
		next := adopt()
		if len(next.Outcomes) == 1 {
			next.Outcomes[0].Steps = append(swept.Outcomes[0].Steps, next.Outcomes[0].Steps...)
		}
		swept = next
	}
	return c.print(std.out, swept, names)
}

// errNotConfirmed: the answer was not yes.
var errNotConfirmed = errors.New("not confirmed: nothing was done")

// confirm asks on a terminal. Elsewhere --yes is required.
func confirm(std streams, yes bool, question string) error {
	if yes {
		return nil
	}
	terminal := false
	if f, ok := std.in.(*os.File); ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if !terminal {
		return errors.New("stdin is not a terminal: pass --yes to confirm")
	}
	return askYesNo(std, question)
}

func askYesNo(std streams, question string) error {
	fmt.Fprintf(std.out, "%s [y/N] ", question)
	line, err := bufio.NewReader(std.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errNotConfirmed
	}
	return nil
}
