package emulator_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestServiceIDLife(t *testing.T) {
	w := newWorld(t)
	made := w.newServiceID("logs-sender")
	twin := w.newServiceID("logs-sender")
	if *made.ID == *twin.ID || "iam-"+*made.ID != *made.IamID || !strings.HasPrefix(*made.ID, "ServiceId-") {
		t.Fatalf("IDs %s, %s and IAM ID %s", *made.ID, *twin.ID, *made.IamID)
	}

	got, response, err := w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*made.ID).SetIncludeHistory(true))
	if err != nil {
		t.Fatal(err)
	}
	if tag := response.GetHeaders().Get("ETag"); tag == "" || tag != *got.EntityTag {
		t.Errorf("ETag %q, entity_tag %q", tag, *got.EntityTag)
	}
	if at := time.Time(*got.CreatedAt).UTC(); !at.Equal(start.Truncate(time.Minute)) {
		t.Errorf("created at %s: want the minute of %s", at, start)
	}
	if len(got.History) != 1 || *got.History[0].IamID != w.Cloud().Minter().IAMID {
		t.Errorf("history %v", got.History)
	}

	changed := done(w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*made.ID, *got.EntityTag).
		SetName("renamed").SetDescription("text [latchkey v=1]")))(t)
	if *changed.EntityTag == *got.EntityTag || *changed.Name != "renamed" || *changed.Description != "text [latchkey v=1]" {
		t.Errorf("changed to %+v", changed)
	}
	_, _, err = w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*made.ID, *got.EntityTag).SetName("late"))
	refused(t, err, 409, "conflict")
	done(w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*made.ID, "*").SetName("blind")))(t)
	r, _ := w.raw("PUT", "/v1/serviceids/"+*made.ID, `{"name":"x"}`, "Authorization", w.bearer())
	if r.StatusCode != 400 {
		t.Errorf("PUT without If-Match: status %d", r.StatusCode)
	}

	key := w.newKey(*made.IamID, "k")
	if _, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*made.ID))
	refused(t, err, 404, "not_found")
	_, _, err = w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*key.ID))
	refused(t, err, 404, "not_found")
}

func (w *world) bearer() string { return "Bearer " + w.token(w.Ready().APIKey) }

func TestNestedKeyIsCreatedWithTheServiceID(t *testing.T) {
	w := newWorld(t)
	value := strings.Repeat("v", 32)
	made := done(w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "s").
		SetApikey(&iamidentityv1.APIKeyInsideCreateServiceIDRequest{Name: ptr("k"), Apikey: &value})))(t)
	if made.Apikey == nil || *made.Apikey.Apikey != value || *made.Apikey.IamID != *made.IamID {
		t.Fatalf("nested key %+v", made.Apikey)
	}
	_, _, err := w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "s2").
		SetApikey(&iamidentityv1.APIKeyInsideCreateServiceIDRequest{Name: ptr("k"), Apikey: &value}))
	refused(t, err, 409, "conflict")
	list := done(w.identity.ListServiceIds(w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetName("s2")))(t)
	if len(list.Serviceids) != 0 {
		t.Error("a service ID is left of the refused request")
	}
}

