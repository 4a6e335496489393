package vault

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// answered reports whether the vault answered with one of these statuses.
func answered(err error, statuses ...int) bool {
	var r *refusal
	return errors.As(err, &r) && slices.Contains(statuses, r.status)
}

// fault returns the error of a call, sorted by what the caller may do next.
// needs is the capability that the call takes, or empty. hidden are values that
// the vault may quote.
func fault(ctx context.Context, doing, needs string, err error, hidden ...secret.Value) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{port.ErrDenied, port.ErrRefused, port.ErrUnavailable} {
		if errors.Is(err, known) {
			return err // of our own login
		}
	}
	var r *refusal
	if !errors.As(err, &r) {
		return upstream.NoAnswer(ctx, doing, err)
	}
	if needs != "" {
		needs = "the capability " + needs
	}
	return upstream.Vault.Fault(ctx, doing, needs, answer(r), hidden...)
}

// answer returns a refusal as package upstream reads it.
func answer(r *refusal) upstream.Answer {
	a := upstream.Answer{Status: r.status, Message: strings.Join(r.errors, "; ")}
	if r.status == http.StatusBadRequest && strings.Contains(a.Message, "check-and-set parameter did not match") {
		a.Meaning = port.ErrConflict
	}
	return a
}
