package access_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
)

// Two policies may have one target: one of an earlier config, and one with more roles.
func TestAPolicyGoesAsAWholeIfAnotherOneStaysInItsPlace(t *testing.T) {
	on := func(id string, ours bool, roles ...string) access.Policy {
		return access.Policy{ID: id, Ours: ours, Service: "logs", Instance: "1", Roles: roles}
	}
	wanted := []access.Policy{on("", false, "Sender")}
	everywhere := on("p", false, "Sender")
	everywhere.Instance = ""
	for name, tc := range map[string]struct {
		granted []access.Policy
		want    map[string][]string // the roles to keep, by the ID of each policy in excess
	}{
		"alone it keeps the role of the config": {[]access.Policy{on("q", true, "Sender", "Manager")}, map[string][]string{"q": {"Sender"}}},
		"beside the policy of the config":       {[]access.Policy{on("p", true, "Sender"), on("q", true, "Sender", "Manager")}, map[string][]string{"q": nil}},
		"beside one that others made":           {[]access.Policy{on("p", false, "Sender"), on("q", true, "Sender", "Manager")}, map[string][]string{"q": nil}},
		"beside one that goes itself": {
			[]access.Policy{on("p", true, "Sender", "Viewer"), on("q", true, "Sender", "Manager")}, map[string][]string{"p": {"Sender"}, "q": {"Sender"}},
		},
		"beside one that is wider, and of others": {[]access.Policy{everywhere, on("q", true, "Sender", "Manager")}, map[string][]string{"q": {"Sender"}}},
	} {
		got := map[string][]string{}
		excess, _ := access.Excess(wanted, tc.granted)
		for _, d := range excess {
			got[d.ID] = d.Keep
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestDriftIsWhatTheConfigDoesNotSay(t *testing.T) {
	topic := access.Policy{Service: "messagehub", Roles: []string{"Writer"}, Instance: "1", ResourceType: "topic", Resource: "orders"}
	changed := func(change func(*access.Policy)) access.Policy {
		p := topic
		p.ID = "p"
		change(&p)
		return p
	}
	rule := &access.Condition{Key: "{{environment.attributes.day_of_week}}", Operator: "dayOfWeekAnyOf", Values: []string{"1+00:00", "2+00:00"}}
	for name, tc := range map[string]struct {
		granted access.Policy
		beyond  bool // the config does not say it all
		wider   bool
		keep    []string
		missing bool // the topic's policy is to be granted beside it
	}{
		"the same policy is none":                {changed(func(*access.Policy) {}), false, false, nil, false},
		"fewer roles are none":                   {changed(func(p *access.Policy) { p.Roles = nil }), false, false, nil, true},
		"one role more":                          {changed(func(p *access.Policy) { p.Roles = []string{"Manager", "Writer"} }), true, true, []string{"Writer"}, false},
		"another role on the same topic":         {changed(func(p *access.Policy) { p.Roles = []string{"Manager"} }), true, false, nil, true},
		"another role of ours on the same topic": {changed(func(p *access.Policy) { p.Roles, p.Ours = []string{"Manager"}, true }), true, false, nil, true},
		"all topics":                             {changed(func(p *access.Policy) { p.Resource = "" }), true, true, nil, false},
		"all instances":                          {changed(func(p *access.Policy) { p.Instance = "" }), true, true, nil, false},
		"another topic":                          {changed(func(p *access.Policy) { p.Resource = "payments" }), true, false, nil, true},
		"another topic that we granted":          {changed(func(p *access.Policy) { p.Resource, p.Ours = "payments", true }), true, false, nil, true},
		"a pattern of topics": {changed(func(p *access.Policy) {
			p.Resource, p.Attributes = "", []access.Attribute{{Name: "resource", Operator: "stringMatch", Values: []string{"o*"}}}
		}), true, false, nil, true},
		"one attribute more": {changed(func(p *access.Policy) {
			p.Attributes = []access.Attribute{{Name: "region", Operator: access.Equals, Values: []string{"eu-de"}}}
		}), true, false, nil, true},
		"a tag": {changed(func(p *access.Policy) {
			p.Tags = []access.Attribute{{Name: "env", Operator: access.Equals, Values: []string{"prod"}}}
		}), true, false, nil, true},
		"a condition":     {changed(func(p *access.Policy) { p.Pattern, p.Rule = "time-based-conditions:weekly:all-day", rule }), true, false, nil, true},
		"another service": {changed(func(p *access.Policy) { p.Service = "logs" }), true, false, nil, true},
		"a type of services that may be this one": {changed(func(p *access.Policy) { p.Service, p.ServiceType = "", "service" }), true, false, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var want []access.Drift
			if tc.beyond {
				want = []access.Drift{{Policy: tc.granted, Wider: tc.wider, Keep: tc.keep}}
			}
			got := access.Beyond([]access.Policy{topic}, []access.Policy{tc.granted})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("drift (-want +got)\n%s", diff)
			}
			if lacks := len(access.Missing([]access.Policy{topic}, []access.Policy{tc.granted})) > 0; lacks != tc.missing {
				t.Errorf("missing: %v, want %v", lacks, tc.missing)
			}
		})
	}
	same := access.Policy{Service: "logs", Rule: rule, Pattern: "p"}
	other := same
	other.Rule = &access.Condition{Key: rule.Key, Operator: rule.Operator, Values: []string{"2+00:00", "1+00:00"}}
	if !same.SameTarget(other) {
		t.Error("the order of values makes another policy")
	}
}
