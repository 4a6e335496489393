package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// call is one request with its whole body.
type call struct {
	request *http.Request
	family  *family
	query   url.Values
	body    []byte
	tooLong bool
	actor   cloud.Actor // identity of the access token; zero if there is none

	roleOf func(crn, service string) (cloud.Role, bool) // with the account's custom roles

	transaction string // ID of the call, which IAM's answers have
	began       time.Time
}

// answer is the response that a handler returns.
type answer struct {
	status int
	etag   string
	body   any    // written as JSON; nil = no body
	raw    string // written unchanged if body is nil
	id     string // ID of the created resource, for the event log
}

// longestBody limits every request body. Cloud Logs has a lower limit.
const longestBody = 8 << 20

// answer reads the whole request, applies latency, rate limit and faults, and
// writes the response.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, rt route) {
	s.count(r.Method, rt.pattern)
	c := &call{request: r, family: rt.family, query: r.URL.Query(), transaction: trace(), began: s.Now(), roleOf: s.cloud.RoleOf}
	c.iamHeaders(w.Header())
	body, err := io.ReadAll(io.LimitReader(r.Body, longestBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	c.tooLong = len(body) > longestBody
	c.body = body
	if !s.wait(r, s.pause()) {
		panic(http.ErrAbortHandler)
	}
	if after := s.throttle(c); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(after))
		s.write(w, s.faultAnswer(c, http.StatusTooManyRequests))
		return
	}
	fault := s.matchFault(r.Method, rt.pattern, r.URL.Path, s.regionOf(c))
	if fault == nil {
		s.write(w, s.perform(rt, c, ""))
		return
	}
	s.applyFault(w, rt, c, fault)
}

// perform runs the handler and logs the change.
func (s *Server) perform(rt route, c *call, fault string) answer {
	var a answer
	var err error
	switch {
	case c.tooLong:
		err = &cloud.Error{Status: 413, Code: "payload_too_large", Message: "The request is too large."}
	default:
		var unknown error
		c.actor, unknown = s.cloud.Authenticate(bearerOf(rt.family, c.request))
		if rt.family.unauthenticated != "" && unknown != nil {
			err = c.unauthenticated()
		} else {
			writeAudit := s.startAudit(rt, c)
			a, err = rt.handle(s, c)
			defer func() { writeAudit(a, err) }()
		}
	}
	if err != nil {
		a = s.refuse(c, err)
	}
	s.logCall(rt, c, a, fault)
	return a
}

func (s *Server) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latency
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func (s *Server) write(w http.ResponseWriter, a answer) {
	body := encode(w.Header(), a)
	if len(body) > 0 || a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the client may be gone
}

func encode(h http.Header, a answer) []byte {
	if a.etag != "" {
		h.Set("Etag", a.etag)
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache, no-store")
	}
	if a.body == nil && a.raw == "" {
		return nil
	}
	h.Set("Content-Type", "application/json")
	if a.body == nil {
		return []byte(a.raw)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a.body); err != nil {
		panic("encoding an answer: " + err.Error()) // answers are plain data
	}
	return b.Bytes()
}

// wait sleeps for d. It returns false if the client or the server goes away
// first.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

// json decodes the body. IBM's services ignore unknown fields.
func (c *call) json(v any) error {
	bad := &cloud.Error{Status: 400, Code: c.family.badBody, Message: "The request body is not valid JSON."}
	kind, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/merge-patch+json" {
		bad.Message = "The content type must be application/json."
		return bad
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		var field *json.UnmarshalTypeError
		if errors.As(err, &field) {
			bad.Message = "The field " + field.Field + " has the wrong type."
		}
		return bad
	}
	return nil
}

// number reads a query parameter and returns 0 if it is absent.
func (c *call) number(name string) (int, error) {
	v := c.query.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n <= 0 {
		return 0, &cloud.Error{Status: 400, Code: c.family.badBody, Message: name + " must be a positive number."}
	}
	return n, nil
}

// path returns the value of a {name} in the route's pattern.
func (c *call) path(name string) string { return c.request.PathValue(name) }

func (c *call) flag(name string) bool { return c.query.Get(name) == "true" }

func (c *call) header(name string) string { return c.request.Header.Get(name) }

// origin returns the URL that the client used for the service.
func (c *call) origin() string { return "http://" + c.request.Host }
