package config

import (
	"go.yaml.in/yaml/v3"
)

// ManageKeys is the only value of manage, for a service ID that is configured by its
// ID. Such a service ID is owned by another tool, such as Terraform. latchkey
// creates keys on it and touches no other keys.
const ManageKeys = "keys"

// Values of Entry.OnGone: what happens to a forEach credential after its project was
// deleted.
const (
	GoneKeep   = "keep"   // nothing; the outcome says so
	GoneRevoke = "revoke" // its keys and its service ID are deleted after an overlap
	GoneRetire = "retire" // it is deprovisioned, once its keys are not used any more
)

// Values of Entry.OnSameName: the service ID of a forEach credential, if another
// project's service ID has the name.
const (
	SameNameSuffix = "suffix" // it is NAME-<first characters of the project's ID>
	SameNameWait   = "wait"   // there is none until the other service ID is deleted
)

// ownName returns the name of the service ID with a part of the project's ID.
func ownName(name, project string) string {
	const part = 8
	suffix := "-" + project[:min(part, len(project))]
	characters := []rune(name)
	return string(characters[:min(len(characters), maxServiceIDName-len(suffix))]) + suffix
}

// maxFormer is how many earlier names an entry may list.
const maxFormer = 5

var (
	checkServiceID = form(`ServiceId-[A-Za-z0-9-]{1,64}`, "the ID of a service ID: ServiceId-…")
	checkAPIKey    = form(`ApiKey-[A-Za-z0-9-]{1,64}`, "the ID of an API key: ApiKey-…")
	checkGroup     = line(100)
	checkIAMID     = form(`(?:iam-ServiceId|iam-Profile|IBMid)-[A-Za-z0-9-]{1,64}`, "an IAM ID: iam-ServiceId-…, iam-Profile-… or IBMid-…")
)

// serviceID reads the service ID of a credential: by name if latchkey creates it,
// by ID if it exists.
func (d *decoder) serviceID(v value, e *entryDraft) {
	if d.has(v, "id") {
		d.object(v,
			field{"id", true, func(v value) { e.given, e.givenAt = d.word(v, checkServiceID), v }},
			field{"manage", true, func(v value) { d.word(v, oneOf(ManageKeys)) }},
			field{"keyDescription", false, func(v value) { d.keyDescription(v, e) }},
		)
		return
	}
	o := d.object(v,
		field{"name", true, func(v value) { e.serviceID = d.template(v, checkServiceIDName) }},
		field{"description", false, func(v value) { e.description = d.template(v, checkDescription) }},
		field{"keyDescription", false, func(v value) { d.keyDescription(v, e) }},
		field{"policies", false, func(v value) { e.policies = d.policies(v) }},
		field{"narrowPolicies", false, func(v value) { e.narrow = d.truth(v) }},
		field{"accessGroups", false, func(v value) { e.groups = d.words(v, checkGroup) }},
	)
	d.exactlyOne(o, "policies", "accessGroups")
	if at, ok := o.keys["narrowPolicies"]; ok && o.keys["policies"].node == nil {
		d.fault(at, "needs policies beside it: it takes down those that they do not say")
	}
}

// has reports whether a mapping has a key. A reader asks before it reads the mapping
// where the key determines which others there are.
func (d *decoder) has(v value, key string) bool {
	if p := d.probed[v.node]; p != nil {
		return p.ask(key)
	}
	if v.node.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value == key {
			return true
		}
	}
	return false
}

// adoption reads the ID of the key that is to be adopted. false means none.
func (d *decoder) adoption(v value, e *entryDraft) {
	switch {
	case v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool":
		e.adoptKey, e.adoptAt = d.word(v, checkAPIKey), v
	case d.truth(v):
		d.fault(v, "true is spelled overwrite: true; adopt takes the ID of an API key: ApiKey-…")
	}
}

// formerLogins reads the IAM IDs that latchkey logged in as before.
func (d *decoder) formerLogins(v value) []string {
	ids := d.words(v, checkIAMID)
	if len(ids) > maxFormer {
		d.fault(v, "has %d IAM IDs; the maximum is %d", len(ids), maxFormer)
	}
	return ids
}

// formerly reads the entry's earlier names.
func (d *decoder) formerly(v value, e *entryDraft) {
	e.Formerly, e.formerlyAt = d.words(v, checkName), v
	if len(e.Formerly) > maxFormer {
		d.fault(v, "has %d names; the maximum is %d", len(e.Formerly), maxFormer)
	}
}

// checkIdentity checks the fields about a service ID against the other fields.
func (d *decoder) checkIdentity(e *entryDraft, entries []*entryDraft, given map[string]string) {
	many := e.ForEach != "" || e.UsesWith()
	if e.given != "" {
		if many {
			d.fault(e.givenAt, "%q is one service ID, but the entry yields many credentials", e.given)
		}
		if other, twice := given[e.given]; twice {
			d.fault(e.givenAt, "%q is already the service ID of the credential %q", e.given, other)
		}
		given[e.given] = e.Name
	}
	if e.adoptKey != "" && e.overwrite {
		d.fault(e.object.at("overwrite"), "adopt and overwrite cannot be combined; choose one")
	}
	if e.adoptKey != "" && many {
		d.fault(e.adoptAt, "%q is one key, but the entry yields many credentials", e.adoptKey)
	}
	for _, other := range entries {
		for _, name := range e.Formerly {
			if other.Name == name {
				d.fault(e.formerlyAt, "%q is the name of another entry", name)
			}
			for _, theirs := range other.Formerly {
				if other != e && theirs == name && other.Line < e.Line {
					d.fault(e.formerlyAt, "%q is already an earlier name of the credential %q", name, other.Name)
				}
			}
		}
	}
	if at, ok := e.object.keys["onSameName"]; ok && e.ForEach == "" {
		d.fault(at, "is only for entries with forEach, whose projects can have the same name")
	}
	if at, ok := e.object.keys["onGone"]; ok {
		d.checkGone(e, at)
	}
}

// checkGone requires that with onGone: revoke every store lies in the project.
// After the project was deleted, consumers of other stores cannot be found.
func (d *decoder) checkGone(e *entryDraft, at value) {
	if e.ForEach == "" {
		d.fault(at, "is only for entries with forEach, whose projects can be deleted")
		return
	}
	for _, s := range e.stores {
		if e.OnGone != GoneKeep && (s.codeEngine == nil || !s.codeEngine.project.varies()) {
			d.fault(at, "%s requires every store to be in the project; %s is not", e.OnGone, s.at.path)
		}
	}
}
