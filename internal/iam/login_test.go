package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

func (w *world) tokens() int { return w.cloud.Counter("POST", "/identity/token") }

func tokenFault(f emulator.Fault) emulator.Fault {
	f.Method, f.Path = "POST", "/identity/token"
	return f
}

// gate holds requests for a token until it is opened.
type gate struct {
	next    http.RoundTripper
	entered chan struct{} // one for each request
	open    chan struct{}
}

func (g gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/identity/token" {
		g.entered <- struct{}{}
		<-g.open
	}
	return g.next.RoundTrip(req)
}

func TestConcurrentCallsShareOneExchange(t *testing.T) {
	g := gate{entered: make(chan struct{}, 100), open: make(chan struct{})}
	w := newWorld(t, func(c *Config) {
		g.next = c.HTTP.Transport
		c.HTTP = &http.Client{Transport: g}
	})
	t.Cleanup(func() { g.next.(*http.Transport).CloseIdleConnections() })
	impatient, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() { gaveUp <- w.Usable(impatient) }()
	<-g.entered // the exchange is under way
	cancel()
	if err := <-gaveUp; !errors.Is(err, port.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := w.Usable(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	close(g.open)
	all.Wait()
	if n := w.tokens(); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

func TestATokenIsUsedUntilItExpiresIfRenewalFails(t *testing.T) {
	w := newWorld(t, nil)
	usable := func() error {
		err := w.Usable(t.Context())
		w.landed()
		return err
	}
	if err := usable(); err != nil {
		t.Fatal(err)
	}
	w.cloud.Inject(tokenFault(emulator.Fault{Kind: emulator.FaultStatus, Status: 503}))
	w.cloud.Advance(50 * time.Minute)
	for range 5 {
		if err := usable(); err != nil {
			t.Errorf("while the old one works: %v", err)
		}
	}
	if n := w.tokens(); n != 2 {
		t.Errorf("%d exchanges: a failed one must be followed by a pause", n)
	}
	w.cloud.Advance(time.Minute)
	if err := usable(); err != nil || w.tokens() != 3 {
		t.Errorf("after the pause: %v, %d exchanges", err, w.tokens())
	}
	w.cloud.Advance(9 * time.Minute)
	if err := usable(); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
	w.cloud.ClearFaults()
	if err := usable(); err != nil {
		t.Errorf("when IAM is back: %v", err)
	}
	if !strings.Contains(w.log.String(), "logging in to IAM failed") {
		t.Errorf("the failure was not logged: %s", w.log.String())
	}
}

func TestATokenThatHasExpiredIsNotSent(t *testing.T) {
	w := newWorld(t, nil)
	if _, _, err := w.Find(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(2 * time.Hour)
	if _, _, err := w.Find(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n, lists := w.tokens(), w.cloud.Counter("GET", "/v1/serviceids"); n != 2 || lists != 2 {
		t.Errorf("%d exchanges and %d lists, want 2 of each", n, lists)
	}
}

func TestAWriteThatIsAnswered401IsNotRepeatedButTheTokenIsForgotten(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Now = time.Now }) // does not see the emulator's clock
	id := w.identity("a")
	w.cloud.Advance(2 * time.Hour)
	if _, err := w.Create(t.Context(), "b", ""); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	if n := w.cloud.Counter("POST", "/v1/serviceids"); n != 2 || w.tokens() != 1 {
		t.Errorf("%d creates, %d exchanges", n, w.tokens())
	}
	if err := w.Remove(t.Context(), id.ID); err != nil || w.tokens() != 2 {
		t.Errorf("the next call: %v, %d exchanges", err, w.tokens())
	}
	if log := w.log.String(); !strings.Contains(log, "a service rejected our token") {
		t.Errorf("log %s", log)
	}
}

func TestAReadThatIsAlways401IsTriedTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.Inject(emulator.Fault{Method: "GET", Path: "/v1/serviceids", Kind: emulator.FaultStatus, Status: 401})
	if _, _, err := w.Find(t.Context(), "x"); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	if n := w.cloud.Counter("GET", "/v1/serviceids"); n != 2 {
		t.Errorf("%d tries", n)
	}
}

func TestOtherAdaptersShareOurLogin(t *testing.T) {
	w := newWorld(t, nil)
	list := func() (*upstream.Reply, error) {
		return upstream.Do(t.Context(), upstream.Service{Base: w.cloud.URL(), HTTP: w.HTTP()}, upstream.Request{
			Method: http.MethodGet, Path: serviceIDPath(), Slash: true, Query: url.Values{"account_id": {w.cloud.Ready().Account}},
		})
	}
	for range 2 {
		if _, err := list(); err != nil {
			t.Error(err)
		}
	}
	if n := w.tokens(); n != 1 {
		t.Errorf("%d exchanges", n)
	}

	// When the login fails, its own meaning gets through.
	w.login.Forget()
	w.cloud.Inject(tokenFault(emulator.Fault{Kind: emulator.FaultStatus, Status: 400}))
	if reply, err := list(); !errors.Is(err, port.ErrDenied) || reply != nil {
		t.Errorf("%v, answer %v", err, reply)
	}
	if n := w.cloud.Counter("GET", "/v1/serviceids"); n != 2 {
		t.Errorf("%d lists, some without a token", n)
	}
}

func TestARefusedLoginIsToldByItsStatusAndCodeOnly(t *testing.T) {
	for status, want := range map[int]error{
		400: port.ErrDenied, 401: port.ErrDenied, 403: port.ErrDenied,
		404: port.ErrUnavailable, 429: port.ErrUnavailable, 500: port.ErrUnavailable,
	} {
		w := newWorld(t, bend(func(r *http.Response) {
			r.StatusCode = status
			setBody(r, map[string]any{"errorCode": "BXNIM0415E", "errorMessage": "hunter2"})
		}))
		err := w.Usable(t.Context())
		if !errors.Is(err, want) || !strings.HasSuffix(err.Error(), fmt.Sprintf("IAM issued no token: status %d BXNIM0415E", status)) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestAFailedLoginIsNeverReportedAsTheCallsFailure(t *testing.T) {
	for name, tc := range map[string]struct {
		fault emulator.Fault
		want  error
	}{
		"a bad key (400) is denied":         {emulator.Fault{Kind: emulator.FaultStatus, Status: 400}, port.ErrDenied},
		"a bad key (401) is denied":         {emulator.Fault{Kind: emulator.FaultStatus, Status: 401}, port.ErrDenied},
		"a bad key (403) is denied":         {emulator.Fault{Kind: emulator.FaultStatus, Status: 403}, port.ErrDenied},
		"404 tells nothing":                 {emulator.Fault{Kind: emulator.FaultStatus, Status: 404}, port.ErrUnavailable},
		"429 tells nothing":                 {emulator.Fault{Kind: emulator.FaultStatus, Status: 429}, port.ErrUnavailable},
		"500 tells nothing":                 {emulator.Fault{Kind: emulator.FaultStatus, Status: 500}, port.ErrUnavailable},
		"a lost answer tells nothing":       {emulator.Fault{Kind: emulator.FaultLost}, port.ErrUnavailable},
		"an unreadable answer says nothing": {emulator.Fault{Kind: emulator.FaultTruncate}, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.cloud.Inject(tokenFault(tc.fault))
			v := value(t)
			_, mintErr := w.Mint(t.Context(), port.MintRequest{IAMID: "iam-ServiceId-1", Name: "x", Expires: w.cloud.Now().Add(time.Hour)}, v)
			_, lookErr := w.Lookup(t.Context(), "iam-ServiceId-1")
			for _, err := range []error{mintErr, lookErr, w.Retire(t.Context(), "ApiKey-1"), w.Usable(t.Context())} {
				clean(t, err, v)
				if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "logging in as ourselves") {
					t.Errorf("err = %v", err)
				}
				for _, other := range []error{port.ErrRefused, port.ErrNotFound, port.ErrConflict, port.ErrNotYet} {
					if errors.Is(err, other) {
						t.Errorf("%v is also %v", err, other)
					}
				}
			}
		})
	}
}

func TestATokenMustSayWhoseItIs(t *testing.T) {
	for name, jwt := range map[string]string{
		"no JWT at all": "opaque", "a payload that is no base64": "a.?.c", "a payload that is no JSON": "a.Zm9v.c",
		"no account": "a.eyJpYW1faWQiOiJ4In0.c", "no iam_id": "a.eyJhY2NvdW50Ijp7ImJzcyI6IngifX0.c", "no token": "",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bend(func(r *http.Response) {
				rewrite(r, func(body map[string]any) { body["access_token"] = jwt })
			}))
			err := w.Usable(t.Context())
			v := secret.New(w.cloud.Ready().APIKey)
			_, xerr := w.Exchange(t.Context(), v)
			for _, err := range []error{err, xerr} {
				clean(t, err, v)
				if !errors.Is(err, port.ErrUnavailable) {
					t.Errorf("err = %v", err)
				}
			}
		})
	}
}

