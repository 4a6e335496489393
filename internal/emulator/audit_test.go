package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func (w *world) audits(change func(*emulator.Subscription)) <-chan received {
	w.t.Helper()
	u, events := receiver(w.t, 0)
	n := emulator.Subscription{URL: u, Kind: emulator.KindAudit}
	if change != nil {
		change(&n)
	}
	if _, err := w.Subscribe(n); err != nil {
		w.t.Fatal(err)
	}
	return events
}

// auditAction is what the tests compare of a record.
func (e received) auditAction() string {
	target := e.data["target"].(map[string]any)
	return fmt.Sprint(e.data["action"], " ", target["name"], " ", e.data["outcome"])
}

func TestAuditRecordsOfEveryChange(t *testing.T) {
	w := newWorld(t)
	events := w.audits(nil)
	expect := func(want string) received {
		t.Helper()
		e := next(t, events)
		if got := e.auditAction(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		return e
	}

	sid := w.newServiceID("sender")
	expect("iam-identity.account-serviceid.create sender success")
	policy := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	e := expect("iam-am.policy.create " + *policy.ID + " success")
	if e.data["logSourceCRN"] != "crn:v1:bluemix:public:iam-am:global:a/"+cloud.AccountID+":::" {
		t.Errorf("source %v", e.data["logSourceCRN"])
	}
	key := w.newKey(*sid.IamID, "k1")
	e = expect("iam-identity.serviceid-apikey.create k1 success")
	if target := e.data["target"].(map[string]any); target["id"] != *key.CRN || target["typeURI"] != "iam-identity/serviceid-apikey" {
		t.Errorf("target %v", target)
	}
	w.token(*key.Apikey)
	e = expect("iam-identity.serviceid-apikey.login sender success")
	if who := e.data["initiator"].(map[string]any); who["id"] != *sid.IamID || who["credential"].(map[string]any)["type"] != "apikey-serviceid" {
		t.Errorf("initiator %v", who)
	}
	w.exchange("apikey", "apikey", "not-a-key") // a failed login makes no record
	if _, _, err := w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(*key.ID, "*").SetName("k2")); err != nil {
		t.Fatal(err)
	}
	e = expect("iam-identity.serviceid-apikey.update k1 success")
	if r := e.data["requestData"].(map[string]any); r["lock"] != false || r["prev_instance_name"] != "k1" || r["instance_name"] != "k2" {
		t.Errorf("request %v", r)
	}
	if _, err := w.identity.LockAPIKey(w.identity.NewLockAPIKeyOptions(*key.ID)); err != nil {
		t.Fatal(err)
	}
	if e = expect("iam-identity.serviceid-apikey.update k2 success"); e.data["requestData"].(map[string]any)["lock"] != true {
		t.Errorf("request %v", e.data["requestData"])
	}
	_, err := w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID))
	refused(t, err, 409, "conflict")
	e = expect("iam-identity.serviceid-apikey.delete k2 failure")
	if r := e.data["reason"].(map[string]any); r["reasonCode"] != 409.0 || !strings.Contains(r["reasonForFailure"].(string), "locked") ||
		e.data["severity"] != "critical" || e.data["requestData"].(map[string]any)["lock"] != true || e.data["message"] != "IAM Identity Service: delete serviceid-apikey k2 -failure" {
		t.Errorf("record %v", e.data)
	}

	made := done(w.ce.CreateProject(w.ce.NewCreateProjectOptions("team-c")))(t)
	e = expect("codeengine.project.create team-c success")
	if target := e.data["target"].(map[string]any); target["id"] != *made.Crn || e.data["logSourceCRN"] != *made.Crn || e.header.Get("Ce-Kafkaheaderlocation") != "eu-de" {
		t.Errorf("record %v %v", e.header, e.data)
	}
	expect("codeengine.instance.create team-c success")
	data := &codeenginev2.SecretDataGenericSecretData{}
	data.SetProperty("A", ptr("hidden"))
	done(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(w.teamA(), "generic", "s").SetData(data)))(t)
	e = expect("codeengine.secret.create s success")
	if text, _ := json.Marshal(e.data); strings.Contains(string(text), "hidden") || !strings.Contains(string(text), w.teamA()) {
		t.Errorf("record %s", text)
	}
	stranger := w.stranger()
	expect("iam-identity.serviceid-apikey.login stranger success")
	refused(t, deletion(stranger.ce.DeleteProject(w.ce.NewDeleteProjectOptions(*made.ID))), 403, "forbidden")
	if e = expect("codeengine.project.delete team-c failure"); e.data["severity"] != "critical" {
		t.Errorf("severity %v", e.data["severity"])
	}
	if who := e.data["initiator"].(map[string]any); who["name"] != "" || !strings.HasPrefix(who["id"].(string), "iam-ServiceId-") {
		t.Errorf("the initiator of an attempt without authorization is %v", who)
	}
	expect("codeengine.instance.delete team-c failure")
	w.Cloud().RemoveProject(*made.ID)
	expect("codeengine.project.delete team-c success")
	if e = expect("codeengine.instance.delete team-c success"); e.data["initiator"].(map[string]any)["id"] != cloud.OwnerIAMID {
		t.Errorf("initiator %v", e.data["initiator"])
	}
}

