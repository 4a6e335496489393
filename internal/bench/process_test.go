//go:build bench

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

// built has the binaries that the rows start.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "latchkey-bench"); err != nil {
		return "", err
	}
	for name, args := range map[string][]string{
		"latchkey": {"-trimpath", "-tags", "production", "-ldflags=-s -w", "../../function/latchkey"},
		"bare":     {"-trimpath", "./testdata/bare"},
		"peak":     {"-trimpath", "./testdata/peak"},
	} {
		build := exec.Command("go", append([]string{"build", "-o", filepath.Join(dir, name)}, args...)...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w: %s", name, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func binary(t *testing.T, name string) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// server is a child process that answers HTTP.
type server struct {
	*exec.Cmd
	url string
}

// launch starts a server, waits for its address and for its first answer, and
// returns how long that took. The address is the first match in its output.
func launch(t *testing.T, address *regexp.Regexp, path string, env []string, name string, args ...string) (server, float64) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = r.Close()
	})
	s := server{Cmd: cmd}
	lines := bufio.NewReader(r)
	for s.url == "" {
		line, err := lines.ReadString('\n')
		if m := address.FindStringSubmatch(line); m != nil {
			s.url = "http://" + m[1]
		} else if err != nil {
			t.Fatalf("%s ended without an address: %v", name, err)
		}
	}
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	took := time.Since(start).Seconds()
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return s, took
}

func (s server) stop() {
	_ = s.Process.Kill()
	_ = s.Wait()
}

// resident returns the memory of a process in MiB.
func (s server) resident(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		t.Fatal("no VmRSS")
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return float64(kib) / 1024
}

var (
	bareAddress  = regexp.MustCompile(`^(127\.0\.0\.1:\d+)`)
	serveAddress = regexp.MustCompile(`"address":"([^"]+)"`)
)

const idleConfig = `version: 1
owner: bench
events: {auth: {bearerEnv: EVENTS_TOKEN}}
credentials:
- name: a
  serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}
  stores: [{file: {path: a.json}}]
`

func idle(t *testing.T) (server, float64) {
	t.Helper()
	return launch(t, serveAddress, "/healthz", []string{
		"LATCHKEY_ENDPOINT=http://127.0.0.1:1", "IBMCLOUD_API_KEY=none", "EVENTS_TOKEN=events-token-0123456789", "LATCHKEY_CONFIG=" + idleConfig,
	}, binary(t, "latchkey"), "serve", "--listen", "127.0.0.1:0")
}

