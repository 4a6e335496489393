package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// key is a new one of the identity, with its value.
func (w *world) key(id port.ServiceID) (protocol.Key, secret.Value) {
	w.t.Helper()
	v := value(w.t)
	k, err := w.Mint(w.t.Context(), w.request(id), v)
	if err != nil {
		w.t.Fatal(err)
	}
	return k.Key, v
}

func (w *world) record(keyID string) port.KeyRecord {
	w.t.Helper()
	rec, err := w.Get(w.t.Context(), keyID)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func TestAnAnswerWithoutIAMsClockDecidesNothing(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	k, _ := w.key(id)
	bent := newWorldOn(t, w.cloud, bend(func(r *http.Response) { r.Header.Del("Date") }))
	_, lerr := bent.List(t.Context(), id.IAMID, "a")
	_, gerr := bent.Get(t.Context(), k.ID)
	_, _, ferr := bent.Find(t.Context(), "a")
	for _, err := range []error{lerr, gerr, ferr} {
		if !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "Date") {
			t.Errorf("err = %v", err)
		}
	}
}

func TestIAMsClockIsPassedOn(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	k, _ := w.key(id)
	w.cloud.Advance(17 * 24 * time.Hour)
	list, err := w.List(t.Context(), id.IAMID, "a")
	if err != nil {
		t.Fatal(err)
	}
	_, found, err := w.Find(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, date := range []time.Time{list.Date, found, w.record(k.ID).Date} {
		if d := w.cloud.Now().Sub(date).Abs(); d > 3*time.Second {
			t.Errorf("off by %s", d)
		}
	}
}

func TestKeysThatAreNotOursAreCountedAndNotRead(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		rewrite(r, func(body map[string]any) {
			list, _ := body["apikeys"].([]any)
			for _, x := range list {
				if k := x.(map[string]any); k["name"] == "by hand" {
					k["expires_at"] = "next summer"
				}
			}
		})
	}))
	id := w.identity("a")
	k, _ := w.key(id)
	for name, description := range map[string]string{
		"by hand": "for a test", "another owner": marker.Marker{Owner: "other", Credential: "a"}.Text(),
		"another credential":   marker.Marker{Owner: "test", Credential: "b"}.Text(),
		"a version of our own": "[latchkey v=2 owner=test credential=a]",
	} {
		w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: name, Description: description, IAMID: id.IAMID})
	}
	list, err := w.List(t.Context(), id.IAMID, "a")
	if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != k.ID || list.Foreign != 4 {
		t.Errorf("list %+v, %v", list, err)
	}
}

func TestTheStateOfAKeyIsRead(t *testing.T) {
	w := newWorld(t, nil)
	k, _ := w.key(w.identity("a"))
	w.cloud.Cloud().SetKeyLocked(k.ID, true)
	w.cloud.Cloud().SetKeyDisabled(k.ID, true)
	at := w.cloud.Now().Add(time.Hour).Truncate(time.Minute).UTC()
	w.cloud.Cloud().SetKeyExpiry(k.ID, at)
	rec := w.record(k.ID)
	if !rec.Locked || !rec.Disabled || !rec.Expires.Equal(at) || !rec.Ours || rec.Version == "" {
		t.Errorf("record %+v", rec)
	}
	w.cloud.Cloud().SetKeyDescription(k.ID, "edited by hand")
	if rec := w.record(k.ID); rec.Ours || !rec.AsOf.IsZero() {
		t.Errorf("without its marker: %+v", rec)
	}
}

func TestAListThatIsNotWholeIsAnError(t *testing.T) {
	for name, next := range map[string]any{
		"a next page that is the same again": "https://iam.test/v1/x?pagetoken=t",
		"a next page without its token":      "https://iam.test/v1/x",
		"a next page that is no URL":         "::",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.identity("a")
			bent := newWorldOn(t, w.cloud, bend(func(r *http.Response) {
				if r.Request.Method == http.MethodGet {
					r.StatusCode = 200
					setBody(r, map[string]any{"next": next, "apikeys": []any{}, "serviceids": []any{}})
				}
			}))
			_, lerr := bent.List(t.Context(), id.IAMID, "a")
			_, _, ferr := bent.Find(t.Context(), "a")
			_, oerr := bent.MarkedServiceIDs(t.Context())
			if n := w.cloud.Counter("GET", "/v1/apikeys"); n > 2 {
				t.Errorf("%d pages were asked for", n)
			}
			for _, err := range []error{lerr, ferr, oerr} {
				if !errors.Is(err, port.ErrUnavailable) {
					t.Errorf("err = %v", err)
				}
			}
		})
	}
}

