package iam

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/access"
)

var nightly = access.Policy{
	Service: "logs", Roles: []string{"Sender"}, Pattern: "time-based-conditions:weekly:custom-hours",
	Attributes: []access.Attribute{
		{Name: "region", Operator: "stringEqualsAnyOf", Values: []string{"eu-de", "us-south"}},
		{Name: "serviceInstance", Operator: "stringExists", Values: []string{"false"}},
	},
	Tags: []access.Attribute{{Name: "env", Operator: "stringEquals", Values: []string{"prod"}}},
	Rule: &access.Condition{Operator: "or", Conditions: []access.Condition{
		{Operator: "and", Conditions: []access.Condition{{Key: "{{a}}", Operator: "dayOfWeekAnyOf", Values: []string{"1+00:00", "2+00:00"}}}},
		{Key: "{{b}}", Operator: "timeLessThan", Values: []string{"09:00:00+00:00"}},
	}},
}

const nightlyRule = `{"operator":"or","conditions":[` +
	`{"operator":"and","conditions":[{"key":"{{a}}","operator":"dayOfWeekAnyOf","value":["1+00:00","2+00:00"]}]},` +
	`{"key":"{{b}}","operator":"timeLessThan","value":"09:00:00+00:00"}]}`

func TestAPolicyIsSentInIAMsForm(t *testing.T) {
	c := &Client{cfg: Config{Owner: "test"}}
	for name, tc := range map[string]struct {
		policy access.Policy
		want   string
	}{
		"what a policy does not have is left out": {access.Policy{Service: "logs"},
			`{"type":"access","description":"Managed by latchkey [latchkey v=1 owner=test]",` +
				`"subject":{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"iam-x"}]},` +
				`"resource":{"attributes":[{"key":"accountId","operator":"stringEquals","value":"acc"},{"key":"serviceName","operator":"stringEquals","value":"logs"}]},` +
				`"control":{"grant":{"roles":[{"role_id":"crn"}]}}}`},
		"values have the type of their operator": {nightly,
			`{"type":"access","description":"Managed by latchkey [latchkey v=1 owner=test]",` +
				`"subject":{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"iam-x"}]},` +
				`"resource":{"attributes":[{"key":"accountId","operator":"stringEquals","value":"acc"},{"key":"serviceName","operator":"stringEquals","value":"logs"},` +
				`{"key":"region","operator":"stringEqualsAnyOf","value":["eu-de","us-south"]},{"key":"serviceInstance","operator":"stringExists","value":false}],` +
				`"tags":[{"key":"env","value":"prod","operator":"stringEquals"}]},` +
				`"control":{"grant":{"roles":[{"role_id":"crn"}]}},` +
				`"pattern":"time-based-conditions:weekly:custom-hours","rule":` + nightlyRule + `}`},
	} {
		got, err := json.Marshal(c.request("iam-x", "acc", tc.policy, []string{"crn"}))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, tc.want)
		}
	}
}

func TestAPolicyIsReadFromIAMsForm(t *testing.T) {
	c := &Client{cfg: Config{Owner: "test"}}
	// The roles are as with format=display, and a value may be a number.
	text := `{"id":"p","type":"access","state":"active","description":"x [latchkey v=1 owner=test]","created_by_id":"iam-me","last_modified_at":"2026-11-30T10:20:30.400Z",
		"subject":{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"iam-x"}]},
		"control":{"grant":{"roles":[{"role_id":"crn:v1::serviceRole:Sender","display_name":"Sender","actions":[{"id":"send"}]}]}},
		"resource":{"attributes":[{"key":"accountId","operator":"stringEquals","value":"acc"},{"key":"serviceName","operator":"stringEquals","value":"logs"},
			{"key":"region","operator":"stringEqualsAnyOf","value":["eu-de","us-south"]},{"key":"serviceInstance","operator":"stringExists","value":false},
			{"key":"size","operator":"stringEquals","value":1234567890}],
			"tags":[{"key":"env","value":"prod","operator":"stringEquals"}]},
		"pattern":"time-based-conditions:weekly:custom-hours","rule":` + nightlyRule + `}`
	var p policy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	want := nightly
	want.Attributes = append(want.Attributes[:2:2], access.Attribute{Name: "size", Operator: "stringEquals", Values: []string{"1.23456789e+09"}})
	want.ID, want.Creator, want.Ours, want.Since = "p", "iam-me", true, time.Date(2026, 11, 30, 10, 20, 30, 400e6, time.UTC)
	got, ok := c.policyOf(&p, "acc", "iam-x", []string{"iam-me"})
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%v, %s", ok, diff)
	}
}

// IAM has no such rule. An answer with one must not end the run.
func TestARuleThatComparesWithNothingIsStillSent(t *testing.T) {
	for _, text := range []string{`{}`, `{"conditions":[null]}`, `{"key":"a","operator":"stringExists","value":[]}`} {
		var rule *condition
		if err := json.Unmarshal([]byte(text), &rule); err != nil {
			t.Fatal(err)
		}
		if got := ruleFor(ruleOf(rule)); got == nil || got.Value != nil {
			t.Errorf("%s is sent as %+v", text, got)
		}
	}
}
