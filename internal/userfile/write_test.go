package userfile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/userfile"
)

// limited says that this process may write no file of more than a few bytes.
const limited = "LATCHKEY_TEST_LIMITED"

// The limit of a process's files fails a write as a full disk does.
func TestAFailedWriteLeavesTheFileAsItWas(t *testing.T) {
	if os.Getenv(limited) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAFailedWriteLeavesTheFileAsItWas$")
		again.Env = append(os.Environ(), limited+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Go ignores SIGXFSZ, so the write returns EFBIG.
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 16, Max: 16}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(filepath.Dir(file), "new")} {
		err := userfile.Write(t.Context(), name, []byte(strings.Repeat("x", 100)))
		if want := "write " + name + ": "; !errors.Is(err, syscall.EFBIG) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "earlier" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if names, err := os.ReadDir(filepath.Dir(file)); len(names) != 1 {
		t.Errorf("left %v, %v", names, err)
	}
}

func TestWriteKeepsWhatTheFileIs(t *testing.T) {
	dir := t.TempDir()
	file, link, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o640), os.Symlink("file", link), os.Symlink("absent", dangling)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		path, at string
		mode     fs.FileMode
	}{
		"a file":            {file, file, 0o640},
		"a link to a file":  {link, file, 0o640},
		"a link to nothing": {dangling, filepath.Join(dir, "absent"), 0o600},
		"a new file":        {filepath.Join(dir, "new"), filepath.Join(dir, "new"), 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			if err := userfile.Write(t.Context(), tc.path, []byte(name)); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(tc.at)
			info, serr := os.Lstat(tc.at)
			if err := errors.Join(err, serr); err != nil || string(text) != name || info.Mode() != tc.mode {
				t.Errorf("%q, %v, %v", text, info, err)
			}
		})
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link has become %v, %v", info, err)
	}
	if err := userfile.Write(t.Context(), dir, nil); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
	absent := filepath.Join(dir, "no", "file")
	if err := userfile.Write(t.Context(), absent, nil); err == nil || err.Error() != "open "+absent+": no such file or directory" {
		t.Errorf("a directory that does not exist: %v", err)
	}
	if os.Geteuid() == 0 {
		return // whom no mode stops
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := userfile.Write(t.Context(), file, nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that can't be written: %v", err)
	}
}

func TestAPipeIsWrittenInPlace(t *testing.T) {
	file := pipe(t)
	read := make(chan string)
	go func() {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		read <- string(text)
	}()
	if err := userfile.Write(t.Context(), file, []byte("text")); err != nil {
		t.Error(err)
	}
	if text := <-read; text != "text" {
		t.Errorf("read %q", text)
	}
	told := errors.New("told to end")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(told)
	if err := userfile.Write(ctx, file, []byte("text")); !errors.Is(err, told) || err.Error() != "writing "+file+": told to end" {
		t.Errorf("after the context's end: %v", err)
	}
}