func TestAnUpdateKeepsWhatItDoesNotChange(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	k, v := w.key(id)
	before, _ := w.cloud.State(true).Key(k.ID)
	ends := w.cloud.Now().Add(90 * 24 * time.Hour)
	for _, c := range []port.KeyChange{
		{Expires: ends}, {Superseded: w.cloud.Now()}, {Renew: w.cloud.Now()}, {Withdrawn: w.cloud.Now()},
	} {
		if _, err := w.Update(t.Context(), w.record(k.ID), c); err != nil {
			t.Fatal(err)
		}
	}
	after, _ := w.cloud.State(true).Key(k.ID)
	if after.Name != before.Name || after.Value != v.Expose() || after.ActionWhenLeaked != "disable" || !strings.HasPrefix(after.Description, "a test [") {
		t.Errorf("changed to %q, %q", after.Name, after.Description)
	}
	if d := after.ExpiresAt.Sub(ends); d < 0 || d >= time.Minute || after.ExpiresAt.Second() != 0 {
		t.Errorf("ends at %s, asked for %s", after.ExpiresAt, ends)
	}
	if rec := w.record(k.ID); rec.Superseded.IsZero() || rec.Renew.IsZero() || !strings.Contains(rec.Description, "withdrawn=") {
		t.Errorf("marks %+v", rec.Key)
	}
	if _, err := w.Exchange(t.Context(), v); err != nil {
		t.Errorf("the key no longer works: %v", err)
	}
}

// shortens is an IAM that gives keys a shorter life than an update asks for.
type shortens struct {
	http.RoundTripper
	until string
}

func (s shortens) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || r.Method != http.MethodPut {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	body = regexp.MustCompile(`"expires_at":"[^"]*"`).ReplaceAll(body, []byte(`"expires_at":"`+s.until+`"`))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

func TestTheExpiryOfAnUpdateIsThatOfTheAnswer(t *testing.T) {
	var until time.Time
	w := newWorld(t, func(c *Config) {
		until = c.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Minute)
		c.HTTP = &http.Client{Transport: shortens{c.HTTP.Transport, until.Format("2006-01-02T15:04-0700")}}
	})
	k, _ := w.key(w.identity("a"))
	now, err := w.Update(t.Context(), w.record(k.ID), port.KeyChange{Expires: until.Add(60 * 24 * time.Hour)})
	if err != nil || !now.Expires.Equal(until) {
		t.Errorf("ends at %s (%v), and IAM answered %s", now.Expires, err, until)
	}
}

func TestAKeyThatHasExpiredCanStillBeMarked(t *testing.T) {
	w := newWorld(t, nil)
	k, _ := w.key(w.identity("a"))
	w.cloud.Advance(48 * time.Hour)
	if _, err := w.Update(t.Context(), w.record(k.ID), port.KeyChange{Renew: w.cloud.Now()}); err != nil {
		t.Fatal(err)
	}
	if rec := w.record(k.ID); rec.Renew.IsZero() || !rec.Expires.Equal(k.Expires) {
		t.Errorf("record %+v", rec.Key)
	}
}

