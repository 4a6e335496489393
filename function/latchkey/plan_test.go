package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// drawn is a credential in a state that some past has left, in the emulator.
type drawn struct {
	*stage
	t    *rapid.T
	name string
	id   cloud.ServiceID
	keys []cloud.APIKey
}

func (d *drawn) chance(oneIn int, what string) bool {
	return rapid.IntRange(1, oneIn).Draw(d.t, what) == 1
}

// serviceID may be missing, lack its policy, or be a duplicate's twin.
func (d *drawn) serviceID() {
	if d.chance(8, "no service ID") {
		return
	}
	marker := marker.Marker{Owner: "example", Credential: d.name}
	d.id = ownServiceID(d.cloud.Cloud(), cloud.NewServiceID{Name: d.name, AccountID: d.cloud.Ready().Account, Description: marker.Describe("drawn")})
	if !d.chance(4, "no policy") {
		d.cloud.Cloud().Grant(d.id.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	}
	if d.chance(10, "locked service ID") {
		d.cloud.Cloud().SetServiceIDLocked(d.id.ID, true)
	}
}

// key adds one that is so old now; the emulator's clock moves on to the next.
func (d *drawn) key(kind string) {
	now := d.cloud.Now()
	m := marker.Marker{Owner: "example", Credential: d.name}
	expires := now.Add(90 * 24 * time.Hour)
	switch kind {
	case "pending":
		expires = now.Add(24 * time.Hour)
	case "superseded":
		m.Superseded, expires = now, now.Add(24*time.Hour)
	case "leaked":
		m.Leaked = now
	case "remembering":
		m.Renew = now.Add(time.Minute)
	case "foreign":
		m.Owner = "another"
	}
	k := ownKey(d.cloud.Cloud(), cloud.NewAPIKey{
		IAMID: d.id.IAMID, AccountID: d.cloud.Ready().Account, Name: marker.KeyName(d.name, now, "00"), Description: m.Text(), ExpiresAt: cloud.FormatTime(expires),
	})
	if d.chance(12, "disabled") {
		d.cloud.Cloud().SetKeyDisabled(k.ID, true)
	}
	if d.chance(12, "locked") {
		d.cloud.Cloud().SetKeyLocked(k.ID, true)
	}
	d.keys = append(d.keys, k)
}

// entry writes a store's entry: a key, the value by hand, or nothing.
func (d *drawn) entry(project string) {
	data := map[string]string{"NEIGHBOUR": "kept"}
	i := rapid.IntRange(-2, len(d.keys)-1).Draw(d.t, "the store names")
	switch {
	case i >= 0:
		k := d.keys[i]
		data["KEY"], data["KEY_ID"] = k.Value, k.ID
		data["KEY_LATCHKEY"] = fmt.Sprintf(`{"owner":"example","created":%q,"iam_id":%q}`, k.CreatedAt.UTC().Truncate(time.Minute).Format(time.RFC3339), k.IAMID)
	case i == -2 && d.chance(6, "unmarked"):
		data["KEY"] = "by hand"
	case d.chance(2, "no secret"):
		return
	}
	d.cloud.Cloud().PutSecret(d.project(project).ID, d.name, data)
}

func (d *drawn) clear(projects ...string) {
	for _, name := range projects {
		p := d.project(name)
		for _, sec := range p.Secrets {
			if sec.Name == d.name {
				d.cloud.Cloud().RemoveSecret(p.ID, sec.Name)
			}
		}
	}
}

// agrees compares a condition with what a consumer's authentication shows.
func (d *drawn) agrees(who string, o result.Outcome) {
	works := map[string]bool{} // our keys that authenticate: whether they did not leak
	for _, k := range d.cloud.State(false).APIKeys {
		if m, _, ok := marker.Parse(k.Description); ok && k.IAMID == d.id.IAMID && m.Owner == "example" && !k.Disabled && k.ExpiresAt.After(d.cloud.Now()) {
			works[k.ID] = m.Leaked.IsZero()
		}
	}
	named := false
	for _, st := range o.Stores {
		_, live := works[st.Key]
		named = named || live
	}
	switch o.Condition {
	case condition.OK, condition.Due, condition.Expiring:
		if d.id.ID != "" && !works[o.Key] {
			d.t.Errorf("%s says %s, and the published key %q does not work, or leaked", who, o.Condition, o.Key)
		}
	case condition.Expired, condition.Missing:
		if named {
			d.t.Errorf("%s says %s, and a store names a key that works", who, o.Condition)
		}
	}
	if (o.Condition == condition.OK) != (o.Reason == "") {
		d.t.Errorf("%s says %s for the reason %q", who, o.Condition, o.Reason)
	}
}

// asListed compares a look at the account's lists with a look at the credential itself.
func (d *drawn) asListed(h *assembly, all []port.Credential, alone result.Outcome) {
	if err := h.lists.Read(context.Background(), all); err != nil {
		d.t.Fatal(err)
	}
	listed, _, err := h.listed.Plan(context.Background(), all[0], reconcile.Request{})
	if err != nil {
		if d.id.ID != "" {
			d.t.Error(err)
		}
		return // no list shows a service ID, which proves nothing
	}
	if diff := cmp.Diff(alone, listed, cmpopts.IgnoreUnexported(result.Outcome{}), cmpopts.EquateApproxTime(time.Minute)); diff != "" {
		d.t.Errorf("a look at the lists differs (-alone +listed):\n%s", diff)
	}
}

// What plan says is what sweep then does, step by step and reason by reason:
// a person who has read the plan is not surprised.
func TestPlanPredictsWhatSweepDoes(t *testing.T) {
	var count atomic.Int32
	one := func(t *rapid.T, s *stage) {
		d := &drawn{stage: s, t: t, name: fmt.Sprintf("c%d", count.Add(1))}
		d.serviceID()
		if d.id.ID != "" {
			for range rapid.IntRange(0, 4).Draw(t, "keys") {
				d.key(rapid.SampledFrom([]string{"full", "full", "pending", "superseded", "leaked", "remembering", "foreign"}).Draw(t, "kind"))
				d.cloud.Advance(time.Duration(rapid.SampledFrom([]int{1, 12, 20, 90, 1500, 40000, 90000}).Draw(t, "minutes later")) * time.Minute)
			}
		}
		d.entry("team-b")
		two := d.chance(2, "two stores")
		places := []string{"us-south/team-b/" + d.name + "#KEY"}
		if two {
			d.entry("team-a")
			places = append(places, "eu-de/team-a/"+d.name+"#KEY")
		}
		defer d.clear("team-a", "team-b") // a project has room for 100 secrets
		var trigger protocol.Trigger
		if len(d.keys) > 0 {
			pick := rapid.SampledFrom(d.keys).Draw(t, "about").ID
			switch rapid.IntRange(0, 5).Draw(t, "asks") {
			case 0:
				trigger.NewerThan = d.cloud.Now()
			case 1:
				trigger.NotKey = pick
			case 2:
				trigger.Leaked = pick
			case 3:
				trigger.Leaked, trigger.Contain = pick, true
			}
		}

		h := s.wired(holesHead + static(d.name, places...))
		all, err := h.catalog.Credentials(context.Background(), catalog.Scope{Names: []string{d.name}})
		if err != nil || len(all) != 1 {
			t.Fatalf("%d credentials, %v", len(all), err)
		}
		ask := reconcile.Request{Trigger: trigger, Cause: "drawn"}
		status, _, err := h.reconciler.Plan(context.Background(), all[0], reconcile.Request{})
		if err != nil {
			t.Fatal(err)
		}
		d.agrees("status", status)
		d.asListed(h, all, status)
		_, plan, err := h.reconciler.Plan(context.Background(), all[0], ask)
		if err != nil {
			t.Fatal(err)
		}
		out, err := h.reconciler.Reconcile(context.Background(), all[0], ask)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lines(plan.Steps, out.Key), did(out)); diff != "" || out.Error != "" {
			t.Errorf("planned and done (-plan +done), error %q:\n%s", out.Error, diff)
		}
		d.agrees("the sweep", out)
		held := out.Result == result.Blocked || out.Result == result.InProgress
		if planned := plan.Blocked + plan.Waiting; held != (planned != "") || held && planned != out.Reason {
			t.Errorf("planned to be held by %q, held by %q", planned, out.Reason)
		}
	}
	t.Cleanup(func() { t.Logf("%d states", count.Load()) })
	for range 10 { // each checks a hundred, on an emulator with no other credentials
		t.Run("a hundred", func(t *testing.T) {
			t.Parallel()
			server, err := emulator.Start(emulator.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			s := &stage{t: t, cloud: server, said: &record{}}
			rapid.Check(t, func(t *rapid.T) { one(t, s) })
		})
	}
}

func lines(steps []protocol.Step, fresh string) (out []string) {
	for _, s := range steps {
		if s.Key == protocol.NewKey {
			s.Key = fresh
		}
		out = append(out, fmt.Sprint(s.Action, " ", s.Key, " ", s.Target, ": ", s.Reason))
	}
	return out
}

func did(o result.Outcome) (out []string) {
	for _, s := range o.Steps {
		line := fmt.Sprint(s.Action, " ", s.Key, " ", s.Target, ": ", s.Reason)
		if s.Error != "" {
			line += " FAILED " + s.Error
		}
		out = append(out, line)
	}
	return out
}

// Whatever latchkey does in the life of a credential, nothing that is not its
// own changes: not a service ID, not a key or policy, not a neighbour in a
// secret.
func TestNothingForeignIsEverChanged(t *testing.T) {
	s := holed(t, static("c", place1, place2)+static("d", "us-south/team-b/logs-sender#OTHER"))
	c, account := s.cloud.Cloud(), s.cloud.Ready().Account
	theirs := c.AddServiceID(cloud.NewServiceID{Name: "theirs", AccountID: account, Description: "by hand"})
	c.Grant(theirs.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	c.AddAPIKey(cloud.NewAPIKey{IAMID: theirs.IAMID, AccountID: account, Name: "theirs"})
	other := marker.Marker{Owner: "another-installation", Credential: "c"}
	same := c.AddServiceID(cloud.NewServiceID{Name: "c-of-another", AccountID: account, Description: other.Text()})
	c.AddAPIKey(cloud.NewAPIKey{IAMID: same.IAMID, AccountID: account, Name: "c.20200101T000000.000Z.00", Description: other.Text()})
	c.PutSecret(s.project("team-a").ID, "logs-sender", map[string]string{"NEIGHBOUR": "kept"})
	c.PutSecret(s.project("team-b").ID, "theirs", map[string]string{"IAM_API_KEY": "kept"})
	s.sweep()
	// On our own service ID too.
	c.AddAPIKey(cloud.NewAPIKey{IAMID: "iam-" + s.serviceID("c"), AccountID: account, Name: "by hand on ours"})
	c.Grant("iam-"+s.serviceID("c"), "cloud-object-storage", "crn:v1:bluemix:public:iam::::serviceRole:Reader")

	foreign := func() map[string]any {
		state, out := s.cloud.State(true), map[string]any{}
		ours := map[string]bool{"iam-" + s.serviceID("c"): true, "iam-" + s.serviceID("d"): true}
		for _, id := range state.ServiceIDs {
			if !ours[id.IAMID] {
				out["service ID "+id.ID] = id
			}
		}
		for _, k := range state.APIKeys {
			if !ours[k.IAMID] || k.Name == "by hand on ours" {
				out["key "+k.ID] = k
			}
		}
		for _, p := range state.Policies {
			if text := fmt.Sprint(p); !strings.Contains(text, s.serviceID("c")) && !strings.Contains(text, s.serviceID("d")) || strings.Contains(text, "cloud-object-storage") {
				out["policy "+p.ID] = p
			}
		}
		for _, p := range state.Projects {
			for _, sec := range p.Secrets {
				for name, value := range sec.Data {
					if !strings.HasPrefix(name, "IAM_API_KEY") && !strings.HasPrefix(name, "OTHER") || sec.Name != "logs-sender" {
						out["entry "+p.Name+"/"+sec.Name+"/"+name] = value
					}
				}
			}
		}
		return out
	}
	before := foreign()
	if len(before) < 8 {
		t.Fatalf("only %d foreign things", len(before))
	}
	s.cloud.Advance(time.Hour)
	s.post(s.url, sample.Rotate("c", s.cloud.Now()), testToken)
	s.cloud.Advance(time.Hour)
	s.revoke("c", s.publishedKey(), false)
	s.cloud.Advance(time.Hour)
	s.revoke("c", s.publishedKey(), true)
	for range 4 {
		s.cloud.Advance(61 * 24 * time.Hour)
		s.sweep()
		s.sweeps(26)
	}
	s.url = s.serve(holesHead + static("d", "us-south/team-b/logs-sender#OTHER"))
	s.sweep()
	if diff := cmp.Diff(before, foreign(), ignoreUse); diff != "" {
		t.Errorf("foreign things changed:\n%s", diff)
	}
}
