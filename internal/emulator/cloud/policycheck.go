package cloud

import (
	"fmt"
	"slices"
	"strings"
)

// Operators of the SDK's models (platform-services-go-sdk, iampolicymanagementv1).
var (
	subjectOperators  = []string{"stringEquals", "stringExists"}
	resourceOperators = []string{"stringEquals", "stringEqualsAnyOf", "stringExists", "stringMatch", "stringMatchAnyOf"}
	tagOperators      = []string{"stringEquals", "stringMatch"}
	timeOperators     = []string{"timeLessThan", "timeLessThanOrEquals", "timeGreaterThan", "timeGreaterThanOrEquals",
		"dateLessThan", "dateLessThanOrEquals", "dateGreaterThan", "dateGreaterThanOrEquals",
		"dateTimeLessThan", "dateTimeLessThanOrEquals", "dateTimeGreaterThan", "dateTimeGreaterThanOrEquals",
		"dayOfWeekEquals", "dayOfWeekAnyOf"}
)

// patterns maps each pattern of a rule to the operators of its conditions.
var patterns = map[string][]string{
	"time-based-conditions:once":                              timeOperators,
	"time-based-conditions:weekly":                            timeOperators,
	"time-based-conditions:weekly:all-day":                    timeOperators,
	"time-based-conditions:weekly:custom-hours":               timeOperators,
	"attribute-based-condition:resource:literal-and-wildcard": resourceOperators,
}

// longestAttribute is the documented length of an attribute's value.
const longestAttribute = 1000

func validText(v any) bool {
	s, ok := v.(string)
	return ok && s != "" && len([]rune(s)) <= longestAttribute
}

// validValue reports whether the value has the type that the operator takes.
func validValue(operator string, v any) bool {
	switch {
	case strings.HasSuffix(operator, "AnyOf"):
		list, ok := v.([]any)
		return ok && len(list) > 0 && !slices.ContainsFunc(list, func(x any) bool { return !validText(x) })
	case operator == "stringExists":
		return v == true || v == false || v == "true" || v == "false"
	}
	return validText(v)
}

func checkAttributes(list []Attribute, operators []string) error {
	seen := map[string]bool{}
	for _, a := range list {
		switch {
		case a.Key == "" || a.Operator == "" || a.Value == nil:
			return invalidPolicy("An attribute needs key, operator and value")
		case !slices.Contains(operators, a.Operator):
			return invalidPolicy("The operator %q of %s is not one of %s", a.Operator, a.Key, strings.Join(operators, ", "))
		case !validValue(a.Operator, a.Value):
			return invalidPolicy("The value of %s must have 1 to %d characters and the type that %s takes", a.Key, longestAttribute, a.Operator)
		case seen[a.Key]:
			return invalidPolicy("The following resource attribute(s) had multiple entries: %s", a.Key)
		}
		seen[a.Key] = true
	}
	return nil
}

// checkRule checks the conditions of a policy and that they have a pattern.
func checkRule(p PolicySpec) error {
	operators, known := patterns[p.Pattern]
	switch {
	case p.Pattern != "" && !known:
		return invalidPolicy("pattern %q is unknown", p.Pattern)
	case p.Rule == nil:
		return nil
	case p.Pattern == "":
		return invalidPolicy("A rule needs the pattern that matches it")
	}
	return checkCondition(p.Rule, operators, 0)
}

// mostNested is the depth of conditions in the SDK's model: a rule, a condition
// with conditions, and those.
const mostNested = 2

func checkCondition(x any, operators []string, depth int) error {
	rule, _ := x.(map[string]any)
	operator, _ := rule["operator"].(string)
	conditions, combined := rule["conditions"]
	if !combined {
		key, _ := rule["key"].(string)
		if key == "" || !slices.Contains(operators, operator) || !validValue(operator, rule["value"]) {
			return invalidPolicy("A condition needs key, value and an operator that the pattern allows, not %q", operator)
		}
		return nil
	}
	list, _ := conditions.([]any)
	if operator != "and" && operator != "or" || len(list) == 0 || depth == mostNested {
		return invalidPolicy("Conditions are combined by and or or, at most two levels deep")
	}
	for _, one := range list {
		if err := checkCondition(one, operators, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// check rejects values that the SDK's model of the query does not list.
func (q PolicyQuery) check() error {
	for _, f := range []struct {
		name, value string
		values      []string
	}{
		{"type", q.Type, []string{"access", "authorization"}},
		{"state", q.State, []string{"active", "deleted"}},
		{"service_type", q.ServiceType, []string{"service", "platform_service"}},
		{"format", q.Format, []string{"display", "include_last_permit"}},
	} {
		if f.value != "" && !slices.Contains(f.values, f.value) {
			return serviceError(400, "invalid_body", fmt.Sprintf("%s must be one of %s", f.name, strings.Join(f.values, ", ")))
		}
	}
	return exclusive(q.ServiceName, q.ServiceGroupID)
}

// exclusive rejects a query for a service and a group of services.
func exclusive(service, group string) error {
	if service != "" && group != "" {
		return serviceError(400, "invalid_body", "service_name and service_group_id are mutually exclusive.")
	}
	return nil
}
