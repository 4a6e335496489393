package emulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// post sends the creation of a service ID on a connection of its own: a
// client repeats some requests itself when a kept connection breaks.
func (w *world) post(ctx context.Context, name string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", w.URL()+"/v1/serviceids/",
		strings.NewReader(`{"account_id":"`+cloud.AccountID+`","name":"`+name+`"}`))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", w.bearer())
	return w.http.Do(req)
}

// made counts the service IDs of that name.
func (w *world) made(name string) int {
	n := 0
	for _, s := range w.State(false).ServiceIDs {
		if s.Name == name {
			n++
		}
	}
	return n
}

func TestFaults(t *testing.T) {
	const short = time.Millisecond
	for name, test := range map[string]struct {
		fault  emulator.Fault
		status int // 0 = no answer
		broken bool
		made   int
	}{
		"a status has no effect":             {emulator.Fault{Kind: "status", Status: 503}, 503, false, 0},
		"a status may have its effect":       {emulator.Fault{Kind: "status", Status: 504, Effect: ptr(true)}, 504, false, 1},
		"a lost answer had its effect":       {emulator.Fault{Kind: "lost"}, 0, false, 1},
		"a timeout has no effect":            {emulator.Fault{Kind: "timeout", Delay: emulator.Duration{Duration: short}}, 0, false, 0},
		"a timeout may have its effect":      {emulator.Fault{Kind: "timeout", Delay: emulator.Duration{Duration: short}, Effect: ptr(true)}, 0, false, 1},
		"a truncated answer had its effect":  {emulator.Fault{Kind: "truncate"}, 201, true, 1},
		"a slow answer comes in the end":     {emulator.Fault{Kind: "slow", Delay: emulator.Duration{Duration: short}}, 201, false, 1},
		"another path is left alone":         {emulator.Fault{Kind: "status", Status: 503, Path: "/v1/apikeys"}, 201, false, 1},
		"another method is left alone":       {emulator.Fault{Kind: "status", Status: 503, Method: "PUT"}, 201, false, 1},
		"the route's pattern matches":        {emulator.Fault{Kind: "status", Status: 503, Path: "/v1/serviceids"}, 503, false, 0},
		"a star matches any text":            {emulator.Fault{Kind: "status", Status: 503, Path: "/v1/*ids"}, 503, false, 0},
		"calls before the fault are skipped": {emulator.Fault{Kind: "status", Status: 503, After: 1}, 201, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.fault.Path == "" {
				test.fault.Path = "/v1/serviceids"
			}
			w.Inject(test.fault)
			r, err := w.post(t.Context(), "x")
			switch {
			case test.status == 0:
				if err == nil {
					r.Body.Close()
					t.Fatalf("status %d, want no answer", r.StatusCode)
				}
			case err != nil:
				t.Fatal(err)
			default:
				_, err := io.ReadAll(r.Body)
				r.Body.Close()
				if r.StatusCode != test.status || (err != nil) != test.broken {
					t.Errorf("status %d, body broken by %v; want %d, %v", r.StatusCode, err, test.status, test.broken)
				}
				if test.broken && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("body broken by %v", err)
				}
			}
			if got := w.made("x"); got != test.made {
				t.Errorf("%d were made, want %d", got, test.made)
			}
			if n := w.Counter("POST", "/v1/serviceids"); n != 1 {
				t.Errorf("%d attempts counted", n)
			}
		})
	}
}

func TestFaultHitsSomeCallsOnly(t *testing.T) {
	w := newWorld(t)
	w.Inject(emulator.Fault{Method: "POST", Path: "/v1/serviceids", After: 1, Count: 2, Kind: "status", Status: 429, RetryAfter: "7"})
	var got []int
	for range 5 {
		r, err := w.post(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.StatusCode)
		if after := r.Header.Get("Retry-After"); (after == "7") != (r.StatusCode == 429) {
			t.Errorf("status %d with Retry-After %q", r.StatusCode, after)
		}
		body := decode(t, r)
		if r.StatusCode == 429 && body["errors"].([]any)[0].(map[string]any)["code"] != "too_many_requests" {
			t.Errorf("body %v", body)
		}
	}
	want := []int{201, 429, 429, 201, 201}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("statuses %v, want %v", got, want)
		}
	}
	_, list := w.raw("GET", "/emulator/clock", "")
	if list["now"] == nil {
		t.Error("the control API is hit by faults")
	}
}

