package file_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// fault is what becomes of a key file, its directory or its disk.
type fault struct {
	make func(t *testing.T, path string)
	want error // of Read and of Publish
	says string
	// harmless is a fault that keeps no write from succeeding.
	harmless bool
	root     bool // only root can make it
}

// stage puts a directory with a key file at the path, and returns the path.
type stage func(t *testing.T) (path string)

// try makes the fault before a read, and between a read and a write. Neither
// operation may take it for an absent entry, quote the value or change the file.
// What keeps the key from being written keeps it from being made: Read fails, too.
func (f fault) try(t *testing.T, at stage) {
	t.Helper()
	for _, first := range []bool{false, true} {
		for _, when := range []string{"before the read", "before the write"} {
			path := at(t)
			s := file.New(path, "prod")
			if !first {
				if err := s.Publish(t.Context(), entry(), ""); err != nil {
					t.Fatal(err)
				}
			}
			revision := ""
			if when == "before the write" {
				e, err := s.Read(t.Context())
				if err != nil && !errors.Is(err, port.ErrNotFound) {
					t.Fatal(err)
				}
				revision = e.Revision
			}
			f.make(t, path)
			before := content(path)
			_, read := s.Read(t.Context())
			next := entry()
			next.KeyID, next.Value = "ApiKey-2", secret.New(strings.Replace(canary, "hunter2", "hunter3", 1))
			write := s.Publish(t.Context(), next, revision)
			name := fmt.Sprintf("%s, the first key: %v", when, first)
			for what, err := range map[string]error{"Read": read, "Publish": write} {
				switch {
				case f.harmless:
				case err == nil:
					t.Errorf("%s: %s succeeds", name, what)
				case errors.Is(err, port.ErrNotFound):
					t.Errorf("%s: %s says that nothing is there: %v", name, what, err)
				case what == "Publish" && errors.Is(err, port.ErrConflict):
				case !errors.Is(err, f.want):
					t.Errorf("%s: %s: %v, want %v", name, what, err, f.want)
				case what == "Read" && !strings.Contains(err.Error(), f.says):
					t.Errorf("%s: %s: %v, want %q", name, what, err, f.says)
				}
				if err != nil && strings.Contains(err.Error(), "hunter") {
					t.Errorf("%s: %s quotes a value: %v", name, what, err)
				}
			}
			if after := content(path); write != nil && after != before {
				t.Errorf("%s: the file was changed:\n%s\nnow\n%s", name, before, after)
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(path), ".key.json.unfinished")); err == nil && !strings.Contains(f.says, "unfinished") {
				t.Errorf("%s: the unfinished file is left", name)
			}
			t.Logf("%-16s first %-5v Read: %v; Publish: %v", when, first, read, write)
		}
	}
}

// content describes what is at a path.
func content(path string) string {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Sprint(info, err)
	}
	text, err := os.ReadFile(path)
	return fmt.Sprint(string(text), err)
}

// replaced removes what is at the path and puts something else there.
func replaced(with func(path string) error) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(path), with(path)); err != nil {
			t.Fatal(err)
		}
	}
}

// holding replaces the file by one with another text.
func holding(text string) func(*testing.T, string) {
	return replaced(func(path string) error { return os.WriteFile(path, []byte(text), 0o600) })
}

