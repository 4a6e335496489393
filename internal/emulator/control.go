package emulator

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// Event is a change of IAM or Code Engine that a call made or attempted.
type Event struct {
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor,omitempty"` // IAM ID
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Status int       `json:"status"` // of the operation, even if a fault changed the response
	ID     string    `json:"id,omitempty"`
	Fault  string    `json:"fault,omitempty"`
}

// mostEvents limits the event log. The oldest events are dropped first.
const mostEvents = 200_000

// postedReads lists the routes whose POST changes nothing.
var postedReads = []string{"/v1/accounts/{account}/limits/identity", "/v1/activity/accounts/{account}/report", "/v1/mfa/accounts/{account}/report"}

// logCall writes the event log and the server's log. Queries, headers and
// bodies hold values and are never logged.
func (s *Server) logCall(rt route, c *call, a answer, fault string) {
	now := s.Now()
	attrs := []slog.Attr{slog.String("method", c.request.Method), slog.String("route", rt.pattern), slog.Int("status", a.status)}
	if c.actor.IAMID != "" {
		attrs = append(attrs, slog.String("actor", c.actor.IAMID))
	}
	if fault != "" {
		attrs = append(attrs, slog.String("fault", fault))
	}
	s.log.LogAttrs(c.request.Context(), slog.LevelDebug, "call", attrs...)
	reads := c.request.Method == http.MethodGet || c.request.Method == http.MethodHead || slices.Contains(postedReads, rt.pattern)
	if reads || rt.family == familyToken || rt.family == familyLogs || rt.family == familyUnknown {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) >= mostEvents {
		s.events = slices.Delete(s.events, 0, mostEvents/10)
	}
	s.events = append(s.events, Event{Time: now, Actor: c.actor.IAMID, Method: c.request.Method,
		Path: c.request.URL.Path, Status: a.status, ID: a.id, Fault: fault})
}

// Events returns the changes since the start, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *Server) count(method, pattern string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters[method+" "+pattern]++
}

// Counters returns the attempts per route, such as "GET /v1/apikeys/{id}".
// Requests that match no route count as "*".
func (s *Server) Counters() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counters)
}

// Counter sums the attempts of the matching routes. In path, "*" matches any
// text; as the method, it matches all.
func (s *Server) Counter(method, path string) int {
	n := 0
	for route, count := range s.Counters() {
		m, pattern, _ := strings.Cut(route, " ")
		if (method == "" || method == "*" || m == method) && (path == pattern || glob(path, pattern)) {
			n += count
		}
	}
	return n
}

// ResetCounters sets all counters to zero.
func (s *Server) ResetCounters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.counters)
}

// Settings are the settings in JSON.
type Settings struct {
	Latency      Duration `json:"latency"`
	KeyLag       Duration `json:"keyLag"`
	ListLag      Duration `json:"listLag"`
	PolicyLag    Duration `json:"policyLag"`
	ActivityLag  Duration `json:"activityLag"`
	ReportDelay  Duration `json:"reportDelay"`
	ProjectDelay Duration `json:"projectDelay"`
	RejectLogs   bool     `json:"rejectLogs"`
	// RateLimit is how many emulated calls are answered per second of the
	// emulated clock. The others get 429 with Retry-After. 0 means no limit.
	RateLimit int `json:"rateLimit"`
	// RateBurst is how many calls may come at once; 0 means RateLimit.
	RateBurst int `json:"rateBurst"`
	// ServiceRateLimit and ServiceRateBurst are the limit of each service, and
	// IdentityRateLimit and IdentityRateBurst that of each identity in all
	// services. Logins count for no identity.
	ServiceRateLimit  int            `json:"serviceRateLimit"`
	ServiceRateBurst  int            `json:"serviceRateBurst"`
	IdentityRateLimit int            `json:"identityRateLimit"`
	IdentityRateBurst int            `json:"identityRateBurst"`
	Switches          cloud.Switches `json:"switches"`
}

// Settings returns the current settings.
func (s *Server) Settings() Settings {
	k, switches := s.cloud.Settings(), s.cloud.Switches() // not under s.mu: the cloud reads the clock with its own lock held
	s.mu.Lock()
	defer s.mu.Unlock()
	return Settings{
		Latency: Duration{s.latency}, KeyLag: Duration{k.KeyLag}, ListLag: Duration{k.ListLag}, PolicyLag: Duration{k.PolicyLag},
		ActivityLag: Duration{k.ActivityLag}, ReportDelay: Duration{k.ReportDelay}, ProjectDelay: Duration{k.ProjectDelay}, RejectLogs: k.RejectLogs,
		RateLimit: s.rates.all.rate, RateBurst: s.rates.all.burst,
		ServiceRateLimit: s.rates.service.rate, ServiceRateBurst: s.rates.service.burst,
		IdentityRateLimit: s.rates.identity.rate, IdentityRateBurst: s.rates.identity.burst, Switches: switches,
	}
}

