//go:build !production

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/userfile"
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
	Events       string        `help:"The CRN of an instance of Event Notifications, with which Secrets Manager is registered." name:"event-notifications" placeholder:"CRN"`
	EventSource  string        `help:"An API source of it, which gets two events." placeholder:"ID"`
	Cluster      string        `help:"The CRN of a cluster." placeholder:"CRN"`
	ClusterType  string        `help:"IKS_SA, or ROKS_SA for OpenShift." default:"IKS_SA" enum:"IKS_SA,ROKS_SA"`
	Pod          string        `help:"The namespace and service account of a pod there." placeholder:"NAMESPACE/ACCOUNT"`
	PodToken     string        `help:"The pod's token for IAM, with which trusted profiles are assumed." placeholder:"FILE"`
	Fill         bool          `help:"Make as many policies of a service ID, secrets of the project and secret groups as are allowed, and delete them."`
	Out          string        `help:"The file for the report, which latchkey emulator --switches reads." default:"latchkey-verify.json" placeholder:"FILE"`
	Patience     time.Duration `help:"How long a change may take to show." default:"2m"`
	cloudFlag
	Yes bool `help:"Skip the confirmation."`
}

// Errors of flags that go together.
var (
	errNotLive   = errors.New("verify makes service IDs, keys and policies in the account: pass --live")
	errNoRegion  = errors.New("--project needs --region, --logs-instance needs --logs-region, and --secrets-manager needs --secrets-manager-region")
	errNoPod     = errors.New("--cluster, --pod and --pod-token go together, and --pod is NAMESPACE/ACCOUNT")
	errNoEvents  = errors.New("--event-notifications is no CRN of an instance of Event Notifications")
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
	cfg := verify.Config{Fill: c.Fill, Patience: c.Patience, Log: std.Err}
	if err := c.pod(ctx, &cfg.Pod); err != nil {
		return err
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
	if err := std.Confirm(c.Yes, "Make service IDs, keys, policies, groups and what the flags name in the account "+account+", and delete them?"); err != nil {
		return err
	}
	origin := func(host string) string { return cmp.Or(p.cloud.endpoint, "https://"+host) }
	if err := c.places(&cfg, origin); err != nil {
		return err
	}
	cfg.HTTP, cfg.Plain, cfg.IAM, cfg.Account, cfg.Now = p.iam.HTTP(), p.cloud.http, origin(hosts.IAM(false)), account, p.cloud.now
	cfg.Wait = func(ctx context.Context, d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	report, err := verify.Run(ctx, cfg)
	return errors.Join(err, report.Write(ctx, c.Out), report.Print(std.Lines(), c.Out))
}

// notificationsCRN is the form of the CRN of an instance of Event Notifications, with its
// region and GUID.
var notificationsCRN = regexp.MustCompile(`^crn:v1:[a-z]+:[a-z]+:event-notifications:([a-z]+-[a-z]+):a/[0-9a-f]+:([-0-9a-f]+)::$`)

// places sets where things are tried.
func (c verifyCommand) places(cfg *verify.Config, origin func(host string) string) error {
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
	if c.Events != "" {
		in := notificationsCRN.FindStringSubmatch(c.Events)
		if in == nil {
			return errNoEvents
		}
		host := hosts.EventNotifications(in[1], false)
		cfg.Notifications = verify.Notifications{Origin: origin(host), Host: host, Instance: in[2], CRN: c.Events, Source: c.EventSource}
	}
	return nil
}

// pod reads the token of a pod, if there is one.
func (c verifyCommand) pod(ctx context.Context, to *verify.Pod) error {
	if c.PodToken == "" && c.Pod == "" && c.Cluster == "" {
		return nil
	}
	namespace, owner, _ := strings.Cut(c.Pod, "/")
	if c.PodToken == "" || c.Cluster == "" || namespace == "" || owner == "" {
		return errNoPod
	}
	token, err := userfile.Read(ctx, c.PodToken)
	if err != nil {
		return fmt.Errorf("reading the pod's token: %w", err)
	}
	*to = verify.Pod{Type: c.ClusterType, Cluster: c.Cluster, Namespace: namespace, Owner: owner, Token: strings.TrimSpace(string(token))}
	return nil
}
