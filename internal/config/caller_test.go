package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/secret"
)

const listedCallers = `events:
  auth:
  - {name: desk, bearerEnv: [DESK_TOKEN, DESK_TOKEN_OLD], allow: [{verbs: [rotate], credentials: ["*"]}]}
  - {name: pipeline, bearerFile: /run/pipeline, allow: [{verbs: [provision], credentials: [logs-sender]}]}
`

// withCallers is the static config with a list of callers, from line 5.
func withCallers() string {
	a, b := strings.Index(static, "events:\n"), strings.Index(static, "credentials:\n- name")
	return static[:a] + listedCallers + static[b:]
}

func TestEachCallerHasTokensAndPermissionsOfItsOwn(t *testing.T) {
	c := mustLoad(t, withCallers())
	want := Events{Callers: []Caller{
		{Name: "desk", Tokens: []secret.Source{{At: "events.auth[0].bearerEnv[0]", Env: "DESK_TOKEN", Sender: "events.auth[0]"}, {At: "events.auth[0].bearerEnv[1]", Env: "DESK_TOKEN_OLD", Sender: "events.auth[0]"}}, Allow: []Allow{{Verbs: []string{"rotate"}, Credentials: []string{"*"}}}},
		{Name: "pipeline", Tokens: []secret.Source{{At: "events.auth[1].bearerFile", File: "/run/pipeline", Sender: "events.auth[1]"}}, Allow: []Allow{{Verbs: []string{"provision"}, Credentials: []string{"logs-sender"}}}},
	}}
	if diff := cmp.Diff(want, c.Events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(c.Jobs.Allow) > 0 {
		t.Errorf("jobs may request %v", c.Jobs.Allow)
	}
}

func TestWhatJobsMayRequest(t *testing.T) {
	all := []Allow{{Verbs: []string{"provision"}, Credentials: []string{"*"}}}
	for name, tc := range map[string]struct {
		text string
		want []Allow
	}{
		"what the one caller may request":     {static, all},
		"what jobs.allow says":                {static + "jobs: {allow: [{verbs: [rotate], credentials: [logs-sender]}]}\n", []Allow{{Verbs: []string{"rotate"}, Credentials: []string{"logs-sender"}}}},
		"nothing where jobs.allow is empty":   {static + "jobs: {allow: []}\n", nil},
		"nothing where callers are a list":    {withCallers(), nil},
		"jobs.allow where callers are a list": {withCallers() + "jobs: {allow: [{verbs: [provision], credentials: [\"*\"]}]}\n", all},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, mustLoad(t, tc.text).Jobs.Allow); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsOfCallers(t *testing.T) {
	hook := func(name, source string) string {
		return "  " + name + ": {verify: {github: {" + source + "}}, event: {type: dev.latchkey.sweep}}\n"
	}
	for name, tc := range map[string]struct{ text, want string }{
		"a caller without a name":      {strings.Replace(withCallers(), "name: desk, ", "", 1), "7:5: events.auth[0].name: is missing"},
		"a caller without a token":     {strings.Replace(withCallers(), "bearerFile: /run/pipeline, ", "", 1), "8:5: events.auth[1]: needs one of bearerEnv and bearerFile"},
		"a caller without an allow":    {strings.Replace(withCallers(), `, allow: [{verbs: [rotate], credentials: ["*"]}]`, "", 1), "7:5: events.auth[0].allow: is missing"},
		"two callers of one name":      {strings.Replace(withCallers(), "name: pipeline", "name: desk", 1), `8:12: events.auth[1].name: "desk" is already the name of the caller on line 7`},
		"three tokens":                 {strings.Replace(withCallers(), "DESK_TOKEN_OLD", "DESK_TOKEN_OLD, DESK_TOKEN_OLDER", 1), "7:29: events.auth[0].bearerEnv: has 3 secrets"},
		"no caller in the list":        {strings.Replace(static, "  auth: {bearerEnv: EVENTS_TOKEN}\n  allow:\n  - {verbs: [provision], credentials: [\"*\"]}\n", "  auth: []\n", 1), "6:9: events.auth: is an empty list"},
		"an allow beside the list":     {strings.Replace(withCallers(), "credentials:\n- name", "  allow: [{verbs: [rotate], credentials: [\"*\"]}]\ncredentials:\n- name", 1), "9:10: events.allow: cannot be combined with a list in auth"},
		"two callers with one token":   {strings.Replace(withCallers(), "bearerFile: /run/pipeline", "bearerEnv: DESK_TOKEN_OLD", 1), "8:33: events.auth[1].bearerEnv: is the secret of events.auth[0], too: each sender needs its own"},
		"two hooks with one secret":    {static + "hooks:\n" + hook("a", "secretEnv: GITHUB_SECRET") + hook("b", "secretEnv: [NEW, GITHUB_SECRET]"), "hooks.b.verify.github.secretEnv[1]: is the secret of hooks.a, too"},
		"two hooks with one file":      {static + "hooks:\n" + hook("a", "secretFile: /run/s") + hook("b", "secretFile: /run/s"), "hooks.b.verify.github.secretFile: is the secret of hooks.a, too"},
		"a hook with a caller's token": {static + "hooks:\n" + hook("a", "secretEnv: EVENTS_TOKEN"), "hooks.a.verify.github.secretEnv: is the secret of events.auth, too"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("c.yaml", []byte(tc.text))
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(faults[0].String(), tc.want) {
				t.Errorf("faults:\n%v\nwant %s in\n%s", err, tc.want, tc.text)
			}
		})
	}
}
