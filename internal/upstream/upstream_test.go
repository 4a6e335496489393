package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var apis = map[string]upstream.API{
	"IAM": upstream.IAM, "Code Engine": upstream.CodeEngine, "Secrets Manager": upstream.SecretsManager,
	"Cloud Logs": upstream.CloudLogs, "Kubernetes": upstream.Kubernetes, "Vault": upstream.Vault,
}

// most says of the upstreams that a row does not name.
const most = "most"

func TestAStatusSelectsTheMeaning(t *testing.T) {
	for sentence, row := range map[string]struct {
		status int
		code   string
		want   map[string]error
	}{
		"200 that cannot be used is no clear answer": {200, "", map[string]error{most: port.ErrUnavailable}},
		"302 is no clear answer":                     {302, "", map[string]error{most: port.ErrUnavailable}},
		"400 is a final refusal":                     {400, "", map[string]error{most: port.ErrRefused}},
		"401 is a token to renew for IBM, our credential for the others, and lag for a proof": {401, "", map[string]error{
			most: port.ErrUnavailable, "Kubernetes": port.ErrDenied, "Vault": port.ErrDenied, "Cloud Logs": port.ErrNotYet,
		}},
		"403 is a missing permission, and lag for a proof": {403, "", map[string]error{
			most: port.ErrDenied, "Cloud Logs": port.ErrNotYet,
		}},
		"404 is not found, and a wrong instance for a proof": {404, "", map[string]error{
			most: port.ErrNotFound, "Cloud Logs": port.ErrRefused,
		}},
		"408 is no clear answer": {408, "", map[string]error{most: port.ErrUnavailable}},
		"409 is a conflict where there are versions": {409, "", map[string]error{
			most: port.ErrConflict, "Vault": port.ErrRefused, "Cloud Logs": port.ErrRefused,
		}},
		"412 is a conflict, a lock, or a standby that lags": {412, "", map[string]error{
			most: port.ErrRefused, "IAM": port.ErrConflict, "Code Engine": port.ErrConflict, "Vault": port.ErrUnavailable,
		}},
		"413 is a final refusal":            {413, "", map[string]error{most: port.ErrRefused}},
		"422 is a final refusal":            {422, "", map[string]error{most: port.ErrRefused}},
		"423 is a lock for IAM":             {423, "", map[string]error{most: port.ErrRefused, "IAM": port.ErrDenied}},
		"425 is no clear answer":            {425, "", map[string]error{most: port.ErrUnavailable}},
		"429 is no clear answer":            {429, "", map[string]error{most: port.ErrUnavailable}},
		"500 is no clear answer":            {500, "", map[string]error{most: port.ErrUnavailable}},
		"502 is no clear answer":            {502, "", map[string]error{most: port.ErrUnavailable}},
		"503 is no clear answer":            {503, "", map[string]error{most: port.ErrUnavailable}},
		"599 is no clear answer":            {599, "", map[string]error{most: port.ErrUnavailable}},
		"a code with a limit is IBM's 400":  {400, "limit_exceeded", quota(port.ErrRefused)},
		"a code with a quota is IBM's 403":  {403, "secret_quota_reached", quota(port.ErrDenied)},
		"a code with a limit is IBM's 409":  {409, "limit_exceeded", quota(port.ErrConflict)},
		"a rate limit is no quota":          {429, "rate_limit", map[string]error{most: port.ErrUnavailable}},
		"a 503 with a quota's code is none": {503, "quota", map[string]error{most: port.ErrUnavailable}},
	} {
		for name, api := range apis {
			want, named := row.want[name]
			if !named {
				want = row.want[most]
			}
			err := api.Fault(t.Context(), "doing it", "the role X", upstream.Answer{Status: row.status, Code: row.code})
			if !errors.Is(err, want) {
				t.Errorf("%s: %s: %v", sentence, name, err)
			}
			for _, other := range sentinels {
				if !errors.Is(want, other) && errors.Is(err, other) {
					t.Errorf("%s: %s: %v is also %v", sentence, name, err, other)
				}
			}
			if says := strings.Contains(err.Error(), "it needs the role X"); says != errors.Is(want, port.ErrDenied) {
				t.Errorf("%s: %s: the error names the permission: %v", sentence, name, says)
			}
			if got := upstream.Status(fmt.Errorf("wrapped: %w", err)); got != row.status {
				t.Errorf("%s: %s: the status is %d", sentence, name, got)
			}
		}
	}
}

