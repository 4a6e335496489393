//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

// The rows of this file compare a service that is attacked with one that is not.

// attackedConfig has ten credentials.
func attackedConfig() string {
	var b strings.Builder
	b.WriteString("version: 1\nowner: bench\nregions: [eu-de]\nevents: {auth: {bearerEnv: EVENTS_TOKEN}, allow: [{verbs: [rotate, revoke], credentials: [\"*\"]}]}\ncredentials:\n")
	for i := range 10 {
		fmt.Fprintf(&b, "- name: c%d\n  serviceID: {name: c%d, policies: [{service: logs, roles: [Sender]}]}\n  stores: [{codeEngine: {project: team-a, region: eu-de, secret: s%d, entry: KEY}}]\n", i, i, i)
	}
	return b.String()
}

// attacked is a service on an emulator.
type attacked struct {
	server
	cloud *emulator.Server
}

func newAttacked(t *testing.T) attacked {
	t.Helper()
	cloud, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	ready := cloud.Ready()
	s, _ := launch(t, serveAddress, "/healthz", []string{
		"LATCHKEY_ENDPOINT=" + ready.URL, "IBMCLOUD_API_KEY=" + ready.APIKey, "EVENTS_TOKEN=events-token-0123456789", "LATCHKEY_CONFIG=" + attackedConfig(),
	}, binary(t, "latchkey"), "serve", "--listen", "127.0.0.1:0")
	a := attacked{server: s, cloud: cloud}
	for range 2 {
		if status := a.known(t, "sweep", nil); status != http.StatusOK {
			t.Fatalf("the first sweep is answered %d", status)
		}
	}
	return a
}

// known sends an event with the token.
func (a attacked) known(t *testing.T, kind string, data []byte) int {
	return a.post(t, map[string]string{
		"Ce-Id": fmt.Sprint(time.Now().UnixNano()), "Ce-Source": "/bench", "Ce-Specversion": "1.0", "Ce-Type": "dev.latchkey." + kind,
		"Content-Type": "application/json", "Authorization": "Bearer events-token-0123456789",
	}, string(data))
}

// calls is how many calls the emulator has answered.
func (a attacked) calls() int { return a.cloud.Counter("*", "*") }

// strangers send as fast as they are answered, on some connections, until the returned
// function is called. It returns how many requests were answered.
func (a attacked) strangers(connections int, header map[string]string, body string) (stop func() int64) {
	end := make(chan struct{})
	var sent atomic.Int64
	var wait sync.WaitGroup
	for range connections {
		client := &http.Client{Transport: &http.Transport{}}
		wait.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-end:
					return
				default:
				}
				req, err := http.NewRequest(http.MethodPost, a.url+"/", strings.NewReader(body))
				if err != nil {
					return
				}
				for name, value := range header {
					req.Header.Set(name, value)
				}
				if resp, err := client.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					sent.Add(1)
				}
			}
		})
	}
	return func() int64 {
		close(end)
		wait.Wait()
		return sent.Load()
	}
}

var (
	aLook = map[string]string{"Ce-Id": "1", "Ce-Source": "/stranger", "Ce-Specversion": "1.0", "Ce-Type": "dev.latchkey.sweep"}
	aTick = map[string]string{"Ce-Id": "1", "Ce-Source": "/timer", "Ce-Specversion": "1.0", "Ce-Type": "dev.knative.sources.ping"}
	aJunk = map[string]string{"Ce-Id": "1", "Ce-Source": "/stranger", "Ce-Specversion": "1.0", "Ce-Type": "com.acme.order", "Content-Type": "application/json"}
)

const attackFor = 5 * time.Second

