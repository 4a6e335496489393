// Package demo shows the life of a key on the emulator: a project is created, its
// key is proven and published, rotated, left behind by a killed process, copied
// to a second store, used past its overlap, revoked and replaced when a person disables it.
package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Options say how the demo runs.
type Options struct {
	// Out receives the story.
	Out io.Writer
	// Keep stays up after the story and prints curl lines to try.
	Keep bool
	// Form is the form of the program: app, function or job.
	Form string
	// Program is the file of the program. If empty, it is that of this process.
	Program string
	// Platform is the script that stands in for Code Engine's functions.
	Platform string
	// Bundle is the function's bundle.
	Bundle string
}

// Run shows the life of a key on the emulator. The real program runs as a
// separate process and takes real events.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Keep && o.Form == "job" {
		return errors.New("a job does not stay up: use --keep with another form")
	}
	server, err := emulator.Start(emulator.Options{Lag: 300 * time.Millisecond, ProjectDelay: 3 * time.Second})
	if err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	defer server.Close()
	token, err := secret.Random(nil)
	if err != nil {
		return err
	}
	hooks, err := NewHooks()
	if err != nil {
		return err
	}
	d := &demo{Options: o, cloud: server, config: examples.HooksEmulator, token: token, hooks: hooks, http: &http.Client{Timeout: 30 * time.Second}}
	defer d.stop()
	last, err := d.tell(ctx)
	if err != nil {
		if ctx.Err() != nil { // its log says nothing about Ctrl-C
			return fmt.Errorf("running the demo: %w", ctx.Err())
		}
		return fmt.Errorf("running the demo: %w\n%s", err, d.log.String())
	}
	if !o.Keep {
		return nil
	}
	return d.stayUp(ctx, last)
}

// demo is one run: the emulator and the program.
type demo struct {
	Options
	cloud  *emulator.Server
	config string // of the program
	token  secret.Value
	hooks  Hooks
	http   *http.Client

	mu    sync.Mutex // a job is started while the demo waits to kill it
	child *exec.Cmd
	ended chan struct{} // closed when the child has ended
	url   string
	log   logTail
}

const newProject = "team-shop"

// tell runs the chapters and returns the last outcome of the project.
func (d *demo) tell(ctx context.Context) (last result.Outcome, err error) {
	ready := d.cloud.Ready()
	d.say("IBM Cloud is emulated on %s: account %s, Cloud Logs instance %s.", ready.URL, ready.Account, ready.Logs)
	if err := d.start(ctx); err != nil {
		return last, err
	}
	switch d.Form {
	case "job":
		d.say("Each event starts one run of latchkey as a job, with deploy/examples/hooks/emulator.yaml.\n")
	case "function":
		d.say("latchkey is called as a function on %s (Node is process %d), with deploy/examples/hooks/emulator.yaml.\n", d.url, d.child.Process.Pid)
	default:
		d.say("latchkey serves events on %s (process %d), with deploy/examples/hooks/emulator.yaml.\n", d.url, d.child.Process.Pid)
	}

	d.say("1. The Code Engine project %s is created. IBM sends the lifecycle event.", newProject)
	project := d.cloud.Cloud().AddProject(newProject, "eu-de")
	created := sample.ProjectCreated(ready.Account, project.ID, newProject, d.cloud.Now())
	first, err := d.send(ctx, created, false)
	if err != nil {
		return last, err
	}
	want := result.Published
	if first.Result == result.InProgress {
		d.say("   in progress: %s. latchkey looks again by itself.", first.Message)
		if err := d.provisioned(ctx, project.ID); err != nil {
			return last, err
		}
		want = result.Unchanged
		if first, err = d.send(ctx, created, false); err != nil {
			return last, err
		}
	}
	if err := d.expect(first, want); err != nil {
		return last, err
	}
	d.say("   service ID   %s, with latchkey's marker", first.ServiceID)
	d.say("   policy       Sender on logs, read back before a key was made")
	d.say("   key          %s, expires %s", first.Key, day(first.KeyExpires))
	lines := d.cloud.Lines()
	if len(lines) == 0 {
		return last, errors.New("no log line arrived")
	}
	d.say("   proof        a token for it, and %d log line accepted by instance %s", len(lines), ready.Logs)
	d.say("   published    %s\n", first.Stores[0].Name)

	d.say("2. The same event arrives again.")
	again, err := d.send(ctx, created, false)
	if err != nil {
		return last, err
	}
	if err := d.expect(again, result.Unchanged); err != nil {
		return last, err
	}
	d.say("   nothing to do: %s is published; it rotates on %s\n", again.Key, day(again.Next))

	d.cloud.Advance(50 * 24 * time.Hour)
	d.say("3. 50 days pass (the emulator's clock is moved). Secrets Manager warns that the secret is about to expire.")
	expiring := sample.SecretExpiring(ready.Account, "logs-sender-"+newProject, d.cloud.Now())
	second, err := d.send(ctx, expiring, true)
	if err != nil {
		return last, err
	}
	if err := d.expect(second, result.Published); err != nil {
		return last, err
	}
	d.say("   new key      %s, proven and published", second.Key)
	d.say("   old key      %s, works until %s: IAM expires it even if latchkey never runs again", second.Replaced, second.ReplacedEnds.Format(time.DateTime))
	if again, err = d.send(ctx, expiring, true); err != nil {
		return last, err
	}
	if err := d.expect(again, result.Unchanged); err != nil {
		return last, err
	}
	d.say("   same event   nothing to do\n")

	if err := d.crash(ctx, second); err != nil {
		return last, err
	}

	d.say("5. The timer ticks: every team project is checked.")
	outcomes, err := d.sendAll(ctx, sample.Tick(d.cloud.Now()), false)
	if err != nil {
		return last, err
	}
	for _, o := range outcomes {
		if o.Result == result.Blocked || o.Result == result.Failed {
			return last, fmt.Errorf("%s: %s: %s", o.Credential, o.Result, o.Error)
		}
	}
	if keys := d.keys(first.Credential); len(keys) != 1 {
		return last, fmt.Errorf("%s has the keys %v, want one", first.Credential, keys)
	}
	d.say("   the superseded keys and the key of the killed process are deleted\n")
	if err := d.life(ctx, first.Credential); err != nil {
		return last, err
	}
	if outcomes, err = d.sendAll(ctx, sample.Tick(d.cloud.Now()), false); err != nil {
		return last, err
	}
	if last, err = ours(outcomes, first.Credential); err != nil {
		return last, err
	}
	return last, d.table(outcomes)
}

