package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestProjectsMadeByHandAreCreatedInTheSameTime(t *testing.T) {
	w := newWorldWith(t, emulator.Options{ProjectDelay: time.Minute})
	for _, p := range w.State(false).Projects {
		if p.Status != "active" {
			t.Errorf("the seeded project %s is %s", p.Name, p.Status)
		}
	}
	p := w.Cloud().AddProject("by-hand", "eu-de")
	status := func() string { return *done(w.ce.GetProject(w.ce.NewGetProjectOptions(p.ID)))(t).Status }
	w.Advance(59 * time.Second)
	if p.Status != "creating" || status() != "creating" {
		t.Errorf("born %s, then %s", p.Status, status())
	}
	refused(t, problem(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(p.ID, "generic", "s"))), 409, "project_not_active")
	w.Advance(time.Second)
	if status() != "active" {
		t.Errorf("after the delay: %s", status())
	}
}

func TestEveryProjectIsBornCreating(t *testing.T) {
	w := newWorld(t) // no delay
	made := done(w.ce.CreateProject(w.ce.NewCreateProjectOptions("team-c")))(t)
	if *made.Status != "creating" {
		t.Errorf("born %s", *made.Status)
	}
	if got := done(w.ce.GetProject(w.ce.NewGetProjectOptions(*made.ID)))(t); *got.Status != "active" {
		t.Errorf("then %s", *got.Status)
	}
}

func TestAProjectNameIsFreeInAnotherResourceGroupUnlessItIsOfTheRegion(t *testing.T) {
	const elsewhere = `{"name":"team-a","region":"eu-de","resource_group_id":"b91e849cedb04e7e92bd68c040c672dc"}`
	for perRegion, want := range map[bool]int{false: 202, true: 409} {
		switches := cloud.DefaultSwitches()
		switches.ProjectNamesPerRegion = perRegion
		w := newWorldWith(t, emulator.Options{Switches: &switches})
		if r, body := w.raw("POST", "/v2/projects", elsewhere, "Authorization", w.bearer()); r.StatusCode != want {
			t.Errorf("names per region %t: status %d, want %d: %v", perRegion, r.StatusCode, want, body)
		}
	}
}

func TestASoftlyDeletedProjectKeepsItsNameForSevenDays(t *testing.T) {
	w := newWorld(t)
	create := func() error {
		r, body := w.raw("POST", "/v2/projects", `{"name":"team-a","region":"eu-de"}`, "Authorization", w.bearer())
		if r.StatusCode != 202 {
			return fmt.Errorf("status %d: %v", r.StatusCode, body)
		}
		return nil
	}
	old := w.teamA()
	if err := deletion(w.ce.DeleteProject(w.ce.NewDeleteProjectOptions(old))); err != nil {
		t.Fatal(err)
	}
	renew := func() { w.ce = w.as(w.token(w.Ready().APIKey)).ce }
	w.Advance(7*24*time.Hour - time.Second)
	renew()
	if err := create(); err == nil {
		t.Error("the name was free after less than seven days")
	}
	if got := done(w.ce.GetProject(w.ce.NewGetProjectOptions(old)))(t); *got.Status != "soft_deleted" {
		t.Errorf("status %s", *got.Status)
	}
	w.Advance(time.Second)
	refused(t, problem(w.ce.GetProject(w.ce.NewGetProjectOptions(old))), 404, "resource_not_found")
	if err := create(); err != nil {
		t.Errorf("after seven days: %v", err)
	}
	for _, p := range w.State(false).Projects {
		if p.ID == old {
			t.Error("the old project is still there")
		}
	}

	other := w.Cloud().AddProject("other", "eu-de")
	w.Cloud().RemoveProject(other.ID)
	w.Advance(6 * 24 * time.Hour)
	w.Cloud().RestoreProject(other.ID)
	w.Advance(6 * 24 * time.Hour)
	renew()
	if got := done(w.ce.GetProject(w.ce.NewGetProjectOptions(other.ID)))(t); *got.Status != "active" {
		t.Errorf("a restored project is %s", *got.Status)
	}
}

func TestCodeEngineTakesATokenWithoutAScheme(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.Ready().APIKey)
	for _, test := range []struct {
		path, header string
		want         int
	}{
		{"/v2/projects", token, 200},
		{"/v2/projects", "Bearer " + token, 200},
		{"/v2/projects", "Basic " + token, 401},
		{"/v2/projects", "x", 401},
		{"/v1/serviceids?account_id=" + cloud.AccountID, token, 401},
		{"/v2/policies?account_id=" + cloud.AccountID, token, 401},
	} {
		if r, _ := w.raw("GET", test.path, "", "Authorization", test.header); r.StatusCode != test.want {
			t.Errorf("%s with %.10q: status %d, want %d", test.path, test.header, r.StatusCode, test.want)
		}
	}
}

func TestResourceTypesAreTheSDKs(t *testing.T) {
	w := newWorld(t)
	for format, want := range map[string]string{
		"generic": "secret_generic_v2", "other": "secret_other_v2", "basic_auth": "secret_basic_auth_v2", "hmac_auth": "secret_hmac_auth_v2",
		"registry": "secret_registry_v2", "ssh_auth": "secret_auth_ssh_v2", "tls": "secret_tls_v2",
		"service_access": "secret_service_access_v2", "service_operator": "secret_operator_v2",
	} {
		body := `{"name":"` + strings.ReplaceAll(format, "_", "-") + `","format":"` + format + `","data":{"username":"u","password":"p","server":"s",
			"access_key_id":"a","secret_access_key":"s","ssh_key":"k","tls_cert":"c","tls_key":"k"}}`
		_, answer := w.raw("POST", "/v2/projects/"+w.teamA()+"/secrets", body, "Authorization", w.bearer())
		if answer["resource_type"] != want {
			t.Errorf("%s: %v, want %s", format, answer["resource_type"], want)
		}
	}
}

func TestAProjectHasEgressAddresses(t *testing.T) {
	w := newWorld(t)
	got := done(w.ce.GetProjectEgressIps(w.ce.NewGetProjectEgressIpsOptions(w.teamA())))(t)
	if len(got.Private) == 0 || len(got.Public) == 0 {
		t.Errorf("addresses %+v", got)
	}
	refused(t, problem(w.stranger().ce.GetProjectEgressIps(w.ce.NewGetProjectEgressIpsOptions(w.teamA()))), 403, "forbidden")
}

func TestStatusDetailsHaveTheValuesOfTheSDK(t *testing.T) {
	w := newWorldWith(t, emulator.Options{ProjectDelay: time.Minute})
	made := done(w.ce.CreateProject(w.ce.NewCreateProjectOptions("team-c")))(t)
	details := func() string {
		_, body := w.raw("GET", "/v2/projects/"+*made.ID+"/status_details", "", "Authorization", w.bearer())
		return fmt.Sprint(body["project"], " ", body["domain"], " ", body["vpe"], " ", body["vpe_not_enabled"], " ", body["cbr"] != nil)
	}
	if got := details(); got != "disabled unknown unknown <nil> true" {
		t.Errorf("while it is created: %s", got)
	}
	w.Advance(time.Minute)
	if got := details(); got != "enabled ready ready <nil> true" {
		t.Errorf("active: %s", got)
	}
	w.raw("POST", "/emulator/settings", `{"switches":{"vpeNotEnabled":true}}`)
	if got := details(); got != "enabled ready unknown true true" {
		t.Errorf("without a private endpoint: %s", got)
	}
}
