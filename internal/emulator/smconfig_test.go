package emulator_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

const (
	cisType = "public_cert_configuration_dns_cloud_internet_services"
	cisCRN  = "crn:v1:bluemix:public:internet-svcs:global:a/1:2::"
)

func cis(name string) *sm.PublicCertificateConfigurationDNSCloudInternetServicesPrototype {
	return &sm.PublicCertificateConfigurationDNSCloudInternetServicesPrototype{ConfigType: ptr(cisType), Name: &name, CloudInternetServicesCrn: ptr(cisCRN)}
}

func TestConfigurationsAreUpdated(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	update := func(name string, patch map[string]any) (sm.ConfigurationIntf, error) {
		c, _, err := p.api.UpdateConfiguration(p.api.NewUpdateConfigurationOptions(name, patch))
		return c, err
	}
	c, err := update("keys", map[string]any{"task_timeout": "2h"})
	if err != nil || *c.(*sm.CustomCredentialsConfiguration).TaskTimeout != "2h" {
		t.Errorf("configuration %+v, %v", c, err)
	}
	if c, err = update("keys", map[string]any{"code_engine": map[string]any{"job_name": "another"}}); err != nil || *c.(*sm.CustomCredentialsConfiguration).CodeEngine.JobName != "provider" {
		t.Errorf("the job changed: %+v, %v", c, err)
	}
	for name, patch := range map[string]map[string]any{
		"a timeout of four minutes is refused":     {"task_timeout": "4m"},
		"a timeout of 25 hours is refused":         {"task_timeout": "25h"},
		"a timeout that is not a text is refused":  {"task_timeout": true},
		"a timeout that is no duration is refused": {"task_timeout": "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := update("keys", patch)
			refused(t, err, 400, "bad_request")
		})
	}
	_, err = update("none", map[string]any{"task_timeout": "2h"})
	refused(t, err, 404, "not_found")
	writer := p.keeper("Writer")
	_, _, err = writer.UpdateConfiguration(writer.NewUpdateConfigurationOptions("keys", map[string]any{"task_timeout": "2h"}))
	refused(t, err, 403, "forbidden")

	done(p.api.CreateConfiguration(p.api.NewCreateConfigurationOptions(cis("dns"))))(t)
	c, err = update("dns", map[string]any{"cloud_internet_services_apikey": "a-key"})
	if got, ok := c.(*sm.PublicCertificateConfigurationDNSCloudInternetServices); err != nil || !ok || *got.CloudInternetServicesApikey != "a-key" || *got.CloudInternetServicesCrn != cisCRN {
		t.Errorf("configuration %+v, %v", c, err)
	}
	_, err = update("dns", map[string]any{"cloud_internet_services_crn": ""})
	refused(t, err, 400, "bad_request")
}

