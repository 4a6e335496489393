package iam

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
)

// A member of the account writes our marker on a service ID and a key of hers.
func TestAMarkerMakesNothingOurs(t *testing.T) {
	w := newWorld(t, nil)
	marker := marker.Marker{Owner: "test", Credential: "a"}
	id := w.identity("a")
	mine, _ := w.key(id)
	forged := w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "a", AccountID: cloud.AccountID, Description: marker.Text()})
	hers := w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "x", IAMID: forged.IAMID, Description: marker.Text()})
	onOurs := w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "x", IAMID: id.IAMID, Description: marker.Text()})

	found, _, err := w.Find(t.Context(), "a")
	if err != nil || len(found) != 2 || !found[0].Ours || found[1].Ours || found[1].Creator != cloud.OwnerIAMID {
		t.Errorf("found %+v, %v", found, err)
	}
	if got, err := w.Lookup(t.Context(), forged.IAMID); err != nil || got.Ours || got.Creator != cloud.OwnerIAMID {
		t.Errorf("looked up %+v, %v", got, err)
	}
	list, err := w.List(t.Context(), id.IAMID, "a")
	if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != mine.ID || list.Foreign != 1 ||
		len(list.Forged) != 1 || list.Forged[0] != (port.Forgery{ID: onOurs.ID, Creator: cloud.OwnerIAMID}) {
		t.Errorf("list %+v, %v", list, err)
	}
	rec := w.record(hers.ID)
	if rec.Ours || !rec.Forged {
		t.Errorf("record %+v", rec)
	}
	if _, err := w.Update(t.Context(), rec, port.KeyChange{Renew: w.cloud.Now()}); !errors.Is(err, port.ErrRefused) {
		t.Errorf("updated: %v", err)
	}
	marked, err := w.MarkedServiceIDs(t.Context())
	if err != nil || len(marked) != 2 || !marked[0].Ours || marked[1].Ours {
		t.Errorf("marked %+v, %v", marked, err)
	}
}

func TestWhatAnEarlierLoginMadeIsOurs(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Formerly = []string{cloud.OwnerIAMID} })
	marker := marker.Marker{Owner: "test", Credential: "a"}
	id := w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "a", AccountID: cloud.AccountID, Description: marker.Text()})
	k := w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "x", IAMID: id.IAMID, Description: marker.Text()})
	if got, err := w.Lookup(t.Context(), id.IAMID); err != nil || !got.Ours {
		t.Errorf("looked up %+v, %v", got, err)
	}
	if rec := w.record(k.ID); !rec.Ours {
		t.Errorf("record %+v", rec)
	}
}

// IBM does not say how long IAM keeps a history.
func TestWithoutARecordAKeyShowsWhoseAServiceIDIs(t *testing.T) {
	w := newWorld(t, nil)
	marker := marker.Marker{Owner: "test", Credential: "b"}
	w.key(w.identity("a"))
	w.identity("c") // has no key
	w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{
		Name: "x", Description: marker.Text(),
		IAMID: w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "b", AccountID: cloud.AccountID, Description: marker.Text()}).IAMID,
	})
	forgetful := newWorldOn(t, w.cloud, bend(func(r *http.Response) {
		rewrite(r, func(body map[string]any) {
			list, _ := body["serviceids"].([]any)
			for _, x := range list {
				delete(x.(map[string]any), "history")
			}
		})
	}))
	marked, err := forgetful.MarkedServiceIDs(t.Context())
	if err != nil || len(marked) != 3 {
		t.Fatalf("marked %+v, %v", marked, err)
	}
	for _, id := range marked {
		if id.Creator != "" || id.Ours != (id.Name == "a") {
			t.Errorf("%s: ours %t, creator %q", id.Name, id.Ours, id.Creator)
		}
	}
}

