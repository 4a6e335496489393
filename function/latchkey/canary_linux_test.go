package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// The real program creates, proves, publishes and rotates keys, fails, answers every
// route and ends with a dump of its stacks. No key's value and no secret of a caller is
// in anything that another process can see of it.
func TestNoValueLeavesTheProgramByAnyWay(t *testing.T) {
	// Under the name of the program, the test's own binary is the program: see TestMain.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "latchkey")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ready, home := server.Ready(), t.TempDir()
	// Cores are allowed, and asked for. The program must forbid them itself.
	cmd := exec.Command("sh", "-c", `ulimit -c unlimited; exec "$0" "$@"`, program, "serve", "--listen", "127.0.0.1:0", "--log-level", "debug")
	cmd.Dir = home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "GOTRACEBACK=crash",
		"LATCHKEY_ENDPOINT=" + ready.URL, "IBMCLOUD_API_KEY=" + ready.APIKey, "LATCHKEY_CONFIG=" + examples.HooksEmulator, "EVENTS_TOKEN=" + testToken,
	}
	for name, value := range hookEnv(map[string]string{}) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	said := &record{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	if err := until(t.Context(), time.Minute, func() bool { return served.MatchString(said.String()) }); err != nil {
		t.Fatalf("the program does not serve: %s", said.String())
	}
	url := "http://" + served.FindStringSubmatch(said.String())[1]

	send := func(method, path string, e sample.Event, header ...string) {
		req, err := http.NewRequest(method, url+path, bytes.NewReader(e.Body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range e.Header {
			req.Header.Set(name, value)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(said, "%s %s %d %v %s\n", method, path, resp.StatusCode, resp.Header, body)
	}
	token := []string{"Authorization", "Bearer " + testToken}
	send(http.MethodPost, "/", sample.Tick(server.Now()), token...)
	server.Advance(time.Hour)
	for _, p := range server.State(true).Projects {
		send(http.MethodPost, "/", sample.Rotate("logs-sender/"+p.ID, server.Now()), token...)
	}
	server.Inject(emulator.Fault{Path: "/v1/apikeys", Kind: emulator.FaultTruncate, Count: 1})
	server.Advance(61 * 24 * time.Hour)
	send(http.MethodPost, "/", sample.Tick(server.Now()), token...)
	send(http.MethodPost, "/hooks/servicenow", sample.Event{Body: []byte(`{"state":"none"}`)}, "X-Latchkey-Token", snowToken, "Content-Type", "application/json")
	send(http.MethodPost, "/hooks/github", sample.Event{Body: []byte(`{}`)}, "X-Hub-Signature-256", signature(githubSecret, "{}"))
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/debug/vars", "/debug/pprof/goroutine?debug=2", "/hooks/jira"} {
		send(http.MethodGet, path, sample.Event{}, token...)
	}

	values := map[string]string{testToken: "the token of events", snowToken: "a hook's secret", jiraSecret: "a hook's secret", githubSecret: "a hook's secret", alertsSecret: "a hook's secret"}
	minted := 0
	for _, k := range server.State(true).APIKeys {
		if k.Value != "" {
			values[k.Value] = "the value of key " + k.ID
			minted++
		}
	}
	if minted < 4 {
		t.Fatalf("%d keys have a value: the program has made none", minted)
	}
	seen := map[string]string{}
	for _, name := range []string{"cmdline", "comm", "status", "stat", "maps"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, name))
		if err == nil { // maps is root's
			seen["/proc/"+name] = string(text)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-over:
	case <-time.After(time.Minute):
		t.Fatal("the program does not end")
	}
	if status, is := cmd.ProcessState.Sys().(syscall.WaitStatus); !is || status.CoreDump() {
		t.Error("the program has written a core")
	}
	seen["output, answers and stacks"] = said.String()
	if !strings.Contains(said.String(), "goroutine 1 ") {
		t.Error("the program has printed no stacks")
	}
	err = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		seen[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range seen {
		for value, what := range values {
			if strings.Contains(text, value) {
				t.Errorf("%s is in %s", what, where)
			}
		}
	}
}
