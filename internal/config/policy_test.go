package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/access"
)

// withPolicies returns the small config with other policies and without a proof.
func withPolicies(policies string) string {
	text := strings.Replace(static, "    - {service: logs, roles: [Sender], instance: 7a1c}\n", policies, 1)
	return strings.Replace(text, "  prove:\n    logs: {instance: 7a1c, region: eu-de}\n", "", 1)
}

func TestPoliciesTakeWhatIAMTakes(t *testing.T) {
	c := mustLoad(t, withPolicies(`    - {service: messagehub, roles: [Writer], instance: 7a1c, resourceType: topic, resource: orders}
    - {service: messagehub, roles: [Reader], instance: 7a1c, resourceType: cluster}
    - serviceType: service
      roles: [Viewer]
      resourceGroup: abc
      tags: [{name: env, value: prod}, {name: team, operator: stringMatch, value: "a*"}]
    - service: cloud-object-storage
      roles: [Object Writer]
      attributes:
      - {name: region, operator: stringEqualsAnyOf, value: [eu-de, us-south]}
      - {name: resource, operator: stringMatch, value: "team-*"}
      - {name: resourceType, value: bucket}
      - {name: path, operator: stringExists, value: true}
    - service: logs
      roles: [Sender]
      pattern: time-based-conditions:weekly:custom-hours
      rule:
        operator: or
        conditions:
        - operator: and
          conditions:
          - {key: "{{environment.attributes.day_of_week}}", operator: dayOfWeekAnyOf, value: [1+00:00, 2+00:00]}
          - {key: "{{environment.attributes.current_time}}", operator: timeLessThan, value: "17:00:00+00:00"}
        - {key: "{{environment.attributes.day_of_week}}", operator: dayOfWeekEquals, value: 7+00:00}
`))
	got, err := c.Entries[0].Expand(Input{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, operator string, values ...string) access.Attribute {
		return access.Attribute{Name: name, Operator: operator, Values: values}
	}
	equals := func(name, value string) access.Attribute {
		return with(name, access.Equals, value)
	}
	want := []access.Policy{
		{Service: "messagehub", Roles: []string{"Writer"}, Instance: "7a1c", ResourceType: "topic", Resource: "orders"},
		{Service: "messagehub", Roles: []string{"Reader"}, Instance: "7a1c", ResourceType: "cluster"},
		{ServiceType: "service", Roles: []string{"Viewer"}, ResourceGroup: "abc", Tags: []access.Attribute{equals("env", "prod"), with("team", "stringMatch", "a*")}},
		{Service: "cloud-object-storage", Roles: []string{"Object Writer"}, Attributes: []access.Attribute{
			with("region", "stringEqualsAnyOf", "eu-de", "us-south"), with("resource", "stringMatch", "team-*"),
			equals("resourceType", "bucket"), with("path", "stringExists", "true"),
		}},
		{Service: "logs", Roles: []string{"Sender"}, Pattern: "time-based-conditions:weekly:custom-hours", Rule: &access.Condition{
			Operator: "or", Conditions: []access.Condition{
				{Operator: "and", Conditions: []access.Condition{
					{Key: "{{environment.attributes.day_of_week}}", Operator: "dayOfWeekAnyOf", Values: []string{"1+00:00", "2+00:00"}},
					{Key: "{{environment.attributes.current_time}}", Operator: "timeLessThan", Values: []string{"17:00:00+00:00"}},
				}},
				{Key: "{{environment.attributes.day_of_week}}", Operator: "dayOfWeekEquals", Values: []string{"7+00:00"}},
			},
		}},
	}
	if diff := cmp.Diff(want, got.Policies); diff != "" {
		t.Errorf("policies (-want +got)\n%s", diff)
	}
}

func TestAPolicyThatContradictsItselfIsAFault(t *testing.T) {
	const late = `{key: "{{environment.attributes.current_time}}", operator: timeLessThan, value: "17:00:00+00:00"}`
	for name, tc := range map[string]struct{ policy, fault string }{
		"neither a service nor a type":            {`roles: [Viewer]`, `.service: is missing`},
		"a service and a type":                    {`service: logs, serviceType: service, roles: [Viewer]`, `.serviceType: service and serviceType cannot be combined`},
		"an unknown type of services":             {`serviceType: all, roles: [Viewer]`, `.serviceType: "all" must be service or platform_service`},
		"an instance of many services":            {`serviceType: service, roles: [Viewer], instance: 7a1c`, `.instance: needs a service: serviceType selects many`},
		"a resource without its type":             {`service: logs, roles: [Viewer], resource: orders`, `.resource: needs resourceType beside it`},
		"an operator that IAM does not have":      {`service: logs, roles: [Viewer], attributes: [{name: region, operator: equals, value: eu-de}]`, `.attributes[0].operator: "equals" must be stringEquals, stringEqualsAnyOf, stringExists, stringMatch or stringMatchAnyOf`},
		"an operator that tags do not take":       {`service: logs, roles: [Viewer], tags: [{name: env, operator: stringExists, value: true}]`, `.tags[0].operator: "stringExists" must be stringEquals or stringMatch`},
		"a list for an operator of one value":     {`service: logs, roles: [Viewer], attributes: [{name: region, value: [eu-de]}]`, `.attributes[0].value: must be one value: stringEquals takes no list`},
		"one value for an operator of a list":     {`service: logs, roles: [Viewer], attributes: [{name: region, operator: stringEqualsAnyOf, value: eu-de}]`, `.attributes[0].value: must be a list`},
		"an empty list of values":                 {`service: logs, roles: [Viewer], attributes: [{name: region, operator: stringEqualsAnyOf, value: []}]`, `.attributes[0].value: is an empty list`},
		"a text for stringExists":                 {`service: logs, roles: [Viewer], attributes: [{name: region, operator: stringExists, value: "yes"}]`, `.attributes[0].value: must be true or false`},
		"an attribute without a value":            {`service: logs, roles: [Viewer], attributes: [{name: region}]`, `.attributes[0].value: is missing`},
		"an attribute twice":                      {`service: logs, roles: [Viewer], attributes: [{name: region, value: a}, {name: region, value: b}]`, `.attributes[1]: region is listed twice`},
		"an attribute that a key sets":            {`service: logs, roles: [Viewer], instance: 7a1c, attributes: [{name: serviceInstance, operator: stringMatch, value: "7*"}]`, `.attributes[0]: serviceInstance is already set by instance`},
		"the service as an attribute":             {`service: logs, roles: [Viewer], attributes: [{name: serviceName, value: logs}]`, `.attributes[0]: serviceName is spelled service:`},
		"another account":                         {`service: logs, roles: [Viewer], attributes: [{name: accountId, value: abc}]`, `.attributes[0]: accountId is always latchkey's own account`},
		"no attributes":                           {`service: logs, roles: [Viewer], attributes: []`, `.attributes: is an empty list`},
		"a rule without its pattern":              {`service: logs, roles: [Viewer], rule: ` + late, `.rule: needs pattern beside it`},
		"a pattern without a rule":                {`service: logs, roles: [Viewer], pattern: time-based-conditions:once`, `.pattern: needs rule beside it`},
		"an unknown pattern":                      {`service: logs, roles: [Viewer], pattern: hourly, rule: ` + late, `.pattern: "hourly" must be attribute-based-condition:resource:literal-and-wildcard, time-based-conditions:once,`},
		"an operator that the pattern has not":    {`service: logs, roles: [Viewer], pattern: "attribute-based-condition:resource:literal-and-wildcard", rule: ` + late, `.rule: timeLessThan does not go with the pattern attribute-based-condition`},
		"a key that is none of IAM's":             {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {key: current_time, operator: timeLessThan, value: "17:00:00+00:00"}`, `.rule.key: "current_time" must be a key of IAM`},
		"a time without its offset":               {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {key: "{{environment.attributes.current_time}}", operator: timeLessThan, value: "17:00"}`, `.rule.value: "17:00" must be a time with its offset`},
		"a day by name":                           {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {key: "{{environment.attributes.day_of_week}}", operator: dayOfWeekEquals, value: monday}`, `.rule.value: "monday" must be a day with its offset`},
		"a date that YAML reads as one":           {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {key: "{{environment.attributes.current_date_time}}", operator: dateTimeLessThan, value: 2027-01-01T00:00:00Z}`, `.rule.value: must be a string, not a date; quote it`},
		"an end that is no date":                  {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {key: "{{environment.attributes.current_date_time}}", operator: dateTimeLessThan, value: soon}`, `.rule.value: "soon" must be a date and time with its offset`},
		"conditions that are combined by neither": {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {operator: not, conditions: [` + late + `]}`, `.rule.operator: "not" must be and or or`},
		"no conditions":                           {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {operator: and, conditions: []}`, `.rule.conditions: is an empty list`},
		"conditions that are nested too deep": {`service: logs, roles: [Viewer], pattern: time-based-conditions:once, rule: {operator: and, conditions: [{operator: or, conditions: [{operator: and, conditions: [` + late + `]}]}]}`,
			`.rule.conditions[0].conditions[0]: is nested too deep`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("latchkey.yaml", []byte(withPolicies("    - {"+tc.policy+"}\n")))
			if err == nil || !strings.Contains(err.Error(), "credentials[0].serviceID.policies[0]"+tc.fault) {
				t.Errorf("got %v, want %s", err, tc.fault)
			}
		})
	}
}

func TestPoliciesThatDifferInOneThingAreTwo(t *testing.T) {
	for name, second := range map[string]string{
		"the resource":  `resourceType: topic, resource: two`,
		"the operator":  `resourceType: topic, attributes: [{name: resource, operator: stringMatch, value: one}]`,
		"a tag":         `resourceType: topic, resource: one, tags: [{name: env, value: prod}]`,
		"the condition": `resourceType: topic, resource: one, pattern: time-based-conditions:once, rule: {key: "{{environment.attributes.day_of_week}}", operator: dayOfWeekEquals, value: 7+00:00}`,
	} {
		t.Run(name, func(t *testing.T) {
			mustLoad(t, withPolicies("    - {service: messagehub, roles: [Writer], resourceType: topic, resource: one}\n    - {service: messagehub, roles: [Writer], "+second+"}\n"))
		})
	}
}

func TestAnExpressionWidensNoPolicy(t *testing.T) {
	text := strings.ReplaceAll(withPolicies(`    - {service: cloud-object-storage, roles: [Reader], attributes: [{name: resource, operator: stringMatch, value: "${project.name}-*"}]}
`), "- name: logs-sender\n", "- name: logs-sender\n  forEach: codeengine.projects\n")
	text = strings.Replace(text, "name: logs-sender\n    description", "name: logs-sender-${project.name}\n    description", 1)
	text = strings.Replace(text, "  - file: {path: /keys/logs.json}\n", "", 1)
	text = strings.Replace(text, "project: tools, region: eu-de", `project: "${project.id}"`, 1)
	c := mustLoad(t, text)
	got, err := c.Entries[0].Expand(Input{Project: &Project{ID: "p1", Name: "team-a", Region: "eu-de"}})
	if err != nil || got.Policies[0].Attributes[0].Values[0] != "team-a-*" {
		t.Errorf("got %v, %v", got.Policies, err)
	}
	_, err = c.Entries[0].Expand(Input{Project: &Project{ID: "p2", Name: "*", Region: "eu-de"}})
	if err == nil || !strings.Contains(err.Error(), `"*-*" has a wildcard that comes from an expression`) {
		t.Errorf("got %v", err)
	}
}
