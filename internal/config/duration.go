package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

var durationForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?$`)
})

func parseDuration(s string) (time.Duration, error) {
	m := durationForm().FindStringSubmatch(s)
	if m == nil || s == "" {
		return 0, errors.New("is not a duration; use days, hours and minutes, such as 90d, 24h or 1d12h")
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		n, _ := strconv.Atoi(m[i+1]) // digits or empty
		total += time.Duration(n) * unit
	}
	return total, nil
}

// Days formats a duration as the config has it, such as 1d12h.
func Days(t time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		unit time.Duration
		sign string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if n := t / u.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.sign)
			t %= u.unit
		}
	}
	if b.Len() == 0 {
		return "0m"
	}
	return b.String()
}