func attackRows() []row {
	return []row{
		{"attack: revocation after rotations of all / alone", func(t *testing.T) (float64, string) {
			revoke := func(a attacked) float64 {
				a.cloud.Advance(time.Hour)
				key := ""
				for _, p := range a.cloud.State(true).Projects {
					for _, s := range p.Secrets {
						if s.Name == "s0" {
							key = s.Data["KEY_ID"]
						}
					}
				}
				start := time.Now()
				if status := a.known(t, "revoke", fmt.Appendf(nil, `{"credential":"c0","keyID":%q}`, key)); status != http.StatusOK {
					t.Errorf("the revocation is answered %d", status)
				}
				return time.Since(start).Seconds() * 1000
			}
			quiet := newAttacked(t)
			alone := revoke(quiet)
			spent := newAttacked(t)
			spent.cloud.Advance(time.Hour)
			for i := range 100 { // more than forcedPerHour
				spent.known(t, "rotate", fmt.Appendf(nil, `{"credential":"c%d"}`, i%10))
			}
			return ratio(revoke(spent), alone, "ms")
		}, 5, false},
		{"attack: known looks beside strangers, p99, s", func(t *testing.T) (float64, string) {
			a := newAttacked(t)
			look := func() float64 {
				var took []float64
				for end := time.Now().Add(attackFor); time.Now().Before(end); {
					start := time.Now()
					a.known(t, "sweep", []byte(`{"credentials":["c1"]}`))
					took = append(took, time.Since(start).Seconds())
				}
				slices.Sort(took)
				return took[len(took)*99/100]
			}
			quiet := look()
			stop := a.strangers(8, aLook, "")
			under := look()
			sent := stop()
			return under - quiet, fmt.Sprintf("%.0f ms, %.0f ms alone, %d requests", under*1000, quiet*1000, sent)
		}, 1, false},
		{"attack: calls to IBM Cloud by looks and ticks, a second", func(t *testing.T) (float64, string) {
			a := newAttacked(t)
			stopTicks, stopLooks := a.strangers(10, aTick, ""), a.strangers(10, aLook, "")
			time.Sleep(4 * attackFor) // in which they spend their two bursts
			began := a.calls()
			time.Sleep(2 * attackFor)
			under := float64(a.calls()-began) / (2 * attackFor).Seconds()
			sent := stopTicks() + stopLooks()
			return under, fmt.Sprintf("%.0f calls/s, %d requests", under, sent)
		}, 80, false},
		{"attack: ticks answered beside junk / sent", func(t *testing.T) (float64, string) {
			a := newAttacked(t)
			stop := a.strangers(8, aJunk, `{"a":1}`)
			answered := 0
			for range 40 {
				if a.post(t, aTick, "") == http.StatusOK {
					answered++
				}
			}
			sent := stop()
			return float64(answered) / 40, fmt.Sprintf("%d of 40, beside %d events", answered, sent)
		}, 1, true},
		{"attack: memory with 700 slow bodies, MiB more", func(t *testing.T) (float64, string) {
			a := newAttacked(t)
			before := a.resident(t)
			address := strings.TrimPrefix(a.url, "http://")
			body := bytes.Repeat([]byte("x"), 1<<20-1)
			var open []net.Conn
			for range 700 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					break
				}
				open = append(open, c)
				_ = c.SetDeadline(time.Now().Add(time.Second))
				_, _ = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nCe-Specversion: 1.0\r\nCe-Id: 1\r\nCe-Source: /x\r\nCe-Type: dev.knative.kafka.event\r\n\r\n", 1<<20)
				_, _ = c.Write(body) // it is cut off
			}
			with := a.resident(t)
			for _, c := range open {
				_ = c.Close()
			}
			return with - before, fmt.Sprintf("%.2f (%.0f MiB / %.0f MiB)", with/before, with, before)
		}, 64, false},
		{"attack: logins by /readyz, a minute", func(t *testing.T) (float64, string) {
			a := newAttacked(t)
			a.cloud.Inject(emulator.Fault{Path: "/identity/token", Kind: emulator.FaultStatus, Status: 400})
			a.cloud.Advance(2 * time.Hour) // the token has expired
			before, asked := a.cloud.Counter("POST", "/identity/token"), 0
			for end := time.Now().Add(attackFor); time.Now().Before(end); asked++ {
				if resp, err := http.Get(a.url + "/readyz"); err == nil {
					_ = resp.Body.Close()
				}
			}
			logins := float64(a.cloud.Counter("POST", "/identity/token")-before) * time.Minute.Seconds() / attackFor.Seconds()
			return logins, fmt.Sprintf("%.0f logins, %.0f requests", logins, float64(asked)*time.Minute.Seconds()/attackFor.Seconds())
		}, 60, false},
		{"attack: config of repeated keys / a good one, time", func(t *testing.T) (float64, string) {
			good, err := os.ReadFile("../../deploy/examples/full.yaml")
			if err != nil {
				t.Fatal(err)
			}
			bad := "version: 1\n" + strings.Repeat("owner: a\n", len(good)/9)
			load := func(text string) func() float64 {
				return func() float64 {
					start := time.Now()
					_, _ = config.Load("c.yaml", []byte(text))
					return time.Since(start).Seconds() * 1000
				}
			}
			ofBad, ofGood := interleaved(load(bad), load(string(good)))
			return ratio(ofBad, ofGood, "ms")
		}, 2, false},
	}
}
