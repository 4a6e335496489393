package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// answered reports whether the vault answered with one of these statuses.
func answered(err error, statuses ...int) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && slices.Contains(statuses, r.StatusCode)
}

// fault turns the library's error into one that says what the caller may do:
// the one place that does. needs is the capability that the call takes. hidden
// are values that the vault may repeat in its words; then the words are left
// out.
func fault(ctx context.Context, doing, needs string, err error, hidden ...secret.Value) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{reconcile.ErrDenied, reconcile.ErrRefused, reconcile.ErrUnavailable} {
		if errors.Is(err, known) {
			return err // our own login's
		}
	}
	var r *api.ResponseError
	if !errors.As(err, &r) {
		return noAnswer(ctx, doing, err)
	}
	said := strings.Join(r.Errors, "; ")
	if quotes(said, hidden) {
		said = "(what it said is left out, since it quotes a secret)"
	}
	said = words(r.StatusCode, said)
	switch meant := meaning(r); {
	case errors.Is(meant, reconcile.ErrUnavailable) && ctx.Err() != nil:
		return fmt.Errorf("%s: %w: %s: %w", doing, meant, said, ctx.Err())
	case errors.Is(meant, reconcile.ErrDenied) && needs != "":
		return fmt.Errorf("%s: %w: it takes the capability %s: %s", doing, meant, needs, said)
	default:
		return fmt.Errorf("%s: %w: %s", doing, meant, said)
	}
}

// meaning sorts an answer.
func meaning(r *api.ResponseError) error {
	switch r.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		return reconcile.ErrDenied
	case http.StatusNotFound:
		return reconcile.ErrNotFound
	case http.StatusBadRequest:
		if strings.Contains(strings.Join(r.Errors, " "), "check-and-set parameter did not match") {
			return reconcile.ErrConflict
		}
		return reconcile.ErrRefused
	case http.StatusRequestTimeout, http.StatusPreconditionFailed, http.StatusTooEarly, http.StatusTooManyRequests:
		return reconcile.ErrUnavailable // 412: a standby has not caught up
	}
	if r.StatusCode >= 400 && r.StatusCode <= 499 {
		return reconcile.ErrRefused
	}
	return reconcile.ErrUnavailable
}

// noAnswer sorts an error without an answer. Only known causes are kept: others
// may quote what was received.
func noAnswer(ctx context.Context, doing string, err error) error {
	var (
		network     *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.As(err, &network):
		err = network
	case errors.As(err, &certificate):
		err = certificate
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = io.ErrUnexpectedEOF
	default:
		return fmt.Errorf("%s: %w", doing, reconcile.ErrUnavailable)
	}
	return fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
}

// words are what the vault said, cut short.
func words(status int, message string) string {
	const most = 300
	s := strings.Join(strings.Fields(fmt.Sprintf("status %d %s", status, message)), " ")
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// quotes reports whether s repeats one of the values. Very short ones stand in
// any sentence.
func quotes(s string, values []secret.Value) bool {
	const least = 4
	for _, v := range values {
		if plain := v.Expose(); len(plain) >= least && strings.Contains(s, plain) {
			return true
		}
	}
	return false
}
