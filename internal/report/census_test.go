package report

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

func TestACensusNamesTheCommandsForKeysThatLatchkeyDoesNotManage(t *testing.T) {
	c := CensusOf([]port.AccountKey{
		{ID: "ApiKey-1", Name: "logs", Of: "iam-ServiceId-1", Created: ago(10), Expires: ago(-80), Credential: "logs"},
		{ID: "ApiKey-2", Name: "=cmd", Of: "iam-ServiceId-2", Created: ago(400)},
		{ID: "ApiKey-3", Name: "mine", Of: "IBMid-3", Created: ago(100)},
		{ID: "ApiKey-4", Name: "off", Of: "IBMid-3", Created: ago(400), Disabled: true},
		{ID: "ApiKey-5", Name: "login", Of: "iam-ServiceId-5", Created: ago(10), Login: true},
	}, map[string]time.Time{"ApiKey-1": ago(1), "ApiKey-2": ago(200)}, now)
	managed, old, user, off := c.Keys[0], c.Keys[1], c.Keys[2], c.Keys[3]
	if managed.Adopt != "" || managed.Retire != "" || managed.Kind != "service ID" || !managed.UseRead {
		t.Errorf("latchkey's key: %+v", managed)
	}
	if old.Adopt != "latchkey adopt CREDENTIAL --key ApiKey-2" || old.Retire != "ibmcloud iam service-api-key-delete ApiKey-2 ServiceId-2" {
		t.Errorf("a key of a service ID: %+v", old)
	}
	if user.Adopt != "" || user.Retire != "ibmcloud iam api-key-delete ApiKey-3" || user.UseRead || off.Works || c.Keys[4].Retire != "" {
		t.Errorf("keys of users: %+v, %+v", user, off)
	}
	var text, table, object strings.Builder
	for _, err := range []error{c.WriteText(&text), c.WriteCSV(&table), c.WriteJSON(&object)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{
		`ApiKey-2 "=cmd" of iam-ServiceId-2: not used for 180 days`, `ApiKey-3 "mine" of IBMid-3: 100 days old`,
		"5 keys in the account: 1 of latchkey's, 3 that work without an expiry, 1 not used for 180 days",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
	if !strings.Contains(table.String(), ",'=cmd,") || strings.Contains(text.String(), "ApiKey-4") {
		t.Errorf("%s%s", table.String(), text.String())
	}
}
