package drift

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
)

func TestWhatAServiceIDHasBeyondTheConfigIsANote(t *testing.T) {
	id := port.ServiceID{ID: "ServiceId-1", IAMID: "iam-ServiceId-1", Marked: true, Text: "Sends logs"}
	config := port.Credential{Description: "Sends logs", Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: "1"}}}
	exact := access.Policy{ID: "exact", Service: "logs", Roles: []string{"Sender"}, Instance: "1", Ours: true}
	wide := access.Policy{ID: "wide", Service: "logs", Roles: []string{"Sender"}, Ours: true}
	theirs := access.Policy{ID: "theirs", Service: "cloud-object-storage", Roles: []string{"Writer"}}
	for name, tc := range map[string]struct {
		facts  observe.Facts
		change func(*port.Credential, *port.ServiceID)
		want   []reason.Reason
		says   string
	}{
		"what the config says is none":        {facts: observe.Facts{Granted: []access.Policy{exact}}},
		"a wider policy":                      {facts: observe.Facts{Granted: []access.Policy{wide}}, want: []reason.Reason{reason.PolicyWider}, says: "service-policy-delete ServiceId-1 wide"},
		"a policy of another identity":        {facts: observe.Facts{Granted: []access.Policy{theirs}}, want: []reason.Reason{reason.PolicyForeign}, says: "latchkey leaves it"},
		"keys of others":                      {facts: observe.Facts{Foreign: map[string]int{id.IAMID: 2}}, want: []reason.Reason{reason.KeysForeign}, says: "service-api-keys ServiceId-1"},
		"a forged key has a note of its own":  {facts: observe.Facts{Foreign: map[string]int{id.IAMID: 1}, Forged: []port.Forgery{{ID: "ApiKey-1"}}}},
		"an access group":                     {facts: observe.Facts{Member: []port.Group{{ID: "AccessGroupId-1", Name: "admins"}}}, want: []reason.Reason{reason.GroupForeign}, says: `"admins"`},
		"another description":                 {change: func(_ *port.Credential, id *port.ServiceID) { id.Text = "Hello" }, want: []reason.Reason{reason.TextChanged}, says: `"Hello"`},
		"nothing of a given service ID":       {facts: observe.Facts{Granted: []access.Policy{theirs}}, change: func(c *port.Credential, _ *port.ServiceID) { c.Given = "ServiceId-1" }},
		"nothing of one that is not made yet": {facts: observe.Facts{Granted: []access.Policy{theirs}}, change: func(_ *port.Credential, id *port.ServiceID) { id.ID = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			c, id := config, id
			if tc.change != nil {
				tc.change(&c, &id)
			}
			var got []reason.Reason
			for _, n := range Notes(c, id, &tc.facts, func(string) bool { return false }) {
				got = append(got, n.Reason)
				if !strings.Contains(n.Message, tc.says) {
					t.Errorf("%q does not say %q", n.Message, tc.says)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("notes (-want +got)\n%s", diff)
			}
		})
	}
	if got := Notes(config, id, &observe.Facts{Granted: []access.Policy{wide}}, func(p string) bool { return p == "wide" }); len(got) > 0 {
		t.Errorf("a policy that the run has taken down: %v", got)
	}
}

func TestTenNotesAreEnough(t *testing.T) {
	var forged []port.Forgery
	var groups []port.Group
	for range 12 {
		forged, groups = append(forged, port.Forgery{ID: "ApiKey-1"}), append(groups, port.Group{Name: "g"})
	}
	if got := Forged(forged); len(got) != 10 || got[0].Creator != "unknown" {
		t.Errorf("%d notes, the first %+v", len(got), got[0])
	}
	got := Notes(port.Credential{}, port.ServiceID{ID: "ServiceId-1"}, &observe.Facts{Member: groups}, nil)
	if len(got) != 10 || !strings.HasSuffix(got[9].Message, "(2 more notes are left out)") {
		t.Errorf("%d notes, the last %q", len(got), got[len(got)-1].Message)
	}
}
