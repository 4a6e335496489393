package userfile_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/userfile"
)

// pipe returns a named pipe.
func pipe(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// open reads a file that Open opens.
func open(ctx context.Context, name string) ([]byte, error) {
	f, err := userfile.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func TestReadingEndsWithTheContext(t *testing.T) {
	for name, read := range map[string]func(context.Context, string) ([]byte, error){"Read": userfile.Read, "Open": open} {
		t.Run(name, func(t *testing.T) {
			file := pipe(t)
			told := errors.New("told to end")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(told)
			text, err := read(ctx, file)
			if want := "reading " + file + ": told to end"; text != nil || !errors.Is(err, told) || err.Error() != want {
				t.Errorf("%q, %v, want %s", text, err, want)
			}
		})
	}
}

func TestAPipeIsReadToItsEnd(t *testing.T) {
	for name, read := range map[string]func(context.Context, string) ([]byte, error){"Read": userfile.Read, "Open": open} {
		t.Run(name, func(t *testing.T) {
			file := pipe(t)
			written := make(chan error)
			go func() { written <- os.WriteFile(file, []byte("text"), 0o600) }()
			if text, err := read(t.Context(), file); string(text) != "text" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}

// What is left to do after a signal may need a file.
func TestARegularFileIsReadAfterTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "file")
	if _, err := userfile.Read(ctx, file); !errors.Is(err, fs.ErrNotExist) || err.Error() != "open "+file+": no such file or directory" {
		t.Errorf("a file that does not exist: %v", err)
	}
	if _, err := userfile.Read(ctx, filepath.Dir(file)); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(context.Context, string) ([]byte, error){"Read": userfile.Read, "Open": open} {
		if text, err := read(ctx, file); string(text) != "text" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
