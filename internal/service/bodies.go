package service

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/semaphore"
)

// What bodies of unverified callers may use. A body counts with the bytes that
// have arrived, so a slow one takes little of the budget.
const (
	bodyBudget = 16 << 20 // bytes, of all bodies together
	bodyFirst  = 4 << 10  // bytes, of one body at first
	bodyTime   = 10 * time.Second
)

// bodyReader reads bodies within one budget of memory.
type bodyReader struct {
	budget *semaphore.Weighted
	within time.Duration // for one body
}

func newBodyReader() *bodyReader {
	return &bodyReader{budget: semaphore.NewWeighted(bodyBudget), within: bodyTime}
}

// Why a body was not read.
var (
	errBodyLarge  = errors.New("the body is too large")
	errBodySlow   = errors.New("the body did not arrive in time")
	errBodyBroken = errors.New("the body could not be read")
	errBusy       = errors.New("too many bodies at once")
)

// read reads a whole body of at most limit bytes. release gives its memory back; it is
// never nil.
func (b *bodyReader) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	held := int64(0)
	release = func() { b.budget.Release(held) }
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // the rest of it stays unread
		return nil, release, errBodyLarge
	}
	// A function's request has its whole body already, and takes no deadline.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(b.within))
	limited := http.MaxBytesReader(w, r.Body, limit)
	for next := int64(bodyFirst); ; next = min(2*next, limit+1) {
		// While it is copied, a body is in memory twice.
		if !b.budget.TryAcquire(next) {
			w.Header().Set("Connection", "close")
			return nil, release, errBusy
		}
		grown := make([]byte, len(body), next)
		copy(grown, body)
		b.budget.Release(held)
		body, held = grown, next
		for len(body) < cap(body) {
			n, err := limited.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if errors.Is(err, io.EOF) {
				_ = control.SetReadDeadline(time.Time{}) // the answer may take longer
				return body, release, nil
			}
			if err != nil {
				return nil, release, unread(w, err)
			}
		}
	}
}

// unread returns why a body was not read to its end.
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

// writeUnread answers a request whose body was not read.
func writeUnread(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, errBodyLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, errBodySlow):
		status = http.StatusRequestTimeout
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "1")
		status = http.StatusTooManyRequests
	}
	w.WriteHeader(status)
}
