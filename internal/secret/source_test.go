package secret_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-io/latchkey/internal/secret"
)

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASecretInAFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	put(t, file, "one\n")
	v, err := secret.Renewed(func() (secret.Value, error) { return secret.Read(nil, "", file) })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ text, want string }{{"one\n", "one"}, {"two\n", "two"}, {"\n", "two"}, {"three", "three"}} {
		put(t, file, step.text)
		if !v.Equal(secret.New(step.want)) {
			t.Errorf("with %q it is not %s", step.text, step.want)
		}
	}
	if err := os.Remove(file); err != nil || !v.Equal(secret.New("three")) {
		t.Errorf("without the file it is not the last one (%v)", err)
	}
}
