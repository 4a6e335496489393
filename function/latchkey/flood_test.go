package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/service"
)

// flooded is a service with rules, and the record of an audit event that is not
// for us, as a request.
func flooded(tb testing.TB) (http.Handler, *http.Request, []byte) {
	tb.Helper()
	text, err := os.ReadFile("../../deploy/examples/full.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := config.Load("full.yaml", text)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := os.ReadFile("../../internal/event/testdata/audit-key-created.http")
	if err != nil {
		tb.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		tb.Fatal(err)
	}
	s := service.New(tb.Context(), service.Config{
		Identity: noLogin{}, Now: time.Now, Events: service.Events{Rules: newRuleset(cfg.Rules)}, Log: slog.New(slog.DiscardHandler), Calls: rate.NewLimiter(0, 0),
	})
	return s.Handler(), r, raw
}

// noLogin is an identity that cannot log in.
type noLogin struct{}

var errNoLogin = errors.New("no login")

func (noLogin) Self(context.Context) (string, error) { return "", errNoLogin }
func (noLogin) Usable(context.Context) error         { return errNoLogin }
func (noLogin) Owner(context.Context, secret.Value) (keyID, credential string, err error) {
	return "", "", errNoLogin
}

// bare reads the headers and the body of an event, and asks nothing of them.
func bare(w http.ResponseWriter, r *http.Request) {
	seen := 0
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Ce-") {
			seen += len(values[0])
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || seen+len(body) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// A flood has no token, and no look is left here: only what asks nothing gets
// through.
func TestAFloodOfAuditEventsUsesNoLook(t *testing.T) {
	h, _, raw := flooded(t)
	for action, want := range map[string]int{
		"iam-identity.serviceid-apikey.create": http.StatusNoContent,
		"iam-identity.serviceid-apikey.delete": http.StatusTooManyRequests, // a rule may match it
		"iam-identity.serviceid-apikey.update": http.StatusNoContent,
	} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.Replace(raw, []byte("iam-identity.serviceid-apikey.create"), []byte(action), 1))))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", action, w.Code, want)
		}
	}
}

// BenchmarkAuditEvents gives the CPU time per audit event that is not for us, as
// a multiple of what a handler costs that only reads the same headers and body:
// over the wire, both with net/http, which is what a flood costs; and that of
// the handlers alone. Blocks of the two take turns, so that both see the same
// machine.
func BenchmarkAuditEvents(b *testing.B) {
	ours, template, raw := flooded(b)
	body, err := io.ReadAll(template.Body)
	if err != nil {
		b.Fatal(err)
	}
	const block = 2000

	b.Run("wire", func(b *testing.B) {
		send := func(h http.Handler) func() {
			server := httptest.NewServer(h)
			b.Cleanup(server.Close)
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { conn.Close() })
			answers := bufio.NewReader(conn)
			return func() {
				for range block {
					if _, err := conn.Write(raw); err != nil {
						b.Fatal(err)
					}
					status, err := answers.ReadString('\n')
					for line := status; err == nil && line != "\r\n"; {
						line, err = answers.ReadString('\n')
					}
					if err != nil || !strings.Contains(status, "204") {
						b.Fatal(status, err)
					}
				}
			}
		}
		compare(b, send(http.HandlerFunc(bare)), send(ours), block)
	})
	b.Run("handlers", func(b *testing.B) {
		call := func(h http.Handler) func() {
			return func() {
				for range block {
					r := *template
					r.Body = io.NopCloser(bytes.NewReader(body))
					w := httptest.NewRecorder()
					h.ServeHTTP(w, &r)
					if w.Code != http.StatusNoContent {
						b.Fatal(w.Code)
					}
				}
			}
		}
		compare(b, call(http.HandlerFunc(bare)), call(ours), block)
	})
}

func compare(b *testing.B, reference, ours func(), block int) {
	b.Helper()
	reference()
	ours()
	var base, cost time.Duration
	for b.Loop() {
		start := cpu(b)
		reference()
		middle := cpu(b)
		ours()
		base, cost = base+middle-start, cost+cpu(b)-middle
	}
	n := float64(b.N * block)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(cost)/float64(base), "x-bare")
	b.ReportMetric(float64(cost)/n, "ns-cpu/event")
	b.Logf("%s", fmt.Sprintf("%.0f ns of CPU per event, bare %.0f", float64(cost)/n, float64(base)/n))
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
