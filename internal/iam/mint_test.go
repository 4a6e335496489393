package iam

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
)

func ptr[T any](v T) *T { return &v }

// only fails unless k is the only key of the identity.
func (w *world) only(id port.ServiceID, keyID string) {
	w.t.Helper()
	n := 0
	for _, k := range w.cloud.State(false).APIKeys {
		if k.IAMID == id.IAMID {
			n++
			if k.ID != keyID {
				w.t.Errorf("there is a key %s, Mint returned %q", k.ID, keyID)
			}
		}
	}
	if n != 1 {
		w.t.Errorf("there are %d keys, want one", n)
	}
}

// switches changes what the documents leave open.
func (w *world) switches(change func(*emulator.Settings)) {
	n := w.cloud.Settings()
	change(&n)
	w.cloud.Set(n)
}

func TestAKeyThatWasMadeIsFoundWhateverTheAnswerWas(t *testing.T) {
	post := func(f emulator.Fault) emulator.Fault { f.Method, f.Path, f.Count = "POST", "/v1/apikeys", 1; return f }
	for name, f := range map[string]emulator.Fault{
		"a server error after the effect":           post(emulator.Fault{Kind: emulator.FaultStatus, Status: 500, Effect: ptr(true)}),
		"a gateway that gave up after the effect":   post(emulator.Fault{Kind: emulator.FaultStatus, Status: 504, Effect: ptr(true)}),
		"too many requests, yet with the effect":    post(emulator.Fault{Kind: emulator.FaultStatus, Status: 429, Effect: ptr(true)}),
		"a conflict after the effect":               post(emulator.Fault{Kind: emulator.FaultStatus, Status: 409, Effect: ptr(true)}),
		"a bad request after the effect":            post(emulator.Fault{Kind: emulator.FaultStatus, Status: 400, Effect: ptr(true)}),
		"a connection that times out after it":      post(emulator.Fault{Kind: emulator.FaultTimeout, Delay: emulator.Duration{Duration: time.Millisecond}, Effect: ptr(true)}),
		"a connection that times out before it":     post(emulator.Fault{Kind: emulator.FaultTimeout, Delay: emulator.Duration{Duration: time.Millisecond}}),
		"a token that is refused before the effect": post(emulator.Fault{Kind: emulator.FaultStatus, Status: 401}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id, v := w.identity("a"), value(t)
			w.cloud.Inject(f)
			k, err := w.Mint(t.Context(), w.request(id), v)
			if err != nil {
				t.Fatal(err)
			}
			w.only(id, k.ID)
			if k.AsOf.IsZero() || k.Created.IsZero() || k.Expires.IsZero() {
				t.Errorf("the key lacks its marks: %+v", k)
			}
		})
	}
}

func TestTheKeyAboveTheLimitIsAQuota(t *testing.T) {
	for _, code := range []string{"unprocessable_entity", "any_other"} {
		w := newWorld(t, nil)
		id := w.identity("a")
		w.switches(func(s *emulator.Settings) { s.Switches.KeyLimitCode = code })
		for range 20 {
			w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "foreign", IAMID: id.IAMID})
		}
		if _, err := w.Mint(t.Context(), w.request(id), value(t)); !errors.Is(err, port.ErrQuota) {
			t.Errorf("code %s: %v", code, err)
		}
	}
}

// What IBM's documents leave open: the status of a duplicate value. The repeat
// of a create whose effect no look-up shows yet runs into it.
func TestARepeatMakesNoSecondKeyHoweverIAMRefusesADuplicate(t *testing.T) {
	for _, status := range []int{409, 412, 400, 422, 403} {
		w := newWorld(t, nil)
		id, v := w.identity("a"), value(t)
		w.cloud.SetLag(3 * time.Second)
		w.switches(func(s *emulator.Settings) { s.Switches.DuplicateKeyValueStatus = status })
		w.sleep = func(context.Context, time.Duration) error { w.cloud.Advance(500 * time.Millisecond); return nil }
		w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost, Count: 1})
		k, err := w.Mint(t.Context(), w.request(id), v)
		if err != nil {
			t.Fatalf("status %d: %v", status, err)
		}
		w.only(id, k.ID)
	}
}

func TestAMintThatStaysUnclearSaysSo(t *testing.T) {
	for name, faults := range map[string][]emulator.Fault{
		"a conflict that no look-up explains": {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 409}},
		"a lost answer, and look-ups that fail": {
			{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost},
			{Method: "GET", Path: "/v1/apikeys/details", Kind: emulator.FaultStatus, Status: 502}},
		"a lost answer, and look-ups that are denied": {
			{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost},
			{Method: "GET", Path: "/v1/apikeys/details", Kind: emulator.FaultStatus, Status: 403}},
		"a lost answer, and look-ups that are refused": {
			{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost},
			{Method: "GET", Path: "/v1/apikeys/details", Kind: emulator.FaultStatus, Status: 400}},
		"an answer that is lost, then refused": {
			{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 500, Count: 1},
			{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 400}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id, v := w.identity("a"), value(t)
			for _, f := range faults {
				w.cloud.Inject(f)
			}
			_, err := w.Mint(t.Context(), w.request(id), v)
			clean(t, err, v)
			if !errors.Is(err, port.ErrUnavailable) || errors.Is(err, port.ErrRefused) || errors.Is(err, port.ErrDenied) {
				t.Errorf("err = %v", err)
			}
			if w.slept > 10*time.Second {
				t.Errorf("it took %s of patience", w.slept)
			}
		})
	}
}