func TestAuditRecordsComeAsFromKafka(t *testing.T) {
	w := newWorld(t)
	events := w.audits(nil)
	w.newServiceID("a")
	w.newServiceID("b")
	first, second := next(t, events), next(t, events)
	for name, want := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Type": "dev.knative.kafka.event", "Ce-Id": "partition:0/offset:1", "Ce-Subject": "partition:0#1",
		"Ce-Source":          "/apis/v1/namespaces/emulator/kafkasources/audit-events#audit",
		"Ce-Kafkaheadertype": "audit", "Ce-Kafkaheaderaccount": cloud.AccountID, "Ce-Kafkaheaderlocation": "global", "Content-Type": "",
	} {
		if got := first.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := second.header.Get("Ce-Id"); got != "partition:0/offset:2" {
		t.Errorf("the second record is %s", got)
	}
	if at, err := time.Parse("2006-01-02T15:04:05.999-0700", first.data["eventTime"].(string)); err != nil || !at.Equal(start) {
		t.Errorf("time %v: %v", first.data["eventTime"], err)
	}
	for _, field := range []string{"correlationId", "logSourceCRN", "message", "observer", "reason", "initiator", "target", "severity"} {
		if first.data[field] == nil || first.data[field] == "" {
			t.Errorf("no %s in %v", field, first.data)
		}
	}
}

func TestAuditRecordsComeTwiceAndInTheWrongOrder(t *testing.T) {
	w := newWorld(t)
	events := w.audits(func(n *emulator.Subscription) { n.Duplicates, n.Reorder = 1, true })
	w.newServiceID("one")
	w.newServiceID("two")
	var got []string
	for range 4 {
		got = append(got, next(t, events).header.Get("Ce-Subject"))
	}
	if fmt.Sprint(got) != "[partition:0#2 partition:0#2 partition:0#1 partition:0#1]" {
		t.Errorf("records %v", got)
	}
}

func TestSubscribersGetTheirKindOnly(t *testing.T) {
	w := newWorld(t)
	audits := w.audits(nil)
	u, lifecycle := receiver(t, 0)
	if _, err := w.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindLifecycle}); err != nil {
		t.Fatal(err)
	}
	w.Cloud().AddProject("p", "us-south")
	if e := next(t, lifecycle); e.what() != "resource-controller.instance.create p" {
		t.Errorf("%v", e.data)
	}
	if e := next(t, audits); e.auditAction() != "codeengine.project.create p success" {
		t.Errorf("%v", e.data)
	}
}

