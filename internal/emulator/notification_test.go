package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

const (
	notificationsPath = "/event-notifications/v1/instances/" + cloud.NotificationsInstanceID + "/notifications"
	mandatory         = `"id":"1","source":"here","type":"com.example.done","specversion":"1.0","ibmensourceid":"src:api"`
)

func TestSendNotification(t *testing.T) {
	w := newWorld(t)
	send := func(path, body string, token string) (*http.Response, map[string]any) {
		return w.raw("POST", path, body, "Authorization", "Bearer "+token)
	}
	minter := w.token(w.Ready().APIKey)
	r, body := send(notificationsPath, "{"+mandatory+`,"data":{"key":"ApiKey-1"}}`, minter)
	if r.StatusCode != 202 || body["notification_id"] == "" {
		t.Fatalf("sending: %d %v", r.StatusCode, body)
	}
	if r, _ := send(strings.TrimPrefix(notificationsPath, "/event-notifications"), "{"+mandatory+"}", minter); r.StatusCode != 202 {
		t.Errorf("without the prefix: %d", r.StatusCode)
	}
	for name, test := range map[string]struct {
		path, body, token string
		status            int
	}{
		"the severity is free":                       {notificationsPath, "{" + mandatory + `,"ibmenseverity":"info"}`, minter, 202},
		"a severity that is not a string is refused": {notificationsPath, "{" + mandatory + `,"ibmenseverity":1}`, minter, 400},
		"a source ID is required":                    {notificationsPath, strings.Replace("{"+mandatory+"}", "ibmensourceid", "ibmensource", 1), minter, 400},
		"an ID is required":                          {notificationsPath, strings.Replace("{"+mandatory+"}", `"1"`, `""`, 1), minter, 400},
		"another version is refused":                 {notificationsPath, strings.Replace("{"+mandatory+"}", "1.0", "0.3", 1), minter, 400},
		"a time of Go's own form is refused":         {notificationsPath, "{" + mandatory + `,"time":"2026-11-24 10:00:00 +0000 UTC"}`, minter, 400},
		"data that are not JSON are refused":         {notificationsPath, "{" + mandatory + `,"datacontenttype":"text/plain"}`, minter, 400},
		"data that are not an object are refused":    {notificationsPath, "{" + mandatory + `,"data":"text"}`, minter, 400},
		"a list is refused":                          {notificationsPath, "[]", minter, 400},
		"half an object is refused":                  {notificationsPath, "{", minter, 400},
		"65 KB are too large":                        {notificationsPath, "{" + mandatory + `,"data":{"a":"` + strings.Repeat("x", 64<<10) + `"}}`, minter, 413},
		"an unknown instance is not found":           {strings.Replace(notificationsPath, "9f27", "9f28", 1), "{" + mandatory + "}", minter, 404},
		"an identity without a role is refused":      {notificationsPath, "{" + mandatory + "}", w.strangersToken(), 403},
		"a call without a token is refused":          {notificationsPath, "{" + mandatory + "}", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			if r, body := send(test.path, test.body, test.token); r.StatusCode != test.status {
				t.Errorf("%d, want %d: %v", r.StatusCode, test.status, body)
			}
		})
	}
	stored := w.Cloud().Notifications()
	if len(stored) != 3 || stored[0].Sender != w.Cloud().Minter().IAMID || !strings.Contains(string(stored[0].Body), "ApiKey-1") {
		t.Errorf("stored %+v", stored)
	}
	noted := slices.ContainsFunc(w.Events(), func(e emulator.Event) bool {
		return e.Path == notificationsPath && e.Status == 202 && e.ID == body["notification_id"]
	})
	if !noted || w.State(false).Notifications != 3 {
		t.Errorf("events %+v", w.Events())
	}
}

func TestNotificationsInBothModesOfCloudEvents(t *testing.T) {
	binary := []string{"Ce-Id", "1", "Ce-Source", "here", "Ce-Type", "com.example.done", "Ce-Specversion", "1.0", "Ce-Ibmensourceid", "src:api"}
	structured := "{" + mandatory + `,"data":{"a":1}}`
	for name, test := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"binary mode has its attributes in headers":                    {`{"a":1}`, binary, 202},
		"binary mode needs a source ID":                                {`{"a":1}`, binary[:8], 400},
		"binary mode takes no text as data":                            {`"text"`, binary, 400},
		"binary mode takes no half an object":                          {`{"a"`, binary, 400},
		"binary mode takes no other type of data":                      {`{"a":1}`, append([]string{"Content-Type", "text/plain"}, binary...), 400},
		"structured mode has a type of its own":                        {structured, []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}, 202},
		"structured mode ignores attributes in headers":                {structured, []string{"Content-Type", "application/cloudevents+json", "Ce-Specversion", "0.3"}, 202},
		"the SDKs send the structured form as application/json":        {structured, nil, 202},
		"a batch is refused":                                           {"[" + structured + "]", []string{"Content-Type", "application/cloudevents-batch+json"}, 400},
		"a form is refused, even if its body has the right attributes": {structured, []string{"Content-Type", "application/x-www-form-urlencoded"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			headers := append([]string{"Authorization", "Bearer " + w.ownerToken()}, test.headers...)
			if r, body := w.raw("POST", notificationsPath, test.body, headers...); r.StatusCode != test.status {
				t.Fatalf("%d, want %d: %v", r.StatusCode, test.status, body)
			}
			if test.status != 202 {
				return
			}
			var got map[string]any
			if err := json.Unmarshal(w.Cloud().Notifications()[0].Body, &got); err != nil {
				t.Fatal(err)
			}
			if got["id"] != "1" || got["ibmensourceid"] != "src:api" || fmt.Sprint(got["data"]) != "map[a:1]" {
				t.Errorf("stored %v", got)
			}
		})
	}
}

func TestRolesThatMaySendNotifications(t *testing.T) {
	w := newWorld(t)
	for role, want := range map[string]int{
		"iam::::role:Administrator":                                       202,
		"iam::::role:Editor":                                              403,
		"iam::::serviceRole:Manager":                                      202,
		"iam::::serviceRole:Writer":                                       202,
		"iam::::serviceRole:Reader":                                       403,
		"event-notifications::::serviceRole:Event-Source-Manager":         202,
		"event-notifications::::serviceRole:Event-Notification-Publisher": 202,
		"event-notifications::::serviceRole:Device-Manager":               403,
	} {
		t.Run(role, func(t *testing.T) {
			id, k := w.Cloud().AddIdentity("sender")
			w.Cloud().Grant(id.IAMID, "event-notifications", "crn:v1:bluemix:public:"+role)
			if r, body := w.raw("POST", notificationsPath, "{"+mandatory+"}", "Authorization", "Bearer "+w.token(k.Value)); r.StatusCode != want {
				t.Errorf("%d, want %d: %v", r.StatusCode, want, body)
			}
		})
	}
}

func TestTheTimeOfANotificationMayBeUnchecked(t *testing.T) {
	w := newWorld(t)
	s := w.Settings()
	s.Switches.NotificationTimeChecked = false
	w.Set(s)
	if r, body := w.raw("POST", notificationsPath, "{"+mandatory+`,"time":"2026-11-24 10:00:00 +0000 UTC"}`, "Authorization", "Bearer "+w.ownerToken()); r.StatusCode != 202 {
		t.Errorf("%d %v", r.StatusCode, body)
	}
}
