package vault

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// answered reports whether the vault answered with one of these statuses.
func answered(err error, statuses ...int) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && slices.Contains(statuses, r.StatusCode)
}

// fault returns the library's error, sorted by what the caller may do next.
// needs is the capability that the call takes, or empty. hidden are values that
// the vault may quote.
func fault(ctx context.Context, doing, needs string, err error, hidden ...secret.Value) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{reconcile.ErrDenied, reconcile.ErrRefused, reconcile.ErrUnavailable} {
		if errors.Is(err, known) {
			return err // of our own login
		}
	}
	var r *api.ResponseError
	if !errors.As(err, &r) {
		return upstream.NoAnswer(ctx, doing, err)
	}
	if needs != "" {
		needs = "the capability " + needs
	}
	return upstream.Vault.Fault(ctx, doing, needs, answer(r), hidden...)
}

// answer reads an error of the library.
func answer(r *api.ResponseError) upstream.Answer {
	a := upstream.Answer{Status: r.StatusCode, Message: strings.Join(r.Errors, "; ")}
	if r.StatusCode == http.StatusBadRequest && strings.Contains(a.Message, "check-and-set parameter did not match") {
		a.Meaning = reconcile.ErrConflict
	}
	return a
}
