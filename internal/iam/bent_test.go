package iam

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bender changes answers in ways that the emulator does not.
type bender struct {
	next   http.RoundTripper
	change func(*http.Response)
}

func (b bender) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Request = req.Clone(req.Context())
	resp.Request.Body = io.NopCloser(bytes.NewReader(sent))
	b.change(resp)
	return resp, nil
}

func (b bender) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// bend is for newWorld.
func bend(change func(*http.Response)) func(*Config) {
	return func(c *Config) {
		c.HTTP = &http.Client{Transport: bender{next: c.HTTP.Transport, change: change}}
	}
}

func sentBody(r *http.Request) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func setText(r *http.Response, s string) {
	_ = r.Body.Close()
	r.Body = io.NopCloser(strings.NewReader(s))
	r.ContentLength = int64(len(s))
	r.Header.Del("Content-Length")
}

func setBody(r *http.Response, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	setText(r, string(b))
}

// rewrite changes the fields of a JSON object.
func rewrite(r *http.Response, change func(map[string]any)) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	var body map[string]any
	if json.Unmarshal(b, &body) != nil {
		setText(r, string(b))
		return
	}
	change(body)
	setBody(r, body)
}
