package service

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// raw serves the hooks on a socket, for callers that do not keep to HTTP.
func raw(t *testing.T) (s *Service, w *world, address string) {
	t.Helper()
	w = newWorld()
	s = w.service(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, MaxHeaderBytes: 64 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return s, w, l.Addr().String()
}

// ping delivers a signed body that requests nothing.
func ping(t *testing.T, address, body string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+address+"/hooks/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", signature(body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// statuses reads answers until the connection ends.
func statuses(c net.Conn) (found []int) {
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return found
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		found = append(found, resp.StatusCode)
	}
}

// claim looks like a signature and is none.
var claim = "X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\n"

func TestCallersWhoDoNotKeepToTheRulesEndWithinLimits(t *testing.T) {
	s, _, address := raw(t)
	s.bodies.within = 300 * time.Millisecond
	post := "POST /hooks/github HTTP/1.1\r\nHost: x\r\n"
	smuggled := "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	signed := "X-Hub-Signature-256: " + signature("{}") + "\r\n"
	for name, tc := range map[string]struct {
		sent string
		want []int // the first answers; none: the connection is closed
	}{
		"a header that never ends":                   {"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-A: ", nil},
		"a body that never comes":                    {post + claim + "Content-Length: 1000\r\n\r\n{", []int{408}},
		"a chunk that never comes":                   {post + claim + "Transfer-Encoding: chunked\r\n\r\n5\r\n{", []int{408}},
		"a body of a terabyte":                       {post + claim + "Content-Length: 1099511627776\r\n\r\n{", []int{413}},
		"a body that is announced and not claimed":   {post + "Content-Length: 1000000\r\nConnection: close\r\n\r\n", []int{401}},
		"a header of a megabyte":                     {post + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", []int{431}},
		"two lengths":                                {post + signed + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", []int{400}},
		"a length that is none":                      {post + signed + "Content-Length: +2\r\n\r\n{}", []int{400}},
		"a space before the colon":                   {post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", []int{400}},
		"an unknown transfer encoding":               {post + signed + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", []int{501}},
		"chunks that are none":                       {post + claim + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", []int{400}},
		"a request behind chunks has its own header": {post + signed + "X-GitHub-Event: ping\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\nX-Latchkey-Token: " + "none" + "\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + smuggled, []int{204, 401}},
		"a second signature":                         {post + signed + claim + "Content-Length: 2\r\nConnection: close\r\n\r\n{}", []int{401}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, address)
			start := time.Now()
			go func() { _, _ = io.WriteString(c, tc.sent) }()
			var got []int
			r := bufio.NewReader(c)
			for range max(len(tc.want), 1) {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				got = append(got, resp.StatusCode)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("answered %v, want %v", got, tc.want)
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestAnEndlessBodyEnds(t *testing.T) {
	s, _, address := raw(t)
	c := dial(t, address)
	go func() {
		_, _ = io.WriteString(c, "POST /hooks/github HTTP/1.1\r\nHost: x\r\n"+claim+"Transfer-Encoding: chunked\r\n\r\n")
		chunk := "10000\r\n" + strings.Repeat("a", 0x10000) + "\r\n"
		for {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
		}
	}()
	if got := statuses(c); len(got) != 1 || got[0] != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %v", got)
	}
	if !s.bodies.budget.TryAcquire(bodyBudget) {
		t.Error("its room was not given back")
	}
	s.bodies.budget.Release(bodyBudget)
}

func TestBodiesOfManyStrangersShareOneBudget(t *testing.T) {
	s, _, address := raw(t)
	if !s.bodies.budget.TryAcquire(bodyBudget - bodyFirst) {
		t.Fatal("the budget is not free")
	}
	c := dial(t, address)
	body := strings.Repeat("a", 3*bodyFirst)
	fmt.Fprintf(c, "POST /hooks/github HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", claim, len(body), body)
	if got := statuses(c); len(got) != 1 || got[0] != http.StatusTooManyRequests {
		t.Errorf("answered %v", got)
	}
	if status := ping(t, address, "{}"); status != http.StatusNoContent {
		t.Errorf("a small one beside it is answered %d", status)
	}
	s.bodies.budget.Release(bodyBudget - bodyFirst)
}

// 20,000 bad calls a second for two seconds, half without a signature and half
// with a wrong one over a body: they take little, and delay no other call.
func TestAFloodTakesLittleAndDelaysNoOtherCall(t *testing.T) {
	const (
		seconds, perSecond, connections = 2, 20_000, 40
		tick                            = 20 * time.Millisecond
		burst                           = perSecond * int(tick) / int(time.Second) / connections
		most                            = 64 << 20
	)
	_, w, address := raw(t)
	ctx, stop := context.WithTimeout(t.Context(), seconds*time.Second)
	defer stop()
	text := strings.Repeat("x", 300)
	bare := fmt.Sprintf("POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	wrong := fmt.Sprintf("POST /hooks/github HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", claim, len(text), text)
	batch := strings.Repeat(bare+wrong, burst/2)

	status, refused := []byte("HTTP/1.1 "), []byte("HTTP/1.1 401")
	runtime.GC()
	before := taken()
	var answered, other atomic.Int64
	var wait sync.WaitGroup
	for range connections {
		c := dial(t, address)
		wait.Go(func() {
			ticker := time.NewTicker(tick)
			defer ticker.Stop()
			for {
				select {
				case <-ticker.C:
					if _, err := io.WriteString(c, batch); err != nil {
						return
					}
				case <-ctx.Done():
					c.Close()
					return
				}
			}
		})
		wait.Go(func() {
			// Counting is all that this side has the time for.
			var kept []byte
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				kept = append(kept, buf[:n]...)
				answered.Add(int64(bytes.Count(kept, refused)))
				other.Add(int64(bytes.Count(kept, status) - bytes.Count(kept, refused)))
				// What may be the start of the next one.
				last := max(bytes.LastIndexByte(kept, '\n')+1, 0)
				kept = append(kept[:0], kept[last:]...)
			}
		})
	}
	var slowest time.Duration
	peak := before
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for good := 0; ctx.Err() == nil; good++ {
		start := time.Now()
		if status := ping(t, address, fmt.Sprintf(`{"n":%d}`, good)); status != http.StatusNoContent {
			t.Errorf("a good call is answered %d", status)
		}
		slowest = max(slowest, time.Since(start))
		peak = max(peak, taken())
		<-every.C
	}
	wait.Wait()
	t.Logf("%d bad calls were answered in %d s; the slowest good one took %s; memory grew by %d KiB", answered.Load(), seconds, slowest, (int64(peak)-int64(before))>>10)
	if answered.Load() == 0 || other.Load() != 0 {
		t.Errorf("%d were answered 401, and %d something else", answered.Load(), other.Load())
	}
	if slowest > time.Second {
		t.Errorf("a good call took %s", slowest)
	}
	if peak > before+most {
		t.Errorf("memory grew by %d MiB", (peak-before)>>20)
	}
	if lines := strings.Count(w.logged(), "refusing callers"); lines > 2*seconds+30 {
		t.Errorf("%d lines were logged", lines)
	}
}

// taken is the memory that the process has from the system.
func taken() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}
