package vault

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// session is a connection with a token and the token's lifetime.
type session struct {
	*conn
	renewable bool
	// renew is the middle of the lifetime, expires is its end. Both are zero for
	// a token that does not expire or whose expiry is unknown.
	renew, expires time.Time
}

// call calls do with a token. If the vault rejects the call because the token is
// no longer valid, call repeats it once with a new token. A rejected call has
// changed nothing.
func (c *Client) call(ctx context.Context, doing string, do func(*conn) error) error {
	s, err := c.session(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err = do(s.conn)
	if !answered(err, http.StatusForbidden) || c.valid(ctx, s) {
		return err
	}
	again, lerr := c.session(ctx, s)
	if lerr != nil {
		return fmt.Errorf("%s: %w", doing, lerr)
	}
	if again.token.Equal(s.token) {
		return fmt.Errorf("%s: %w: the vault rejected the token%s", doing, port.ErrDenied, s.ended(c.cfg.Now()))
	}
	return do(again.conn)
}

// ended says why a token that the config names is no longer valid, if that is
// known.
func (s *session) ended(now time.Time) string {
	switch {
	case s.expires.IsZero() || now.Before(s.expires):
		return ""
	case s.renewable:
		return ", which has reached its maximum lifetime: replace it"
	}
	return ", which has expired and is not renewable: replace it, or use one that is renewable or periodic"
}

// valid reports whether the token is valid. Every token may look itself up.
func (c *Client) valid(ctx context.Context, s *session) bool {
	_, err := s.send(ctx, http.MethodGet, "auth/token/lookup-self", nil)
	return !answered(err, http.StatusForbidden)
}

// session returns a session that has not expired and is not the rejected one.
func (c *Client) session(ctx context.Context, rejected *session) (*session, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("logging in to the vault: %w: %w", port.ErrUnavailable, ctx.Err())
	}
	now := c.cfg.Now()
	if s := c.current; s != nil && s != rejected {
		if s.renew.IsZero() || now.Before(s.renew) || c.renewed(ctx, s) {
			return s, nil
		}
		if now.Before(s.expires) { // it can't be renewed, but is still valid
			return s, nil
		}
	}
	c.current = nil
	s, err := c.login(ctx)
	if err != nil {
		return nil, err
	}
	c.current = s
	return s, nil
}

// renewed renews the token and reports whether that succeeded.
func (c *Client) renewed(ctx context.Context, s *session) bool {
	if !s.renewable {
		return false
	}
	got, err := s.send(ctx, http.MethodPut, "auth/token/renew-self", map[string]any{})
	if err != nil || got.Auth == nil {
		c.cfg.Log.Debug("renewing the token failed; logging in again", "vault", c.cfg.Address)
		return false
	}
	s.setLifetime(c.cfg.Now(), got.Auth)
	return true
}

// static returns a session with the configured token. It looks up the token's
// lifetime, so that the token is renewed in time. Without an answer the lifetime
// is unknown, as it is for a token whose policy does not allow the look-up.
func (c *Client) static(ctx context.Context, token secret.Value) (*session, error) {
	v, err := c.open(token)
	if err != nil {
		return nil, err
	}
	s := &session{conn: v}
	began := c.cfg.Now()
	got, err := v.send(ctx, http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil {
		c.cfg.Log.Debug("looking up the lifetime of the token failed", "vault", c.cfg.Address)
		return s, nil //nolint:nilerr // the call that needs the token reports what is wrong with it
	}
	left, _ := integer(got.Data["ttl"]) // 0 if the token does not expire
	renewable, _ := got.Data["renewable"].(bool)
	s.setLifetime(began, &login{LeaseDuration: left, Renewable: renewable})
	return s, nil
}

// setLifetime sets the lifetime that the vault answered with.
func (s *session) setLifetime(from time.Time, auth *login) {
	s.renewable, s.renew, s.expires = auth.Renewable, time.Time{}, time.Time{}
	if life := time.Duration(auth.LeaseDuration) * time.Second; life > 0 {
		s.renew, s.expires = from.Add(life/2), from.Add(life)
	}
}

// login returns a session with a new token, or with the configured one.
func (c *Client) login(ctx context.Context) (*session, error) {
	const doing = "logging in to the vault"
	a := c.cfg.Auth
	if a.Token == nil && a.AppRole == nil && a.JWT == nil {
		return nil, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, errNoLogin)
	}
	source := a.Token
	switch {
	case a.AppRole != nil:
		source = a.AppRole.SecretID
	case a.JWT != nil:
		source = a.JWT.Token
	}
	proof, err := source(ctx)
	if err != nil {
		meaning := port.ErrRefused
		if ctx.Err() != nil {
			meaning = port.ErrUnavailable
		}
		return nil, fmt.Errorf("%s: %w: %w", doing, meaning, err)
	}
	if a.Token != nil {
		return c.static(ctx, proof)
	}
	client, err := c.open(nil)
	if err != nil {
		return nil, err
	}
	var path string
	var body map[string]any
	if r := a.AppRole; r != nil {
		path, body = "auth/"+cmp.Or(r.Mount, "approle")+"/login", map[string]any{"role_id": r.RoleID, "secret_id": proof.Expose()}
	} else {
		path, body = "auth/"+a.JWT.Mount+"/login", map[string]any{"role": a.JWT.Role, "jwt": proof.Expose()}
	}
	began := c.cfg.Now()
	got, err := client.send(ctx, http.MethodPut, path, body)
	if answered(err, http.StatusBadRequest) { // the answer to an invalid secret ID or token
		return nil, fmt.Errorf("%s at %s: %w: the vault rejected the login", doing, path, port.ErrDenied)
	}
	if err := fault(ctx, doing+" at "+path, "", err, proof); err != nil {
		return nil, err
	}
	if got.Auth == nil || got.Auth.ClientToken == "" {
		return nil, fmt.Errorf("%s at %s: %w: the answer has no token", doing, path, port.ErrUnavailable)
	}
	client.token = secret.New(got.Auth.ClientToken)
	s := &session{conn: client}
	s.setLifetime(began, got.Auth)
	return s, nil
}
