// Package proof proves what a new key may do, and what it may not. It sends one HTTP
// request with the key's own token, as a consumer would, and compares the status of the
// answer.
//
// A proof follows no redirect, since that would send the token to another server.
// The server may be any, so its words mean nothing here: a status that neither the config
// nor IAM's lag explains is final, even a gateway's 404.
package proof

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Request is what a proof sends. The constructors Objects, Topic, Image, Secrets and Logs
// return those of IBM's services.
type Request struct {
	Method, URL string
	// Body is sent with its ContentType; empty is none.
	Body, ContentType string
	// Account adds the header that names the account.
	Account bool
}

// Config is one proof.
type Config struct {
	// HTTP sends the request. If nil, it is a client with the default transport. Its
	// CheckRedirect is ignored.
	HTTP *http.Client
	// Endpoint, if set, replaces the server's address. The emulator uses it.
	Endpoint string
	// At is the place in the config, such as http[0].
	At      string
	Request Request
	// Expect are the statuses that the answer may have.
	Expect []int
	// Deny: the statuses of Expect are denials. Any success then shows that the key may
	// do what it must not.
	Deny bool
	// RetryOn are further statuses that IAM's lag explains.
	RetryOn []int
	// Wait is how long IAM's lag may explain a failure. Zero is a minute.
	Wait time.Duration
	// Account returns the account of the keys.
	Account func(context.Context) (string, error)
}

// Prover proves a key by one request.
type Prover struct {
	cfg    Config
	api    upstream.API
	client *http.Client
	url    string
}

var (
	_ port.Prover  = (*Prover)(nil)
	_ port.Patient = (*Prover)(nil)
)

// Patience returns how long IAM's lag may explain a failure.
func (p *Prover) Patience() time.Duration { return cmp.Or(p.cfg.Wait, time.Minute) }

// New returns a prover. It sends no request.
func New(cfg Config) (*Prover, error) {
	at, err := url.Parse(cfg.Request.URL)
	if err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil {
		return nil, fmt.Errorf("setting up the proof %s: %q is no https URL", cfg.At, cfg.Request.URL)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	api := upstream.API{Name: at.Hostname(), Redact: true}
	server := upstream.Server{API: api, Host: at.Host, Endpoint: cfg.Endpoint, HTTP: cfg.HTTP}.Service()
	return &Prover{cfg: cfg, api: api, client: server.HTTP, url: server.Base + at.RequestURI()}, nil
}

// Name returns the name of the proof in outcomes: its place in the config.
func (p *Prover) Name() string { return p.cfg.At }

// doing returns the request, and whether it must be denied, for the text of an error.
func (p *Prover) doing() string {
	text := p.cfg.Request.Method + " " + p.cfg.Request.URL
	if p.cfg.Deny {
		text += " (must be denied)"
	}
	return text
}

// Prove sends the request. It returns ErrNotYet after a 401, a 403 or a status of
// RetryOn, which may be IAM's lag.
func (p *Prover) Prove(ctx context.Context, proof port.Proof) error {
	doing := p.doing()
	req, err := http.NewRequestWithContext(ctx, p.cfg.Request.Method, p.url, strings.NewReader(p.cfg.Request.Body))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if p.cfg.Request.Body != "" {
		req.Header.Set("Content-Type", p.cfg.Request.ContentType)
	}
	if p.cfg.Request.Account {
		account, err := p.cfg.Account(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		req.Header.Set("Account", account)
	}
	req.Header.Set("Authorization", "Bearer "+proof.Token.Expose())
	resp, err := p.client.Do(req)
	if err != nil {
		return upstream.NoAnswer(ctx, doing, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // the transport has bounded it
	if err != nil {
		return upstream.NoAnswer(ctx, doing, err)
	}
	meaning := p.meaning(resp.StatusCode)
	if meaning == nil {
		return nil
	}
	wanted := fmt.Sprintf("want status %s", strings.Trim(fmt.Sprint(p.cfg.Expect), "[]"))
	if p.cfg.Deny && resp.StatusCode < 300 {
		wanted = "the key may do what it must not: " + wanted
	}
	return p.api.Fault(ctx, doing+": "+wanted, "", upstream.Answer{Status: resp.StatusCode, Message: string(body), Meaning: meaning}, proof.Token)
}

// meaning returns what a status proves, or nil if it is the expected one.
func (p *Prover) meaning(status int) error {
	switch {
	case slices.Contains(p.cfg.Expect, status):
		return nil
	case slices.Contains(p.cfg.RetryOn, status), status == http.StatusUnauthorized, status == http.StatusForbidden:
		return port.ErrNotYet
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return port.ErrUnavailable
	}
	return port.ErrRefused
}
