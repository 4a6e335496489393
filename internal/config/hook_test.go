package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/google/go-cmp/cmp"
)

// hooked is the static config with one hook, from line 25.
const hooked = static + `hooks:
  tickets:
    verify: {github: {secretEnv: GITHUB_SECRET}}
    event:
      type: dev.latchkey.provision
      data: {credential: logs-sender}
    allow:
    - {verbs: [provision], credentials: [logs-sender]}
`

func TestFaultsOfHooks(t *testing.T) {
	github := "github: {secretEnv: GITHUB_SECRET}"
	data := "data: {credential: logs-sender}"
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"none":                       {github, github, nil},
		"two secrets":                {"secretEnv: GITHUB_SECRET", "secretEnv: [NEW_SECRET, OLD_SECRET]", nil},
		"a secret in a file":         {"secretEnv: GITHUB_SECRET", "secretFile: /run/secrets/github", nil},
		"three secrets":              {"secretEnv: GITHUB_SECRET", "secretEnv: [A, B, C]", []string{"25: hooks.tickets.verify.github.secretEnv: has 3 secrets"}},
		"one secret twice":           {"secretEnv: GITHUB_SECRET", "secretEnv: [A, A]", []string{"25: hooks.tickets.verify.github.secretEnv[1]: is listed twice"}},
		"no secret":                  {"{secretEnv: GITHUB_SECRET}", "{}", []string{"25: hooks.tickets.verify.github: needs one of secretEnv and secretFile"}},
		"the secret itself":          {"secretEnv: GITHUB_SECRET", "secretEnv: it-is-a-canary", []string{"25: hooks.tickets.verify.github.secretEnv: the value (not repeated here) must be the name of an environment variable"}},
		"two schemes":                {github, github + ", jira: {secretEnv: A}", []string{"25: hooks.tickets.verify.jira: github and jira cannot be combined"}},
		"no scheme":                  {github, "", []string{"25: hooks.tickets.verify: needs one of github, jira, standardWebhooks, bearer, header and basic"}},
		"a scheme that there is not": {"github:", "gitlab:", []string{`25: hooks.tickets.verify: unknown key "gitlab"`}},
		"a header without a name":    {github, "header: {secretEnv: A}", []string{"25: hooks.tickets.verify.header.name: is missing"}},
		"a header that means more":   {github, "header: {name: content-length, secretEnv: A}", []string{`25: hooks.tickets.verify.header.name: "content-length" is a standard header of HTTP`}},
		"a user with a colon":        {github, `basic: {user: "a:b", secretEnv: A}`, []string{`25: hooks.tickets.verify.basic.user: "a:b" must not contain a colon`}},
		"no way to be let in":        {"    verify: {" + github + "}\n", "", []string{"25: hooks.tickets.verify: is missing"}},
		"a name that is no path":     {"  tickets:", "  Tickets/1:", []string{`24: hooks: the name of a hook "Tickets/1" must be a name: lower-case`}},
		"a type of ours that is not": {"dev.latchkey.provision", "dev.latchkey.mint", []string{`27: hooks.tickets.event.type: "dev.latchkey.mint" is not a type of latchkey`}},
		"a verb that nothing allows": {"dev.latchkey.provision", "dev.latchkey.rotate", []string{"25: hooks.tickets.allow: does not allow rotate on any credential"}},
		"a pattern of nothing":       {"credentials: [logs-sender]}", "credentials: [logs-sendr]}", []string{`30: hooks.tickets.allow[0].credentials: "logs-sendr" matches no credential`}},
		"an expression with a slip":  {data, `data: {credential: "${bdy.name}"}`, []string{"28: hooks.tickets.event.data.credential: ${bdy.name}: at character 1: undeclared reference to 'bdy'"}},
		"an expression without end":  {data, `data: "${body"`, []string{"28: hooks.tickets.event.data: has a ${ without a }"}},
		"a type that is a number":    {"type: dev.latchkey.provision", `type: "${size(headers)}"`, []string{"27: hooks.tickets.event.type: ${size(headers)}: it yields int and must yield string"}},
		"a when that is none":        {"      " + data, "      when: headers.a\n      " + data, []string{"28: hooks.tickets.event.when: it yields string and must yield bool"}},
		"a pattern from the body":    {"      " + data, "      when: '\"a\".matches(body.p)'\n      " + data, []string{"28: hooks.tickets.event.when: the pattern of matches must be a literal"}},
		"a leak that is written out": {data, "leaked: canary-value", []string{"28: hooks.tickets.event.leaked: is only for the type dev.latchkey.revoke", "28: hooks.tickets.event.leaked: must be an expression"}},
		"an empty hook":              {hooked[strings.Index(hooked, "    verify:"):], "", []string{"24: hooks.tickets: has no value"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(hooked, tc.old, tc.new, 1)
			_, err := Load("latchkey.yaml", []byte(text))
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("a fault tells a secret: %v", err)
			}
			if len(tc.want) == 0 {
				if err != nil {
					t.Errorf("%v\n%s", err, text)
				}
				return
			}
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("no faults in\n%s", text)
			}
			for _, want := range tc.want {
				line, rest, _ := strings.Cut(want, ": ")
				found := false
				for _, f := range faults {
					found = found || strings.Contains(f.String(), ":"+line+":") && strings.Contains(f.String(), rest)
				}
				if !found {
					t.Errorf("no fault %q among\n%v", want, faults)
				}
			}
		})
	}
}