// crash kills the program between minting and publishing. The next event
// recovers.
func (d *demo) crash(ctx context.Context, before result.Outcome) error {
	d.cloud.Advance(48 * time.Hour)
	d.say("4. A ticket demands a new key. The process is killed (SIGKILL) after it mints the key and before it publishes it.")
	no := false
	d.cloud.Inject(emulator.Fault{Method: http.MethodPut, Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultTimeout, Effect: &no, Delay: emulator.Duration{Duration: 20 * time.Second}})
	d.cloud.ResetCounters()
	rotate := sample.Rotate(before.Credential, d.cloud.Now())
	lost := make(chan error, 1)
	go func() {
		_, err := d.send(ctx, rotate, true)
		lost <- err
	}()
	if err := until(ctx, 20*time.Second, func() bool { return d.cloud.Counter(http.MethodPut, "/v2/projects/*/secrets/*") > 0 }); err != nil {
		return fmt.Errorf("waiting for the publication: %w", err)
	}
	if err := d.kill(); err != nil {
		return fmt.Errorf("killing the process: %w", err)
	}
	if err := <-lost; err == nil {
		return errors.New("the killed process answered")
	}
	d.cloud.ClearFaults()
	pending := d.newestKey()
	d.say("   left behind  %s: minted, in no store; its fuse expires it on %s", pending.ID, pending.Expires.Format(time.DateTime))
	d.say("   consumers    still have %s, which works", before.Key)
	if err := d.start(ctx); err != nil {
		return err
	}
	waiting, err := d.send(ctx, rotate, true)
	if err != nil {
		return err
	}
	if err := d.expect(waiting, result.InProgress); err != nil {
		return err
	}
	d.say("   at once      a new process gets the event again and waits: %q", waiting.Message)
	d.cloud.Advance(20 * time.Minute)
	healed, err := d.send(ctx, rotate, true)
	if err != nil {
		return err
	}
	if err := d.expect(healed, result.Published); err != nil {
		return err
	}
	d.say("   20 min later the event comes again: %s is retired, %s is minted, proven and published\n", pending.ID, healed.Key)
	d.cloud.Advance(25 * time.Hour)
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }

func day(t time.Time) string { return t.Format(time.DateOnly) }

func (d *demo) expect(o result.Outcome, want result.Result) error {
	if o.Result != want {
		return fmt.Errorf("the result is %s (%s %s) after steps %+v, want %s", o.Result, o.Message, o.Error, o.Steps, want)
	}
	return nil
}

