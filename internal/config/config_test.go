package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/secret"
)

const emulatorYAML = "../../deploy/examples/emulator.yaml"

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load("latchkey.yaml", []byte(text))
	if err != nil {
		t.Fatalf("loading:\n%v\n%s", err, text)
	}
	if err := validator(t)(text); err != nil {
		t.Errorf("the JSON Schema rejects what the decoder accepts: %v\n%s", err, text)
	}
	return c
}

// static is a small config without faults; the tables below replace pieces of it.
const static = `version: 1
owner: example
regions: [eu-de]
sweepEvery: 1h
events:
  auth: {bearerEnv: EVENTS_TOKEN}
  allow:
  - {verbs: [provision], credentials: ["*"]}
credentials:
- name: logs-sender
  serviceID:
    name: logs-sender
    description: Sends logs
    policies:
    - {service: logs, roles: [Sender], instance: 7a1c}
  rotation: {after: 60d, expire: 90d}
  prove:
    logs: {instance: 7a1c, region: eu-de}
  stores:
  - file: {path: /keys/logs.json}
  - codeEngine: {project: tools, region: eu-de, secret: logs, entry: KEY}
    restart: true
`

func TestEmulatorExampleExpands(t *testing.T) {
	text, err := os.ReadFile(emulatorYAML)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(emulatorYAML, text)
	if err != nil {
		t.Fatal(err)
	}
	wantConfig := &Config{
		Hash: fmt.Sprintf("%x", sha256.Sum256(text))[:12], Owner: "example", Regions: []string{"eu-de", "us-south"}, Endpoints: Public, SweepEvery: time.Hour, ForcedPerHour: 60,
		Events: Events{
			Callers: []Caller{{
				Name: "EVENTS_TOKEN", Tokens: []secret.Source{{At: "events.auth.bearerEnv", Env: "EVENTS_TOKEN", Sender: "events.auth"}},
				Allow: []Allow{{Verbs: []string{"provision", "rotate"}, Credentials: []string{"*"}}},
			}},
		},
		Jobs:    Jobs{Allow: []Allow{{Verbs: []string{"provision", "rotate"}, Credentials: []string{"*"}}}},
		Secrets: []secret.Source{{At: "events.auth.bearerEnv", Env: "EVENTS_TOKEN", Sender: "events.auth"}},
	}
	entries := c.Entries
	c.Entries = nil
	if diff := cmp.Diff(wantConfig, c); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if len(entries) != 1 {
		t.Fatalf("%d entries, want 1", len(entries))
	}
	e := entries[0]
	if e.UsesWith() || e.ForEach != CodeEngineProjects {
		t.Errorf("UsesWith %v, ForEach %q", e.UsesWith(), e.ForEach)
	}
	if e.Line < 1 || !strings.Contains(strings.Split(string(text), "\n")[e.Line-1], "name: logs-sender") {
		t.Errorf("the entry's line is %d", e.Line)
	}
	const project = "1a2b3c4d-0000-4000-8000-000000000001"
	got, err := e.Expand(Input{Project: &Project{ID: project, Name: "team-blue", Region: "us-south", Status: "active"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Credential{
		Name:          "logs-sender/" + project,
		Entry:         "logs-sender",
		With:          map[string]string{"project": project, "region": "us-south"},
		Project:       &Project{ID: project, Name: "team-blue", Region: "us-south", Status: "active"},
		Kept:          true,
		ServiceIDName: "logs-sender-team-blue",
		OwnName:       "logs-sender-team-blue-1a2b3c4d",
		Description:   "Sends the logs of team-blue to Cloud Logs",

		KeyDescription: "API key for service ID logs-sender-team-blue with permissions to act as Sender on logs",
		Policies:       []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"}},
		Rotation:       Rotation{After: 60 * 24 * time.Hour, Expire: 90 * 24 * time.Hour, Overlap: 24 * time.Hour, OnLeak: "disable", OnDisabled: "replace"},
		Prove:          Prove{Logs: &LogsProof{Instance: "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10", Region: "eu-de"}},
		Stores: []Store{{
			CodeEngine: &CodeEngineStore{Project: project, Region: "us-south", Secret: "logs-sender", Entry: "IAM_API_KEY"},
			Restart:    Restart{All: true}, Required: true,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}
	if _, err := e.Expand(Input{Project: &Project{ID: project, Name: "playground", Region: "us-south"}}); !errors.Is(err, ErrExcluded) {
		t.Errorf("a project that is not a team's: %v, want ErrExcluded", err)
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, `{version: 1, owner: o, credentials: [{name: a, serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}, stores: [{file: {path: keys/a.json}}]}]}`)
	if c.SweepEvery != time.Hour || c.Endpoints != Public || c.Paused || len(c.Events.Callers) > 0 {
		t.Errorf("defaults of the config: %+v", c)
	}
	got, err := c.Entries[0].Expand(Input{})
	if err != nil {
		t.Fatal(err)
	}
	want := Credential{
		Name: "a", Entry: "a", ServiceIDName: "a", Kept: true,
		KeyDescription: "API key for service ID a with permissions to act as Sender on logs",

		Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}}},
		Rotation: Rotation{After: 60 * 24 * time.Hour, Expire: 90 * 24 * time.Hour, Overlap: 24 * time.Hour, OnLeak: "disable", OnDisabled: "replace"},
		Stores:   []Store{{File: &FileStore{Path: "keys/a.json"}, Required: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults of a credential (-want +got):\n%s", diff)
	}
}

// Each config is the static one with a piece replaced. The wanted faults are
// "line: path: start of the message", complete and in order.
func TestFaults(t *testing.T) {
	tests := map[string]struct {
		old, new string
		want     []string
	}{
		// Keys and kinds.
		"an unknown key suggests the near one":          {"sweepEvery: 1h", "sweepevery: 1h", []string{`4: : unknown key "sweepevery"; did you mean "sweepEvery"?`}},
		"an unknown key without a near one lists all":   {"sweepEvery: 1h", "kubernetes: {}", []string{`4: : unknown key "kubernetes"; known here: version, owner, identity, account, regions, endpoints, sweepEvery, forcedPerHour, paused, events, jobs, rules, hooks, outcomes, provider, credentials`}},
		"an unknown kind of store names the known ones": {"  - file: {path: /keys/logs.json}", "  - keychain: {path: x}", []string{`20: credentials[0].stores[0]: unknown key "keychain"; known here: codeEngine, secretsManager, file, kubernetes, vault, restart, required`}},
		"a key that is there twice":                     {"sweepEvery: 1h", "owner: other", []string{`4: owner: the key "owner" occurs twice; the first is on line 2`}},
		"a key without a value":                         {"sweepEvery: 1h", "sweepEvery:", []string{`4: sweepEvery: has no value`}},
		"an empty auth":                                 {"{bearerEnv: EVENTS_TOKEN}", "{}", []string{`6: events.auth: needs one of bearerEnv and bearerFile`}},
		"an unquoted expression in braces":              {"project: tools", "project: ${project.id}", []string{`21: : reading YAML: did not find expected ',' or '}'; quote a value with ${…} inside { } and [ ]`}},
		"a list that ends in a comma":                   {"roles: [Sender]", "roles: [Sender, ]", nil},
		"an empty list item":                            {"roles: [Sender]", "roles: [Sender, ~]", []string{`15: credentials[0].serviceID.policies[0].roles[1]: has no value`}},
		"a list where a mapping belongs":                {"serviceID:\n", "serviceID: []\n  x:\n", []string{`11: credentials[0].serviceID: must be a mapping of keys to values, not a list`, `12: credentials[0]: unknown key "x"; known here: `}},
		"a word where a list belongs":                   {"regions: [eu-de]", "regions: eu-de", []string{`3: regions: must be a list, not a string`}},
		"a number where a string belongs":               {"owner: example", "owner: 12", []string{`2: owner: must be a string, not a number; quote it`}},
		"a boolean of YAML 1.1":                         {"sweepEvery: 1h", "paused: yes", []string{`4: paused: must be true or false, not a string`}},
		"a list as a key":                               {"sweepEvery: 1h", "? [a, b]\n: c", []string{`4: : a key must be a string`}},
		"a custom tag":                                  {"owner: example", "owner: !secret example", []string{`2: owner: must be a string, not a value with a custom tag (!…)`}},
		"an anchor":                                     {"owner: example", "owner: &o example", []string{`2: : anchors are not supported`}},
		"an anchor and its alias":                       {"owner: example", "owner: &o example\naccount: *o", []string{`2: : anchors are not supported`, `3: : aliases are not supported`}},
		"a merge key":                                   {"owner: example", "owner: example\n<<: {paused: true}", []string{`3: : merge keys are not supported`}},
		"a second document":                             {"sweepEvery: 1h", "---\nversion: 1", []string{`1: credentials: is missing`, `4: : a second YAML document starts here`}},
		"a tab as indentation":                          {"  auth:", "\tauth:", []string{`6: : reading YAML: found character that cannot start any token`}},
		"a missing value of a required key":             {"owner: example\n", "", []string{`1: owner: is missing`}},
		"a version from the future":                     {"version: 1", "version: 2", []string{`1: version: 2 is not supported; this latchkey reads version 1`}},
		"a version that is not a number":                {"version: 1", `version: "1"`, []string{`1: version: must be the number 1, not a string`}},
		"no entries":                                    {static[strings.Index(static, "credentials:\n"):], "credentials: []\n", []string{`9: credentials: is an empty list`}},
		"an unclosed bracket":                           {"restart: true\n", "restart: [true\n", []string{`22: : reading YAML: did not find expected ',' or ']'`}},

		// Single values.
		"an owner with capitals":                      {"owner: example", "owner: Example", []string{`2: owner: "Example" must be a name: lower-case`}},
		"a name with a slash":                         {"- name: logs-sender", "- name: logs/sender", []string{`10: credentials[0].name: "logs/sender" must be a name: lower-case`}},
		"a name of 64 characters":                     {"- name: logs-sender", "- name: " + strings.Repeat("a", 64), []string{`10: credentials[0].name: `}},
		"a name with an expression":                   {"- name: logs-sender", "- name: ${with.a}", []string{`10: credentials[0].name: "${with.a}" is an expression, which this field does not support`}},
		"a region that could leave the host name":     {"region: eu-de}\n  stores", "region: eu-de.evil.example/}\n  stores", []string{`18: credentials[0].prove.logs.region: "eu-de.evil.example/" must be a region`}},
		"a region listed twice":                       {"regions: [eu-de]", "regions: [eu-de, eu-de]", []string{`3: regions[1]: "eu-de" is listed twice`}},
		"no regions in the list":                      {"regions: [eu-de]", "regions: []", []string{`3: regions: is an empty list`}},
		"an endpoint kind that is neither":            {"sweepEvery: 1h", "endpoints: internal", []string{`4: endpoints: "internal" must be public or private`}},
		"a former login that is no IAM ID":            {"sweepEvery: 1h", "identity: {formerly: [me]}", []string{`4: identity.formerly[0]: "me" must be an IAM ID: iam-ServiceId-…, iam-Profile-… or IBMid-…`}},
		"an identity without a profile":               {"sweepEvery: 1h", "identity: {}", []string{`4: identity.profile: is missing`}},
		"an account with spaces":                      {"sweepEvery: 1h", "account: my account", []string{`4: account: "my account" must be an account ID`}},
		"a duration without a unit":                   {"sweepEvery: 1h", "sweepEvery: 60", []string{`4: sweepEvery: must be a duration in d, h and m, such as 90d or 1d12h, not a number`}},
		"a duration in seconds":                       {"sweepEvery: 1h", "sweepEvery: 90s", []string{`4: sweepEvery: "90s" is not a duration`}},
		"a duration with units in the wrong order":    {"after: 60d", "after: 12h1d", []string{`16: credentials[0].rotation.after: "12h1d" is not a duration`}},
		"a negative duration":                         {"after: 60d", "after: -60d", []string{`16: credentials[0].rotation.after: "-60d" is not a duration`}},
		"an unknown answer to a disabled key":         {"after: 60d", "onDisabled: enable", []string{`16: credentials[0].rotation.onDisabled: "enable" must be replace or block`}},
		"an end of leaked keys that IAM doesn't know": {"after: 60d", "onLeak: ignore", []string{`16: credentials[0].rotation.onLeak: "ignore" must be none, disable or delete`}},
		"an unknown verb":                             {"verbs: [provision]", "verbs: [provision, delete]", []string{`8: events.allow[0].verbs[1]: "delete" must be provision, rotate, revoke or deprovision`}},
		"an allow without verbs":                      {"verbs: [provision], ", "", []string{`8: events.allow[0].verbs: is missing`}},
		"a pattern that is none":                      {`["*"]`, `["["]`, []string{`8: events.allow[0].credentials[0]: "[" must be a pattern`}},
		"a pattern that permits nothing":              {`["*"]`, `["log-sender/*"]`, []string{`8: events.allow[0].credentials: "log-sender/*" matches no credential of this config`}},
		"a role with an expression":                   {"roles: [Sender]", `roles: ["${with.role}"]`, []string{`15: credentials[0].serviceID.policies[0].roles[0]: "${with.role}" is an expression, which this field does not support`}},
		"a role twice":                                {"roles: [Sender]", `roles: [Sender, Sender]`, []string{`15: credentials[0].serviceID.policies[0].roles[1]: "Sender" is listed twice`}},
		"a policy without roles":                      {"roles: [Sender]", `roles: []`, []string{`15: credentials[0].serviceID.policies[0].roles: is an empty list`}},
		"a service ID without policies":               {"policies:\n    - {service: logs, roles: [Sender], instance: 7a1c}", "policies: []", []string{`14: credentials[0].serviceID.policies: is an empty list`}},
		"a policy on a CRN":                           {"roles: [Sender], instance: 7a1c", `roles: [Sender], instance: "crn:v1:bluemix:public:logs:eu-de:a/1:7a1c::"`, []string{`15: credentials[0].serviceID.policies[0].instance: "crn:v1:bluemix:public:logs:eu-de:a/1:7a1c::" must be the ID (GUID)`, `18: credentials[0].prove.logs.instance: no policy for logs covers "7a1c"`}},
		"a description with the marker":               {"description: Sends logs", `description: "Sends logs [LATCHKEY v=1]"`, []string{`13: credentials[0].serviceID.description: "Sends logs [LATCHKEY v=1]" must not contain [latchkey`}},
		"a description of two lines":                  {"description: Sends logs", "description: |-\n      Sends\n      logs", []string{`13: credentials[0].serviceID.description: "Sends\nlogs" must be one line`}},
		"a service ID name with 256 characters":       {"name: logs-sender\n    desc", "name: " + strings.Repeat("n", 256) + "\n    desc", []string{`12: credentials[0].serviceID.name: `}},
		"an empty description":                        {"description: Sends logs", `description: ""`, []string{`13: credentials[0].serviceID.description: is empty`}},
		"a secret name with an underscore":            {"secret: logs", "secret: logs_key", []string{`21: credentials[0].stores[1].codeEngine.secret: "logs_key" must be a secret's name`}},
		"an entry with a space":                       {"entry: KEY", "entry: MY KEY", []string{`21: credentials[0].stores[1].codeEngine.entry: "MY KEY" must be an entry`}},
		"an entry that is a companion's":              {"entry: KEY", "entry: KEY_ID", []string{`21: credentials[0].stores[1].codeEngine.entry: "KEY_ID" ends in _ID, which is reserved`}},
		"an entry that is the other companion's":      {"entry: KEY", "entry: KEY_LATCHKEY", []string{`21: credentials[0].stores[1].codeEngine.entry: "KEY_LATCHKEY" ends in _LATCHKEY, which is reserved`}},
		"a Code Engine store without a region":        {"region: eu-de, secret", "secret", []string{`21: credentials[0].stores[1].codeEngine.region: is missing; it has a default only with forEach`}},
		"a file path that climbs":                     {"/keys/logs.json", "../keys/logs.json", []string{`20: credentials[0].stores[0].file.path: "../keys/logs.json" must be a path without ., ..`}},
		"a file path that is a directory":             {"/keys/logs.json", "/keys/", []string{`20: credentials[0].stores[0].file.path: "/keys/" must be the path of a file`}},
		"a restart of something that is no app":       {"restart: true", "restart: [job/nightly]", []string{`22: credentials[0].stores[1].restart[0]: "job/nightly" must be app/NAME`}},
		"a restart of nothing in particular":          {"restart: true", "restart: all", []string{`22: credentials[0].stores[1].restart: "all" must be true, none, announce or a list`}},
		"a restart without names":                     {"restart: true", "restart: []", []string{`22: credentials[0].stores[1].restart: is an empty list`}},
		"a restart of a file's readers":               {"  - file: {path: /keys/logs.json}", "  - file: {path: /keys/logs.json}\n    restart: true", []string{`21: credentials[0].stores[0].restart: only consumers of a codeEngine or kubernetes store`}},

		// Secrets.
		"a token in place of a variable's name is not repeated": {"{bearerEnv: EVENTS_TOKEN}", "{bearerEnv: hunter2-hunter2}", []string{`6: events.auth.bearerEnv: the value (not repeated here) must be the name of an environment variable`}},
		"a token in place of a file's name is not repeated":     {"{bearerEnv: EVENTS_TOKEN}", "{bearerFile: hunter2-hunter2}", []string{`6: events.auth.bearerFile: the value (not repeated here) must be the absolute path`}},
		"a token under a key of its own is not repeated":        {"{bearerEnv: EVENTS_TOKEN}", "{bearer: hunter2-hunter2}", []string{`6: events.auth: unknown key "bearer"`}},
		"a token that YAML takes for an alias is not repeated":  {"{bearerEnv: EVENTS_TOKEN}", "{bearerEnv: *hunter2 }", []string{`1: : reading YAML: an alias (*…) names an unknown anchor`}},
		"a token that YAML takes for a tag is not repeated":     {"{bearerEnv: EVENTS_TOKEN}", "{bearerEnv: !hunter2 x}", []string{`6: events.auth.bearerEnv: must be a string, not a value with a custom tag`}},
		"a token that YAML takes for an anchor is not repeated": {"{bearerEnv: EVENTS_TOKEN}", "{bearerEnv: &hunter2 X}", []string{`6: : anchors are not supported`}},
		"an expression over two lines":                          {"name: logs-sender\n    desc", "name: |-\n      ${with.team +\n      1}\n    desc", []string{`12: credentials[0].serviceID.name: ${with.team + 1}: at character 11: found no matching overload`}},
		"a bearer in two places":                                {"{bearerEnv: EVENTS_TOKEN}", "{bearerEnv: A, bearerFile: /b}", []string{`6: events.auth.bearerFile: bearerEnv and bearerFile cannot be combined`}},

		// Expressions.
		"an expression that doesn't parse":             {"name: logs-sender\n    desc", "name: ${with.}\n    desc", []string{`12: credentials[0].serviceID.name: ${with.}: at character 6: Syntax error: no viable alternative`}},
		"an expression on something unknown":           {"name: logs-sender\n    desc", "name: ${wth.team}\n    desc", []string{`12: credentials[0].serviceID.name: ${wth.team}: at character 1: undeclared reference to 'wth' (did you mean 'with'?)`}},
		"an expression on the project without forEach": {"project: tools", `project: "${project.id}"`, []string{`21: credentials[0].stores[1].codeEngine.project: ${project.id}: at character 1: project is known only in an entry with forEach`}},
		"an expression that yields a number":           {"name: logs-sender\n    desc", `name: x-${size(with.team)}` + "\n    desc", []string{`12: credentials[0].serviceID.name: ${size(with.team)}: it yields int and must yield string; wrap it in string(…)`}},
		"an expression without its end":                {"name: logs-sender\n    desc", `name: x-${with.team` + "\n    desc", []string{`12: credentials[0].serviceID.name: "x-${with.team" has a ${ without a }`}},
		"an empty expression":                          {"name: logs-sender\n    desc", `name: x-${ }` + "\n    desc", []string{`12: credentials[0].serviceID.name: "x-${ }" has an empty expression`}},
		"with as a whole":                              {"name: logs-sender\n    desc", `name: x-${string(size(with))}` + "\n    desc", []string{`12: credentials[0].serviceID.name: ${string(size(with))}: with can only be read as with.NAME`}},
		"a parameter that is only tested for":          {"name: logs-sender\n    desc", `name: 'x-${has(with.a) ? "a" : "b"}'` + "\n    desc", []string{`12: credentials[0].serviceID.name: ${has(with.a) ? "a" : "b"}: with can only be read as with.NAME`}},
		"a parameter whose name is computed":           {"name: logs-sender\n    desc", `name: 'x-${with["a" + "b"]}'` + "\n    desc", []string{`12: credentials[0].serviceID.name: ${with["a" + "b"]}: with can only be read as with.NAME`}},
		"a parameter with a name that no marker takes": {"name: logs-sender\n    desc", `name: 'x-${with["a b"]}'` + "\n    desc", []string{`12: credentials[0].serviceID.name: ${with["a b"]}: the parameter "a b" must be letters`}},
		"a condition that is not one":                  {"  serviceID:", "  where: '\"yes\"'\n  serviceID:", []string{`11: credentials[0].where: "\"yes\"": it yields string and must yield bool`}},
		"a condition in ${…}":                          {"  serviceID:", "  where: ${true}\n  serviceID:", []string{`11: credentials[0].where: "${true}": at character 1: Syntax error: token recognition error at: '$'`}},
		"a misspelt field of the project":              {"  serviceID:\n    name: logs-sender", "  forEach: codeengine.projects\n  where: project.nmae == \"a\"\n  serviceID:\n    name: logs-${project.id}", []string{`12: credentials[0].where: "project.nmae == \"a\"": at character 8: undefined field 'nmae'`, `22: credentials[0].stores[0]: is a fixed location`, `23: credentials[0].stores[1]: is a fixed location`}},
		"an expression that is too long":               {"name: logs-sender\n    desc", `name: 'x-${"` + strings.Repeat("a", 3000) + `"}'` + "\n    desc", []string{`12: credentials[0].serviceID.name: `}},
		"a where that is always the same is no fault":  {"  serviceID:", "  where: 'true'\n  serviceID:", nil},

		// Between fields.
		"a sweep too rare for the fuse":                    {"sweepEvery: 1h", "sweepEvery: 13h", []string{`4: sweepEvery: 13h must be from 1m to 12h: a new key expires after 1d`}},
		"a sweep without a pause":                          {"sweepEvery: 1h", "sweepEvery: 0m", []string{`4: sweepEvery: 0m must be from 1m to 12h`}},
		"an age that is below a day":                       {"after: 60d", "after: 23h", []string{`16: credentials[0].rotation.after: 23h is too short; the minimum is 1d`}},
		"an end before the fuse's":                         {"after: 60d, expire: 90d", "after: 1d, expire: 47h", []string{`16: credentials[0].rotation.expire: 1d23h is too short; the minimum is 2d`}},
		"an overlap below an hour":                         {"expire: 90d", "overlap: 59m", []string{`16: credentials[0].rotation.overlap: 59m is too short; the minimum is 1h`}},
		"an overlap that outlives the key":                 {"after: 60d", "overlap: 90d", []string{`16: credentials[0].rotation.expire: after 60d plus overlap 90d must be less than expire 90d`}},
		"an age past the default end":                      {"after: 60d, expire: 90d", "after: 90d", []string{`16: credentials[0].rotation.after: after 90d plus overlap 1d must be less than expire 90d`}},
		"an end before the default age":                    {"after: 60d, expire: 90d", "expire: 30d", []string{`16: credentials[0].rotation.expire: after 60d plus overlap 1d must be less than expire 30d`}},
		"just enough time for four sweeps":                 {"after: 60d, expire: 90d", "after: 60d, expire: 60d5h, overlap: 1h", nil},
		"no time for four sweeps":                          {"after: 60d, expire: 90d", "after: 60d, expire: 60d3h, overlap: 1h", []string{`16: credentials[0].rotation.after: after 60d plus 4 times sweepEvery (1h) must be less than expire 60d3h`}},
		"a token proof switched off":                       {"  prove:\n", "  prove:\n    token: false\n", []string{`18: credentials[0].prove.token: cannot be false: a key that yields no token is never published`}},
		"a logs proof without an instance":                 {"logs: {instance: 7a1c, region: eu-de}", "logs: {region: eu-de}", []string{`18: credentials[0].prove.logs.instance: is missing`}},
		"a logs proof without a logs policy":               {"service: logs,", "service: sysdig-monitor,", []string{`18: credentials[0].prove.logs: needs a policy for the service logs`}},
		"a logs proof where no policy opens":               {"instance: 7a1c, region", "instance: 8b2d, region", []string{`18: credentials[0].prove.logs.instance: no policy for logs covers "8b2d"`}},
		"two policies for one target":                      {"instance: 7a1c}\n", "instance: 7a1c}\n    - {service: logs, roles: [Viewer], instance: 7a1c}\n", []string{`16: credentials[0].serviceID.policies[1]: repeats the target of an earlier policy for logs`}},
		"no stores":                                        {static[strings.Index(static, "  stores:"):], "  stores: []\n", []string{`19: credentials[0].stores: is an empty list`}},
		"no required store":                                {static[strings.Index(static, "  stores:"):], "  stores:\n  - {file: {path: a}, required: false}\n", []string{`20: credentials[0].stores: has no required store`}},
		"a store of two kinds":                             {"  - file: {path: /keys/logs.json}\n  - codeEngine", "  - file: {path: /keys/logs.json}\n    codeEngine", []string{`20: credentials[0].stores[0].file: codeEngine and file cannot be combined`}},
		"a secret of Secrets Manager without its type":     {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs}\n", []string{`20: credentials[0].stores[0].secretsManager.type: is missing`}},
		"a kv secret without an entry":                     {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: kv}\n", []string{`20: credentials[0].stores[0].secretsManager.entry: is missing; a secret of type kv has several entries`}},
		"an arbitrary secret with an entry":                {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: arbitrary, entry: A}\n", []string{`20: credentials[0].stores[0].secretsManager.entry: cannot be combined with the type arbitrary`}},
		"a lock that is no truth":                          {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: arbitrary, lock: manager}\n", []string{`20: credentials[0].stores[0].secretsManager.lock: must be true or false, not a string`}},
		"a type that no key is kept in":                    {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: iam_credentials}\n", []string{`20: credentials[0].stores[0].secretsManager.type: "iam_credentials" must be arbitrary or kv`}},
		"forced rotations below the least":                 {"owner: example\n", "owner: example\nforcedPerHour: 9\n", []string{`3: forcedPerHour: 9 is not a whole number from 10 to 10000`}},
		"forced rotations that are no number":              {"owner: example\n", "owner: example\nforcedPerHour: many\n", []string{`3: forcedPerHour: must be a whole number from 10 to 10000`}},
		"a name that Secrets Manager refuses":              {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs_key, type: arbitrary}\n", []string{`20: credentials[0].stores[0].secretsManager.name: "logs_key" must be the name of a secret`}},
		"a secret group with a slash":                      {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, group: a/b, name: logs, type: arbitrary}\n", []string{`20: credentials[0].stores[0].secretsManager.group: "a/b" must be the name of a secret group`}},
		"one secret in two groups":                         {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, group: a1, name: logs, type: arbitrary}\n  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: arbitrary}\n", []string{`21: credentials[0].stores[1]: is the same location as stores[0]`}},
		"one entry of a kv secret twice":                   {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: kv, entry: A}\n  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: kv, entry: A}\n", []string{`21: credentials[0].stores[1]: is the same location as stores[0]`}},
		"a restart of what Secrets Manager has not":        {"  - file: {path: /keys/logs.json}\n", "  - secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: arbitrary}\n    restart: true\n", []string{`21: credentials[0].stores[0].restart: only consumers of a codeEngine or kubernetes store can be restarted`}},
		"two stores at one place":                          {"  - file: {path: /keys/logs.json}\n", "  - file: {path: /keys/logs.json}\n  - file: {path: /keys/logs.json}\n", []string{`21: credentials[0].stores[1]: is the same location as stores[0]`}},
		"overwriting what has no key ID":                   {"  serviceID:", "  overwrite: true\n  serviceID:", nil},
		"adopting nothing":                                 {"  serviceID:", "  adopt: false\n  serviceID:", nil},
		"the old spelling of overwrite":                    {"  serviceID:", "  adopt: true\n  serviceID:", []string{`11: credentials[0].adopt: true is spelled overwrite: true`}},
		"adopting a key without its ID":                    {"  serviceID:", "  adopt: yes\n  serviceID:", []string{`11: credentials[0].adopt: "yes" must be the ID of an API key`}},
		"adopting and overwriting":                         {"  serviceID:", "  adopt: ApiKey-1\n  overwrite: true\n  serviceID:", []string{`12: credentials[0].overwrite: adopt and overwrite cannot be combined`}},
		"a forEach over something unknown":                 {"  serviceID:", "  forEach: codeengine.apps\n  serviceID:", []string{`11: credentials[0].forEach: "codeengine.apps" must be codeengine.projects`}},
		"instances with one service ID name":               {"{path: /keys/logs.json}", `{path: "/keys/${with.team}.json"}`, []string{`12: credentials[0].serviceID.name: "logs-sender" is a fixed name, but its parameters (team) yield many credentials`, `21: credentials[0].stores[1]: is a fixed location`}},
		"with in an entry with forEach is not a parameter": {"  serviceID:\n    name: logs-sender", "  forEach: codeengine.projects\n  serviceID:\n    name: logs-${with.a}", []string{`13: credentials[0].serviceID.name: ${with.a}: at character 1: with is not known in an entry with forEach`, `21: credentials[0].stores[0]: is a fixed location`, `22: credentials[0].stores[1]: is a fixed location`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(static, test.old, test.new, 1)
			if text == static {
				t.Fatalf("the config has no %q", test.old)
			}
			checkFaults(t, text, test.want)
		})
	}
}

func TestTextsThatAreNoConfig(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":             {"", "1: : the config is empty"},
		"only a comment":      {"# later\n", "1: : the config is empty"},
		"an empty document":   {"---\n", "1: : the config is empty"},
		"a list":              {"\n- version: 1\n", "2: : must be a mapping of keys to values, not a list"},
		"a word":              {"hello", "1: : must be a mapping of keys to values, not a string"},
		"bytes":               {"version: 1\nowner: \xff\n", "2: : the text is not valid UTF-8"},
		"a control character": {"version: 1\nowner: \x07\n", "2: : the text has the control character U+0007"},
		"more than a config":  {strings.Repeat("# comment\n", maxConfig/10+1), "1: : the config has 1048580 bytes; the maximum is 1048576"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { checkFaults(t, test.text, []string{test.want}) })
	}
}

func TestFaultsOfInstances(t *testing.T) {
	checkFaults(t, `version: 1
owner: example
credentials:
- name: one
  forEach: codeengine.projects
  serviceID: {name: one, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: tools, region: eu-de, secret: logs, entry: KEY}
  - codeEngine: {project: "${project.id}", secret: logs, entry: KEY}
  - codeEngine: {project: "${project.id}", region: "${project.region}", secret: logs, entry: KEY}
- name: two
  serviceID: {name: two, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - {file: {path: /keys/a.json}}
- name: two
  serviceID: {name: two, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - {file: {path: /keys/a.json}}
`, []string{
		`5: credentials[0].forEach: codeengine.projects needs regions at the top`,
		`6: credentials[0].serviceID.name: "one" is a fixed name, but forEach yields many credentials; use an expression, such as ${project.name}`,
		`8: credentials[0].stores[0]: is a fixed location, but forEach yields many credentials`,
		`10: credentials[0].stores[2]: is the same location as stores[1]`,
		`15: credentials[2].name: "two" is already the name of the credential on line 11`,
		`16: credentials[2].serviceID.name: "two" is already the service ID of the credential "two"`,
		`18: credentials[2].stores[0]: is already a location of the credential "two"`,
	})
}

// One run finds every fault, in the order of the lines.
func TestAllFaultsAtOnce(t *testing.T) {
	checkFaults(t, `version: 3
owner: Example_1
identity: {profil: latchkey}
regions: [eu-de, Frankfurt]
endpoints: intern
sweepEvery: 2d
paused: maybe
events:
  auth: {bearerEnv: "s3cr3t hunter2"}
  allow:
  - {verbs: [create], credentials: ["*"]}
credentials:
- name: Logs.Sender
  forEach: codeengine.projects
  where: project.name.startswith("team-")
  serviceID:
    name: logs-${project.nam}
    policies:
    - {service: logs, roles: []}
    - {service: LOGS, role: Sender}
  rotation: {after: 1h, expire: 1d, overlap: 5m, onLeak: shout}
  prove: {token: 1, logs: {instance: "a b"}}
  stores:
  - codeEngine: {project: "${project.id}", secret: Logs, entry: KEY_ID}
    restart: sometimes
    required: 0
  - file: {path: "/a/../b"}
extra: 1
`, []string{
		"1: version: 3 is not",
		"2: owner: ",
		"3: identity.profile: is missing",
		`3: identity: unknown key "profil"; did you mean "profile"?`,
		"4: regions[1]: ",
		"5: endpoints: ",
		"6: sweepEvery: 2d must be from",
		"7: paused: must be true or false",
		"9: events.auth.bearerEnv: the value (not repeated here)",
		"11: events.allow[0].verbs[0]: ",
		"13: credentials[0].name: ",
		"15: credentials[0].where: ",
		"17: credentials[0].serviceID.name: ${project.nam}: at character 8: undefined field 'nam'",
		"19: credentials[0].serviceID.policies[0].roles: is an empty list",
		"20: credentials[0].serviceID.policies[1].roles: is missing",
		"20: credentials[0].serviceID.policies[1].service: ",
		"20: credentials[0].serviceID.policies[1]: unknown key \"role\"; did you mean \"roles\"?",
		"21: credentials[0].rotation.after: 1h is too short",
		"21: credentials[0].rotation.expire: 1d is too short",
		"21: credentials[0].rotation.overlap: 5m is too short",
		"21: credentials[0].rotation.onLeak: ",
		"22: credentials[0].prove.token: must be true or false",
		"22: credentials[0].prove.logs.region: is missing",
		"22: credentials[0].prove.logs.instance: ",
		"24: credentials[0].stores[0].codeEngine.secret: ",
		"24: credentials[0].stores[0].codeEngine.entry: ",
		"25: credentials[0].stores[0].restart: ",
		"26: credentials[0].stores[0].required: ",
		"27: credentials[0].stores[1].file.path: ",
		`28: : unknown key "extra"`,
	})
}

func checkFaults(t *testing.T, text string, want []string) {
	t.Helper()
	c, err := Load("latchkey.yaml", []byte(text))
	var faults Faults
	if err != nil && (!errors.As(err, &faults) || c != nil) {
		t.Fatalf("config %v, error %T: %v; want Faults only", c, err, err)
	}
	if strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Errorf("a fault repeats a secret:\n%v", err)
	}
	if len(faults) != len(want) {
		t.Fatalf("%d faults, want %d:\n%v", len(faults), len(want), err)
	}
	for i, f := range faults {
		got := fmt.Sprintf("%d: %s: %s", f.Line, f.Path, f.Message)
		if !strings.HasPrefix(got, want[i]) {
			t.Errorf("fault %d is\n  %s\nwant\n  %s", i, got, want[i])
		}
		if f.File != "latchkey.yaml" || f.Column < 1 || f.Message == "" {
			t.Errorf("fault %d is incomplete: %+v", i, f)
		}
	}
}

func TestTheFormsInWhichATextBegins(t *testing.T) {
	for name, head := range map[string]string{
		"nothing":                         "",
		"a document marker":               "---\n",
		"a byte order mark":               "\uFEFF",
		"YAML 1.1":                        "%YAML 1.1\n---\n",
		"YAML 1.2":                        "%YAML 1.2\n---\n",
		"YAML 1.2 with a byte order mark": "\uFEFF%YAML 1.2\n---\n",
		"YAML 1.2 behind a comment":       "# 1.2\n\n%YAML 1.2 # the version\n---\n",
		"YAML 1.2 with carriage returns":  "%YAML 1.2\r\n---\r\n",
		"YAML 1.2 behind a tag directive": "%TAG ! tag:example.com,2026:\n%YAML 1.2\n---\n",
	} {
		if c, err := Load("c.yaml", []byte(head+static)); err != nil || c.Owner != "example" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load("c.yaml", []byte("%YAML 1.3\n---\n"+static)); err == nil || !strings.Contains(err.Error(), "c.yaml:1:1: reading YAML") {
		t.Errorf("YAML 1.3: %v", err)
	}
}