func TestKeysOfUsersHaveTheirOwnActions(t *testing.T) {
	w := newWorld(t)
	events := w.audits(nil)
	owner := w.as(w.ownerToken())
	key := owner.newKey(cloud.OwnerIAMID, "mine")
	if e := next(t, events); e.auditAction() != "iam-identity.user-apikey.create mine success" ||
		e.data["initiator"].(map[string]any)["typeURI"] != "service/security/account/user" {
		t.Errorf("%v", e.data)
	}
	w.token(*key.Apikey)
	if e := next(t, events); e.data["action"] != "iam-identity.user-apikey.login" {
		t.Errorf("%v", e.data)
	}
	if status, _ := w.exchange("cr-token", "cr_token", w.Cloud().IssueCRToken("crn:of:an:app"), "profile_name", "latchkey"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if e := next(t, events); e.data["action"] != "iam-identity.computeresource-token.login" ||
		e.data["initiator"].(map[string]any)["credential"].(map[string]any)["type"] != "compute-resource" {
		t.Errorf("%v", e.data)
	}
}

func TestAssumingAProfileIsAuditedAsSuch(t *testing.T) {
	w := newWorld(t)
	token := w.ownerToken()
	events := w.audits(nil)
	if status, body := w.exchange("assume", "access_token", token, "profile_id", w.Cloud().Minter().ProfileID); status != http.StatusOK {
		t.Fatalf("status %d %v", status, body)
	}
	if e := next(t, events); e.data["action"] != "iam-identity.trustedprofile-apikey.login" {
		t.Errorf("%v", e.data)
	}
}

func TestAttemptsOnLockedThingsAreCritical(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("locked")
	key := w.newKey(*sid.IamID, "key")
	s := arbitrary(t, w.sm(""), "secret")
	lockOn(t, w.sm(""), *s.ID, "current", "", "one")
	w.Cloud().SetServiceIDLocked(*sid.ID, true)
	w.Cloud().SetKeyLocked(*key.ID, true)
	owner := w.sm("")
	events := w.audits(nil)
	for action, attempt := range map[string]func(){
		"iam-identity.account-serviceid.update": func() {
			_, _, _ = w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*sid.ID, "*").SetName("other"))
		},
		"iam-identity.account-serviceid.delete": func() { _, _ = w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID)) },
		"iam-identity.serviceid-apikey.update": func() {
			_, _, _ = w.identity.UpdateAPIKey(w.identity.NewUpdateAPIKeyOptions(*key.ID, "*").SetName("other"))
		},
		"iam-identity.serviceid-apikey.delete": func() { _, _ = w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID)) },
		"secrets-manager.secret.delete":        func() { _, _ = owner.DeleteSecret(owner.NewDeleteSecretOptions(*s.ID)) },
	} {
		t.Run(action, func(t *testing.T) {
			attempt()
			e := next(t, events)
			if e.data["action"] != action || e.data["outcome"] != "failure" || e.data["severity"] != "critical" || e.data["requestData"].(map[string]any)["lock"] != true {
				t.Errorf("record %v", e.data)
			}
		})
	}
}

func TestSecretsManagerIsAudited(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	events := w.audits(nil)
	expect := func(want, crn string) received {
		t.Helper()
		e := next(t, events)
		if e.auditAction() != want || !strings.HasSuffix(e.data["target"].(map[string]any)["id"].(string), crn) {
			t.Fatalf("%s on %v, want %s on %s", e.auditAction(), e.data["target"], want, crn)
		}
		if source := e.data["logSourceCRN"].(string); !strings.HasSuffix(source, cloud.SecretsInstanceID+"::") || e.header.Get("Ce-Kafkaheaderlocation") != "eu-de" {
			t.Fatalf("source %s, %v", source, e.header)
		}
		return e
	}
	s := arbitrary(t, api, "key")
	e := expect("secrets-manager.secret.create key success", ":secret:"+*s.ID)
	if text, _ := json.Marshal(e.data); strings.Contains(string(text), "payload of key") {
		t.Errorf("the record has the value: %s", text)
	}
	done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t)
	expect("secrets-manager.secret.read key success", ":secret:"+*s.ID)
	done(api.ListSecrets(api.NewListSecretsOptions()))(t)
	expect("secrets-manager.secrets.list "+cloud.SecretsInstanceID+" success", cloud.SecretsInstanceID+"::")
	rotate(t, api, *s.ID, "two")
	expect("secrets-manager.secret-version.create key success", ":secret:"+*s.ID)
	g := done(api.CreateSecretGroup(api.NewCreateSecretGroupOptions("team")))(t)
	expect("secrets-manager.secret-group.create team success", ":secret-group:"+*g.ID)
	_, _, err := api.GetConfiguration(api.NewGetConfigurationOptions("none"))
	refused(t, err, 404, "not_found")
	expect("secrets-manager.configuration.read none failure", cloud.SecretsInstanceID+"::")
	if _, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Fatal(err)
	}
	expect("secrets-manager.secret.delete key success", ":secret:"+*s.ID)
}