// command is the program as a process in a group of its own, so that a kill
// reaches a function's child too.
func (d *demo) command(name string, args ...string) *exec.Cmd {
	ready := d.cloud.Ready()
	cmd := exec.Command(name, args...) //nolint:noctx // stopped by signals, as the platform does
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"LATCHKEY_ENDPOINT=" + ready.URL, "IBMCLOUD_API_KEY=" + ready.APIKey,
		"LATCHKEY_CONFIG=" + d.config, "EVENTS_TOKEN=" + d.token.Expose(),
	}
	cmd.Env = append(cmd.Env, d.hooks.Environment()...)
	cmd.SysProcAttr = ownGroup()
	return cmd
}

func (d *demo) program() (string, error) {
	if d.Program != "" {
		return d.Program, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the program: %w", err)
	}
	return self, nil
}

// start starts the program and waits until it is ready. A job starts with its
// event.
func (d *demo) start(ctx context.Context) error {
	if d.Form == "job" {
		return nil
	}
	program, err := d.program()
	if err != nil {
		return err
	}
	cmd := d.command(program, "serve", "--listen", "127.0.0.1:0")
	if d.Form == "function" {
		cmd = d.command("node", d.Platform, d.Bundle, "--serve", "--freeze")
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("starting latchkey: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting latchkey: %w", err)
	}
	address := make(chan string, 1)
	ended := make(chan struct{})
	d.child, d.ended = cmd, ended
	go func() {
		defer close(ended)
		d.log.follow(stderr, address)
		_ = cmd.Wait() // the demo kills it on purpose
	}()
	select {
	case a := <-address:
		d.url = "http://" + a
	case <-ended:
		return errors.New("latchkey ended before it served")
	case <-ctx.Done():
		return ctx.Err()
	}
	return until(ctx, 10*time.Second, func() bool {
		resp, err := d.http.Get(d.url + "/readyz") //nolint:noctx // the client has a timeout
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusNoContent
	})
}

// kill kills the program and its children.
func (d *demo) kill() error {
	d.mu.Lock()
	child, ended := d.child, d.ended
	d.mu.Unlock()
	if err := syscall.Kill(-child.Process.Pid, syscall.SIGKILL); err != nil {
		return err
	}
	<-ended
	return nil
}

// tryAgain is the exit code of a job whose outcome is in progress.
const tryAgain = 75

// runJob runs one job with the event in its environment, as Event Notifications
// or a timer does, and returns its output.
func (d *demo) runJob(e sample.Event, authenticated bool) ([]byte, error) {
	program, err := d.program()
	if err != nil {
		return nil, err
	}
	cmd := d.command(program, "job")
	if authenticated || e.Header["ce-id"] == "" {
		cmd.Env = append(cmd.Env, "ibmendata="+string(sample.Notified(e)))
	} else {
		for name, value := range e.Header {
			if attribute, is := strings.CutPrefix(name, "ce-"); is {
				cmd.Env = append(cmd.Env, "CE_"+strings.ToUpper(attribute)+"="+value)
			}
		}
		cmd.Env = append(cmd.Env, "CE_DATA="+string(e.Body))
	}
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the job: %w", err)
	}
	ended := make(chan struct{})
	d.mu.Lock()
	d.child, d.ended = cmd, ended
	d.mu.Unlock()
	err = cmd.Wait()
	close(ended)
	d.log.follow(&log, make(chan string, 1))
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != tryAgain) {
		return nil, fmt.Errorf("running the job: %w", err)
	}
	return out.Bytes(), nil
}

// stop stops the program as the platform does: SIGTERM, then SIGKILL.
func (d *demo) stop() {
	if d.child == nil {
		return
	}
	_ = d.child.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-d.child.Process.Pid, syscall.SIGKILL) // the rest of its group
	<-d.ended
}

// provisioned waits until the project has a key.
func (d *demo) provisioned(ctx context.Context, project string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, p := range d.cloud.State(false).Projects {
			if p.ID == project && len(p.Secrets) > 0 {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the key of project %s: %w", project, ctx.Err())
		}
	}
}

// send posts one event and returns its one outcome.
func (d *demo) send(ctx context.Context, e sample.Event, authenticated bool) (result.Outcome, error) {
	outcomes, err := d.sendAll(ctx, e, authenticated)
	if err != nil {
		return result.Outcome{}, err
	}
	if len(outcomes) != 1 {
		return result.Outcome{}, fmt.Errorf("%d outcomes, want one", len(outcomes))
	}
	return outcomes[0], nil
}

