// Package starter writes a first config, with comments, from a few answers.
package starter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Answers are what a config needs that has no default.
type Answers struct {
	Owner        string
	Profile      string // trusted profile; "": an API key
	Regions      []string
	LogsInstance string // GUID of the Cloud Logs instance that keys send to
	LogsRegion   string // default the first region
	Prefix       string // of the names of projects that get a key; "": all
	EventsEnv    string // variable with the token of callers; "": no callers

	Found Found
}

// Ask asks for what is needed and not set. ask puts a question, or names the flag that
// answers it, unless to has a value. look, if not nil, looks at the account with the first
// answers; its only Cloud Logs instance is the answer.
func (a *Answers) Ask(ask func(to *string, question, flag string) error, look func(Answers) (Found, error)) error {
	regions := strings.Join(a.Regions, ",")
	if err := ask(&a.Owner, "Name of this installation, such as prod-eu", "--owner"); err != nil {
		return err
	}
	if err := ask(&regions, "Regions of your Code Engine projects, such as eu-de,us-south", "--regions"); err != nil {
		return err
	}
	a.Regions = strings.FieldsFunc(regions, func(r rune) bool { return r == ',' || r == ' ' })
	question := "GUID of the Cloud Logs instance"
	if look != nil {
		found, err := look(*a)
		if err != nil {
			return err
		}
		a.Found = found
		if len(found.Logs) == 1 {
			a.LogsInstance = cmp.Or(a.LogsInstance, found.Logs[0].GUID)
		}
		for _, in := range found.Logs[:min(len(found.Logs), maxComments)] {
			question += fmt.Sprintf("\n  found: %s", in)
		}
	}
	if err := ask(&a.LogsInstance, question, "--logs-instance"); err != nil {
		return err
	}
	for _, in := range a.Found.Logs {
		if in.GUID == a.LogsInstance {
			a.LogsRegion = cmp.Or(a.LogsRegion, in.Region)
		}
	}
	return nil
}

// Found is what an account has. Comments of the config show it.
type Found struct {
	Projects []Project
	Logs     []Instance
	Keys     []Key
}

// Project is a Code Engine project.
type Project struct{ Name, Region string }

// Instance is an instance of Cloud Logs.
type Instance struct{ GUID, Name, Region string }

// String says the instance in one line.
func (i Instance) String() string {
	return fmt.Sprintf("%s (%s) in %s", i.GUID, comment(i.Name), i.Region)
}

// Key is an API key of a service ID that latchkey did not create.
type Key struct{ ID, Name, Of string }

// errIncomplete is the error for answers that are missing.
var errIncomplete = errors.New("is missing")

// maxComments is how many found things of a kind a config lists.
const maxComments = 20

// Config returns the text of the config.
func Config(a Answers) (string, error) {
	for _, need := range []struct {
		what, how string
		given     bool
	}{
		{"the name of the installation", "pass --owner", a.Owner != ""},
		{"a region", "pass --regions", len(a.Regions) > 0},
		{"the Cloud Logs instance", "pass --logs-instance with its guid (ibmcloud resource service-instances --service-name logs --output JSON), or --account", a.LogsInstance != ""},
	} {
		if !need.given {
			return "", fmt.Errorf("writing a config: %s %w: %s", need.what, errIncomplete, need.how)
		}
	}
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# A first config of latchkey. docs/configuration.md lists every key.\n#\n#   latchkey validate FILE          its faults, and the variables and roles that it needs")
	say("#   latchkey doctor --config FILE   what of these is there\n#   latchkey plan --config FILE     what a sweep would do\n\nversion: 1\n")
	say("# Written into everything that latchkey makes. Two installations need two owners.\nowner: %s\n", quoted(a.Owner))
	if a.Profile != "" {
		say("# The trusted profile that latchkey logs in with.\nidentity: {profile: %s}\n", quoted(a.Profile))
	} else {
		say("# latchkey logs in with the API key in IBMCLOUD_API_KEY. A trusted profile needs no key:\n# identity: {profile: latchkey}\n")
	}
	say("# Where Code Engine projects are looked for.\nregions: [%s]\n", strings.Join(quotedAll(a.Regions), ", "))
	if a.EventsEnv != "" {
		say("# Callers who show this token may request a key or a rotation.\nevents:\n  auth: {bearerEnv: %s}\n  allow:\n    - {verbs: [provision, rotate], credentials: [\"*\"]}\n", a.EventsEnv)
	}
	say("credentials:\n  # One service ID and one key for each Code Engine project.\n  - name: logs-sender\n    forEach: codeengine.projects")
	a.Found.projects(say, a.Prefix)
	if a.Prefix != "" {
		say("    where: project.name.startsWith(%q)", a.Prefix)
	} else {
		say("    # where: project.name.startsWith(\"team-\")   # default: all of them")
	}
	region := cmp.Or(a.LogsRegion, a.Regions[0])
	a.Found.logs(say)
	say("    serviceID:\n      name: logs-sender-${project.name}\n      policies:\n        - {service: logs, roles: [Sender], instance: %s}", quoted(a.LogsInstance))
	say("    # A key is replaced after 60 days and expires after 90. The old key works for another day.\n    rotation: {after: 60d, expire: 90d, overlap: 24h, onLeak: disable}")
	say("    # A key is published only if this instance accepts a log line with it.\n    prove:\n      logs: {instance: %s, region: %s}", quoted(a.LogsInstance), quoted(region))
	say("    stores:\n      - codeEngine: {project: \"${project.id}\", secret: logs-sender, entry: IAM_API_KEY}\n        restart: true   # the applications that read it from their environment")
	a.Found.keys(say)
	return b.String(), nil
}

func (f Found) projects(say func(string, ...any), prefix string) {
	for i, p := range f.Projects {
		if i == maxComments {
			say("    # and %d more", len(f.Projects)-i)
			return
		}
		gets := "gets a key"
		if !strings.HasPrefix(p.Name, prefix) {
			gets = "gets none"
		}
		say("    # found: %s in %s %s", comment(p.Name), p.Region, gets)
	}
}

func (f Found) logs(say func(string, ...any)) {
	for i, in := range f.Logs {
		if i == maxComments {
			say("    # and %d more", len(f.Logs)-i)
			return
		}
		say("    # found: Cloud Logs %s", in)
	}
}

func (f Found) keys(say func(string, ...any)) {
	if len(f.Keys) == 0 {
		return
	}
	say("\n  # Keys of service IDs that exist. To take one over, write an entry such as this with the\n  # location that holds its value. latchkey then rotates it, and changes nothing else.\n  #\n  # - name: NAME\n  #   adopt: ApiKey-…\n  #   serviceID: {id: ServiceId-…, manage: keys}\n  #   stores:\n  #     - codeEngine: {project: PROJECT, region: %s, secret: SECRET, entry: API_KEY}", "eu-de")
	for i, k := range f.Keys {
		if i == maxComments {
			say("  # and %d more", len(f.Keys)-i)
			return
		}
		say("  # found: %s (%s) of %s", k.ID, comment(k.Name), k.Of)
	}
}

// comment returns a text of the account as a part of a line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || slices.Contains([]rune{0x7f, 0x85, 0x2028, 0x2029}, r) {
			return '_'
		}
		return r
	}, s)
}

// quoted returns a string as YAML.
func quoted(s string) string { return fmt.Sprintf("%q", s) }

func quotedAll(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoted(w)
	}
	return out
}