func TestAnUpdateThatIsNotDoneSaysWhy(t *testing.T) {
	type setup struct {
		w   *world
		rec *port.KeyRecord
	}
	for name, tc := range map[string]struct {
		before func(setup)
		want   error
	}{
		"changed meanwhile (409)": {func(s setup) { s.w.cloud.Cloud().SetKeyDescription(s.rec.ID, s.rec.Description+" ") }, port.ErrConflict},
		"changed meanwhile (412)": {func(s setup) {
			s.w.switches(func(n *emulator.Settings) { n.Switches.StaleIdentityStatus = 412 })
			s.w.cloud.Cloud().SetKeyDisabled(s.rec.ID, true)
		}, port.ErrConflict},
		"deleted meanwhile": {func(s setup) { s.w.cloud.Cloud().RemoveKey(s.rec.ID) }, port.ErrNotFound},
		"locked": {func(s setup) {
			s.w.cloud.Cloud().SetKeyLocked(s.rec.ID, true)
			*s.rec = s.w.record(s.rec.ID)
		}, port.ErrDenied},
		"locked, and refused with 400": {func(s setup) {
			s.w.switches(func(n *emulator.Settings) { n.Switches.LockedStatus = 400 })
			s.w.cloud.Cloud().SetKeyLocked(s.rec.ID, true)
			*s.rec = s.w.record(s.rec.ID)
		}, port.ErrDenied},
		"denied": {func(s setup) {
			s.w.cloud.Inject(emulator.Fault{Method: "PUT", Kind: emulator.FaultStatus, Status: 403})
		}, port.ErrDenied},
		"no answer": {func(s setup) { s.w.cloud.Inject(emulator.Fault{Method: "PUT", Kind: emulator.FaultLost}) }, port.ErrUnavailable},
		"a server error": {func(s setup) {
			s.w.cloud.Inject(emulator.Fault{Method: "PUT", Kind: emulator.FaultStatus, Status: 500})
		}, port.ErrUnavailable},
		"an expiry in the past": {func(s setup) { s.w.cloud.Advance(2 * time.Hour) }, port.ErrRefused},
		"any version":           {func(s setup) { s.rec.Version = "*" }, port.ErrRefused},
		"no version":            {func(s setup) { s.rec.Version = "" }, port.ErrRefused},
		"no marker":             {func(s setup) { s.rec.Description = "by hand" }, port.ErrRefused},
		"another owner's": {func(s setup) {
			s.rec.Description = marker.Marker{Owner: "other", Credential: "a"}.Text()
		}, port.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			k, _ := w.key(w.identity("a"))
			rec, at := w.record(k.ID), w.cloud.Now().Add(time.Hour)
			tc.before(setup{w, &rec})
			if _, err := w.Update(t.Context(), rec, port.KeyChange{Expires: at}); !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAnUpdateWhoseAnswerBreaksOffIsUnclear(t *testing.T) {
	w := newWorld(t, nil)
	k, _ := w.key(w.identity("a"))
	w.cloud.Inject(emulator.Fault{Method: "PUT", Kind: emulator.FaultTruncate})
	if _, err := w.Update(t.Context(), w.record(k.ID), port.KeyChange{Superseded: w.cloud.Now()}); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	if w.record(k.ID).Superseded.IsZero() {
		t.Error("it was not done")
	}
}

func TestADeletionThatIsNotDoneSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(w *world, keyID, serviceID string)
		want   error
	}{
		"locked": {func(w *world, keyID, serviceID string) {
			w.cloud.Cloud().SetKeyLocked(keyID, true)
			w.cloud.Cloud().SetServiceIDLocked(serviceID, true)
		}, port.ErrDenied},
		"locked, and refused with 400": {func(w *world, keyID, serviceID string) {
			w.switches(func(n *emulator.Settings) { n.Switches.LockedStatus = 400 })
			w.cloud.Cloud().SetKeyLocked(keyID, true)
			w.cloud.Cloud().SetServiceIDLocked(serviceID, true)
		}, port.ErrDenied},
		"a conflict of which IAM says that a retry may help": {func(w *world, _, _ string) {
			w.cloud.Inject(emulator.Fault{Method: "DELETE", Kind: emulator.FaultStatus, Status: 409})
		}, port.ErrUnavailable},
		"a bad request": {func(w *world, _, _ string) {
			w.cloud.Inject(emulator.Fault{Method: "DELETE", Kind: emulator.FaultStatus, Status: 400})
		}, port.ErrRefused},
		"denied": {func(w *world, _, _ string) {
			w.cloud.Inject(emulator.Fault{Method: "DELETE", Kind: emulator.FaultStatus, Status: 403})
		}, port.ErrDenied},
		"no answer": {func(w *world, _, _ string) {
			w.cloud.Inject(emulator.Fault{Method: "DELETE", Kind: emulator.FaultLost})
		}, port.ErrUnavailable},
		"a conflict, and gone": {func(w *world, _, _ string) {
			w.cloud.Inject(emulator.Fault{Method: "DELETE", Kind: emulator.FaultStatus, Status: 409, Effect: ptr(true)})
		}, nil},
		"gone": {func(w *world, _, serviceID string) { w.cloud.Cloud().RemoveServiceID(serviceID) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.identity("a")
			k, _ := w.key(id)
			tc.before(w, k.ID, id.ID)
			for _, err := range []error{w.Retire(t.Context(), k.ID), w.Remove(t.Context(), id.ID)} {
				if !errors.Is(err, tc.want) || (tc.want == nil) != (err == nil) {
					t.Errorf("err = %v, want %v", err, tc.want)
				}
			}
		})
	}
}

// One status has many causes, and only IAM's words tell them apart.
func TestADeletionThatConflictsKeepsTheWordsOfIAM(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		if r.StatusCode == http.StatusConflict {
			setBody(r, map[string]any{"errors": []any{map[string]any{"code": "conflict", "message": "BXNIM0105E Unable to delete object"}}})
		}
	}))
	id := w.identity("a")
	k, _ := w.key(id)
	for _, method := range []string{http.MethodDelete, http.MethodPost} {
		w.cloud.Inject(emulator.Fault{Method: method, Kind: emulator.FaultStatus, Status: http.StatusConflict})
	}
	for _, err := range []error{w.Disable(t.Context(), k.ID), w.Retire(t.Context(), k.ID), w.Remove(t.Context(), id.ID)} {
		if !errors.Is(err, port.ErrUnavailable) || errors.Is(err, port.ErrConflict) || !strings.Contains(err.Error(), "status 409 conflict BXNIM0105E Unable to delete object") {
			t.Errorf("err = %v", err)
		}
	}
}

