package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/resources"
	"github.com/latchkey-io/latchkey/internal/starter"
)

type initCommand struct {
	cli.ByHand
	File         string   `arg:"" optional:"" default:"latchkey.yaml" help:"The file to write."`
	Owner        string   `help:"The name of this installation, written into everything that it makes."`
	Profile      string   `help:"The trusted profile that latchkey logs in with."`
	Regions      []string `help:"Where Code Engine projects are looked for." placeholder:"REGION"`
	LogsInstance string   `help:"The GUID of the Cloud Logs instance that keys send to." placeholder:"GUID"`
	LogsRegion   string   `help:"Its region; default: the first of --regions." placeholder:"REGION"`
	Prefix       string   `help:"Only projects whose names start with this get a key."`
	EventsEnv    string   `help:"The variable with the token of callers who may request keys." placeholder:"NAME"`
	Account      bool     `help:"Look at the account, and list its projects, Cloud Logs instances and keys in comments."`
	cloudFlag
	Yes bool `help:"Replace the file if it exists."`
}

// Run writes a first config. It asks for what no flag gives if stdin is a terminal.
func (c initCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	a := starter.Answers{
		Owner: c.Owner, Profile: c.Profile, Regions: c.Regions, LogsInstance: c.LogsInstance, LogsRegion: c.LogsRegion, Prefix: c.Prefix, EventsEnv: c.EventsEnv,
	}
	var look func(starter.Answers) (starter.Found, error)
	if c.Account {
		look = func(a starter.Answers) (starter.Found, error) { return c.look(ctx, env, log, a) }
	}
	if err := a.Ask(std.Answer, look); err != nil {
		return err
	}
	text, err := starter.Config(a)
	if err != nil {
		return err
	}
	if _, err := config.Load(c.File, []byte(text)); err != nil {
		return fmt.Errorf("checking the answers: %w", err)
	}
	if err := std.WriteFile(ctx, c.File, text, c.Yes); err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	fmt.Fprintf(std.Out, "Wrote %s. Next: latchkey validate %s\n", c.File, c.File)
	return nil
}

// look returns the account's projects and Cloud Logs instances, and the keys of service
// IDs that latchkey did not create.
func (c initCommand) look(ctx context.Context, env environment, log *slog.Logger, a starter.Answers) (found starter.Found, err error) {
	cfg := &config.Config{Owner: a.Owner, Identity: config.Identity{Profile: a.Profile}, Regions: a.Regions}
	p, err := connect(env, log, cfg, c.Endpoint)
	if err != nil {
		return found, err
	}
	projects, err := p.projects(ctx)
	if err != nil {
		return found, fmt.Errorf("looking for projects: %w", err)
	}
	for _, project := range projects {
		found.Projects = append(found.Projects, starter.Project{Name: project.Name, Region: project.Region})
	}
	instances, err := resources.List(ctx, resources.Config{HTTP: p.iam.HTTP(), Endpoint: p.cloud.endpoint, Private: p.cloud.private}, "logs")
	if err != nil {
		return found, fmt.Errorf("looking for Cloud Logs: %w", err)
	}
	for _, in := range instances {
		found.Logs = append(found.Logs, starter.Instance(in))
	}
	keys, err := p.iam.AccountKeys(ctx)
	if err != nil {
		return found, fmt.Errorf("looking for keys: %w", err)
	}
	for _, k := range keys {
		if id, ofServiceID := strings.CutPrefix(k.Of, "iam-"); ofServiceID && !k.Login && k.Credential == "" {
			found.Keys = append(found.Keys, starter.Key{ID: k.ID, Name: k.Name, Of: id})
		}
	}
	return found, nil
}
