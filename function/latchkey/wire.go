package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/service"
)

// tokenFile is where Code Engine mounts the compute resource token of an app,
// a job or a function with trusted profiles enabled.
const tokenFile = "/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token"

// parts are the connected parts of the program that more than one command uses.
type parts struct {
	cfg        *config.Config
	cloud      target
	iam        *iam.Client
	codeengine *codeengine.Client
	secrets    func() *secretsmanager.Client // built by its first store
	reconciler *reconcile.Reconciler
	catalog    *catalog.Catalog
	outcomes   *outcome.Sender // nil when the config has no sinks
	builder    *credentialBuilder
	log        *slog.Logger
}

// target is how IBM Cloud, or the emulator, is reached.
type target struct {
	endpoint string // of the emulator; empty on IBM Cloud
	private  bool   // private endpoints
	http     *http.Client
	now      func() time.Time
}

// wire loads the config and connects the parts. Nothing is called yet.
func wire(env environment, log *slog.Logger, file, endpoint string) (*parts, error) {
	cfg, err := load(env, file)
	if err != nil {
		return nil, err
	}
	return connect(env, log, cfg, endpoint)
}

func connect(env environment, log *slog.Logger, cfg *config.Config, endpoint string) (*parts, error) {
	to, err := reach(cmp.Or(endpoint, env("LATCHKEY_ENDPOINT")), cfg.Endpoints == config.Private)
	if err != nil {
		return nil, err
	}
	p := &parts{cfg: cfg, cloud: to, log: log}
	if p.iam, err = login(env, log, cfg, to); err != nil {
		return nil, err
	}
	p.codeengine = codeengine.New(codeengine.Config{Endpoint: to.endpoint, Private: to.private, HTTP: p.iam.HTTP(), Log: log})
	p.secrets = sync.OnceValue(func() *secretsmanager.Client {
		return secretsmanager.New(secretsmanager.Config{Endpoint: to.endpoint, Private: to.private, HTTP: p.iam.HTTP()})
	})
	p.reconciler = &reconcile.Reconciler{
		Identities: p.iam, Keys: p.iam, Exchange: p.iam, Owner: cfg.Owner, Account: p.account, Now: to.now, Log: log,
	}
	p.builder = newCredentialBuilder(env, p)
	p.catalog = catalog.New(catalog.Config{
		Entries: p.builder.entries(), Regions: cfg.Regions, Projects: p.projects, Project: p.codeengine.Project, Marked: p.iam.Ours,
		Tasks: p.tasks(),
	})
	if p.outcomes, err = sinks(env, p); err != nil {
		return nil, err
	}
	return p, nil
}

// account is the account of the config, else that of our own token.
func (p *parts) account(ctx context.Context) (string, error) {
	if p.cfg.Account != "" {
		return p.cfg.Account, nil
	}
	return p.iam.Account(ctx)
}

func (p *parts) projects(ctx context.Context) ([]codeengine.Project, error) {
	return p.codeengine.Projects(ctx, p.cfg.Regions)
}

// tasks lists what the provider left unfinished, where the config has one.
func (p *parts) tasks() func(context.Context) ([]reconcile.Credential, error) {
	if p.cfg.Provider == nil {
		return nil
	}
	return p.provider(nil).Unfinished
}

// provider builds the provider of custom credentials. done receives the outcome
// of a task.
func (p *parts) provider(done func(reconcile.Outcome), tune ...func(*provider.Config)) *provider.Provider {
	c := p.cfg.Provider
	rules := p.builder.rules(provider.Entry, config.Rotation{After: c.Expire, Expire: c.Expire, Overlap: 24 * time.Hour})
	rules.Jitter = 0
	cfg := provider.Config{
		Instances: c.Instances, Rules: rules, OnLeak: c.OnLeak, Paused: p.cfg.Paused, Keys: p.iam, Reconciler: p.reconciler,
		Tasks: func(t secretsmanager.TaskConfig) *secretsmanager.Task { return p.secrets().Task(t) }, Done: done, Log: p.log,
	}
	for _, a := range c.Allow {
		allow := provider.Allow{ServiceIDs: a.ServiceIDs, Groups: a.Groups}
		for _, policy := range a.Policies {
			allow.Policies = append(allow.Policies, reconcile.Policy(policy))
		}
		cfg.Allow = append(cfg.Allow, allow)
	}
	if c.Logs != nil {
		cfg.Provers = append(cfg.Provers, p.builder.logsProver(*c.Logs))
	}
	for _, f := range tune {
		f(&cfg)
	}
	return provider.New(cfg)
}

