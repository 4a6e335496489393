package emulator_test

import (
	"testing"
	"time"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestIdentityProvidersAndTheirUse(t *testing.T) {
	w := newOwner(t)
	secrets := &iamidentityv1.CreateIdpRequestSecrets{Sp: &iamidentityv1.CreateIdpRequestSecretsSp{
		Signing: []iamidentityv1.CreateIdpRequestSecretsSpSigningItem{{CertificateValue: ptr("c"), KeyValue: ptr("private"), Type: ptr("primary")}}}}
	made := done(w.identity.CreateIdp(w.identity.NewCreateIdpOptions(cloud.AccountID, "idp", "saml").SetSecrets(secrets)))(t)
	key := made.Secrets["sp"].(map[string]any)["signing"].([]any)[0].(map[string]any)
	if !*made.Active || key["certificate_value"] != "c" || key["key_value"] != nil {
		t.Errorf("identity provider %+v", made)
	}
	update := w.identity.NewUpdateIdpOptions(*made.IdpID, *made.EntityTag).SetActive(false).SetProperties(
		&iamidentityv1.UpdateIdpRequestProperties{Idp: &iamidentityv1.UpdateIdpRequestPropertiesIdp{EntityID: ptr("https://idp")}})
	if got := done(w.identity.UpdateIdp(update))(t); *got.Active || got.Properties["idp"].(map[string]any)["entity_id"] != "https://idp" {
		t.Errorf("updated %+v", got)
	}
	if got := outcome(w.identity.UpdateIdp(update)); got != 409 {
		t.Errorf("update with a stale tag: status %d", got)
	}

	add := w.identity.NewAddIDPSettingOptions(cloud.AccountID, *made.IdpID, "STATIC", true, true)
	done(w.identity.AddIDPSetting(add))(t)
	second := done(w.identity.CreateIdp(w.identity.NewCreateIdpOptions(cloud.AccountID, "second", "ldap")))(t)
	done(w.identity.AddIDPSetting(w.identity.NewAddIDPSettingOptions(cloud.AccountID, *second.IdpID, "NEVER", true, true)))(t)
	used := done(w.identity.ListIDPSettings(w.identity.NewListIDPSettingsOptions(cloud.AccountID, "consumed").SetIncludeIdpMetadata("true")))(t).Idps
	if len(used) != 2 || *used[0].UIDefault || !*used[1].UIDefault || *used[0].IdpName != "idp" || *used[1].CloudUserStrategy != "NEVER" {
		t.Errorf("an account has one default: %+v", used)
	}
	consumers := done(w.identity.ListConsumerAccounts(w.identity.NewListConsumerAccountsOptions(*made.IdpID)))(t).Consumers
	if len(consumers) != 1 || *consumers[0].AccountID != cloud.AccountID {
		t.Errorf("consumers %+v", consumers)
	}
	for _, test := range []struct {
		name      string
		got, want int
	}{
		{"the account uses it already", outcome(w.identity.AddIDPSetting(add)), 409},
		{"an unknown strategy", outcome(w.identity.UpdateIDPSetting(w.identity.NewUpdateIDPSettingOptions(cloud.AccountID, *made.IdpID).SetCloudUserStrategy("OFTEN"))), 400},
		{"an unknown provider", outcome(w.identity.GetIDPSetting(w.identity.NewGetIDPSettingOptions(cloud.AccountID, "none"))), 404},
		{"an unknown type of provider", outcome(w.identity.CreateIdp(w.identity.NewCreateIdpOptions(cloud.AccountID, "p", "oidc"))), 400},
		{"an account that is not the caller's", outcome(w.identity.GetLoginSettings(w.identity.NewGetLoginSettingsOptions("other"))), 403},
	} {
		if test.got != test.want {
			t.Errorf("%s: status %d, want %d", test.name, test.got, test.want)
		}
	}
	_, err := w.identity.DeleteIdp(w.identity.NewDeleteIdpOptions(*made.IdpID))
	refused(t, err, 409, "conflict")
	if _, err := w.identity.RemoveIDPSetting(w.identity.NewRemoveIDPSettingOptions(cloud.AccountID, *made.IdpID)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.identity.DeleteIdp(w.identity.NewDeleteIdpOptions(*made.IdpID)); err != nil {
		t.Fatal(err)
	}
}

func TestMFAOfUsers(t *testing.T) {
	w := newOwner(t)
	status := func() *iamidentityv1.IDBasedMfaEnrollment {
		t.Helper()
		return done(w.identity.GetMfaStatus(w.identity.NewGetMfaStatusOptions(cloud.AccountID, cloud.OwnerIAMID)))(t).IDBasedMfa
	}
	if got := status(); *got.TraitEffective != "NONE" || !*got.Complies {
		t.Errorf("without a requirement: %+v", got)
	}
	done(w.identity.UpdateAccountSettings(w.identity.NewUpdateAccountSettingsOptions("*", cloud.AccountID).SetMfa("LEVEL1").
		SetUserMfa([]iamidentityv1.UserMfa{{IamID: ptr(cloud.OwnerIAMID), Mfa: ptr("LEVEL3")}})))(t)
	if got := status(); *got.TraitAccountDefault != "LEVEL1" || *got.TraitEffective != "LEVEL3" || *got.Complies {
		t.Errorf("with a requirement: %+v", got)
	}
	reference := done(w.identity.CreateMfaReport(w.identity.NewCreateMfaReportOptions(cloud.AccountID).SetType("mfa_status")))(t).Reference
	w.Advance(time.Minute)
	report := done(w.identity.GetMfaReport(w.identity.NewGetMfaReportOptions(cloud.AccountID, *reference)))(t)
	if len(report.Users) != 1 || *report.CreatedBy != cloud.OwnerIAMID || *report.Users[0].IDBasedMfa.TraitUserSpecific != "LEVEL3" {
		t.Errorf("report %+v", report)
	}
}

func TestPreferencesOfTrustedProfiles(t *testing.T) {
	w := newOwner(t)
	p, sid := w.newProfile("p"), w.newServiceID("s")
	set := func(iamID, id string) *iamidentityv1.UpdatePreferenceOnScopeAccountOptions {
		return w.identity.NewUpdatePreferenceOnScopeAccountOptions(cloud.AccountID, iamID, "console", id)
	}
	for name, test := range map[string]struct {
		options *iamidentityv1.UpdatePreferenceOnScopeAccountOptions
		want    int
	}{
		"a landing page":                       {set(*p.IamID, "landing_page").SetValueString("/iam"), 200},
		"entries of the navigation":            {set(*p.IamID, "global_left_navigation").SetValueListOfStrings([]string{"sap", "is"}), 200},
		"a landing page with a host":           {set(*p.IamID, "landing_page").SetValueString("https://example.com"), 400},
		"an unknown entry of the navigation":   {set(*p.IamID, "global_left_navigation").SetValueListOfStrings([]string{"casino"}), 400},
		"an unknown preference":                {set(*p.IamID, "colour").SetValueString("red"), 400},
		"a service ID that has no preferences": {set(*sid.IamID, "landing_page").SetValueString("/iam"), 404},
	} {
		if got := outcome(w.identity.UpdatePreferenceOnScopeAccount(test.options)); got != test.want {
			t.Errorf("%s: status %d, want %d", name, got, test.want)
		}
	}
	all := done(w.identity.GetAllPreferencesOnScopeAccount(w.identity.NewGetAllPreferencesOnScopeAccountOptions(cloud.AccountID, *p.IamID)))(t)
	if len(all.Preferences) != 2 {
		t.Errorf("preferences %+v", all.Preferences)
	}
	if _, err := w.identity.DeletePreferencesOnScopeAccount(w.identity.NewDeletePreferencesOnScopeAccountOptions(cloud.AccountID, *p.IamID, "console", "landing_page")); err != nil {
		t.Fatal(err)
	}
	if got := outcome(w.identity.GetPreferencesOnScopeAccount(w.identity.NewGetPreferencesOnScopeAccountOptions(cloud.AccountID, *p.IamID, "console", "landing_page"))); got != 404 {
		t.Errorf("deleted preference: status %d", got)
	}
}
