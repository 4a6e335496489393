package emulator_test

import (
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func (w *world) newProfile(name string) *iamidentityv1.TrustedProfile {
	w.t.Helper()
	return done(w.identity.CreateProfile(w.identity.NewCreateProfileOptions(name, cloud.AccountID)))(w.t)
}

// outcome keeps the status of a call.
func outcome[T any](_ T, _ *core.DetailedResponse, err error) int {
	if err == nil {
		return 200
	}
	return status(err)
}

func TestTrustedProfileLife(t *testing.T) {
	w := newWorld(t)
	made := w.newProfile("p")
	get := w.identity.NewGetProfileOptions(*made.ID).SetIncludeActivity(true)
	got := done(w.identity.GetProfile(get))(t)
	if *got.IamID != "iam-"+*got.ID || *got.EntityTag != *made.EntityTag || *got.Activity.AuthnCount != 0 {
		t.Errorf("got %+v", got)
	}
	update := w.identity.NewUpdateProfileOptions(*made.ID, *made.EntityTag).SetDescription("d").SetEmail("p@example.com")
	done(w.identity.UpdateProfile(update))(t)
	if got := outcome(w.identity.UpdateProfile(update)); got != 409 {
		t.Errorf("update with a stale tag: status %d", got)
	}
	if _, err := w.Cloud().TokenFor(*made.IamID); err != nil {
		t.Fatal(err)
	}
	got = done(w.identity.GetProfile(get))(t)
	if *got.Description != "d" || *got.Email != "p@example.com" || *got.Activity.AuthnCount != 1 {
		t.Errorf("after the update: %+v", got)
	}
	list := done(w.identity.ListProfiles(w.identity.NewListProfilesOptions(cloud.AccountID).SetPagesize(1).SetSort("name").SetOrder("desc")))(t)
	if len(list.Profiles) != 1 || *list.Profiles[0].Name != "p" || list.Next == nil {
		t.Errorf("listed %+v", list)
	}
	found := done(w.identity.ListProfiles(w.identity.NewListProfilesOptions(cloud.AccountID).SetFilter(`description eq "d"`).SetIncludeHistory(true)))(t)
	if len(found.Profiles) != 1 || len(found.Profiles[0].History) != 2 || *found.Profiles[0].ID != *made.ID {
		t.Errorf("found %+v", found)
	}
}

func TestProfilesAreRejected(t *testing.T) {
	w := newWorld(t)
	made := w.newProfile("p")
	w.newProfile("taken")
	create := func(name, account string) int {
		return outcome(w.identity.CreateProfile(w.identity.NewCreateProfileOptions(name, account)))
	}
	update := func(id, tag, name string) int {
		return outcome(w.identity.UpdateProfile(w.identity.NewUpdateProfileOptions(id, tag).SetName(name)))
	}
	for name, test := range map[string]struct{ got, want int }{
		"a name is unique in the account":               {create("p", cloud.AccountID), 409},
		"an account has 32 hexadecimal digits":          {create("q", "InvalidID"), 400},
		"another account is forbidden":                  {create("q", cloud.ChildAccountID), 403},
		"a name is not empty":                           {update(*made.ID, "*", ""), 400},
		"a profile cannot take the name of another":     {update(*made.ID, "*", "taken"), 409},
		"an unknown profile is not found":               {update("none", "dummy", "q"), 404},
		"a name is checked before the profile is found": {update("none", "dummy", ""), 400},
	} {
		if test.got != test.want {
			t.Errorf("%s: status %d, want %d", name, test.got, test.want)
		}
	}
}

func TestADeletedProfileTakesItsPoliciesAndMemberships(t *testing.T) {
	w := newWorld(t)
	made := w.newProfile("p")
	w.Cloud().Grant(*made.IamID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	if _, err := w.Cloud().AddGroup(cloud.NewGroup{Name: "g", Members: []string{*made.IamID}}); err != nil {
		t.Fatal(err)
	}
	before := w.State(false)
	if _, err := w.identity.DeleteProfile(w.identity.NewDeleteProfileOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	after := w.State(false)
	if len(after.Policies) != len(before.Policies)-1 || len(after.Groups[0].Members) != 0 || len(after.Profiles) != 1 {
		t.Errorf("%d policies of %d, group %+v, %d profiles", len(after.Policies), len(before.Policies), after.Groups[0], len(after.Profiles))
	}
	if _, err := w.Cloud().TokenFor(*made.IamID); err == nil {
		t.Error("a deleted profile gets a token")
	}
}

func TestClaimRules(t *testing.T) {
	w := newWorld(t)
	p := w.newProfile("p")
	condition := func(operator, value string) []iamidentityv1.ProfileClaimRuleConditions {
		return []iamidentityv1.ProfileClaimRuleConditions{{Claim: ptr("groups"), Operator: &operator, Value: &value}}
	}
	saml := func(operator, value string) *iamidentityv1.CreateClaimRuleOptions {
		return w.identity.NewCreateClaimRuleOptions(*p.ID, "Profile-SAML", condition(operator, value)).SetRealmName("https://idp").SetExpiration(60)
	}
	cr := func(kind string) *iamidentityv1.CreateClaimRuleOptions {
		return w.identity.NewCreateClaimRuleOptions(*p.ID, "Profile-CR", condition("EQUALS", `"a"`)).SetCrType(kind)
	}
	for name, test := range map[string]struct {
		rule *iamidentityv1.CreateClaimRuleOptions
		want int
	}{
		"federated users by a claim":                {saml("IN", `["a","b"]`), 200},
		"a compute resource":                        {cr("CE"), 200},
		"an unknown operator":                       {saml("LIKE", `"a"`), 400},
		"a value that is not JSON":                  {saml("EQUALS", "a"), 400},
		"an unknown kind of compute resource":       {cr("LAPTOP"), 400},
		"federated users without a realm":           {w.identity.NewCreateClaimRuleOptions(*p.ID, "Profile-SAML", condition("EQUALS", `"a"`)).SetExpiration(60), 400},
		"an unknown type, on a profile that is not": {w.identity.NewCreateClaimRuleOptions("none", "Profile", condition("EQUALS", `"a"`)), 400},
		"a profile that is not":                     {cr("VSI").SetProfileID("none"), 404},
	} {
		if got := outcome(w.identity.CreateClaimRule(test.rule)); got != test.want {
			t.Errorf("%s: status %d, want %d", name, got, test.want)
		}
	}
	rules := done(w.identity.ListClaimRules(w.identity.NewListClaimRulesOptions(*p.ID)))(t).Rules
	if len(rules) != 2 {
		t.Fatalf("rules %+v", rules)
	}
	update := w.identity.NewUpdateClaimRuleOptions(*p.ID, *rules[0].ID, *rules[0].EntityTag, "Profile-CR", condition("EQUALS", `"c"`)).SetCrType("VSI")
	changed := done(w.identity.UpdateClaimRule(update))(t)
	if *changed.CrType != "VSI" || changed.RealmName != nil || *changed.Conditions[0].Value != `"c"` {
		t.Errorf("changed to %+v", changed)
	}
	if got := outcome(w.identity.UpdateClaimRule(update)); got != 409 {
		t.Errorf("update with a stale tag: status %d", got)
	}
}

func TestLinksToComputeResources(t *testing.T) {
	w := newWorld(t)
	p := w.newProfile("p")
	crn := func(account string) *string {
		return ptr("crn:v1:bluemix:public:codeengine:eu-de:a/" + account + ":project::")
	}
	link := func(kind string, to iamidentityv1.CreateProfileLinkRequestLink) int {
		return outcome(w.identity.CreateLink(w.identity.NewCreateLinkOptions(*p.ID, kind, &to)))
	}
	component := iamidentityv1.CreateProfileLinkRequestLink{CRN: crn(cloud.AccountID), ComponentType: ptr("application"), ComponentName: ptr("web")}
	for _, test := range []struct {
		name      string
		got, want int
	}{
		{"an application", link("CE", component), 200},
		{"the same application again", link("CE", component), 409},
		{"a component without a name", link("CE", iamidentityv1.CreateProfileLinkRequestLink{CRN: crn(cloud.AccountID), ComponentType: ptr("job")}), 400},
		{"a service account without a namespace", link("IKS_SA", iamidentityv1.CreateProfileLinkRequestLink{CRN: crn(cloud.AccountID), Name: ptr("sa")}), 400},
		{"a resource of another account", link("VSI", iamidentityv1.CreateProfileLinkRequestLink{CRN: crn(cloud.ChildAccountID)}), 400},
		{"something that is no CRN", link("VSI", iamidentityv1.CreateProfileLinkRequestLink{CRN: ptr("vsi")}), 400},
		{"an unknown kind", link("LAPTOP", component), 400},
	} {
		if test.got != test.want {
			t.Errorf("%s: status %d, want %d", test.name, test.got, test.want)
		}
	}
	remove := w.identity.NewDeleteLinkByParametersOptions(*p.ID, "CE").SetCRN(*component.CRN).SetComponentType("application").SetComponentName("web")
	if _, err := w.identity.DeleteLinkByParameters(remove); err != nil {
		t.Fatal(err)
	}
	_, err := w.identity.DeleteLinkByParameters(remove)
	refused(t, err, 404, "not_found")
}

func TestIdentitiesOfAProfile(t *testing.T) {
	w := newWorld(t)
	p, sid := w.newProfile("p"), w.newServiceID("s")
	set := func(n iamidentityv1.ProfileIdentityRequest) int {
		return outcome(w.identity.SetProfileIdentity(w.identity.NewSetProfileIdentityOptions(*p.ID, *n.Type, *n.Identifier, *n.Type).SetAccounts(n.Accounts)))
	}
	user := iamidentityv1.ProfileIdentityRequest{Type: ptr("user"), Identifier: ptr(cloud.OwnerIAMID), Accounts: []string{cloud.AccountID}}
	service := iamidentityv1.ProfileIdentityRequest{Type: ptr("serviceid"), Identifier: sid.ID}
	other := service
	other.Accounts = user.Accounts
	for name, test := range map[string]struct{ got, want int }{
		"a user of an account":                {set(user), 200},
		"a service ID":                        {set(service), 200},
		"a service ID does not name accounts": {set(other), 400},
		"a service is a CRN":                  {set(iamidentityv1.ProfileIdentityRequest{Type: ptr("crn"), Identifier: ptr("web")}), 400},
		"the type is user, serviceid or crn":  {set(iamidentityv1.ProfileIdentityRequest{Type: ptr("group"), Identifier: ptr("g")}), 400},
	} {
		if test.got != test.want {
			t.Errorf("%s: status %d, want %d", name, test.got, test.want)
		}
	}
	got := done(w.identity.GetProfileIdentity(w.identity.NewGetProfileIdentityOptions(*p.ID, "serviceid", *sid.ID)))(t)
	if *got.IamID != *sid.IamID {
		t.Errorf("identity %+v", got)
	}
	all := done(w.identity.GetProfileIdentities(w.identity.NewGetProfileIdentitiesOptions(*p.ID)))(t)
	replace := w.identity.NewSetProfileIdentitiesOptions(*p.ID, *all.EntityTag).SetIdentities([]iamidentityv1.ProfileIdentityRequest{user})
	if all = done(w.identity.SetProfileIdentities(replace))(t); len(all.Identities) != 1 {
		t.Errorf("identities %+v", all)
	}
	if got := outcome(w.identity.SetProfileIdentities(replace)); got != 409 {
		t.Errorf("replacement with a stale tag: status %d", got)
	}
	_, err := w.identity.DeleteProfileIdentity(w.identity.NewDeleteProfileIdentityOptions(*p.ID, "serviceid", *sid.ID))
	refused(t, err, 404, "not_found")
}
