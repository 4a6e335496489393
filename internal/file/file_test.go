package file_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

const canary = "canary-7f3e9d-hunter2-kT5uW9xQ2mZ7rB4nC8vL1p"

func TestStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
		path := filepath.Join(t.TempDir(), "key.json")
		neighbours := 0
		return storetest.Location{
			Store: file.New(path, "prod"), Other: file.New(path, "prod"),
			Neighbour: func(t *testing.T) func(*testing.T) {
				neighbours++
				name := fmt.Sprint("neighbour-", neighbours)
				edit(t, path, func(m map[string]any) { m[name] = map[string]any{"n": 9007199254740993, "s": "<&>"} })
				return func(t *testing.T) {
					t.Helper()
					if got := string(raw(t, path)[name]); strings.Join(strings.Fields(got), "") != `{"n":9007199254740993,"s":"<&>"}` {
						t.Errorf("%s is now %s", name, got)
					}
				}
			},
			Handwrite: func(t *testing.T, value string) {
				edit(t, path, func(m map[string]any) { m["apikey"] = value })
			},
			Remove: func(t *testing.T) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
			Misnamed: map[string]port.Store{
				"the path is a directory":      file.New(filepath.Dir(path), "prod"),
				"the directory does not exist": file.New(filepath.Join(filepath.Dir(path), "missing", "key.json"), "prod"),
			},
		}
	}})
}

// raw are the fields of the file.
func raw(t *testing.T, path string) map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// edit changes the file as a person would.
func edit(t *testing.T, path string, change func(map[string]any)) {
	t.Helper()
	m := map[string]any{}
	if _, err := os.Stat(path); err == nil {
		for k, v := range raw(t, path) {
			m[k] = v
		}
	}
	change(m)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		t.Fatal(err)
	}
	write(t, path, b.String(), 0o600)
}

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func entry() port.Entry {
	return port.Entry{
		KeyID: "ApiKey-1", Value: secret.New(canary), IAMID: "iam-ServiceId-1",
		Created: time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC),
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestTheFileIsWhatTheRunBookWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs-sender.json")
	if err := file.New(path, "prod").Publish(t.Context(), entry(), ""); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for k, v := range raw(t, path) {
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			t.Errorf("field %s: %v", k, err)
		}
		got[k] = s
	}
	want := map[string]string{
		"name": "logs-sender", "apikey": canary, "key_id": "ApiKey-1", "iam_id": "iam-ServiceId-1",
		"created": "2026-11-24T10:00:00Z", "owner": "prod",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the file is %v, want %v", got, want)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"logs-sender.json", "logs-sender.json.lock"}) {
		t.Errorf("the directory holds %v", got)
	}
}

func TestANameThatAPersonGaveIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	write(t, path, `{"name":"logs-ingestion-key"}`, 0o600)
	s := file.New(path, "prod")
	e, err := s.Read(t.Context())
	if !errors.Is(err, port.ErrNotFound) {
		t.Fatalf("reading a file without a value: %v", err)
	}
	if err := s.Publish(t.Context(), entry(), e.Revision); err != nil {
		t.Fatal(err)
	}
	if got := string(raw(t, path)["name"]); got != `"logs-ingestion-key"` {
		t.Errorf("the name is %s", got)
	}
}

// TestRefusals: whatever is refused, reading and writing say the same, and the
// file stays as it was.
func TestRefusals(t *testing.T) {
	content := `{"apikey":"` + canary + `","key_id":"ApiKey-0"}`
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		says string
	}{
		"a file that the group can read": {func(t *testing.T, path string) { write(t, path, content, 0o640) }, "0640"},
		"a file that all can read":       {func(t *testing.T, path string) { write(t, path, content, 0o604) }, "0604"},
		"a file that others can write":   {func(t *testing.T, path string) { write(t, path, content, 0o602) }, "0602"},
		"a file that is not JSON":        {func(t *testing.T, path string) { write(t, path, canary, 0o600) }, "not a JSON object"},
		"a file that is cut off":         {func(t *testing.T, path string) { write(t, path, content[:30], 0o600) }, "not a JSON object"},
		"a JSON text":                    {func(t *testing.T, path string) { write(t, path, `"`+canary+`"`, 0o600) }, "not a JSON object"},
		"a JSON null":                    {func(t *testing.T, path string) { write(t, path, "null", 0o600) }, "not a JSON object"},
		"a file that is far too long":    {func(t *testing.T, path string) { write(t, path, strings.Repeat(" ", 1<<20)+content, 0o600) }, "longer than"},
		"a directory":                    {func(t *testing.T, path string) { mkdir(t, path) }, "not a regular file"},
		"a pipe": {func(t *testing.T, path string) {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"a link, even to a good file": {func(t *testing.T, path string) {
			write(t, path+".real", content, 0o600)
			if err := os.Symlink(path+".real", path); err != nil {
				t.Fatal(err)
			}
		}, "symbolic links"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.json")
			c.make(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			s := file.New(path, "prod")
			_, err = s.Read(t.Context())
			refused(t, err, path, c.says)
			refused(t, s.Publish(t.Context(), entry(), ""), path, c.says)
			after, err := os.Lstat(path)
			if err != nil || after.Mode() != before.Mode() || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("the file was changed: %v, now %v (%v)", before, after, err)
			}
		})
	}
}

func TestADirectoryThatOthersCanWriteIsRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{0o770, 0o702, 0o777, 0o777 | fs.ModeSticky} {
		dir := t.TempDir()
		path := filepath.Join(dir, "key.json")
		write(t, path, `{"apikey":"`+canary+`","key_id":"ApiKey-0"}`, 0o600)
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s := file.New(path, "prod")
		_, err := s.Read(t.Context())
		refused(t, err, path, "chmod go-w")
		refused(t, s.Publish(t.Context(), entry(), ""), path, "chmod go-w")
		if got := names(t, dir); !slices.Equal(got, []string{"key.json"}) {
			t.Errorf("mode %v: the directory holds %v", mode, got)
		}
	}
}

func refused(t *testing.T, err error, path, says string) {
	t.Helper()
	if !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v: want a refusal that names %s and says %q", err, path, says)
	}
	if strings.Contains(fmt.Sprintf("%+v", err), canary[:10]) {
		t.Errorf("the error quotes the content: %v", err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatDoesNotExistIsRefusedAndNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	s := file.New(filepath.Join(dir, "key.json"), "prod")
	_, err := s.Read(t.Context())
	refused(t, err, dir, "directory does not exist")
	refused(t, s.Publish(t.Context(), entry(), ""), dir, "directory does not exist")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is there now: %v", err)
	}
}

func TestAnEntryWithoutAValueOrAKeyIDIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	for _, e := range []port.Entry{{KeyID: "ApiKey-1"}, {Value: secret.New(canary)}} {
		refused(t, file.New(path, "prod").Publish(t.Context(), e, ""), path, "no value with a key ID")
	}
}

func TestWhatACrashLeftIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	left := filepath.Join(filepath.Dir(path), ".key.json.unfinished")
	s := file.New(path, "prod")
	for name, next := range map[string]func() error{
		"by the next read":  func() error { _, err := s.Read(t.Context()); return err },
		"by the next write": func() error { return s.Publish(t.Context(), entry(), "") },
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(path)
			write(t, left, canary, 0o600)
			if err := next(); err != nil && !errors.Is(err, port.ErrNotFound) {
				t.Fatal(err)
			}
			if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}

func TestAReadRemovesNothingDuringAWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	left := filepath.Join(filepath.Dir(path), ".key.json.unfinished")
	defer holdLock(t, path)()
	write(t, left, canary, 0o600)
	if _, err := file.New(path, "prod").Read(t.Context()); !errors.Is(err, port.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); err != nil {
		t.Errorf("the writer's file is gone: %v", err)
	}
}

func TestWhatStandsInTheWayOfAWriteIsNotRemovedByForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	mkdir(t, filepath.Join(filepath.Dir(path), ".key.json.unfinished"))
	write(t, filepath.Join(filepath.Dir(path), ".key.json.unfinished", "x"), "", 0o600)
	err := file.New(path, "prod").Publish(t.Context(), entry(), "")
	if !errors.Is(err, port.ErrRefused) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was written: %v", err)
	}
}

func holdLock(t *testing.T, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

func TestAWriterWaitsForTheLockAndHeedsItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	unlock := holdLock(t, path)
	s := file.New(path, "prod")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.Publish(ctx, entry(), "")
	if !errors.Is(err, port.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v: want one that is unclear, because of the deadline", err)
	}
	done := make(chan error)
	go func() { done <- s.Publish(t.Context(), entry(), "") }()
	select {
	case err := <-done:
		t.Fatalf("a writer did not wait: %v", err)
	default:
	}
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

const processVariable = "FILETEST_PATH"

// TestProcessesExcludeEachOther lets several processes create the same file.
func TestProcessesExcludeEachOther(t *testing.T) {
	if path := os.Getenv(processVariable); path != "" {
		e := entry()
		e.KeyID = fmt.Sprint("ApiKey-", os.Getpid())
		fmt.Println("ready")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		switch err := file.New(path, "prod").Publish(t.Context(), e, ""); {
		case err == nil:
			fmt.Println("won", e.KeyID)
		case errors.Is(err, port.ErrConflict):
			fmt.Println("lost")
		default:
			t.Fatal(err)
		}
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	const processes = 5
	var starts []func() string
	for range processes {
		run := exec.CommandContext(t.Context(), program, "-test.run=^TestProcessesExcludeEachOther$")
		run.Env = append(os.Environ(), processVariable+"="+path)
		in, err := run.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := run.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("a process said %q", lines.Text())
		}
		starts = append(starts, func() string {
			lines.Scan()
			said := lines.Text()
			for lines.Scan() { // the rest is the testing package's
			}
			if err := run.Wait(); err != nil {
				t.Error(err)
			}
			return said
		})
		defer in.Close()
		go func() { // all wait for this line, so they start together
			_, _ = in.Write([]byte("go\n"))
		}()
	}
	winner, lost := "", 0
	for _, result := range starts {
		switch said := result(); {
		case said == "lost":
			lost++
		case winner == "":
			winner = strings.TrimPrefix(said, "won ")
		default:
			t.Errorf("two won: %s and %q", winner, said)
		}
	}
	e, err := file.New(path, "prod").Read(t.Context())
	if err != nil || lost != processes-1 || e.KeyID != winner {
		t.Errorf("%d lost, %q won, the file names %s (%v)", lost, winner, e.KeyID, err)
	}
}
