package iam

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// token is an access token with what it says of itself.
type token struct {
	value   secret.Value
	claims  claims
	expires time.Time
	refresh time.Time // at 80 % of its life
}

// claims are read and not verified: TLS to IAM is what we trust.
type claims struct {
	IAMID   string `json:"iam_id"`
	Account struct {
		BSS string `json:"bss"`
	} `json:"account"`
}

func (c claims) account() string { return c.Account.BSS }

// login keeps our own token fresh, and puts it on every request of client.
type login struct {
	cfg    Config
	bare   *http.Client // without our token
	client *http.Client

	lock chan struct{} // held while fetching; a channel, so that waiting heeds the context
	mu   sync.Mutex
	now  token
}

func newLogin(cfg Config) (*login, error) {
	if cfg.APIKey.Empty() == (cfg.Profile == "") {
		return nil, errors.New("setting up our login: give either an API key or a trusted profile")
	}
	l := &login{cfg: cfg, bare: cfg.HTTP, lock: make(chan struct{}, 1)}
	next := cfg.HTTP.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	l.client = &http.Client{Transport: &authorized{login: l, next: next}, Timeout: cfg.HTTP.Timeout, CheckRedirect: cfg.HTTP.CheckRedirect}
	return l, nil
}

// token returns the current token, fetching one when it is due.
func (l *login) token(ctx context.Context) (token, error) {
	if t, ok := l.current(); ok {
		return t, nil
	}
	select {
	case l.lock <- struct{}{}:
		defer func() { <-l.lock }()
	case <-ctx.Done():
		return token{}, fmt.Errorf("waiting for our own token: %w: %w", reconcile.ErrUnavailable, ctx.Err())
	}
	if t, ok := l.current(); ok {
		return t, nil
	}
	form, err := l.grant()
	if err != nil {
		return token{}, err
	}
	t, err := exchange(ctx, l.bare, l.cfg.URL, form, l.cfg.Now)
	var refused *tokenRefusal
	switch {
	case errors.As(err, &refused):
		// Our own credential is not good: only a person can mend that.
		return token{}, fmt.Errorf("logging in as ourselves: %w: %w", reconcile.ErrDenied, err)
	case err != nil:
		return token{}, fmt.Errorf("logging in as ourselves: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = t
	return t, nil
}

func (l *login) current() (token, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, !l.now.value.Empty() && l.cfg.Now().Before(l.now.refresh)
}

// forget drops a token that a service did not take, unless a newer one is
// there already.
func (l *login) forget(value secret.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.value.Equal(value) {
		l.now = token{}
	}
}

// grant is how we log in. The compute resource token is read anew each time:
// the platform replaces it.
func (l *login) grant() (url.Values, error) {
	if !l.cfg.APIKey.Empty() {
		return apiKeyGrant(l.cfg.APIKey), nil
	}
	cr, err := os.ReadFile(l.cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the compute resource token: %w: %w (are trusted profiles enabled for this function, app or job?)", reconcile.ErrDenied, err)
	}
	form := url.Values{
		"grant_type": {"urn:ibm:params:oauth:grant-type:cr-token"},
		"cr_token":   {strings.TrimSpace(string(cr))},
	}
	if strings.HasPrefix(l.cfg.Profile, "Profile-") {
		form.Set("profile_id", l.cfg.Profile)
	} else {
		form.Set("profile_name", l.cfg.Profile)
	}
	return form, nil
}

func apiKeyGrant(v secret.Value) url.Values {
	return url.Values{
		"grant_type":    {"urn:ibm:params:oauth:grant-type:apikey"},
		"response_type": {"cloud_iam"},
		"apikey":        {v.Expose()},
	}
}

// authorized puts our token on requests. A read that is answered 401 is
// repeated once with a new token: a token dies early when its clock was moved
// or its identity was changed.
type authorized struct {
	login *login
	next  http.RoundTripper
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, used, err := a.try(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	a.login.forget(used)
	if req.Method != http.MethodGet {
		return resp, nil
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	resp, _, err = a.try(req)
	return resp, err
}

func (a *authorized) try(req *http.Request) (*http.Response, secret.Value, error) {
	t, err := a.login.token(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, nil, err
	}
	own := req.Clone(req.Context())
	own.Header.Set("Authorization", "Bearer "+t.value.Expose())
	resp, err := a.next.RoundTrip(own)
	return resp, t.value, err
}

// maxAnswer bounds what is read of any answer.
const maxAnswer = 16 << 20

// tokenRefusal is IAM's no to a grant.
type tokenRefusal struct {
	status int
	code   string
}

func (e *tokenRefusal) Error() string {
	return fmt.Sprintf("IAM gives no token: %d %s", e.status, e.code)
}

// exchange posts one grant. The form holds a secret, so nothing of it, and
// nothing of a body that may repeat it, gets into an error.
func exchange(ctx context.Context, client *http.Client, base string, form url.Values, now func() time.Time) (token, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+"/identity/token", strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, fmt.Errorf("asking for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return token{}, fmt.Errorf("asking for a token: %w: %w", reconcile.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return token{}, fmt.Errorf("asking for a token: reading the answer: %w: %w", reconcile.ErrUnavailable, err)
	}
	if resp.StatusCode != http.StatusOK {
		var no struct {
			ErrorCode string `json:"errorCode"`
		}
		_ = json.Unmarshal(body, &no) // a body of another shape has no code
		if (resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized) && no.ErrorCode != "" {
			return token{}, &tokenRefusal{status: resp.StatusCode, code: no.ErrorCode}
		}
		return token{}, fmt.Errorf("asking for a token: %w: status %d", reconcile.ErrUnavailable, resp.StatusCode)
	}
	var yes struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &yes); err != nil || yes.AccessToken == "" {
		return token{}, fmt.Errorf("asking for a token: %w: the answer holds none", reconcile.ErrUnavailable)
	}
	t := token{value: secret.New(yes.AccessToken)}
	life := time.Duration(yes.ExpiresIn) * time.Second
	t.expires = now().Add(life)
	t.refresh = now().Add(life * 4 / 5)
	if t.claims, err = readClaims(yes.AccessToken); err != nil {
		return token{}, err
	}
	return t, nil
}

func readClaims(jwt string) (claims, error) {
	var c claims
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return c, fmt.Errorf("reading a token: %w: it is no JWT", reconcile.ErrUnavailable)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &c) != nil || c.IAMID == "" {
		return c, fmt.Errorf("reading a token: %w: it has no iam_id", reconcile.ErrUnavailable)
	}
	return c, nil
}

// Exchange turns a key's value into a token, as a consumer would. No refusal
// is final: IAM answers the same for a key that it does not know yet.
func (c *Client) Exchange(ctx context.Context, v secret.Value) (reconcile.Bearer, error) {
	t, err := exchange(ctx, c.cfg.HTTP, c.cfg.URL, apiKeyGrant(v), c.cfg.Now)
	var refused *tokenRefusal
	switch {
	case errors.As(err, &refused):
		return reconcile.Bearer{}, fmt.Errorf("%w: %w", reconcile.ErrNotYet, err)
	case err != nil:
		return reconcile.Bearer{}, err
	}
	return reconcile.Bearer{IAMID: t.claims.IAMID, Account: t.claims.account(), Token: t.value}, nil
}
