package iam

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// world is a client on an emulator of its own.
type world struct {
	*Client
	t     *testing.T
	cloud *emulator.Server
	log   logBuffer
	slept time.Duration
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return newWorldOn(t, server, change)
}

// newWorldOn is another client on the same emulator.
func newWorldOn(t *testing.T, server *emulator.Server, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, cloud: server}
	transport := &http.Transport{}
	cfg := Config{
		URL: server.URL(), Owner: "test", HTTP: &http.Client{Transport: transport}, Now: server.Now,
		APIKey: secret.New(server.Ready().APIKey), Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.Client, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	w.sleep = func(ctx context.Context, d time.Duration) error {
		w.slept += d
		return ctx.Err()
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close() // ends exchanges that hang
		w.landed()
		for _, k := range server.State(true).APIKeys {
			if k.Value != "" && strings.Contains(w.log.String(), k.Value) {
				t.Errorf("the value of %s was logged", k.ID)
			}
		}
	})
	return w
}

func (w *world) identity(name string) port.ServiceID {
	w.t.Helper()
	m := marker.Marker{Owner: "test", Credential: name}
	id, err := w.Create(w.t.Context(), name, m.Describe("For "+name))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) request(id port.ServiceID) port.MintRequest {
	m := marker.Marker{Owner: "test", Credential: id.Name}
	return port.MintRequest{
		IAMID: id.IAMID, Name: marker.KeyName(id.Name, w.cloud.Now(), "0a1b"), Description: m.Describe("a test"),
		Expires: w.cloud.Now().Add(24 * time.Hour), OnLeak: "disable",
	}
}

func value(t *testing.T) secret.Value {
	t.Helper()
	v, err := secret.Random(nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// logBuffer collects what is logged, from any goroutine.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// landed waits for an exchange that goes on in the background.
func (w *world) landed() {
	w.login.mu.Lock()
	f := w.login.flight
	w.login.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

// clean fails when an error tells a value.
func clean(t *testing.T, err error, v secret.Value) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), v.Expose()) {
		t.Errorf("the error holds the value: %v", err)
	}
}

func TestAMintedKeyIsBornWithItsFuseAndIsListedAsOurs(t *testing.T) {
	w := newWorld(t, nil)
	id, v := w.identity("a"), value(t)
	k, err := w.Mint(t.Context(), w.request(id), v)
	if err != nil {
		t.Fatal(err)
	}
	if left := k.Expires.Sub(w.cloud.Now()); left < 24*time.Hour || left > 24*time.Hour+time.Minute {
		t.Errorf("the fuse ends in %s", left)
	}
	if d := w.cloud.Now().Sub(k.AsOf).Abs(); k.AsOf.IsZero() || d > 5*time.Second {
		t.Errorf("minted %s ago", d)
	}
	stored, _ := w.cloud.State(true).Key(k.ID)
	if stored.Value != v.Expose() || stored.ActionWhenLeaked != "disable" || stored.StoreValue {
		t.Errorf("stored with action %q, value kept: %v", stored.ActionWhenLeaked, stored.StoreValue)
	}
	foreign, err := w.Mint(t.Context(), func() port.MintRequest { m := w.request(id); m.Description = "by hand"; return m }(), value(t))
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.List(t.Context(), id.IAMID, "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Keys) != 1 || list.Keys[0].ID != k.ID || list.Foreign != 1 {
		t.Errorf("list %+v, foreign key %s", list, foreign.ID)
	}
	if d := list.Date.Sub(w.cloud.Now()).Abs(); d > 2*time.Second {
		t.Errorf("IAM's clock is off by %s", d)
	}
	bearer, err := w.Exchange(t.Context(), v)
	if err != nil || bearer.IAMID != id.IAMID || bearer.Account != w.cloud.Ready().Account {
		t.Errorf("bearer %s %s, %v", bearer.IAMID, bearer.Account, err)
	}
}

func TestAnUnclearAnswerToTheCreateMakesExactlyOneKey(t *testing.T) {
	for name, faults := range map[string][]emulator.Fault{
		"a lost answer":                       {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost, Count: 1}},
		"a truncated answer":                  {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultTruncate, Count: 1}},
		"a server error before the effect":    {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 503, Count: 1}},
		"a server error, twice":               {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 500, Count: 2}},
		"too many requests":                   {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 429, Count: 1}},
		"a lost answer and a failing look-up": {{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost, Count: 1}, {Method: "GET", Path: "/v1/apikeys/details", Kind: emulator.FaultStatus, Status: 503, Count: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id, v := w.identity("a"), value(t)
			for _, f := range faults {
				w.cloud.Inject(f)
			}
			k, err := w.Mint(t.Context(), w.request(id), v)
			clean(t, err, v)
			if err != nil {
				t.Fatal(err)
			}
			list, err := w.List(t.Context(), id.IAMID, "a")
			if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != k.ID || list.Foreign != 0 {
				t.Errorf("list %+v, %v; minted %s", list, err, k.ID)
			}
		})
	}
}

