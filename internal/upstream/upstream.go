// Package upstream sends requests to IAM, to the stores and to Cloud Logs, and turns the
// failed ones into errors that tell the caller what to do next.
//
// A request is sent once, by Send or Do: IBM's SDKs and client-go repeat creates, and keep
// the login, the limits and the causes of failures to themselves.
//
// An error wraps one of reconcile's sentinels, which the status of the answer
// selects. Its text names the step, the sentinel, the missing permission if the
// adapter knows it, and the upstream's own words: on one line, cut short and
// without any secret that they quote.
//
// An API value describes the answers of each upstream. Cases that a status and a
// code do not decide, such as a failed check-and-set of Vault, are in the
// adapter.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// API describes how the answers of one upstream differ from the common ones.
type API struct {
	// Name is the service's name for an error's text.
	Name string
	// Absent reports whether the body of a 404 is in the server's own words. A
	// gateway's 404 says nothing about what the server has.
	Absent func(body []byte) bool
	// Routes are the calls that latchkey makes.
	Routes []Route
	// prefix is the path before those of the routes: see At.
	prefix string
	// Account returns our account. If nil, an answer may be about any account's
	// objects.
	Account func(context.Context) (string, error)
	// Meanings has the sentinels of the statuses that differ from common.
	Meanings map[int]error
	// Explain has an explanation of a status for the error's text.
	Explain map[int]string
	// QuotaCodes makes every final refusal whose code contains "quota" or "limit"
	// an ErrQuota.
	QuotaCodes bool
	// QuotaMessages has the message codes of exceeded limits.
	QuotaMessages []string
	// Redact replaces a quoted secret by [secret] and keeps the rest of the
	// words. It suits an upstream that receives one random value. By default all
	// words are left out: a store may quote the values of other entries, too.
	Redact bool
}

// Answer is an answer that is not the wanted one.
type Answer struct {
	Status        int
	Code, Message string
	// MessageCode is IAM's number of the message, such as BXNIM0151E.
	MessageCode string
	// Meaning, if set, replaces the sentinel that the status selects.
	Meaning error
}

// common returns what a status means for most upstreams. A 401 is ErrUnavailable:
// IBM's APIs get a token of latchkey's own login, which has expired or was
// withdrawn. The 401 drops it, so a repetition sends a new one. If the login
// itself is not valid, that repetition fails with a LoginError.
func common(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return port.ErrUnavailable
	case http.StatusForbidden:
		return port.ErrDenied
	case http.StatusNotFound:
		return port.ErrNotFound
	case http.StatusConflict:
		return port.ErrConflict
	}
	if status >= 400 && status <= 499 {
		return port.ErrRefused
	}
	return port.ErrUnavailable // includes a success that cannot be read
}

func (p API) meaning(a Answer) error {
	meaning := a.Meaning
	if meaning == nil {
		meaning = p.Meanings[a.Status]
	}
	if meaning == nil {
		meaning = common(a.Status)
	}
	quota := strings.Contains(a.Code, "quota") || strings.Contains(a.Code, "limit")
	quota = p.QuotaCodes && quota || slices.Contains(p.QuotaMessages, a.MessageCode)
	if quota && !errors.Is(meaning, port.ErrUnavailable) {
		return port.ErrQuota
	}
	return meaning
}

// Fault returns the error of a call that was answered. doing names the step;
// needs is the permission that the call takes, or empty. hidden are secrets
// that the upstream may quote.
func (p API) Fault(ctx context.Context, doing, needs string, a Answer, hidden ...secret.Value) error {
	meaning := p.meaning(a)
	parts := []string{doing, meaning.Error()}
	if needs != "" && errors.Is(meaning, port.ErrDenied) {
		parts = append(parts, "it needs "+needs)
	}
	if explained := p.Explain[a.Status]; explained != "" {
		parts = append(parts, explained)
	}
	parts = append(parts, p.Quote(a, hidden...))
	f := &fault{status: a.Status, wraps: []error{meaning}}
	if cause := ctx.Err(); cause != nil && errors.Is(meaning, port.ErrUnavailable) {
		parts = append(parts, cause.Error())
		f.wraps = append(f.wraps, cause)
	}
	f.text = strings.Join(parts, ": ")
	return f
}

// fault is an error with the status of the answer that caused it.
type fault struct {
	text   string
	status int
	wraps  []error
}

func (f *fault) Error() string   { return f.text }
func (f *fault) Unwrap() []error { return f.wraps }

// Status returns the status of the answer that caused err, or 0.
func Status(err error) int {
	if f := (*fault)(nil); errors.As(err, &f) {
		return f.status
	}
	return 0
}

// Incomplete returns the error of an answer that reports success but lacks what
// it must have.
func Incomplete(doing, what string) error {
	return fmt.Errorf("%s: %w: the answer has no %s", doing, port.ErrUnavailable, what)
}
