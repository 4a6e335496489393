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

// session is a token with its life.
type session struct {
	*api.Client
	token     secret.Value
	renewable bool
	// renew is when half of its life is over, ends is when all of it is; zero
	// for a token that does not end, or whose end we don't know.
	renew, ends time.Time
}

// call does something with a token. If the vault refuses it because the token
// is not valid any more, it is done once again with a new one: a refusal
// changes nothing.
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
		return fmt.Errorf("%s: %w: the vault does not know our token (any more)", doing, reconcile.ErrDenied)
	}
	return do(again.Client)
}

// valid asks the vault about our own token, which every token may.
func (c *Client) valid(ctx context.Context, s *session) bool {
	_, err := s.Auth().Token().LookupSelfWithContext(ctx)
	return !answered(err, http.StatusForbidden)
}

// session returns one that has not ended, and not the refused one.
func (c *Client) session(ctx context.Context, refused *session) (*session, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("logging in to the vault: %w: %w", reconcile.ErrUnavailable, ctx.Err())
	}
	now := c.cfg.Now()
	if s := c.held; s != nil && s != refused {
		if s.renew.IsZero() || now.Before(s.renew) || c.renewed(ctx, s) {
			return s, nil
		}
		if now.Before(s.ends) { // it can't be renewed, but still works
			return s, nil
		}
	}
	c.held = nil
	s, err := c.login(ctx)
	if err != nil {
		return nil, err
	}
	c.held = s
	return s, nil
}

// renewed lengthens the life of a token.
func (c *Client) renewed(ctx context.Context, s *session) bool {
	if !s.renewable {
		return false
	}
	got, err := s.Auth().Token().RenewSelfWithContext(ctx, 0)
	if err != nil || got == nil || got.Auth == nil {
		c.cfg.Log.Debug("the vault's token could not be renewed", "vault", c.cfg.Address)
		return false
	}
	s.lives(c.cfg.Now(), got.Auth)
	return true
}

func (s *session) lives(from time.Time, auth *api.SecretAuth) {
	s.renewable, s.renew, s.ends = auth.Renewable, time.Time{}, time.Time{}
	if life := time.Duration(auth.LeaseDuration) * time.Second; life > 0 {
		s.renew, s.ends = from.Add(life/2), from.Add(life)
	}
}

// login gets a token.
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
	shown, err := source()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrRefused, err)
	}
	if a.Token != nil {
		client, err := c.open(shown.Expose())
		return &session{Client: client, token: shown}, err
	}
	client, err := c.open("")
	if err != nil {
		return nil, err
	}
	var path string
	var body map[string]any
	if r := a.AppRole; r != nil {
		path, body = "auth/"+cmp.Or(r.Mount, "approle")+"/login", map[string]any{"role_id": r.RoleID, "secret_id": shown.Expose()}
	} else {
		path, body = "auth/"+a.JWT.Mount+"/login", map[string]any{"role": a.JWT.Role, "jwt": shown.Expose()}
	}
	began := c.cfg.Now()
	got, err := client.Logical().WriteWithContext(ctx, path, body)
	if answered(err, http.StatusBadRequest) { // so it answers to a secret ID or a token that is not valid
		return nil, fmt.Errorf("%s at %s: %w: the vault does not take what we show", doing, path, reconcile.ErrDenied)
	}
	if err := fault(ctx, doing+" at "+path, "", err, shown); err != nil {
		return nil, err
	}
	if got == nil || got.Auth == nil || got.Auth.ClientToken == "" {
		return nil, fmt.Errorf("%s at %s: %w: the answer has no token", doing, path, reconcile.ErrUnavailable)
	}
	client.SetToken(got.Auth.ClientToken)
	s := &session{Client: client, token: secret.New(got.Auth.ClientToken)}
	s.lives(began, got.Auth)
	return s, nil
}