func TestTheGroupOfAServiceIDIsReadOnceAtMost(t *testing.T) {
	for name, tc := range map[string]struct {
		grouped      bool
		minted       bool
		reads, lists int
	}{
		"the default group has keys of it":           {minted: true, lists: 1},
		"it has no keys":                             {reads: 1, lists: 1},
		"it is in another group, and has keys there": {grouped: true, minted: true, reads: 1, lists: 2},
		"it is in another group, and has no keys":    {grouped: true, reads: 1, lists: 2},
	} {
		t.Run(name, func(t *testing.T) {
			w, in := newWorld(t, nil), ""
			if tc.grouped {
				group, err := w.cloud.Cloud().CreateServiceIDGroup(cloud.Owner(), cloud.AccountID, "platform", "")
				if err != nil {
					t.Fatal(err)
				}
				in = group.ID
			}
			made, err := w.cloud.Cloud().CreateServiceID(cloud.Owner(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: "c", GroupID: in})
			if err != nil {
				t.Fatal(err)
			}
			if tc.minted {
				if _, err := w.Mint(t.Context(), w.request(port.ServiceID{Name: "c", IAMID: made.IAMID}), value(t)); err != nil {
					t.Fatal(err)
				}
			}
			client := newWorldOn(t, w.cloud, nil)
			w.cloud.ResetCounters()
			if list, err := client.List(t.Context(), made.IAMID, "c"); err != nil || (len(list.Keys) == 1) != tc.minted || list.Date.IsZero() {
				t.Errorf("listed %+v, %v", list, err)
			}
			if reads, lists := w.cloud.Counter("GET", "/v1/serviceids/*"), w.cloud.Counter("GET", "/v1/apikeys"); reads != tc.reads || lists != tc.lists {
				t.Errorf("%d reads and %d lists, want %d and %d", reads, lists, tc.reads, tc.lists)
			}
		})
	}
}

