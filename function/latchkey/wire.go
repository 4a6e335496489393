package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// tokenFile is where Code Engine mounts the compute resource token of an app,
// a job or a function with trusted profiles enabled.
const tokenFile = "/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token"

// desk builds the program from its config, up to where requests are taken.
// work is the life of everything that goes on behind an answer.
func (p *process) desk(work context.Context, file string) (*desk, error) {
	cfg, err := p.load(file)
	if err != nil {
		return nil, err
	}
	h, err := p.wire(cfg)
	if err != nil {
		return nil, err
	}
	bearer, err := p.bearer(cfg.Events.Auth)
	if err != nil {
		return nil, err
	}
	hooks, err := p.hooks(cfg, h.now)
	if err != nil {
		return nil, err
	}
	d := newDesk(work, h, bearer, hooks, p.log)
	if d.reporter, err = p.reporter(h); err != nil {
		return nil, err
	}
	return d, nil
}

// house is the program with its parts connected.
type house struct {
	cfg        *config.Config
	iam        *iam.Client
	codeengine *codeengine.Client
	secrets    func() *secretsmanager.Client // built by the first store
	reconciler *reconcile.Reconciler
	http       *http.Client
	endpoint   string // of the emulator; empty on IBM Cloud
	now        func() time.Time
	abroad     abroad
}

// wire builds the program from its config. Nothing is called yet.
func (p *process) wire(cfg *config.Config) (*house, error) {
	endpoint := cmp.Or(p.endpoint, p.env("LATCHKEY_ENDPOINT"))
	h := &house{cfg: cfg, endpoint: strings.TrimSuffix(endpoint, "/"), now: time.Now}
	h.abroad = abroad{env: p.env, log: p.log}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64 // the default of 3 would close what a sweep opens
	// No API here redirects: one that did would be given our token.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.http = &http.Client{Transport: punctual{transport}, CheckRedirect: stay}
	if h.endpoint != "" {
		loopback, err := checkEndpoint(h.endpoint)
		if err != nil {
			return nil, err
		}
		if loopback {
			h.now = (&emulatedClock{endpoint: h.endpoint, http: &http.Client{Timeout: 2 * time.Second}}).now
		}
	}

	login := iam.Config{URL: h.iamURL(), Owner: cfg.Owner, HTTP: h.http, Now: h.now, Log: p.log}
	// What Secrets Manager gives its provider is the last choice.
	switch key := cmp.Or(p.env("IBMCLOUD_API_KEY"), p.env("SM_ACCESS_APIKEY")); {
	case cfg.Identity.Profile != "":
		login.Profile, login.TokenFile = cfg.Identity.Profile, tokenFile
		if other := p.env("LATCHKEY_TOKEN_FILE"); other != "" {
			login.TokenFile = other
		}
	case key != "":
		login.APIKey = secret.New(key)
		if h.endpoint == "" {
			p.log.Warn("logging in with a stored API key: a trusted profile needs none", "variable", "IBMCLOUD_API_KEY")
		}
	default:
		return nil, errors.New("finding an identity: the config names no identity.profile and IBMCLOUD_API_KEY is not set")
	}
	client, err := iam.New(login)
	if err != nil {
		return nil, fmt.Errorf("setting up IAM: %w", err)
	}
	h.iam = client
	h.codeengine = codeengine.New(codeengine.Config{
		Endpoint: h.endpoint, Private: cfg.Endpoints == config.Private, HTTP: client.HTTP(), Log: p.log,
	})
	h.secrets = sync.OnceValue(func() *secretsmanager.Client {
		return secretsmanager.New(secretsmanager.Config{Endpoint: h.endpoint, Private: cfg.Endpoints == config.Private, HTTP: client.HTTP()})
	})
	h.reconciler = &reconcile.Reconciler{
		Identities: client, Keys: client, Exchange: client, Owner: cfg.Owner,
		Account: h.account, Now: h.now, Log: p.log,
	}
	return h, nil
}

func (h *house) account(ctx context.Context) (string, error) {
	if h.cfg.Account != "" {
		return h.cfg.Account, nil
	}
	return h.iam.Account(ctx)
}

// self gives our own IAM ID to what has to tell our own work from others'. It
// is empty when IAM does not say: then the work is looked at, which changes
// nothing.
func (h *house) self(ctx context.Context) func() string {
	return func() string {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		id, err := h.iam.Self(ctx)
		if err != nil {
			return ""
		}
		return id
	}
}

