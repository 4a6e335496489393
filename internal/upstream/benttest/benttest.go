// Package benttest runs the operations of an adapter against every bent answer on
// every route: answers that are cut, empty, foreign, too long, encoded, that are
// about another object or account, or that lead elsewhere.
//
// A route without cells and a call without a route fail the test, so a new route
// must join the table.
package benttest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Op is an operation of an adapter. It gets the URL of the bent server.
type Op struct {
	Name string
	Do   func(ctx context.Context, url string) error
	// Reads says that the operation writes nothing, whatever it is answered.
	Reads bool
	// Resolves are the routes whose bent answers may leave the operation successful:
	// it reads again what they were about, or does not need them.
	Resolves []string
	// Settles are the routes whose answer may be about another object: the operation
	// finds the effect of its write by itself, or takes any object.
	Settles []string
	// Refuses says that an answer may be a refusal: the server may be any, and the
	// operation goes by the status alone.
	Refuses bool
}

// Table is an adapter with what stands behind it.
type Table struct {
	// Route returns the name of a request's route. ok is false for none.
	Route func(*http.Request) (name string, empty, ok bool)
	// Routes are the names of all routes.
	Routes []string
	// Shared are the routes that most operations call in the same code, such as a
	// login. The cells of the first and the last of them are enough.
	Shared []string
	// Account is the account of all objects that Good has. Empty means that they name
	// none.
	Account string
	// Accepts are the names of answers that the server may give: they leave an
	// operation successful.
	Accepts func(answer string) bool
	// Writes reports whether a request changes what stores hold. Nil is every
	// request that is no GET.
	Writes func(*http.Request) bool
	// Good answers everything that is not bent.
	Good http.Handler
	Ops  []Op
}

// answer is a bent answer.
type answer struct {
	name    string
	success bool // a success without a body is one for a route that allows it
	hangs   bool // the operation must end with its context
	// change, if set, changes the body of the good answer to a request of a route.
	change func(table Table, r *http.Request, route string, body []byte) []byte
	write  func(w http.ResponseWriter, r *http.Request, elsewhere string)
}

// plain returns a bent answer with a status, a content type and a body.
func plain(status int, kind, body string) answer {
	shown := body
	if len(shown) > 24 {
		shown = shown[:24] + "…"
	}
	return answer{
		name:    fmt.Sprintf("%d %s %q", status, kind, shown),
		success: status == http.StatusNoContent,
		write: func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header()["Content-Type"] = nil
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		},
	}
}

// bomb is a JSON object of 32 MiB, compressed.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, `{"id":"x","x":"`)
	for range 32 {
		_, _ = z.Write(bytes.Repeat([]byte("A"), 1<<20))
	}
	_, _ = io.WriteString(z, `"}`)
	_ = z.Close()
	return b.Bytes()
})