// mapped returns the event that the first hook of a config makes from a body.
func mapped(t *testing.T, event, body string) (Delivery, error) {
	t.Helper()
	text := strings.Replace(hooked, `      type: dev.latchkey.provision
      data: {credential: logs-sender}
`, event, 1)
	if text == hooked {
		t.Fatal("the config has another event")
	}
	c := mustLoad(t, text)
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	return c.Hooks[0].Map(v, map[string]string{"x-github-event": "repository"})
}

func TestAHookMapsABody(t *testing.T) {
	got, err := mapped(t, `      when: headers["x-github-event"] == "repository" && body.action == "created"
      type: com.acme.${body.action}
      subject: ${body.repository.full_name}
      time: ${body.repository.created_at}
      ticket: INC-${string(int(body.number))} [${body.labels[0].name}]
      data:
        credential: app-${body.repository.name.lowerAscii().replace(".", "-")}
        with: {app: "${body.repository.name}", number: "${body.number}", all: "${body.labels.map(l, l.name)}"}
        plain: [1, 2.5, true, "$${x}", "${has(body.gone) ? body.gone : 'none'}"]
        at: ${timestamp(1795514400)}
        maybe: ${body.?gone}
`, `{"action":"created","number":7,"labels":[{"name":"a"},{"name":"b"}],"repository":{"name":"Shop.Web","full_name":"acme/Shop.Web","created_at":"2026-11-24T10:00:00Z"}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := Delivery{
		Type: "com.acme.created", Subject: "acme/Shop.Web", Time: "2026-11-24T10:00:00Z", Ticket: "INC-7 _a_",
		Data: map[string]any{
			"credential": "app-shop-web",
			"with":       map[string]any{"app": "Shop.Web", "number": 7.0, "all": []any{"a", "b"}},
			"plain":      []any{1, 2.5, true, "${x}", "none"},
			"at":         "2026-11-24T10:00:00Z",
			"maybe":      nil,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if whole, err := mapped(t, "      type: t\n      data: ${body}\n", `{"a":[1,{"b":null}]}`); err != nil || !cmp.Equal(whole.Data, map[string]any{"a": []any{1.0, map[string]any{"b": nil}}}) {
		t.Errorf("%v, %v", whole, err)
	}
	if _, err := mapped(t, "      when: body.action == \"deleted\"\n      type: t\n", `{"action":"created"}`); !errors.Is(err, ErrUnwanted) {
		t.Errorf("%v, want ErrUnwanted", err)
	}
}

// An error names the expression and the reason and repeats nothing of the body.
func TestABodyThatAHookCannotMap(t *testing.T) {
	for name, tc := range map[string]struct{ event, body, want string }{
		"a name is missing":        {"      type: t\n      subject: ${body.a.b}\n", `{"a":{"canary":1}}`, "hooks.tickets.event.subject: evaluating ${body.a.b}: the body lacks a field that it reads"},
		"another type":             {"      type: t\n      subject: ${body.a}\n", `{"a":["canary"]}`, "${body.a}: it yields list, not string"},
		"another type in an event": {"      type: t\n      subject: ${body.a + \"x\"}\n", `{"a":1}`, "the body has a value of another type than it expects"},
		"no number":                {"      type: t\n      data: {n: \"${int(body.a)}\"}\n", `{"a":"canary"}`, "data.n: evaluating ${int(body.a)}: it fails on this body"},
		"a when that is no bool":   {"      when: body.a\n      type: t\n", `{"a":"canary"}`, "hooks.tickets: excluded by when"},
		"a type that is none":      {"      type: ${body.a}\n", `{"a":"canary\n"}`, "event.type: the value must be the type of an event"},
		"a map of numbers":         {"      type: t\n      data: \"${{1: body.a}}\"\n", `{"a":1}`, "keys that are not strings"},
		"a long subject":           {"      type: t\n      subject: ${body.a}\n", `{"a":"` + strings.Repeat("canary", 1000) + `"}`, "longer than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := mapped(t, tc.event, tc.body)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%+v, %v, want %q", d, err, tc.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells the body: %v", err)
			}
		})
	}
}

// Evaluating a hostile body, such as a text of 1 MiB or a list of 100,000 values, fails
// soon.
func TestHostileBodiesEndSoon(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	list := "[" + strings.Repeat("1,", 99_999) + "1]"
	for name, tc := range map[string]struct{ event, body string }{
		"replace by something long": {`${body.a.replace(body.b, body.c)}`, `{"a":"` + long[:60_000] + `","b":"a","c":"` + long[:60_000] + `"}`},
		"replace nothing":           {`${body.a.replace("", body.a)}`, `{"a":"` + long[:60_000] + `"}`},
		"replace twice":             {`${body.a.replace("a", body.b).replace("b", body.b)}`, `{"a":"` + long[:200] + `","b":"` + strings.Repeat("b", 300) + `"}`},
		"split into too many":       {`${string(size(body.a.split("a")))}`, `{"a":"` + long + `"}`},
		"a loop in a loop":          {`${string(size(body.a.filter(x, body.a.exists(y, y > x))))}`, `{"a":` + list + `}`},
		"a loop over a long text":   {`${string(size(body.a.map(x, body.b + body.b)))}`, `{"a":` + list + `,"b":"` + long + `"}`},
		"a pattern over a long one": {`${string(body.a.matches("(a*)*b"))}`, `{"a":"` + long + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := mapped(t, "      type: t\n      subject: "+quoteYAML(tc.event)+"\n", tc.body)
			if err == nil {
				t.Error("no error")
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func TestALeakedValueIsAClosure(t *testing.T) {
	text := strings.NewReplacer("type: dev.latchkey.provision", "type: dev.latchkey.revoke", "data: {credential: logs-sender}", "leaked: ${body.secret}",
		"verbs: [provision], credentials: [logs-sender]", "verbs: [revoke], credentials: [logs-sender]").Replace(hooked)
	c := mustLoad(t, text)
	d, err := c.Hooks[0].Map(map[string]any{"secret": "canary"}, nil)
	if err != nil || d.Leaked == nil || d.Leaked.Expose() != "canary" || d.Data != nil {
		t.Errorf("%+v, %v", d, err)
	}
}

// A loop in a rule that makes texts hits the cost limit, even if no type is known at
// compile time.
func TestARulePaysForTheTextsThatItMakes(t *testing.T) {
	x, err := compile(`size(data.list.map(i, data.text + data.text)) > 0`, scopeEvent, cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.evaluate(map[string]any{"data": map[string]any{"list": make([]int, 100), "text": strings.Repeat("a", 1<<20)}}, nil)
	if err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("%v, want the limit of cost", err)
	}
}
