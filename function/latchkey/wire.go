package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/collector"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/latest"
	"github.com/latchkey-io/latchkey/internal/metrics"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/service"
	"github.com/latchkey-io/latchkey/internal/sweep"
	"github.com/latchkey-io/latchkey/internal/trace"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// resourceTokenFile is where Code Engine mounts the compute resource token of an app,
// a job or a function with trusted profiles enabled.
const resourceTokenFile = "/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token"

// assembly is what more than one command uses, connected.
type assembly struct {
	cfg        *config.Config
	cloud      target
	iam        *iam.Client
	codeengine *codeengine.Client
	secrets    func() *secretsmanager.Client // built by its first store
	reconciler *reconcile.Reconciler
	planner    *sweep.Sweeper // looks, and changes nothing
	foresight  *sweep.Sweeper // as planner, and leaves to later sweeps what a sweep leaves
	lists      *iam.Lists
	listed     sweep.Planner // looks at the lists only
	pace       *pace.Pacer
	sweeper    *sweep.Sweeper
	catalog    *catalog.Catalog
	outcomes   *outcome.Sender // nil when the config has no sinks
	latest     *latest.Outcomes
	logins     *service.Logins
	metrics    *metrics.Metrics
	tracer     *trace.Tracer        // nil unless a variable names a collector
	numbers    *collector.Collector // takes the metrics of jobs and functions; nil like tracer
	builder    *credentialBuilder
	progress   func(all int) (step func(result.Outcome), end func()) // of a command by hand
	reads      *upstream.Reads                                       // shared with another assembly, or nil
	log        *slog.Logger
}

// wire loads the config and connects the parts. Nothing is called yet.
func wire(ctx context.Context, env environment, log *slog.Logger, file, endpoint string, tune ...func(*assembly)) (*assembly, error) {
	cfg, err := load(ctx, env, file)
	if err != nil {
		return nil, err
	}
	return connect(env, log, cfg, endpoint, tune...)
}

// wireService is wire for a process that takes events. The error names all that is
// missing: the login and every secret.
func wireService(ctx context.Context, env environment, log *slog.Logger, file, endpoint string) (*assembly, error) {
	cfg, err := load(ctx, env, file)
	if err != nil {
		return nil, err
	}
	p, err := connect(env, log, cfg, endpoint)
	if err := errors.Join(err, checkSecrets(ctx, env, cfg)); err != nil {
		return nil, err
	}
	p.warnOfOwnLogin()
	return p, nil
}

// wireSweep wires a process that sweeps or does a task. It warns of our own login in the
// log, since no person is there to read an answer.
func wireSweep(ctx context.Context, env environment, log *slog.Logger, file string) (*assembly, error) {
	p, err := wire(ctx, env, log, file, "")
	if err == nil {
		p.warnOfOwnLogin()
	}
	return p, err
}