func answers() (all []answer) {
	const asJSON, asPage = "application/json", "text/html"
	for _, status := range []int{200, 404, 410} {
		for _, body := range []string{"", " \n", "null", "{}", "[]", `"text"`, "<html>not here</html>", `{"message":"no Route matched"}`, `{"a":`} {
			all = append(all, plain(status, asJSON, body))
		}
		all = append(all, plain(status, "", ""), plain(status, asPage, ""), plain(status, asPage, "<html>not here</html>"), plain(status, "text/plain", "404 page not found"))
	}
	all = append(all, plain(404, asJSON, `{"errors":[{"code":"route_not_found"}],"status_code":404}`), plain(404, asJSON, `{"errors":[{"code":"tenant_suspended"}],"status_code":404}`))
	all = append(all, plain(204, "", ""), plain(202, "", ""), plain(429, asJSON, "{}"), plain(502, asPage, "<html></html>"), plain(503, "", ""),
		plain(200, asJSON, strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat("}", 9000)))
	for _, status := range []int{301, 302, 303, 307, 308} {
		all = append(all, answer{name: fmt.Sprintf("%d to another server", status), write: func(w http.ResponseWriter, r *http.Request, elsewhere string) {
			w.Header().Set("Location", elsewhere+r.URL.Path)
			w.WriteHeader(status)
		}})
	}
	return append(all,
		answer{name: "200 with a lie about its length", write: func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", asJSON)
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, `{"id":"x"`)
		}},
		answer{name: "200 with 32 MiB in gzip", write: func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", asJSON)
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb())
		}},
		answer{name: "200 that is no gzip", write: func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", asJSON)
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, `{"id":"x"}`)
		}},
		answer{name: "200 in an encoding that was not requested", write: func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, `{"id":"x"}`)
		}},
		answer{name: "an answer that never comes", hangs: true, write: func(_ http.ResponseWriter, r *http.Request, _ string) { wait(r) }},
		answer{name: "200 that stops in the middle", hangs: true, write: func(w http.ResponseWriter, r *http.Request, _ string) {
			w.Header().Set("Content-Type", asJSON)
			_, _ = io.WriteString(w, `{"id":"x",`)
			_ = http.NewResponseController(w).Flush()
			wait(r)
		}},
		answer{name: "the answer about another account's objects", change: func(table Table, _ *http.Request, _ string, body []byte) []byte {
			if table.Account == "" {
				return body
			}
			other := strings.Repeat("f", len(table.Account))
			return []byte(strings.NewReplacer(`"`+table.Account+`"`, `"`+other+`"`, "a/"+table.Account+":", "a/"+other+":").Replace(string(body)))
		}},
		answer{name: "the answer about another object", change: func(_ Table, r *http.Request, route string, body []byte) []byte {
			const alias = "current" // stands for an ID
			for segment := range strings.SplitSeq(r.URL.Path, "/") {
				if len(segment) > 2 && segment != alias && !slices.Contains(strings.Split(route, "/"), segment) {
					body = bytes.ReplaceAll(body, fmt.Appendf(nil, "%q", segment), fmt.Appendf(nil, "%q", segment+"-other"))
				}
			}
			return body
		}},
		answer{name: "the list with an object without content", change: listOf("[{}]")},
		answer{name: "the list with null", change: listOf("[null]")},
		answer{name: "a connection that closes", write: func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }},
	)
}

// listOf replaces the list that a route returns: the one that is named as the last
// segment of its path, or items.
func listOf(list string) func(Table, *http.Request, string, []byte) []byte {
	return func(_ Table, r *http.Request, _ string, body []byte) []byte {
		var whole map[string]json.RawMessage
		if json.Unmarshal(body, &whole) != nil {
			return body
		}
		for _, name := range []string{path.Base(r.URL.Path), "items"} {
			if bytes.HasPrefix(whole[name], []byte("[")) {
				whole[name] = json.RawMessage(list)
				body, _ = json.Marshal(whole)
			}
		}
		return body
	}
}

// patience is how long an operation waits for an answer that hangs.
const patience = 60 * time.Millisecond

// wait waits for the client to go away. A login has a time-out of its own, so its
// connection is closed from here.
func wait(r *http.Request) {
	late := time.NewTimer(2 * patience)
	defer late.Stop()
	select {
	case <-r.Context().Done():
	case <-late.C:
		panic(http.ErrAbortHandler)
	}
}

// server answers as Good does, except on the bent route.
type server struct {
	table Table

	mu         sync.Mutex // guards what follows
	bent       string     // the route, or ""
	with       answer
	seen       map[string]int
	unrouted   []string
	writes     int
	elsewhere  string
	mayBeEmpty bool
	changed    bool // whether an answer was changed
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, empty, ok := s.table.Route(r)
	s.mu.Lock()
	if !ok {
		s.unrouted = append(s.unrouted, r.Method+" "+r.URL.Path)
	}
	s.seen[name]++
	hit, with, elsewhere := s.bent != "" && name == s.bent, s.with, s.elsewhere
	if hit {
		s.mayBeEmpty = empty
	} else if s.table.Writes == nil && r.Method != http.MethodGet || s.table.Writes != nil && s.table.Writes(r) {
		s.writes++
	}
	s.mu.Unlock()
	switch {
	case hit && with.change != nil:
		s.change(w, r, name, with)
	case hit:
		with.write(w, r, elsewhere)
	default:
		s.table.Good.ServeHTTP(w, r)
	}
}

