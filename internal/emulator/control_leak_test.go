package emulator_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestALeakedKeyIsHandledAsItSays(t *testing.T) {
	for _, test := range []struct {
		name, action string
		locked       bool
		answer       string
		token        int    // status of an exchange afterwards
		audit        string // "" = no record
	}{
		{"a key is disabled by default", "", false, "disable", 400, "iam-identity.serviceid-apikey.update key success"},
		{"a key is disabled", "disable", false, "disable", 400, "iam-identity.serviceid-apikey.update key success"},
		{"a key is deleted", "delete", false, "delete", 400, "iam-identity.serviceid-apikey.delete key success"},
		{"a key may be left alone", "none", false, "none", 200, ""},
		{"a lock does not stop the scanner", "delete", true, "delete", 400, "iam-identity.serviceid-apikey.delete key success"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			sid, _ := w.Cloud().AddIdentity("app")
			k := w.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "key", IAMID: sid.IAMID, ActionWhenLeaked: test.action})
			w.Cloud().SetKeyLocked(k.ID, test.locked)
			events := w.audits(nil)
			r, body := w.raw("POST", "/emulator/leak", `{"id":"`+k.ID+`","where":"https://example.com/repo"}`)
			if r.StatusCode != 200 || body["action"] != test.answer {
				t.Fatalf("%d %v", r.StatusCode, body)
			}
			if status, _ := w.exchange("apikey", "apikey", k.Value); status != test.token {
				t.Errorf("the key gets status %d, want %d", status, test.token)
			}
			if _, there := w.State(false).Key(k.ID); there == (test.answer == "delete") {
				t.Errorf("the key is there: %v", there)
			}
			mails := w.Cloud().Mails()
			if len(mails) != 1 || !strings.Contains(mails[0].Text, k.ID) || !strings.Contains(mails[0].Text, "https://example.com/repo") || strings.Contains(fmt.Sprint(mails), k.Value) {
				t.Errorf("mails %+v", mails)
			}
			if test.audit == "" {
				w.newServiceID("next")
				if e := next(t, events); e.auditAction() == "" || strings.Contains(e.auditAction(), "apikey.update") {
					t.Errorf("record %v", e.data)
				}
				return
			}
			if e := next(t, events); e.auditAction() != test.audit || e.data["initiator"].(map[string]any)["id"] != cloud.LeakScannerID {
				t.Errorf("record %v", e.data)
			}
		})
	}
}

func TestAKeyLeaksByItsValue(t *testing.T) {
	w := newWorld(t)
	_, k := w.Cloud().AddIdentity("app")
	if r, body := w.raw("POST", "/emulator/leak", `{"apikey":"`+k.Value+`"}`); r.StatusCode != 200 || body["id"] != k.ID {
		t.Fatalf("%d %v", r.StatusCode, body)
	}
	for _, body := range []string{`{"id":"ApiKey-none"}`, `{"apikey":"none"}`, `{}`, `{"key":"x"}`} {
		if r, out := w.raw("POST", "/emulator/leak", body); r.StatusCode != 400 || strings.Contains(fmt.Sprint(out), k.Value) {
			t.Errorf("%s: %d %v", body, r.StatusCode, out)
		}
	}
	r, err := w.send("GET", "/emulator/mails", "")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 200 || len(w.Cloud().Mails()) != 1 {
		t.Errorf("%d, mails %v", r.StatusCode, w.Cloud().Mails())
	}
}

func TestALockMayStopTheScanner(t *testing.T) {
	w := newWorld(t)
	n := w.Settings()
	n.Switches.LeakIgnoresLock = false
	w.Set(n)
	_, k := w.Cloud().AddIdentity("app")
	w.Cloud().SetKeyLocked(k.ID, true)
	if r, body := w.raw("POST", "/emulator/leak", `{"id":"`+k.ID+`"}`); r.StatusCode != 200 || body["action"] != "none" {
		t.Errorf("%d %v", r.StatusCode, body)
	}
	w.token(k.Value)
}

func TestAccessGroupsByHand(t *testing.T) {
	w := newWorld(t)
	sid, k := w.Cloud().AddIdentity("app")
	other, _ := w.Cloud().AddIdentity("other")
	list := func() int {
		r, _ := w.raw("GET", "/v1/apikeys?iam_id="+other.IAMID, "", "Authorization", "Bearer "+w.token(k.Value))
		return r.StatusCode
	}
	if list() != 403 {
		t.Fatal("access before the group")
	}
	r, g := w.raw("POST", "/emulator/groups", `{"name":"minters","createdBy":"`+sid.IAMID+`","members":["`+sid.IAMID+`"],
		"grants":[{"service":"iam-identity","roles":["Viewer"]},{"service":"logs","roles":["Sender"]}]}`)
	if r.StatusCode != 200 || g["created_by_id"] != sid.IAMID || len(g["members"].([]any)) != 1 {
		t.Fatalf("%d %v", r.StatusCode, g)
	}
	if list() != 200 {
		t.Error("a member has no access")
	}
	path := "/emulator/groups/" + g["id"].(string)
	if r, g := w.raw("POST", path, `{"remove":["`+sid.IAMID+`"],"add":["`+other.IAMID+`"],"createdBy":"`+other.IAMID+`"}`); r.StatusCode != 200 || g["created_by_id"] != other.IAMID {
		t.Errorf("%d %v", r.StatusCode, g)
	}
	if list() != 403 {
		t.Error("a former member has access")
	}
	for name, body := range map[string]string{
		"an unknown identity can't be added":   `{"add":["iam-ServiceId-none"]}`,
		"a stranger can't be removed":          `{"remove":["` + sid.IAMID + `"]}`,
		"an unknown identity can't own it":     `{"createdBy":"iam-ServiceId-none"}`,
		"an unknown role can't be granted":     `{"grants":[{"service":"logs","roles":["King"]}]}`,
		"a grant needs a service":              `{"grants":[{"roles":["Viewer"]}]}`,
		"a field that is not known is refused": `{"name":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if r, out := w.raw("POST", path, body); r.StatusCode != 400 {
				t.Errorf("%d %v", r.StatusCode, out)
			}
		})
	}
	if r, out := w.raw("POST", "/emulator/groups", `{"name":"Minters"}`); r.StatusCode != 400 {
		t.Errorf("a second group of this name: %d %v", r.StatusCode, out)
	}
	if r, _ := w.raw("DELETE", path, ""); r.StatusCode != 200 || len(w.State(false).Groups) != 0 {
		t.Errorf("removing: %d, groups %v", r.StatusCode, w.State(false).Groups)
	}
	if r, _ := w.raw("DELETE", path, ""); r.StatusCode != 400 {
		t.Errorf("removing twice: %d", r.StatusCode)
	}
}

func TestListsOfTheControlAPIAreNeverNull(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"events", "faults", "groups", "logs", "mails", "notifications", "subscriptions"} {
		r, err := w.send("GET", "/emulator/"+name, "")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || strings.TrimSpace(string(body)) != "[]" {
			t.Errorf("%s: %d %s", name, r.StatusCode, body)
		}
	}
}
