package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
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
	Account      bool     `help:"Look at the account, and list its projects and keys in comments."`
	Endpoint     string   `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
	Yes          bool     `help:"Replace the file if it exists."`
}

// Run writes a first config. It asks for what no flag gives if stdin is a terminal.
func (c initCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	a := starter.Answers{
		Owner: c.Owner, Profile: c.Profile, Regions: c.Regions, LogsInstance: c.LogsInstance, LogsRegion: c.LogsRegion, Prefix: c.Prefix, EventsEnv: c.EventsEnv,
	}
	regions := strings.Join(a.Regions, ",")
	for _, q := range []struct {
		question, flag string
		to             *string
	}{
		{"Name of this installation, such as prod-eu", "--owner", &a.Owner},
		{"Regions of your Code Engine projects, such as eu-de,us-south", "--regions", &regions},
		{"GUID of the Cloud Logs instance", "--logs-instance", &a.LogsInstance},
	} {
		if err := std.Answer(q.to, q.question, q.flag); err != nil {
			return err
		}
	}
	a.Regions = strings.FieldsFunc(regions, func(r rune) bool { return r == ',' || r == ' ' })
	if c.Account {
		found, err := c.look(ctx, env, log, a)
		if err != nil {
			return err
		}
		a.Found = found
	}
	text, err := starter.Config(a)
	if err != nil {
		return err
	}
	if _, err := config.Load(c.File, []byte(text)); err != nil {
		return fmt.Errorf("checking the answers: %w", err)
	}
	if err := c.write(std, text); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "Wrote %s. Next: latchkey validate %s\n", c.File, c.File)
	return nil
}

func (c initCommand) write(std cli.Streams, text string) error {
	const mode = os.O_WRONLY | os.O_CREATE
	f, err := os.OpenFile(c.File, mode|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err := std.Confirm(c.Yes, fmt.Sprintf("%s exists. Replace it?", c.File)); err != nil {
			return err
		}
		f, err = os.OpenFile(c.File, mode|os.O_TRUNC, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	return nil
}

// look returns the account's projects, and the keys of service IDs that latchkey did
// not create.
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
