package service

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// How long a caller waits for an answer. Event Notifications gives up after
// 10 s and drops the event after its third try; Code Engine ends a function's
// call after 120 s. The work continues in the background.
const (
	answerNotification = 8 * time.Second
	answerOthers       = 100 * time.Second
)

// Limits of the bytes that are decoded in a second for callers without a token. Each
// request counts with requestCost beside its body.
const (
	intakePerSecond = 8 << 20
	intakeBurst     = 24 << 20
	requestCost     = 4 << 10
)

// Sweeper reconciles credentials; sweep.Sweeper does.
type Sweeper interface {
	Sweep(ctx context.Context, credentials []port.Credential, ask reconcile.Request) result.Sweep
}

// Catalog finds credentials; catalog.Catalog does.
type Catalog interface {
	Credentials(ctx context.Context, scope catalog.Scope) ([]port.Credential, error)
	// Unknown returns the names that no entry and none of these credentials has.
	Unknown(names []string, found []port.Credential) []string
}

// Identity is latchkey's own identity in IAM; iam.Client is one.
type Identity interface {
	// Self returns our own IAM ID.
	Self(ctx context.Context) (string, error)
	// Usable returns nil when we can log in.
	Usable(ctx context.Context) error
	// Owner returns the ID and the credential of the key that has the value;
	// port.ErrNotFound when no key of ours has it.
	Owner(ctx context.Context, v secret.Value) (keyID, credential string, err error)
}

// Events configures which callers of /events are known, what they may request and
// what events mean.
type Events struct {
	// Callers are the callers that show a token.
	Callers []Caller
	// Jobs lists what a job may request that was started with an event.
	Jobs []Allow
	// Origins are the DNS names of senders that get consent to their handshake.
	Origins []string
	// Rules are the config's rules; nil has none.
	Rules Rules
}

// Caller is one known caller of /events.
type Caller struct {
	Name string // in causes and logs
	// Tokens are its one token, or two during a change.
	Tokens []secret.Value
	Allow  []Allow
}

// Config is what a Service uses.
type Config struct {
	Sweeper  Sweeper
	Catalog  Catalog
	Identity Identity
	Events   Events
	Hooks    []Hook
	// Pace orders the calls of demands before those of looks; nil orders none.
	Pace *pace.Pacer
	// Outcomes delivers outcome events; nil delivers none.
	Outcomes *outcome.Sender
	// Now is the clock that demands are compared with.
	Now func() time.Time
	Log *slog.Logger
	// Version is what GET / shows to known callers.
	Version string
	// Logins, if set, remembers the logins that audit events tell of.
	Logins *Logins
	// Answered, if set, is called with the path's source and the status of each answer
	// to an event or a delivery.
	Answered func(source string, status int)
	// Swept, if set, is called with the result of each sweep over all credentials.
	Swept func(result.Sweep)
	// Metrics answers GET /metrics, and Pages GET / and GET /credentials/NAME. Only
	// callers of Events who show a token get there, and local ones. If nil, there
	// are none.
	Metrics, Pages http.Handler
	// Local is set if the service listens on loopback only.
	Local bool
	// Ends is set if the process may end or freeze after an answer. What is not done by
	// then is for the sender to repeat.
	Ends bool
	// AnswerWithin is how long callers wait at most; 0 is 100 s.
	AnswerWithin time.Duration
	// Calls limits the looks at named credentials of callers without a token, in calls
	// to IBM Cloud; nil is CallsPerSecond and CallsBurst.
	Calls *rate.Limiter
}

// Service answers requests. Build it with New.
type Service struct {
	cfg          Config
	interpreter  Interpreter
	looks, ticks allowance     // of callers without a token
	intake       *rate.Limiter // of the same, in bytes
	hooks        map[string]*hook
	bodies       *bodyReader
	login        loginState
	refused      refusals
	repeats      repeats
	answerWithin time.Duration
	looksAtAll   looksAtAll
	preparing    preparing

	work    context.Context //nolint:containedctx // the life of the process, not of a call
	running sync.WaitGroup
}

// New returns a Service. work is the context of everything that continues after
// an answer.
func New(work context.Context, cfg Config) *Service {
	s := &Service{
		cfg: cfg, intake: rate.NewLimiter(intakePerSecond, intakeBurst), hooks: map[string]*hook{}, bodies: newBodyReader(),
		refused: newRefusals(cfg.Log), repeats: newRepeats(), answerWithin: cfg.AnswerWithin, work: work,
	}
	s.looksAtAll.ended = time.Now()
	s.preparing.names, s.preparing.ended = map[string]bool{}, make(chan struct{})
	s.login = loginState{usable: func(ctx context.Context) error { return cfg.Identity.Usable(ctx) }, log: cfg.Log, now: time.Now}
	s.ticks.calls = rate.NewLimiter(tickCallsPerSecond, tickCallsBurst)
	if s.looks.calls = cfg.Calls; s.looks.calls == nil {
		s.looks.calls = rate.NewLimiter(CallsPerSecond, CallsBurst)
	}
	if s.answerWithin == 0 {
		s.answerWithin = answerOthers
	}
	s.interpreter = Interpreter{Reader: event.Reader{Now: cfg.Now, Self: s.self}, Rules: cfg.Events.Rules}
	for _, h := range cfg.Hooks {
		s.hooks[h.Name] = &hook{Hook: h, deliveries: rate.NewLimiter(deliveriesPerSecond, deliveriesBurst)}
	}
	return s
}

// self returns our own IAM ID, which identifies events about our own work. It is
// empty when IAM does not answer: such an event then triggers a look, which only
// does what is due anyway.
func (s *Service) self() string {
	ctx, cancel := context.WithTimeout(s.work, 5*time.Second)
	defer cancel()
	if s.login.check(ctx) != nil {
		return ""
	}
	id, err := s.cfg.Identity.Self(ctx)
	if err != nil {
		return ""
	}
	return id
}

// Handler returns the HTTP routes.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.root)
	mux.Handle("/events", s.counted("events", s.events))
	mux.HandleFunc("/hooks/{name...}", s.delivery)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.shown(s.cfg.Metrics))
	}
	if s.cfg.Pages != nil {
		mux.Handle("GET /credentials/{name...}", s.shown(s.cfg.Pages))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

// root answers what is sent to the address itself. A browser without the token is asked
// for it; other callers learn where events go.
func (s *Service) root(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.counted("events", s.events).ServeHTTP(w, r)
		return
	}
	known := s.maySee(r)
	switch browser := strings.Contains(r.Header.Get("Accept"), "text/html"); {
	case s.cfg.Pages != nil && (known || browser):
		s.shown(s.cfg.Pages).ServeHTTP(w, r)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "POST CloudEvents here.\n"
		if known {
			text = s.cfg.Version + "\n" + text
		}
		_, _ = io.WriteString(w, text)
	}
}

// ready answers 204 when our own login works: without it no event can be acted
// on.
func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.login.check(r.Context()); err != nil {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Drain returns when no work is under way, or when ctx ends.
func (s *Service) Drain(ctx context.Context) {
	s.preparing.stop()
	idle := make(chan struct{})
	go func() {
		s.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		s.cfg.Log.Warn("stopping with work under way; the next sweep continues it")
	}
}

// flushInCall is how long a function's call waits for outcome events to be
// delivered: the function may be frozen as soon as it has answered. What is
// left is retried while the process lives.
const flushInCall = time.Second

// Flushing makes each call wait up to a second for its outcome events to be
// delivered.
func (s *Service) Flushing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), flushInCall)
		defer cancel()
		s.cfg.Outcomes.Flush(ctx)
	})
}
