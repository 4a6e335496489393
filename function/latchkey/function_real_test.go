//go:build real

package main

import (
	"bytes"
	"debug/elf"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// platformAnswer is what main returned to the platform.
type platformAnswer struct {
	StatusCode  int
	Headers     map[string]any
	Body        string
	Children    int
	Descriptors int
}

// function runs the bundle under one Node, as Code Engine does.
type function struct {
	t            *testing.T
	node, bundle string
	env          []string
}

// nodes are the Node binaries that make test-real found; none is a failure,
// not a reason to skip.
func nodes(t *testing.T) []string {
	t.Helper()
	list := strings.Fields(os.Getenv("LATCHKEY_NODES"))
	if len(list) == 0 || os.Getenv("LATCHKEY_BUNDLE") == "" {
		t.Fatal("LATCHKEY_NODES and LATCHKEY_BUNDLE are not set: run make test-real")
	}
	return list
}

func eachNode(t *testing.T, test func(t *testing.T, f *function, s *stage)) {
	for _, node := range nodes(t) {
		version, err := exec.Command(node, "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSpace(string(version)), func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			ready := s.cloud.Ready()
			test(t, &function{t: t, node: node, bundle: os.Getenv("LATCHKEY_BUNDLE"), env: []string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(),
				"LATCHKEY_ENDPOINT=" + ready.URL, "IBMCLOUD_API_KEY=" + ready.APIKey,
				"LATCHKEY_CONFIG=" + examples.Emulator, "EVENTS_TOKEN=" + testToken,
			}}, s)
		})
	}
}

func (f *function) request(e sample.Event, token string) map[string]any {
	headers := map[string][]string{}
	for name, value := range e.Header {
		headers[name] = []string{value}
	}
	if token != "" {
		headers["Authorization"] = []string{"Bearer " + token}
	}
	return map[string]any{"method": "POST", "path": "/", "headers": headers, "body": base64.StdEncoding.EncodeToString(e.Body)}
}

// call runs one instance with these requests and returns its answers.
func (f *function) call(said *record, requests []map[string]any, flags ...string) []platformAnswer {
	f.t.Helper()
	var in, out bytes.Buffer
	for _, r := range requests {
		if err := json.NewEncoder(&in).Encode(r); err != nil {
			f.t.Fatal(err)
		}
	}
	script, err := filepath.Abs("../testdata/platform.js")
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(f.node, append([]string{script, f.bundle, "--lines"}, flags...)...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = f.env, &in, &out, said
	if err := cmd.Run(); err != nil {
		f.t.Fatalf("running the function: %v\n%s", err, said)
	}
	fmt.Fprint(said, out.String())
	var answers []platformAnswer
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var a platformAnswer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			f.t.Fatalf("reading the answer %q: %v", line, err)
		}
		answers = append(answers, a)
	}
	return answers
}

func TestTheFunctionAnswersAsTheApplicationDoes(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		created, credential := s.created("team-b")
		s.one(created, testToken, "published") // the state is then the same for both
		structured := sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents+json"},
			Body: []byte(`{"specversion":"1.0","id":"1","source":"/me","type":"dev.latchkey.sweep","data":{"credentials":["` + credential + `"]}}`)}
		asText := structured
		asText.Header = map[string]string{"Content-Type": "application/cloudevents+json; charset=utf-8"}
		unfolded := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{credential}})
		bad := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"colour": "red"})
		batch := sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents-batch+json"}, Body: []byte("[]")}
		noID := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), nil)
		delete(noID.Header, "ce-id")
		escaped := sample.Binary("com.acme.order", "/t", s.cloud.Now(), nil)
		escaped.Header["ce-subject"] = "a%20%22b%22"
		for name, tc := range map[string]struct {
			event sample.Event
			token string
		}{
			"lifecycle":              {created, testToken},
			"structured":             {structured, testToken},
			"structured, charset":    {asText, testToken},
			"JSON data, unfolded":    {unfolded, testToken},
			"bad data":               {bad, testToken},
			"a batch":                {batch, testToken},
			"no id":                  {noID, testToken},
			"not for us":             {escaped, testToken},
			"a demand without token": {sample.Rotate(credential, s.cloud.Now()), ""},
			"a wrong token":          {created, "guess"},
			"a met demand":           {sample.Rotate(credential, s.cloud.Now().Add(-1e12)), testToken},
			"an expiring secret":     {sample.SecretExpiring(s.cloud.Ready().Account, "unknown", s.cloud.Now()), testToken},
		} {
			t.Run(name, func(t *testing.T) {
				over := s.post(s.url, tc.event, tc.token)
				got := f.call(s.said, []map[string]any{f.request(tc.event, tc.token)})[0]
				if got.StatusCode != over.status || got.Body != over.body {
					t.Errorf("the function answers %d %s, the application %d %s", got.StatusCode, got.Body, over.status, over.body)
				}
				for header := range over.header {
					if strings.HasPrefix(header, "Ce-") && header != "Ce-Time" || header == "Content-Type" {
						if fmt.Sprint(got.Headers[header]) != over.header.Get(header) {
							t.Errorf("%s: %v, the application has %s", header, got.Headers[header], over.header.Get(header))
						}
					}
				}
			})
		}
	})
}

