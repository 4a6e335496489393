package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
)

type invokeCommand struct {
	Config string `help:"The config file." placeholder:"FILE"`
}

// call is one invocation of the function: a line on stdin.
type call struct {
	ID      string              `json:"id"` // matches an answer to its call
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   string              `json:"query"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"` // base64 on the wire: the raw bytes
}

// result is the answer to one call: a line on stdout.
type result struct {
	ID      string              `json:"id"`
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"`
}

// Run is the function's resident child: one JSON line in, one out, many in
// flight. It serves the routes of the application.
func (c invokeCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, "")
	if err != nil {
		return err
	}
	s, err := p.newService(ctx, env)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeService)
	return invoke(ctx, s.Flushing(s.Handler()), std.in, std.out)
}

// maxLine is the longest call: the platform takes bodies of 5 MB, and base64
// makes a third more of it.
const maxLine = 16 << 20

// invoke answers calls until stdin ends, and then finishes those in flight.
func invoke(ctx context.Context, h http.Handler, in io.Reader, out io.Writer) error {
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

func answerCall(ctx context.Context, h http.Handler, line []byte) result {
	var c call
	if err := json.Unmarshal(line, &c); err != nil {
		return result{Status: http.StatusBadRequest}
	}
	address := &url.URL{Path: c.Path, RawQuery: c.Query}
	if address.Path == "" {
		address.Path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, "http://function"+address.EscapedPath(), bytes.NewReader(c.Body))
	if err != nil {
		return result{ID: c.ID, Status: http.StatusBadRequest}
	}
	req.URL.RawQuery = c.Query
	for name, values := range c.Headers {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return result{ID: c.ID, Status: w.Code, Headers: w.Header(), Body: w.Body.Bytes()}
}
