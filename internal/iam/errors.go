package iam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// sortError turns an SDK's error into one that says what the caller may do
// next: the one place that does. The SDK's error is not wrapped and its
// response not printed, since the answer to a create holds the key's value.
// hidden are values that IAM may repeat in its words.
func sortError(doing string, resp *core.DetailedResponse, err error, hidden ...secret.Value) error {
	if err == nil {
		return nil
	}
	// Our own login failed, not the call that wanted it. The SDK would report
	// the login's 400 as if it were the call's.
	if own := (*loginError)(nil); errors.As(err, &own) {
		return fmt.Errorf("%s: %w", doing, own)
	}
	if resp == nil {
		return fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, noAnswer(err))
	}
	code, words := firstError(resp)
	if resp.StatusCode < 300 {
		words = "the answer can't be read"
	}
	return fmt.Errorf("%s: %w: %s", doing, meaning(resp.StatusCode, code), say(resp.StatusCode, code, words, hidden))
}

// meaning sorts an answer that is not the wanted one.
func meaning(status int, code string) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusRequestTimeout,
		status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return reconcile.ErrUnavailable
	case status < 400 || status > 499: // also a success that can't be read
		return reconcile.ErrUnavailable
	case isQuota(code):
		return reconcile.ErrQuota
	case status == http.StatusForbidden, status == http.StatusLocked:
		return reconcile.ErrDenied
	case status == http.StatusNotFound:
		return reconcile.ErrNotFound
	case isStale(status):
		return reconcile.ErrConflict
	default:
		return reconcile.ErrRefused
	}
}

// firstError reads IAM's error body: the code and the words for people.
func firstError(resp *core.DetailedResponse) (code, words string) {
	body, _ := resp.Result.(map[string]any)
	list, _ := body["errors"].([]any)
	if len(list) == 0 {
		return "", ""
	}
	first, _ := list[0].(map[string]any)
	code, _ = first["code"].(string)
	words, _ = first["message"].(string)
	if details, ok := first["details"].(string); ok { // where identity errors have the reason
		words += " (" + details + ")"
	}
	return code, words
}

// say is what IAM said, on one line and cut short.
func say(status int, code, words string, hidden []secret.Value) string {
	const most = 300
	s := strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", status, code, words)), " ")
	for _, v := range hidden {
		if plain := v.Expose(); plain != "" {
			s = strings.ReplaceAll(s, plain, "[secret]")
		}
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

var errNoAnswer = errors.New("the request could not be sent or answered")

// noAnswer keeps those causes that are known to quote nothing that was sent or
// received.
func noAnswer(err error) error {
	var network *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded): // the client's own timeout, too
		return context.DeadlineExceeded
	case errors.As(err, &network):
		return network
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case strings.Contains(err.Error(), core.SSL_CERTIFICATION_ERROR): // the SDK drops the cause of these
		return errors.New("the server's certificate is not trusted")
	default:
		return errNoAnswer
	}
}

// lacking is an answer that says success and has not what it must have.
func lacking(doing, what string) error {
	return fmt.Errorf("%s: %w: the answer has no %s", doing, reconcile.ErrUnavailable, what)
}

// dateOf is IAM's clock when it answered. Without it no decision may be made.
func dateOf(doing string, resp *core.DetailedResponse) (time.Time, error) {
	date, err := http.ParseTime(resp.Headers.Get("Date"))
	if err != nil {
		return time.Time{}, lacking(doing, "Date")
	}
	return date, nil
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func yes(b *bool) bool { return b != nil && *b }
