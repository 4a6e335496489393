package secret_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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
	v, err := secret.Renewed(func() (secret.Value, error) { return secret.Read(t.Context(), nil, "", file) })
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

func TestTheSecretsOfASender(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"ONE": "secret-one", "SAME": " secret-one\n", "TWO": "secret-two", "SHORT": "no"}[name]
	}
	check := func(v secret.Value) error {
		if v.Len() < 5 {
			return errors.New("is too short")
		}
		return nil
	}
	of := func(sender string, names ...string) (sources []secret.Source) {
		for _, name := range names {
			sources = append(sources, secret.Source{At: sender + "." + name, Env: name, Sender: sender})
		}
		return sources
	}
	for name, tc := range map[string]struct {
		sources              []secret.Source
		all, separate, there string // the errors of ReadAll, Separate and Missing
	}{
		"none":                                     {nil, "", "", ""},
		"two of one sender":                        {of("a", "ONE", "TWO"), "", "", ""},
		"one sender may list one secret twice":     {of("a", "ONE", "SAME"), "", "", ""},
		"two senders have one":                     {slices.Concat(of("a", "ONE"), of("b", "TWO", "SAME")), "", "reading b.SAME: it is the secret of a, too: each sender needs its own", ""},
		"latchkey's own may be a sender's, too":    {slices.Concat(of("a", "ONE"), of("", "SAME")), "", "", ""},
		"one is not suitable":                      {of("a", "ONE", "SHORT"), "reading a.SHORT: SHORT is too short", "", ""},
		"one is missing, so the other is not used": {of("a", "ONE", "NONE"), "reading a.NONE: NONE is not set", "reading a.NONE: NONE is not set", "reading a.NONE: NONE is not set"},
		"all that are missing are named":           {of("a", "NONE", "NIL"), "reading a.NONE: NONE is not set", "reading a.NONE: NONE is not set", "reading a.NONE: NONE is not set\nreading a.NIL: NIL is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := secret.ReadAll(t.Context(), env, tc.sources, check)
			if text(err) != tc.all || (err == nil) != (len(values) == len(tc.sources)) {
				t.Errorf("ReadAll returned %d values, %q", len(values), text(err))
			}
			if got := text(secret.Separate(t.Context(), env, tc.sources)); got != tc.separate {
				t.Errorf("Separate returned %q", got)
			}
			if got := text(secret.Missing(t.Context(), env, tc.sources)); got != tc.there {
				t.Errorf("Missing returned %q", got)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWhatAnEditorAddsIsNoPartOfASecret(t *testing.T) {
	for name, text := range map[string]string{
		"a line break":                            "the secret\n",
		"the line break of Windows":               "the secret\r\n",
		"a byte order mark":                       "\ufeffthe secret",
		"a byte order mark and a line break":      "\ufeffthe secret\r\n",
		"blanks before it and several at the end": "  the secret \n\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, from := range [][2]string{{"", path}, {"SECRET", ""}} {
				v, err := secret.Read(t.Context(), func(string) string { return text }, from[0], from[1])
				if err != nil || v.Expose() != "the secret" {
					t.Errorf("%q: %v, want the secret alone", from, err)
				}
			}
		})
	}
}
