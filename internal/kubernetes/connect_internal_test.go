package kubernetes

import (
	"bytes"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPodFindsItsCluster(t *testing.T) {
	api := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	one := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
	for name, c := range map[string]struct {
		host, port string
		files      map[string]string
		base, says string // says is of the error
		logs       string
	}{
		"no pod":             {says: "no pod"},
		"no port":            {host: "10.0.0.1", says: "no pod"},
		"no token":           {host: "10.0.0.1", port: "443", says: "no such file"},
		"an empty token":     {host: "10.0.0.1", port: "443", files: map[string]string{"token": "\n"}, says: "is empty"},
		"an authority":       {host: "10.0.0.1", port: "443", files: map[string]string{"token": "t\n", "ca.crt": one}, base: "https://10.0.0.1:443"},
		"a name":             {host: "kube.example", port: "6443", files: map[string]string{"token": "t", "ca.crt": one}, base: "https://kube.example:6443"},
		"an IPv6 address":    {host: "fd00::1", port: "443", files: map[string]string{"token": "t", "ca.crt": one}, base: "https://[fd00::1]:443"},
		"no authority":       {host: "10.0.0.1", port: "443", files: map[string]string{"token": "t"}, base: "https://10.0.0.1:443", logs: "no certificate authority"},
		"an authority: none": {host: "10.0.0.1", port: "443", files: map[string]string{"token": "t", "ca.crt": "x"}, base: "https://10.0.0.1:443", logs: "no certificate authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBERNETES_SERVICE_HOST", c.host)
			t.Setenv("KUBERNETES_SERVICE_PORT", c.port)
			in, logged := t.TempDir(), new(bytes.Buffer)
			for name, text := range c.files {
				if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, err := inCluster(t.Context(), folder(in), slog.New(slog.NewTextHandler(logged, nil)))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want one that says %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.base != c.base || s.login.token != "t" || s.login.tokenFile != "token" || s.login.in != folder(in) || (s.trust.RootCAs == nil) != (c.logs != "") {
				t.Errorf("%+v", s)
			}
			if !strings.Contains(logged.String(), c.logs) || c.logs == "" && logged.Len() > 0 {
				t.Errorf("logged %q", logged)
			}
		})
	}
}