func connect(env environment, log *slog.Logger, cfg *config.Config, endpoint string, tune ...func(*assembly)) (*assembly, error) {
	pacer := pace.New(log)
	p := &assembly{cfg: cfg, pace: pacer, progress: sweep.Silent, latest: &latest.Outcomes{}, logins: service.NewLogins(), log: log}
	for _, f := range tune {
		f(p)
	}
	sent := func(c upstream.Call) { p.metrics.Called(c.Service, c.Status, c.Took) }
	to, err := reach(cmp.Or(endpoint, env("LATCHKEY_ENDPOINT")), cfg.Endpoints == config.Private, pacer, sent, p.reads)
	if err != nil {
		return nil, err
	}
	p.cloud = to
	p.metrics = p.newMetrics()
	if p.iam, err = login(env, log, cfg, to); err != nil {
		return nil, err
	}
	p.codeengine = codeengine.New(codeengine.Config{Endpoint: to.endpoint, Private: to.private, HTTP: p.iam.HTTP(), Account: p.iam.Account, Log: log})
	p.secrets = sync.OnceValue(func() *secretsmanager.Client {
		return secretsmanager.New(secretsmanager.Config{Endpoint: to.endpoint, Private: to.private, HTTP: p.iam.HTTP(), Account: p.iam.Account})
	})
	p.reconciler = &reconcile.Reconciler{
		Identities: p.iam, Keys: p.iam, Profiles: p.iam, Exchange: p.iam, Owner: cfg.Owner, Account: p.iam.Account, Self: p.iam.Self, Now: to.now, Log: log,
		ForcedPerHour: cfg.ForcedPerHour, Ran: p.metrics.Ran, UsedBy: p.logins.By,
	}
	progress := func(all int) (step func(result.Outcome), end func()) {
		to.ask() // a run begins
		return p.progress(all)
	}
	p.lists = p.iam.Lists()
	p.listed = sweep.Planner{Reconciler: &reconcile.Reconciler{
		Identities: p.lists, Keys: p.lists, Exchange: p.iam, Owner: cfg.Owner, Account: p.iam.Account, Self: p.iam.Self, Now: to.now, Log: log,
	}}
	p.sweeper = sweep.New(sweep.Config{
		Reconciler: p.reconciler, Lists: p.lists.Read, Listed: p.listed, Pace: pacer, Now: to.now, Every: cfg.SweepEvery, Log: log, Progress: progress,
	})
	planning := sweep.Config{Reconciler: sweep.Planner{Reconciler: &reconcile.Reconciler{
		Identities: p.iam, Keys: p.iam, Profiles: p.iam, Exchange: p.iam, Owner: cfg.Owner, Account: p.iam.Account, Self: p.iam.Self, Memberships: true, Now: to.now, Log: log,
	}}, Pace: pacer, Now: to.now, Progress: progress}
	p.planner = sweep.New(planning)
	planning.Every = cfg.SweepEvery
	p.foresight = sweep.New(planning)
	p.builder = &credentialBuilder{
		cfg: cfg, cloud: to, codeengine: p.codeengine, secrets: p.secrets, account: p.iam.Account, stores: &storeClients{env: env, pace: pacer, sent: sent, reads: p.reads, log: log},
	}
	p.catalog = catalog.New(catalog.Config{
		Entries: p.builder.catalogEntries(), Regions: cfg.Regions, Projects: p.projects, Project: p.codeengine.Project, Marked: p.iam.MarkedServiceIDs,
		Profiles: p.iam.MarkedProfiles, Known: p.latest.Names, Tasks: p.tasks(),
	})
	return p, nil
}

// sends builds the sinks of outcome events: plan, status and doctor send none, and
// need no token of a sink.
func (p *assembly) sends(ctx context.Context, env environment) (err error) {
	p.outcomes, err = newSinks(ctx, env, p.cfg, p.cloud, p.iam.HTTP(), p.log)
	return err
}

func (p *assembly) projects(ctx context.Context) ([]codeengine.Project, error) {
	return p.codeengine.Projects(ctx, p.cfg.Regions)
}

// tasks lists what the provider left unfinished, where the config has one.
func (p *assembly) tasks() func(context.Context) ([]port.Credential, error) {
	if p.cfg.Provider == nil {
		return nil
	}
	return p.newProvider(nil).Unfinished
}

// newProvider builds the provider of custom credentials. done receives the outcome
// of a task.
func (p *assembly) newProvider(done func(result.Outcome), tune ...func(*provider.Config)) *provider.Provider {
	c := p.cfg.Provider
	rules := p.builder.rotationRules(provider.Entry, config.Rotation{After: c.Expire, Expire: c.Expire, Overlap: 24 * time.Hour})
	rules.Jitter = 0
	cfg := provider.Config{
		Instances: c.Instances, Rules: rules, OnLeak: c.OnLeak, Paused: p.cfg.Paused, Keys: p.iam, Reconciler: p.reconciler,
		Tasks: func(t secretsmanager.TaskConfig) *secretsmanager.Task { return p.secrets().Task(t) }, Done: done, Log: p.log,
	}
	for _, a := range c.Allow {
		cfg.Allow = append(cfg.Allow, provider.Allow(a))
	}
	if c.Logs != nil {
		cfg.Provers = append(cfg.Provers, p.builder.logsProver(*c.Logs))
	}
	for _, f := range tune {
		f(&cfg)
	}
	return provider.New(cfg)
}

// newService builds the service. ctx is that of the process, and work the context of
// everything that continues after an answer.
func (p *assembly) newService(ctx, work context.Context, env environment, tune ...func(*service.Config)) (*service.Service, error) {
	if err := p.sends(ctx, env); err != nil {
		return nil, err
	}
	if err := p.collectors(env); err != nil {
		return nil, err
	}
	cfg := service.Config{
		Sweeper: p.sweeper, Pace: p.pace, Catalog: p.catalog, Identity: p.iam, Outcomes: p.outcomes, Now: p.cloud.ask, Log: p.log,
		Version: buildVersion(), Answered: p.metrics.Answered, Swept: p.metrics.Swept, Logins: p.logins,
		Events: service.Events{Origins: p.cfg.Events.Origins, Jobs: allows(p.cfg.Jobs.Allow), Rules: newRuleset(p.cfg.Rules)},
	}
	var err error
	if cfg.Events.Callers, err = newCallers(ctx, env, p.cfg.Events.Callers); err != nil {
		return nil, err
	}
	if cfg.Hooks, err = newHooks(ctx, env, p.cfg.Hooks, p.cloud.ask); err != nil {
		return nil, err
	}
	for _, f := range tune {
		f(&cfg)
	}
	return service.New(work, cfg), nil
}