func TestAPIKeyLife(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	value := strings.Repeat("x", 44)
	made := done(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetDescription("d").SetApikey(value).
		SetStoreValue(false).SetActionWhenLeaked("disable").SetExpiresAt("2026-11-25T10:00:59+0000")))(t)
	if *made.Apikey != value || *made.CreatedBy != w.Cloud().Minter().IAMID || *made.ExpiresAt != "2026-11-25T10:00+0000" {
		t.Errorf("made %+v", made)
	}
	got, response, err := w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*made.ID).SetIncludeActivity(true))
	if err != nil {
		t.Fatal(err)
	}
	if response.GetHeaders().Get("ETag") != *got.EntityTag {
		t.Error("the ETag differs from entity_tag")
	}
	if got.Apikey != nil {
		t.Error("a value that is not stored is shown")
	}
	if *got.Activity.AuthnCount != 0 || got.Activity.LastAuthn != nil {
		t.Errorf("activity of an unused key: %+v", got.Activity)
	}
	w.token(value)
	got = done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*made.ID).SetIncludeActivity(true)))(t)
	if *got.Activity.AuthnCount != 1 || *got.Activity.LastAuthn != "2026-11-24T10:00+0000" {
		t.Errorf("activity of a used key: %+v", got.Activity)
	}

	details := done(w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(value)))(t)
	if *details.ID != *made.ID || details.Apikey != nil {
		t.Errorf("details %+v", details)
	}
	_, _, err = w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(strings.Repeat("y", 44)))
	refused(t, err, 404, "not_found")

	changed := done(w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(*made.ID, *got.EntityTag).SetExpiresAt("")))(t)
	if changed.ExpiresAt != nil || *changed.Description != "d" {
		t.Errorf("after clearing expires_at: %+v", changed)
	}
	_, _, err = w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(*made.ID, *got.EntityTag).SetName("late"))
	refused(t, err, 409, "conflict")

	if _, err := w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, err = w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*made.ID))
	refused(t, err, 404, "not_found")
	if status, body := w.exchange("apikey", "apikey", value); status != 400 || body["errorCode"] != "BXNIM0415E" {
		t.Errorf("a deleted key: %d %v", status, body)
	}
}

func TestStoredValueIsShownAgain(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	made := done(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetStoreValue(true)))(t)
	if len(*made.Apikey) != 44 {
		t.Errorf("a generated value has %d characters", len(*made.Apikey))
	}
	got := done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*made.ID)))(t)
	if got.Apikey == nil || *got.Apikey != *made.Apikey {
		t.Error("a stored value is not shown")
	}
	list := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t)
	if len(list.Apikeys) != 1 || list.Apikeys[0].Apikey != nil {
		t.Errorf("list %+v", list.Apikeys)
	}
}

func TestRefusedKeys(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	value := strings.Repeat("x", 32)
	w.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "first", IAMID: *sid.IamID, Value: value})
	for name, test := range map[string]struct {
		change func(*iamidentityv1.CreateAPIKeyOptions)
		status int
		code   string
	}{
		"a value that is taken is a conflict":       {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetApikey(value) }, 409, "conflict"},
		"a value of 31 characters is too short":     {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetApikey(value[1:]) }, 400, "validation_error"},
		"an expiry in the past is refused":          {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetExpiresAt("2026-11-24T09:59+0000") }, 400, "validation_error"},
		"an expiry that is no date is refused":      {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetExpiresAt("tomorrow") }, 400, "validation_error"},
		"an unknown leak action is refused":         {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetActionWhenLeaked("shout") }, 400, "validation_error"},
		"a key of a service ID that is not there":   {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetIamID("iam-ServiceId-0") }, 404, "not_found"},
		"a key in another account is not allowed":   {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetAccountID("other") }, 403, "forbidden"},
		"a key of a user is made by that user only": {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetIamID(cloud.OwnerIAMID) }, 403, "forbidden"},
		"a key without a name is refused":           {func(o *iamidentityv1.CreateAPIKeyOptions) { o.SetName("") }, 400, "validation_error"},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.identity.NewCreateAPIKeyOptions("k", *sid.IamID)
			test.change(o)
			_, _, err := w.identity.CreateAPIKey(o)
			refused(t, err, test.status, test.code)
		})
	}
	if n := len(w.State(false).APIKeys); n != 3 {
		t.Errorf("%d keys after refusals, want the minter's, the owner's and the first", n)
	}
}

func TestTwentyKeysPerIdentity(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	for i := range 20 {
		w.newKey(*sid.IamID, fmt.Sprint(i))
	}
	_, _, err := w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("21", *sid.IamID))
	refused(t, err, 422, "unprocessable_entity")
	if got := messageCode(err); got != "BXNIM0151E" {
		t.Errorf("message code %q", got)
	}
	_, body := w.raw("GET", "/v1/accounts/"+cloud.AccountID+"/limits/identity?apikeys_per_identity="+*sid.IamID, "", "Authorization", w.bearer())
	limit := body["apikeys_per_identity"].(map[string]any)
	if limit["limit"] != 20.0 || limit["identities"].([]any)[0].(map[string]any)["count"] != 20.0 {
		t.Errorf("limits %v", limit)
	}
}

