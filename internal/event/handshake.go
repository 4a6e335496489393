package event

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// AnyOrigin in a list of origins lets everybody send.
const AnyOrigin = "*"

// Consent answers the abuse protection of the CloudEvents webhook
// specification: a sender asks by OPTIONS whether its events are wanted here.
// The result has the headers that say so; it is nil when they are not, and
// nothing is said then. perMinute is the rate that is promised at most.
//
// The request may name a URL to be called later with the consent. It is never
// called: whoever sends the request chooses it.
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

// legalOrigin takes what a DNS name has; it is repeated in an answer.
func legalOrigin(s string) bool {
	const longest = 253
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}
