package fence

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// counter is a transport that counts what it sends.
type counter struct{ sent, closed int }

func (c *counter) RoundTrip(*http.Request) (*http.Response, error) {
	c.sent++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func (c *counter) CloseIdleConnections() { c.closed++ }

// body notes that it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestFenceWritesSendsNoWriteOfARunThatIsTooOld(t *testing.T) {
	tooOld := errors.New("too old")
	for method, write := range map[string]bool{
		"": false, "GET": false, "HEAD": false, "OPTIONS": false, "LIST": false,
		"POST": true, "PUT": true, "PATCH": true, "DELETE": true, "SCAN": true,
	} {
		for name, check := range map[string]func() error{"young": func() error { return nil }, "too old": func() error { return tooOld }, "none": nil} {
			ctx := t.Context()
			if check != nil {
				ctx = WithCheck(ctx, check)
			}
			next, sent := &counter{}, &body{Reader: strings.NewReader("x")}
			req := (&http.Request{Method: method, Body: sent}).WithContext(ctx)
			resp, err := Writes(next).RoundTrip(req)
			if resp != nil {
				resp.Body.Close()
			}
			refused := write && name == "too old"
			if refused != errors.Is(err, tooOld) || refused != sent.closed || (next.sent == 0) != refused {
				t.Errorf("%q in a run that is %s: %v; %d sent, body closed: %v", method, name, err, next.sent, sent.closed)
			}
		}
	}
}

func TestFenceWritesClosesIdleConnections(t *testing.T) {
	next := &counter{}
	(&http.Client{Transport: Writes(next)}).CloseIdleConnections()
	if next.closed != 1 {
		t.Errorf("closed %d times", next.closed)
	}
}

func TestMayWriteAllowsAContextWithoutARun(t *testing.T) {
	if err := MayWrite(context.Background()); err != nil {
		t.Error(err)
	}
}
