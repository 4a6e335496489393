//go:build !production

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/verify"
)

type verifyCommand struct {
	cli.ByHand
	Live         bool          `help:"Required: things are made in the account, and deleted."`
	Profile      string        `help:"The trusted profile that latchkey logs in with; default: the key in IBMCLOUD_API_KEY."`
	Project      string        `help:"The ID of a Code Engine project, in which a secret is made." placeholder:"ID"`
	Region       string        `help:"The project's region." placeholder:"REGION"`
	LogsInstance string        `help:"The GUID of a Cloud Logs instance, which gets three log lines." placeholder:"GUID"`
	LogsRegion   string        `help:"Its region." placeholder:"REGION"`
	Secrets      string        `help:"The GUID of a Secrets Manager instance, in which groups and secrets are made." name:"secrets-manager" placeholder:"GUID"`
	SecretsIn    string        `help:"Its region." name:"secrets-manager-region" placeholder:"REGION"`
	NewProject   string        `help:"A region, in which a project with an app and a job is made and deleted." placeholder:"REGION"`
	NewGroups    []string      `help:"The resource groups of that project, and of another one with its name." name:"new-project-groups" placeholder:"ID"`
	Fill         bool          `help:"Fill the project with secrets up to its limit, and delete them."`
	Out          string        `help:"The file for the report, which latchkey emulator --switches reads." default:"latchkey-verify.json" placeholder:"FILE"`
	Patience     time.Duration `help:"How long a change may take to show." default:"2m"`
	cloudFlag
	Yes bool `help:"Skip the confirmation."`
}

// Errors of flags that go together.
var (
	errNotLive   = errors.New("verify makes a service ID, keys and policies in the account: pass --live")
	errNoRegion  = errors.New("--project needs --region, --logs-instance needs --logs-region, and --secrets-manager needs --secrets-manager-region")
	errNoProfile = errors.New("verifying: latchkey has no login")
)

// Run tries on an account what IBM's documents leave open, and writes what it found.
func (c verifyCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	switch {
	case !c.Live:
		return errNotLive
	case c.Project != "" && c.Region == "", c.LogsInstance != "" && c.LogsRegion == "", c.Secrets != "" && c.SecretsIn == "":
		return errNoRegion
	}
	p, err := connect(env, log, &config.Config{Owner: "latchkey-verify", Identity: config.Identity{Profile: c.Profile}}, c.Endpoint)
	if err != nil {
		return err
	}
	ctx = p.pace.With(ctx, pace.Demand)
	account, err := p.iam.Account(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoProfile, err)
	}
	if err := std.Confirm(c.Yes, "Make a service ID, keys and policies in the account "+account+", and delete them?"); err != nil {
		return err
	}
	origin := func(host string) string { return cmp.Or(p.cloud.endpoint, "https://"+host) }
	cfg := verify.Config{
		HTTP: p.iam.HTTP(), Plain: p.cloud.http, IAM: origin(hosts.IAM(false)), Account: account, Fill: c.Fill, Now: p.cloud.now, Patience: c.Patience, Log: std.Err,
		Wait: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	if c.Project != "" {
		cfg.Project = verify.Project{Origin: origin(hosts.CodeEngine(c.Region, false)), ID: c.Project}
	}
	if c.LogsInstance != "" {
		host := hosts.CloudLogs(c.LogsInstance, c.LogsRegion, false)
		cfg.Logs = verify.Logs{Origin: origin(host), Host: host, Instance: c.LogsInstance}
	}
	if c.Secrets != "" {
		host := hosts.SecretsManager(c.Secrets, c.SecretsIn, false)
		cfg.Secrets = verify.Secrets{Origin: origin(host), Host: host, Instance: c.Secrets}
	}
	if c.NewProject != "" {
		host := hosts.CodeEngine(c.NewProject, false)
		cfg.NewProject = verify.NewProject{Origin: origin(host), Host: host, Region: c.NewProject, Groups: c.NewGroups}
	}
	report, err := verify.Run(ctx, cfg)
	return errors.Join(err, report.Write(c.Out), report.Print(std.Lines(), c.Out))
}
