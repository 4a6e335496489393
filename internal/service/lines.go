package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
)

// Call is one invocation of the function: a line on stdin.
type Call struct {
	ID      string              `json:"id"` // matches an answer to its call
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   string              `json:"query"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"` // base64 on the wire: the raw bytes
}

// Result is the answer to one call: a line on stdout.
type Result struct {
	ID      string              `json:"id"`
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"`
}

// maxLine is the length of the longest call. Code Engine passes on bodies of up to
// 5 MB, and base64 makes them a third longer. Longer bodies than an event may have
// are answered 413.
const maxLine = 16 << 20

// ServeLines answers calls, one JSON line each, until in ends. It then finishes
// those under way. An answer is one JSON line with the call's ID:
//
//	{"id":"1","method":"POST","path":"/","query":"","headers":{"ce-id":["1"]},"body":"…"}
//	{"id":"1","status":200,"headers":{…},"body":"…"}
//
// Bodies are base64 of the raw bytes. A line that is not a call is answered
// with status 400.
func ServeLines(ctx context.Context, h http.Handler, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var writing sync.Mutex
	var calls sync.WaitGroup
	var failed error
	for lines.Scan() {
		line := bytes.Clone(lines.Bytes())
		calls.Go(func() {
			answer := answerCall(ctx, h, line)
			b, err := json.Marshal(answer)
			if err != nil {
				panic("encoding an answer: " + err.Error()) // strings and bytes
			}
			writing.Lock()
			defer writing.Unlock()
			if _, err := out.Write(append(b, '\n')); err != nil {
				failed = errors.Join(failed, err)
			}
		})
	}
	calls.Wait()
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading calls: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("writing answers: %w", failed)
	}
	return nil
}

func answerCall(ctx context.Context, h http.Handler, line []byte) Result {
	var c Call
	if err := json.Unmarshal(line, &c); err != nil {
		return Result{Status: http.StatusBadRequest}
	}
	address := &url.URL{Path: c.Path, RawQuery: c.Query}
	if address.Path == "" {
		address.Path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, "http://function"+address.EscapedPath(), bytes.NewReader(c.Body))
	if err != nil {
		return Result{ID: c.ID, Status: http.StatusBadRequest}
	}
	req.URL.RawQuery = c.Query
	for name, values := range c.Headers {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return Result{ID: c.ID, Status: w.Code, Headers: w.Header(), Body: w.Body.Bytes()}
}
