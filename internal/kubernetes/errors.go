package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// refusal is a fault that the server answered with.
type refusal struct {
	meaning error
	status  int32
	text    string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.meaning }

// noDryRun reports whether a dry run was refused for being one.
func noDryRun(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusBadRequest
}

// fault turns a client's error into one that says what the caller may do: the
// one place that does. needs is the permission that the call takes. hidden are
// values that the server may repeat in its words; then the words are left out.
func (c *Client) fault(ctx context.Context, doing, needs string, err error, hidden ...secret.Value) error {
	if err == nil {
		return nil
	}
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) {
		return noAnswer(ctx, doing, err)
	}
	status := answered.Status()
	if status.Code == http.StatusUnauthorized {
		c.forget()
	}
	r := &refusal{meaning: meaning(status), status: status.Code}
	said := status.Message
	if quotes(said, hidden) {
		said = "(what it said is left out, since it quotes the value)"
	}
	said = words(int(status.Code), string(status.Reason), said)
	switch cause := ctx.Err(); {
	case cause != nil && errors.Is(r.meaning, reconcile.ErrUnavailable):
		return fmt.Errorf("%s: %w: %s: %w", doing, r.meaning, said, cause)
	case errors.Is(r.meaning, reconcile.ErrDenied):
		r.text = fmt.Sprintf("%s: %v: it takes the permission %s: %s", doing, r.meaning, needs, said)
	default:
		r.text = fmt.Sprintf("%s: %v: %s", doing, r.meaning, said)
	}
	return r
}

// meaning sorts an answer.
func meaning(s metav1.Status) error {
	switch s.Code {
	case http.StatusUnauthorized:
		return reconcile.ErrDenied // only a person can mend our credential
	case http.StatusForbidden:
		switch {
		case strings.Contains(s.Message, "exceeded quota"):
			return reconcile.ErrQuota
		case terminating(s):
			return reconcile.ErrNotActive
		}
		return reconcile.ErrDenied
	case http.StatusNotFound:
		return reconcile.ErrNotFound
	case http.StatusConflict:
		return reconcile.ErrConflict
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return reconcile.ErrUnavailable
	}
	if s.Code >= 400 && s.Code <= 499 {
		return reconcile.ErrRefused
	}
	return reconcile.ErrUnavailable
}

// terminating reports whether the namespace is being deleted.
func terminating(s metav1.Status) bool {
	if s.Details == nil {
		return false
	}
	for _, c := range s.Details.Causes {
		if c.Type == "NamespaceTerminating" {
			return true
		}
	}
	return false
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

// words are what the server said, cut short.
func words(status int, reason, message string) string {
	const most = 400
	s := strings.Join(strings.Fields(fmt.Sprintf("status %d %s %s", status, reason, message)), " ")
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