func (h *house) iamURL() string {
	switch {
	case h.endpoint != "":
		return h.endpoint
	case h.cfg.Endpoints == config.Private:
		return "https://private.iam.cloud.ibm.com"
	}
	return "https://iam.cloud.ibm.com"
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

// emulatedClock follows the emulator's clock, which can be moved: this process'
// clock has to move with it. IBM Cloud's clock cannot be moved, so it is never
// used there.
type emulatedClock struct {
	endpoint string
	http     *http.Client
	mu       sync.Mutex
	offset   time.Duration
}

func (c *emulatedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if there, err := c.ask(); err == nil { // else the last answer still holds
		c.offset = time.Until(there).Round(time.Millisecond)
	}
	return time.Now().Add(c.offset)
}

func (c *emulatedClock) ask() (time.Time, error) {
	resp, err := c.http.Get(c.endpoint + "/emulator/clock") //nolint:noctx // the client has a timeout
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for the emulator's clock: %w", err)
	}
	defer resp.Body.Close()
	var clock struct{ Now time.Time }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&clock); err != nil || clock.Now.IsZero() {
		return time.Time{}, fmt.Errorf("reading the emulator's clock: %w", err)
	}
	return clock.Now, nil
}

// bearer is the token that senders of events must show; empty when the config
// authenticates nobody.
func (p *process) bearer(auth config.Auth) (secret.Value, error) {
	switch {
	case auth.BearerEnv != "":
		v := p.env(auth.BearerEnv)
		if v == "" {
			return nil, fmt.Errorf("reading events.auth.bearerEnv: %s is not set", auth.BearerEnv)
		}
		return secret.New(v), nil
	case auth.BearerFile != "":
		data, err := os.ReadFile(auth.BearerFile)
		if err != nil {
			return nil, fmt.Errorf("reading events.auth.bearerFile: %w", err)
		}
		v := strings.TrimSpace(string(data))
		if v == "" {
			return nil, fmt.Errorf("reading events.auth.bearerFile: %s is empty", auth.BearerFile)
		}
		return secret.New(v), nil
	}
	return nil, nil
}

// credential builds the adapters of one expanded entry.
func (h *house) credential(c config.Credential) reconcile.Credential {
	rules := h.rules(c.Name, c.Rotation)
	out := reconcile.Credential{
		Name: c.Name, Entry: c.Entry, With: c.With, ServiceIDName: c.ServiceIDName, Description: c.Description,
		OnLeak: c.Rotation.OnLeak, Rules: rules, Paused: c.Paused, Adopt: c.Overwrite, Optional: map[string]bool{}, ReadBack: map[string]bool{},
		Given: c.ServiceID, Groups: c.AccessGroups, AdoptKey: c.AdoptKey, Former: c.Formerly,
	}
	for _, p := range c.Policies {
		out.Policies = append(out.Policies, reconcile.Policy(p))
	}
	for _, s := range c.Stores {
		var st reconcile.Store
		switch {
		case s.CodeEngine != nil:
			ce := h.codeengine.Store(codeengine.StoreConfig{
				Project: s.CodeEngine.Project, Region: s.CodeEngine.Region, Secret: s.CodeEngine.Secret, Entry: s.CodeEngine.Entry,
				Owner: h.cfg.Owner, Restart: codeengine.Restart{All: s.Restart.All, Names: s.Restart.Names},
			})
			if consumers := ce.Consumers(); consumers != nil {
				out.Consumers = append(out.Consumers, consumers)
			}
			st = ce
		case s.SecretsManager != nil:
			sm := s.SecretsManager
			st = h.secrets().Store(secretsmanager.StoreConfig{
				Instance: sm.Instance, Region: sm.Region, Group: sm.Group, Secret: sm.Name, Type: sm.Type, Entry: sm.Entry,
				Owner: h.cfg.Owner, Expire: c.Rotation.Expire, Lock: sm.Lock, Credential: c.Name,
			})
		case s.File != nil:
			st = file.New(s.File.Path, h.cfg.Owner)
		case s.Kubernetes != nil:
			in := h.abroad.kubernetes(*s.Kubernetes, s.Restart, h.cfg.Owner)
			if consumers := in.Consumers(); consumers != nil {
				out.Consumers = append(out.Consumers, consumers)
			}
			st = in
		case s.Vault != nil:
			st = h.abroad.vault(*s.Vault, h.cfg.Owner)
		}
		out.Stores = append(out.Stores, st)
		out.Optional[st.Name()] = !s.Required
		out.ReadBack[st.Name()] = s.ReadBack
	}
	if c.Prove.Logs != nil {
		out.Provers = append(out.Provers, logs.New(logs.Config{
			HTTP: h.http, Endpoint: h.endpoint, Instance: c.Prove.Logs.Instance, Region: c.Prove.Logs.Region,
			Private: h.cfg.Endpoints == config.Private, Now: h.now,
		}))
	}
	return out
}

// rules are the durations that a config sets, beside those that it does not.
func (h *house) rules(credential string, r config.Rotation) rotation.Rules {
	rules := rotation.Standard()
	rules.After, rules.Expire, rules.Overlap = r.After, r.Expire, r.Overlap
	rules.Jitter = rotation.Jitter(credential, r.After)
	rules.SweepEvery = h.cfg.SweepEvery
	return rules
}

// listen opens the port that the platform names.
func (p *process) listen(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		port := p.env("PORT")
		if port == "" {
			port = "8080"
		}
		address = ":" + port
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}
