package emulator_test

import (
	"fmt"
	"testing"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func (w *world) newIDGroup(name string) *iamidentityv1.ServiceIDGroup {
	w.t.Helper()
	return done(w.identity.CreateServiceIDGroup(w.identity.NewCreateServiceIDGroupOptions(cloud.AccountID, name)))(w.t)
}

func TestServiceIDGroupLife(t *testing.T) {
	w := newWorld(t)
	made := w.newIDGroup("g")
	_, _, err := w.identity.CreateServiceIDGroup(w.identity.NewCreateServiceIDGroupOptions(cloud.AccountID, "g"))
	refused(t, err, 409, "conflict")
	_, _, err = w.identity.CreateServiceIDGroup(w.identity.NewCreateServiceIDGroupOptions("other", "h"))
	refused(t, err, 403, "forbidden")
	_, _, err = w.identity.CreateServiceIDGroup(w.identity.NewCreateServiceIDGroupOptions(cloud.AccountID, ""))
	refused(t, err, 400, "validation_error")

	got, response, err := w.identity.GetServiceIDGroup(w.identity.NewGetServiceIDGroupOptions(*made.ID))
	if err != nil {
		t.Fatal(err)
	}
	tag := response.GetHeaders().Get("Etag")
	if tag == "" || tag != *got.EntityTag || *got.Name != "g" || *got.CreatedBy != w.Cloud().Minter().IAMID {
		t.Errorf("ETag %q of %+v", tag, got)
	}
	update := func(tag, name string) error {
		_, _, err := w.identity.UpdateServiceIDGroup(w.identity.NewUpdateServiceIDGroupOptions(*made.ID, tag, name).SetDescription("d"))
		return err
	}
	w.newIDGroup("taken")
	refused(t, update(tag, "taken"), 409, "conflict")
	if err := update(tag, "h"); err != nil {
		t.Fatal(err)
	}
	refused(t, update(tag, "i"), 409, "conflict")
	list := done(w.identity.ListServiceIDGroup(w.identity.NewListServiceIDGroupOptions().SetAccountID(cloud.AccountID)))(t)
	if len(list.ServiceidGroups) != 2 || *list.ServiceidGroups[0].Name != "h" || *list.ServiceidGroups[0].Description != "d" {
		t.Errorf("listed %+v", list.ServiceidGroups)
	}

	sid := done(w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "s").SetGroupID(*made.ID)))(t)
	_, err = w.identity.DeleteServiceIDGroup(w.identity.NewDeleteServiceIDGroupOptions(*made.ID))
	refused(t, err, 409, "conflict")
	w.Cloud().RemoveServiceID(*sid.ID)
	if _, err = w.identity.DeleteServiceIDGroup(w.identity.NewDeleteServiceIDGroupOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.identity.GetServiceIDGroup(w.identity.NewGetServiceIDGroupOptions(*made.ID))
	refused(t, err, 404, "not_found")

	stranger := w.stranger()
	_, _, err = stranger.identity.ListServiceIDGroup(w.identity.NewListServiceIDGroupOptions().SetAccountID(cloud.AccountID))
	refused(t, err, 403, "forbidden")
	_, _, err = w.as("").identity.GetServiceIDGroup(w.identity.NewGetServiceIDGroupOptions(*made.ID))
	refused(t, err, 401, "invalid_access_token")
}

func TestAGroupHidesItsServiceIDsAndTheirKeys(t *testing.T) {
	w := newWorld(t)
	g := w.newIDGroup("g")
	_, _, err := w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "s").SetGroupID("none"))
	refused(t, err, 404, "not_found")
	sid := done(w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "s").SetGroupID(*g.ID)))(t)
	w.newKey(*sid.IamID, "k")
	for name, test := range map[string]struct {
		group string
		want  string
	}{
		"without a group only the default one is seen": {"", "0 0"},
		"the group, if it is named, is seen":           {*g.ID, "1 1"},
		"another group does not have them":             {"other", "0 0"},
	} {
		t.Run(name, func(t *testing.T) {
			ids := w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetName("s")
			keys := w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)
			if test.group != "" {
				ids.SetGroupID(test.group)
				keys.SetGroupID(test.group)
			}
			got := fmt.Sprint(len(done(w.identity.ListServiceIds(ids))(t).Serviceids), " ", len(done(w.identity.ListAPIKeys(keys))(t).Apikeys))
			if got != test.want {
				t.Errorf("service IDs and keys %s, want %s", got, test.want)
			}
		})
	}
}

