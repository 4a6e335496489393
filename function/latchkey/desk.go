package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// How long a caller waits for an answer. Event Notifications gives up after
// 10 s and loses the event after its third try; others have the platform's
// patience. The work goes on in the background, bounded by its window.
const (
	answerNotification = 8 * time.Second
	answerOthers       = 100 * time.Second
)

// What callers that show no token may ask for: looks only, and not too many.
const (
	looksPerSecond = 10
	looksBurst     = 60
)

// desk takes requests: who asks, what is asked, is it allowed; then the work,
// then the answer. Every form of the program has the same desk.
type desk struct {
	cfg        config.Events
	reconciler *reconcile.Reconciler
	catalog    reconcile.Catalog
	usable     func(context.Context) error
	now        func() time.Time
	reading    interpreter
	bearer     secret.Value
	log        *slog.Logger
	looks      *rate.Limiter
	patience   time.Duration // how long a caller waits for an answer

	hooks     map[string]*hook
	leaks     leaks
	intake    *intake
	strangers turnedAway
	reporter  *outcome.Sender // nil: outcomes are sent nowhere

	work    context.Context //nolint:containedctx // the life of the process, not of a call
	running sync.WaitGroup
}

func newDesk(work context.Context, h *house, bearer secret.Value, hooks map[string]*hook, log *slog.Logger) *desk {
	return &desk{
		cfg: h.cfg.Events, reconciler: h.reconciler, catalog: h, usable: h.iam.Usable, now: h.now,
		reading: interpreter{reader: event.Reader{Now: h.now, Self: h.self(work)}, rules: h.cfg.Rules},
		bearer:  bearer, log: log, looks: rate.NewLimiter(looksPerSecond, looksBurst), patience: answerOthers,
		hooks: hooks, leaks: h.iam, intake: newIntake(), strangers: turnedAway{tell: rate.Sometimes{Interval: time.Second}}, work: work,
	}
}

func (d *desk) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", d.root)
	mux.HandleFunc("/events", d.events)
	mux.HandleFunc("/hooks/{name...}", d.deliver)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", d.ready)
	return mux
}

func (d *desk) root(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, version()+"\nPOST CloudEvents here.\n")
		return
	}
	d.events(w, r)
}

// ready says whether our own identity works: without it no event can be acted
// on.
func (d *desk) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := d.usable(ctx); err != nil {
		d.log.Warn("not ready", "error", err.Error())
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// wait returns when no work is under way, or when ctx ends.
func (d *desk) wait(ctx context.Context) {
	idle := make(chan struct{})
	go func() {
		d.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		d.log.Warn("work was under way when the time was up; the next sweep goes on from there")
	}
}

// events answers one CloudEvent.
func (d *desk) events(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && d.consent(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		problem(w, http.StatusMethodNotAllowed, r.Method+" is not for this path: send a CloudEvent by POST")
		return
	}
	known, ok := d.authenticate(r)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// The flood of audit events would use up what others may ask: those that
	// ask nothing do not count.
	audit := event.FromKafka(r.Header)
	if !known && !audit && d.tooMany(w) {
		return
	}
	body, err := read(http.MaxBytesReader(w, r.Body, event.MaxBody), r.ContentLength)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		problem(w, http.StatusRequestEntityTooLarge, "the body is longer than "+strconv.Itoa(event.MaxBody)+" bytes")
		return
	case err != nil:
		problem(w, http.StatusBadRequest, "the body could not be read")
		return
	}
	if audit {
		if event.Passing(r.Header, body) && d.reading.passing(r.Header["Ce-Type"][0], body) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if !known && d.tooMany(w) {
			return
		}
	}
	a := d.answer(r.Context(), r.Header, body, known)
	a.write(w)
}

