package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/entry"
)

// Operators of a policy, as IAM names them (platform-services-go-sdk,
// iampolicymanagementv1).
const (
	stringEquals = "stringEquals"
	stringExists = "stringExists"
	anyOf        = "AnyOf" // ends an operator that takes a list
	match        = "Match" // is in an operator whose values may have wildcards
	combineAll   = "and"
	combineOne   = "or"
)

var (
	resourceOperators = []string{stringEquals, "stringEqualsAnyOf", stringExists, "stringMatch", "stringMatchAnyOf"}
	tagOperators      = []string{stringEquals, "stringMatch"}
	timeOperators     = []string{
		"timeLessThan", "timeLessThanOrEquals", "timeGreaterThan", "timeGreaterThanOrEquals",
		"dateLessThan", "dateLessThanOrEquals", "dateGreaterThan", "dateGreaterThanOrEquals",
		"dateTimeLessThan", "dateTimeLessThanOrEquals", "dateTimeGreaterThan", "dateTimeGreaterThanOrEquals",
		"dayOfWeekEquals", "dayOfWeekAnyOf",
	}
)

// patterns maps each pattern of a rule to the operators that its conditions may have.
var patterns = map[string][]string{
	"time-based-conditions:once":                              timeOperators,
	"time-based-conditions:weekly:all-day":                    timeOperators,
	"time-based-conditions:weekly:custom-hours":               timeOperators,
	"attribute-based-condition:resource:literal-and-wildcard": resourceOperators,
}

// maxConditions is how deep conditions may be nested in a rule.
const maxConditions = 2

// shortForms maps IAM's names of attributes to the keys of the config that set them.
var shortForms = map[string]string{
	"serviceName": "service", "serviceType": "serviceType", "serviceInstance": "instance", "resourceGroupId": "resourceGroup",
	"resourceType": "resourceType", "resource": "resource",
}

var (
	checkServiceType = oneOf("service", "platform_service")
	checkPatternOf   = oneOf(slices.Sorted(maps.Keys(patterns))...)
	checkKind        = form(`[A-Za-z0-9]([-A-Za-z0-9_.]{0,98}[A-Za-z0-9])?`, "a type of resource in IAM, such as topic or bucket")
	checkAttribute   = form(`[A-Za-z]([-A-Za-z0-9_.]{0,98}[A-Za-z0-9])?`, "the name of an attribute in IAM, such as region")
	checkTag         = form(`[A-Za-z0-9_.-]{1,128}`, "the part of an access management tag before the colon")
	checkMatched     = line(1000) // the documented length of a value
	checkKey         = form(`\{\{[a-z]+\.attributes\.[A-Za-z0-9_.-]{1,100}\}\}`, "a key of IAM such as {{environment.attributes.current_time}}")
)

// An attributeTemplate is an attribute or a tag of a policy.
type attributeTemplate struct {
	at             value
	name, operator string
	values         []*template
}

// A policyTemplate is one item of policies.
type policyTemplate struct {
	at                                value
	service, serviceType              string
	roles                             []string
	instance, resourceGroup, resource *template // nil: all
	resourceType                      string
	attributes, tags                  []attributeTemplate
	pattern                           string
	rule                              *access.Condition
}

func (d *decoder) policies(v value) (ps []policyTemplate) {
	d.list(v, func(_ int, item value) { ps = append(ps, d.policy(item)) })
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; a service ID needs at least one policy")
	}
	return ps
}

func (d *decoder) policy(item value) policyTemplate {
	p := policyTemplate{at: item}
	o := d.object(item,
		field{"service", !d.has(item, "serviceType"), func(v value) { p.service = d.word(v, checkService) }},
		field{"serviceType", false, func(v value) { p.serviceType = d.word(v, checkServiceType) }},
		field{"roles", true, func(v value) { p.roles = d.words(v, checkRole) }},
		field{"instance", false, func(v value) { p.instance = d.template(v, entry.CheckInstance) }},
		field{"resourceGroup", false, func(v value) { p.resourceGroup = d.template(v, checkResourceGroup) }},
		field{"resourceType", false, func(v value) { p.resourceType = d.word(v, checkKind) }},
		field{"resource", false, func(v value) { p.resource = d.template(v, checkMatched) }},
		field{"attributes", false, func(v value) { p.attributes = d.attributes(v, checkAttribute, resourceOperators) }},
		field{"tags", false, func(v value) { p.tags = d.attributes(v, checkTag, tagOperators) }},
		field{"pattern", false, func(v value) { p.pattern = d.word(v, checkPatternOf) }},
		field{"rule", false, func(v value) { p.rule = d.condition(v, 0) }},
	)
	d.checkTarget(o, p)
	d.checkRule(o, p)
	return p
}

