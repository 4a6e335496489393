package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
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
		for i := range alone {
			alone[i].Version = "" // no write follows from a list
		}
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

func givenOf(ids ...string) (all []port.Credential) {
	for _, id := range ids {
		all = append(all, port.Credential{Name: id, Given: id})
	}
	return all
}

func TestListsShowGivenServiceIDsInTheirGroups(t *testing.T) {
	w := newWorld(t, nil)
	var ids []string
	for _, name := range []string{"", "a", "b"} {
		in := ""
		if name != "" {
			group, err := w.cloud.Cloud().CreateServiceIDGroup(cloud.Owner(), cloud.AccountID, name, "")
			if err != nil {
				t.Fatal(err)
			}
			in = group.ID
		}
		made, err := w.cloud.Cloud().CreateServiceID(cloud.Owner(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: "given" + name, GroupID: in})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Mint(t.Context(), w.request(port.ServiceID{Name: "c", IAMID: made.IAMID}), value(t)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, made.ID)
	}
	fresh := newWorldOn(t, w.cloud, nil)
	if _, err := fresh.Lookup(t.Context(), iamPrefix+ids[1]); err != nil { // so its group is known
		t.Fatal(err)
	}
	l := fresh.Lists()
	if err := l.Read(t.Context(), givenOf(ids...)); err != nil {
		t.Fatal(err)
	}
	for i, shown := range []bool{true, true, false} {
		id, err := l.Lookup(t.Context(), iamPrefix+ids[i])
		keys, kerr := l.List(t.Context(), iamPrefix+ids[i], "c")
		if (err == nil) != shown || (kerr == nil) != shown || shown && (id.ID != ids[i] || len(keys.Keys) != 1) {
			t.Errorf("%d: %+v, %+v, %v, %v", i, id, keys, err, kerr)
		}
	}
}

// crowd answers lists of service IDs and keys, of which each group has as many. Each item is
// a copy of one that the emulator showed, but for its ID.
type crowd struct {
	http.RoundTripper
	perGroup      int
	id, key       string // the items
	of            string // the ID in them
	mu            sync.Mutex
	open, most, n int
}

func (c *crowd) RoundTrip(req *http.Request) (*http.Response, error) {
	list, item := "serviceids", c.id
	switch req.URL.Path {
	case "/v1/serviceids/":
	case "/v1/apikeys":
		list, item = "apikeys", c.key
	default:
		return c.RoundTripper.RoundTrip(req)
	}
	c.mu.Lock()
	c.n, c.open = c.n+1, c.open+1
	c.most = max(c.most, c.open)
	c.mu.Unlock()
	time.Sleep(time.Second) // virtual
	q := req.URL.Query()
	from, _ := strconv.Atoi(q.Get("pagetoken"))
	var items []string
	for i := from; i < min(from+100, c.perGroup) && q.Get("group_id") != ""; i++ {
		items = append(items, strings.ReplaceAll(item, c.of, crowdID(q.Get("group_id"), i)))
	}
	next := ""
	if len(items) == 100 && from+100 < c.perGroup {
		next = fmt.Sprintf(`"next":"http://%s%s?pagetoken=%d",`, req.URL.Host, req.URL.Path, from+100)
	}
	c.mu.Lock()
	c.open--
	c.mu.Unlock()
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, Header: http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{%s"%s":[%s]}`, next, list, strings.Join(items, ",")))),
	}, nil
}

func crowdID(group string, i int) string {
	return fmt.Sprintf("ServiceId-%s-%04d-4f2b-9c1d-7a30e6b5c8f1", group, i)
}

func TestListsOfTenThousandAreReadSideBySideIntoFewBytes(t *testing.T) {
	const groups, perGroup, most = 5, 2000, 200
	w := newWorld(t, nil)
	id := w.identity("c")
	key, _ := w.key(id)
	get := func(path string) string {
		resp, err := w.HTTP().Get(w.cloud.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err, resp.Body.Close())
		}
		return string(text)
	}
	many := &crowd{perGroup: perGroup, of: id.ID, id: get("/v1/serviceids/" + id.ID + "?include_history=true"), key: get("/v1/apikeys/" + key.ID + "?include_history=true")}
	fresh := newWorldOn(t, w.cloud, func(c *Config) { many.RoundTripper, c.HTTP.Transport = c.HTTP.Transport, many })
	if _, err := fresh.ownIDs(t.Context()); err != nil { // logged in
		t.Fatal(err)
	}
	var credentials []port.Credential
	for g := range groups {
		for i := range perGroup {
			id := crowdID(fmt.Sprintf("%08d", g), i)
			credentials = append(credentials, givenOf(id)...)
			fresh.idGroups.store(iamPrefix+id, fmt.Sprintf("%08d", g))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l, start, before := fresh.Lists(), time.Now(), heap()
		if err := l.Read(t.Context(), credentials); err != nil {
			t.Fatal(err)
		}
		took, each := time.Since(start), float64(heap()-before)/float64(len(credentials))
		pages := 2 * (groups*perGroup/100 + 1) // and those of the default group, which are empty
		if many.n != pages || many.most != groups+1 || took != 2*time.Duration(perGroup/100)*time.Second {
			t.Errorf("%d calls, %d at once, in %s; want %d, %d", many.n, many.most, took, pages, groups+1)
		}
		t.Logf("%.0f bytes for each service ID with a key", each)
		if each > most {
			t.Errorf("%.0f bytes for each service ID with a key, want %d at most", each, most)
		}
		if _, err := l.Lookup(t.Context(), iamPrefix+credentials[len(credentials)-1].Given); err != nil {
			t.Error(err)
		}
	})
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