func TestAClearRefusalIsNotRepeated(t *testing.T) {
	for status, want := range map[int]error{400: port.ErrRefused, 403: port.ErrDenied, 404: port.ErrNotFound} {
		w := newWorld(t, nil)
		id, v := w.identity("a"), value(t)
		w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: status})
		_, err := w.Mint(t.Context(), w.request(id), v)
		if !errors.Is(err, want) || w.cloud.Counter("POST", "/v1/apikeys") != 1 {
			t.Errorf("status %d: %v after %d creates", status, err, w.cloud.Counter("POST", "/v1/apikeys"))
		}
	}
}

func TestAnAnswerThatLacksWhatItMustHaveIsLookedUp(t *testing.T) {
	for _, field := range []string{"id", "created_at", "iam_id"} {
		w := newWorld(t, bend(func(r *http.Response) {
			if r.Request.Method == http.MethodPost && r.Request.URL.Path == "/v1/apikeys" {
				rewrite(r, func(body map[string]any) { delete(body, field) })
			}
		}))
		id := w.identity("a")
		k, err := w.Mint(t.Context(), w.request(id), value(t))
		if err != nil {
			t.Fatalf("without %s: %v", field, err)
		}
		w.only(id, k.ID)
		if w.cloud.Counter("POST", "/v1/apikeys") != 1 {
			t.Errorf("without %s: the create was repeated", field)
		}
	}
}

func TestAnAnswerMayLeaveOutWhatWeSent(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		rewrite(r, func(body map[string]any) { delete(body, "description"); delete(body, "apikey") })
	}))
	m := w.request(w.identity("a"))
	k, err := w.Mint(t.Context(), m, value(t))
	if err != nil || !k.AsOf.Equal(marker.Stamp(m.Name)) {
		t.Errorf("minted %+v, %v", k, err)
	}
}

func TestAMintStopsWithItsContext(t *testing.T) {
	w := newWorld(t, nil)
	id, v := w.identity("a"), value(t)
	w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 503})
	ctx, cancel := context.WithCancel(t.Context())
	w.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	_, err := w.Mint(ctx, w.request(id), v)
	if !errors.Is(err, port.ErrUnavailable) || !errors.Is(err, context.Canceled) || w.cloud.Counter("POST", "/v1/apikeys") != 1 {
		t.Errorf("err = %v after %d creates", err, w.cloud.Counter("POST", "/v1/apikeys"))
	}
}

func TestNoErrorOrLogHasAValue(t *testing.T) {
	echo := func(status int, json bool) func(*http.Response) {
		return func(r *http.Response) {
			path := r.Request.URL.Path
			if !strings.HasPrefix(path, "/v1/apikeys") && path != "/identity/token" {
				return
			}
			sent := sentBody(r.Request)
			for name, values := range r.Request.Header { // the SDK's spelling is not the canonical one
				if strings.EqualFold(name, "IAM-ApiKey") {
					sent = values[0]
				}
			}
			r.StatusCode = status
			if json {
				setBody(r, map[string]any{"errorCode": sent, "errorMessage": sent, "errorDetails": sent,
					"errors": []any{map[string]any{"code": "x", "message": sent, "details": sent}}})
				return
			}
			setText(r, sent)
		}
	}
	for name, change := range map[string]func(*http.Response){
		"a refusal that repeats the request":       echo(400, true),
		"a server error that repeats it as text":   echo(500, false),
		"a success whose body is the request":      echo(200, false),
		"a success whose fields are of other kind": echo(201, true),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id, v := w.identity("a"), value(t) // before anything is bent
			bent := newWorldOn(t, w.cloud, bend(change))
			bent.login.cached = w.login.cached
			for range 2 {
				_, err := bent.Mint(t.Context(), w.request(id), v)
				clean(t, err, v)
				if err == nil {
					t.Error("the mint went well")
				}
				_, err = bent.Exchange(t.Context(), v)
				clean(t, err, v)
				if err == nil {
					t.Error("the exchange went well")
				}
				bent.login.Forget()
				err = bent.Usable(t.Context())
				bent.landed()
				if err == nil || strings.Contains(err.Error(), w.cloud.Ready().APIKey) {
					t.Errorf("logging in: %v", err)
				}
				bent.login.cached = w.login.cached
			}
			if strings.Contains(bent.log.String(), v.Expose()) || strings.Contains(bent.log.String(), w.cloud.Ready().APIKey) {
				t.Error("a value was logged")
			}
		})
	}
}