// attributes reads attributes or tags, which differ in their names and operators.
func (d *decoder) attributes(v value, checkName func(string) error, operators []string) (all []attributeTemplate) {
	d.list(v, func(_ int, item value) {
		a := attributeTemplate{at: item, operator: stringEquals}
		o := d.object(item,
			field{"name", true, func(v value) { a.name = d.word(v, checkName) }},
			field{"operator", false, func(v value) { a.operator = d.word(v, oneOf(operators...)) }},
			field{"value", true, d.describeOperand},
		)
		if at, ok := o.keys["value"]; ok && at.node.Tag != "!!null" && a.operator != "" {
			for _, one := range d.operands(at, a.operator) {
				a.values = append(a.values, d.operand(one, a.operator))
			}
		}
		all = append(all, a)
	})
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one")
	}
	return all
}

// operands returns the values that an operator compares with: a list for one that ends
// in AnyOf, else one.
func (d *decoder) operands(v value, operator string) (all []value) {
	if !strings.HasSuffix(operator, anyOf) {
		if v.node.Kind == yaml.SequenceNode {
			d.fault(v, "must be one value: %s takes no list", operator)
			return nil
		}
		return []value{v}
	}
	if d.list(v, func(_ int, item value) { all = append(all, item) }); v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one")
	}
	return all
}

// describeOperand describes what a value can be. Its operator, which may follow it,
// says how it is read.
func (d *decoder) describeOperand(v value) {
	switch {
	case d.probed == nil:
	case v.node.Kind == yaml.SequenceNode:
		d.list(v, func(_ int, item value) { d.template(item, checkMatched) })
	case v.node.ShortTag() == "!!bool":
		d.truth(v)
	default:
		d.template(v, checkMatched)
	}
}

// operand reads one value of an attribute.
func (d *decoder) operand(v value, operator string) *template {
	if operator == stringExists {
		return &template{at: v, parts: []part{{literal: fmt.Sprint(d.truth(v))}}}
	}
	return d.template(v, checkMatched)
}

// condition reads a rule, or a part of one. IAM's words are kept.
func (d *decoder) condition(v value, depth int) *access.Condition {
	c := &access.Condition{}
	if d.has(v, "conditions") {
		if depth == maxConditions {
			d.fault(v, "is nested too deep: IAM takes conditions in conditions, and none in those")
			return c
		}
		d.object(v,
			field{"operator", true, func(v value) { c.Operator = d.word(v, oneOf(combineAll, combineOne)) }},
			field{"conditions", true, func(v value) {
				d.list(v, func(_ int, item value) { c.Conditions = append(c.Conditions, *d.condition(item, depth+1)) })
				if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
					d.fault(v, "is an empty list; it needs at least one")
				}
			}},
		)
		return c
	}
	o := d.object(v,
		field{"key", true, func(v value) { c.Key = d.word(v, checkKey) }},
		field{"operator", true, func(v value) { c.Operator = d.word(v, oneOf(slices.Concat(timeOperators, resourceOperators)...)) }},
		field{"value", true, d.describeOperand},
	)
	if at, ok := o.keys["value"]; ok && at.node.Tag != "!!null" && c.Operator != "" {
		for _, one := range d.operands(at, c.Operator) {
			if c.Operator == stringExists {
				c.Values = append(c.Values, fmt.Sprint(d.truth(one)))
			} else if s := d.word(one, checkOperand(c.Operator)); s != "" {
				c.Values = append(c.Values, s)
			}
		}
	}
	return c
}

var (
	checkTimeOfDay = form(`([01]\d|2[0-3]):[0-5]\d:[0-5]\d[+-]\d\d:\d\d`, "a time with its offset, such as 09:00:00+00:00")
	checkWeekday   = form(`[1-7][+-]\d\d:\d\d`, "a day with its offset: 1 is Monday, such as 1+00:00")
)

// checkOperand returns the check of what an operator compares with.
func checkOperand(operator string) func(string) error {
	switch {
	case strings.HasPrefix(operator, "dayOfWeek"):
		return checkWeekday
	case strings.HasPrefix(operator, "dateTime"):
		return func(s string) error {
			if _, err := time.Parse(time.RFC3339, s); err != nil {
				return errors.New("must be a date and time with its offset, such as 2027-01-01T00:00:00Z")
			}
			return nil
		}
	case strings.HasPrefix(operator, "time"):
		return checkTimeOfDay
	}
	return checkMatched
}

