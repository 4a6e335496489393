package service

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Answer is the answer to a request, in every form of the program.
type Answer struct {
	// Status is an HTTP status.
	Status int
	// Outcomes are the body, unless Problem or the parts of a batch are.
	Outcomes []result.Outcome
	// Problem describes the error in the request; "" if there is none.
	Problem string
	// Unknown is what kept something from being observed.
	Unknown error

	about string // source and ID of the event
	parts []part
	at    time.Time
	retry int // seconds
}

// Respond turns outcomes into an answer.
func Respond(s result.Sweep, now time.Time) Answer {
	a := Answer{Status: http.StatusOK, Outcomes: s.Outcomes, Unknown: s.Unknown, at: now}
	alive := slices.ContainsFunc(s.Outcomes, func(o result.Outcome) bool { return o.Leaked == result.LeakedAlive })
	switch worst := s.Worst(); {
	case s.Unknown != nil || worst == result.Failed:
		a.Status, a.retry = http.StatusServiceUnavailable, 30
	case worst == result.Blocked || worst == result.InProgress && slices.ContainsFunc(s.Outcomes, waits) || alive:
		a.Status = http.StatusAccepted
	case len(s.Outcomes) == 0:
		a.Status = http.StatusNoContent
	}
	return a
}

// waits reports whether the work on a credential goes on. An optional store in trouble
// keeps none.
func waits(o result.Outcome) bool {
	return o.Result == result.InProgress && o.Condition != condition.Due
}

// refuse turns the error of an event into an answer.
func refuse(err error) Answer {
	switch {
	case errors.Is(err, event.ErrNotForUs):
		return Answer{Status: http.StatusNoContent}
	case errors.Is(err, event.ErrTooLarge):
		return Answer{Status: http.StatusRequestEntityTooLarge, Problem: err.Error()}
	case errors.Is(err, event.ErrUnsupported):
		return Answer{Status: http.StatusUnsupportedMediaType, Problem: err.Error()}
	}
	return Answer{Status: http.StatusBadRequest, Problem: err.Error()}
}

// Render returns the answer's HTTP headers and body. Outcomes are a CloudEvent
// in binary mode.
func (a Answer) Render() (http.Header, []byte) {
	h := http.Header{}
	if a.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retry))
	}
	var body any
	switch {
	case a.Problem != "":
		h.Set("Content-Type", "application/problem+json")
		body = map[string]any{"title": http.StatusText(a.Status), "status": a.Status, "detail": a.Problem}
	case a.parts != nil:
		h.Set("Content-Type", "application/json")
		body = a.parts
	case len(a.Outcomes) == 1:
		body = a.Outcomes[0]
	case len(a.Outcomes) > 1:
		body = map[string]any{"outcomes": a.Outcomes}
	default:
		return h, nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic("encoding an outcome: " + err.Error()) // its fields are strings and times
	}
	b = append(b, '\n')
	if a.Problem == "" && a.parts == nil {
		a.describe(h, b)
	}
	return h, b
}

// Print writes the body of the answer. The outcomes of a sweep are written one by one, since
// those of a large one would be in memory twice.
func (a Answer) Print(w io.Writer) error {
	if a.Problem != "" || a.parts != nil || len(a.Outcomes) < 2 {
		_, body := a.Render()
		_, err := w.Write(body)
		return err
	}
	out := bufio.NewWriter(w)
	separator := `{"outcomes":[`
	for _, o := range a.Outcomes {
		_, _ = out.WriteString(separator) // Flush returns the error
		b, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("encoding the outcome of %s: %w", o.Credential, err)
		}
		_, _ = out.Write(b)
		separator = ","
	}
	_, _ = out.WriteString("]}\n")
	return out.Flush()
}

// describe sets the CloudEvents headers of outcomes. The same answer to the same
// event gets the same ID.
func (a Answer) describe(h http.Header, body []byte) {
	h.Set("Content-Type", "application/json")
	h.Set("Ce-Specversion", "1.0")
	h.Set("Ce-Source", "/latchkey")
	h.Set("Ce-Type", outcome.Type(a.Outcomes...))
	if !a.at.IsZero() {
		h.Set("Ce-Time", a.at.UTC().Format(time.RFC3339))
	}
	if len(a.Outcomes) == 1 && a.Outcomes[0].Credential != "" {
		h.Set("Ce-Subject", a.Outcomes[0].Credential)
	}
	sum := sha256.Sum256(append([]byte(a.about+"\x00"), body...))
	h.Set("Ce-Id", hex.EncodeToString(sum[:16]))
}

// withoutContent returns the answer to a caller without a token. It shows neither
// outcomes nor, by its status, what a run found: only whether the sender should send
// the event again, and what is wrong with the event itself.
func (a Answer) withoutContent() Answer {
	a.Outcomes, a.about = nil, ""
	for i := range a.parts {
		a.parts[i].Outcomes = nil
	}
	return a
}

func (a Answer) write(w http.ResponseWriter) {
	h, body := a.Render()
	maps.Copy(w.Header(), h)
	w.WriteHeader(a.Status)
	_, _ = w.Write(body)
}

func problem(w http.ResponseWriter, status int, detail string) {
	Answer{Status: status, Problem: detail}.write(w)
}