// authenticate compares the bearer token in constant time. No token at all is
// an unknown caller; a wrong one is refused.
func (d *desk) authenticate(r *http.Request) (known, ok bool) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return false, true
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if len(header) > 1 || !strings.EqualFold(scheme, "bearer") || d.bearer.Empty() {
		return false, false
	}
	given := secret.New(strings.TrimSpace(token))
	return d.bearer.Equal(given), d.bearer.Equal(given)
}

// answer decodes what was sent and answers it, in every form of the program.
func (d *desk) answer(ctx context.Context, header http.Header, body []byte, known bool) answer {
	if event.Batched(header) {
		return d.batch(ctx, header, body, known)
	}
	e, err := event.Decode(header, body)
	if err != nil {
		return d.refuse(err)
	}
	return d.take(ctx, e, known)
}

// take answers one event of /events.
func (d *desk) take(ctx context.Context, e event.Event, known bool) answer {
	return d.act(ctx, e, caller{known: known, allow: d.cfg.Allow, patience: d.patience})
}

// caller is who asks, and what may be asked.
type caller struct {
	known    bool
	allow    []config.Allow
	patience time.Duration // how long it waits for an answer
}

// may reports whether the caller may ask for the verb at all.
func (c caller) may(verb event.Verb) bool {
	return slices.ContainsFunc(c.allow, func(a config.Allow) bool { return slices.Contains(a.Verbs, string(verb)) })
}

// act asks what an event wants, works and answers.
func (d *desk) act(ctx context.Context, e event.Event, who caller) answer {
	known := who.known
	requests, notes, err := d.reading.interpret(e)
	for _, note := range notes {
		d.log.Debug("a rule could not be decided", "event", e.ID(), "type", e.Type(), "error", note)
	}
	if err != nil {
		// A source may carry a password: only a cause, which is free of it, is
		// logged.
		d.log.Info("event refused", "event", e.ID(), "type", e.Type(), "error", err.Error())
		return d.refuse(err)
	}
	patience := min(who.patience, d.patience)
	if _, notified := e.Extensions()["ibmensourceid"]; notified {
		patience = min(patience, answerNotification)
	}
	d.log.Info("event", "cause", requests[0].Cause, "authenticated", known, "requests", len(requests))

	if all := len(requests); !known {
		if requests = looks(requests); len(requests) < all {
			d.log.Warn("what rules demand is left out: it needs a caller that is known", "cause", requests[0].Cause)
		}
	}
	var demand bool
	for i, req := range requests {
		if known && req.NeedsAuth() && !who.may(req.Verb) {
			d.log.Warn("event refused: "+string(req.Verb)+" is allowed to this caller for no credential", "cause", req.Cause)
			return answer{status: http.StatusForbidden}
		}
		if !req.NeedsAuth() || known {
			demand = demand || req.NeedsAuth()
			continue
		}
		if req.Secret == "" {
			d.log.Warn("event refused: "+string(req.Verb)+" needs a caller that is known", "cause", req.Cause)
			return answer{status: http.StatusUnauthorized}
		}
		// A notification without a token still says where to look.
		requests[i] = event.Request{Verb: event.Look, Secret: req.Secret, Cause: req.Cause}
	}
	done := make(chan answer, 1)
	kept := demands{late: make(chan struct{})}
	d.running.Add(1)
	go func() {
		defer d.running.Done()
		done <- d.do(requests, who, &kept)
	}()
	about := e.Source() + " " + e.ID()
	if a, ok := wait(ctx, done, patience-lateWrite(patience)); ok {
		a.about = about
		return a
	}
	close(kept.late) // what nothing remembers is written down now
	if a, ok := wait(ctx, done, lateWrite(patience)); ok {
		a.about = about
		return a
	}
	if demand {
		if names := kept.all(); len(names) > 0 {
			return answer{status: http.StatusAccepted, about: about, outcomes: underWay(names)}
		}
		// Nothing says yet that the demand outlives this process: the sender
		// has to keep it.
		return answer{status: http.StatusServiceUnavailable, retry: 10}
	}
	return answer{status: http.StatusAccepted, about: about, outcomes: []reconcile.Outcome{{
		Result: reconcile.ResultInProgress, Message: "the work goes on; the next look finishes what is left",
	}}}
}

