package emulator_test

import (
	"strconv"
	"testing"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// owner acts as the owner of the account, with the roles on templates.
func newOwner(t *testing.T) *world {
	t.Helper()
	w := newWorldWith(t, emulator.Options{})
	return w.as(w.ownerToken())
}

func (w *world) profileTemplate(name string, profile *iamidentityv1.TemplateProfileComponentRequest) *iamidentityv1.TrustedProfileTemplateResponse {
	w.t.Helper()
	made := done(w.identity.CreateProfileTemplate(w.identity.NewCreateProfileTemplateOptions().SetName(name).SetAccountID(cloud.AccountID).SetProfile(profile)))(w.t)
	if _, err := w.identity.CommitProfileTemplate(w.identity.NewCommitProfileTemplateOptions(*made.ID, "1")); err != nil {
		w.t.Fatal(err)
	}
	return made
}

func TestAnAssignedProfileTemplateMakesAProfileInTheChildAccount(t *testing.T) {
	w := newOwner(t)
	rule := iamidentityv1.TrustedProfileTemplateClaimRule{Type: ptr("Profile-SAML"), RealmName: ptr("https://idp"), Expiration: ptr(int64(60)),
		Conditions: []iamidentityv1.ProfileClaimRuleConditions{{Claim: ptr("groups"), Operator: ptr("EQUALS"), Value: ptr(`"a"`)}}}
	made := w.profileTemplate("t", &iamidentityv1.TemplateProfileComponentRequest{Name: ptr("p"), Rules: []iamidentityv1.TrustedProfileTemplateClaimRule{rule}})
	assign := w.identity.NewCreateTrustedProfileAssignmentOptions(*made.ID, 1, "Account", cloud.ChildAccountID)
	assigned := done(w.identity.CreateTrustedProfileAssignment(assign))(t)
	if *assigned.Status != "succeeded" || *assigned.Target != cloud.ChildAccountID || *assigned.TemplateVersion != 1 {
		t.Errorf("assignment %+v", assigned)
	}
	child := done(w.identity.ListProfiles(w.identity.NewListProfilesOptions(cloud.ChildAccountID)))(t).Profiles
	if len(child) != 1 || *child[0].Name != "p" || *child[0].TemplateID != *made.ID || *child[0].AssignmentID != *assigned.ID {
		t.Fatalf("profiles of the child account: %+v", child)
	}
	if rules := done(w.identity.ListClaimRules(w.identity.NewListClaimRulesOptions(*child[0].ID)))(t).Rules; len(rules) != 1 {
		t.Errorf("rules %+v", rules)
	}
	if got := outcome(w.identity.UpdateProfile(w.identity.NewUpdateProfileOptions(*child[0].ID, "*").SetDescription("d"))); got != 409 {
		t.Errorf("change of a profile that a template manages: status %d", got)
	}
	_, err := w.identity.DeleteAllVersionsOfProfileTemplate(w.identity.NewDeleteAllVersionsOfProfileTemplateOptions(*made.ID))
	refused(t, err, 409, "conflict")

	next := done(w.identity.CreateProfileTemplateVersion(w.identity.NewCreateProfileTemplateVersionOptions(*made.ID).
		SetProfile(&iamidentityv1.TemplateProfileComponentRequest{Name: ptr("q")})))(t)
	if _, err := w.identity.CommitProfileTemplate(w.identity.NewCommitProfileTemplateOptions(*made.ID, strconv.FormatInt(*next.Version, 10))); err != nil {
		t.Fatal(err)
	}
	done(w.identity.UpdateTrustedProfileAssignment(w.identity.NewUpdateTrustedProfileAssignmentOptions(*assigned.ID, *assigned.EntityTag, *next.Version)))(t)
	if got := done(w.identity.GetProfile(w.identity.NewGetProfileOptions(*child[0].ID)))(t); *got.Name != "q" {
		t.Errorf("profile of version 2: %+v", got)
	}
	if _, _, err := w.identity.DeleteTrustedProfileAssignment(w.identity.NewDeleteTrustedProfileAssignmentOptions(*assigned.ID)); err != nil {
		t.Fatal(err)
	}
	if left := w.State(false).ChildProfiles; len(left) != 0 {
		t.Errorf("profiles after the assignment: %+v", left)
	}
	if got := outcome(w.identity.GetTrustedProfileAssignment(w.identity.NewGetTrustedProfileAssignmentOptions(*assigned.ID))); got != 404 {
		t.Errorf("deleted assignment: status %d", got)
	}
}

func TestAnAssignedSettingsTemplateGoesBeforeTheAccount(t *testing.T) {
	w := newOwner(t)
	settings := &iamidentityv1.TemplateAccountSettings{Mfa: ptr("LEVEL2"), RestrictCreateServiceID: ptr("NOT_SET"), MaxSessionsPerIdentity: ptr("5")}
	made := done(w.identity.CreateAccountSettingsTemplate(w.identity.NewCreateAccountSettingsTemplateOptions().SetName("t").
		SetAccountID(cloud.AccountID).SetAccountSettings(settings)))(t)
	assign := w.identity.NewCreateAccountSettingsAssignmentOptions(*made.ID, 1, "Account", cloud.ChildAccountID)
	if got := outcome(w.identity.CreateAccountSettingsAssignment(assign)); got != 400 {
		t.Errorf("assignment of a draft: status %d", got)
	}
	if _, err := w.identity.CommitAccountSettingsTemplate(w.identity.NewCommitAccountSettingsTemplateOptions(*made.ID, "1")); err != nil {
		t.Fatal(err)
	}
	done(w.identity.CreateAccountSettingsAssignment(assign))(t)
	got := done(w.identity.GetEffectiveAccountSettings(w.identity.NewGetEffectiveAccountSettingsOptions(cloud.ChildAccountID)))(t)
	if *got.Effective.Mfa != "LEVEL2" || *got.Account.Mfa != "NONE" || *got.Effective.MaxSessionsPerIdentity != "5" ||
		*got.Effective.RestrictCreateServiceID != "NOT_SET" || *got.AssignedTemplates[0].TemplateID != *made.ID {
		t.Errorf("effective settings %+v", got)
	}
	own := done(w.identity.GetEffectiveAccountSettings(w.identity.NewGetEffectiveAccountSettingsOptions(cloud.AccountID)))(t)
	if *own.Effective.Mfa != "NONE" || len(own.AssignedTemplates) != 0 {
		t.Errorf("settings of the account itself: %+v", own)
	}
}

func TestTemplatesOfIdentityAreRejected(t *testing.T) {
	w := newOwner(t)
	profile := func(p *iamidentityv1.TemplateProfileComponentRequest) int {
		return outcome(w.identity.CreateProfileTemplate(w.identity.NewCreateProfileTemplateOptions().SetName("t").SetAccountID(cloud.AccountID).SetProfile(p)))
	}
	settings := func(s *iamidentityv1.TemplateAccountSettings) int {
		return outcome(w.identity.CreateAccountSettingsTemplate(w.identity.NewCreateAccountSettingsTemplateOptions().SetName("t").
			SetAccountID(cloud.AccountID).SetAccountSettings(s)))
	}
	made := w.profileTemplate("t", &iamidentityv1.TemplateProfileComponentRequest{Name: ptr("p")})
	w.profileTemplate("same", &iamidentityv1.TemplateProfileComponentRequest{Name: ptr("p")})
	cr := iamidentityv1.TrustedProfileTemplateClaimRule{Type: ptr("Profile-CR"), Conditions: []iamidentityv1.ProfileClaimRuleConditions{}}
	for name, test := range map[string]struct{ got, want int }{
		"the profile needs a name":                 {profile(&iamidentityv1.TemplateProfileComponentRequest{Name: ptr("")}), 400},
		"a rule is for federated users":            {profile(&iamidentityv1.TemplateProfileComponentRequest{Name: ptr("p"), Rules: []iamidentityv1.TrustedProfileTemplateClaimRule{cr}}), 400},
		"a setting has a known value":              {settings(&iamidentityv1.TemplateAccountSettings{Mfa: ptr("LEVEL9")}), 400},
		"the user list may be left to the account": {settings(&iamidentityv1.TemplateAccountSettings{RestrictUserListVisibility: ptr("NOT_SET")}), 200},
		"a committed version does not change": {outcome(w.identity.UpdateProfileTemplateVersion(
			w.identity.NewUpdateProfileTemplateVersionOptions("*", *made.ID, "1").SetDescription("d"))), 409},
		"an unknown template is not found": {outcome(w.identity.GetLatestProfileTemplateVersion(
			w.identity.NewGetLatestProfileTemplateVersionOptions("none"))), 404},
		"the minter has no role on templates": {outcome(w.as(w.token(w.Ready().APIKey)).identity.ListProfileTemplates(
			w.identity.NewListProfileTemplatesOptions())), 403},
	} {
		if test.got != test.want {
			t.Errorf("%s: status %d, want %d", name, test.got, test.want)
		}
	}
	list := done(w.identity.ListProfileTemplates(w.identity.NewListProfileTemplatesOptions().SetLimit("1").SetSort("name").SetIncludeHistory("true")))(t)
	if len(list.ProfileTemplates) != 1 || *list.ProfileTemplates[0].Name != "same" || list.Next == nil || len(list.ProfileTemplates[0].History) == 0 {
		t.Errorf("first page of templates %+v", list)
	}
}