func TestAccountLimits(t *testing.T) {
	w := newWorld(t)
	g := w.newIDGroup("g")
	sid := done(w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "s").SetGroupID(*g.ID)))(t)
	w.newKey(*sid.IamID, "k")
	check := func(l *iamidentityv1.IdentityLimitsUsageResponse) {
		t.Helper()
		if *l.ServiceidGroups.Count != 1 || *l.Profiles.Limit != 2000 || *l.Profiles.Count != 1 ||
			*l.ServiceidsPerGroup.Limit != 2000 || *l.ServiceidsPerGroup.ServiceidGroups[0].Count != 1 ||
			*l.ApikeysPerIdentity.Limit != 20 || len(l.ApikeysPerIdentity.Identities) != 1 || *l.ApikeysPerIdentity.Identities[0].Count != 1 {
			t.Errorf("limits %+v", l)
		}
	}
	get := w.identity.NewGetAccountLimitsOptions(cloud.AccountID)
	if l := done(w.identity.GetAccountLimits(get))(t); l.ServiceidGroups != nil || l.ApikeysPerIdentity != nil {
		t.Errorf("limits that were not asked for: %+v", l)
	}
	check(done(w.identity.GetAccountLimits(get.SetServiceidGroups(true).SetServiceidsPerGroup(*g.ID + ",none").SetProfiles("true").
		SetApikeysPerIdentity(*sid.IamID + ",iam-ServiceId-0")))(t))
	check(done(w.identity.BulkListAccountEntityConsumption(w.identity.NewBulkListAccountEntityConsumptionOptions(cloud.AccountID).
		SetServiceidGroups(true).SetServiceidsPerGroup([]string{*g.ID}).SetProfiles(true).SetApikeysPerIdentity([]string{*sid.IamID})))(t))
	_, _, err := w.identity.GetAccountLimits(w.identity.NewGetAccountLimitsOptions("other"))
	refused(t, err, 403, "forbidden")
	_, _, err = w.stranger().identity.GetAccountLimits(get)
	refused(t, err, 403, "forbidden")
}

func TestKeysOfUsers(t *testing.T) {
	w := newWorld(t)
	u := w.Cloud().AddUser("b@example.com")
	token, err := w.Cloud().TokenFor(u.IAMID)
	if err != nil {
		t.Fatal(err)
	}
	user := w.as(token.AccessToken)
	key := user.newKey(u.IAMID, "mine")
	user.as(user.token(*key.Apikey)).newKey(u.IAMID, "mine, too")

	for name, err := range map[string]error{
		"the minter makes none for a user": second(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", u.IAMID))),
		"a user makes none for the owner":  second(user.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", cloud.OwnerIAMID))),
		"the list of a user is private":    second(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(u.IAMID))),
		"a user sees not all keys":         second(user.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetScope("account").SetAccountID(cloud.AccountID))),
		"the minter deletes none of them": func() error {
			_, err := w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID))
			return err
		}(),
	} {
		t.Run(name, func(t *testing.T) { refused(t, err, 403, "forbidden") })
	}
	if own := done(user.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions()))(t); len(own.Apikeys) != 2 {
		t.Errorf("the user lists %d keys", len(own.Apikeys))
	}
	count := func(kind string) int {
		o := w.identity.NewListAPIKeysOptions().SetScope("account").SetAccountID(cloud.AccountID).SetGroupID("ignored for users")
		if kind != "" {
			o.SetType(kind)
		}
		return len(done(w.identity.ListAPIKeys(o))(t).Apikeys)
	}
	if got := fmt.Sprint(count("user"), count("serviceid"), count("")); got != "3 0 3" {
		t.Errorf("keys of users, of service IDs and of both: %s", got)
	}
	if _, err := user.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID)); err != nil {
		t.Error(err)
	}
}

func second[T, R any](_ T, _ R, err error) error { return err }
