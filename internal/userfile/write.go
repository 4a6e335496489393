package userfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Write writes a file. A new one can be read and written by this user only. If the write
// fails, as on a full disk, the file is as it was: the content is written beside it, and
// takes its place by a rename. The mode, the owner and symbolic links to the file stay.
//
// The content is written in place into a pipe or a device, and into a file whose
// directory or mount allows no rename. Like Read, Write waits for the other end of a pipe
// no longer than the context lasts.
func Write(ctx context.Context, name string, content []byte) error {
	if !waits(name) {
		err := replace(name, content)
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	_, err := await(ctx, "writing", name, func() ([]byte, error) { return nil, os.WriteFile(name, content, 0o600) })
	return err
}

// replace writes the content beside the file and renames it. Its errors name the file, not
// the one beside it.
func replace(name string, content []byte) error {
	f, path, err := beside(name)
	if err == nil {
		err = Replace(f, path, content)
	}
	if cause := (*os.PathError)(nil); errors.As(err, &cause) {
		return &os.PathError{Op: cause.Op, Path: name, Err: cause.Err}
	}
	return err
}

// beside creates a file in the directory of the file that the name leads to, with its mode
// and owner. path is that file's.
func beside(name string) (f *os.File, path string, err error) {
	if path, err = filepath.EvalSymlinks(name); errors.Is(err, fs.ErrNotExist) {
		if _, lerr := os.Lstat(name); lerr == nil {
			return nil, "", &os.PathError{Op: "open", Path: name, Err: fs.ErrPermission} // a link to nothing is written through
		}
		f, err = create(name)
		return f, name, err
	} else if err != nil {
		return nil, "", err
	}
	old, err := os.OpenFile(path, os.O_WRONLY, 0) // what can't be written must not be replaced
	if err != nil {
		return nil, "", err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return nil, "", err
	}
	if f, err = create(path); err != nil {
		return nil, "", err
	}
	if err := alike(f, info); err != nil {
		return nil, "", errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, path, nil
}

func create(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.unfinished")
}

// alike gives a new file the owner and the mode of another.
func alike(f *os.File, other os.FileInfo) error {
	if stat, ok := other.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(other.Mode().Perm())
}

// Replace writes the content into the new file f, syncs and closes it, and renames it to
// path. If that fails, it removes f.
func Replace(f *os.File, path string, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