// sweep reconciles credentials and sends their outcomes to the sinks. unknown is
// what kept others from being listed.
func (p *assembly) sweep(ctx context.Context, credentials []port.Credential, unknown error, ask reconcile.Request, cause result.Cause) result.Sweep {
	cause = cause.Clean()
	ask.Cause = cause.String()
	begun := time.Now()
	swept := p.sweeper.Sweep(ctx, credentials, ask)
	swept.Unknown = errors.Join(unknown, swept.Unknown)
	swept.Log(p.log, p.cloud.now(), time.Since(begun))
	for i := range swept.Outcomes {
		swept.Outcomes[i].Cause = &cause
	}
	p.outcomes.Send(swept.Outcomes...)
	return swept
}

// closeOutcomes waits for outcome events to be delivered. What is left by then
// is dropped, counted and logged.
func (p *assembly) closeOutcomes(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	p.outcomes.Close(ctx)
	p.tracer.Flush(ctx)
}

// login builds the IAM client with our own identity: the trusted profile of the
// config, else an API key. The key that Secrets Manager gives its provider is
// the last choice.
func login(env environment, log *slog.Logger, cfg *config.Config, to target) (*iam.Client, error) {
	in := iam.Config{URL: cmp.Or(to.endpoint, "https://"+hosts.IAM(to.private)), Owner: cfg.Owner, Account: cfg.Account, Formerly: cfg.Identity.Formerly, HTTP: to.http, Now: to.now, Log: log}
	switch key := cmp.Or(strings.TrimSpace(env("IBMCLOUD_API_KEY")), strings.TrimSpace(env("SM_ACCESS_APIKEY"))); {
	case cfg.Identity.Profile != "":
		in.Profile, in.TokenFile = cfg.Identity.Profile, cmp.Or(env("LATCHKEY_TOKEN_FILE"), resourceTokenFile)
	case key != "":
		in.APIKey = secret.New(key)
		if to.endpoint == "" {
			log.Warn("logging in with a stored API key: a trusted profile needs none", "variable", "IBMCLOUD_API_KEY")
		}
	default:
		return nil, errors.New("finding an identity: the config has no identity.profile and IBMCLOUD_API_KEY is not set")
	}
	client, err := iam.New(in)
	if err != nil {
		return nil, fmt.Errorf("setting up IAM: %w", err)
	}
	return client, nil
}

// look observes and decides, and changes nothing. A person waits for it, so its calls
// are not those of looks.
func (p *assembly) look(ctx context.Context, credentials []port.Credential, ask reconcile.Request) result.Sweep {
	return p.planner.Sweep(p.pace.With(ctx, pace.Demand), credentials, ask)
}

// foresee is look, and leaves to later sweeps what the first sweep of a new process leaves.
func (p *assembly) foresee(ctx context.Context, credentials []port.Credential, ask reconcile.Request) result.Sweep {
	return p.foresight.Sweep(p.pace.With(ctx, pace.Demand), credentials, ask)
}

// newMetrics builds the numbers of this process.
func (p *assembly) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Version: cmp.Or(version, "(devel)"), Commit: commit, Owner: p.cfg.Owner, ConfigHash: p.cfg.Hash, SweepEvery: p.cfg.SweepEvery,
		Latest: p.latest, Now: p.cloud.now, Sinks: func() (sent, dropped map[string]int) { return p.outcomes.Sent(), p.outcomes.Dropped() },
	})
}

// collectors builds what sends spans and metrics to the collectors that variables name. The
// client is one of its own, so that nothing of this is paced or traced.
func (p *assembly) collectors(env environment) error {
	client := &http.Client{Transport: upstream.Bound(nil), CheckRedirect: upstream.NoRedirect}
	of := func(signal collector.Signal) (*collector.Collector, error) {
		return collector.New(env, signal, cmp.Or(version, "(devel)"), client)
	}
	spans, err := of(collector.Traces)
	if err != nil {
		return err
	}
	p.tracer = trace.New(spans, p.log)
	p.numbers, err = of(collector.Metrics)
	return err
}
