package kubernetes_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/port"
)

var authority = regexp.MustCompile(`certificate-authority-data"?: ?"?([A-Za-z0-9+/=]+)"?`)

func TestAPathInAKubeconfigIsTakenFromItsFolder(t *testing.T) {
	k := newCorner(t, kubetest.Fake(t))
	text := string(k.Kubeconfig(k.proxy))
	found := authority.FindStringSubmatch(text)
	if found == nil {
		t.Fatal("the kubeconfig has no authority")
	}
	ca, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	quote := ""
	if strings.Contains(found[0], `"`) {
		quote = `"`
	}
	text = strings.Replace(text, found[0], "certificate-authority"+quote+": "+`"ca.pem"`, 1)
	for file, want := range map[string]error{filepath.Join(folder, "config"): port.ErrNotFound, "": port.ErrRefused} {
		s := kubernetes.New(kubernetes.Config{File: file, Kubeconfig: func(context.Context) ([]byte, error) { return []byte(text), nil }}).
			Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: "a", Entry: "b"})
		if _, err := s.Read(t.Context()); !errors.Is(err, want) {
			t.Errorf("file %q: %v", file, err)
		}
	}
}

func TestAKubeconfigThatRunsAProgramOrReadsAForeignFileIsRefused(t *testing.T) {
	k := newCorner(t, kubetest.Fake(t))
	folder := t.TempDir()
	file := filepath.Join(folder, "config")
	marker := filepath.Join(folder, "marker")
	for name, tc := range map[string]struct {
		cluster, user map[string]any
		file, says    string
	}{
		"an exec plugin": {user: map[string]any{"exec": map[string]any{
			"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": []string{marker}, "interactiveMode": "Never",
		}}, file: file, says: "exec"},
		"an auth provider":                        {user: map[string]any{"auth-provider": map[string]any{"name": "oidc"}}, file: file, says: "auth-provider"},
		"a token file elsewhere":                  {user: map[string]any{"tokenFile": "/etc/hostname"}, file: file, says: "tokenFile"},
		"a token file above the folder":           {user: map[string]any{"tokenFile": "../token"}, file: file, says: "tokenFile"},
		"a certificate elsewhere":                 {user: map[string]any{"client-certificate": "/etc/hostname"}, file: file, says: "client-certificate"},
		"a client key elsewhere":                  {user: map[string]any{"client-key": folder + "/../key"}, file: file, says: "client-key"},
		"an authority elsewhere":                  {cluster: map[string]any{"certificate-authority": "/etc/hostname"}, file: file, says: "certificate-authority"},
		"an empty token":                          {user: map[string]any{"token": ""}, file: file, says: "no token"},
		"a file, where the text is in a variable": {user: map[string]any{"tokenFile": "token"}, says: "from a variable"},
	} {
		t.Run(name, func(t *testing.T) {
			var config map[string]any
			if err := json.Unmarshal(k.Kubeconfig(k.proxy), &config); err != nil {
				t.Fatal(err)
			}
			for list, fields := range map[string]map[string]any{"clusters": tc.cluster, "users": tc.user} {
				item := config[list].([]any)[0].(map[string]any)[strings.TrimSuffix(list, "s")].(map[string]any)
				for field, value := range fields {
					item[field] = value
				}
			}
			text, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			s := kubernetes.New(kubernetes.Config{File: tc.file, Kubeconfig: func(context.Context) ([]byte, error) { return text, nil }}).
				Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: "a", Entry: "b"})
			if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v: want a refusal that says %q", err, tc.says)
			}
			if _, err := os.Stat(marker); err == nil {
				t.Error("the program ran")
			}
		})
	}
}

func TestAKubeconfigIsReadAgain(t *testing.T) {
	k := newCorner(t, kubetest.Fake(t))
	text, failing := k.Kubeconfig(k.proxy), error(nil)
	good := text
	s := kubernetes.New(kubernetes.Config{Kubeconfig: func(context.Context) ([]byte, error) { return text, failing }}).
		Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: "a", Entry: "b"})
	for name, step := range []struct {
		text []byte
		err  error
		want error
	}{
		{nil, errors.New("missing"), port.ErrRefused},
		{good, nil, port.ErrNotFound},
		{nil, errors.New("being replaced"), port.ErrNotFound},
		{[]byte(strings.ReplaceAll(string(good), "rotator-token", "other-token")), nil, port.ErrDenied},
		{good, nil, port.ErrNotFound},
	} {
		text, failing = step.text, step.err
		if _, err := s.Read(t.Context()); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", name, err, step.want)
		}
	}
}