func TestConfigurationsOfOtherTypes(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	for name, n := range map[string]sm.ConfigurationPrototypeIntf{
		"IAM credentials": &sm.IAMCredentialsConfigurationPrototype{ConfigType: ptr("iam_credentials_configuration"), Name: ptr("iam"), ApiKey: ptr("key"), Disabled: ptr(true)},
		"Let's Encrypt": &sm.PublicCertificateConfigurationCALetsEncryptPrototype{ConfigType: ptr("public_cert_configuration_ca_lets_encrypt"), Name: ptr("ca"),
			LetsEncryptEnvironment: ptr("staging"), LetsEncryptPrivateKey: ptr("pem")},
		"classic DNS": &sm.PublicCertificateConfigurationDNSClassicInfrastructurePrototype{ConfigType: ptr("public_cert_configuration_dns_classic_infrastructure"),
			Name: ptr("classic"), ClassicInfrastructureUsername: ptr("me"), ClassicInfrastructurePassword: ptr("secret")},
		"DNS of Cloud Internet Services": cis("dns"),
	} {
		t.Run(name, func(t *testing.T) { done(api.CreateConfiguration(api.NewCreateConfigurationOptions(n)))(t) })
	}
	all := done(api.ListConfigurations(api.NewListConfigurationsOptions().SetSort("-name").SetSecretTypes([]string{"public_cert"})))(t)
	if *all.TotalCount != 3 {
		t.Errorf("%d configurations", *all.TotalCount)
	}
	if first, ok := all.Configurations[0].(*sm.PublicCertificateConfigurationDNSCloudInternetServicesMetadata); !ok || *first.Name != "dns" || *first.SecretType != "public_cert" {
		t.Errorf("first %+v", all.Configurations[0])
	}
	if page := done(api.ListConfigurations(api.NewListConfigurationsOptions().SetLimit(1).SetSearch("dns")))(t); *page.TotalCount != 2 || len(page.Configurations) != 1 {
		t.Errorf("page %+v", page)
	}
	for name, n := range map[string]sm.ConfigurationPrototypeIntf{
		"a field of the type is missing": &sm.PublicCertificateConfigurationDNSCloudInternetServicesPrototype{ConfigType: ptr(cisType), Name: ptr("more"), CloudInternetServicesCrn: ptr("")},
		"another environment": &sm.PublicCertificateConfigurationCALetsEncryptPrototype{ConfigType: ptr("public_cert_configuration_ca_lets_encrypt"), Name: ptr("more"),
			LetsEncryptEnvironment: ptr("test"), LetsEncryptPrivateKey: ptr("pem")},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := api.CreateConfiguration(api.NewCreateConfigurationOptions(n))
			refused(t, err, 400, "bad_request")
		})
	}
	_, _, err := api.GetConfiguration(api.NewGetConfigurationOptions("dns").SetXSmAcceptConfigurationType("iam_credentials_configuration"))
	refused(t, err, 404, "not_found")
	if _, err := api.DeleteConfiguration(api.NewDeleteConfigurationOptions("dns").SetXSmAcceptConfigurationType(cisType)); err != nil {
		t.Error(err)
	}
	for n := range 9 {
		done(api.CreateConfiguration(api.NewCreateConfigurationOptions(cis(fmt.Sprint("dns-", n)))))(t)
	}
	_, _, err = api.CreateConfiguration(api.NewCreateConfigurationOptions(cis("dns-11"))) // beside the classic one
	refused(t, err, 403, "limit_reached")
}

func TestActionsBelongToCertificates(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := arbitrary(t, p.api, "key")
	for path, want := range map[string]int{
		"/api/v2/configurations/keys/actions":                    400,
		"/api/v2/configurations/none/actions":                    404,
		"/api/v2/secrets/" + *s.ID + "/actions":                  400,
		"/api/v2/secrets/none/actions":                           404,
		"/api/v2/secrets/" + *s.ID + "/versions/current/actions": 400,
		"/api/v2/secrets/" + *s.ID + "/versions/none/actions":    404,
	} {
		r, body := p.raw("POST", path, `{"action_type":"private_cert_action_revoke_certificate"}`, "Authorization", "Bearer "+p.ownerToken())
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d: %v", path, r.StatusCode, want, body)
		}
	}
}

