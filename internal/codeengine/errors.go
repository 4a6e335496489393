package codeengine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// fault turns an SDK's error into one that says what the caller may do: the one
// place that does. It never formats the SDK's error or response as they are:
// both may carry a secret's data. hidden are values that the service may repeat
// in its words; then the words are left out.
func fault(ctx context.Context, doing string, resp *core.DetailedResponse, err error, hidden ...secret.Value) error {
	switch {
	case err == nil:
		return nil
	case resp == nil:
		return noAnswer(ctx, doing, err)
	}
	status, code, message := resp.StatusCode, "", ""
	if body, ok := resp.Result.(map[string]any); ok {
		code, message = firstError(body)
	}
	if status < 400 {
		message = "(the answer can't be read)"
	}
	said := words(status, code, message)
	if quotes(code+" "+message, hidden) {
		said = words(status, "", "(what it said is left out, since it quotes the secret)")
	}
	meant := meaning(status, code)
	if cause := ctx.Err(); cause != nil && errors.Is(meant, reconcile.ErrUnavailable) {
		return fmt.Errorf("%s: %w: %s: %w", doing, meant, said, cause)
	}
	if errors.Is(meant, reconcile.ErrDenied) {
		return fmt.Errorf("%s: %w (%s): %s", doing, meant, permission, said)
	}
	return fmt.Errorf("%s: %w: %s", doing, meant, said)
}

// permission is what every call of this package needs; Code Engine does not say
// which role it missed.
const permission = "it needs the roles Viewer and Writer on codeengine"

// noAnswer sorts an error without an answer. Our own login speaks in the
// sentinels already. Of the rest only known causes are kept: others may quote
// what was received.
func noAnswer(ctx context.Context, doing string, err error) error {
	for _, known := range []error{reconcile.ErrDenied, reconcile.ErrUnavailable} {
		if errors.Is(err, known) {
			if sent := (*url.Error)(nil); errors.As(err, &sent) {
				err = sent.Err
			}
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
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

// incomplete is an answer that says success and lacks what it must have.
func incomplete(doing, what string) error {
	return fmt.Errorf("%s: %w: the answer has no %s", doing, reconcile.ErrUnavailable, what)
}

func firstError(body map[string]any) (code, message string) {
	list, _ := body["errors"].([]any)
	if len(list) == 0 {
		return "", ""
	}
	first, _ := list[0].(map[string]any)
	code, _ = first["code"].(string)
	message, _ = first["message"].(string)
	return code, message
}

// meaning sorts a status. What exceeds a quota is [?]: the documents name the
// limits, neither status nor code. The same for a stale entity tag, which is
// 409 or 412.
func meaning(status int, code string) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusRequestTimeout,
		status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return reconcile.ErrUnavailable
	case status < 400 || status > 499: // a success that could not be read, too
		return reconcile.ErrUnavailable
	case strings.Contains(code, "quota") || strings.Contains(code, "limit"):
		return reconcile.ErrQuota
	case status == http.StatusForbidden:
		return reconcile.ErrDenied
	case status == http.StatusNotFound:
		return reconcile.ErrNotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return reconcile.ErrConflict
	default:
		return reconcile.ErrRefused
	}
}

// words are what the service said, cut short.
func words(status int, code, message string) string {
	const most = 300
	s := strings.Join(strings.Fields(fmt.Sprintf("status %d %s %s", status, code, message)), " ")
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
