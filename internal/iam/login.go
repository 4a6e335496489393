package iam

import (
	"context"
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

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// ErrAccount reports that the login is for another account than the config's.
var ErrAccount = errors.New("checking the account")

// token is an access token with its claims.
type token struct {
	value  secret.Value
	claims claims
	// refresh is at 80 % of the token's life, expires shortly before its end.
	refresh, expires time.Time
}

// login caches our own token.
type login struct {
	cfg    Config
	tokens tokenServer

	mu     sync.Mutex // guards what follows
	cached token
	flight *flight            // the exchange in progress
	retry  time.Time          // after a failure, no early refresh before this
	first  func(iamID string) // called after the first login, then nil
}

// flight is an exchange that several callers wait for.
type flight struct {
	done chan struct{} // closed when the rest is set
	t    token
	err  error
}

const (
	loginTimeout = 30 * time.Second // of an exchange
	expiryMargin = 10 * time.Second // time for a request to arrive
	retryPause   = 30 * time.Second
)

// token returns our token. After 80 % of its life it fetches the next one in the
// background. Without a valid token, all callers wait for the same exchange,
// each until its context ends.
func (l *login) token(ctx context.Context) (token, error) {
	now := l.cfg.Now()
	l.mu.Lock()
	cached := l.cached
	works := !cached.value.Empty() && now.Before(cached.expires)
	if works && (now.Before(cached.refresh) || now.Before(l.retry)) {
		l.mu.Unlock()
		return cached, nil
	}
	f := l.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		l.flight = f
		go l.fly(f)
	}
	l.mu.Unlock()
	if works {
		return cached, nil
	}
	select {
	case <-f.done:
		return f.t, f.err
	case <-ctx.Done():
		return token{}, &upstream.LoginError{Meaning: port.ErrUnavailable, Cause: ctx.Err()}
	}
}

func (l *login) fly(f *flight) {
	f.t, f.err = l.fetch()
	if f.err != nil {
		l.cfg.Log.Warn("logging in to IAM failed", "error", f.err.Error())
	}
	now := l.cfg.Now()
	var first func(string)
	l.mu.Lock()
	l.flight = nil
	if f.err == nil {
		l.cached = f.t
		first, l.first = l.first, nil
	} else {
		l.retry = now.Add(retryPause)
	}
	l.mu.Unlock()
	close(f.done)
	if first != nil {
		first(f.t.claims.IAMID)
	}
}

// OnLogin sets what is called with our IAM ID after the first login that succeeds. Nothing
// waits for it. It may use the client.
func (c *Client) OnLogin(f func(iamID string)) {
	c.login.mu.Lock()
	defer c.login.mu.Unlock()
	c.login.first = f
}

// fetch exchanges our key or compute resource token for an access token. Several callers
// wait for it, so it ends with the context of none of them.
func (l *login) fetch() (token, error) {
	asked := l.cfg.Now()
	answer, err := l.request()
	if err != nil {
		return token{}, upstream.SortLogin(err)
	}
	if answer.AccessToken == "" || answer.ExpiresIn <= 0 { // a token without a lifetime would be fetched for each call
		return token{}, &upstream.LoginError{Meaning: port.ErrUnavailable, Cause: errors.New("the answer has no token with its lifetime")}
	}
	t := token{value: secret.New(answer.AccessToken)}
	if t.claims, err = readClaims(answer.AccessToken); err != nil {
		return token{}, &upstream.LoginError{Meaning: port.ErrUnavailable, Cause: err}
	}
	if want, got := l.cfg.Account, t.claims.Account.BSS; want != "" && got != want {
		return token{}, &upstream.LoginError{Meaning: port.ErrDenied,
			Cause: fmt.Errorf("%w: the login is for account %s, and the config names account %s", ErrAccount, got, want)}
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	t.refresh, t.expires = asked.Add(life*4/5), asked.Add(life-expiryMargin)
	return t, nil
}

// issued is IAM's answer with a token.
type issued struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // in seconds
}

