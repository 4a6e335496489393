package upstream

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Reads lets two looks of one process share what they read. Until Reuse is called, every
// call is sent, and the last answer to each read is kept. Then a read that was answered
// is answered with that again, and any other call is sent.
//
// The caller of Transport must name each identity, since two of them may read different things.
type Reads struct {
	mu    sync.Mutex
	reuse bool
	kept  map[readKey]keptRead
}

type readKey [sha256.Size]byte

type keptRead struct {
	resp http.Response // without its body
	body []byte
	at   time.Time
}

// Reuse begins the second look.
func (r *Reads) Reuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reuse = true
}

// Transport returns a transport that shares the reads of next. The name of the identity
// and these headers tell reads apart, beside the URL. A nil Reads shares nothing.
func (r *Reads) Transport(next http.RoundTripper, identity string, headers ...string) http.RoundTripper {
	if r == nil {
		return next
	}
	return shared{r, next, identity, headers}
}

type shared struct {
	reads    *Reads
	next     http.RoundTripper
	identity string
	headers  []string
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (s shared) CloseIdleConnections() { closeIdle(s.next) }

// RoundTrip satisfies http.RoundTripper.
func (s shared) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet && req.Method != "LIST" {
		return s.next.RoundTrip(req)
	}
	key := s.keyOf(req)
	if resp := s.reads.recall(key, req); resp != nil {
		return resp, nil
	}
	resp, err := s.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := whole(req, resp)
	if err != nil {
		return nil, err
	}
	kept := keptRead{*resp, body, time.Now()}
	kept.resp.Header = resp.Header.Clone()
	s.reads.mu.Lock()
	if s.reads.kept == nil {
		s.reads.kept = map[readKey]keptRead{}
	}
	s.reads.kept[key] = kept
	s.reads.mu.Unlock()
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// recall returns the kept answer to a read, or nil. Its Date is that of now, since the
// server's clock has gone on.
func (r *Reads) recall(key readKey, req *http.Request) *http.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, known := r.kept[key]
	if !known || !r.reuse {
		return nil
	}
	resp := kept.resp
	resp.Request, resp.Header = req, kept.resp.Header.Clone()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		resp.Header.Set("Date", date.Add(time.Since(kept.at)).UTC().Format(http.TimeFormat))
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(kept.body)), int64(len(kept.body))
	return &resp
}

func (s shared) keyOf(req *http.Request) readKey {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %s %s %s\n", s.identity, req.Method, req.Host, req.URL)
	for _, name := range s.headers {
		fmt.Fprintf(&b, "%q\n", req.Header.Values(name))
	}
	return sha256.Sum256([]byte(b.String()))
}