func TestRegistrationWithEventNotifications(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	u, events := receiver(t, 0)
	if _, err := w.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindSecrets}); err != nil {
		t.Fatal(err)
	}
	_, _, err := api.GetNotificationsRegistration(api.NewGetNotificationsRegistrationOptions())
	refused(t, err, 404, "not_found")
	register := func(crn, name string) (*core.DetailedResponse, error) {
		_, r, err := api.CreateNotificationsRegistration(api.NewCreateNotificationsRegistrationOptions(crn, name))
		return r, err
	}
	const crn = "crn:v1:bluemix:public:event-notifications:us-south:a/1:2::"
	_, err = register("crn:v1:bluemix:public:logs:us-south:a/1:2::", "source")
	refused(t, err, 400, "bad_request")
	_, err = register(crn, "")
	refused(t, err, 400, "bad_request")
	if r, err := register(crn, "source"); err != nil || r.StatusCode != 201 {
		t.Fatal(err)
	}
	_, err = register(crn, "source")
	refused(t, err, 409, "conflict")
	if got := done(api.GetNotificationsRegistration(api.NewGetNotificationsRegistrationOptions()))(t); *got.EventNotificationsInstanceCrn != crn {
		t.Errorf("registration %+v", got)
	}
	if r, err := api.GetNotificationsRegistrationTest(api.NewGetNotificationsRegistrationTestOptions()); err != nil || r.StatusCode != http.StatusNoContent {
		t.Fatal(err)
	}
	if e := next(t, events); e.data["type"] != "com.ibm.cloud.secrets-manager.test_event" || e.data["ibmenseverity"] != "low" {
		t.Errorf("event %v", e.data)
	}
	if _, err := api.DeleteNotificationsRegistration(api.NewDeleteNotificationsRegistrationOptions()); err != nil {
		t.Fatal(err)
	}
	reader := w.keeper("Reader")
	_, _, err = reader.CreateNotificationsRegistration(reader.NewCreateNotificationsRegistrationOptions(crn, "source"))
	refused(t, err, 403, "forbidden")
}

func TestAnExpirationDateIsTakenAwayWithNull(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	s := arbitrary(t, api, "key")
	patch := func(body string) (int, map[string]any) {
		r, out := w.raw("PATCH", "/api/v2/secrets/"+*s.ID+"/metadata", body, "Authorization", "Bearer "+w.ownerToken(), "Content-Type", "application/merge-patch+json")
		return r.StatusCode, out
	}
	const date = "2030-10-05T11:49:42Z"
	for _, test := range []struct {
		name, body string
		status     int
		expires    any
	}{
		{"a date is set", `{"expiration_date":"` + date + `"}`, 200, date},
		{"a patch without it leaves it", `{"description":"text"}`, 200, date},
		{"an empty text is no date", `{"expiration_date":""}`, 400, date},
		{"null takes it away", `{"expiration_date":null}`, 200, nil},
		{"null without a date changes nothing", `{"expiration_date":null}`, 200, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, body := patch(test.body); status != test.status {
				t.Errorf("status %d: %v", status, body)
			}
			_, now := w.raw("GET", "/api/v2/secrets/"+*s.ID+"/metadata", "", "Authorization", "Bearer "+w.ownerToken())
			if now["expiration_date"] != test.expires {
				t.Errorf("expires %v, want %v", now["expiration_date"], test.expires)
			}
		})
	}
}

func TestNamesOfSecrets(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	for name, ok := range map[string]bool{
		"a1": true, "team-a.key-2": true, "a": false, "-a": false, "a-": false, ".a": false, "a.": false, "a b": false, "a/b": false, "ä1": false, "a_b": false, "_a": false,
	} {
		if err := create(api, &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: &name, Payload: ptr("x")}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := w.Settings()
	n.Switches.UnderscoresInSecretNames = true
	w.Set(n)
	if err := create(api, &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: ptr("a_b"), Payload: ptr("x")}); err != nil {
		t.Error(err)
	}
}

func TestSeveritiesOfSecretEvents(t *testing.T) {
	p := newProvider(t)
	u, events := receiver(t, 0)
	if _, err := p.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindSecrets}); err != nil {
		t.Fatal(err)
	}
	p.configure(t)
	s := p.secret(t)
	if err := p.report(*s.ID, *p.task(t, *s.ID).ID, &sm.SecretTaskPrototypeUpdateSecretTaskFailed{Status: ptr("failed"),
		Errors: []sm.SecretTaskError{{Code: ptr("E1"), Description: ptr("no luck")}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"secret_task_created low", "secret_task_failed high", "secret_creation_failed low"} {
		e := next(t, events)
		if got := fmt.Sprint(e.notified()["event_type"], " ", e.data["ibmenseverity"]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
