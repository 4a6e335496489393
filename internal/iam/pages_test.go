package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
)

// endless gives each list another page, and counts them.
type endless struct {
	http.RoundTripper
	pages int
}

func (e *endless) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := e.RoundTripper.RoundTrip(req)
	list := strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), "s") && req.Method == http.MethodGet
	if err != nil || !list {
		return resp, err
	}
	e.pages++
	var page map[string]any
	err = json.NewDecoder(resp.Body).Decode(&page)
	_ = resp.Body.Close()
	token := fmt.Sprint("t", e.pages)
	page["next"] = "https://iam.cloud.ibm.com/v1/list?pagetoken=" + token
	if _, policies := page["policies"]; policies {
		page["next"] = map[string]string{"start": token}
	}
	text, merr := json.Marshal(page)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	resp.Header.Del("Content-Length")
	return resp, errors.Join(err, merr)
}

// first returns the request for the first page: the emulator does not know the tokens.
func (e *endless) first(req *http.Request) *http.Request {
	req = req.Clone(req.Context())
	q := req.URL.Query()
	q.Del("pagetoken")
	q.Del("start")
	req.URL.RawQuery = q.Encode()
	return req
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestAListWithMorePagesThanIAMCanHaveEndsSoon(t *testing.T) {
	plain := newWorld(t, nil)
	id := plain.identity("c")
	e := &endless{}
	w := newWorldOn(t, plain.cloud, func(c *Config) {
		e.RoundTripper = c.HTTP.Transport
		c.HTTP.Transport = roundTrip(func(req *http.Request) (*http.Response, error) { return e.RoundTrip(e.first(req)) })
	})
	for name, read := range map[string]struct {
		most int
		do   func() error
	}{
		"the keys of an identity":     {mostOfKeys, func() error { _, err := w.List(t.Context(), id.IAMID, "c"); return err }},
		"the policies of an identity": {mostOfPolicies, func() error { _, err := w.Granted(t.Context(), id.IAMID); return err }},
		"service IDs with one name":   {mostNamed, func() error { _, _, err := w.Find(t.Context(), "c"); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			e.pages = 0
			if err := read.do(); !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "does not end") || e.pages > read.most {
				t.Errorf("%d pages: %v", e.pages, err)
			}
		})
	}
}