// Set replaces the settings.
func (s *Server) Set(n Settings) {
	s.cloud.Set(cloud.Settings{KeyLag: n.KeyLag.Duration, ListLag: n.ListLag.Duration, PolicyLag: n.PolicyLag.Duration,
		ActivityLag: n.ActivityLag.Duration, ReportDelay: n.ReportDelay.Duration, ProjectDelay: n.ProjectDelay.Duration, RejectLogs: n.RejectLogs})
	s.cloud.SetSwitches(n.Switches)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = n.Latency.Duration
	for _, l := range []struct {
		b           *bucket
		rate, burst int
	}{
		{&s.rates.all, n.RateLimit, n.RateBurst}, {&s.rates.service, n.ServiceRateLimit, n.ServiceRateBurst},
		{&s.rates.identity, n.IdentityRateLimit, n.IdentityRateBurst},
	} {
		if l.b.rate != l.rate || l.b.burst != l.burst {
			*l.b = newBucket(l.rate, l.burst, s.base().Add(s.offset))
			s.rates.each = map[any]*bucket{}
		}
	}
}

// SetLag sets the lags of keys, lists and policies.
func (s *Server) SetLag(d time.Duration) {
	n := s.Settings()
	n.KeyLag, n.ListLag, n.PolicyLag = Duration{d}, Duration{d}, Duration{d}
	s.Set(n)
}

// settingsIn is a change of the settings. Absent fields stay as they are.
// changeSettings applies lag first, so that one of the three lags can still
// differ.
type settingsIn struct {
	Lag *Duration `json:"lag,omitempty"`
	*Settings
}

type controlError struct {
	Error string `json:"error"`
}

// control serves /emulator/. It rejects a host that is not loopback: only a
// browser that followed a foreign name to this address would send one.
func (s *Server) control(w http.ResponseWriter, r *http.Request, path string) {
	if !loopbackHost(hostname(r.Host)) {
		s.reply(w, http.StatusForbidden, controlError{"the control API answers only to loopback hosts"})
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, longestBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out, err := s.controlCall(r, path, body)
	switch {
	case errors.Is(err, errNoControl):
		s.reply(w, http.StatusNotFound, controlError{err.Error()})
	case err != nil:
		s.reply(w, http.StatusBadRequest, controlError{err.Error()})
	default:
		s.reply(w, http.StatusOK, out)
	}
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (s *Server) reply(w http.ResponseWriter, status int, body any) {
	s.write(w, answer{status: status, body: body})
}

var errNoControl = errors.New("unknown operation of the control API")

func (s *Server) controlCall(r *http.Request, path string, body []byte) (any, error) {
	head, id, one := strings.Cut(path, "/")
	if one {
		head += "/{id}"
	}
	for _, op := range controls {
		if op.Method == r.Method && op.Path == head {
			return op.serve(s, controlRequest{id: id, query: r.URL.Query(), body: body})
		}
	}
	return nil, errNoControl
}

func (s *Server) activeFaults() []activeFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []activeFault{}
	for _, f := range s.faults {
		out = append(out, activeFault{Fault: f.Fault, Seen: f.Seen})
	}
	return out
}

func (s *Server) setClock(body []byte) (any, error) {
	var in struct {
		Advance *Duration  `json:"advance"`
		Set     *time.Time `json:"set"`
	}
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Advance != nil && in.Set == nil:
		s.Advance(in.Advance.Duration)
	case in.Set != nil && in.Advance == nil:
		s.mu.Lock()
		s.offset = in.Set.Sub(s.base())
		s.mu.Unlock()
		s.cloud.ExpireSecrets()
	default:
		return nil, errors.New("the clock needs either advance or set")
	}
	return map[string]time.Time{"now": s.Now()}, nil
}

func (s *Server) changeSettings(body []byte) (any, error) {
	next := s.Settings()
	var lag struct {
		Lag *Duration `json:"lag"`
	}
	if err := json.Unmarshal(body, &lag); err != nil {
		return nil, err
	}
	if lag.Lag != nil {
		next.KeyLag, next.ListLag, next.PolicyLag = *lag.Lag, *lag.Lag, *lag.Lag
	}
	if err := strictJSON(body, &settingsIn{Settings: &next}); err != nil {
		return nil, err
	}
	for _, d := range []Duration{next.Latency, next.KeyLag, next.ListLag, next.PolicyLag, next.ActivityLag, next.ReportDelay, next.ProjectDelay} {
		if d.Duration < 0 {
			return nil, errors.New("settings must not be negative")
		}
	}
	for _, n := range []int{next.RateLimit, next.RateBurst, next.ServiceRateLimit, next.ServiceRateBurst, next.IdentityRateLimit, next.IdentityRateBurst} {
		if n < 0 {
			return nil, errors.New("settings must not be negative")
		}
	}
	if err := next.Switches.Check(); err != nil {
		return nil, err
	}
	s.Set(next)
	return s.Settings(), nil
}

func (s *Server) addCRToken(body []byte) (any, error) {
	var in struct {
		Token    string                 `json:"token"`
		Resource *cloud.ComputeResource `json:"resource"`
	}
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Token != "" && in.Resource != nil:
		return nil, errors.New("token and resource exclude each other")
	case in.Resource != nil:
		var err error
		if in.Token, err = s.cloud.IssueCRTokenFor(*in.Resource); err != nil {
			return nil, err
		}
	case in.Token == "":
		in.Token = s.cloud.IssueCRToken("crn:v1:bluemix:public:codeengine")
	default:
		s.cloud.TrustCRToken(in.Token)
	}
	return map[string]string{"token": in.Token}, nil
}
