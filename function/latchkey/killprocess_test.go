package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
)

// killing is a flow on an emulator of its own: the start state is made by the
// program in this process, everything after that by processes.
type killing struct {
	*stage
	flow
	config string        // what the processes are started with
	asked  *sample.Event // nil asks for a sweep
	old    string        // the key that was published at the start
	rivals bool          // two replicas mint at once, and one deletes its key

	values map[string]string    // every value that was ever seen, and whose it is
	named  map[string]time.Time // when a store was last seen to name a key
	born   map[string]bool      // keys of the start state
	theirs foreign
	since  int // events before this one made the start state
}

// begin makes a flow's start state.
func begin(t *testing.T, f flow) *killing {
	t.Helper()
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := &killing{
		stage: &stage{t: t, cloud: server, said: &record{}}, flow: f,
		values: map[string]string{}, named: map[string]time.Time{}, born: map[string]bool{},
	}
	t.Cleanup(func() {
		k.findCanaries()
		server.Close()
	})
	k.plantForeign()
	k.asked, k.config = f.begin(k)
	k.config = holesHead + k.config
	k.old = k.published()
	state := k.cloud.State(true)
	for _, key := range state.APIKeys {
		k.born[key.ID] = true
	}
	k.theirs = foreignOf(state, f.adopts)
	k.since = len(k.cloud.Events())
	k.look("at the start")
	return k
}

// inProcess serves a config from this process, and sweeps once.
func (k *killing) inProcess(credentials string) {
	k.t.Helper()
	k.url = k.serve(holesHead + credentials)
	k.sweep()
	for id := range entries(k.cloud.State(true)) {
		k.named[id] = k.cloud.Now()
	}
}

func (k *killing) violate(promise, format string, args ...any) {
	k.t.Helper()
	toll.violations.Add(1)
	k.t.Errorf(promise+": "+format, args...)
}

func (k *killing) await(what string, holds func() bool) {
	k.t.Helper()
	if err := until(k.t.Context(), time.Minute, holds); err != nil {
		k.t.Fatalf("waiting for %s: %v", what, err)
	}
}

// arm puts a fault before all others. It is the one that seen counts for.
func (k *killing) arm(f emulator.Fault) { k.cloud.Inject(f) }

// hold lets no request after the one at the index have its effect, nor get an
// answer; whether that one has its effect is said.
func (k *killing) hold(at int, effect bool) {
	never, yes := false, true
	long := emulator.Duration{Duration: time.Hour}
	if effect {
		k.arm(emulator.Fault{Kind: emulator.FaultTimeout, Effect: &yes, After: at, Count: 1, Delay: long})
		k.arm(emulator.Fault{Kind: emulator.FaultTimeout, Effect: &never, After: at + 1, Delay: long})
		return
	}
	k.arm(emulator.Fault{Kind: emulator.FaultTimeout, Effect: &never, After: at, Delay: long})
}

// disturb is what goes wrong in the flow by itself while the program is at
// work.
func (k *killing) disturb() {
	if k.down != nil {
		k.arm(k.down(k))
	}
}

// seen is how many requests the first fault has seen.
func (k *killing) seen() int {
	k.t.Helper()
	resp, err := http.Get(k.cloud.URL() + "/emulator/faults")
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	var faults []struct{ Seen int }
	if err := json.NewDecoder(resp.Body).Decode(&faults); err != nil || len(faults) == 0 {
		k.t.Fatalf("reading the faults: %v", err)
	}
	return faults[0].Seen
}

// program is one process of the real binary.
type program struct {
	k    *killing
	file string // of the program; "" is the one that is built here
	form string
	cmd  *exec.Cmd
	over chan struct{} // closed when the process has ended
	url  string
	said *record
}

// contains reports whether the text was said.
func (r *record) contains(text string) bool { return strings.Contains(r.String(), text) }

var served = regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)

// up brings what serves up. A job is there when it is asked.
func (k *killing) up(form string) *program { return k.upAs("", form) }

// upAs brings up another version of the program.
func (k *killing) upAs(file, form string) *program {
	k.t.Helper()
	p := &program{k: k, file: file, form: form, said: &record{}}
	k.t.Cleanup(func() {
		if p.cmd != nil {
			_ = p.cmd.Process.Kill()
			<-p.over
		}
	})
	if form == "serve" {
		p.start(nil, nil, "serve", "--listen", "127.0.0.1:0")
		k.await("the program to serve", func() bool { return served.MatchString(p.said.String()) })
		p.url = "http://" + served.FindStringSubmatch(p.said.String())[1]
	}
	return p
}

// start starts a process. Its output is kept with everything else that was
// said, to be searched for values.
func (p *program) start(out io.Writer, env []string, args ...string) {
	p.k.t.Helper()
	file := p.file
	if file == "" {
		built, err := binary()
		if err != nil {
			p.k.t.Fatal(err)
		}
		file = built
	}
	ready := p.k.cloud.Ready()
	cmd := exec.Command(file, args...)
	cmd.Env = append([]string{
		"LATCHKEY_ENDPOINT=" + ready.URL, "IBMCLOUD_API_KEY=" + ready.APIKey, "LATCHKEY_CONFIG=" + p.k.config, "EVENTS_TOKEN=" + testToken,
	}, env...)
	both := io.MultiWriter(p.said, p.k.said)
	cmd.Stderr = both
	cmd.Stdout = both
	if out != nil {
		cmd.Stdout = io.MultiWriter(both, out)
	}
	if err := cmd.Start(); err != nil {
		p.k.t.Fatal(err)
	}
	over := make(chan struct{})
	p.cmd, p.over = cmd, over
	go func() {
		defer close(over)
		_ = cmd.Wait() // how it ended is asked of the process' state
	}()
}

