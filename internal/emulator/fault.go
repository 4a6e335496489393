package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is a string in JSON, such as "1920h".
type Duration struct{ time.Duration }

// MarshalJSON writes the duration as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a duration from a string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a duration is a string such as \"90s\"")
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("reading a duration: %w", err)
	}
	d.Duration = v
	return nil
}

// The kinds of faults.
const (
	// FaultStatus responds with Status, and with RetryAfter if it is set.
	FaultStatus = "status"
	// FaultLost performs the call and drops the connection without a response.
	// A client that retries on its own, as Go's does for a GET on a kept
	// connection, counts twice.
	FaultLost = "lost"
	// FaultTimeout holds the connection for Delay (1 s if unset) and drops it.
	FaultTimeout = "timeout"
	// FaultTruncate performs the call and sends half of the body.
	FaultTruncate = "truncate"
	// FaultHang holds the call until the client leaves, the server closes, or
	// the fault is removed. In the last case the call then continues normally.
	FaultHang = "hang"
	// FaultSlow waits for Delay before it performs the call.
	FaultSlow = "slow"
	// FaultHTML responds with a gateway's page of HTML and with Status (404 if
	// unset).
	FaultHTML = "html"
	// FaultRedirect responds with Status (302 if unset) and Location (a login
	// page if unset).
	FaultRedirect = "redirect"
	// FaultProxy responds with a proxy's 407.
	FaultProxy = "proxy"
	// FaultEmpty responds with Status (200 if unset) and no body.
	FaultEmpty = "empty"
	// FaultDown drops the connection at once.
	FaultDown = "down"
	// FaultDate performs the call and moves the Date header of the answer by
	// Skew.
	FaultDate = "date"
	// FaultJump moves the emulator's clock by Skew and then performs the call.
	FaultJump = "jump"
)

// FaultKind describes a kind of faults.
type FaultKind struct {
	Name    string
	Meaning string // a predicate whose subject is the fault
}

// FaultKinds returns all kinds of faults.
func FaultKinds() []FaultKind {
	return []FaultKind{
		{FaultStatus, "responds with status (400 to 599), and with retryAfter if it is set"},
		{FaultLost, "performs the call and drops the connection without a response"},
		{FaultTimeout, "holds the connection for delay (1s) and drops it"},
		{FaultTruncate, "performs the call and sends half of the body"},
		{FaultHang, "holds the call until the fault is removed"},
		{FaultSlow, "waits for delay and performs the call"},
		{FaultHTML, "responds with a gateway's page of HTML and status (404)"},
		{FaultRedirect, "responds with status (302) and location (a login page)"},
		{FaultProxy, "responds with a proxy's 407"},
		{FaultEmpty, "responds with status (200) and no body"},
		{FaultDown, "drops the connection at once; with region, that region is down"},
		{FaultDate, "performs the call and moves the Date header of the answer by skew"},
		{FaultJump, "moves the emulator's clock by skew and performs the call"},
	}
}

// Fault makes calls fail. A call gets the first active fault that it matches;
// the other matching faults count the call, too.
type Fault struct {
	// Method must be equal; "" and "*" match all.
	Method string `json:"method,omitempty"`
	// Path is compared with the path of the call and with the pattern of its
	// route, such as /v1/apikeys/{id}. "*" matches any text, "" matches all.
	Path string `json:"path,omitempty"`
	// Region must be the region of the call: of its host, project or instance.
	// "" matches all calls, and IAM has no region.
	Region string `json:"region,omitempty"`
	// After skips that many matching calls.
	After int `json:"after,omitempty"`
	// Count is how many calls it then affects; 0 means all.
	Count int `json:"count,omitempty"`
	// Kind is one of the constants above.
	Kind string `json:"kind"`
	// Status is the response status of status, html, redirect and empty.
	Status int `json:"status,omitempty"`
	// RetryAfter is the header Retry-After: seconds or an HTTP date.
	RetryAfter string `json:"retryAfter,omitempty"`
	// Effect says whether the call is performed. Unset means no. The kinds lost,
	// truncate, slow, date and jump always perform it; down never does.
	Effect *bool `json:"effect,omitempty"`
	// Delay applies to timeout and slow.
	Delay Duration `json:"delay,omitzero"`
	// Location is the header of redirect.
	Location string `json:"location,omitempty"`
	// Skew applies to date and jump. A negative one is a step back.
	Skew Duration `json:"skew,omitzero"`
}

// activeFault is an injected fault with its counter.
type activeFault struct {
	Fault
	Seen    int           `json:"seen"`
	removed chan struct{} // closed when the fault is removed
}

