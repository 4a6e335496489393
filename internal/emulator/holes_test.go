package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestAReplacementIsCheckedBeforeTheAccessToWhatItNames(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	replace := func(iamID string, resource ...any) error {
		o := w.policies.NewReplaceV2PolicyOptions(*made.ID, "*", grantOf(senderRole), "access").SetSubject(subjectOf(iamID))
		o.SetResource(resourceOf(resource[0].(string), resource[1].(string)))
		_, _, err := w.policies.ReplaceV2Policy(o)
		return err
	}
	refused(t, replace(*sid.IamID, "accountId", cloud.AccountID), 400, "invalid_body") // names no service
	other := w.newServiceID("other")
	w.Cloud().SetServiceIDLocked(*sid.ID, true)
	o := w.policies.NewReplaceV2PolicyOptions(*made.ID, "*", grantOf(senderRole), "access").SetSubject(subjectOf(*other.IamID)).
		SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs"))
	_, _, err := w.policies.ReplaceV2Policy(o)
	refused(t, err, 409, "request_not_processed") // it would take the policy from one that is locked
}

func TestReplacingASecretReplacesAllOfIt(t *testing.T) {
	w := newWorld(t)
	token := "Bearer " + w.token(w.Ready().APIKey)
	path := "/v2/projects/" + w.teamA() + "/secrets"
	send := func(method, path, role string) map[string]any {
		t.Helper()
		r, body := w.raw(method, path, `{"name":"access","format":"service_access","service_access":{"role":{"name":"`+role+`"}}}`,
			"Authorization", token, "If-Match", "*")
		if r.StatusCode/100 != 2 {
			t.Fatalf("status %d %v", r.StatusCode, body)
		}
		return body
	}
	send("POST", path, "Reader")
	send("PUT", path+"/access", "Writer")
	_, got := w.raw("GET", path+"/access", "", "Authorization", token)
	if text, _ := json.Marshal(got["service_access"]); string(text) != `{"role":{"name":"Writer"}}` {
		t.Errorf("service_access %s", text)
	}
}

func TestRevisionsComeInPages(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		patch := map[string]any{"run_arguments": []string{fmt.Sprint(i)}}
		if err := problem(w.ce.UpdateApp(&codeenginev2.UpdateAppOptions{ProjectID: ptr(w.teamA()), Name: ptr("web"), IfMatch: ptr("*"), App: patch})); err != nil {
			t.Fatal(err)
		}
	}
	o := w.ce.NewListAppRevisionsOptions(w.teamA(), "web").SetLimit(2)
	var names []string
	pages := 0
	for {
		list := done(w.ce.ListAppRevisions(o))(t)
		pages++
		for _, r := range list.Revisions {
			names = append(names, strings.TrimPrefix(*r.Name, "web-0000"))
		}
		if list.Next == nil {
			break
		}
		o.SetStart(*list.Next.Start)
	}
	if fmt.Sprint(names) != "[1 2 3 4 5]" || pages != 3 {
		t.Errorf("%v on %d pages", names, pages)
	}
}

func TestReadsByPostAreNoChanges(t *testing.T) {
	w := newWorld(t)
	token := "Bearer " + w.token(w.Ready().APIKey)
	w.raw("POST", "/v1/accounts/"+cloud.AccountID+"/limits/identity", `{"profiles":true}`, "Authorization", token)
	w.raw("POST", "/v1/activity/accounts/"+cloud.AccountID+"/report", "", "Authorization", token)
	if events := w.Events(); len(events) != 0 {
		t.Errorf("events %+v", events)
	}
}

func TestASenderWaitsAsLongAsItIsAsked(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	times := make(chan time.Time, 10)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		times <- time.Now()
		if calls.Add(1) == 1 {
			rw.Header().Set("Retry-After", "9") // a tenth of it, as everything there
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	if _, err := w.Subscribe(emulator.Subscription{URL: s.URL, Kind: emulator.KindLifecycle}); err != nil {
		t.Fatal(err)
	}
	w.Cloud().AddProject("p", "eu-de")
	if waited := -(<-times).Sub(<-times); waited < 850*time.Millisecond {
		t.Errorf("the sender comes back after %s", waited)
	}
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
