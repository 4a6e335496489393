package event

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// AnyOrigin in a list of origins permits every origin.
const AnyOrigin = "*"

// Consent implements the abuse protection of the CloudEvents webhook specification:
// a sender requests permission by OPTIONS. The result is the headers that grant
// it, or nil if the origin is not permitted. perMinute is the highest rate that is
// granted, in requests.
//
// The request may name a URL for a later answer. It is never called, because it
// comes from an unauthenticated request.
//
// https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#4-abuse-protection
func Consent(h http.Header, origins []string, perMinute int) http.Header {
	asked := h.Values("WebHook-Request-Origin")
	if len(asked) != 1 || !legalOrigin(asked[0]) {
		return nil
	}
	allowed := slices.ContainsFunc(origins, func(o string) bool { return o == AnyOrigin || strings.EqualFold(o, asked[0]) })
	if !allowed {
		return nil
	}
	answer := http.Header{}
	answer.Set("WebHook-Allowed-Origin", asked[0])
	rate := perMinute
	if want, err := strconv.Atoi(h.Get("WebHook-Request-Rate")); err == nil && want > 0 {
		rate = min(rate, want)
	}
	answer.Set("WebHook-Allowed-Rate", strconv.Itoa(rate))
	return answer
}

// legalOrigin reports whether s has the characters of a DNS name. The answer repeats it.
func legalOrigin(s string) bool {
	const longest = 253
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}
