package file_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
)

// within says that this process has mounts of its own.
const within = "LATCHKEY_TEST_OWN_MOUNTS"

// noMounts is the exit code if the namespace does not allow to mount.
const noMounts = 71

// TestBentDisks has the faults of real file systems. It runs itself again in a
// namespace in which any user may mount them.
func TestBentDisks(t *testing.T) {
	if os.Getenv(within) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBentDisks$", "-test.v")
		again.Env = append(os.Environ(), within+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
		out, err := again.CombinedOutput()
		if len(out) == 0 && err != nil || again.ProcessState.ExitCode() == noMounts {
			t.Skipf("this system allows no mounts in a user's namespace: %v", err)
		}
		t.Logf("%s", out)
		if err != nil {
			t.Error(err)
		}
		return
	}
	mount := func(t *testing.T, from, to, kind string, flags uintptr, options string) {
		t.Helper()
		if err := syscall.Mount(from, to, kind, flags, options); err != nil {
			t.Fatal(err)
		}
	}
	probe := t.TempDir()
	if err := syscall.Mount("probe", probe, "tmpfs", 0, ""); errors.Is(err, os.ErrPermission) {
		os.Exit(noMounts)
	}
	if err := syscall.Unmount(probe, 0); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]fault{
		"the disk is read-only": {make: func(t *testing.T, path string) {
			mount(t, "", filepath.Dir(path), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}, want: port.ErrDenied, says: "read-only"},
		"the disk is full": {make: func(t *testing.T, path string) {
			for size := 1 << 20; size > 0; size /= 2 {
				fill, err := os.OpenFile(filepath.Join(filepath.Dir(path), "fill"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = fill.Write(make([]byte, size)) // until it fails
				_ = fill.Close()
			}
		}, want: port.ErrQuota, says: "no space left"},
		"the disk has no room for a file": {make: func(t *testing.T, path string) {
			for {
				if f, err := os.CreateTemp(filepath.Dir(path), "fill"); err != nil {
					return
				} else if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}, want: port.ErrQuota, says: "no space left"},
		"the file is a mount of its own": {make: func(t *testing.T, path string) {
			if _, err := os.Stat(path); err != nil {
				write(t, path, "{}", 0o600)
			}
			mount(t, path, path, "", syscall.MS_BIND, "")
		}, want: port.ErrRefused, says: "mount of its own"},
		"another disk is mounted over the directory": {make: func(t *testing.T, path string) {
			mount(t, "other", filepath.Dir(path), "tmpfs", 0, "mode=0755")
		}, harmless: true},
	} {
		t.Run(name, func(t *testing.T) {
			f.try(t, func(t *testing.T) string {
				dir := t.TempDir()
				mount(t, "keys", dir, "tmpfs", 0, "size=256k,nr_inodes=16,mode=0700")
				t.Cleanup(func() {
					for syscall.Unmount(filepath.Join(dir, "key.json"), syscall.MNT_DETACH) == nil {
						continue
					}
					for syscall.Unmount(dir, syscall.MNT_DETACH) == nil {
						continue
					}
				})
				return filepath.Join(dir, "key.json")
			})
		})
	}
}