// answer is what the sender of an event gets: a status of 0 when the process
// ended first.
type delivered struct {
	done     chan struct{}
	status   int
	outcomes []result.Outcome
}

func (d *delivered) over() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// deliver gives the program an event, or asks for a sweep.
func (p *program) deliver(e *sample.Event) *delivered {
	p.k.t.Helper()
	d := &delivered{done: make(chan struct{})}
	if p.form == "job" {
		var out bytes.Buffer
		var env []string
		if e != nil {
			env = append(env, "ibmendata="+string(sample.Notified(*e)))
		}
		p.start(&out, env, "job")
		go func() {
			defer close(d.done)
			<-p.over
			switch p.cmd.ProcessState.ExitCode() {
			case cli.ExitOK:
				d.status = http.StatusOK
			case cli.ExitTryAgain:
				d.status = http.StatusServiceUnavailable
			}
			d.outcomes, _ = readOutcomes(out.Bytes()) // a killed process says nothing
		}()
		return d
	}
	what := sample.Tick(p.k.cloud.Now())
	if e != nil {
		what = *e
	}
	go func() {
		defer close(d.done)
		req, err := http.NewRequest(http.MethodPost, p.url+"/", bytes.NewReader(what.Body))
		if err != nil {
			return
		}
		for name, value := range what.Header {
			req.Header.Set(name, value)
		}
		req.Header.Set("Authorization", "Bearer "+testToken)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Minute}
		resp, err := client.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		_, _ = p.k.said.Write(body)
		d.status = resp.StatusCode
		d.outcomes, _ = readOutcomes(body)
	}()
	return d
}

func (p *program) signal(s syscall.Signal) {
	p.k.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		select {
		case <-p.over: // it was faster
		default:
			p.k.t.Fatalf("sending %s: %v", s, err)
		}
	}
}

// kill ends the program at once.
func (p *program) kill() {
	p.k.t.Helper()
	toll.kills.Add(1)
	_ = p.cmd.Process.Kill() // it may have been faster
	<-p.over
}

// ends waits for the end, and looks at its code.
func (p *program) ends(within time.Duration, code int) {
	p.k.t.Helper()
	select {
	case <-p.over:
		if got := p.cmd.ProcessState.ExitCode(); got != code && got != cli.ExitTryAgain {
			p.k.violate("a drain", "exit %d; it said\n%s", got, p.said.String())
		}
	case <-time.After(within):
		p.k.violate("a drain", "the program runs %s after SIGTERM", within)
		p.kill()
	}
}

// down ends the program as the platform does.
func (p *program) down() {
	p.k.t.Helper()
	if p.cmd == nil {
		return
	}
	if p.form == "serve" {
		p.signal(syscall.SIGTERM)
	}
	p.ends(drained, cli.ExitOK)
}

// ask gives the program an event, or asks for a sweep, and waits for the
// answer.
func (k *killing) ask(p *program, e *sample.Event) *delivered {
	k.t.Helper()
	d := p.deliver(e)
	<-d.done
	if d.status == 0 {
		k.t.Fatalf("the program ended without an answer; it said\n%s", p.said.String())
	}
	return d
}

// settle sweeps once.
func (k *killing) settle(p *program) *delivered {
	k.t.Helper()
	return k.ask(p, nil)
}

// converge lets another process go on: two sweeps put everything right, and a
// further one changes nothing.
func (k *killing) converge(form string, again bool, first *delivered) {
	k.t.Helper()
	if k.t.Failed() {
		return
	}
	p := k.up(form)
	taken := first.status == http.StatusOK || first.status == http.StatusAccepted
	if k.asked != nil && again {
		for try := 0; try == 0 || !taken && try < 4; try++ {
			d := k.ask(p, k.asked)
			taken = d.status == http.StatusOK || d.status == http.StatusAccepted
			k.look(fmt.Sprintf("after repetition %d", try+1))
			if !taken {
				k.cloud.Advance(20 * time.Minute)
			}
		}
		if !taken {
			k.violate("P9", "the event is refused again and again")
		}
	}
	for i := range 2 {
		k.cloud.Advance(time.Hour)
		d := k.settle(p)
		k.look(fmt.Sprintf("after sweep %d", i+1))
		if i == 1 {
			k.settled(d)
		}
	}
	k.strict(taken)
	k.quiet(p, nil, "a further sweep")
	if k.asked != nil && taken {
		k.quiet(p, k.asked, "the same event once more")
	}
	k.cloud.Advance(30 * time.Hour)
	k.settle(p)
	k.look("30 hours later")
	k.settle(p)
	k.last()
	k.quiet(p, nil, "a sweep 30 hours later")
	p.down()
}

// quiet asks for something that must change nothing.
func (k *killing) quiet(p *program, e *sample.Event, what string) {
	k.t.Helper()
	before := len(k.cloud.Events())
	k.ask(p, e)
	for _, e := range k.cloud.Events()[before:] {
		k.violate("P10", "%s makes a change: %s %s (%d)", what, e.Method, e.Path, e.Status)
	}
}

// published is the key that the first place names.
func (k *killing) published() string {
	if len(k.places) == 0 {
		return ""
	}
	id, _ := k.place(k.cloud.State(true), k.places[0])
	return id
}

// place is what a store, region/project/secret#entry, holds.
func (k *killing) place(state cloud.State, at string) (id, value string) {
	parts := strings.FieldsFunc(at, func(r rune) bool { return r == '/' || r == '#' })
	project, ok := state.Project(parts[1])
	if !ok {
		k.t.Fatalf("no project %s", parts[1])
	}
	for _, s := range project.Secrets {
		if s.Name == parts[2] {
			return s.Data[parts[3]+"_ID"], s.Data[parts[3]]
		}
	}
	return "", ""
}
