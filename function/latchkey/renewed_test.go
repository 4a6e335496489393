package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestATokenInAFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	const one, two, three = "one-0123456789abcdef", "two-0123456789abcdef", "three-0123456789abcdef"
	put(t, file, one+"\n")
	tokens, err := readSecrets(t.Context(), nil, webhook.Bearer, []secret.Source{{At: "events.auth.bearerFile", File: file}})
	if err != nil {
		t.Fatal(err)
	}
	v := tokens[0]
	for _, step := range []struct{ text, want string }{{one + "\n", one}, {two + "\n", two}, {"\n", two}, {"short", two}, {three, three}} {
		put(t, file, step.text)
		if !v.Equal(secret.New(step.want)) {
			t.Errorf("with %q it is not %s", step.text, step.want)
		}
	}
	if err := os.Remove(file); err != nil || !v.Equal(secret.New(three)) {
		t.Errorf("without the file it is not the last one (%v)", err)
	}
}

func TestAHooksSecretInAFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	const one, two = "hook-one-0123456789abcdef", "hook-two-0123456789abcdef"
	put(t, file, one)
	hook := &config.Hook{Name: "desk", Verify: config.Verify{Scheme: "github", Secrets: []secret.Source{{File: file}}}}
	hooks, err := newHooks(t.Context(), nil, []*config.Hook{hook}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	v := hooks[0].Verifier
	holds := func(key string) bool {
		m := hmac.New(sha256.New, []byte(key))
		_, _ = m.Write([]byte("{}"))
		claim, err := v.Claim(http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(m.Sum(nil))}})
		return err == nil && claim.Holds([]byte("{}"))
	}
	if !holds(one) || holds(two) {
		t.Error("the first secret")
	}
	put(t, file, two)
	if holds(one) || !holds(two) {
		t.Error("the second secret")
	}
	put(t, file, "short")
	if !holds(two) {
		t.Error("a secret that is not valid has replaced a valid one")
	}
}
