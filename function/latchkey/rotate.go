package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

type rotateCommand struct {
	common
	demanding
	Credential string `arg:"" help:"A config entry, or a single credential of it."`
	NotKey     string `help:"Demand a key other than this one; by default a key newer than now." placeholder:"ID"`
}

// Run demands a newer key, and waits for it.
func (c rotateCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	names := []string{c.Credential}
	credentials, unlisted, err := p.find(ctx, names)
	if err != nil {
		return err
	}
	demand := rotation.Trigger{NotKey: c.NotKey}
	if c.NotKey == "" {
		demand.NewerThan = p.cloud.now()
	}
	ask := reconcile.Request{Trigger: demand}
	if c.DryRun {
		return c.dryRun(ctx, p, std, credentials, unlisted, ask)
	}
	if len(credentials) > 1 {
		question := fmt.Sprintf("Rotate the keys of %d credentials: %s?", len(credentials), credentialNames(credentials))
		if err := confirm(std, c.Yes, question); err != nil {
			return err
		}
	}
	swept := c.untilDone(ctx, std, p.cloud.now, credentials, func(some []reconcile.Credential) reconcile.SweepResult {
		return p.sweep(ctx, some, unlisted, ask, handOf(env, "rotate"))
	})
	return errors.Join(c.print(ctx, std, p.cloud.now(), swept, names), unfinishedError(swept))
}

// credentialNames lists the first few names.
func credentialNames(credentials []reconcile.Credential) string {
	const shown = 5
	var names []string
	for i, c := range credentials {
		if i == shown {
			names = append(names, "…")
			break
		}
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

type revokeCommand struct {
	common
	demanding
	Credential  string `arg:"" help:"A config entry, or a single credential of it."`
	Key         string `help:"The ID of the key that leaked." placeholder:"ID" required:""`
	Containment bool   `help:"Disable it before consumers have another: they fail until then."`
}

// Run replaces and deletes a leaked key. With containment it is disabled first. It
// succeeds only if the key no longer works.
func (c revokeCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	names := []string{c.Credential}
	credentials, unlisted, err := p.find(ctx, names)
	if err != nil {
		return err
	}
	if err := p.checkKey(ctx, c.Key, credentials); err != nil {
		return err
	}
	ask := reconcile.Request{Trigger: rotation.Trigger{Leaked: c.Key, Contain: c.Containment}}
	if c.DryRun {
		return c.dryRun(ctx, p, std, credentials, unlisted, ask)
	}
	question := fmt.Sprintf("Replace and delete key %s of %s?", c.Key, c.Credential)
	if c.Containment {
		question = fmt.Sprintf("Disable key %s of %s now, before its consumers have another?", c.Key, c.Credential)
	}
	if err := confirm(std, c.Yes, question); err != nil {
		return err
	}
	here := false
	swept := c.untilDone(ctx, std, p.cloud.now, credentials, func(some []reconcile.Credential) reconcile.SweepResult {
		swept, is := reconcile.WhereLeaked(p.sweep(ctx, some, unlisted, ask, handOf(env, "revoke")))
		here = here || is
		return swept
	})
	if !here && swept.Unknown == nil {
		return fmt.Errorf("revoking key %s: it is not a key of %s", c.Key, c.Credential)
	}
	return errors.Join(c.print(ctx, std, p.cloud.now(), swept, names), unfinishedError(swept))
}

type adoptCommand struct {
	common
	demanding
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
	credentials, unlisted, err := p.find(ctx, names)
	switch {
	case err != nil:
		return err
	case len(credentials) > 1:
		return errors.Join(unlisted, errManyToAdopt)
	}
	if err := p.checkKey(ctx, c.Key, nil); err != nil {
		return err
	}
	for i := range credentials {
		credentials[i].AdoptKey = c.Key
	}
	ask := reconcile.Request{}
	if c.DryRun {
		return c.dryRun(ctx, p, std, credentials, unlisted, ask)
	}
	swept := c.untilDone(ctx, std, p.cloud.now, credentials, func(some []reconcile.Credential) reconcile.SweepResult {
		// The first run adopts the key; the second does what is due for it.
		swept := p.sweep(ctx, some, unlisted, ask, handOf(env, "adopt"))
		if len(swept.Outcomes) == 1 && swept.Outcomes[0].Result == reconcile.ResultChanged {
			swept = merge(swept, p.sweep(ctx, some, unlisted, ask, handOf(env, "adopt")))
		}
		return swept
	})
	return errors.Join(c.print(ctx, std, p.cloud.now(), swept, names), unfinishedError(swept))
}

// errNotConfirmed: the answer was not yes.
var errNotConfirmed = errors.New("not confirmed: nothing was done")

// confirm asks on a terminal. Elsewhere --yes is required.
func confirm(std streams, yes bool, question string) error {
	if yes {
		return nil
	}
	if _, is := terminal(std.in); !is {
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