func processRows() []row {
	return []row{
		{"start: first answer / bare net/http", func(t *testing.T) (float64, string) {
			ours, bare := interleaved(func() float64 {
				s, took := idle(t)
				s.stop()
				return took
			}, func() float64 {
				s, took := launch(t, bareAddress, "/", nil, binary(t, "bare"))
				s.stop()
				return took
			})
			return ratio(ours*1000, bare*1000, "ms")
		}, 3, false},
		{"start: resident memory, MiB", func(t *testing.T) (float64, string) {
			s, _ := idle(t)
			defer s.stop()
			mib := s.resident(t)
			return mib, fmt.Sprintf("%.1f MiB", mib)
		}, 30, false},
		{"size of the production binary, MiB", func(t *testing.T) (float64, string) {
			info, err := os.Stat(binary(t, "latchkey"))
			if err != nil {
				t.Fatal(err)
			}
			mib := float64(info.Size()) / (1 << 20)
			return mib, fmt.Sprintf("%.1f MiB", mib)
		}, 32, false},
		{"sweep of 1,999 in files, nothing due, memory, MiB", func(t *testing.T) (float64, string) {
			mib := sweepMemory(t, 1999) // and latchkey itself: the most that a group may have
			return mib, fmt.Sprintf("%.1f MiB", mib)
		}, 48, false},
		{"event not for us, Kafka audit / bare, CPU", func(t *testing.T) (float64, string) {
			raw, err := os.Open("../event/testdata/audit-key-created.http")
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			r, err := http.ReadRequest(bufio.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			header := map[string]string{}
			for name := range r.Header {
				header[name] = r.Header.Get(name)
			}
			return foreign(t, header, string(body))
		}, 1.25, false},
		{"event not for us, binary / bare, CPU", func(t *testing.T) (float64, string) {
			return foreign(t, map[string]string{
				"Ce-Id": "1", "Ce-Source": "/bench", "Ce-Specversion": "1.0", "Ce-Type": "com.acme.order", "Content-Type": "application/json",
			}, `{"order":1,"lines":[{"sku":"a","n":2},{"sku":"b","n":1}]}`)
		}, 1.25, false},
		{"event not for us, structured / bare, CPU", func(t *testing.T) (float64, string) {
			return foreign(t, map[string]string{"Content-Type": "application/cloudevents+json"},
				`{"id":"1","source":"/bench","specversion":"1.0","type":"com.acme.order","data":{"order":1,"lines":[{"sku":"a","n":2},{"sku":"b","n":1}]}}`)
		}, 1.25, false},
		{"junk events, growth of memory, MiB", junkRow, 1, false},
	}
}

// foreign compares the CPU time of events that are not for us with that of a bare
// server that gets the same.
func foreign(t *testing.T, header map[string]string, body string) (float64, string) {
	ours, _ := idle(t)
	defer ours.stop()
	bare, _ := launch(t, bareAddress, "/", nil, binary(t, "bare"))
	defer bare.stop()
	header["Authorization"] = "Bearer events-token-0123456789"
	const block = 3000
	measure := func(s server) func() float64 {
		return func() float64 {
			before := s.cpu(t)
			for range block {
				if status := s.post(t, header, body); status != http.StatusNoContent {
					t.Fatal("status ", status)
				}
			}
			return (s.cpu(t) - before) / block * 1e6
		}
	}
	measure(ours)()
	measure(bare)()
	a, b := interleaved(measure(ours), measure(bare))
	return ratio(a, b, "µs")
}

// cpu returns the CPU time of a process in seconds. The kernel counts it in ticks
// of 10 ms.
func (s server) cpu(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / 100
}

func (s server) post(t *testing.T, header map[string]string, body string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// junkRow sends what is not for us, or no event at all, and compares the memory
// after a tenth of the time with that at the end.
func junkRow(t *testing.T) (float64, string) {
	s, _ := idle(t)
	defer s.stop()
	send := func(d time.Duration) (n int) {
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			switch n % 3 {
			case 0:
				s.post(t, map[string]string{"Ce-Id": strconv.Itoa(n), "Ce-Source": "/junk", "Ce-Specversion": "1.0", "Ce-Type": "com.acme." + strconv.Itoa(n)}, "{}")
			case 1:
				s.post(t, map[string]string{"Content-Type": "application/json"}, strings.Repeat("x", n%5000))
			case 2:
				s.post(t, map[string]string{"Content-Type": "application/cloudevents+json"}, `{"id":`)
			}
		}
		return n
	}
	send(*junk / 10)
	before := s.resident(t)
	n := send(*junk)
	grown := s.resident(t) - before
	return grown, fmt.Sprintf("%.1f MiB in %s, %d events", grown, *junk, n)
}

// sweepMemory returns the most memory of a job run in which nothing is due.
func sweepMemory(t *testing.T, n int) (mib float64) {
	t.Helper()
	cloud, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	folder := t.TempDir()
	var config strings.Builder
	config.WriteString("version: 1\nowner: bench\ncredentials:\n")
	for i := range n {
		fmt.Fprintf(&config, "- {name: c%d, serviceID: {name: c%[1]d, policies: [{service: logs, roles: [Sender]}]}, stores: [{file: {path: %q}}]}\n", i, filepath.Join(folder, fmt.Sprintf("c%d.json", i)))
	}
	file := filepath.Join(folder, "latchkey.yaml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first one makes the keys
		most := filepath.Join(folder, "peak")
		cmd := exec.Command(binary(t, "peak"), most, binary(t, "latchkey"), "job", "--config", file)
		cmd.Env = []string{"LATCHKEY_ENDPOINT=" + cloud.Ready().URL, "IBMCLOUD_API_KEY=" + cloud.Ready().APIKey, "HOME=" + folder}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out[max(0, len(out)-2000):])
		}
		text, err := os.ReadFile(most)
		if err != nil {
			t.Fatal(err)
		}
		kib, err := strconv.Atoi(string(text))
		if err != nil {
			t.Fatal(err)
		}
		mib = float64(kib) / 1024
	}
	return mib
}