func TestALostAnswerWhileTheLookUpLagsMakesExactlyOneKey(t *testing.T) {
	w := newWorld(t, nil)
	id, v := w.identity("a"), value(t)
	w.cloud.SetLag(2 * time.Second)
	w.sleep = func(context.Context, time.Duration) error { w.cloud.Advance(500 * time.Millisecond); return nil }
	w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost, Count: 1})
	k, err := w.Mint(t.Context(), w.request(id), v)
	if err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(time.Minute)
	list, err := w.List(t.Context(), id.IAMID, "a")
	if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != k.ID {
		t.Errorf("list %+v, %v", list, err)
	}
}

func TestACreateThatNeverGetsAnAnswerIsUnclear(t *testing.T) {
	w := newWorld(t, nil)
	id, v := w.identity("a"), value(t)
	w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultStatus, Status: 503})
	_, err := w.Mint(t.Context(), w.request(id), v)
	clean(t, err, v)
	if !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	if n := w.cloud.Counter("POST", "/v1/apikeys"); n != mintTries {
		t.Errorf("%d creates were sent, want %d", n, mintTries)
	}
}

func TestCreatesAreRefusedForGood(t *testing.T) {
	t.Run("a value that another key has", func(t *testing.T) {
		w := newWorld(t, nil)
		v := value(t)
		if _, err := w.Mint(t.Context(), w.request(w.identity("a")), v); err != nil {
			t.Fatal(err)
		}
		_, err := w.Mint(t.Context(), w.request(w.identity("b")), v)
		clean(t, err, v)
		if !errors.Is(err, port.ErrRefused) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("a value that is too short", func(t *testing.T) {
		w := newWorld(t, nil)
		if _, err := w.Mint(t.Context(), w.request(w.identity("a")), secret.New("too-short")); !errors.Is(err, port.ErrRefused) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("the 21st key", func(t *testing.T) {
		w := newWorld(t, nil)
		id := w.identity("a")
		for range 20 {
			if _, err := w.Mint(t.Context(), w.request(id), value(t)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Mint(t.Context(), w.request(id), value(t)); !errors.Is(err, port.ErrQuota) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestAnUpdateNeverOverwritesAnotherChange(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	k, err := w.Mint(t.Context(), w.request(id), value(t))
	if err != nil {
		t.Fatal(err)
	}
	stale, err := w.Get(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	at := w.cloud.Now().Add(90*24*time.Hour + 30*time.Second)
	if _, err := w.Update(t.Context(), stale, port.KeyChange{Expires: at}); err != nil {
		t.Fatal(err)
	}
	_, err = w.Update(t.Context(), stale, port.KeyChange{Expires: w.cloud.Now(), Superseded: w.cloud.Now()})
	if !errors.Is(err, port.ErrConflict) {
		t.Errorf("err = %v", err)
	}
	fresh, err := w.Get(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := fresh.Expires.Sub(at); d < 0 || d > time.Minute || !fresh.Superseded.IsZero() {
		t.Errorf("expires %s after what was asked, superseded %v", d, fresh.Superseded)
	}
	mark := w.cloud.Now().Truncate(time.Millisecond).UTC()
	if _, err := w.Update(t.Context(), fresh, port.KeyChange{Renew: mark, Superseded: mark}); err != nil {
		t.Fatal(err)
	}
	marked, err := w.Get(t.Context(), k.ID)
	if err != nil || !marked.Renew.Equal(mark) || !marked.Superseded.Equal(mark) || !marked.Expires.Equal(fresh.Expires) {
		t.Errorf("marked %+v, %v", marked.Key, err)
	}
	if !strings.HasPrefix(marked.Description, "a test [latchkey ") || !marked.AsOf.Equal(k.AsOf) {
		t.Errorf("description %q, minted %v", marked.Description, marked.AsOf)
	}
}

func TestALockedKeyIsNotChangedAndADisabledOneIsRead(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	k, err := w.Mint(t.Context(), w.request(id), value(t))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := w.Get(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.cloud.Cloud().SetKeyLocked(k.ID, true)
	if err := w.Retire(t.Context(), k.ID); err == nil {
		t.Error("a locked key was deleted")
	}
	if _, err := w.Update(t.Context(), rec, port.KeyChange{Expires: w.cloud.Now().Add(time.Hour)}); err == nil {
		t.Error("a locked key was changed")
	}
	w.cloud.Cloud().SetKeyLocked(k.ID, false)
	w.cloud.Cloud().SetKeyDisabled(k.ID, true)
	if rec, err = w.Get(t.Context(), k.ID); err != nil || !rec.Disabled {
		t.Errorf("record %+v, %v", rec.Key, err)
	}
	for range 2 { // deleting what is gone is a success
		if err := w.Retire(t.Context(), k.ID); err != nil {
			t.Errorf("deleting: %v", err)
		}
	}
	if _, err := w.Get(t.Context(), k.ID); !errors.Is(err, port.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

func TestServiceIDsAreFoundByExactNameWithTheirMarkers(t *testing.T) {
	w := newWorld(t, nil)
	first, second := w.identity("logs"), w.identity("logs")
	w.identity("logs-2")
	w.cloud.Cloud().AddIdentity("logs")
	found, date, err := w.Find(t.Context(), "logs")
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for _, id := range found {
		if id.Marked {
			marked++
		}
	}
	if len(found) != 3 || marked != 2 || date.IsZero() {
		t.Errorf("found %d, marked %d: %+v", len(found), marked, found)
	}
	got, err := w.Lookup(t.Context(), first.IAMID)
	if err != nil || got.ID != first.ID || got.Marker.Credential != "logs" {
		t.Errorf("looked up %+v, %v", got, err)
	}
	if err := w.Remove(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(t.Context(), second.ID); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
	if _, err := w.Lookup(t.Context(), second.IAMID); !errors.Is(err, port.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

func TestEveryPageOfServiceIDsIsRead(t *testing.T) {
	w := newWorld(t, nil)
	for range 230 {
		w.cloud.Cloud().AddIdentity("another")
	}
	w.identity("ours")
	ours, err := w.MarkedServiceIDs(t.Context())
	if err != nil || len(ours) != 1 || ours[0].Name != "ours" {
		t.Errorf("ours %+v, %v", ours, err)
	}
	if found, _, err := w.Find(t.Context(), "another"); err != nil || len(found) != 230 {
		t.Errorf("found %d, %v", len(found), err)
	}
}

func TestAPolicyIsGrantedOnceAndReadBack(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	want := access.Policy{Service: "logs", Roles: []string{"Sender"}, Instance: w.cloud.Ready().Logs}
	for range 2 { // the second is answered 409
		if err := w.Grant(t.Context(), id.IAMID, want); err != nil {
			t.Fatal(err)
		}
	}
	granted, err := w.Granted(t.Context(), id.IAMID)
	if err != nil || len(granted) != 1 || granted[0].Label() != want.Label() {
		t.Errorf("granted %+v, %v", granted, err)
	}
}

func TestAGrantorThatHoldsLessGrantsLess(t *testing.T) {
	w := newWorld(t, nil)
	minter := w.cloud.Cloud().Minter()
	w.cloud.Cloud().Revoke(minter.IAMID, "logs")
	w.cloud.Cloud().Grant(minter.IAMID, "logs", "crn:v1:bluemix:public:iam::::role:Administrator")
	id := w.identity("a")
	want := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	if err := w.Grant(t.Context(), id.IAMID, want); err != nil {
		t.Fatal(err)
	}
	granted, err := w.Granted(t.Context(), id.IAMID)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range granted {
		if slices.Contains(g.Roles, "Sender") {
			t.Errorf("granted %+v", g)
		}
	}
	// When the grantor gets the role, the same call repairs the policy.
	w.cloud.Cloud().Grant(minter.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	if err := w.Grant(t.Context(), id.IAMID, want); err != nil {
		t.Fatal(err)
	}
	granted, err = w.Granted(t.Context(), id.IAMID)
	if err != nil || !slices.ContainsFunc(granted, func(p access.Policy) bool { return slices.Contains(p.Roles, "Sender") }) {
		t.Errorf("granted %+v, %v", granted, err)
	}
}

func TestOurOwnTokenIsFetchedOnceAndAgainAfterARejection(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Now = time.Now }) // a clock that does not see the emulator's move
	for range 3 {
		if _, _, err := w.Find(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.cloud.Counter("POST", "/identity/token"); n != 1 {
		t.Errorf("%d tokens were fetched for 3 calls", n)
	}
	w.cloud.Advance(2 * time.Hour)
	if _, _, err := w.Find(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n := w.cloud.Counter("POST", "/identity/token"); n != 2 {
		t.Errorf("%d tokens were fetched, want a second one after the first ended", n)
	}
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.Usable(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(49 * time.Minute)
	if err := w.Usable(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.landed()
	if n := w.cloud.Counter("POST", "/identity/token"); n != 2 {
		t.Errorf("%d tokens were fetched, want a new one at 80%% of the hour", n)
	}
}

func TestAFailedLoginIsReportedAsOurOwn(t *testing.T) {
	t.Run("a bad key is denied", func(t *testing.T) {
		bad := value(t)
		w := newWorld(t, func(c *Config) { c.APIKey = bad })
		_, _, err := w.Find(t.Context(), "x")
		clean(t, err, bad)
		if !errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "logging in as ourselves") || !strings.Contains(err.Error(), "BXNIM0415E") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("IAM that is down is unavailable", func(t *testing.T) {
		w := newWorld(t, nil)
		w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/identity/token", Kind: emulator.FaultStatus, Status: 503})
		if _, _, err := w.Find(t.Context(), "x"); !errors.Is(err, port.ErrUnavailable) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("a context that ends is heeded", func(t *testing.T) {
		w := newWorld(t, nil)
		w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/identity/token", Kind: emulator.FaultHang})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, _, err := w.Find(ctx, "x"); !errors.Is(err, port.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestATrustedProfileLogsInWithTheComputeResourceToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	w := newWorld(t, func(c *Config) { c.APIKey, c.Profile, c.TokenFile = nil, "latchkey", file })
	if err := w.Usable(t.Context()); !errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "trusted profiles enabled") {
		t.Errorf("without a token file: %v", err)
	}
	if err := os.WriteFile(file, []byte(w.cloud.Cloud().IssueCRToken("crn:v1:bluemix:public:codeengine:eu-de:a/acc:project::")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Find(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	self, err := w.Self(t.Context())
	if err != nil || !strings.Contains(self, w.cloud.Cloud().Minter().ProfileID) {
		t.Errorf("self %q, %v; profile %s", self, err, w.cloud.Cloud().Minter().ProfileID)
	}
}

func TestAKeyThatIAMDoesNotKnowYetIsNeverFinal(t *testing.T) {
	w := newWorld(t, nil)
	v := value(t)
	_, err := w.Exchange(t.Context(), v)
	clean(t, err, v)
	if !errors.Is(err, port.ErrNotYet) || !strings.Contains(err.Error(), "BXNIM0415E") {
		t.Errorf("err = %v", err)
	}
	w.cloud.Inject(emulator.Fault{Method: "POST", Path: "/identity/token", Kind: emulator.FaultStatus, Status: 429})
	if _, err := w.Exchange(t.Context(), v); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}

func TestALackOfAccessIsDenied(t *testing.T) {
	w := newWorld(t, nil)
	_, key := w.cloud.Cloud().AddIdentity("no-roles")
	other, err := New(Config{URL: w.cloud.URL(), Owner: "test", Now: w.cloud.Now, APIKey: secret.New(key.Value)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Create(t.Context(), "x", "y"); !errors.Is(err, port.ErrDenied) {
		t.Errorf("err = %v", err)
	}
}

func TestStampsAreReadInEveryDocumentedForm(t *testing.T) {
	want := time.Date(2026, 12, 31, 18, 30, 0, 0, time.UTC)
	for _, s := range []string{"2026-12-31T18:30+0000", "2026-12-31T18:30:00+0000", "2026-12-31T18:30:00Z", "2026-12-31T20:30+0200"} {
		if got, err := parseStamp(s); err != nil || !got.Equal(want) {
			t.Errorf("%q reads as %v, %v", s, got, err)
		}
	}
	if _, err := parseStamp("tomorrow"); err == nil {
		t.Error("a stamp that is none was read")
	}
	if got := roundUp(want.Add(time.Nanosecond)); got != "2026-12-31T18:31+0000" {
		t.Errorf("rounded to %s", got)
	}
	if got := roundUp(want); got != "2026-12-31T18:30+0000" {
		t.Errorf("rounded to %s", got)
	}
}
