package iam

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func TestAnUnclearCreateOfAServiceIDIsNotRepeated(t *testing.T) {
	for name, f := range map[string]emulator.Fault{
		"a lost answer":      {Kind: emulator.FaultLost},
		"a truncated answer": {Kind: emulator.FaultTruncate},
		"a server error":     {Kind: emulator.FaultStatus, Status: 502, Effect: ptr(true)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			f.Method, f.Path = "POST", "/v1/serviceids"
			w.cloud.Inject(f)
			marker := marker.Marker{Owner: "test", Credential: "a", With: map[string]string{"project": "p"}}
			_, err := w.Create(t.Context(), "a", marker.Describe("For a"))
			if !errors.Is(err, port.ErrUnavailable) || f.Kind == emulator.FaultTruncate && !strings.Contains(err.Error(), "can't be read") {
				t.Errorf("err = %v", err)
			}
			if n := w.cloud.Counter("POST", "/v1/serviceids"); n != 1 {
				t.Errorf("%d creates", n)
			}
			found, _, err := w.Find(t.Context(), "a")
			if err != nil || len(found) != 1 || !found[0].Marked || found[0].Marker.With["project"] != "p" || found[0].Created.IsZero() {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

func TestAStatusOfIAMSelectsTheError(t *testing.T) {
	for status, want := range map[int]error{
		400: port.ErrRefused, 401: port.ErrUnavailable, 403: port.ErrDenied, 404: port.ErrNotFound,
		408: port.ErrUnavailable, 409: port.ErrConflict, 412: port.ErrConflict, 422: port.ErrRefused,
		423: port.ErrDenied, 429: port.ErrUnavailable, 500: port.ErrUnavailable, 503: port.ErrUnavailable,
	} {
		w := newWorld(t, nil)
		w.cloud.Inject(emulator.Fault{Path: "/v1/serviceids*", Kind: emulator.FaultStatus, Status: status})
		_, cerr := w.Create(t.Context(), "a", "")
		_, lerr := w.Lookup(t.Context(), "iam-ServiceId-1")
		_, _, ferr := w.Find(t.Context(), "a")
		for _, err := range []error{cerr, lerr, ferr} {
			if !errors.Is(err, want) || !strings.Contains(err.Error(), "The service cannot answer") {
				t.Errorf("status %d: %v", status, err)
			}
		}
	}
}

func TestALimitIsNoConflict(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		if r.Request.Method == http.MethodPost && strings.HasPrefix(r.Request.URL.Path, "/v1/serviceids") {
			r.StatusCode = 409
			setBody(r, map[string]any{"errors": []any{map[string]any{"code": "limit_exceeded", "message": "full"}}})
		}
	}))
	if _, err := w.Create(t.Context(), "a", ""); !errors.Is(err, port.ErrQuota) {
		t.Errorf("err = %v", err)
	}
}

func TestErrorsAreShortAndOnOneLine(t *testing.T) {
	long := strings.Repeat("so\nlong ", 500)
	w := newWorld(t, bend(func(r *http.Response) {
		if strings.HasPrefix(r.Request.URL.Path, "/v1/") {
			r.StatusCode = http.StatusBadRequest
			setBody(r, map[string]any{"errors": []any{map[string]any{"code": "c", "message": long}}})
		}
	}))
	_, reply, err := getFrom[apiKey](t.Context(), w.api, keyPath("ApiKey-1"), nil)
	err = fault(t.Context(), "doing it", reply, err, secret.New("long"))
	if s := err.Error(); len(s) > 400 || strings.ContainsAny(s, "\n") || !strings.HasPrefix(s, "doing it: refused: status 400 c so [secret] so") {
		t.Errorf("err = %s", s)
	}
}

func TestOnlyOurOwnersServiceIDsAreOurs(t *testing.T) {
	w := newWorld(t, nil)
	w.identity("a")
	w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "b", Description: marker.Marker{Owner: "other", Credential: "b"}.Text()})
	w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "c"})
	ours, err := w.MarkedServiceIDs(t.Context())
	if err != nil || len(ours) != 1 || ours[0].Name != "a" || ours[0].Marker.Credential != "a" {
		t.Errorf("ours %+v, %v", ours, err)
	}
}

func TestANewServiceIDIsReadableBeforeItIsListed(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.SetLag(time.Minute)
	id := w.identity("a")
	if found, date, err := w.Find(t.Context(), "a"); err != nil || len(found) != 0 || date.IsZero() {
		t.Errorf("within the lag: %+v, %v", found, err)
	}
	if got, err := w.Lookup(t.Context(), id.IAMID); err != nil || got.ID != id.ID || got.IAMID != id.IAMID {
		t.Errorf("looked up %+v, %v", got, err)
	}
	w.cloud.Advance(time.Minute)
	if found, _, err := w.Find(t.Context(), "a"); err != nil || len(found) != 1 {
		t.Errorf("after the lag: %+v, %v", found, err)
	}
}

func TestNamesAreComparedExactly(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) { // as if the service looked for the beginning
		rewrite(r, func(body map[string]any) {
			if list, ok := body["serviceids"].([]any); ok && len(list) == 2 {
				list[0].(map[string]any)["name"] = "logs-2"
			}
		})
	}))
	w.identity("logs")
	second := w.identity("logs")
	if found, _, err := w.Find(t.Context(), "logs"); err != nil || len(found) != 1 || found[0].ID != second.ID {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestALockIsRead(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	w.cloud.Cloud().SetServiceIDLocked(id.ID, true)
	if got, err := w.Lookup(t.Context(), id.IAMID); err != nil || !got.Locked {
		t.Errorf("looked up %+v, %v", got, err)
	}
}