func TestLockedRefusesChangeAndDeletion(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	key := w.newKey(*sid.IamID, "k")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.identity.LockAPIKey(w.identity.NewLockAPIKeyOptions(*key.ID))
	must(err)
	_, _, err = w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(*key.ID, "*").SetName("n"))
	refused(t, err, 409, "conflict")
	_, err = w.identity.DisableAPIKey(w.identity.NewDisableAPIKeyOptions(*key.ID))
	refused(t, err, 409, "conflict")
	_, err = w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID))
	refused(t, err, 409, "conflict")
	_, err = w.identity.UnlockAPIKey(w.identity.NewUnlockAPIKeyOptions(*key.ID))
	must(err)
	_, err = w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID))
	must(err)

	_, err = w.identity.LockServiceID(w.identity.NewLockServiceIDOptions(*sid.ID))
	must(err)
	_, _, err = w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*sid.ID, "*").SetName("n"))
	refused(t, err, 409, "conflict")
	_, err = w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID))
	refused(t, err, 409, "conflict")
	// A switch: the documents do not forbid it.
	_, _, err = w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID))
	must(err)
	_, err = w.identity.UnlockServiceID(w.identity.NewUnlockServiceIDOptions(*sid.ID))
	must(err)
	_, err = w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID))
	must(err)
}

func TestKeysBornLockedOrDisabled(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	key := done(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetEntityDisable("true").SetEntityLock("true")))(t)
	if !*key.Disabled || !*key.Locked {
		t.Errorf("disabled %v, locked %v", *key.Disabled, *key.Locked)
	}
	if status, _ := w.exchange("apikey", "apikey", *key.Apikey); status != 400 {
		t.Errorf("a disabled key got status %d", status)
	}
	if _, err := w.identity.UnlockAPIKey(w.identity.NewUnlockAPIKeyOptions(*key.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.identity.EnableAPIKey(w.identity.NewEnableAPIKeyOptions(*key.ID)); err != nil {
		t.Fatal(err)
	}
	w.token(*key.Apikey)
}

// pages follows next until it is absent and returns the names on each page.
func (w *world) pages(t *testing.T, o *iamidentityv1.ListAPIKeysOptions) [][]string {
	t.Helper()
	var pages [][]string
	for {
		list := done(w.identity.ListAPIKeys(o))(t)
		var names []string
		for _, k := range list.Apikeys {
			names = append(names, *k.Name)
		}
		pages = append(pages, names)
		if list.Next == nil {
			return pages
		}
		next, err := url.Parse(*list.Next)
		if err != nil || next.Host == "" {
			t.Fatalf("next %q is no URL", *list.Next)
		}
		o = w.identity.NewListAPIKeysOptions().SetPagetoken(next.Query().Get("pagetoken"))
	}
}

func TestPagesOfKeys(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	for _, name := range []string{"c", "a", "d", "b"} {
		w.newKey(*sid.IamID, name)
	}
	for name, test := range map[string]struct {
		change func(*iamidentityv1.ListAPIKeysOptions)
		want   string
	}{
		"the natural order is that of creation":  {func(*iamidentityv1.ListAPIKeysOptions) {}, "[[c a d b]]"},
		"a full last page has no next":           {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(2) }, "[[c a] [d b]]"},
		"the last page may be short":             {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(3) }, "[[c a d] [b]]"},
		"one page fits exactly":                  {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(4) }, "[[c a d b]]"},
		"sorting holds across pages":             {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(3).SetSort("name") }, "[[a b c] [d]]"},
		"descending order holds across pages":    {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(3).SetSort("name").SetOrder("desc") }, "[[d c b] [a]]"},
		"a filter leaves only what contains it":  {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetFilter(`name co "b"`) }, "[[b]]"},
		"a filter may leave nothing":             {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetFilter(`name eq "z"`) }, "[[]]"},
		"two conditions are joined by and":       {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetFilter(`name ne "a" and name ne "b"`) }, "[[c d]]"},
		"keys of users are another type":         {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetType("user") }, "[[]]"},
		"another group does not have them":       {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetGroupID("other") }, "[[]]"},
		"the account's list has the minter's":    {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetScope("account").SetType("serviceid") }, "[[latchkey c a d b]]"},
		"the account's list is paged, too":       {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetScope("account").SetPagesize(3) }, "[[latchkey admin c] [a d b]]"},
		"a page of a hundred is the largest one": {func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(100) }, "[[c a d b]]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.identity.NewListAPIKeysOptions().SetAccountID(cloud.AccountID).SetIamID(*sid.IamID)
			test.change(o)
			if got := fmt.Sprint(w.pages(t, o)); got != test.want {
				t.Errorf("pages %s, want %s", got, test.want)
			}
		})
	}
	for name, change := range map[string]func(*iamidentityv1.ListAPIKeysOptions){
		"a page of 101 is refused":          func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(101) },
		"a page of 0 is refused":            func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagesize(0) },
		"a made-up page token is refused":   func(o *iamidentityv1.ListAPIKeysOptions) { o.SetPagetoken("made-up") },
		"an unknown sort is refused":        func(o *iamidentityv1.ListAPIKeysOptions) { o.SetSort("colour") },
		"an unknown order is refused":       func(o *iamidentityv1.ListAPIKeysOptions) { o.SetOrder("random") },
		"a filter without value is refused": func(o *iamidentityv1.ListAPIKeysOptions) { o.SetFilter("name co") },
		"an unknown scope is refused":       func(o *iamidentityv1.ListAPIKeysOptions) { o.SetScope("planet") },
	} {
		t.Run(name, func(t *testing.T) {
			o := w.identity.NewListAPIKeysOptions().SetAccountID(cloud.AccountID).SetIamID(*sid.IamID)
			change(o)
			_, _, err := w.identity.ListAPIKeys(o)
			refused(t, err, 400, "validation_error")
		})
	}
}