// change answers as Good does, but with a changed body.
func (s *server) change(w http.ResponseWriter, r *http.Request, route string, with answer) {
	r.Header.Del("Accept-Encoding")
	good := httptest.NewRecorder()
	s.table.Good.ServeHTTP(good, r)
	body := good.Body.Bytes()
	if good.Code < 300 {
		body = with.change(s.table, r, route, body)
	}
	s.mu.Lock()
	s.changed = s.changed || !bytes.Equal(body, good.Body.Bytes())
	s.mu.Unlock()
	maps.Copy(w.Header(), good.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(good.Code)
	_, _ = w.Write(body)
}

func (s *server) reset(bent string, with answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bent, s.with, s.seen, s.writes, s.mayBeEmpty, s.changed = bent, with, map[string]int{}, 0, false, false
}

// Run runs the table. Each cell has a verdict, which -v prints.
func (table Table) Run(t *testing.T) {
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	s := &server{table: table, elsewhere: thief.URL}
	front := httptest.NewServer(s)
	front.Config.ErrorLog = nil
	defer front.Close()
	hits := map[string][]Op{}
	for _, op := range table.Ops {
		s.reset("", answer{})
		if err := table.try(t, op, front.URL, 30*time.Second); err != nil && !errors.Is(err, port.ErrNotFound) {
			t.Fatalf("%s without a bent answer: %v", op.Name, err)
		}
		for name := range s.seen {
			hits[name] = append(hits[name], op)
		}
	}
	if len(s.unrouted) > 0 {
		t.Errorf("calls without a route: %v", s.unrouted)
	}
	cells := 0
	for _, route := range table.Routes {
		if len(hits[route]) == 0 {
			t.Errorf("the route %s has no cells: no operation calls it", route)
		}
		if all := hits[route]; slices.Contains(table.Shared, route) && len(all) > 2 {
			hits[route] = []Op{all[0], all[len(all)-1]}
		}
		for _, op := range hits[route] {
			verdicts := map[string]int{}
			for _, a := range answers() {
				s.reset(route, a)
				start, within := time.Now(), 30*time.Second
				if a.hangs {
					within = patience
				}
				err := table.try(t, op, front.URL, within)
				verdict := s.judge(op, a, err, stolen.Load() > 0)
				if time.Since(start) > 20*time.Second {
					verdict = "too slow"
				}
				if strings.HasPrefix(verdict, "ok") {
					verdicts[verdict]++
				} else {
					t.Errorf("%s: %s: %s: %s: %v", route, op.Name, a.name, verdict, err)
				}
				cells++
			}
			t.Logf("%-62s %-24s %v", route, op.Name, verdicts)
		}
	}
	t.Logf("%d cells", cells)
}

func (table Table) try(t *testing.T, op Op, url string, within time.Duration) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s panics: %v", op.Name, p)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return op.Do(ctx, url)
}

// judge returns the verdict of a cell.
func (s *server) judge(op Op, a answer, err error, stolen bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := []error{port.ErrUnavailable, port.ErrUnlocked}
	switch {
	case stolen:
		return "a redirect was followed"
	case op.Reads && s.writes > 0:
		return "it wrote"
	case a.change != nil && !s.changed && (err == nil || errors.Is(err, port.ErrNotFound)):
		return "ok: names none"
	case a.change != nil && slices.Contains(op.Settles, s.bent) && err == nil:
		return "ok: found"
	case slices.Contains(op.Resolves, s.bent) && s.seen[s.bent] > 0 && (err == nil || errors.Is(err, port.ErrNotFound)):
		return "ok: resolved"
	case errors.Is(err, port.ErrNotFound):
		return "it says that nothing is there"
	case s.seen[s.bent] == 0:
		return "ok: not called"
	case err == nil && (a.success && s.mayBeEmpty || s.table.Accepts != nil && s.table.Accepts(a.name)):
		return "ok: done"
	case err == nil:
		return "it took the answer for one"
	case slices.ContainsFunc(known, func(want error) bool { return errors.Is(err, want) }):
		return "ok: unknown"
	case op.Refuses && errors.Is(err, port.ErrRefused):
		return "ok: refused"
	}
	return "it has another meaning"
}
