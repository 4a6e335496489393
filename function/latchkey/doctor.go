package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/doctor"
	"github.com/latchkey-io/latchkey/internal/pace"
)

type doctorCommand struct {
	cli.ByHand
	Config string `help:"The config file." placeholder:"FILE"`
	cloudFlag
}

// errFailedChecks is a checklist with failures.
var errFailedChecks = errors.New("some checks failed: see above")

// Run checks everything that the config needs, and changes nothing.
func (c doctorCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	tally := doctor.Examine(p.pace.With(ctx, pace.Demand), doctor.Config{
		IAM: p.iam, Catalog: p.catalog, Look: p.look, Account: p.iam.Account, Now: p.cloud.now,
		Secrets: doctor.ReadSecrets(env, p.cfg.Secrets),
		Profile: p.cfg.Identity.Profile, Regions: p.cfg.Regions, Projects: p.projects,
		PerProject: slices.ContainsFunc(p.cfg.Entries, func(e *config.Entry) bool { return e.ForEach == config.CodeEngineProjects }),
		Needs:      rolesNeeded(p.cfg),
	}, std.Lines())
	fmt.Fprintf(std.Out, "%d ok, %d failed, %d unknown, %d wider than needed, %d beyond the config\n", tally.OK, tally.Failed, tally.Unknown, tally.Wide, tally.Drift)
	if tally.Failed > 0 {
		return errFailedChecks
	}
	return nil
}

// rolesNeeded returns the roles that the config needs, as the doctor compares them.
func rolesNeeded(cfg *config.Config) (needs []doctor.Need) {
	for _, g := range cfg.Needs().Grants {
		needs = append(needs, doctor.Need{Service: g.Service, Role: g.Role, Attribute: g.Attribute, Value: g.Value})
	}
	return needs
}
