package cloud

import (
	"strconv"
	"strings"
	"time"
)

// holds reports whether a policy's rule permits access at a time. A comparison that
// the emulator does not know holds for nothing, as an unknown attribute does.
func (p PolicySpec) holds(now time.Time) bool {
	return p.Rule == nil || conditionHolds(p.Rule, now)
}

func conditionHolds(x any, now time.Time) bool {
	rule, _ := x.(map[string]any)
	operator, _ := rule["operator"].(string)
	if list, combined := rule["conditions"].([]any); combined {
		all := operator == "and"
		for _, one := range list {
			if conditionHolds(one, now) != all {
				return !all
			}
		}
		return all
	}
	key, _ := rule["key"].(string)
	values, list := rule["value"].([]any)
	if !list {
		values = []any{rule["value"]}
	}
	for _, v := range values {
		text, _ := v.(string)
		if comparisonHolds(strings.Trim(key, "{}"), operator, text, now) {
			return true
		}
	}
	return false
}

// Layouts of what a rule compares with. Each has an offset from UTC.
const (
	layoutTime = "15:04:05-07:00"
	layoutDate = "2006-01-02-07:00"
)

func comparisonHolds(key, operator, value string, now time.Time) bool {
	switch key {
	case "environment.attributes.day_of_week":
		if len(value) < 2 || !strings.HasPrefix(operator, "dayOfWeek") {
			return false
		}
		zone, err := time.Parse("-07:00", value[1:])
		day, derr := strconv.Atoi(value[:1])
		return err == nil && derr == nil && int(now.In(zone.Location()).Weekday()) == day%7 // Sunday is 7 in IAM, 0 in Go
	case "environment.attributes.current_time":
		return compared(operator, "time", layoutTime, value, now)
	case "environment.attributes.current_date":
		return compared(operator, "date", layoutDate, value, now)
	case "environment.attributes.current_date_time":
		return compared(operator, "dateTime", time.RFC3339, value, now)
	}
	return false
}

// compared compares the present with a value in a layout.
func compared(operator, kind, layout, value string, now time.Time) bool {
	than, err := time.Parse(layout, value)
	if err != nil {
		return false
	}
	at, err := time.Parse(layout, now.In(than.Location()).Format(layout))
	if err != nil {
		return false
	}
	switch strings.TrimPrefix(operator, kind) {
	case "LessThan":
		return at.Before(than)
	case "LessThanOrEquals":
		return !at.After(than)
	case "GreaterThan":
		return at.After(than)
	case "GreaterThanOrEquals":
		return !at.Before(than)
	}
	return false
}
