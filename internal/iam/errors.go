package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// sortError turns an SDK's error into one that says what the caller may do: the one
// place that does. resp may be nil: then no answer came.
func sortError(doing string, resp *core.DetailedResponse, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{reconcile.ErrDenied, reconcile.ErrUnavailable} {
		if errors.Is(err, known) { // from our own login
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	return fmt.Errorf("%s: %w: %s", doing, meaning(status), saying(status, resp, err))
}

func meaning(status int) error {
	switch {
	case status == http.StatusForbidden:
		return reconcile.ErrDenied
	case status == http.StatusNotFound:
		return reconcile.ErrNotFound
	case slices.Contains(staleStatus, status):
		return reconcile.ErrConflict
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		return reconcile.ErrRefused
	default: // no answer, 2xx that could not be read, 401, 429, 5xx
		return reconcile.ErrUnavailable
	}
}

// saying is what IAM said, cut short. An answer to a create holds the key's
// value, so a body is quoted only from an error's known fields.
func saying(status int, resp *core.DetailedResponse, err error) string {
	if resp != nil {
		if result, ok := resp.Result.(map[string]any); ok {
			if list, ok := result["errors"].([]any); ok && len(list) > 0 {
				if first, ok := list[0].(map[string]any); ok {
					return cut(fmt.Sprintf("%d %v: %v", status, first["code"], first["message"]))
				}
			}
		}
	}
	if status != 0 {
		return fmt.Sprintf("status %d", status)
	}
	return cut(err.Error())
}

func cut(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// dateOf is IAM's clock when it answered.
func dateOf(doing string, resp *core.DetailedResponse) (date time.Time, err error) {
	date, err = http.ParseTime(resp.Headers.Get("Date"))
	if err != nil {
		return date, fmt.Errorf("%s: %w: the answer has no Date", doing, reconcile.ErrUnavailable)
	}
	return date, nil
}

// remarshal reads a decoded body into a struct.
func remarshal(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	return json.Unmarshal(b, to)
}
