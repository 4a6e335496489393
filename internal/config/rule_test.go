package config

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ruled returns a config with a static, a forEach and a with entry, and the
// rules.
func ruled(rules string) string {
	return `version: 1
owner: example
regions: [eu-de]
rules:
` + rules + `
credentials:
- name: one
  serviceID: {name: one, policies: [{service: logs, roles: [Sender]}]}
  stores: [{file: {path: one.json}}]
- name: each
  forEach: codeengine.projects
  serviceID: {name: "each-${project.name}", policies: [{service: logs, roles: [Sender]}]}
  stores: [{codeEngine: {project: "${project.id}", secret: s, entry: KEY}}]
- name: asked
  serviceID: {name: "asked-${with.tenant}-${with.stage}", policies: [{service: logs, roles: [Sender]}]}
  stores: [{file: {path: "${with.tenant}-${with.stage}.json"}}]
`
}

func TestRulesAsk(t *testing.T) {
	e := Event{ID: "1", Source: "/s", Type: "com.acme.tenant", Subject: "shop", Time: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
		Extensions: map[string]any{"region": "eu-de", "count": int32(7), "test": true}}
	for name, tc := range map[string]struct {
		rule, data string
		want       Asked
		err        error // or
		says       string
	}{
		"provision with parameters": {`- {when: 'event.type == "com.acme.tenant"', provision: asked, with: {tenant: "${data.tenant}", stage: prod}}`, `{"tenant":"shop"}`,
			Asked{Verb: "provision", Credentials: []string{"asked"}, With: map[string]string{"tenant": "shop", "stage": "prod"}}, nil, ""},
		"provision for a project": {`- {when: "true", provision: each, with: {project: "${data.a[1].id}"}}`, `{"a":[0,{"id":"p1"}]}`,
			Asked{Verb: "provision", Credentials: []string{"each"}, With: map[string]string{"project": "p1"}}, nil, ""},
		"provision the only one":       {`- {when: "true", provision: one}`, ``, Asked{Verb: "provision", Credentials: []string{"one"}}, nil, ""},
		"rotate an entry":              {`- {when: event.subject == "shop", rotate: each}`, ``, Asked{Verb: "rotate", Credentials: []string{"each"}}, nil, ""},
		"rotate an instance":           {`- {when: "true", rotate: "asked/${data.stage}.${event.subject}"}`, `{"stage":"dev"}`, Asked{Verb: "rotate", Credentials: []string{"asked/dev.shop"}}, nil, ""},
		"revoke a key":                 {`- {when: "true", revoke: one, key: "${data.key}", containment: true}`, `{"key":"ApiKey-1"}`, Asked{Verb: "revoke", Credentials: []string{"one"}, KeyID: "ApiKey-1", Containment: true}, nil, ""},
		"sweep some":                   {`- {when: "true", sweep: [one, "each/${data.id}"]}`, `{"id":"p1"}`, Asked{Verb: "sweep", Credentials: []string{"one", "each/p1"}}, nil, ""},
		"sweep everything":             {`- {when: "true", sweep: ["*"]}`, ``, Asked{Verb: "sweep"}, nil, ""},
		"by an extension":              {`- {when: 'event.extensions.region == "eu-de" && event.extensions.count > 6 && event.extensions.test == true', provision: one}`, ``, Asked{Verb: "provision", Credentials: []string{"one"}}, nil, ""},
		"by the time":                  {`- {when: 'event.time > timestamp("2026-01-01T00:00:00Z")', provision: one}`, ``, Asked{Verb: "provision", Credentials: []string{"one"}}, nil, ""},
		"by a whole number":            {`- {when: data.n == 12345678 && string(data.n) == "12345678", provision: one}`, `{"n":12345678}`, Asked{Verb: "provision", Credentials: []string{"one"}}, nil, ""},
		"by text that is no JSON":      {`- {when: 'data.startsWith("hello")', provision: one}`, `"hello world"`, Asked{Verb: "provision", Credentials: []string{"one"}}, nil, ""},
		"a number for a name":          {`- {when: "true", rotate: "each/${string(data.n)}"}`, `{"n":7}`, Asked{Verb: "rotate", Credentials: []string{"each/7"}}, nil, ""},
		"when is false":                {`- {when: event.type == "x", provision: one}`, ``, Asked{}, ErrNoMatch, ""},
		"when reads what is not there": {`- {when: data.a.b == 1, provision: one}`, `{"a":{}}`, Asked{}, ErrUndecided, "no such key: b"},
		"when compares what cannot be": {`- {when: data.a > 1, provision: one}`, `{"a":"x"}`, Asked{}, ErrUndecided, "rules[0]"},
		"when yields no truth":         {`- {when: data.a, provision: one}`, `{"a":"yes"}`, Asked{}, ErrNoMatch, ""},
		"a parameter that is a path":   {`- {when: "true", provision: asked, with: {tenant: "${data.t}", stage: x}}`, `{"t":"../etc"}`, Asked{}, nil, `with.tenant: "../etc" must be letters`},
		"a parameter that is missing":  {`- {when: "true", provision: asked, with: {tenant: "${data.t}", stage: x}}`, `{}`, Asked{}, nil, "no such key: t"},
		"a parameter that is a number": {`- {when: "true", provision: asked, with: {tenant: "${data.t}", stage: x}}`, `{"t":1}`, Asked{}, nil, "it yields int, not string"},
		"an instance with a slash":     {`- {when: "true", rotate: "each/${data.id}"}`, `{"id":"a/b"}`, Asked{}, nil, "must be the name of a credential"},
		"a key that is a path":         {`- {when: "true", revoke: one, key: "${data.k}"}`, `{"k":"../x"}`, Asked{}, nil, "key: \"../x\" must be the ID of a key"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load("f.yaml", []byte(ruled(tc.rule)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Rules[0].Apply(e, values(t, tc.data), &Budget{})
			switch {
			case tc.err != nil && (!errors.Is(err, tc.err) || !errors.Is(err, ErrNoMatch)),
				tc.err == nil && errors.Is(err, ErrNoMatch), tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)),
				tc.err == nil && tc.says == "" && err != nil:
				t.Fatalf("err = %v, want %v %q", err, tc.err, tc.says)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// values decodes JSON as event.Data does, with int64 for whole numbers.
func values(t testing.TB, data string) any {
	t.Helper()
	if data == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var whole func(any) any
	whole = func(v any) any {
		switch v := v.(type) {
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				t.Fatal(err)
			}
			return n
		case []any:
			for i := range v {
				v[i] = whole(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = whole(v[k])
			}
		}
		return v
	}
	return whole(v)
}

func TestFaultsOfRulesHaveTheirLine(t *testing.T) {
	for name, tc := range map[string]struct{ rule, fault string }{
		"no condition":                            {`- {provision: one}`, `5: rules[0].when: is missing`},
		"a condition that does not compile":       {"- provision: one\n  when: event.typ == 'x'", `6: rules[0].when: "event.typ == 'x'": at character 6: undefined field 'typ'`},
		"a condition that yields a text":          {`- {when: event.type, provision: one}`, `5: rules[0].when: "event.type": it yields string and must yield bool`},
		"a condition in ${…}":                     {`- {when: "${true}", provision: one}`, `(when is a whole expression: write it without ${…})`},
		"a condition on project":                  {`- {when: project.name == "x", provision: one}`, `a rule can read only event and data`},
		"no verb":                                 {`- {when: "true"}`, `5: rules[0]: needs one of provision, rotate, revoke and sweep`},
		"two verbs":                               {`- {when: "true", provision: one, rotate: one}`, `cannot be combined`},
		"an unknown verb":                         {`- {when: "true", provison: one}`, `unknown key "provison"; did you mean "provision"?`},
		"an unknown credential":                   {`- {when: "true", rotate: two}`, `5: rules[0].rotate: "two" is not a credential of this config`},
		"an unknown one in a list":                {`- {when: "true", sweep: [one, two]}`, `5: rules[0].sweep[1]: "two" is not a credential`},
		"a credential that the event chooses":     {`- {when: "true", rotate: "${data.name}"}`, `the entry must be literal`},
		"a part of one that the event chooses":    {`- {when: "true", rotate: "o${data.name}"}`, `the entry must be literal`},
		"a provision that the event chooses":      {`- {when: "true", provision: "${data.name}"}`, `is an expression, which this field does not support`},
		"an instance of what has none":            {`- {when: "true", rotate: "one/${data.id}"}`, `"one" yields a single credential`},
		"parameters for what takes none":          {`- {when: "true", provision: one, with: {a: b}}`, `rules[0].with.a: one takes no parameters`},
		"a parameter that is not taken":           {`- {when: "true", provision: each, with: {name: b}}`, `rules[0].with.name: each takes project`},
		"a parameter that is missing":             {`- {when: "true", provision: asked, with: {tenant: b}}`, `rules[0].provision: asked needs the parameter stage`},
		"a parameter that no instance could have": {`- {when: "true", provision: asked, with: {tenant: "a b", stage: x}}`, `rules[0].with.tenant: "a b" must be letters`},
		"a parameter that does not compile":       {`- {when: "true", provision: asked, with: {tenant: "${data.}", stage: x}}`, `rules[0].with.tenant: ${data.}:`},
		"a parameter twice":                       {`- {when: "true", provision: asked, with: {tenant: a, tenant: b, stage: x}}`, `occurs twice`},
		"parameters of a rotation":                {`- {when: "true", rotate: one, with: {a: b}}`, `with: belongs to provision, not to rotate`},
		"a revocation of no key":                  {`- {when: "true", revoke: one}`, `needs key: the ID of the key to revoke`},
		"containment of a sweep":                  {`- {when: "true", sweep: [one], containment: true}`, `containment: belongs to revoke, not to sweep`},
		"a sweep of nothing":                      {`- {when: "true", sweep: []}`, `write ["*"] for all credentials`},
		"no rules":                                {`  []`, `5: rules: is an empty list`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("f.yaml", []byte(ruled(tc.rule)))
			if err == nil || !strings.Contains(err.Error(), tc.fault[strings.Index(tc.fault, ": ")+2:]) {
				t.Fatalf("%v\nwant %s", err, tc.fault)
			}
			if line, _, ok := strings.Cut(tc.fault, ": rules"); ok && !strings.Contains(err.Error(), "f.yaml:"+line+":") {
				t.Errorf("%v\nwant line %s", err, line)
			}
		})
	}
}

func TestAHostilePayloadCannotMakeARuleExpensive(t *testing.T) {
	long := strings.Repeat("a", 500_000)
	list := make([]any, 20_000)
	for i := range list {
		list[i] = "x"
	}
	data := map[string]any{"text": long, "list": list}
	for _, when := range []string{
		`data.list.exists(x, data.list.exists(y, x != y))`,
		`data.list.all(x, data.text.lowerAscii() != x)`,
		`data.list.all(x, !data.text.contains(x))`,
		`data.list.all(x, data.text.replace("a", "bb") != x)`,
		`data.text.matches("(a*)*b")`,
		`data.list.map(x, data.list).size() == 1`,
		`data.list.map(x, data.text).join("") == ""`,
		`data.list.all(x, strings.quote(data.text) != x)`,
	} {
		c, err := Load("f.yaml", []byte(ruled("- when: '"+when+"'\n  provision: one")))
		if err != nil {
			t.Fatal(err)
		}
		var budget Budget
		if _, err := c.Rules[0].Apply(Event{}, data, &budget); !errors.Is(err, errTooCostly) {
			t.Errorf("%s: %v", when, err)
		}
		if budget.spent == 0 {
			t.Errorf("%s: nothing was taken from the budget", when)
		}
	}
	c, err := Load("f.yaml", []byte(ruled(`- {when: "true", provision: one}`)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rules[0].Apply(Event{}, data, &Budget{spent: maxEventCost}); !errors.Is(err, errTooCostly) {
		t.Errorf("with a spent budget: %v", err)
	}
}

func TestARuleIgnoresOnlyWhatItCannotMatch(t *testing.T) {
	for name, tc := range map[string]struct {
		when, kind, data string
		want             bool
	}{
		"another type":                      {`event.type == "a"`, "b", ``, true},
		"its type":                          {`event.type == "a"`, "a", ``, false},
		"its type the other way round":      {`"a" == event.type`, "b", ``, true},
		"none of its types":                 {`event.type in ["a", "c"] && data.x == 1`, "b", ``, true},
		"one of its types":                  {`event.type in ["a", "b"]`, "b", ``, false},
		"a type or something else":          {`event.type == "a" || data.x == 1`, "b", ``, false},
		"not a type":                        {`!(event.type == "a")`, "b", ``, false},
		"data that lacks the text":          {`event.type == "b" && data.action == "x.y"`, "b", `{"action":"x.z"}`, true},
		"data that has the text":            {`event.type == "b" && data["action"] == "x.y"`, "b", `{"action":"x.y"}`, false},
		"data that may spell it":            {`data.action == "x.y"`, "b", `{"action":"x\u002ey"}`, false},
		"a text that JSON can escape":       {`data.action == "x/y"`, "b", `{"action":"x\/y"}`, false},
		"a text that is not in data":        {`event.subject == "x"`, "b", `{}`, false},
		"a type that is none of event's":    {`event.extensions.type == "a"`, "b", ``, false},
		"a text that may not be there":      {`data.action != "x"`, "b", `{}`, false},
		"an index that data chooses":        {`data[data.k] == "x"`, "b", `{"k":"y"}`, true},
		"the presence of a field":           {`has(data.action) == true`, "b", `{}`, false},
		"a text of a conditional":           {`(data.a == "x" ? true : true)`, "b", `{}`, false},
		"two kinds that exclude each other": {`event.type == "a" && event.type == "b"`, "c", ``, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load("f.yaml", []byte(ruled("- when: '"+tc.when+"'\n  provision: one")))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Rules[0].Ignores(tc.kind, []byte(tc.data)); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// FuzzRule checks that a rule never matches an event that it ignores, and that its
// request is well-formed and the same each time.
func FuzzRule(f *testing.F) {
	f.Add(`event.type == "a" && data.action == "x"`, "${data.action}", "a", `{"action":"x"}`)
	f.Add(`data.a == "b" || event.type in ["a"]`, "${event.id}", "c", `{"a":"\u0062"}`)
	f.Add(`data.list.exists(x, x.k == "v")`, "${data.list[0].k}", "c", `{"list":[{"k":"v"}]}`)
	f.Fuzz(func(t *testing.T, when, id, kind, data string) {
		if strings.ContainsAny(when+id, "\n\r") {
			return
		}
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
		c, err := Load("f.yaml", []byte(ruled("- when: "+quote(when)+"\n  rotate: "+quote("each/"+id))))
		if err != nil {
			return
		}
		d := json.NewDecoder(strings.NewReader(data))
		var v any
		if d.Decode(&v) != nil || d.More() {
			return
		}
		e := Event{ID: "1", Type: kind}
		got, err := c.Rules[0].Apply(e, v, &Budget{})
		if c.Rules[0].Ignores(kind, []byte(data)) && !errors.Is(err, ErrNoMatch) && !errors.Is(err, errTooCostly) {
			t.Fatalf("it was to be ignored, and asks %+v, %v", got, err)
		}
		again, errAgain := c.Rules[0].Apply(e, v, &Budget{})
		if !reflect.DeepEqual(got, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("asks %+v, %v, and then %+v, %v", got, err, again, errAgain)
		}
		if err == nil && (len(got.Credentials) != 1 || checkTarget(got.Credentials[0]) != nil || !strings.HasPrefix(got.Credentials[0], "each/")) {
			t.Fatalf("asks %+v", got)
		}
	})
}