// request sends the request for a token.
func (l *login) request() (answer issued, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	defer cancel()
	form, err := l.form(ctx)
	if err != nil {
		return answer, err
	}
	status, body, err := l.tokens.post(ctx, form)
	if err != nil {
		return answer, err
	}
	if status < 200 || status > 299 {
		// Only the status and the code are kept: the words may quote what was sent.
		no := &upstream.LoginError{Meaning: port.ErrUnavailable, Cause: upstream.NoToken(status, errorCode(body))}
		switch status {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			no.Meaning = port.ErrDenied // our key or profile is not valid
		}
		return answer, no
	}
	if json.Unmarshal(body, &answer) != nil {
		return issued{}, nil // an answer of another form has no token
	}
	return answer, nil
}

// form returns what to log in with. It reads the compute resource token each time, since
// the platform replaces it.
func (l *login) form(ctx context.Context) (url.Values, error) {
	if !l.cfg.APIKey.Empty() {
		return formOfKey(l.cfg.APIKey), nil
	}
	if _, err := os.Stat(l.cfg.TokenFile); err != nil {
		return nil, &upstream.LoginError{Meaning: port.ErrDenied,
			Cause: fmt.Errorf("finding the compute resource token: %w (are trusted profiles enabled for this function, app or job?)", err)}
	}
	text, err := userfile.Read(ctx, l.cfg.TokenFile)
	if err == nil && len(text) == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, &upstream.LoginError{Meaning: port.ErrUnavailable, Cause: fmt.Errorf("reading the compute resource token: %w", err)}
	}
	profile := "profile_name"
	if strings.HasPrefix(l.cfg.Profile, "Profile-") {
		profile = "profile_id"
	}
	return url.Values{
		"grant_type": {"urn:ibm:params:oauth:grant-type:cr-token"},
		"cr_token":   {string(text)},
		profile:      {l.cfg.Profile},
	}, nil
}

// Bearer returns who we are logged in as, with our access token.
func (c *Client) Bearer(ctx context.Context) (port.Bearer, error) {
	t, err := c.login.token(ctx)
	return port.Bearer{IAMID: t.claims.IAMID, Account: t.claims.Account.BSS, Token: t.value}, err
}

// Forget drops our token. The next call fetches a new one.
func (l *login) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cached = token{}
}

// reject drops a token that a service rejected, unless it was replaced already.
func (l *login) reject(value secret.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cached.value.Equal(value) {
		l.cached = token{}
	}
}

const bearerPrefix = "Bearer "

// authorized is a transport that adds our token to requests.
type authorized struct {
	login *login
	next  http.RoundTripper
}

// RoundTrip adds our token to a request without one. It drops a token that gets
// a 401, as happens after a clock change or a change of our identity. It then
// repeats a read once; retrying a write is left to the caller.
func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	used, ok := strings.CutPrefix(req.Header.Get("Authorization"), bearerPrefix)
	if !ok {
		own, err := a.authorize(req)
		if err != nil {
			return nil, err
		}
		req = own
		used = strings.TrimPrefix(req.Header.Get("Authorization"), bearerPrefix)
	}
	resp, err := a.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	a.login.reject(secret.New(used))
	a.login.cfg.Log.Info("a service rejected our token", "host", req.URL.Host)
	if req.Method != http.MethodGet {
		return resp, nil
	}
	again, err := a.authorize(req)
	if err != nil {
		return resp, nil //nolint:nilerr // the caller gets the 401
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so the connection is reused
	_ = resp.Body.Close()
	return a.next.RoundTrip(again)
}

func (a *authorized) authorize(req *http.Request) (*http.Request, error) {
	t, err := a.login.token(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a transport closes it on errors too
		}
		return nil, err
	}
	own := req.Clone(req.Context())
	own.Header.Set("Authorization", bearerPrefix+t.value.Expose())
	return own, nil
}
