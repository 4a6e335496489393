package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

// clockCounted puts a proxy before an emulator, and counts how often its clock is asked for.
func clockCounted(t *testing.T, server *emulator.Server) (front string, asked *atomic.Int64) {
	t.Helper()
	to, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int64{}
	proxy := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/emulator/clock" {
			asked.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// The answers of the emulator show its clock, so a job asks for it once before its login and
// once when its run begins, however many credentials there are, and again only when no call
// has shown it for 50 milliseconds.
func TestTheEmulatorsClockIsAskedForOncePerRun(t *testing.T) {
	for _, n := range []int{1, 12} {
		t.Run(fmt.Sprintf("%d credentials", n), func(t *testing.T) {
			server, err := emulator.Start(emulator.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			front, asked := clockCounted(t, server)
			var config strings.Builder
			config.WriteString("version: 1\nowner: clock\ncredentials:\n")
			folder := t.TempDir()
			for i := range n {
				fmt.Fprintf(&config, "- {name: c%d, serviceID: {name: c%[1]d, policies: [{service: logs, roles: [Sender]}]}, stores: [{file: {path: %q}}]}\n", i, filepath.Join(folder, fmt.Sprint(i)))
			}
			file := filepath.Join(folder, "latchkey.yaml")
			if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{"IBMCLOUD_API_KEY": server.Cloud().Minter().APIKey, "LATCHKEY_ENDPOINT": front}
			for _, run := range []string{"creates the keys", "needs nothing", "rotates the keys, 61 days later"} {
				asked.Store(0)
				var out, errs bytes.Buffer
				began := time.Now()
				if code := runJob(t, file, env, &out, &errs); code != cli.ExitOK {
					t.Fatalf("exit %d: %s", code, &errs)
				}
				if got, slow := asked.Load(), int64(time.Since(began)/(50*time.Millisecond)); got < 2 || got > 2+slow {
					t.Errorf("the run that %s asks for the clock %d times, want 2 and at most %d more", run, got, slow)
				}
				if run == "needs nothing" {
					server.Advance(61 * 24 * time.Hour)
				}
			}
			if keys := len(server.State(false).APIKeys) - 1; keys < 2*n {
				t.Errorf("%d keys, want two of each credential", keys)
			}
		})
	}
}

func runJob(t *testing.T, file string, env map[string]string, out, errs *bytes.Buffer) int {
	t.Helper()
	return run(t.Context(), []string{"job", "--config", file}, func(name string) string { return env[name] }, nil, out, errs)
}