func TestATokenOfOurOwnMustSayHowLongItLasts(t *testing.T) {
	for name, lasts := range map[string]any{"as text": "3600", "as a fraction": 3600.5, "not at all": nil, "for no time": 0, "for less": -1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bend(func(r *http.Response) {
				rewrite(r, func(body map[string]any) {
					if delete(body, "expires_in"); lasts != nil {
						body["expires_in"] = lasts
					}
				})
			}))
			if err := w.Usable(t.Context()); !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "no token") {
				t.Errorf("our own: %v", err)
			}
			if _, err := w.Exchange(t.Context(), secret.New(w.cloud.Ready().APIKey)); err != nil {
				t.Errorf("another one: %v", err)
			}
		})
	}
}

func TestTheExchangeSortsRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		fault emulator.Fault
		want  error
	}{
		"400 with a code is not final":     {emulator.Fault{Kind: emulator.FaultStatus, Status: 400}, port.ErrNotYet},
		"401 with a code is not final":     {emulator.Fault{Kind: emulator.FaultStatus, Status: 401}, port.ErrNotYet},
		"403 tells nothing of the key":     {emulator.Fault{Kind: emulator.FaultStatus, Status: 403}, port.ErrUnavailable},
		"503 tells nothing":                {emulator.Fault{Kind: emulator.FaultStatus, Status: 503}, port.ErrUnavailable},
		"a lost answer tells nothing":      {emulator.Fault{Kind: emulator.FaultLost}, port.ErrUnavailable},
		"a truncated answer tells nothing": {emulator.Fault{Kind: emulator.FaultTruncate}, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.cloud.Inject(tokenFault(tc.fault))
			v := value(t)
			_, err := w.Exchange(t.Context(), v)
			clean(t, err, v)
			if !errors.Is(err, tc.want) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestARefusalWithoutACodeIsNoClearAnswer(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		r.StatusCode = http.StatusBadRequest
		setText(r, "<html>the proxy does not like this</html>")
	}))
	if _, err := w.Exchange(t.Context(), value(t)); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}

