package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// SDKFault returns the error of a call through one of IBM's SDKs, or nil. See
// Fault for the parameters.
func (p API) SDKFault(ctx context.Context, doing, needs string, resp *core.DetailedResponse, err error, hidden ...secret.Value) error {
	switch {
	case err == nil:
		return nil
	// IBM's SDK reports the status of a failed login as if it were the call's.
	case resp == nil, loginFailure(err) != nil:
		return NoAnswer(ctx, doing, err)
	}
	return p.Fault(ctx, doing, needs, SDKAnswer(resp), hidden...)
}

// SDKAnswer reads the first error in an answer of an IBM service.
func SDKAnswer(resp *core.DetailedResponse) Answer {
	a := Answer{Status: resp.StatusCode}
	if a.Status < 400 {
		a.Message = "(the answer can't be read)"
		return a
	}
	body, _ := resp.Result.(map[string]any)
	list, _ := body["errors"].([]any)
	if len(list) == 0 {
		return a
	}
	first, _ := list[0].(map[string]any)
	a.Code, _ = first["code"].(string)
	a.MessageCode, _ = first["message_code"].(string)
	a.Message, _ = first["message"].(string)
	if details, ok := first["details"].(string); ok { // IAM's reason
		a.Message += " (" + details + ")"
	}
	return a
}

// LoginError reports that latchkey's own login failed, whichever call needed
// it.
type LoginError struct{ Meaning, Cause error }

// Error satisfies error.
func (e *LoginError) Error() string {
	return fmt.Sprintf("logging in as ourselves: %v: %v", e.Meaning, e.Cause)
}

// Unwrap returns both the meaning and the cause.
func (e *LoginError) Unwrap() []error { return []error{e.Meaning, e.Cause} }

// Is reports that a denied login is port.ErrLogin.
func (e *LoginError) Is(target error) bool {
	return target == port.ErrLogin && errors.Is(e.Meaning, port.ErrDenied)
}

// SortLogin sorts the error of a login by IBM's SDK. It keeps only the status
// and the code of IAM's answer, since the words may quote what was sent.
func SortLogin(err error) *LoginError {
	if own := (*LoginError)(nil); errors.As(err, &own) {
		return own
	}
	refused := (*core.AuthenticationError)(nil)
	if !errors.As(err, &refused) || refused.HTTPProblem == nil || refused.Response == nil || refused.Response.StatusCode == 0 {
		return &LoginError{Meaning: port.ErrUnavailable, Cause: safeCause(err)}
	}
	body, _ := refused.Response.Result.(map[string]any)
	code, _ := body["errorCode"].(string)
	cause := NoToken(refused.Response.StatusCode, code)
	switch refused.Response.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return &LoginError{Meaning: port.ErrDenied, Cause: cause} // our key or profile is not valid
	}
	return &LoginError{Meaning: port.ErrUnavailable, Cause: cause}
}

// NoToken returns the error of a login that IAM answered with a status and an
// error code.
func NoToken(status int, code string) error {
	return errors.New(strings.TrimSpace(fmt.Sprintf("IAM issued no token: status %d %s", status, PlainCode(code))))
}

var codeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.-]{1,24}$`) })

// PlainCode returns code if it has the form of an error code, such as
// BXNIM0415E, and else "". The form is too short for a key.
func PlainCode(code string) string {
	if codeForm().MatchString(code) {
		return code
	}
	return ""
}

// Server is one host of an IBM service.
type Server struct {
	// API is the service. Its routes say which answers are its own.
	API API
	// Host is the name that requests carry.
	Host string
	// Endpoint is the URL that requests are sent to; empty is https://Host.
	Endpoint string
	// Query is added to every request.
	Query url.Values
	// HTTP carries the requests.
	HTTP *http.Client
	// Auth logs in; nil if HTTP does.
	Auth core.Authenticator
}

// Client returns a client for the server, and the base of its URLs. The client
// logs in before each request: an authenticator inside IBM's SDK loses the
// cause of its failure, which then looks like an answer of the service. It lets
// only answers of the service pass: see API.Strict.
func (s Server) Client() (client *http.Client, base string) {
	base = "https://" + s.Host
	if s.Endpoint != "" {
		base = strings.TrimSuffix(s.Endpoint, "/")
	}
	own := *s.HTTP
	own.Transport = &transport{Server: s, next: s.API.Strict(own.Transport)}
	own.CheckRedirect = NoRedirect
	return &own, base
}

type transport struct {
	Server
	next http.RoundTripper
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (t *transport) CloseIdleConnections() { closeIdle(t.next) }

// RoundTrip satisfies http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	own := req.Clone(req.Context())
	if t.Endpoint != "" {
		own.Host = t.Host
	}
	if len(t.Query) > 0 {
		query := own.URL.Query()
		maps.Copy(query, t.Query)
		own.URL.RawQuery = query.Encode()
	}
	if t.Auth != nil {
		if err := t.Auth.Authenticate(own); err != nil {
			if req.Body != nil {
				_ = req.Body.Close() // nothing was sent
			}
			return nil, SortLogin(err)
		}
	}
	return t.next.RoundTrip(own)
}
