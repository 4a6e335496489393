package emulator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestActivityOfKeysAndServiceIDs(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	one, two := w.newKey(*sid.IamID, "one"), w.newKey(*sid.IamID, "two")
	activity := func() string {
		t.Helper()
		k := done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*one.ID).SetIncludeActivity(true)))(t).Activity
		s := done(w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*sid.ID).SetIncludeActivity(true)))(t).Activity
		text := func(last *string) string {
			if last == nil {
				return "never"
			}
			return (*last)[11:16]
		}
		return fmt.Sprint("key ", *k.AuthnCount, " ", text(k.LastAuthn), ", service ID ", *s.AuthnCount, " ", text(s.LastAuthn))
	}
	expect := func(want string) {
		t.Helper()
		if got := activity(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	expect("key 0 never, service ID 0 never")
	w.token(*one.Apikey)
	expect("key 1 10:00, service ID 1 10:00")
	w.Advance(time.Minute)
	w.token(*two.Apikey)
	expect("key 1 10:00, service ID 2 10:01")

	n := w.Settings()
	n.ActivityLag.Duration = 5 * time.Minute
	w.Set(n)
	w.Advance(time.Minute)
	w.token(*one.Apikey)
	w.Advance(2 * time.Minute)
	w.token(*one.Apikey)
	expect("key 1 10:00, service ID 2 10:01")
	w.Advance(3 * time.Minute)
	expect("key 2 10:02, service ID 3 10:02")
	w.Advance(2 * time.Minute)
	expect("key 3 10:04, service ID 4 10:04")

	fresh := w.newKey(*sid.IamID, "fresh")
	w.token(*fresh.Apikey)
	got := done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*fresh.ID).SetIncludeActivity(true)))(t).Activity
	if *got.AuthnCount != 0 || got.LastAuthn != nil {
		t.Errorf("a first authentication is seen at once: %+v", got)
	}
	if k := done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*one.ID)))(t); k.Activity != nil {
		t.Error("activity without include_activity")
	}
	if s := done(w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*sid.ID)))(t); s.Activity != nil {
		t.Error("activity without include_activity")
	}
	list := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t)
	for _, k := range list.Apikeys {
		if k.Activity != nil {
			t.Error("a list shows activity")
		}
	}
}

func TestKeysThatExpiredLongAgoAreDeleted(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	expiring := func(name string) string {
		t.Helper()
		o := w.identity.NewCreateAPIKeyOptions(name, *sid.IamID).SetExpiresAt(cloud.FormatTime(start.Add(24 * time.Hour)))
		return *done(w.identity.CreateAPIKey(o))(t).ID
	}
	plain, changed, locked := expiring("plain"), expiring("changed"), expiring("locked")
	w.newKey(*sid.IamID, "for ever")
	if _, err := w.identity.LockAPIKey(w.identity.NewLockAPIKeyOptions(locked)); err != nil {
		t.Fatal(err)
	}
	names := func() string {
		t.Helper()
		w = w.as(w.token(w.Ready().APIKey)) // tokens do not live as long
		var out []string
		for _, k := range done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t).Apikeys {
			out = append(out, *k.Name)
		}
		return fmt.Sprint(out)
	}
	w.Advance(90 * 24 * time.Hour)
	if got := names(); got != "[plain changed locked for ever]" {
		t.Errorf("89 days after they expired there are %s", got)
	}
	done(w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(changed, "*").SetDescription("still here")))(t)
	w.Advance(24 * time.Hour)
	if got := names(); got != "[changed for ever]" {
		t.Errorf("90 days after they expired there are %s", got)
	}
	_, _, err := w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(plain))
	refused(t, err, 404, "not_found")
	w.Advance(90 * 24 * time.Hour)
	if got := names(); got != "[for ever]" {
		t.Errorf("90 days after the last change there are %s", got)
	}
}

func TestActivityReports(t *testing.T) {
	w := newWorldWith(t, emulator.Options{SeedCredentials: 3})
	sid := w.newServiceID("busy")
	key := w.newKey(*sid.IamID, "busy")
	w.Advance(10 * 24 * time.Hour)
	w = w.as(w.token(w.Ready().APIKey))
	w.token(*key.Apikey)
	create := w.identity.NewCreateReportOptions(cloud.AccountID).SetType("inactive").SetDuration("120")
	made, response, err := w.identity.CreateReport(create)
	if err != nil || response.StatusCode != 202 {
		t.Fatalf("status %v: %v", response, err)
	}
	get := w.identity.NewGetReportOptions(cloud.AccountID, *made.Reference)
	if _, response, err = w.identity.GetReport(get); err != nil || response.StatusCode != 204 {
		t.Errorf("while it is being made: status %d, %v", response.StatusCode, err)
	}
	w.Advance(time.Minute)
	report := done(w.identity.GetReport(get))(t)
	if *report.CreatedBy != w.Cloud().Minter().IAMID || *report.ReportDuration != "120" || len(report.Serviceids) != 3 || len(report.Apikeys) != 4 ||
		len(report.Profiles) != 1 || report.Users == nil {
		t.Errorf("report %+v", report)
	}
	if k := report.Apikeys[0]; *k.Type != "user" || *k.User.IamID != cloud.OwnerIAMID {
		t.Errorf("the owner's key is %+v", k)
	}
	if k := report.Apikeys[1]; *k.Type != "serviceid" || *k.Serviceid.Name != "seed-1" || k.LastAuthn != nil {
		t.Errorf("key %+v", k)
	}
	latest := w.identity.NewGetReportOptions(cloud.AccountID, "latest")
	if got := done(w.identity.GetReport(latest))(t); *got.Reference != *made.Reference {
		t.Errorf("the latest report is %s", *got.Reference)
	}
	done(w.identity.CreateReport(create))(t)
	_, _, err = w.identity.GetReport(get)
	refused(t, err, 404, "not_found") // only the latest is kept
	w.Advance(24 * time.Hour)
	w = w.as(w.token(w.Ready().APIKey))
	_, _, err = w.identity.GetReport(latest)
	refused(t, err, 404, "not_found") // for less than a day

	_, _, err = w.identity.CreateReport(w.identity.NewCreateReportOptions(cloud.AccountID).SetType("guilty"))
	refused(t, err, 400, "validation_error")
	for _, hours := range []string{"0", "some", "100001"} {
		_, _, err = w.identity.CreateReport(w.identity.NewCreateReportOptions(cloud.AccountID).SetDuration(hours))
		refused(t, err, 400, "validation_error")
	}
	_, _, err = w.stranger().identity.CreateReport(create)
	refused(t, err, 403, "forbidden")
	_, _, err = w.identity.GetReport(w.identity.NewGetReportOptions("other", "latest"))
	refused(t, err, 403, "forbidden")
}

func TestDetailsOfNoKeyAreABadRequest(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions())
	refused(t, err, 400, "validation_error")
}
