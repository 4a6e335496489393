package service

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"

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
	known, ok := s.authenticate(r)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// Audit events that request nothing do not count against the limit: their
	// flood would use up what others may request.
	audit := event.FromKafka(r.Header)
	if !known && !audit && s.tooMany(w) {
		return
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, event.MaxBody), r.ContentLength)
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
		if event.Passing(r.Header, body) && s.interpreter.ignores(r.Header["Ce-Type"][0], body) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if !known && s.tooMany(w) {
			return
		}
	}
	s.answer(r.Context(), r.Header, body, s.eventCaller(known)).write(w)
}

// Answer decodes the event of a job's trigger and answers it. known is true if the
// platform authenticated the sender.
func (s *Service) Answer(ctx context.Context, header http.Header, body []byte, known bool) Answer {
	from := s.eventCaller(known)
	from.name = "trigger"
	return s.answer(ctx, header, body, from)
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

// eventCaller is the caller of /events.
func (s *Service) eventCaller(known bool) caller {
	from := caller{name: "unauthenticated", known: known, allow: s.cfg.Events.Allow, within: s.answerWithin}
	if known {
		from.name = "bearer " + s.cfg.Events.BearerName
	}
	return from
}

// consent answers the handshake in which a sender requests permission to send
// events.
func (s *Service) consent(w http.ResponseWriter, r *http.Request) bool {
	headers := event.Consent(r.Header, s.cfg.Events.Origins, LooksPerSecond*60)
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