// lateWrite is the part of a caller's patience in which a demand is written
// down that would be forgotten otherwise.
func lateWrite(patience time.Duration) time.Duration { return min(1500*time.Millisecond, patience/4) }

// wait waits for the answer, until the time is up or the caller is gone.
func wait(ctx context.Context, done <-chan answer, patience time.Duration) (answer, bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-done:
		return a, true
	case <-ctx.Done(): // the caller is gone, or the time of its batch is up
	case <-timer.C:
	}
	return answer{}, false
}

// do works through what was asked. Only verbs that the config allows are
// taken further.
func (d *desk) do(requests []event.Request, who caller, kept *demands) answer {
	bundles := bundled(requests)
	kept.open(len(bundles))
	var swept reconcile.Swept
	forbidden := 0
	lost := false // something asked is neither done nor written down
	for _, bundle := range bundles {
		req := bundle[0]
		scope := reconcile.Scope{
			Names: req.Credentials, Project: req.Project, With: req.With, Provision: req.Verb == event.Provision,
		}
		catalog := d.catalog
		secrets := map[string]bool{}
		if req.Secret != "" {
			for _, same := range bundle {
				secrets[same.Secret] = true
			}
			catalog = &secretsOf{Catalog: catalog, names: secrets}
		}
		if req.NeedsAuth() {
			catalog = &permitted{Catalog: catalog, allow: who.allow, verb: string(req.Verb), refused: &forbidden, demands: kept}
		}
		ask := reconcile.Ask{Trigger: req.Trigger, Cause: req.Cause, Kept: kept.keep, Late: kept.late}
		if req.Verb == event.Revoke {
			ask.Trigger.Leaked, ask.Trigger.Contain = req.KeyID, req.Contain
		}
		s := d.sweep(catalog, secrets, scope, ask)
		if req.Verb == event.Revoke {
			var here bool
			if s, here = reconcile.WhereLeaked(s); !here && s.Unknown == nil {
				return answer{status: http.StatusBadRequest, problem: fmt.Sprintf("key %q is not one of the credential %q", req.KeyID, req.Credentials)}
			}
		}
		for _, o := range s.Outcomes {
			held := o.Result == reconcile.ResultInProgress || o.Result == reconcile.ResultBlocked || o.Leaked == reconcile.LeakedAlive
			lost = lost || (req.NeedsAuth() && held && !o.Kept)
		}
		swept.Outcomes = append(swept.Outcomes, s.Outcomes...)
		swept.Unknown = errors.Join(swept.Unknown, s.Unknown)
	}
	if forbidden > 0 && len(swept.Outcomes) == 0 && who.known {
		return answer{status: http.StatusForbidden}
	}
	if swept.Unknown == nil && len(swept.Outcomes) == 0 {
		for _, req := range requests {
			if len(req.Credentials) > 0 {
				return answer{status: http.StatusBadRequest, problem: fmt.Sprintf("credential %q: the config yields no such credential for these parameters", req.Credentials)}
			}
		}
	}
	if swept.Unknown != nil {
		d.log.Warn("not everything could be looked at", "error", swept.Unknown.Error())
	}
	a := conclude(swept, d.now())
	if lost && a.status == http.StatusAccepted {
		a.status, a.retry = http.StatusServiceUnavailable, 60 // the sender has to keep it
	}
	return a
}

// permitted is a catalog without the credentials that the caller may not ask
// the verb for.
type permitted struct {
	reconcile.Catalog
	allow   []config.Allow
	verb    string
	refused *int
	demands *demands
}