func (d *demo) sendAll(ctx context.Context, e sample.Event, authenticated bool) ([]result.Outcome, error) {
	if d.Form == "job" {
		body, err := d.runJob(e, authenticated)
		if err != nil {
			return nil, err
		}
		return readOutcomes(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/", bytes.NewReader(e.Body))
	if err != nil {
		return nil, err
	}
	for name, value := range e.Header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+d.token.Expose()) // without it, the answer has no outcome
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("sending the event: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("the answer is %s: %s", resp.Status, body)
	}
	return readOutcomes(body)
}

func readOutcomes(body []byte) ([]result.Outcome, error) {
	var many struct{ Outcomes []result.Outcome }
	if err := json.Unmarshal(body, &many); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(many.Outcomes) > 0 {
		return many.Outcomes, nil
	}
	var one result.Outcome
	if err := json.Unmarshal(body, &one); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return []result.Outcome{one}, nil
}

// keys returns the IDs of a credential's keys.
func (d *demo) keys(credential string) (ids []string) {
	for _, k := range d.cloud.State(false).APIKeys {
		if strings.HasPrefix(k.Name, credential+".") {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

type pendingKey struct {
	ID      string
	Expires time.Time
}

// newestKey returns the key that was minted last.
func (d *demo) newestKey() (found pendingKey) {
	var newest string
	for _, k := range d.cloud.State(false).APIKeys {
		if k.Name > newest && strings.HasPrefix(k.Name, "logs-sender/") && strings.Contains(k.Name, ".") {
			stamp := k.Name[strings.Index(k.Name, "."):]
			if stamp > newest {
				newest, found = stamp, pendingKey{ID: k.ID, Expires: k.ExpiresAt}
			}
		}
	}
	return found
}

func (d *demo) table(outcomes []result.Outcome) error {
	w := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CREDENTIAL\tKEY\tAGE\tEXPIRES\tSTORES\tNEXT")
	for _, o := range outcomes {
		var stores []string
		for _, s := range o.Stores {
			stores = append(stores, s.Name)
		}
		age := d.cloud.Now().Sub(o.KeyCreated)
		fmt.Fprintf(w, "%s\t%s\t%.1fd\t%s\t%s\t%s\n", o.Credential, o.Key, age.Hours()/24, day(o.KeyExpires), strings.Join(stores, ", "), day(o.Next))
	}
	return w.Flush()
}

// stayUp prints commands to try, and waits.
func (d *demo) stayUp(ctx context.Context, last result.Outcome) error {
	ready := d.cloud.Ready()
	d.say("\nlatchkey stays up on %s; Ctrl-C stops it. Try:\n", d.url)
	if d.Form != "function" { // its process keeps no state between calls
		d.say("  # the status page, for a browser on this machine")
		d.say("  %s/", d.url)
		d.say("  # the metrics, and how Prometheus scrapes them")
		d.say("  curl -s %s/metrics", d.url)
		d.say("  scrape_configs: [{job_name: latchkey, static_configs: [{targets: ['%s']}]}]", strings.TrimPrefix(d.url, "http://"))
	}
	d.say("  # a sweep: nothing is due")
	d.say("  curl -s -X POST %s/ -H 'Authorization: Bearer %s' -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /me' -H 'ce-type: dev.latchkey.sweep'", d.url, d.token.Expose())
	d.say("  # another key for one project (not within 10 minutes of the last: move the clock, see below)")
	d.say("  curl -s %s/ -H 'Authorization: Bearer %s' -H 'ce-specversion: 1.0' -H 'ce-id: 2' -H 'ce-source: /me' \\", d.url, d.token.Expose())
	d.say("    -H 'ce-type: dev.latchkey.rotate' -H 'Content-Type: application/json' -d '{\"credential\":\"%s\",\"notKey\":\"%s\"}'", last.Credential, last.Key)
	for _, line := range d.hooks.Lines(d.url, last.Credential, d.cloud.Now()) {
		d.say("  %s", line)
	}
	d.say("  # 61 days pass; the next sweep rotates every key")
	d.say("  curl -s %s/emulator/clock -d '{\"advance\":\"1464h\"}'", ready.URL)
	d.say("  # the state of the emulated IBM Cloud, without values; the accepted log lines")
	d.say("  curl -s %s/emulator/state", ready.URL)
	d.say("  curl -s %s/emulator/logs", ready.URL)
	<-ctx.Done()
	return nil
}

// until polls a condition of another process.
func until(ctx context.Context, patience time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// logTail has the last lines of the program's log, for the error when the demo
// fails.
type logTail struct {
	mu    sync.Mutex
	lines []string
}

// follow reads the log until it ends, and hands over the address that the
// program serves on.
func (l *logTail) follow(r io.Reader, address chan<- string) {
	const most = 40
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "serving" {
			address <- line.Address
		}
		l.mu.Lock()
		l.lines = append(l.lines, scanner.Text())
		if len(l.lines) > most {
			l.lines = l.lines[1:]
		}
		l.mu.Unlock()
	}
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
