package cloud

import (
	"errors"
	"maps"
	"strings"
)

// placeholder is the value of every string in IBM's generated suites that has no
// example.
const placeholder = "testString"

// deletion returns the error of a deletion, or nil if the switch makes the
// deletion of something that is gone succeed.
func (c *Cloud) deletion(err error) error {
	var e *Error
	if c.switches.SuitePlaceholders && errors.As(err, &e) && (e.Code == "resource_not_found" || e.Code == "project_not_active") {
		return nil
	}
	return err
}

// checked returns what the rules apply to: the value itself, unless the switch
// allows placeholders.
func checked[T any](c *Cloud, v T) T {
	if c.switches.SuitePlaceholders {
		v, _ = withoutPlaceholders(v).(T)
	}
	return v
}

func withoutPlaceholders(v any) any {
	switch v := v.(type) {
	case string:
		if v == placeholder {
			return strings.ToLower(v)
		}
	case map[string]any:
		out := maps.Clone(v)
		for k, x := range out {
			out[k] = withoutPlaceholders(x)
		}
		return out
	}
	return v
}
