package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// The soak runs two replicas of the real program for long, while the emulated time
// passes, IBM Cloud fails, and strangers send as fast as they can. One replica lives to
// the end and is measured; the other is ended and started again and again.
//
//	make soak T=1h

var soakFor = flag.Duration("soak", 0, "how long TestSoak runs")

// What a soak must keep to.
const (
	soakFaults      = 0.05                  // of the calls to IBM Cloud
	soakStep        = 10 * time.Hour        // of emulated time between two sweeps
	soakUnderWay    = 50 * time.Millisecond // a write takes from the program's check of the time to the proxy
	soakStrangers   = 8                     // connections that send at once
	soakLives       = 12                    // of the second replica
	mostGrowth      = 1.0                   // MiB of resident memory an hour, in the second half of the time
	mostGoroutines  = 25                    // more than a program has that has just started
	mostDescriptors = 10                    // more than before the strangers came
	mostDelay       = time.Second           // of known callers at the 99th percentile
	soakWarmUp      = 1.0 / 8               // of the time is without strangers
	dumpPattern     = `(?m)^goroutine \d`   // begins each goroutine of a dump
)

// soak is one run.
type soak struct {
	*killing
	proxy   *httptest.Server
	failing atomic.Bool
	between atomic.Bool  // hours pass: a write does not arrive
	writing sync.RWMutex // held for reading by each write
	random  func() float64

	mu    sync.Mutex
	quiet []time.Duration // how long known callers wait without strangers
	under []time.Duration // and with them
	sent  [soakStrangers]int64
}

func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("the soak runs with -soak DURATION: make soak T=2m")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(program)) })
	s := &soak{killing: begin(t, flow{name: "soak", begin: func(*killing) (*sample.Event, string) {
		var credentials strings.Builder
		for i := range 12 {
			place := fmt.Sprintf("%s/%s#IAM_API_KEY", []string{"us-south/team-b", "eu-de/team-a"}[i%2], fmt.Sprintf("soak-%d", i))
			credentials.WriteString(strings.Replace(static(fmt.Sprintf("c%d", i), place), "  stores:", "  rotation: {after: 3d, expire: 10d, overlap: 24h}\n  stores:", 1))
		}
		return nil, credentials.String() + "sweepEvery: 12h\nhooks:\n  tickets:\n    verify: {github: {secretEnv: GITHUB_SECRET}}\n    event: {type: dev.latchkey.sweep}\n"
	}})}
	seed := rand.New(rand.NewPCG(1, 2))
	s.random = func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return seed.Float64()
	}
	s.front()
	s.run()
}

// front puts a proxy before the emulator that fails some calls: before or after their
// effect, or without any answer.
func (s *soak) front() {
	to, err := url.Parse(s.cloud.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to)
	s.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/identity/token") {
			s.writing.RLock()
			defer s.writing.RUnlock()
			if s.between.Load() {
				panic(http.ErrAbortHandler)
			}
		}
		chance := s.random()
		if !s.failing.Load() || strings.HasPrefix(r.URL.Path, "/emulator/") || chance > soakFaults {
			forward.ServeHTTP(w, r)
			return
		}
		if chance < soakFaults/2 { // the call has its effect
			forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		if chance < soakFaults/4 || chance > soakFaults*3/4 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	s.proxy.Config.ErrorLog = nil
	s.t.Cleanup(s.proxy.Close)
}

// advance lets hours pass between two writes. A write that was sent before does not arrive
// after them: the protocol relies on two minutes (fence.Fence).
func (s *soak) advance() {
	s.between.Store(true)
	time.Sleep(soakUnderWay)
	s.writing.Lock()
	s.cloud.Advance(soakStep)
	s.writing.Unlock()
	time.Sleep(soakUnderWay)
	s.between.Store(false)
}

// replica starts the program behind the proxy.
func (s *soak) replica() *program {
	p := &program{k: s.killing, form: "serve", said: &record{}}
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.over
	})
	p.start(nil, []string{"LATCHKEY_ENDPOINT=" + s.proxy.URL, "GITHUB_SECRET=" + githubSecret}, "serve", "--listen", "127.0.0.1:0")
	s.await("the program to serve", func() bool { return served.MatchString(p.said.String()) })
	p.url = "http://" + served.FindStringSubmatch(p.said.String())[1]
	return p
}