func TestAListOfKeysUsesTheLookupThatIsUnderWay(t *testing.T) {
	w := newWorld(t, nil)
	made, err := w.cloud.Cloud().CreateServiceID(cloud.Owner(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	w.cloud.ResetCounters()
	ended := make(chan struct{})
	w.lookups.Store(made.IAMID, ended)
	go func() {
		w.idGroups.store(made.IAMID, "")
		close(ended)
	}()
	if _, err := w.List(t.Context(), made.IAMID, "c"); err != nil {
		t.Error(err)
	}
	if n := w.cloud.Counter("GET", "/v1/serviceids/*"); n != 0 {
		t.Errorf("the service ID was read %d times more", n)
	}
}

func TestKeysOfAServiceIDInAnyGroupAreListed(t *testing.T) {
	w := newWorld(t, nil)
	group, err := w.cloud.Cloud().CreateServiceIDGroup(cloud.Owner(), cloud.AccountID, "platform", "")
	if err != nil {
		t.Fatal(err)
	}
	minted := map[string]bool{}
	for name, in := range map[string]string{"default": "", "group": group.ID} {
		made, err := w.cloud.Cloud().CreateServiceID(cloud.Owner(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: name, GroupID: in})
		if err != nil {
			t.Fatal(err)
		}
		key, err := w.Mint(t.Context(), w.request(port.ServiceID{Name: name, IAMID: made.IAMID}), value(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range []*world{w, newWorldOn(t, w.cloud, nil)} {
			list, err := client.List(t.Context(), made.IAMID, name)
			if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != key.ID {
				t.Errorf("%s: %+v, %v; want key %s", name, list, err, key.ID)
			}
		}
		reads := w.cloud.Counter("GET", "/v1/serviceids/"+made.ID)
		if _, err := w.List(t.Context(), made.IAMID, name); err != nil || w.cloud.Counter("GET", "/v1/serviceids/"+made.ID) != reads {
			t.Errorf("%s: %v: the group never changes, and was read again", name, err)
		}
		minted[key.ID] = true
	}
	all, err := w.AccountKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		delete(minted, k.ID)
	}
	if len(minted) > 0 {
		t.Errorf("the account's keys lack %v", minted)
	}
}

// A list that leaves keys out must not look complete.
func TestTheAccountsKeysNeedItsGroups(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v1/serviceid_groups", Kind: emulator.FaultStatus, Status: 403})
	if all, err := w.AccountKeys(t.Context()); err == nil || all != nil {
		t.Errorf("%d keys, %v", len(all), err)
	}
}

func TestAnAnswerIsEnoughForTheNextUpdate(t *testing.T) {
	w := newWorld(t, nil)
	made, err := w.Mint(t.Context(), w.request(w.identity("a")), value(t))
	if err != nil {
		t.Fatal(err)
	}
	at := w.cloud.Now().Add(24 * time.Hour).UTC().Truncate(time.Minute)
	extended, err := w.Update(t.Context(), made, port.KeyChange{Expires: at})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Update(t.Context(), made, port.KeyChange{Renew: at}); !errors.Is(err, port.ErrConflict) {
		t.Errorf("an update of the version before: %v, want a conflict", err)
	}
	marked, err := w.Update(t.Context(), extended, port.KeyChange{Renew: at})
	if err != nil {
		t.Fatal(err)
	}
	read := w.record(made.ID)
	read.Date, read.Changes, marked.Date, marked.Changes = time.Time{}, nil, time.Time{}, nil
	if diff := cmp.Diff(read, marked); diff != "" {
		t.Errorf("the answer and a read differ (-read +answer)\n%s", diff)
	}
}

func TestAKeyIsUnusedOnlyIfIAMSaysSo(t *testing.T) {
	for sentence, c := range map[string]struct {
		activity any // nil removes it
		fails    string
	}{
		"no activity is no answer":            {nil, "activity"},
		"null is no answer":                   {json.RawMessage("null"), "activity"},
		"an activity without a time is never": {map[string]any{"authn_count": 0}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, bend(func(r *http.Response) {
				if !r.Request.URL.Query().Has("include_activity") {
					return
				}
				rewrite(r, func(body map[string]any) {
					if delete(body, "activity"); c.activity != nil {
						body["activity"] = c.activity
					}
				})
			}))
			k, v := w.key(w.identity("a"))
			if _, err := w.Exchange(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			used, err := w.Used(t.Context(), k.ID)
			if !used.IsZero() || (err == nil) != (c.fails == "") {
				t.Errorf("used %s, %v", used, err)
			}
			if err != nil && (!errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// A proxy that compresses answers makes their tags weak.
func TestAVersionIsThatOfTheAnswersBody(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		if tag := r.Header.Get("Etag"); tag != "" {
			r.Header.Set("Etag", `W/"`+tag+`"`)
		}
	}))
	id := w.identity("a")
	k, _ := w.key(id)
	if _, err := w.Update(t.Context(), w.record(k.ID), port.KeyChange{Renew: w.cloud.Now()}); err != nil {
		t.Errorf("a key: %v", err)
	}
	read, err := w.Lookup(t.Context(), id.IAMID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Mark(t.Context(), read, read.Marker); err != nil {
		t.Errorf("a service ID: %v", err)
	}
}

func TestAVersionIsThatOfTheHeaderWithoutOneInTheBody(t *testing.T) {
	w := newWorld(t, bend(func(r *http.Response) {
		if r.Request.Method == http.MethodGet {
			rewrite(r, func(body map[string]any) { delete(body, "entity_tag") })
		}
	}))
	id := w.identity("a")
	k, _ := w.key(id)
	read, err := w.Lookup(t.Context(), id.IAMID)
	if err != nil || read.Version == "" || w.record(k.ID).Version == "" {
		t.Errorf("versions %q and %q, %v", read.Version, w.record(k.ID).Version, err)
	}
}
