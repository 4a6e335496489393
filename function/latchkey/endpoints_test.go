package main

import (
	"bytes"
	"cmp"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/hosts"
)

// calledHosts runs a command on a new emulator and returns the hosts that its requests
// name. IAM's are those that name the emulator itself.
func calledHosts(t *testing.T, private bool, args ...string) (called []string) {
	t.Helper()
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	to, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		mu.Lock()
		defer mu.Unlock()
		called = append(called, r.In.Host)
	}})
	defer front.Close()
	env := func(name string) string {
		if name == "IBMCLOUD_API_KEY" {
			return server.Cloud().Minter().APIKey
		}
		return ""
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), append(args, "--endpoint", front.URL), env, nil, &out, &errs); code == 1 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	itself := front.Listener.Addr().String()
	for i, host := range called {
		if host == itself {
			called[i] = hosts.IAM(private)
		}
	}
	slices.Sort(called)
	return slices.Compact(called)
}

func TestNothingIsCalledThatValidateDoesNotList(t *testing.T) {
	for _, example := range []string{"emulator.yaml", "access.yaml", "hooks/emulator.yaml"} {
		text, err := os.ReadFile("../../deploy/examples/" + example)
		if err != nil {
			t.Fatal(err)
		}
		for _, endpoints := range []string{config.Public, config.Private} {
			t.Run(example+", "+endpoints+" endpoints", func(t *testing.T) {
				changed := append(slices.Clone(text), "\nendpoints: "+endpoints+"\n"...)
				file := filepath.Join(t.TempDir(), "latchkey.yaml")
				if err := os.WriteFile(file, changed, 0o600); err != nil {
					t.Fatal(err)
				}
				cfg, err := config.Load(file, changed)
				if err != nil {
					t.Fatal(err)
				}
				var listed []string
				for _, e := range cfg.Needs().Endpoints {
					listed = append(listed, e.Host)
				}
				swept := calledHosts(t, endpoints == config.Private, "sweep", "--config", file)
				for _, host := range append(swept, calledHosts(t, endpoints == config.Private, "doctor", "--config", file)...) {
					if !slices.Contains(listed, host) {
						t.Errorf("%s is called and not listed", host)
					}
				}
				for _, host := range listed {
					if !slices.Contains(swept, host) {
						t.Errorf("%s is listed, and the sweep does not call it", cmp.Or(host, "a kubeconfig"))
					}
				}
			})
		}
	}
}
