package cloud

import (
	"testing"
	"time"
)

func TestARuleHoldsAtItsTimes(t *testing.T) {
	one := func(key, operator string, value any) map[string]any {
		return map[string]any{"key": "{{environment.attributes." + key + "}}", "operator": operator, "value": value}
	}
	weekdays := one("day_of_week", "dayOfWeekAnyOf", []any{"1+00:00", "2+00:00", "3+00:00", "4+00:00", "5+00:00"})
	office := map[string]any{"operator": "and", "conditions": []any{weekdays,
		one("current_time", "timeGreaterThanOrEquals", "09:00:00+00:00"), one("current_time", "timeLessThanOrEquals", "17:00:00+00:00")}}
	const monday, sunday = "2026-11-30T", "2026-11-29T"
	for name, tc := range map[string]struct {
		rule any
		at   string
		want bool
	}{
		"no rule holds always":                            {nil, sunday + "10:00:00Z", true},
		"a weekday in office hours":                       {office, monday + "10:00:00Z", true},
		"a weekday at the first second":                   {office, monday + "09:00:00Z", true},
		"a weekday before office hours":                   {office, monday + "08:59:59Z", false},
		"a Sunday in office hours":                        {office, sunday + "10:00:00Z", false},
		"a Sunday is day 7":                               {one("day_of_week", "dayOfWeekEquals", "7+00:00"), sunday + "10:00:00Z", true},
		"a day begins by the offset":                      {one("day_of_week", "dayOfWeekEquals", "1+02:00"), sunday + "22:30:00Z", true},
		"a time counts by its offset":                     {one("current_time", "timeLessThan", "09:00:00-05:00"), monday + "13:59:59Z", true},
		"a time after it":                                 {one("current_time", "timeLessThan", "09:00:00-05:00"), monday + "14:00:00Z", false},
		"a date and time before the end":                  {one("current_date_time", "dateTimeLessThan", "2026-12-01T00:00:00Z"), monday + "10:00:00Z", true},
		"a date and time after the end":                   {one("current_date_time", "dateTimeLessThan", "2026-12-01T00:00:00Z"), "2026-12-01T00:00:00Z", false},
		"a date after the start":                          {one("current_date", "dateGreaterThan", "2026-11-29+00:00"), monday + "00:00:00Z", true},
		"one of two":                                      {map[string]any{"operator": "or", "conditions": []any{weekdays, one("day_of_week", "dayOfWeekEquals", "7+00:00")}}, sunday + "10:00:00Z", true},
		"a key that the emulator does not know":           {one("city", "dayOfWeekEquals", "7+00:00"), sunday + "10:00:00Z", false},
		"an operator that does not go with the key":       {one("current_time", "dateLessThan", "23:00:00+00:00"), monday + "10:00:00Z", false},
		"a value without an offset is no time to compare": {one("current_time", "timeLessThan", "23:00:00"), monday + "10:00:00Z", false},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tc.at)
			if err != nil {
				t.Fatal(err)
			}
			if got := (PolicySpec{Rule: tc.rule}).holds(at); got != tc.want {
				t.Errorf("holds: %v, want %v", got, tc.want)
			}
		})
	}
}