func TestPagesSurviveDeletionsBetweenThem(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	var ids []string
	for _, name := range []string{"a", "b", "c", "d"} {
		ids = append(ids, *w.newKey(*sid.IamID, name).ID)
	}
	first := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID).SetPagesize(2)))(t)
	w.Cloud().RemoveKey(ids[0])
	w.Cloud().RemoveKey(ids[1])
	next, _ := url.Parse(*first.Next)
	second := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetPagetoken(next.Query().Get("pagetoken"))))(t)
	if len(second.Apikeys) != 2 || *second.Apikeys[0].Name != "c" {
		t.Errorf("second page %v", second.Apikeys)
	}
}

func TestListsOfServiceIDs(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b", "a", "b"} {
		w.newServiceID(name)
	}
	group := *w.newIDGroup("g").ID
	done(w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "hidden").SetGroupID(group)))(t)
	names := func(o *iamidentityv1.ListServiceIdsOptions) string {
		t.Helper()
		var out []string
		for _, s := range done(w.identity.ListServiceIds(o.SetAccountID(cloud.AccountID)))(t).Serviceids {
			out = append(out, *s.Name)
		}
		return strings.Join(out, " ")
	}
	list := w.identity.NewListServiceIdsOptions
	for _, test := range []struct{ what, got, want string }{
		{"the default group only", names(list()), "latchkey b a b"},
		{"a name, exactly", names(list().SetName("b")), "b b"},
		{"another group, if it is named", names(list().SetGroupID(group)), "hidden"},
		{"a filter", names(list().SetFilter(`name co "atch"`)), "latchkey"},
		{"sorted", names(list().SetSort("name")), "a b b latchkey"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.what, test.got, test.want)
		}
	}
	r, body := w.raw("GET", "/v1/serviceids?account_id="+cloud.AccountID+"&pagesize=2", "", "Authorization", w.bearer())
	if r.StatusCode != 200 || len(body["serviceids"].([]any)) != 2 || body["next"] == nil {
		t.Errorf("without the trailing slash: %d %v", r.StatusCode, body)
	}
	_, _, err := w.identity.ListServiceIds(list())
	refused(t, err, 400, "validation_error")
}