var sentinels = []error{
	port.ErrNotFound, port.ErrConflict, port.ErrDenied, port.ErrRefused, port.ErrQuota,
	port.ErrNotActive, port.ErrNotYet, port.ErrUnavailable, port.ErrUnlocked,
}

// quota wants ErrQuota of the IBM services that have codes for it.
func quota(others error) map[string]error {
	want := map[string]error{"IAM": port.ErrQuota, "Code Engine": port.ErrQuota, "Secrets Manager": port.ErrQuota, most: others}
	switch {
	case errors.Is(others, port.ErrDenied):
		want["Cloud Logs"] = port.ErrNotYet
	case errors.Is(others, port.ErrConflict):
		want["Cloud Logs"], want["Vault"] = port.ErrRefused, port.ErrRefused
	}
	return want
}

func TestTheAdapterMayKnowMoreThanTheStatus(t *testing.T) {
	err := upstream.Vault.Fault(t.Context(), "writing", "", upstream.Answer{Status: 400, Meaning: port.ErrConflict})
	if !errors.Is(err, port.ErrConflict) || errors.Is(err, port.ErrRefused) {
		t.Error(err)
	}
}

func TestALimitMayBeInTheMessageCodeOnly(t *testing.T) {
	answer := func(status int) upstream.Answer {
		return upstream.Answer{Status: status, Code: "any", MessageCode: "BXNIM0151E", Message: "The limit of supported API keys is reached"}
	}
	for status, want := range map[int]error{422: port.ErrQuota, 400: port.ErrQuota, 503: port.ErrUnavailable} {
		if err := upstream.IAM.Fault(t.Context(), "creating a key", "", answer(status)); !errors.Is(err, want) {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
	}
	if err := upstream.CodeEngine.Fault(t.Context(), "writing", "", answer(422)); !errors.Is(err, port.ErrRefused) {
		t.Errorf("another service: %v", err)
	}
}

func TestTheTextOfAnError(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for want, err := range map[string]error{
		"writing: access denied: it needs the role X: status 403 no_role Not yours.": upstream.CodeEngine.Fault(
			t.Context(), "writing", "the role X", upstream.Answer{Status: 403, Code: "no_role", Message: "Not\nyours."}),
		"writing: refused: its previous version is locked as in use, or it has expired and must be deleted: status 412": upstream.SecretsManager.Fault(
			t.Context(), "writing", "the role X", upstream.Answer{Status: 412}),
		"writing: no clear answer: status 503: context canceled": upstream.IAM.Fault(done, "writing", "", upstream.Answer{Status: 503}),
		"writing: refused: status 400 (the message is left out because it quotes a secret)": upstream.Kubernetes.Fault(
			t.Context(), "writing", "", upstream.Answer{Status: 400, Code: "Invalid", Message: "not hunter2"}, secret.New("hunter2")),
		"writing: refused: status 400 not [secret]": upstream.IAM.Fault(
			t.Context(), "writing", "", upstream.Answer{Status: 400, Message: "not hunter2"}, secret.New("hunter2")),
		"reading: no clear answer: the answer has no version":                upstream.Incomplete("reading", "version"),
		"reading: no clear answer: unexpected EOF":                           upstream.NoAnswer(t.Context(), "reading", io.EOF),
		"reading: no clear answer: context canceled":                         upstream.NoAnswer(done, "reading", errors.New("hunter2")),
		"reading: no clear answer: context deadline exceeded":                upstream.NoAnswer(t.Context(), "reading", context.DeadlineExceeded),
		"reading: no clear answer: the request was not sent or not answered": upstream.NoAnswer(t.Context(), "reading", errors.New("hunter2")),
		"writing: no clear answer: the server did not take the request, and it was not sent again": upstream.NoAnswer(
			t.Context(), "writing", &url.Error{Op: "Put", URL: "https://hunter2", Err: port.ErrNotTaken}),
		"reading: logging in as ourselves: no clear answer: the server did not take the request, and it was not sent again": upstream.NoAnswer(
			t.Context(), "reading", upstream.SortLogin(&url.Error{Op: "Post", URL: "https://hunter2", Err: port.ErrNotTaken})),
		"reading: no clear answer: dial: reset":                                          upstream.NoAnswer(t.Context(), "reading", &url.Error{Op: "Get", URL: "https://hunter2", Err: &net.OpError{Op: "dial", Err: errors.New("reset")}}),
		"reading: logging in: access denied":                                             upstream.NoAnswer(t.Context(), "reading", &url.Error{Op: "Get", URL: "https://hunter2", Err: fmt.Errorf("logging in: %w", port.ErrDenied)}),
		"reading: logging in as ourselves: no clear answer: unexpected EOF":              upstream.NoAnswer(t.Context(), "reading", &url.Error{Op: "Get", URL: "https://hunter2", Err: upstream.SortLogin(io.EOF)}),
		"reading: logging in as ourselves: access denied: IAM issued no token: status 1": upstream.NoAnswer(t.Context(), "reading", &upstream.LoginError{Meaning: port.ErrDenied, Cause: upstream.NoToken(1, "hunter2 and more")}),
	} {
		for words, sentinel := range map[string]error{
			"access denied": port.ErrDenied, "refused": port.ErrRefused, "no clear answer": port.ErrUnavailable,
		} {
			want = strings.Replace(want, ": "+words, ": "+sentinel.Error(), 1)
		}
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
}

func TestAFailedLoginKeepsItsMeaning(t *testing.T) {
	denied := &upstream.LoginError{Meaning: port.ErrDenied, Cause: upstream.NoToken(400, "BXNIM0415E")}
	for want, row := range map[string]struct {
		fails, meaning error
	}{
		"reading: logging in as ourselves: access denied: IAM issued no token: status 400 BXNIM0415E": {fmt.Errorf("hunter2: %w", denied), port.ErrDenied},
		"reading: logging in as ourselves: no clear answer: unexpected EOF":                           {fmt.Errorf("hunter2: %w", io.EOF), port.ErrUnavailable},
		"reading: logging in as ourselves: no clear answer: context deadline exceeded":                {fmt.Errorf("hunter2: %w", context.DeadlineExceeded), port.ErrUnavailable},
		"reading: logging in as ourselves: no clear answer: the request was not sent or not answered": {errors.New("hunter2"), port.ErrUnavailable},
	} {
		err := upstream.NoAnswer(t.Context(), "reading", &url.Error{Op: "Get", URL: "https://hunter2", Err: upstream.SortLogin(row.fails)})
		if !errors.Is(err, row.meaning) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// FuzzQuote: an error is short, stands on one line and contains no hidden value
// of an upstream's words, wherever the words are cut.
func FuzzQuote(f *testing.F) {
	f.Add("invalid", "not hunter2 ", "hunter2", "other", 0)
	f.Add("invalid", "line one\nline two \xff", "one\nline", "hunter\xff2", 290)
	f.Add("hunter2", "hunter\xff2 hunter 2", "hunter2", "r2 h", 100)
	f.Add("a", "ü", "aaaa", "ü ü", 280)
	f.Fuzz(func(t *testing.T, code, message, one, two string, before int) {
		a := upstream.Answer{Status: 400, Code: code, Message: strings.Repeat("ü", max(0, min(before, 1000))) + message}
		for name, api := range apis {
			got := api.Quote(a, secret.New(one), secret.New(two))
			if len(got) > 303 || strings.ContainsAny(got, "\r\n\t") {
				t.Errorf("%s: %d bytes: %q", name, len(got), got)
			}
			for _, own := range []string{"status 400", "(the message is left out because it quotes a secret)", "[secret]", "…"} {
				got = strings.ReplaceAll(got, own, "\x00")
			}
			for _, hidden := range []string{one, two} {
				// Shorter values occur in any sentence. Keys and tokens have no
				// brackets, so the mark of a replaced one cannot complete another.
				if len(strings.Join(strings.Fields(strings.ToValidUTF8(hidden, "")), " ")) < 4 || strings.ContainsAny(one+two, "[]\x00") {
					continue
				}
				if strings.Contains(got, hidden) {
					t.Errorf("%s: %q contains %q", name, got, hidden)
				}
			}
		}
	})
}