// service builds the service. work is the life of what goes on after an answer.
func (p *parts) service(work context.Context, env environment, tune ...func(*service.Config)) (*service.Service, error) {
	cfg := service.Config{
		Sweeper: p.reconciler, Catalog: p.catalog, Identity: p.iam, Outcomes: p.outcomes, Now: p.cloud.now, Log: p.log,
		Version: buildVersion(),
		Events:  service.Events{Origins: p.cfg.Events.Origins, Allow: allows(p.cfg.Events.Allow), Rules: rules(p.cfg.Rules)},
	}
	if auth := p.cfg.Events.Auth; auth != (config.Auth{}) {
		bearer, err := readSecret(env, auth.BearerEnv, auth.BearerFile)
		if err != nil {
			return nil, fmt.Errorf("reading events.auth: %w", err)
		}
		cfg.Events.Bearer = bearer
	}
	var err error
	if cfg.Hooks, err = hooks(env, p.cfg.Hooks, p.cloud.now); err != nil {
		return nil, err
	}
	for _, f := range tune {
		f(&cfg)
	}
	return service.New(work, cfg), nil
}

// closeOutcomes waits for outcome events to be delivered. What is left by then
// is dropped, counted and logged.
func (p *parts) closeOutcomes(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	p.outcomes.Close(ctx)
}

// reach builds the client for IBM Cloud's APIs, or for the emulator's.
func reach(endpoint string, private bool) (target, error) {
	to := target{endpoint: strings.TrimSuffix(endpoint, "/"), private: private, now: time.Now}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64 // the default of 2 would close what a sweep opens
	// No API here redirects: one that did would receive our token.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	to.http = &http.Client{Transport: reconcile.GuardWrites(transport), CheckRedirect: stay}
	if to.endpoint == "" {
		return to, nil
	}
	loopback, err := checkEndpoint(to.endpoint)
	if err != nil {
		return to, err
	}
	if loopback {
		to.now = (&emulatedClock{endpoint: to.endpoint, http: &http.Client{Timeout: 2 * time.Second}}).now
	}
	return to, nil
}

// checkEndpoint accepts https anywhere, and plain http on loopback only.
func checkEndpoint(endpoint string) (loopback bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return false, fmt.Errorf("checking LATCHKEY_ENDPOINT %q: not a URL", endpoint)
	}
	host := u.Hostname()
	addr, aerr := netip.ParseAddr(host)
	loopback = host == "localhost" || (aerr == nil && addr.IsLoopback())
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return false, fmt.Errorf("checking LATCHKEY_ENDPOINT %q: plain http is for loopback only", endpoint)
	}
	return loopback, nil
}

// login builds the IAM client with our own identity: the trusted profile of the
// config, else an API key. The key that Secrets Manager gives its provider is
// the last choice.
func login(env environment, log *slog.Logger, cfg *config.Config, to target) (*iam.Client, error) {
	in := iam.Config{URL: "https://iam.cloud.ibm.com", Owner: cfg.Owner, HTTP: to.http, Now: to.now, Log: log}
	switch {
	case to.endpoint != "":
		in.URL = to.endpoint
	case to.private:
		in.URL = "https://private.iam.cloud.ibm.com"
	}
	switch key := cmp.Or(strings.TrimSpace(env("IBMCLOUD_API_KEY")), strings.TrimSpace(env("SM_ACCESS_APIKEY"))); {
	case cfg.Identity.Profile != "":
		in.Profile, in.TokenFile = cfg.Identity.Profile, cmp.Or(env("LATCHKEY_TOKEN_FILE"), tokenFile)
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
