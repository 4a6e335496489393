package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/trace"
)

// handle interprets an event, authorizes its caller, runs what is requested and
// answers in time. The run continues in the background after the answer.
func (s *Service) handle(ctx context.Context, e event.Event, from caller) Answer {
	requests, notes, err := s.interpreter.Interpret(e)
	for _, note := range notes {
		s.cfg.Log.Debug("skipping a rule that could not be decided", "event", event.Clip(e.ID()), "type", event.Clip(e.Type()), "error", note)
	}
	if err != nil {
		level := slog.LevelInfo
		if errors.Is(err, event.ErrNotForUs) {
			level = slog.LevelDebug // such events are counted, and may be many
		}
		if s.cfg.Log.Enabled(ctx, level) {
			// A source may contain a password: only a cause, which is free of it, is
			// logged.
			s.cfg.Log.Log(ctx, level, "refusing event", "event", event.Clip(e.ID()), "type", event.Clip(e.Type()), "error", err.Error())
		}
		return refuse(err)
	}
	from.cause, from.span = causeOf(e, from), trace.From(ctx)
	for i := range requests {
		requests[i].Cause = from.cause.String()
	}
	attrs := []any{"cause", requests[0].Cause, "caller", from.cause.Caller, "authenticated", from.known, "requests", len(requests)}
	if from.cause.Subject != "" {
		attrs = append(attrs, "subject", from.cause.Subject)
	}
	if from.cause.Ticket != "" {
		attrs = append(attrs, "ticket", from.cause.Ticket)
	}
	if id := from.span.TraceID(); id != "" {
		attrs = append(attrs, "trace", id)
	}
	s.cfg.Log.Info("event", attrs...)
	requests, status := s.authorize(requests, from)
	if status != 0 {
		return Answer{Status: status}
	}
	requests, fulfilled, err := s.repeats.provision(e, requests, from.name, s.cfg.Now())
	if err != nil {
		s.cfg.Log.Warn("refusing event", "cause", from.cause.String(), "error", err.Error())
		return refuse(err)
	}
	if from.hidden {
		if a, refused := s.refuseStranger(ctx, requests, &from); refused {
			return a
		}
	}
	within := min(from.within, s.answerWithin)
	if _, notified := e.Extensions()["ibmensourceid"]; notified {
		within = min(within, answerNotification)
	}
	return s.answerInTime(ctx, requests, from, within, e.Source()+" "+e.ID(), fulfilled)
}

// refuseStranger answers a caller without a token before anything is run: if the
// calls of all such callers are used up, or if our login fails. The header alone makes
// no tick: in structured mode, the event is another.
func (s *Service) refuseStranger(ctx context.Context, requests []event.Request, from *caller) (Answer, bool) {
	from.calls = &atomic.Int64{}
	from.tick = from.tick && !slices.ContainsFunc(requests, func(q event.Request) bool { return q.Sender != event.SenderTimer })
	if !from.tick {
		if !s.looks.allow() {
			return tooMany(), true
		}
		from.paid = CallsPerLook
	}
	if err := s.login.check(ctx); err != nil {
		return Answer{Status: http.StatusServiceUnavailable, retry: 10}, true
	}
	debt := s.ticks.debt()
	switch {
	case !from.tick || debt == 0:
		return Answer{}, false
	case s.cfg.Ends:
		return Answer{Status: http.StatusServiceUnavailable, retry: int(debt/time.Second) + 1}, true
	case !s.ticks.owed.CompareAndSwap(false, true):
		return Answer{Status: http.StatusAccepted}, true // the tick that waits looks at all
	}
	from.owes, from.within = true, 0
	return Answer{}, false
}

// answerInTime runs the requests and answers when they are done or when the time
// is up. It calls fulfilled if the run did all of what was requested.
func (s *Service) answerInTime(ctx context.Context, requests []event.Request, from caller, within time.Duration, about string, fulfilled func()) Answer {
	done := make(chan Answer, 1)
	var recorded demands
	soon, cancel := context.WithTimeout(ctx, within-within/4)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer cancel()
		if from.owes {
			s.ticks.wait(s.work)
		}
		a := s.run(requests, from, &recorded, soon.Done())
		if from.calls != nil {
			from.allowance(s).charge(int(from.calls.Load()) - from.paid)
		}
		if a.Status == http.StatusOK {
			fulfilled()
		}
		if from.hidden && a.Status != http.StatusServiceUnavailable {
			a = Answer{Status: http.StatusOK} // whatever the run found
		}
		done <- a
	}()
	if a, ok := wait(ctx, done, within); ok {
		a.about = about
		return a
	}
	if slices.ContainsFunc(requests, event.Request.NeedsAuth) {
		if names := recorded.all(); len(names) > 0 {
			return Answer{Status: http.StatusAccepted, about: about, Outcomes: caused(underWay(names), from.cause)}
		}
		// The demand would be lost with this process, so the sender must repeat it.
		return Answer{Status: http.StatusServiceUnavailable, retry: 10}
	}
	if s.cfg.Ends {
		return Answer{Status: http.StatusServiceUnavailable, retry: 30}
	}
	return Answer{Status: http.StatusAccepted, about: about, Outcomes: caused([]result.Outcome{{
		Condition: condition.InProgress, Result: result.InProgress, Message: "work continues in the background; the next sweep completes what is left",
	}}, from.cause)}
}

