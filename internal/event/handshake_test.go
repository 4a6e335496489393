package event

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestOnlyAnAllowedOriginGetsConsent(t *testing.T) {
	listed := []string{"events.example.com"}
	for name, tc := range map[string]struct {
		origins []string
		ask     http.Header
		origin  string // "": no consent
		rate    string
	}{
		"a listed origin":                 {listed, http.Header{"Webhook-Request-Origin": {"events.example.com"}}, "events.example.com", "600"},
		"DNS names have no case":          {listed, http.Header{"Webhook-Request-Origin": {"Events.Example.COM"}}, "Events.Example.COM", "600"},
		"any, where all are allowed":      {[]string{"*"}, http.Header{"Webhook-Request-Origin": {"a.b"}}, "a.b", "600"},
		"a rate below ours":               {listed, http.Header{"Webhook-Request-Origin": {"events.example.com"}, "Webhook-Request-Rate": {"120"}}, "events.example.com", "120"},
		"a rate above ours":               {listed, http.Header{"Webhook-Request-Origin": {"events.example.com"}, "Webhook-Request-Rate": {"100000"}}, "events.example.com", "600"},
		"a rate that is none":             {listed, http.Header{"Webhook-Request-Origin": {"events.example.com"}, "Webhook-Request-Rate": {"-1"}}, "events.example.com", "600"},
		"an origin below a listed one":    {listed, http.Header{"Webhook-Request-Origin": {"a.events.example.com"}}, "", ""},
		"no origin, where none is listed": {nil, http.Header{"Webhook-Request-Origin": {"events.example.com"}}, "", ""},
		"no origin":                       {[]string{"*"}, http.Header{"Webhook-Request-Callback": {"https://a.b/consent"}}, "", ""},
		"two origins":                     {[]string{"*"}, http.Header{"Webhook-Request-Origin": {"a.b", "c.d"}}, "", ""},
		"an origin that is a URL":         {[]string{"*"}, http.Header{"Webhook-Request-Origin": {"https://a.b"}}, "", ""},
		"an origin that is a star":        {[]string{"*"}, http.Header{"Webhook-Request-Origin": {"*"}}, "", ""},
		"an origin without an end":        {[]string{"*"}, http.Header{"Webhook-Request-Origin": {strings.Repeat("a", 254)}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Consent(tc.ask, tc.origins, 600)
			if got.Get("WebHook-Allowed-Origin") != tc.origin || got.Get("WebHook-Allowed-Rate") != tc.rate || (tc.origin == "") != (got == nil) {
				t.Errorf("answered %v", got)
			}
		})
	}
}

// FuzzConsent checks that consent is for the requesting origin and repeats no character
// that ends a header.
func FuzzConsent(f *testing.F) {
	f.Add("events.example.com", "120", "https://a.b/")
	f.Add("a\r\nb", "9999999999999999999", "")
	f.Fuzz(func(t *testing.T, origin, rate, callback string) {
		ask := http.Header{"Webhook-Request-Origin": {origin}, "Webhook-Request-Rate": {rate}, "Webhook-Request-Callback": {callback}}
		got := Consent(ask, []string{AnyOrigin}, 600)
		if got == nil {
			return
		}
		if got.Get("WebHook-Allowed-Origin") != origin || strings.ContainsAny(origin, "\r\n *,;") {
			t.Fatalf("consent to %q for %q", got.Get("WebHook-Allowed-Origin"), origin)
		}
		for name := range got {
			if !slices.Contains([]string{"Webhook-Allowed-Origin", "Webhook-Allowed-Rate"}, name) {
				t.Fatalf("header %s", name)
			}
		}
	})
}
