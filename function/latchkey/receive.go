package main

import (
	"io"
	"maps"
	"net/http"

	"github.com/latchkey-io/latchkey/internal/event"
)

// tooMany answers a caller that asks too often.
func (d *desk) tooMany(w http.ResponseWriter) bool {
	if d.looks.Allow() {
		return false
	}
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusTooManyRequests)
	return true
}

// read reads a body whose length is mostly known.
func read(body io.Reader, length int64) ([]byte, error) {
	if length < 0 || length > event.MaxBody {
		return io.ReadAll(body)
	}
	b := make([]byte, length)
	n, err := io.ReadFull(body, b)
	return b[:n], err
}

// consent tells a sender that asks beforehand whether its events are wanted.
func (d *desk) consent(w http.ResponseWriter, r *http.Request) bool {
	headers := event.Consent(r.Header, d.cfg.Origins, looksPerSecond*60)
	if headers == nil {
		return false
	}
	maps.Copy(w.Header(), headers)
	w.Header().Set("Allow", "POST")
	w.WriteHeader(http.StatusOK)
	return true
}
