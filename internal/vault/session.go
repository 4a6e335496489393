package vault

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// session is a client with a token and the token's lifetime.
type session struct {
	*api.Client
	token     secret.Value
	renewable bool
	// renew is the middle of the lifetime, expires is its end. Both are zero for
	// a token that does not expire or whose expiry is unknown.
	renew, expires time.Time
}

// call calls do with a token. If the vault rejects the call because the token is
// no longer valid, call repeats it once with a new token. A rejected call has
// changed nothing.
func (c *Client) call(ctx context.Context, doing string, do func(*api.Client) error) error {
	s, err := c.session(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err = do(s.Client)
	if !answered(err, http.StatusForbidden) || c.valid(ctx, s) {
		return err
	}
	again, lerr := c.session(ctx, s)
	if lerr != nil {
		return fmt.Errorf("%s: %w", doing, lerr)
	}
	if again.token.Equal(s.token) {
		return fmt.Errorf("%s: %w: the vault rejected the token", doing, reconcile.ErrDenied)
	}
	return do(again.Client)
}

// valid reports whether the token is valid. Every token may look itself up.
func (c *Client) valid(ctx context.Context, s *session) bool {
	_, err := s.Auth().Token().LookupSelfWithContext(ctx)
	return !answered(err, http.StatusForbidden)
}

// session returns a session that has not expired and is not the rejected one.
func (c *Client) session(ctx context.Context, rejected *session) (*session, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("logging in to the vault: %w: %w", reconcile.ErrUnavailable, ctx.Err())
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
	got, err := s.Auth().Token().RenewSelfWithContext(ctx, 0)
	if err != nil || got == nil || got.Auth == nil {
		c.cfg.Log.Debug("renewing the token failed; logging in again", "vault", c.cfg.Address)
		return false
	}
	s.setLifetime(c.cfg.Now(), got.Auth)
	return true
}

// setLifetime sets the lifetime that the vault answered with.
func (s *session) setLifetime(from time.Time, auth *api.SecretAuth) {
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
		return nil, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrRefused, errNoLogin)
	}
	source := a.Token
	switch {
	case a.AppRole != nil:
		source = a.AppRole.SecretID
	case a.JWT != nil:
		source = a.JWT.Token
	}
	proof, err := source()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrRefused, err)
	}
	if a.Token != nil {
		client, err := c.open(proof.Expose())
		return &session{Client: client, token: proof}, err
	}
	client, err := c.open("")
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
	got, err := client.Logical().WriteWithContext(ctx, path, body)
	if answered(err, http.StatusBadRequest) { // the answer to an invalid secret ID or token
		return nil, fmt.Errorf("%s at %s: %w: the vault rejected the login", doing, path, reconcile.ErrDenied)
	}
	if err := fault(ctx, doing+" at "+path, "", err, proof); err != nil {
		return nil, err
	}
	if got == nil || got.Auth == nil || got.Auth.ClientToken == "" {
		return nil, fmt.Errorf("%s at %s: %w: the answer has no token", doing, path, reconcile.ErrUnavailable)
	}
	client.SetToken(got.Auth.ClientToken)
	s := &session{Client: client, token: secret.New(got.Auth.ClientToken)}
	s.setLifetime(began, got.Auth)
	return s, nil
}