func TestTheFunctionProvisionsFrozenOrNot(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		created, credential := s.created("team-a")
		answers := f.call(s.said, []map[string]any{f.request(created, testToken), f.request(created, testToken), f.request(sample.Tick(s.cloud.Now()), testToken)}, "--freeze")
		for i, want := range []string{"published", "unchanged", "published"} {
			if answers[i].StatusCode != http.StatusOK || !strings.Contains(answers[i].Body, `"result":"`+want+`"`) {
				t.Errorf("call %d: %d %s, want %s", i+1, answers[i].StatusCode, answers[i].Body, want)
			}
		}
		if n := len(s.keys(credential)); n != 1 {
			t.Errorf("%d keys, want 1", n)
		}
	})
}

func TestTheFunctionKeepsCallsInFlightApart(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		var requests []map[string]any
		for i := range 50 {
			requests = append(requests, f.request(sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{fmt.Sprintf("unknown-%d", i)}}), testToken))
		}
		for i, a := range f.call(s.said, requests, "--together")[:50] {
			if want := fmt.Sprintf("unknown-%d\\\"", i); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.Body, want) {
				t.Errorf("call %d got %d %s", i, a.StatusCode, a.Body)
			}
		}
		created, _ := s.created("team-a")
		f.call(s.said, []map[string]any{f.request(created, "")})
	})
}

func TestTheFunctionRefusesALongCallAndKeepsTheProgram(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		small := f.request(sample.Binary("com.acme.order", "/t", s.cloud.Now(), nil), "")
		long := f.request(sample.Binary("com.acme.order", "/t", s.cloud.Now(), nil), "")
		long["body"] = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("\uFFFD"), 5<<20))
		answers := f.call(s.said, []map[string]any{small, long, small})
		for i, want := range []int{http.StatusNoContent, http.StatusRequestEntityTooLarge, http.StatusNoContent} {
			if answers[i].StatusCode != want {
				t.Errorf("call %d: %d, want %d", i+1, answers[i].StatusCode, want)
			}
		}
		if s.said.contains("did not answer") {
			t.Error("the program ended")
		}
	})
}

func TestTheFunctionLeavesOneChildAfterAThousandCalls(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		created, _ := s.created("team-a")
		f.call(s.said, []map[string]any{f.request(created, "")})
		other := f.request(sample.Binary("com.acme.order", "/t", s.cloud.Now(), nil), "")
		measure := func(n int) platformAnswer {
			requests := make([]map[string]any, n)
			for i := range requests {
				requests[i] = other
			}
			answers := f.call(s.said, requests, "--count")
			for i, a := range answers[:n] {
				if a.StatusCode != http.StatusNoContent {
					// The rate limit of looks holds in the function too.
					if a.StatusCode != http.StatusTooManyRequests {
						t.Fatalf("call %d: %d %s", i, a.StatusCode, a.Body)
					}
				}
			}
			return answers[n]
		}
		few, many := measure(1), measure(1000)
		if many.Children != 1 || many.Descriptors > few.Descriptors {
			t.Errorf("after 1,000 calls %d children and %d descriptors; after one %d and %d", many.Children, many.Descriptors, few.Children, few.Descriptors)
		}
	})
}

