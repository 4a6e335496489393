package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/latchkey-io/latchkey/internal/webhook"
)

// What bodies of callers that are not known yet may take of the machine. Each
// takes as much as has arrived of it, so that a slow one holds little.
const (
	intakeBytes = 24 << 20
	intakeFirst = 4 << 10
	intakeTime  = 10 * time.Second // for one body
)

// intake reads bodies within one budget of memory.
type intake struct {
	budget   *semaphore.Weighted
	patience time.Duration
}

func newIntake() *intake {
	return &intake{budget: semaphore.NewWeighted(intakeBytes), patience: intakeTime}
}

// Why a body was not read.
var (
	errBodyLarge  = errors.New("the body is too large")
	errBodySlow   = errors.New("the body did not arrive in time")
	errBodyBroken = errors.New("the body could not be read")
	errBusy       = errors.New("too many bodies at once")
)

// read reads a whole body. release gives its room back; it is never nil.
func (in *intake) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	held := int64(0)
	release = func() { in.budget.Release(held) }
	if r.ContentLength > webhook.MaxBody {
		w.Header().Set("Connection", "close") // what is left of it is nobody's
		return nil, release, errBodyLarge
	}
	// Behind the function's entry a body is there already, and no deadline can be
	// set.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(in.patience))
	limited := http.MaxBytesReader(w, r.Body, webhook.MaxBody)
	for next := int64(intakeFirst); ; next = min(2*next, webhook.MaxBody+1) {
		// While it is copied, a body is there twice.
		if !in.budget.TryAcquire(next) {
			w.Header().Set("Connection", "close")
			return nil, release, errBusy
		}
		grown := make([]byte, len(body), next)
		copy(grown, body)
		in.budget.Release(held)
		body, held = grown, next
		for len(body) < cap(body) {
			n, err := limited.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if errors.Is(err, io.EOF) {
				// From here on it is the answer that takes time.
				_ = control.SetReadDeadline(time.Time{})
				return body, release, nil
			}
			if err != nil {
				return nil, release, unread(w, err)
			}
		}
	}
}

// unread says why a body did not come to its end.
func unread(w http.ResponseWriter, err error) error {
	var large *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &large):
		return errBodyLarge
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		w.Header().Set("Connection", "close")
		return errBodySlow
	}
	return errBodyBroken
}