// wait waits for the answer, until the time is up or the caller is gone.
func wait(ctx context.Context, done <-chan Answer, within time.Duration) (Answer, bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case a := <-done:
		return a, true
	case <-ctx.Done(): // the caller is gone, or the time of its batch is up
	case <-timer.C:
	}
	return Answer{}, false
}

// run reconciles what was requested. soon is closed some time before the answer.
func (s *Service) run(requests []event.Request, from caller, recorded *demands, soon <-chan struct{}) Answer {
	bundles := bundle(requests)
	recorded.open(len(bundles))
	for i := range bundles {
		bundles[i].span, bundles[i].calls = from.span, from.calls
		b := &bundles[i]
		if b.atAll() {
			continue // it is found when its turn comes
		}
		s.find(b, from, recorded)
		if errors.Is(b.unknown, catalog.ErrParameters) {
			return Answer{Status: http.StatusBadRequest, Problem: b.unknown.Error()}
		}
		// A name in vain beside others is a slip, so nothing is done. A rule may name
		// what no longer exists.
		if names := s.cfg.Catalog.Unknown(b.Credentials, b.found); b.unknown == nil && b.Sender == event.SenderOwn && len(names) > 0 {
			return Answer{Status: http.StatusBadRequest, Problem: fmt.Sprintf("credentials %q: the config yields no such credential", names)}
		}
	}
	var swept result.Sweep
	refused, lost := 0, false
	for _, b := range bundles {
		var some result.Sweep
		if b.atAll() {
			some = s.lookAtAll(b, from, recorded)
		} else {
			some = s.runBundle(b, from.cause, recorded, soon)
		}
		if b.Verb == event.Revoke {
			var here bool
			if some, here = result.WhereLeaked(some); !here && some.Unknown == nil {
				return Answer{Status: http.StatusBadRequest, Problem: fmt.Sprintf("key %q is not one of the credential %q", b.KeyID, b.Credentials)}
			}
		}
		refused += b.refused
		nameGone(some.Outcomes, b.KeyID)
		lost = lost || (b.NeedsAuth() && slices.ContainsFunc(some.Outcomes, unrecorded))
		swept.Outcomes = append(swept.Outcomes, some.Outcomes...)
		swept.Unknown = errors.Join(swept.Unknown, some.Unknown)
	}
	switch {
	case refused > 0 && len(swept.Outcomes) == 0 && from.known:
		return Answer{Status: http.StatusForbidden}
	case swept.Unknown != nil:
		s.cfg.Log.Warn("some credentials could not be checked", "error", swept.Unknown.Error())
	case len(swept.Outcomes) == 0:
		for _, req := range requests {
			switch {
			case len(req.Credentials) == 0:
			case req.Verb == event.Look && len(req.With) > 0:
				return Answer{Status: http.StatusBadRequest, Problem: fmt.Sprintf("credential %q: its service ID was deleted after this event made it: to make it again, send a new event", req.Credentials)}
			default:
				return Answer{Status: http.StatusBadRequest, Problem: fmt.Sprintf("credential %q: the config yields no such credential for these parameters", req.Credentials)}
			}
		}
	}
	a := Respond(swept, s.cfg.Now())
	preparing := s.cfg.Ends && slices.ContainsFunc(swept.Outcomes, awaits)
	if (lost || preparing) && a.Status == http.StatusAccepted {
		a.Status, a.retry = http.StatusServiceUnavailable, 60 // the sender must repeat it
	}
	return a
}

// nameGone adds to outcomes that IAM has no such key. A repeated delivery of a
// revocation finds its key gone, so that is no error.
func nameGone(outcomes []result.Outcome, keyID string) {
	for i := range outcomes {
		if o := &outcomes[i]; o.Leaked == result.LeakedGone {
			o.Message = strings.TrimPrefix(o.Message+"; IAM has no key "+keyID+": it was deleted, or the ID is wrong", "; ")
		}
	}
}

// unrecorded reports whether a demand is neither met nor recorded.
func unrecorded(o result.Outcome) bool {
	unmet := o.Result == result.InProgress || o.Result == result.Blocked || o.Leaked == result.LeakedAlive
	return unmet && !o.Recorded
}

// find lists the credentials of one bundle that the caller may request, and counts
// the others.
func (s *Service) find(b *bundled, from caller, recorded *demands) {
	scope := catalog.Scope{
		Names: b.Credentials, Project: b.Project, With: b.With, Provision: b.Verb == event.Provision, Secrets: b.secrets,
	}
	b.found, b.unknown = s.cfg.Catalog.Credentials(s.paced(*b), scope)
	b.permitted = b.found
	if b.NeedsAuth() {
		b.permitted, b.refused = from.permitted(b.Verb, b.found)
		recorded.expect(b.permitted, b.unknown)
	}
}

