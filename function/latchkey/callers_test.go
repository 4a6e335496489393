package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestAShortTokenOfACallerIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ events, want string }{
		"one caller":    {"{auth: {bearerEnv: SHORT}}", "reading events.auth.bearerEnv: SHORT has 15 characters; the minimum is 16"},
		"named":         {"{auth: [{name: desk, bearerEnv: LONG, allow: []}, {name: scanner, bearerEnv: SHORT, allow: []}]}", "reading events.auth[1].bearerEnv: SHORT has 15 characters; the minimum is 16"},
		"the old one":   {"{auth: [{name: desk, bearerEnv: [LONG, SHORT], allow: []}]}", "reading events.auth[0].bearerEnv[1]: SHORT has 15 characters"},
		"long enough":   {"{auth: {bearerEnv: LONG}}", ""},
		"none is there": {"{auth: {bearerEnv: NONE}}", "reading events.auth.bearerEnv: NONE is not set"},
	} {
		t.Run(name, func(t *testing.T) { tellsAtStart(t, "events: "+tc.events+"\n", tc.want) })
	}
}

func TestTwoSendersWithOneSecretDoNotStart(t *testing.T) {
	hook := func(name, variable string) string {
		return "  " + name + ": {verify: {github: {secretEnv: " + variable + "}}, event: {type: dev.latchkey.sweep}}\n"
	}
	for name, tc := range map[string]struct{ text, want string }{
		"a caller and a hook":        {"events: {auth: {bearerEnv: LONG}}\nhooks:\n" + hook("a", "SAME"), "reading hooks.a.verify.github.secretEnv: it is the secret of events.auth, too: each sender needs its own"},
		"two hooks":                  {"hooks:\n" + hook("a", "LONG") + hook("b", "[OTHER, SAME]"), "reading hooks.b.verify.github.secretEnv[1]: it is the secret of hooks.a, too"},
		"two callers":                {"events: {auth: [{name: a, bearerEnv: LONG, allow: []}, {name: b, bearerEnv: SAME, allow: []}]}\n", "reading events.auth[1].bearerEnv: it is the secret of events.auth[0], too"},
		"the new and the old of one": {"hooks:\n" + hook("a", "[LONG, SAME]"), ""},
	} {
		t.Run(name, func(t *testing.T) { tellsAtStart(t, tc.text, tc.want) })
	}
}

// tellsAtStart builds the service of a config, and checks the error. Its secrets are
// canaries.
func tellsAtStart(t *testing.T, text, want string) {
	t.Helper()
	env := map[string]string{
		"LONG": "canary-0123456789", "SAME": "canary-0123456789", "OTHER": "canary-9876543210", "SHORT": "canary-01234567",
		"LATCHKEY_ENDPOINT": "http://127.0.0.1:1", "IBMCLOUD_API_KEY": "none", "LATCHKEY_CONFIG": "version: 1\nowner: example\nregions: [eu-de, us-south]\n" + text + "credentials:\n" + static("c", place1),
	}
	get := func(name string) string { return env[name] }
	p, err := wireService(t.Context(), get, slog.New(slog.DiscardHandler), "", "")
	if err == nil {
		_, err = p.newService(t.Context(), t.Context(), get)
	}
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary")):
		t.Errorf("%v, want %s", err, want)
	}
}