func TestAClaimLastsUntilAnotherWritesTheDescription(t *testing.T) {
	w := newWorld(t, nil)
	marker := marker.Marker{Owner: "test", Credential: "a"}
	id := w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "a", AccountID: cloud.AccountID, Description: marker.Describe("mine")})
	key := w.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "x", IAMID: id.IAMID, Description: marker.Text()})
	found, err := w.Lookup(t.Context(), id.IAMID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ClaimServiceID(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if err := w.ClaimKey(t.Context(), w.record(key.ID)); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(time.Hour)
	if found, err = w.Lookup(t.Context(), id.IAMID); err != nil || !found.Ours || found.Text != "mine" {
		t.Errorf("claimed %+v, %v", found, err)
	}
	if _, err := w.Update(t.Context(), w.record(key.ID), port.KeyChange{Renew: w.cloud.Now()}); err != nil {
		t.Error(err)
	}
	// A writer of the same text does not get what the claim gave.
	description := found.Marker.Describe(found.Text)
	if _, err := w.cloud.Cloud().UpdateServiceID(cloud.Owner(), id.ID, found.Version, cloud.ServiceIDChange{Description: &description}); err != nil {
		t.Fatal(err)
	}
	w.cloud.Cloud().SetKeyDescription(key.ID, w.record(key.ID).Description)
	if found, err = w.Lookup(t.Context(), id.IAMID); err != nil || found.Ours {
		t.Errorf("after another's change: %+v, %v", found, err)
	}
	if rec := w.record(key.ID); rec.Ours {
		t.Errorf("after another's change: %+v", rec)
	}
}

// If IAM named the creator in another form than a token does, no run would know
// a key as ours, and each would make another.
func TestAKeyWhoseCreatorIsNotUsIsNotMade(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	bent := newWorldOn(t, w.cloud, bend(func(r *http.Response) {
		rewrite(r, func(body map[string]any) {
			if body["created_by"] != nil {
				body["created_by"] = "iam-Profile-1"
			}
		})
	}))
	_, err := bent.Mint(t.Context(), bent.request(id), value(t))
	if !errors.Is(err, port.ErrRefused) || !errors.Is(err, errCreator) {
		t.Errorf("err = %v", err)
	}
	if list, err := w.List(t.Context(), id.IAMID, "a"); err != nil || len(list.Keys) != 0 {
		t.Errorf("left %+v, %v", list, err)
	}
}

func TestOnlyAKeyThatIAMItselfDisabledLeaked(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	found, _ := w.key(id)
	by, _ := w.key(id)
	if _, err := w.cloud.Cloud().LeakKey(found.ID, "", "https://github.com/example/app"); err != nil {
		t.Fatal(err)
	}
	if err := w.Disable(t.Context(), by.ID); err != nil {
		t.Fatal(err)
	}
	at := w.record(found.ID).Leaked
	if rec := w.record(found.ID); w.cloud.Now().Sub(at).Abs() > 2*time.Minute || rec.DisabledBy != cloud.LeakScannerID {
		t.Errorf("IAM disabled it at %s, and it leaked at %s by %q", w.cloud.Now(), at, rec.DisabledBy)
	}
	if rec := w.record(by.ID); !rec.Leaked.IsZero() || rec.DisabledBy == "" {
		t.Errorf("a service ID disabled it, and it leaked at %s by %q", rec.Leaked, rec.DisabledBy)
	}
	l := w.Lists()
	if err := l.Read(t.Context(), wantedOf("a")); err != nil {
		t.Fatal(err)
	}
	alone, err := w.List(t.Context(), id.IAMID, "a")
	bulk, lerr := l.List(t.Context(), id.IAMID, "a")
	if diff := cmp.Diff(alone.Keys, bulk.Keys); err != nil || lerr != nil || diff != "" || len(alone.Keys) != 2 {
		t.Errorf("%v, %v (-alone +listed)\n%s", err, lerr, diff)
	}
	if rec, err := w.Update(t.Context(), w.record(found.ID), port.KeyChange{Renew: w.cloud.Now()}); err != nil || !rec.Leaked.Equal(at) {
		t.Errorf("after an update it leaked at %s, %v; want %s", rec.Leaked, err, at)
	}
	marked := at.Add(-time.Hour).Truncate(time.Second)
	if _, err := w.Update(t.Context(), w.record(found.ID), port.KeyChange{Leaked: marked}); err != nil || !w.record(found.ID).Leaked.Equal(marked) {
		t.Errorf("with a mark it leaked at %s, %v; want %s", w.record(found.ID).Leaked, err, marked)
	}
}
