package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
)

func TestErrorsOfTheFileSystemSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct{ err, want error }{
		"no permission":              {&fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, port.ErrDenied},
		"not permitted":              {&fs.PathError{Op: "open", Path: "/x", Err: syscall.EPERM}, port.ErrDenied},
		"a read-only file system":    {&fs.PathError{Op: "open", Path: "/x", Err: syscall.EROFS}, port.ErrDenied},
		"a full disk":                {&fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, port.ErrQuota},
		"a quota that is used up":    {&fs.PathError{Op: "write", Path: "/x", Err: syscall.EDQUOT}, port.ErrQuota},
		"a name that is too long":    {&os.LinkError{Op: "rename", Old: "/x", New: "/y", Err: syscall.ENAMETOOLONG}, port.ErrRefused},
		"a directory that went away": {&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, port.ErrRefused},
		"a broken disk":              {&fs.PathError{Op: "write", Path: "/x", Err: syscall.EIO}, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			if err := sortError("writing /x", c.err); !errors.Is(err, c.want) {
				t.Errorf("error %v: want %v", err, c.want)
			}
		})
	}
	if err := sortError("writing /x", nil); err != nil {
		t.Errorf("success became %v", err)
	}
}

func TestAFailedWriteLeavesNoValueBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.Mkdir(path, 0o700); err != nil { // which no file can replace
		t.Fatal(err)
	}
	s := New(path, "prod")
	if err := replace("writing", s.path, []byte("{}")); err == nil {
		t.Error("a file took the place of a directory")
	}
	if _, err := os.Lstat(unfinished(s.path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished content is still there: %v", err)
	}
}