// TestBentAnswers has what a file, its directory and what stands beside it may
// become. The faults of a disk are in TestBentDisks.
func TestBentAnswers(t *testing.T) {
	const another = 12345
	directory := func(path string) error { return os.MkdirAll(filepath.Join(path, "in"), 0o700) }
	beside := func(name string, with func(string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			replaced(with)(t, filepath.Join(filepath.Dir(path), name))
		}
	}
	faults := map[string]fault{
		"the file is a directory": {make: replaced(directory), want: port.ErrRefused, says: "not a regular file"},
		"the file is a link":      {make: replaced(func(p string) error { return os.Symlink("/etc/passwd", p) }), want: port.ErrRefused, says: "symbolic links"},
		"the file is a link to nothing": {
			make: replaced(func(p string) error { return os.Symlink("absent", p) }), want: port.ErrRefused, says: "symbolic links",
		},
		"the file is a pipe": {make: replaced(func(p string) error { return syscall.Mkfifo(p, 0o600) }), want: port.ErrRefused, says: "not a regular file"},
		"the file is a socket": {make: replaced(func(p string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		}), want: port.ErrRefused},
		"the file is empty":         {make: holding(""), want: port.ErrRefused, says: "not a JSON object"},
		"the file has a line break": {make: holding("\n"), want: port.ErrRefused, says: "not a JSON object"},
		"the file has null":         {make: holding("null"), want: port.ErrRefused, says: "not a JSON object"},
		"the file has a list":       {make: holding("[]"), want: port.ErrRefused, says: "not a JSON object"},
		"the file has two objects":  {make: holding("{}{}"), want: port.ErrRefused, says: "not a JSON object"},
		"the file has other bytes":  {make: holding("\x00\xff\xfe"), want: port.ErrRefused, says: "not a JSON object"},
		"the file is a page":        {make: holding("<html>"), want: port.ErrRefused, says: "not a JSON object"},
		"the file is too long":      {make: holding(strings.Repeat(" ", 1<<20) + "{}"), want: port.ErrRefused, says: "longer than"},
		"the value is a number":     {make: holding(`{"apikey":7}`), want: port.ErrRefused, says: "not a text"},
		"the value is an object":    {make: holding(`{"apikey":{"v":"x"}}`), want: port.ErrRefused, says: "not a text"},
		"others can read the file":  {make: func(t *testing.T, p string) { write(t, p, "{}", 0o644) }, want: port.ErrRefused, says: "0644"},
		"the directory is gone":     {make: func(t *testing.T, p string) { replaced(func(string) error { return nil })(t, filepath.Dir(p)) }, want: port.ErrRefused, says: "does not exist"},
		"the directory is a file":   {make: func(t *testing.T, p string) { holding("{}")(t, filepath.Dir(p)) }, want: port.ErrRefused},
		"others can write the directory": {make: func(t *testing.T, p string) {
			if err := os.Chmod(filepath.Dir(p), 0o777); err != nil {
				t.Fatal(err)
			}
		}, want: port.ErrRefused, says: "chmod go-w"},
		"the file is another user's": {make: func(t *testing.T, p string) {
			write(t, p, "{}", 0o600)
			if err := os.Chown(p, another, -1); err != nil {
				t.Fatal(err)
			}
		}, want: port.ErrRefused, says: "belongs to user", root: true},
		"the directory is another user's": {make: func(t *testing.T, p string) {
			if err := os.Chown(filepath.Dir(p), another, -1); err != nil {
				t.Fatal(err)
			}
		}, want: port.ErrRefused, says: "belongs to user", root: true},
		"the lock is a directory":            {make: beside("key.json.lock", directory), want: port.ErrRefused, says: "in the way"},
		"the lock is a link":                 {make: beside("key.json.lock", func(p string) error { return os.Symlink("/etc/passwd", p) }), want: port.ErrRefused, says: "in the way"},
		"the unfinished file is a directory": {make: beside(".key.json.unfinished", directory), want: port.ErrRefused, says: "unfinished is in the way"},
		"a crash left an unfinished file": {
			make: beside(".key.json.unfinished", func(p string) error { return os.WriteFile(p, []byte("{"), 0o600) }), harmless: true,
		},
	}
	whole, err := json.Marshal(map[string]string{"apikey": canary, "key_id": "ApiKey-0"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		faults[fmt.Sprintf("the file is cut after %d bytes", n)] = fault{make: holding(string(whole[:n])), want: port.ErrRefused, says: "not a JSON object"}
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			if f.root && os.Geteuid() != 0 {
				t.Skip("only root can give a file to another user")
			}
			f.try(t, func(t *testing.T) string {
				dir := filepath.Join(t.TempDir(), "keys")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				return filepath.Join(dir, "key.json")
			})
		})
	}
}
