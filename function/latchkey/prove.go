package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/pace"
)

type proveCommand struct {
	cli.ByHand
	Config string `help:"The config file." placeholder:"FILE"`
	cloudFlag
	cli.Format
	TokenFile  string `help:"The compute resource token; by default LATCHKEY_TOKEN_FILE, or where Code Engine mounts it." placeholder:"FILE"`
	Credential string `arg:"" help:"A config entry with trust; NAME/PROJECT, by the project's name, if it has forEach."`
}

// errNoName: the templates of an entry with forEach read the project's name, which Code
// Engine tells no program.
var errNoName = errors.New("the entry has forEach: give NAME/PROJECT, with the name of the project")

// Run logs in as a consumer does, with the compute resource token of the place that it
// runs in, and runs the proofs of the config entry. It needs no other login.
func (c proveCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	cfg, err := load(ctx, env, c.Config)
	if err != nil {
		return err
	}
	profile, prove, err := assumed(cfg, env, c.Credential)
	if err != nil {
		return err
	}
	file := cmp.Or(c.TokenFile, env("LATCHKEY_TOKEN_FILE"), resourceTokenFile)
	consumer := *cfg
	consumer.Identity = config.Identity{Profile: profile}
	p, err := connect(func(name string) string {
		if name == "LATCHKEY_TOKEN_FILE" {
			return file
		}
		return env(name)
	}, log, &consumer, c.Endpoint)
	if err != nil {
		return err
	}
	return cli.Trial{
		Std: std, Format: c.Format, Credential: c.Credential, Profile: profile, Token: p.iam.Bearer, Provers: p.builder.provers(prove), Prove: p.reconciler.Prove,
	}.Run(p.pace.With(ctx, pace.Demand))
}

// assumed returns the trusted profile of a credential, and the proofs of its entry.
func assumed(cfg *config.Config, env environment, credential string) (profile string, prove config.Prove, err error) {
	name, project, _ := strings.Cut(credential, "/")
	i := slices.IndexFunc(cfg.Entries, func(e *config.Entry) bool { return e.Name == name })
	if i < 0 {
		return "", prove, fmt.Errorf("finding %s: the config has no such entry", credential)
	}
	var in config.Input
	if cfg.Entries[i].ForEach != "" {
		in.Project = &config.Project{ID: env("CE_PROJECT_ID"), Name: project, Region: env("CE_REGION")}
		if project == "" || project == in.Project.ID {
			return "", prove, fmt.Errorf("finding %s: %w", credential, errNoName)
		}
	}
	return cfg.Entries[i].Assumed(in)
}

// Help says where the command runs, and has examples.
func (proveCommand) Help() string {
	return "Run it where the consumer runs: in a job of its Code Engine project, or in a pod with its service account. It logs in with the compute " +
		"resource token there, and needs no key. The proofs are those of the config entry, which may leave a log line or an object behind. " +
		"IAM counts it as a use of the profile.\n\n" +
		"    latchkey prove logs-sender\n    latchkey prove logs-sender --token-file /var/run/secrets/tokens/sa-token\n    latchkey prove team-sender/team-a --json"
}
