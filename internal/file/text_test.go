package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

func TestATextKeepsTheContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
		path := filepath.Join(t.TempDir(), "config.json")
		store := func() port.Store { return file.NewText(path, "prod", storetest.Form(false)) }
		return storetest.Location{
			Store: store(), Other: store(),
			Handwrite: func(t *testing.T, value string) { write(t, path, value, 0o600) },
			Remove: func(t *testing.T) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
			Misnamed: map[string]port.Store{
				"the name of the file beside it is too long": file.NewText(filepath.Join(filepath.Dir(path), strings.Repeat("a", 240)), "prod", storetest.Form(false)),
			},
		}
	}})
}

func TestATextHasItsDescriptionBesideIt(t *testing.T) {
	line, err := format.Parse(format.Properties("apikey"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "kafka.properties")
	s := file.NewText(path, "prod", &format.Form{First: line})
	if err := s.Publish(t.Context(), entry(), ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "apikey="+canary+"\n" {
		t.Errorf("the file is %q, %v", text, err)
	}
	described, err := os.ReadFile(path + ".latchkey")
	if err != nil || !strings.Contains(string(described), `"key_id": "ApiKey-1"`) || strings.Contains(string(described), canary) {
		t.Errorf("the description is %s, %v", described, err)
	}
	if got, want := names(t, dir), []string{"kafka.properties", "kafka.properties.latchkey", "kafka.properties.lock"}; !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
	for _, name := range []string{path, path + ".latchkey"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// A crash between the two files leaves the description of the new key beside the old text.
func TestATextThatDoesNotFitItsDescriptionIsAltered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	s := file.NewText(path, "prod", storetest.Form(false))
	if err := s.Publish(t.Context(), entry(), ""); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := entry()
	next.KeyID, next.Value = "ApiKey-2", secret.New("another-"+canary)
	if err := s.Publish(t.Context(), next, before.Revision); err != nil {
		t.Fatal(err)
	}
	write(t, path, string(old), 0o600)
	got, err := s.Read(t.Context())
	if err != nil || got.KeyID != "ApiKey-2" || got.Value.Equal(next.Value) { // the print of the key shows that
		t.Errorf("it names key %s, %v", got.KeyID, err)
	}
	if err := s.Publish(t.Context(), next, got.Revision); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(t.Context()); err != nil || !got.Value.Equal(next.Value) {
		t.Errorf("the text is not repaired: %v", err)
	}
	if err := s.Publish(t.Context(), next, before.Revision); !errors.Is(err, port.ErrConflict) {
		t.Errorf("publishing at a stale revision: %v", err)
	}
}
