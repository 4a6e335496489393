package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/doctor"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/reason"
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
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	tally := doctor.Examine(p.pace.With(ctx, pace.Demand), doctor.Config{
		IAM: p.iam, Catalog: p.catalog, Look: p.look, Account: p.iam.Account, Now: p.cloud.now,
		Secrets: doctor.ReadSecrets(ctx, env, p.cfg.Secrets),
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

// fixed returns what the config names by ID.
func fixed(cfg *config.Config) (entries []doctor.Fixed) {
	for _, e := range cfg.Entries {
		serviceID, adopt := e.Fixed()
		if serviceID != "" || adopt != "" {
			entries = append(entries, doctor.Fixed{Credential: e.Name, ServiceID: serviceID, AdoptKey: adopt})
		}
	}
	return entries
}

// warnOfOwnLogin logs a warning at the first login for each credential whose keys are
// those of our login. The login doesn't wait for it.
func (p *assembly) warnOfOwnLogin() {
	entries := fixed(p.cfg)
	if len(entries) == 0 {
		return
	}
	p.iam.OnLogin(func(self string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := doctor.OwnLogins(ctx, p.iam, self, entries, func(credential, serviceID string) {
			p.log.Warn("a credential is latchkey's own login", "credential", credential, "service_id", serviceID, "reason", string(reason.OwnLogin))
		})
		if err != nil {
			p.log.Warn("looking for latchkey's own login among the credentials", "error", err.Error())
		}
	})
}

// checkOwnLogin logs in, and returns a fault for each credential whose keys are those of
// our login.
func (p *assembly) checkOwnLogin(ctx context.Context) error {
	entries := fixed(p.cfg)
	if len(entries) == 0 {
		return nil
	}
	self, err := p.iam.Self(ctx)
	if err != nil {
		return fmt.Errorf("looking for latchkey's own login among the credentials: %w", err)
	}
	var faults []error
	err = doctor.OwnLogins(ctx, p.iam, self, entries, func(credential, serviceID string) {
		faults = append(faults, fmt.Errorf("%s: %s: %s", credential, serviceID, reason.OwnLogin.Sentence()))
	})
	return errors.Join(append(faults, err)...)
}