// checkTarget rejects keys of a policy that contradict each other.
func (d *decoder) checkTarget(o object, p policyTemplate) {
	has := func(key string) bool { _, ok := o.keys[key]; return ok }
	if at, ok := o.keys["serviceType"]; ok && has("service") {
		d.fault(at, "service and serviceType cannot be combined; choose one")
	}
	for _, key := range []string{"instance", "resourceType", "resource"} {
		if at, ok := o.keys[key]; ok && has("serviceType") {
			d.fault(at, "needs a service: serviceType selects many")
		}
	}
	if at, ok := o.keys["resource"]; ok && !has("resourceType") {
		d.fault(at, "needs resourceType beside it, such as topic or bucket")
	}
	seen := map[string]bool{}
	for _, a := range p.attributes {
		short := shortForms[a.name]
		switch {
		case a.name == "":
		case a.name == "accountId":
			d.fault(a.at, "accountId is always latchkey's own account; remove it")
		case a.name == "serviceName" || a.name == "serviceType":
			d.fault(a.at, "%s is spelled %s: in the policy", a.name, short)
		case short != "" && has(short):
			d.fault(a.at, "%s is already set by %s; choose one", a.name, short)
		case seen[a.name]:
			d.fault(a.at, "%s is listed twice; IAM takes an attribute once", a.name)
		}
		seen[a.name] = true
	}
}

// checkRule requires a pattern with a rule, and operators that the pattern allows.
func (d *decoder) checkRule(o object, p policyTemplate) {
	rule, ruled := o.keys["rule"]
	pattern, named := o.keys["pattern"]
	switch {
	case ruled && !named:
		d.fault(rule, "needs pattern beside it, such as time-based-conditions:weekly:custom-hours")
	case named && !ruled:
		d.fault(pattern, "needs rule beside it")
	case ruled && p.pattern != "" && p.rule != nil:
		for _, operator := range ruleOperators(*p.rule) {
			if !slices.Contains(patterns[p.pattern], operator) {
				d.fault(rule, "%s does not go with the pattern %s", operator, p.pattern)
			}
		}
	}
}

// ruleOperators returns the operators of a rule's comparisons.
func ruleOperators(c access.Condition) (all []string) {
	if len(c.Conditions) == 0 && c.Operator != "" {
		return []string{c.Operator}
	}
	for _, one := range c.Conditions {
		all = append(all, ruleOperators(one)...)
	}
	return all
}

// target is equal for two policies that always have the same target.
func (p policyTemplate) target() string {
	parts := []string{p.service, p.serviceType, p.instance.key(), p.resourceGroup.key(), p.resourceType, p.resource.key(), p.pattern}
	for _, a := range slices.Concat(p.attributes, p.tags) {
		parts = append(parts, a.name, a.operator)
		for _, v := range a.values {
			parts = append(parts, v.key())
		}
	}
	if p.rule != nil {
		parts = append(parts, fmt.Sprint(*p.rule))
	}
	return strings.Join(parts, "\n")
}

// checkPolicies requires one policy per target. IAM would merge two, which hides the
// effective roles from the config's reader.
func (d *decoder) checkPolicies(e *entryDraft) {
	seen := map[string]bool{}
	for _, p := range e.policies {
		if p.service+p.serviceType == "" {
			continue
		}
		target := p.target()
		if seen[target] {
			d.fault(p.at, "repeats the target of an earlier policy for %s; add the roles there", p.service+p.serviceType)
		}
		seen[target] = true
	}
}

func (x *expansion) policies() (ps []access.Policy) {
	for _, p := range x.entry.policies {
		ps = append(ps, access.Policy{
			Service: p.service, ServiceType: p.serviceType, Roles: slices.Clone(p.roles),
			Instance: x.text(p.instance), ResourceGroup: x.text(p.resourceGroup), ResourceType: p.resourceType, Resource: x.text(p.resource),
			Attributes: x.attributes(p.attributes), Tags: x.attributes(p.tags), Pattern: p.pattern, Rule: p.rule,
		})
	}
	return ps
}

func (x *expansion) attributes(all []attributeTemplate) (as []access.Attribute) {
	for _, t := range all {
		a := access.Attribute{Name: t.name, Operator: t.operator}
		for _, v := range t.values {
			a.Values = append(a.Values, x.operand(v, t.operator))
		}
		as = append(as, a)
	}
	return as
}

// operand evaluates a value of an attribute. An expression must not add a wildcard,
// which would widen the policy.
func (x *expansion) operand(t *template, operator string) string {
	s := x.text(t)
	if x.err != nil || !strings.Contains(operator, match) {
		return s
	}
	wildcards := func(s string) int { return strings.Count(s, "*") + strings.Count(s, "?") }
	configured := 0
	for _, p := range t.parts {
		configured += wildcards(p.literal)
	}
	if wildcards(s) != configured {
		x.fail(t.at, fmt.Errorf("%q has a wildcard that comes from an expression", s))
	}
	return s
}