func TestIdentityAccess(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	key := w.newKey(*sid.IamID, "k")
	calls := map[string]func(w *world) error{
		"list service IDs": func(w *world) error {
			_, _, err := w.identity.ListServiceIds(w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID))
			return err
		},
		"create a service ID": func(w *world) error {
			_, _, err := w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "x"))
			return err
		},
		"get a service ID": func(w *world) error {
			_, _, err := w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*sid.ID))
			return err
		},
		"update a service ID": func(w *world) error {
			_, _, err := w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*sid.ID, "*").SetName("x"))
			return err
		},
		"delete a service ID": func(w *world) error {
			_, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID))
			return err
		},
		"lock a service ID": func(w *world) error {
			_, err := w.identity.LockServiceID(w.identity.NewLockServiceIDOptions(*sid.ID))
			return err
		},
		"list keys": func(w *world) error {
			_, _, err := w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID))
			return err
		},
		"list all keys": func(w *world) error {
			_, _, err := w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetAccountID(cloud.AccountID).SetScope("account"))
			return err
		},
		"create a key": func(w *world) error {
			_, _, err := w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("x", *sid.IamID))
			return err
		},
		"look a key up by value": func(w *world) error {
			_, _, err := w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(*key.Apikey))
			return err
		},
		"get a key": func(w *world) error {
			_, _, err := w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*key.ID))
			return err
		},
		"update a key": func(w *world) error {
			_, _, err := w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(*key.ID, "*").SetName("x"))
			return err
		},
		"delete a key": func(w *world) error {
			_, err := w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID))
			return err
		},
		"lock a key": func(w *world) error {
			_, err := w.identity.LockAPIKey(w.identity.NewLockAPIKeyOptions(*key.ID))
			return err
		},
		"disable a key": func(w *world) error {
			_, err := w.identity.DisableAPIKey(w.identity.NewDisableAPIKeyOptions(*key.ID))
			return err
		},
	}
	stranger, anonymous, forged := w.stranger(), w.as(""), w.as("a.b.c")
	for name, call := range calls {
		t.Run("a stranger may not "+name, func(t *testing.T) {
			refused(t, call(stranger), 403, "forbidden")
		})
		t.Run("a call without a token may not "+name, func(t *testing.T) {
			refused(t, call(anonymous), 401, "invalid_access_token")
			refused(t, call(forged), 401, "invalid_access_token")
		})
	}
}

func TestAnIdentityMayLookAtItself(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("consumer")
	self := w.as(w.token(key.Value))
	list := done(self.identity.ListAPIKeys(self.identity.NewListAPIKeysOptions()))(t)
	if len(list.Apikeys) != 1 || *list.Apikeys[0].ID != key.ID {
		t.Errorf("own keys %v", list.Apikeys)
	}
	done(self.identity.GetServiceID(self.identity.NewGetServiceIDOptions(sid.ID)))(t)
	_, err := self.identity.DeleteAPIKey(self.identity.NewDeleteAPIKeyOptions(key.ID))
	refused(t, err, 403, "forbidden")
}

func TestTheCreatorAdministersItsServiceID(t *testing.T) {
	w := newWorld(t)
	creator, key := w.Cloud().AddIdentity("creator")
	w.Cloud().Grant(creator.IAMID, "iam-identity", "crn:v1:bluemix:public:iam-identity::::serviceRole:ServiceIdCreator")
	c := w.as(w.token(key.Value))
	own := c.newServiceID("own")
	c.newKey(*own.IamID, "k")
	foreign := w.newServiceID("foreign")
	_, _, err := c.identity.CreateAPIKey(c.identity.NewCreateAPIKeyOptions("k", *foreign.IamID))
	refused(t, err, 403, "forbidden")
}

func TestKeysOfALockedServiceIDAreAGuess(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	w.Cloud().SetServiceIDLocked(*sid.ID, true)
	w.newKey(*sid.IamID, "k")
	n := w.Settings()
	n.Switches.LockedTakesKeys = false
	w.Set(n)
	_, _, err := w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID))
	refused(t, err, 409, "conflict")
}