func TestTheExchangeOfANewKeySucceedsAfterTheLag(t *testing.T) {
	w := newWorld(t, nil)
	id, v := w.identity("a"), value(t)
	w.cloud.SetLag(2 * time.Second)
	if _, err := w.Mint(t.Context(), w.request(id), v); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Exchange(t.Context(), v); !errors.Is(err, port.ErrNotYet) {
		t.Errorf("within the lag: %v", err)
	}
	w.cloud.Advance(2 * time.Second)
	if got, err := w.Exchange(t.Context(), v); err != nil || got.IAMID != id.IAMID || got.Token.Empty() {
		t.Errorf("after the lag: %+v, %v", got, err)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	reached := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer thief.Close()
	w := newWorld(t, nil)
	v := value(t)
	bent := newWorldOn(t, w.cloud, bend(func(r *http.Response) {
		r.StatusCode = http.StatusTemporaryRedirect
		r.Header.Set("Location", thief.URL)
	}))
	if _, err := bent.Exchange(t.Context(), v); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("the exchange: %v", err)
	}
	if err := bent.Usable(t.Context()); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("our login: %v", err)
	}
	if err := w.Usable(t.Context()); err != nil {
		t.Fatal(err)
	}
	bent.login.cached = w.login.cached
	if _, err := bent.findByValue(t.Context(), port.MintRequest{}, v, false); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("the look-up: %v", err)
	}
	if reached {
		t.Error("a redirect was followed")
	}
}

