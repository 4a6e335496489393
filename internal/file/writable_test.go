package file

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
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
		if err := New(filepath.Join(dir, "key.json"), "prod").checkWritable("reading"); os.Getuid() != 0 && !errors.Is(err, port.ErrDenied) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	dir := t.TempDir()
	s := New(filepath.Join(dir, "key.json"), "prod")
	if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrNotFound) {
		t.Errorf("a directory that can be written: %v", err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700) // so that it can be removed
	if _, err := s.Read(t.Context()); os.Getuid() != 0 && !errors.Is(err, port.ErrDenied) {
		t.Errorf("a directory that can't be written: %v", err)
	}
}

func TestAFileOfAnotherOwnerIsFound(t *testing.T) {
	info, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if uid, foreign := foreignOwner(info, os.Geteuid()); foreign || uid != os.Geteuid() {
		t.Errorf("a directory of our own is foreign: it belongs to %d", uid)
	}
	if _, foreign := foreignOwner(info, os.Geteuid()+1); !foreign {
		t.Error("a directory of another user is our own")
	}
}

func TestAFileOfAnotherOwnerIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	const other = 12345
	for _, of := range []string{"key.json", "."} {
		dir := t.TempDir()
		path := filepath.Join(dir, "key.json")
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, of), other, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := New(path, "prod").Read(t.Context()); !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("%s of another user: %v", of, err)
		}
	}
}