// paced returns the context of the bundle's work: its calls are sent before those
// of looks if a caller demands it.
func (s *Service) paced(b bundled) context.Context {
	work := trace.With(s.work, b.span)
	if b.calls != nil {
		work = pace.Counted(work, b.calls)
	}
	if b.NeedsAuth() {
		return s.cfg.Pace.With(work, pace.Demand)
	}
	return s.cfg.Pace.With(work, pace.Look)
}

// runBundle reconciles the credentials of one bundle.
func (s *Service) runBundle(b bundled, cause result.Cause, recorded *demands, soon <-chan struct{}) (swept result.Sweep) {
	ask := reconcile.Request{Trigger: b.Trigger, Cause: b.Cause, Caller: cause.Caller, Recorded: recorded.record}
	if b.Verb == event.Deprovision {
		ask.End = offboard.Demand{Ask: offboard.End, Force: b.Force}
		if b.Undo {
			ask.End.Ask = offboard.Undo
		}
	}
	if b.Verb == event.Revoke {
		ask.Trigger.Leaked, ask.Trigger.Contain = b.KeyID, b.Contain
	}
	if len(b.secrets) > 0 && ask.Trigger != (protocol.Trigger{}) {
		swept = s.sweepExpiring(s.paced(b), b, ask, cause)
	} else {
		swept = s.sweep(s.paced(b), b.permitted, ask, cause)
	}
	swept.Unknown = errors.Join(b.unknown, swept.Unknown)
	if b.atAll() && s.cfg.Ends {
		return swept
	}
	ask.Recorded = nil
	return s.awaitProjects(swept, b.permitted, soon, func(open []port.Credential) result.Sweep {
		return s.sweep(s.paced(b), open, ask, cause)
	})
}

// sweepExpiring handles the notice that secrets are about to expire. Where the
// secret's date is our key's expiry, the notice is only a look: it comes up to 90
// days before, and the rotation rules decide what is due. For any other secret it
// demands one newer key per date.
func (s *Service) sweepExpiring(ctx context.Context, b bundled, ask reconcile.Request, cause result.Cause) (swept result.Sweep) {
	var ours []port.Credential
	others := map[time.Time][]port.Credential{} // by date
	for _, c := range b.permitted {
		if _, dated := catalog.StoredIn(c, b.secrets); dated {
			ours = append(ours, c)
		} else {
			date := b.date(c)
			others[date] = append(others[date], c)
		}
	}
	add := func(some result.Sweep) {
		swept.Outcomes = append(swept.Outcomes, some.Outcomes...)
		swept.Unknown = errors.Join(swept.Unknown, some.Unknown)
	}
	results := make(chan result.Sweep)
	for date, credentials := range others {
		demand := ask
		demand.Trigger.Expiry = date
		go func() { results <- s.sweep(ctx, credentials, demand, cause) }()
	}
	for range others {
		add(<-results)
	}
	add(s.sweep(ctx, ours, reconcile.Request{Cause: ask.Cause}, cause))
	return swept
}

// date returns the latest date of the secrets that concern a credential.
func (b bundled) date(c port.Credential) (latest time.Time) {
	for name, date := range b.dates {
		if date.After(latest) && catalog.Concerned(c, []string{name}) {
			latest = date
		}
	}
	return latest
}

// sweep reconciles credentials and sends their outcomes to the sinks.
func (s *Service) sweep(ctx context.Context, credentials []port.Credential, ask reconcile.Request, cause result.Cause) result.Sweep {
	swept := s.cfg.Sweeper.Sweep(ctx, credentials, ask)
	caused(swept.Outcomes, cause)
	s.cfg.Outcomes.Send(swept.Outcomes...)
	return swept
}

// caused sets what the outcomes' runs were requested by.
func caused(outcomes []result.Outcome, cause result.Cause) []result.Outcome {
	for i := range outcomes {
		outcomes[i].Cause = &cause
	}
	return outcomes
}

// bundled is one request, or several about secrets that differ in the secret
// alone: one notification covers up to a hundred secrets, and one listing of the
// credentials finds them all.
type bundled struct {
	event.Request
	secrets []string
	dates   map[string]time.Time // the expiry dates of secrets, by name, in UTC

	found, permitted []port.Credential
	refused          int   // credentials that the caller may not request
	unknown          error // what kept others from being listed
	span             *trace.Span
	calls            *atomic.Int64 // counts them, if not nil
}

func bundle(requests []event.Request) (bundles []bundled) {
	for _, req := range requests {
		if req.Secret == "" {
			bundles = append(bundles, bundled{Request: req})
			continue
		}
		date := req.Trigger.Expiry.UTC()
		req.Trigger.Expiry = time.Time{}
		i := slices.IndexFunc(bundles, func(b bundled) bool {
			return len(b.secrets) > 0 && b.Verb == req.Verb && b.Trigger == req.Trigger
		})
		if i < 0 {
			i = len(bundles)
			bundles = append(bundles, bundled{Request: req, dates: map[string]time.Time{}})
		}
		bundles[i].secrets = append(bundles[i].secrets, req.Secret)
		if date.After(bundles[i].dates[req.Secret]) {
			bundles[i].dates[req.Secret] = date
		}
	}
	return bundles
}