func (p *permitted) Credentials(ctx context.Context, scope reconcile.Scope) ([]reconcile.Credential, error) {
	all, err := p.Catalog.Credentials(ctx, scope)
	var kept []reconcile.Credential
	for _, c := range all {
		allowed := false
		for _, a := range p.allow {
			allowed = allowed || a.Permits(p.verb, c.Entry, c.Name)
		}
		if !allowed {
			*p.refused++
			continue
		}
		kept = append(kept, c)
	}
	p.demands.expect(kept, err)
	return kept, err
}

// refuse turns what is wrong with an event into an answer: the one place that
// does.
func (d *desk) refuse(err error) answer {
	switch {
	case errors.Is(err, event.ErrNotForUs):
		return answer{status: http.StatusNoContent}
	case errors.Is(err, event.ErrTooLarge):
		return answer{status: http.StatusRequestEntityTooLarge, problem: err.Error()}
	case errors.Is(err, event.ErrUnsupported):
		return answer{status: http.StatusUnsupportedMediaType, problem: err.Error()}
	}
	return answer{status: http.StatusBadRequest, problem: err.Error()}
}

// answer is what a caller gets, in every form of the program.
type answer struct {
	status   int
	about    string // source and ID of the event that asked
	outcomes []reconcile.Outcome
	parts    []part // of a batch, instead of outcomes
	at       time.Time
	problem  string
	retry    int // seconds
}

// conclude turns outcomes into an answer: the one place that does.
func conclude(s reconcile.Swept, now time.Time) answer {
	a := answer{status: http.StatusOK, outcomes: s.Outcomes, at: now}
	alive := slices.ContainsFunc(s.Outcomes, func(o reconcile.Outcome) bool { return o.Leaked == reconcile.LeakedAlive })
	switch worst := s.Worst(); {
	case s.Unknown != nil || worst == reconcile.ResultFailed:
		a.status, a.retry = http.StatusServiceUnavailable, 30
	case worst == reconcile.ResultBlocked || worst == reconcile.ResultInProgress || alive:
		a.status = http.StatusAccepted
	case len(s.Outcomes) == 0:
		a.status = http.StatusNoContent
	}
	return a
}

// render gives the answer as HTTP has it. Outcomes are a CloudEvent in
// binary mode.
func (a answer) render() (http.Header, []byte) {
	h := http.Header{}
	if a.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retry))
	}
	var body any
	switch {
	case a.problem != "":
		h.Set("Content-Type", "application/problem+json")
		body = map[string]any{"title": http.StatusText(a.status), "status": a.status, "detail": a.problem}
	case a.parts != nil:
		h.Set("Content-Type", "application/json")
		body = a.parts
	case len(a.outcomes) == 1:
		body = a.outcomes[0]
	case len(a.outcomes) > 1:
		body = map[string]any{"outcomes": a.outcomes}
	default:
		return h, nil
	}
	event := a.problem == "" && a.parts == nil
	if event {
		h.Set("Content-Type", "application/json")
		h.Set("Ce-Specversion", "1.0")
		h.Set("Ce-Source", "/latchkey")
		h.Set("Ce-Type", outcome.Type(a.outcomes...))
		if !a.at.IsZero() {
			h.Set("Ce-Time", a.at.UTC().Format(time.RFC3339))
		}
		if len(a.outcomes) == 1 && a.outcomes[0].Credential != "" {
			h.Set("Ce-Subject", a.outcomes[0].Credential)
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic("encoding an outcome: " + err.Error()) // its fields are strings and times
	}
	b = append(b, '\n')
	if event {
		// The same answer to the same event is the same event.
		sum := sha256.Sum256(append([]byte(a.about+"\x00"), b...))
		h.Set("Ce-Id", hex.EncodeToString(sum[:16]))
	}
	return h, b
}

func (a answer) write(w http.ResponseWriter) {
	h, body := a.render()
	for name, values := range h {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}

func problem(w http.ResponseWriter, status int, detail string) {
	answer{status: status, problem: detail}.write(w)
}