func (s *soak) run() {
	measured, other := s.replica(), s.replica()
	began := time.Now()
	end, strangersFrom := began.Add(*soakFor), began.Add(time.Duration(float64(*soakFor)*soakWarmUp))
	s.failing.Store(true)

	stop := make(chan struct{})
	var known sync.WaitGroup
	known.Go(func() { s.knownCallers(stop, measured, strangersFrom) })

	var strangers sync.WaitGroup
	var memory []sampled
	var base, hours, life, made int
	for turn := 0; time.Now().Before(end); turn++ {
		if base == 0 && time.Now().After(strangersFrom) {
			base = measured.descriptors()
			for i := range soakStrangers {
				strangers.Go(func() { s.stranger(stop, measured.url, i) })
			}
		}
		s.advance()
		hours += int(soakStep / time.Hour)
		sweeper := measured
		if turn%2 == 1 {
			sweeper = other
		}
		d := sweeper.deliver(nil)
		<-d.done
		s.look(fmt.Sprintf("after %d hours", hours))
		s.forget(measured, other)
		memory = append(memory, sampled{time.Since(began), measured.resident()})
		if time.Since(began) > time.Duration(life+1)**soakFor/soakLives {
			s.end(other, life)
			other, life = s.replica(), life+1
		}
	}
	close(stop)
	strangers.Wait()
	known.Wait()

	s.failing.Store(false)
	s.cloud.Advance(time.Hour)
	s.settle(measured)
	s.cloud.Advance(time.Hour)
	s.settled(s.settle(measured))
	s.strict(true)
	for _, e := range s.cloud.Events() {
		if e.Method == http.MethodPost && e.Path == "/v1/apikeys" && e.Status < 300 {
			made++
		}
	}
	left := 0
	if err := until(s.t.Context(), 30*time.Second, func() bool { left = measured.descriptors(); return left <= base+mostDescriptors }); err != nil {
		s.t.Errorf("%d descriptors are open after the strangers left, %d before they came", left, base)
	}
	fresh, lived := s.replica().dump(s), measured.dump(s)
	if lived > fresh+mostGoroutines {
		s.t.Errorf("%d goroutines at the end, %d in a program that has just started", lived, fresh)
	}
	growth, chance := slope(memory)
	if growth-3*chance > mostGrowth {
		s.t.Errorf("resident memory grew by %.1f ± %.1f MiB an hour", growth, chance)
	}
	quiet, under := percentile(s.quiet, 0.99), percentile(s.under, 0.99)
	if len(s.quiet) < 20 || len(s.under) < 20 || under > quiet+mostDelay {
		s.t.Errorf("known callers wait %s (p99 of %d) beside strangers, and %s (of %d) without", under, len(s.under), quiet, len(s.quiet))
	}
	fmt.Printf("soak: %s, %d emulated days, %d keys made, %d lives, strangers sent %v\n", time.Since(began).Round(time.Second), hours/24, made, life, s.sent)
	fmt.Printf("soak: resident memory %+.1f ± %.1f MiB an hour, goroutines %d (%d at a start), descriptors %d (%d before)\n", growth, chance, lived, fresh, left, base)
	fmt.Printf("soak: p99 of known callers %s beside strangers, %s without; %d broken promises\n",
		under.Round(time.Millisecond), quiet.Round(time.Millisecond), toll.violations.Load())
}

// forget drops what the programs said, which was searched for values.
func (s *soak) forget(programs ...*program) {
	s.said.reset()
	for _, p := range programs {
		p.said.reset()
	}
}

// knownCallers looks at single credentials, one after the other.
func (s *soak) knownCallers(stop <-chan struct{}, p *program, strangersFrom time.Time) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		e := sample.Binary("dev.latchkey.sweep", "/soak", s.cloud.Now(), map[string]any{"credentials": []string{fmt.Sprintf("c%d", i%12)}})
		began := time.Now()
		d := p.deliver(&e)
		<-d.done
		s.mu.Lock()
		if took := time.Since(began); began.After(strangersFrom) {
			s.under = append(s.under, took)
		} else {
			s.quiet = append(s.quiet, took)
		}
		s.mu.Unlock()
		if d.status == 0 || d.status == http.StatusTooManyRequests || d.status == http.StatusUnauthorized {
			s.t.Errorf("a known caller is answered %d", d.status)
		}
	}
}

// stranger sends one kind of request as fast as it is answered.
func (s *soak) stranger(stop <-chan struct{}, to string, kind int) {
	look := sample.Binary("dev.latchkey.sweep", "/stranger", s.cloud.Now(), nil)
	junk := sample.Binary("com.acme.order", "/stranger", s.cloud.Now(), map[string]string{"a": strings.Repeat("x", 2000)})
	long := sample.Binary("dev.latchkey.sweep", "/stranger", s.cloud.Now(), nil)
	long.Header = map[string]string{"Content-Type": "application/cloudevents+json"}
	long.Body = []byte(`{"specversion":"1.0","source":"/s","type":"dev.latchkey.sweep","id":"` + strings.Repeat("x", 900<<10) + `"}`)
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for ; ; atomic.AddInt64(&s.sent[kind], 1) {
		select {
		case <-stop:
			return
		default:
		}
		e, path, header := junk, "/", http.Header{}
		switch kind {
		case 0:
			e = look
		case 1:
			header.Set("Authorization", "Bearer wrong-0123456789abcdef")
		case 2:
			path, header = "/hooks/tickets", http.Header{"X-Hub-Signature-256": {"sha256=" + strings.Repeat("0", 64)}}
		case 3:
			e = long
		case 4:
			path, header = "/readyz", http.Header{}
		case 5:
			e = sample.Tick(s.cloud.Now())
		}
		req, err := http.NewRequest(http.MethodPost, to+path, bytes.NewReader(e.Body))
		if err != nil {
			s.t.Error(err)
			return
		}
		if kind == 4 {
			req.Method = http.MethodGet
		}
		for name, value := range e.Header {
			header.Set(name, value)
		}
		req.Header = header
		resp, err := client.Do(req)
		if err != nil {
			if errors.Is(err, syscall.ECONNREFUSED) {
				s.t.Errorf("the measured replica is gone: %v", err)
				return
			}
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