func TestTheFunctionMendsALostExecutableBit(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		bundle := t.TempDir()
		for _, name := range []string{"main.js", "package.json", "latchkey"} {
			data, err := os.ReadFile(filepath.Join(f.bundle, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(bundle, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f.bundle = bundle
		created, _ := s.created("team-a")
		if a := f.call(s.said, []map[string]any{f.request(created, "")})[0]; a.StatusCode != http.StatusOK {
			t.Errorf("answer %d %s", a.StatusCode, a.Body)
		}
	})
}

func TestTheFunctionsChildThatDiesAnswers503AndIsStartedAgain(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		// A script in the bundle's place of main.js drives the real one and
		// kills the child in mid-call.
		created, _ := s.created("team-a")
		effect := false // a held call that is let go would still mint
		s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/v1/apikeys", Kind: emulator.FaultTimeout, Effect: &effect, Delay: emulator.Duration{Duration: 20 * time.Second}})
		args, err := json.Marshal(map[string]any{
			"__ce_method": "POST", "__ce_path": "/", "__ce_headers": canonicalHeaders(created.Header), "__ce_body": base64.StdEncoding.EncodeToString(created.Body),
		})
		if err != nil {
			t.Fatal(err)
		}
		script := `
const { main } = require(process.argv[1] + '/main.js');
const { execFileSync } = require('child_process');
const args = JSON.parse(process.argv[2]);
const control = process.argv[3];
(async () => {
  const hung = main(args);
  for (;;) {
    const counters = await (await fetch(control + '/emulator/counters')).json();
    if (counters['POST /v1/apikeys']) break;
  }
  execFileSync('pkill', ['-9', '-P', String(process.pid), '-x', 'latchkey']);
  const first = await hung;
  await fetch(control + '/emulator/faults', { method: 'DELETE' });
  const second = await main(args);
  console.log(JSON.stringify([first.statusCode, second.statusCode]));
  process.exit(0);
})();`
		cmd := exec.Command(f.node, "-e", script, f.bundle, string(args), s.cloud.URL())
		cmd.Env, cmd.Stderr = f.env, s.said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, s.said)
		}
		if got := strings.TrimSpace(string(out)); got != "[503,200]" {
			t.Errorf("answers %s, want 503 for the call that was killed and 200 for the next", got)
		}
	})
}

func TestTheFunctionAnswersBeforeThePlatformAborts(t *testing.T) {
	eachNode(t, func(t *testing.T, f *function, s *stage) {
		created, _ := s.created("team-a")
		before := false
		s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/v1/apikeys", Kind: emulator.FaultTimeout, Effect: &before, Count: 1, Delay: emulator.Duration{Duration: 1500 * time.Millisecond}})
		f.env = append(f.env, "LATCHKEY_DEADLINE_MS=300") // in place of 110 s; the platform aborts at 120 s with a 299
		a := f.call(s.said, []map[string]any{f.request(created, "")})[0]
		if a.StatusCode != http.StatusServiceUnavailable || fmt.Sprint(a.Headers["Retry-After"]) == "" {
			t.Errorf("answer %d %v", a.StatusCode, a.Headers)
		}
		// What was under way is finished even so: the program ends only then.
		s.one(created, testToken, "unchanged")
	})
}

func TestTheBundleIsSmallStaticAndComplete(t *testing.T) {
	nodes(t)
	bundle := os.Getenv("LATCHKEY_BUNDLE")
	var packed bytes.Buffer
	cmd := exec.Command("tar", "-cz", "-C", bundle, ".")
	cmd.Stdout = &packed
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() > 20<<20 {
		t.Errorf("the bundle is %d bytes compressed, more than 20 MiB", packed.Len())
	}
	program, err := elf.Open(filepath.Join(bundle, "latchkey"))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 || program.Machine != elf.EM_X86_64 {
		t.Errorf("%s, needs %v, %v", program.Machine, libraries, err)
	}
}

func canonicalHeaders(h map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range h {
		out[http.CanonicalHeaderKey(name)] = value
	}
	return out
}
