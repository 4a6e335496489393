package upstream_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

type thing struct {
	Name string        `json:"name"`
	At   upstream.Time `json:"at"`
}

// answering returns a service that answers every request alike, and the last request.
func answering(t *testing.T, status int, body string) (upstream.Service, func() (*http.Request, string)) {
	t.Helper()
	var last *http.Request
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		last, sent = r, string(text)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return upstream.Service{Base: server.URL + "/", HTTP: &http.Client{Transport: upstream.Bound(nil)}}, func() (*http.Request, string) { return last, sent }
}

func TestARequestIsSentAsItIsGiven(t *testing.T) {
	s, last := answering(t, http.StatusOK, `{"name":"a","at":"2026-11-30T10:00+0000"}`)
	got, reply, err := upstream.Send[thing](t.Context(), s, upstream.Request{
		Method: http.MethodPut, Path: upstream.Path("/v1/things", "a/b ?"), Query: url.Values{"x": {"1&2"}},
		Header: map[string]string{"If-Match": "7"}, Body: map[string]string{"name": "a"},
	})
	if err != nil || got.Name != "a" || !got.At.Equal(time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)) || reply.Status != http.StatusOK {
		t.Fatalf("%+v, %+v, %v", got, reply, err)
	}
	r, body := last()
	if r.Method != http.MethodPut || r.RequestURI != "/v1/things/a%2Fb%20%3F?x=1%262" || body != `{"name":"a"}` ||
		r.Header.Get("If-Match") != "7" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json" {
		t.Errorf("%s %s %v %s", r.Method, r.RequestURI, r.Header, body)
	}
}

func TestAPathMayEndWithASlash(t *testing.T) {
	s, last := answering(t, http.StatusOK, `{}`)
	if _, err := upstream.Do(t.Context(), s, upstream.Request{Method: http.MethodGet, Path: upstream.Path("/v1/things"), Slash: true}); err != nil {
		t.Fatal(err)
	}
	if r, _ := last(); r.RequestURI != "/v1/things/" {
		t.Error(r.RequestURI)
	}
}

func TestAPathIsNeverThatOfAnotherObject(t *testing.T) {
	s, last := answering(t, http.StatusOK, `{}`)
	for _, id := range []string{"", ".", ".."} {
		_, err := upstream.Do(t.Context(), s, upstream.Request{Method: http.MethodDelete, Path: upstream.Path("/v1/things", id)})
		if err = upstream.IAM.Judge(t.Context(), "deleting", "", nil, err); !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "not sent") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if r, _ := last(); r != nil {
		t.Errorf("%s was sent", r.URL)
	}
}

func TestAnAnswerIsJudgedByItsStatusAndWords(t *testing.T) {
	for sentence, row := range map[string]struct {
		status  int
		body    string
		meaning error
		words   string
	}{
		"an error has its code and its words":   {403, `{"errors":[{"code":"a","message":"b","details":"c"},{"code":"d"}]}`, port.ErrDenied, "status 403 a b (c)"},
		"details of another form are left out":  {404, `{"errors":[{"code":"a","details":{}}]}`, port.ErrNotFound, "status 404 a"},
		"a second error may have any form":      {400, `{"errors":[{"code":"a"},"hunter2"]}`, port.ErrRefused, "status 400 a"},
		"an error without errors has a status":  {409, `{"errors":[]}`, port.ErrConflict, "status 409"},
		"an error that is no JSON has a status": {400, `hunter2`, port.ErrRefused, "status 400"},
		"errors of another form are left out":   {400, `{"errors":"hunter2"}`, port.ErrRefused, "status 400"},
		"a success that can't be read is none":  {200, `{"name":["hunter2"]}`, port.ErrUnavailable, "status 200 (the answer can't be read)"},
		"a time of another form is none":        {200, `{"at":"hunter2"}`, port.ErrUnavailable, "status 200 (the answer can't be read)"},
		"a redirect is no answer":               {302, `{"name":"a"}`, port.ErrUnavailable, "status 302 (the answer can't be read)"},
		"the limit may be a message code only":  {422, `{"errors":[{"code":"any","message_code":"BXNIM0151E","message":"full"}]}`, port.ErrQuota, "status 422 any full"},
		"a secret that is quoted is left out":   {400, `{"errors":[{"code":"a","message":"not s3cret-s3cret"}]}`, port.ErrRefused, "status 400 a not [secret]"},
	} {
		s, _ := answering(t, row.status, row.body)
		got, reply, err := upstream.Send[thing](t.Context(), s, upstream.Request{Method: http.MethodGet, Path: upstream.Path("/v1/things")})
		if got != nil || reply == nil {
			t.Errorf("%s: %v, reply %v", sentence, got, reply)
			continue
		}
		err = upstream.IAM.Judge(t.Context(), "reading", "", reply, err, secret.New("s3cret-s3cret"))
		if !errors.Is(err, row.meaning) || !strings.HasSuffix(err.Error(), row.words) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestASuccessMayHaveNoContent(t *testing.T) {
	s, _ := answering(t, http.StatusNoContent, "")
	got, reply, err := upstream.Send[thing](t.Context(), s, upstream.Request{Method: http.MethodGet, Path: upstream.Path("/v1/things")})
	if got != nil || reply.Status != http.StatusNoContent || err != nil {
		t.Errorf("%v, %v, %v", got, reply, err)
	}
	if err := upstream.IAM.Judge(t.Context(), "reading", "", reply, err); err != nil {
		t.Error(err)
	}
}

func TestTheFormsOfATime(t *testing.T) {
	minute := time.Date(2026, 11, 30, 10, 20, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		`"2026-11-30T10:20:00Z"`: minute, `"2026-11-30T10:20+0000"`: minute, `"2026-11-30T10:20Z"`: minute, `"2026-11-30T11:20:00+01:00"`: minute,
		`"2026-11-30T10:20:00.000Z"`: minute, `"2026-11-30T10:20:00.000+0000"`: minute, `"2026-11-30T10:20:00"`: minute, `"2026-11-30T10:20"`: minute,
		`"2026-11-30"`: minute.Truncate(24 * time.Hour), `null`: {}, `""`: {},
	} {
		var got upstream.Time
		if err := json.Unmarshal([]byte(text), &got); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
