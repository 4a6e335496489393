package service

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
)

// events answers POST / and POST /events.
func (s *Service) events(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && s.consent(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		problem(w, http.StatusMethodNotAllowed, r.Method+" is not for this path: send a CloudEvent by POST")
		return
	}
	sender, ok := s.authenticate(r)
	if !ok {
		s.refused.answer(w, r)
		return
	}
	known := sender != nil
	body, release, err := s.eventBody(w, r, known)
	defer release()
	if err != nil {
		s.refuseBody(w, err, known)
		return
	}
	if kind, data, passing := event.Passing(r.Header, body); passing && s.interpreter.ignores(kind, data) {
		s.cfg.Logins.read(data, time.Now())
		w.WriteHeader(http.StatusNoContent)
		return
	}
	from := s.eventCaller(sender)
	from.hidden, from.tick = !known, isTick(r, body)
	if from.hidden && !from.tick && !s.intake.AllowN(time.Now(), requestCost+len(body)) {
		tooMany().write(w)
		return
	}
	a := s.answer(r.Context(), r.Header, body, from)
	if from.hidden {
		a = a.withoutContent()
	}
	a.write(w)
}

// eventBody reads the body of an event. Bodies of callers without a token share one
// budget of memory with those of unverified deliveries. release is never nil.
func (s *Service) eventBody(w http.ResponseWriter, r *http.Request, known bool) (body []byte, release func(), err error) {
	if !known {
		return s.bodies.read(w, r, event.MaxBody)
	}
	body, err = readAll(http.MaxBytesReader(w, r.Body, event.MaxBody), r.ContentLength)
	if err != nil {
		err = unread(w, err)
	}
	return body, func() {}, err
}

// refuseBody answers a request whose body was not read.
func (s *Service) refuseBody(w http.ResponseWriter, err error, known bool) {
	switch {
	case errors.Is(err, errBodyLarge):
		problem(w, http.StatusRequestEntityTooLarge, "the body is longer than "+strconv.Itoa(event.MaxBody)+" bytes")
	case errors.Is(err, errBodyBroken) && known:
		problem(w, http.StatusBadRequest, "the body could not be read")
	default:
		writeUnread(w, err)
	}
}

// isTick reports whether the request is one of the platform's timer, which asks for a
// look at everything. Ticks are a class of their own, so that no other event keeps
// them out.
func isTick(r *http.Request, body []byte) bool {
	kind := r.Header["Ce-Type"]
	return len(body) <= requestCost && len(kind) == 1 && kind[0] == event.TypeTick
}

// Answer decodes the event of a job's trigger and answers it. known is true if the
// platform authenticated the sender.
func (s *Service) Answer(ctx context.Context, header http.Header, body []byte, known bool) Answer {
	from := caller{name: "trigger", known: known, within: s.answerWithin}
	if known {
		from.allow = s.cfg.Events.Jobs
	}
	a := s.answer(ctx, header, body, from)
	s.count("trigger", a.Status)
	return a
}

func (s *Service) answer(ctx context.Context, header http.Header, body []byte, from caller) Answer {
	if event.Batched(header) {
		return s.batch(ctx, header, body, from)
	}
	e, err := event.Decode(header, body)
	if err != nil {
		return refuse(err)
	}
	return s.handle(ctx, e, from)
}

// eventCaller is the caller of /events; nil is an unknown one.
func (s *Service) eventCaller(sender *Caller) caller {
	if sender == nil {
		return caller{name: "unauthenticated", within: s.answerWithin}
	}
	return caller{name: "bearer " + sender.Name, known: true, allow: sender.Allow, within: s.answerWithin}
}

// consent answers the handshake in which a sender requests permission to send
// events.
func (s *Service) consent(w http.ResponseWriter, r *http.Request) bool {
	headers := event.Consent(r.Header, s.cfg.Events.Origins, CallsPerSecond*60/CallsPerLook)
	if headers == nil {
		return false
	}
	maps.Copy(w.Header(), headers)
	w.Header().Set("Allow", "POST")
	w.WriteHeader(http.StatusOK)
	return true
}

// readAll reads a body whose length is mostly known.
func readAll(body io.Reader, length int64) ([]byte, error) {
	if length < 0 || length > event.MaxBody {
		return io.ReadAll(body)
	}
	b := make([]byte, length)
	n, err := io.ReadFull(body, b)
	return b[:n], err
}
