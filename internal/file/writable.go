package file

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/latchkey-io/latchkey/internal/port"
)

// room is the space that a write must find. A key file and its successor have
// less than 4 KiB.
const room = 64 << 10

// files is how many files a write may create: the lock and the next content.
const files = 2

// accessWrite is W_OK and X_OK of access(2).
const accessWrite = 0x2 | 0x1

// checkWritable reports why the file can't be replaced, so that no key is created
// for a location that rejects it. It changes nothing: `plan` reads, too.
func (s *Store) checkWritable(doing string) error {
	dir := filepath.Dir(s.path)
	if err := syscall.Access(dir, accessWrite); err != nil {
		return sortError(doing, fmt.Errorf("the directory %s can't be written: %w", dir, err))
	}
	if mounted(s.path) {
		return fmt.Errorf("%s: %w: the file is a mount of its own, which a rename can't replace; mount its directory", doing, port.ErrRefused)
	}
	for _, beside := range []string{s.lockFile(), unfinished(s.path)} {
		if info, err := os.Lstat(beside); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s: %w: %s is in the way: it is not a regular file", doing, port.ErrRefused, beside)
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return sortError(doing, err)
	}
	// Some file systems have no number of blocks or files.
	full := disk.Blocks > 0 && disk.Bavail*uint64(disk.Bsize) < room //nolint:gosec // a block has a size above 0
	if full || disk.Files > 0 && disk.Ffree < files {
		return sortError(doing, fmt.Errorf("the directory %s: %w", dir, syscall.ENOSPC))
	}
	return nil
}

// checkDirectory reports why the directory can't hold a key: another user could
// replace the file, or put something in the way of the next write.
func (s *Store) checkDirectory(doing string) error {
	dir := filepath.Dir(s.path)
	info, err := os.Stat(dir)
	if err != nil {
		return nil //nolint:nilerr // the next step reports it
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s: %w: the directory %s has mode %04o, which lets other users write; remove that with chmod go-w", doing, port.ErrRefused, dir, mode)
	}
	if uid, foreign := foreignOwner(info, os.Geteuid()); foreign && uid != 0 {
		return fmt.Errorf("%s: %w: the directory %s belongs to user %d, who can replace the file; latchkey runs as user %d", doing, port.ErrRefused, dir, uid, os.Geteuid())
	}
	return nil
}

// foreignOwner returns the owner and whether it is another user than this one.
func foreignOwner(info os.FileInfo, user int) (uid int, foreign bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return user, false
	}
	return int(stat.Uid), int(stat.Uid) != user
}

// mounts is the list of this process's mounts on Linux.
const mounts = "/proc/self/mountinfo"

// mounted reports whether a mount point is at the path. It reports false on a
// system without a list of mounts.
func mounted(path string) bool {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	f, err := os.Open(mounts)
	if err != nil {
		return false
	}
	defer f.Close()
	return mountedIn(bufio.NewScanner(f), filepath.Join(dir, filepath.Base(path)))
}

// unescape turns the octal escapes of a mount point into the characters.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func mountedIn(lines *bufio.Scanner, path string) bool {
	for lines.Scan() {
		const point = 4 // the field of the mount point
		if fields := strings.Fields(lines.Text()); len(fields) > point && unescape.Replace(fields[point]) == path {
			return true
		}
	}
	return false
}