func TestProfilesLogInByNameOrByID(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	profile := "latchkey"
	for range 2 {
		w := newWorld(t, func(c *Config) { c.APIKey, c.Profile, c.TokenFile = nil, profile, file })
		if err := os.WriteFile(file, []byte(w.cloud.Cloud().IssueCRToken("crn")), 0o600); err != nil {
			t.Fatal(err)
		}
		id := w.cloud.Cloud().Minter().ProfileID
		if profile != "latchkey" {
			w = newWorldOn(t, w.cloud, func(c *Config) { c.APIKey, c.Profile, c.TokenFile = nil, id, file })
		}
		if self, err := w.Self(t.Context()); err != nil || self != "iam-"+id {
			t.Errorf("as %s: %q, %v", profile, self, err)
		}
		profile = "by ID"
	}
}

func TestWithoutAComputeResourceTokenNothingIsSent(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, row := range map[string]struct {
		meaning error
		words   string
	}{
		filepath.Join(dir, "none"): {port.ErrDenied, "are trusted profiles enabled"},
		empty:                      {port.ErrUnavailable, "the file is empty"},
		dir:                        {port.ErrUnavailable, "reading the compute resource token"},
	} {
		w := newWorld(t, func(c *Config) { c.APIKey, c.Profile, c.TokenFile = nil, "latchkey", file })
		if err := w.Usable(t.Context()); !errors.Is(err, row.meaning) || !strings.Contains(err.Error(), row.words) || w.tokens() != 0 {
			t.Errorf("%s: %v, %d exchanges", file, err, w.tokens())
		}
	}
}

func TestAConfigThatCannotLogInIsRefused(t *testing.T) {
	key := secret.New("some-key")
	for name, cfg := range map[string]Config{
		"no URL":                     {APIKey: key},
		"a URL without a host":       {URL: "iam.cloud.ibm.com", APIKey: key},
		"neither key nor profile":    {URL: "https://iam.test"},
		"both key and profile":       {URL: "https://iam.test", APIKey: key, Profile: "p", TokenFile: "f"},
		"a profile without its file": {URL: "https://iam.test", Profile: "p"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestALoginForAnotherAccountSendsNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Account = "ffffffffffffffffffffffffffffffff" })
	calls := func() (n int) {
		for route, count := range w.cloud.Counters() {
			if !strings.HasSuffix(route, "/identity/token") {
				n += count
			}
		}
		return n
	}
	_, _, find := w.Find(t.Context(), "x")
	_, create := w.Create(t.Context(), "x", "")
	_, mint := w.Mint(t.Context(), port.MintRequest{IAMID: "iam-ServiceId-1"}, value(t))
	for what, err := range map[string]error{"Usable": w.Usable(t.Context()), "Find": find, "Create": create, "Mint": mint} {
		if !errors.Is(err, ErrAccount) || !errors.Is(err, port.ErrDenied) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, account := range []string{w.cloud.Ready().Account, "ffffffffffffffffffffffffffffffff"} {
			if !strings.Contains(err.Error(), account) {
				t.Errorf("%s: %v: account %s is not named", what, err, account)
			}
		}
	}
	resp, err := w.HTTP().Get(w.cloud.URL() + "/v2/projects")
	if err == nil {
		resp.Body.Close()
		t.Error("the other adapters share the login, and one sent a request")
	}
	if n := calls(); n != 0 {
		t.Errorf("%d requests in the wrong account", n)
	}
}

func TestALoginForTheConfigsAccountWorks(t *testing.T) {
	w := newWorld(t, nil)
	same := newWorldOn(t, w.cloud, func(c *Config) { c.Account = w.cloud.Ready().Account })
	if err := same.Usable(t.Context()); err != nil {
		t.Error(err)
	}
}
