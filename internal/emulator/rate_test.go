package emulator_test

import (
	"slices"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

func TestRateLimit(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	get := func() (*core.DetailedResponse, error) {
		_, r, err := w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*sid.ID))
		return r, err
	}
	n := w.Settings()
	n.RateLimit, n.RateBurst = 2, 3
	w.Set(n)

	for i := range 3 {
		if _, err := get(); err != nil {
			t.Fatalf("call %d of the burst: %v", i+1, err)
		}
	}
	r, err := get()
	refused(t, err, 429, "too_many_requests")
	if got := r.Headers.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
	w.Set(n) // the same limit does not fill the bucket
	_, err = get()
	refused(t, err, 429, "too_many_requests")
	w.Advance(500 * time.Millisecond)
	if _, err = get(); err != nil {
		t.Errorf("after half a second: %v", err)
	}
	_, err = get()
	refused(t, err, 429, "too_many_requests")
	w.Advance(30 * time.Minute)
	for i := range 3 {
		if _, err := get(); err != nil {
			t.Fatalf("call %d after half an hour: %v", i+1, err)
		}
	}
	if _, err = get(); err == nil {
		t.Error("half an hour fills the bucket above its burst")
	}
	if status, body := w.exchange("apikey", "apikey", w.Ready().APIKey); status != 429 || body["errorCode"] == "BXNIM0415E" {
		t.Errorf("token above the limit: %d %v", status, body["errorCode"])
	}
	if r, body := w.raw("GET", "/emulator/settings", ""); r.StatusCode != 200 || body["rateLimit"] != 2.0 {
		t.Errorf("the control API is limited, too: %d %v", r.StatusCode, body["rateLimit"])
	}
	if r, _ := w.raw("POST", "/emulator/settings", `{"rateLimit":-1}`); r.StatusCode != 400 {
		t.Errorf("a negative limit: status %d", r.StatusCode)
	}
	w.raw("POST", "/emulator/settings", `{"rateLimit":0}`)
	for range 20 {
		if _, err := get(); err != nil {
			t.Fatalf("without a limit: %v", err)
		}
	}
}

func TestRateLimitComesBeforeFaults(t *testing.T) {
	w := newWorld(t)
	n := w.Settings()
	n.RateLimit = 1
	w.Set(n)
	w.Inject(emulator.Fault{Kind: emulator.FaultStatus, Status: 500, After: 1})
	for i, want := range []int{200, 429, 429} {
		if r, _ := w.raw("GET", "/v2/roles", "", "Authorization", "Bearer "+w.ownerToken()); r.StatusCode != want {
			t.Errorf("call %d: status %d, want %d", i+1, r.StatusCode, want)
		}
	}
	w.Advance(time.Second)
	if r, _ := w.raw("GET", "/v2/roles", ""); r.StatusCode != 500 {
		t.Errorf("the fault's call: status %d", r.StatusCode)
	}
}

func TestEachServiceAndEachIdentityHasItsRateLimit(t *testing.T) {
	w := newWorld(t)
	_, k := w.Cloud().AddIdentity("other")
	mine, other := w.token(w.Ready().APIKey), w.token(k.Value)
	roles := func(token string) int {
		r, _ := w.raw("GET", "/v2/roles", "", "Authorization", "Bearer "+token)
		return r.StatusCode
	}
	ownKeys := func(token string) int {
		r, _ := w.raw("GET", "/v1/apikeys", "", "Authorization", "Bearer "+token)
		return r.StatusCode
	}
	for name, test := range map[string]struct {
		service, identity int
		calls             func() []int
		want              []int
	}{
		"a service's limit holds for all identities, and for it alone": {1, 0,
			func() []int { return []int{roles(mine), roles(other), ownKeys(other)} }, []int{200, 429, 200}},
		"an identity's limit holds in all services, and for it alone": {0, 1,
			func() []int { return []int{roles(mine), ownKeys(mine), ownKeys(other)} }, []int{200, 429, 200}},
		"a call that one limit rejects takes nothing from another": {1, 2,
			func() []int { return []int{roles(mine), roles(mine), ownKeys(mine)} }, []int{200, 429, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			n := w.Settings()
			n.ServiceRateLimit, n.IdentityRateLimit = 0, 0
			w.Set(n)
			n.ServiceRateLimit, n.IdentityRateLimit = test.service, test.identity
			w.Set(n)
			if got := test.calls(); !slices.Equal(got, test.want) {
				t.Errorf("statuses %d, want %d", got, test.want)
			}
		})
	}
	if r, _ := w.raw("POST", "/emulator/settings", `{"identityRateLimit":-1}`); r.StatusCode != 400 {
		t.Errorf("a negative limit: status %d", r.StatusCode)
	}
}