func (f Fault) check() error {
	switch f.Kind {
	case FaultStatus:
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("fault of kind status: status %d is not from 400 to 599", f.Status)
		}
	case FaultLost, FaultTruncate, FaultSlow, FaultDate, FaultJump:
		if f.Effect != nil && !*f.Effect {
			return fmt.Errorf("fault of kind %s always performs the call: effect must not be false", f.Kind)
		}
		if f.Kind == FaultSlow && f.Delay.Duration <= 0 {
			return errors.New("fault of kind slow needs a delay")
		}
		if (f.Kind == FaultDate || f.Kind == FaultJump) && f.Skew.Duration == 0 {
			return fmt.Errorf("fault of kind %s needs a skew", f.Kind)
		}
	case FaultHTML, FaultRedirect, FaultEmpty:
		if from, to := statusesOf(f.Kind); f.Status != 0 && (f.Status < from || f.Status > to) {
			return fmt.Errorf("fault of kind %s: status %d is not from %d to %d", f.Kind, f.Status, from, to)
		}
	case FaultDown:
		if f.Effect != nil && *f.Effect {
			return errors.New("fault of kind down never performs the call: effect must not be true")
		}
	case FaultTimeout, FaultHang, FaultProxy:
	default:
		var names []string
		for _, k := range FaultKinds() {
			names = append(names, k.Name)
		}
		return fmt.Errorf("unknown fault kind %q: must be one of %s", f.Kind, strings.Join(names, ", "))
	}
	if f.After < 0 || f.Count < 0 || f.Delay.Duration < 0 {
		return errors.New("after, count and delay of a fault must not be negative")
	}
	return nil
}

// ParseFaults reads one fault or a list and rejects unknown fields.
func ParseFaults(data []byte) ([]Fault, error) {
	data = bytes.TrimSpace(data)
	if !bytes.HasPrefix(data, []byte("[")) {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	var faults []Fault
	if err := strictJSON(data, &faults); err != nil {
		return nil, fmt.Errorf("reading faults: %w", err)
	}
	for i, f := range faults {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("reading fault %d: %w", i+1, err)
		}
	}
	return faults, nil
}

func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Inject adds a fault after the existing ones. An invalid fault is a bug in the
// test and panics.
func (s *Server) Inject(f Fault) {
	if err := f.check(); err != nil {
		panic("emulator: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &activeFault{Fault: f, removed: make(chan struct{})})
}

// ClearFaults removes all faults. Held calls continue.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		close(f.removed)
	}
	s.faults = nil
}

// Faults returns the injected faults.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Fault
	for _, f := range s.faults {
		out = append(out, f.Fault)
	}
	return out
}

// matchFault counts the call in every matching fault and returns the one to
// apply.
func (s *Server) matchFault(method, pattern, path, region string) *activeFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit *activeFault
	for _, f := range s.faults {
		if f.Method != "" && f.Method != "*" && f.Method != method || !matchPath(f.Path, pattern, path) || f.Region != "" && f.Region != region {
			continue
		}
		f.Seen++
		if hit == nil && f.Seen > f.After && (f.Count == 0 || f.Seen <= f.After+f.Count) {
			hit = f
		}
	}
	return hit
}

func matchPath(wanted, pattern, path string) bool {
	return wanted == "" || glob(wanted, pattern) || glob(wanted, strings.TrimRight(path, "/"))
}

// glob matches with "*" for any text, including slashes.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		_, rest, found := strings.Cut(s, p)
		if !found {
			return false
		}
		s = rest
	}
	return strings.HasSuffix(s, parts[last])
}

// applyFault responds to a call as the fault requires.
func (s *Server) applyFault(w http.ResponseWriter, rt route, c *call, f *activeFault) {
	effect := f.Effect != nil && *f.Effect
	switch f.Kind {
	case FaultHTML, FaultRedirect, FaultProxy, FaultEmpty:
		if effect {
			s.perform(rt, c, f.Kind)
		}
		writeHostile(w, f.Fault)
		return
	case FaultDate:
		a := s.perform(rt, c, f.Kind)
		w.Header().Set("Date", s.Now().Add(f.Skew.Duration).UTC().Format(http.TimeFormat))
		s.write(w, a)
		return
	case FaultJump:
		s.Advance(f.Skew.Duration)
		a := s.perform(rt, c, f.Kind)
		w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
		s.write(w, a)
		return
	case FaultDown: // below
	case FaultStatus:
		if effect {
			s.perform(rt, c, f.Kind)
		}
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		s.write(w, s.faultAnswer(c, f.Status))
		return
	case FaultSlow:
		if !s.wait(c.request, f.Delay.Duration) {
			break
		}
		s.write(w, s.perform(rt, c, f.Kind))
		return
	case FaultTruncate:
		s.truncate(w, s.perform(rt, c, f.Kind))
	case FaultLost:
		s.perform(rt, c, f.Kind)
	case FaultTimeout:
		if effect {
			s.perform(rt, c, f.Kind)
		}
		delay := f.Delay.Duration
		if delay == 0 {
			delay = time.Second
		}
		s.wait(c.request, delay)
	case FaultHang:
		var done *answer
		if effect {
			a := s.perform(rt, c, f.Kind)
			done = &a
		}
		select {
		case <-c.request.Context().Done():
		case <-s.closed:
		case <-f.removed:
			if done == nil {
				a := s.perform(rt, c, f.Kind)
				done = &a
			}
			s.write(w, *done)
			return
		}
	}
	panic(http.ErrAbortHandler) // drops the connection without a log line
}

func (s *Server) truncate(w http.ResponseWriter, a answer) {
	body := encode(w.Header(), a)
	if len(body) < 2 {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() // best effort: the connection is dropped next
}
