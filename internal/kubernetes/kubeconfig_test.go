package kubernetes_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/reconcile"
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
	for file, want := range map[string]error{filepath.Join(folder, "config"): reconcile.ErrNotFound, "": reconcile.ErrRefused} {
		s := kubernetes.New(kubernetes.Config{File: file, Kubeconfig: func() ([]byte, error) { return []byte(text), nil }}).
			Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: "a", Entry: "b"})
		if _, err := s.Read(t.Context()); !errors.Is(err, want) {
			t.Errorf("file %q: %v", file, err)
		}
	}
}

func TestAKubeconfigIsReadAgain(t *testing.T) {
	k := newCorner(t, kubetest.Fake(t))
	text, failing := k.Kubeconfig(k.proxy), error(nil)
	good := text
	s := kubernetes.New(kubernetes.Config{Kubeconfig: func() ([]byte, error) { return text, failing }}).
		Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: "a", Entry: "b"})
	for name, step := range []struct {
		text []byte
		err  error
		want error
	}{
		{nil, errors.New("missing"), reconcile.ErrRefused},
		{good, nil, reconcile.ErrNotFound},
		{nil, errors.New("being replaced"), reconcile.ErrNotFound},
		{[]byte(strings.ReplaceAll(string(good), "rotator-token", "other-token")), nil, reconcile.ErrDenied},
		{good, nil, reconcile.ErrNotFound},
	} {
		text, failing = step.text, step.err
		if _, err := s.Read(t.Context()); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", name, err, step.want)
		}
	}
}
