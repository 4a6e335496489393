package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/port"
)

func wantedOf(names ...string) (all []port.Credential) {
	for _, name := range names {
		all = append(all, port.Credential{Name: name, ServiceIDName: name, Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}}}})
	}
	return all
}

func TestListsShowWhatSingleReadsShow(t *testing.T) {
	w := newWorld(t, nil)
	policy := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	var names []string
	for i := range 130 { // more than one page
		names = append(names, fmt.Sprintf("c%d", i))
		id := w.identity(names[i])
		if _, err := w.Mint(t.Context(), w.request(id), value(t)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := w.Grant(t.Context(), id.IAMID, policy); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := w.Lists()
	before := w.cloud.Counter("GET", "*")
	if err := l.Read(t.Context(), wantedOf(names...)); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, _, err := l.Find(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if calls := w.cloud.Counter("GET", "*") - before; calls > 7 {
		t.Errorf("%d calls for 130 credentials", calls)
	}
	for _, name := range []string{"c0", "c1", "c128", "c129"} {
		alone, _, err := w.Find(t.Context(), name)
		listed, date, lerr := l.Find(t.Context(), name)
		if diff := cmp.Diff(alone, listed); err != nil || lerr != nil || diff != "" || w.cloud.Now().Sub(date).Abs() > 2*time.Second {
			t.Errorf("service ID %s: %v, %v, %s (-alone +listed)\n%s", name, err, lerr, date, diff)
		}
		iamID := alone[0].IAMID
		keys, err := w.List(t.Context(), iamID, name)
		all, lerr := l.List(t.Context(), iamID, name)
		keys.Date, all.Date = time.Time{}, time.Time{}
		if diff := cmp.Diff(keys, all); err != nil || lerr != nil || diff != "" {
			t.Errorf("keys of %s: %v, %v (-alone +listed)\n%s", name, err, lerr, diff)
		}
		granted, err := w.Granted(t.Context(), iamID)
		policies, lerr := l.Granted(t.Context(), iamID)
		if diff := cmp.Diff(granted, policies); err != nil || lerr != nil || diff != "" {
			t.Errorf("policies of %s: %v, %v (-alone +listed)\n%s", name, err, lerr, diff)
		}
	}
}

func TestWhatNoListShowsIsUnknown(t *testing.T) {
	w := newWorld(t, nil)
	l := w.Lists()
	if err := l.Read(t.Context(), wantedOf("absent")); err != nil {
		t.Fatal(err)
	}
	other := w.identity("other")
	_, _, found := l.Find(t.Context(), "absent")
	_, read := l.Lookup(t.Context(), other.IAMID)
	_, listed := l.List(t.Context(), other.IAMID, "other")
	for name, err := range map[string]error{"Find": found, "Lookup": read, "List": listed} {
		if !errors.Is(err, port.ErrUnavailable) || errors.Is(err, port.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// repeating has each item of a list twice.
type repeating struct{ http.RoundTripper }

func (r repeating) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet {
		return resp, err
	}
	var page map[string]any
	err = json.NewDecoder(resp.Body).Decode(&page)
	_ = resp.Body.Close()
	for name, member := range page {
		if items, ok := member.([]any); ok {
			page[name] = append(items, items...)
		}
	}
	text, merr := json.Marshal(page)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	resp.Header.Del("Content-Length")
	return resp, errors.Join(err, merr)
}

// seeded is an account with many service IDs that are not latchkey's.
func seeded(t *testing.T, n int) *emulator.Server {
	t.Helper()
	server, err := emulator.Start(emulator.Options{SeedCredentials: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func TestAnItemThatTwoPagesHaveCountsOnce(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("c")
	if _, err := w.Mint(t.Context(), w.request(id), value(t)); err != nil {
		t.Fatal(err)
	}
	l := newWorldOn(t, w.cloud, func(c *Config) { c.HTTP.Transport = repeating{c.HTTP.Transport} }).Lists()
	if err := l.Read(t.Context(), wantedOf("c")); err != nil {
		t.Fatal(err)
	}
	found, _, err := l.Find(t.Context(), "c")
	keys, kerr := l.List(t.Context(), id.IAMID, "c")
	if err != nil || kerr != nil || len(found) != 1 || len(keys.Keys) != 1 || keys.Foreign != 0 {
		t.Errorf("%d service IDs, %d keys, %d foreign, %v, %v", len(found), len(keys.Keys), keys.Foreign, err, kerr)
	}
}

func TestListsThatCostMoreThanLooksOrAreRefusedAreAnError(t *testing.T) {
	t.Run("an account with many other service IDs", func(t *testing.T) {
		w := newWorldOn(t, seeded(t, 700), nil)
		w.identity("c")
		if err := w.Lists().Read(t.Context(), wantedOf("c")); !errors.Is(err, port.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
	t.Run("an account of which many credentials are a small part", func(t *testing.T) {
		w := newWorldOn(t, seeded(t, 700), nil)
		var names []string
		for i := range 20 { // looks at them take 60 calls, and the lists 21
			names = append(names, fmt.Sprint("c", i))
		}
		w.identity("c0")
		l := w.Lists()
		if err := l.Read(t.Context(), wantedOf(names...)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Find(t.Context(), "c0"); err != nil {
			t.Error(err)
		}
	})
	t.Run("no permission for the account's keys", func(t *testing.T) {
		w := newWorld(t, nil)
		w.identity("c")
		w.cloud.Inject(emulator.Fault{Method: "GET", Path: "/v1/apikeys", Kind: "status", Status: http.StatusForbidden})
		if err := w.Lists().Read(t.Context(), wantedOf("c")); !errors.Is(err, port.ErrDenied) {
			t.Errorf("%v", err)
		}
	})
	t.Run("without the policies each is read by itself", func(t *testing.T) {
		w := newWorld(t, nil)
		id := w.identity("c")
		policy := access.Policy{Service: "logs", Roles: []string{"Sender"}}
		if err := w.Grant(t.Context(), id.IAMID, policy); err != nil {
			t.Fatal(err)
		}
		w.cloud.Inject(emulator.Fault{Method: "GET", Path: "/v2/policies", Kind: "status", Status: http.StatusForbidden, Count: 1})
		l := w.Lists()
		if err := l.Read(t.Context(), wantedOf("c")); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Granted(t.Context(), id.IAMID); err != nil || !slices.EqualFunc(got, []access.Policy{policy}, func(a, b access.Policy) bool { return a.Label() == b.Label() && a.Ours }) {
			t.Errorf("%v, %v", got, err)
		}
	})
}
