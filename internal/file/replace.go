package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// lockPause is the pause between two attempts to lock. A blocking flock would
// ignore the context.
const lockPause = 5 * time.Millisecond

// lock waits for the lock and returns a function that releases it.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	doing := s.doing("locking")
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
		}
		unlock, err := s.tryLock()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return unlock, sortError(doing, err)
		}
		pause := time.NewTimer(lockPause)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// tryLock takes the lock, or fails with EWOULDBLOCK if another process has it.
// The lock file is never removed: otherwise two writers could lock two files of
// the same name.
func (s *Store) tryLock() (unlock func(), err error) {
	f, err := os.OpenFile(s.lockFile(), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EINTR) {
			err = syscall.EWOULDBLOCK
		}
		return nil, err
	}
	return func() { f.Close() }, nil // closing unlocks
}

func (s *Store) lockFile() string { return s.path + ".lock" }

// unfinished returns the path for the next content of a file, which is written under
// the lock. The path is fixed, so that the next process finds what a crash left.
func unfinished(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".unfinished")
}

// sweep removes the unfinished file of a crash, because it holds a value. It does
// nothing while another process writes, and ignores errors: the next writer
// returns them.
func (s *Store) sweep() {
	if _, err := os.Lstat(unfinished(s.path)); err != nil {
		return
	}
	unlock, err := s.tryLock()
	if err != nil {
		return
	}
	defer unlock()
	_ = os.Remove(unfinished(s.path))
}

// replace replaces a file's content by a rename. The caller holds the lock.
func replace(doing, path string, content []byte) error {
	next := unfinished(path)
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sortError(doing, err)
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return sortError(doing, err)
	}
	if err := userfile.Replace(f, path, content); err != nil {
		return sortError(doing, err)
	}
	// Sync the directory, so that the rename survives a power failure.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	return nil
}

// sortError wraps an error of the file system with a sentinel of reconcile. Such
// an error names operations and paths, never content.
func sortError(doing string, err error) error {
	meaning := port.ErrUnavailable
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		meaning = port.ErrDenied
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		meaning = port.ErrQuota
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: the directory does not exist", doing, port.ErrRefused)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.EBUSY): // a socket, a directory, a mount
		meaning = port.ErrRefused
	}
	return fmt.Errorf("%s: %w: %w", doing, meaning, err)
}
