package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

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
		reason  reason.Reason // "": the config says it
		keep    []string
		missing bool // the topic's policy is to be granted beside it
	}{
		"the same policy is none":                {changed(func(*access.Policy) {}), "", nil, false},
		"fewer roles are none":                   {changed(func(p *access.Policy) { p.Roles = nil }), "", nil, true},
		"one role more":                          {changed(func(p *access.Policy) { p.Roles = []string{"Manager", "Writer"} }), reason.PolicyWider, []string{"Writer"}, false},
		"another role on the same topic":         {changed(func(p *access.Policy) { p.Roles = []string{"Manager"} }), reason.PolicyForeign, nil, true},
		"another role of ours on the same topic": {changed(func(p *access.Policy) { p.Roles, p.Ours = []string{"Manager"}, true }), reason.PolicyLeft, nil, true},
		"all topics":                             {changed(func(p *access.Policy) { p.Resource = "" }), reason.PolicyWider, nil, false},
		"all instances":                          {changed(func(p *access.Policy) { p.Instance = "" }), reason.PolicyWider, nil, false},
		"another topic":                          {changed(func(p *access.Policy) { p.Resource = "payments" }), reason.PolicyForeign, nil, true},
		"another topic that we granted":          {changed(func(p *access.Policy) { p.Resource, p.Ours = "payments", true }), reason.PolicyLeft, nil, true},
		"a pattern of topics": {changed(func(p *access.Policy) {
			p.Resource, p.Attributes = "", []access.Attribute{{Name: "resource", Operator: "stringMatch", Values: []string{"o*"}}}
		}), reason.PolicyForeign, nil, true},
		"one attribute more": {changed(func(p *access.Policy) {
			p.Attributes = []access.Attribute{{Name: "region", Operator: access.Equals, Values: []string{"eu-de"}}}
		}), reason.PolicyForeign, nil, true},
		"a tag": {changed(func(p *access.Policy) {
			p.Tags = []access.Attribute{{Name: "env", Operator: access.Equals, Values: []string{"prod"}}}
		}), reason.PolicyForeign, nil, true},
		"a condition":     {changed(func(p *access.Policy) { p.Pattern, p.Rule = "time-based-conditions:weekly:all-day", rule }), reason.PolicyForeign, nil, true},
		"another service": {changed(func(p *access.Policy) { p.Service = "logs" }), reason.PolicyForeign, nil, true},
		"a type of services that may be this one": {changed(func(p *access.Policy) { p.Service, p.ServiceType = "", "service" }), reason.PolicyForeign, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got []drift
			if tc.reason != "" {
				want = []drift{{Policy: tc.granted, reason: tc.reason, keep: tc.keep}}
			}
			got = driftOf([]access.Policy{topic}, []access.Policy{tc.granted})
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(drift{})); diff != "" {
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

func TestNarrowingWaitsForWhatStays(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	exact := access.Policy{ID: "exact", Service: "logs", Roles: []string{"Sender"}, Instance: "1", Ours: true, Since: now.Add(-time.Hour)}
	wide := access.Policy{ID: "wide", Service: "logs", Roles: []string{"Sender"}, Ours: true, Since: now.Add(-time.Hour)}
	roles := exact
	roles.Roles = []string{"Manager", "Sender"}
	young, theirs, theirsWide := exact, exact, wide
	young.Since = now.Add(-time.Minute)
	theirs.Ours, theirsWide.Ours, theirsWide.ID = false, false, "theirs"
	for name, tc := range map[string]struct {
		narrow      bool
		granted     []access.Policy
		excess      []string
		unsatisfied bool
	}{
		"without narrowPolicies nothing goes":                       {false, []access.Policy{exact, wide}, nil, false},
		"a wider policy goes beside the exact one":                  {true, []access.Policy{exact, wide}, []string{"wide"}, false},
		"it waits for the exact one to be granted":                  {true, []access.Policy{wide}, nil, true},
		"it waits until services know the exact one":                {true, []access.Policy{young, wide}, nil, false},
		"an exact policy of others is enough":                       {true, []access.Policy{theirs, wide}, []string{"wide"}, false},
		"a wider policy of others stays":                            {true, []access.Policy{exact, theirsWide}, nil, false},
		"roles go at once, since the others stay":                   {true, []access.Policy{roles}, []string{"exact"}, false},
		"a policy that the config says stays":                       {true, []access.Policy{exact}, nil, false},
		"what only a wider policy of others covers is not granted":  {true, []access.Policy{theirsWide}, nil, false},
		"what only a wider policy of ours covers is to be replaced": {true, []access.Policy{wide, theirsWide}, []string{"wide"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{Now: func() time.Time { return now }}
			ru := r.newRun(port.Credential{
				Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: "1"}}, NarrowPolicies: tc.narrow, Rules: rotation.Standard(),
			}, Request{}, r.log(), &result.Outcome{})
			ru.facts = &observe.Facts{Granted: tc.granted}
			s := ru.state()
			if diff := cmp.Diff(tc.excess, s.Identity.Excess); diff != "" {
				t.Errorf("excess (-want +got)\n%s", diff)
			}
			if got := len(s.Identity.Unsatisfied) > 0; got != tc.unsatisfied {
				t.Errorf("unsatisfied: %v", s.Identity.Unsatisfied)
			}
		})
	}
}