func TestHangingCalls(t *testing.T) {
	begin := func(w *world, ctx context.Context, fault emulator.Fault) <-chan error {
		w.t.Helper()
		fault.Kind, fault.Path, fault.Method = "hang", "/v1/serviceids", "POST"
		w.Inject(fault)
		result := make(chan error, 1)
		go func() {
			r, err := w.post(ctx, "x")
			if err == nil {
				r.Body.Close()
				if r.StatusCode != 201 {
					err = errors.New(r.Status)
				}
			}
			result <- err
		}()
		for w.Counter("POST", "/v1/serviceids") == 0 || fault.Effect != nil && w.made("x") == 0 {
			runtime.Gosched()
		}
		return result
	}
	t.Run("a hanging call ends when the client leaves", func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		result := begin(w, ctx, emulator.Fault{})
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if w.made("x") != 0 {
			t.Error("a hanging call without effect had one")
		}
	})
	t.Run("a hanging call goes on when the fault is taken away", func(t *testing.T) {
		w := newWorld(t)
		result := begin(w, t.Context(), emulator.Fault{})
		w.ClearFaults()
		if err := <-result; err != nil || w.made("x") != 1 {
			t.Errorf("error %v, %d made", err, w.made("x"))
		}
	})
	t.Run("a hanging call may have had its effect", func(t *testing.T) {
		w := newWorld(t)
		result := begin(w, t.Context(), emulator.Fault{Effect: ptr(true)})
		if w.made("x") != 1 {
			t.Error("no effect while it hangs")
		}
		w.ClearFaults()
		if err := <-result; err != nil || w.made("x") != 1 {
			t.Errorf("error %v, %d made", err, w.made("x"))
		}
	})
	t.Run("a hanging call ends when the server closes", func(t *testing.T) {
		w := newWorld(t)
		result := begin(w, t.Context(), emulator.Fault{})
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; err == nil {
			t.Error("the call was answered")
		}
	})
}

func TestFaultsOfTheTokenEndpointUseItsBody(t *testing.T) {
	w := newWorld(t)
	w.Inject(emulator.Fault{Path: "/identity/token", Kind: "status", Status: 500, Count: 1})
	status, body := w.exchange("apikey", "apikey", w.Ready().APIKey)
	if status != 500 || body["errorCode"] == "" || body["errors"] != nil {
		t.Errorf("answer %d %v", status, body)
	}
}

func TestParseFaults(t *testing.T) {
	good, err := emulator.ParseFaults([]byte(`[{"method":"POST","path":"/v1/apikeys","after":1,"count":2,"kind":"status","status":503,"retryAfter":"1","effect":true},
		{"kind":"slow","delay":"1s500ms"}]`))
	if err != nil || len(good) != 2 || good[1].Delay.Duration != 1500*time.Millisecond || !*good[0].Effect {
		t.Errorf("faults %+v, %v", good, err)
	}
	if one, err := emulator.ParseFaults([]byte(` {"kind":"lost"} `)); err != nil || len(one) != 1 {
		t.Errorf("one fault %+v, %v", one, err)
	}
	for name, text := range map[string]string{
		"an unknown kind":          `{"kind":"explode"}`,
		"an unknown field":         `{"kind":"lost","colour":"red"}`,
		"a status of success":      `{"kind":"status","status":200}`,
		"a status without status":  `{"kind":"status"}`,
		"a lost call without work": `{"kind":"lost","effect":false}`,
		"a slow call without time": `{"kind":"slow"}`,
		"a negative count":         `{"kind":"lost","count":-1}`,
		"a duration as a number":   `{"kind":"slow","delay":5}`,
		"a second document":        `[{"kind":"lost"}] []`,
		"no JSON":                  `lost`,
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if got, err := emulator.ParseFaults([]byte(text)); err == nil {
				t.Errorf("parsed to %+v", got)
			}
		})
	}
}

func TestLatencyDelaysCallsButNotTheControlAPI(t *testing.T) {
	const latency = 4 * time.Millisecond
	w := newWorldWith(t, emulator.Options{Latency: latency})
	before := time.Now()
	w.token(w.Ready().APIKey)
	if took := time.Since(before); took < latency {
		t.Errorf("a call took %s", took)
	}
	w.raw("POST", "/emulator/settings", `{"latency":"1h"}`)
	w.raw("POST", "/emulator/settings", `{"latency":"0s"}`)
	w.token(w.Ready().APIKey)
}

func TestRepeatingALostCreationFindsTheKey(t *testing.T) {
	w := newWorld(t)
	w.Inject(emulator.Fault{Method: "POST", Path: "/v1/apikeys", Kind: "lost", Count: 1})
	sid := w.newServiceID("s")
	value := strings.Repeat("x", 44)
	create := func() error {
		_, _, err := w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetApikey(value))
		return err
	}
	if err := create(); err == nil {
		t.Fatal("a lost answer arrived")
	}
	refused(t, create(), 409, "conflict")
	found := done(w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(value)))(t)
	if *found.IamID != *sid.IamID {
		t.Errorf("found %+v", found)
	}
}
