package file

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

func TestAMountPointIsFound(t *testing.T) {
	const list = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
		`30 22 8:1 /host.json /run/my\040keys/k.json rw - ext4 /dev/sda1 rw` + "\nodd\n"
	for path, want := range map[string]bool{"/run/my keys/k.json": true, "/run/my keys": false, "/run/k.json": false} {
		if got := mountedIn(bufio.NewScanner(strings.NewReader(list)), path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestAFileThatIsAMountIsRefusedBeforeAKeyIsMade(t *testing.T) {
	if _, err := os.Stat(mounts); err != nil {
		t.Skip("this system has no list of mounts")
	}
	f, err := os.Open(mounts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		point := strings.Fields(lines.Text())[4]
		if info, err := os.Stat(point); err == nil && info.Mode().IsRegular() {
			if !mounted(point) {
				t.Errorf("%s is a mount", point)
			}
		}
	}
	if mounted(filepath.Join(t.TempDir(), "key.json")) {
		t.Error("an absent file is no mount")
	}
}

func TestADirectoryThatCannotBeWrittenIsDeniedBeforeAKeyIsMade(t *testing.T) {
	for _, dir := range []string{"/proc", "/sys"} { // not even root can create a file there
		if err := New(filepath.Join(dir, "key.json"), "prod").checkWritable("reading"); os.Getuid() != 0 && !errors.Is(err, reconcile.ErrDenied) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	dir := t.TempDir()
	s := New(filepath.Join(dir, "key.json"), "prod")
	if _, err := s.Read(t.Context()); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("a directory that can be written: %v", err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700) // so that it can be removed
	if _, err := s.Read(t.Context()); os.Getuid() != 0 && !errors.Is(err, reconcile.ErrDenied) {
		t.Errorf("a directory that can't be written: %v", err)
	}
}
