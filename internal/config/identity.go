package config

import (
	"go.yaml.in/yaml/v3"
)

// ManageKeys is what a config may ask for on a service ID that is named by its
// ID: it belongs to somebody else, such as Terraform, and only keys that
// latchkey minted on it are latchkey's.
const ManageKeys = "keys"

// What happens to the keys of a forEach instance whose project is gone.
const (
	GoneKeep   = "keep"   // nothing: it is reported
	GoneRevoke = "revoke" // they end after an overlap, and the service ID with them
)

// maxFormer bounds how many names an entry may have had.
const maxFormer = 5

var (
	checkServiceID = form(`ServiceId-[A-Za-z0-9-]{1,64}`, "the ID of a service ID: ServiceId-…")
	checkAPIKey    = form(`ApiKey-[A-Za-z0-9-]{1,64}`, "the ID of an API key: ApiKey-…")
	checkGroup     = line(100)
)

// serviceID reads what the credential's service ID is: one that latchkey makes,
// by name, or one that is there, by ID.
func (d *decoder) serviceID(v value, e *entryDraft) {
	given := false
	if v.node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(v.node.Content); i += 2 {
			given = given || v.node.Content[i].Value == "id"
		}
	}
	if given {
		d.object(v,
			field{"id", true, func(v value) { e.given, e.givenAt = d.word(v, checkServiceID), v }},
			field{"manage", true, func(v value) { d.word(v, oneOf(ManageKeys)) }},
		)
		return
	}
	o := d.object(v,
		field{"name", true, func(v value) { e.serviceID = d.template(v, checkServiceIDName) }},
		field{"description", false, func(v value) { e.description = d.template(v, checkDescription) }},
		field{"policies", false, func(v value) { e.policies = d.policies(v) }},
		field{"accessGroups", false, func(v value) { e.groups = d.words(v, checkGroup) }},
	)
	d.exactlyOne(o, "policies", "accessGroups")
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

// formerly reads the names that the entry had.
func (d *decoder) formerly(v value, e *entryDraft) {
	e.Formerly, e.formerlyAt = d.words(v, checkName), v
	if len(e.Formerly) > maxFormer {
		d.fault(v, "has %d names; the most is %d", len(e.Formerly), maxFormer)
	}
}

// checkIdentity checks what else an entry says about its service ID.
func (d *decoder) checkIdentity(e *entryDraft, entries []*entryDraft, given map[string]string) {
	many := e.ForEach != "" || e.UsesWith()
	if e.given != "" {
		if many {
			d.fault(e.givenAt, "%q is one service ID, but the entry yields many credentials", e.given)
		}
		if other, twice := given[e.given]; twice {
			d.fault(e.givenAt, "%q is the service ID of the credential %q too", e.given, other)
		}
		given[e.given] = e.Name
	}
	if e.adoptKey != "" && e.overwrite {
		d.fault(e.object.at("overwrite"), "adopt and overwrite can't be together; choose one")
	}
	if e.adoptKey != "" && many {
		d.fault(e.adoptAt, "%q is one key, but the entry yields many credentials", e.adoptKey)
	}
	for _, other := range entries {
		for _, name := range e.Formerly {
			if other.Name == name {
				d.fault(e.formerlyAt, "%q is a name that is in use", name)
			}
			for _, theirs := range other.Formerly {
				if other != e && theirs == name && other.Line < e.Line {
					d.fault(e.formerlyAt, "%q was the name of the credential %q too", name, other.Name)
				}
			}
		}
	}
	if at, ok := e.object.keys["onGone"]; ok {
		d.checkGone(e, at)
	}
}

// checkGone wants nothing but the project itself to hold a key that ends with
// it: once the project is gone, nobody can tell where else the key was.
func (d *decoder) checkGone(e *entryDraft, at value) {
	if e.ForEach == "" {
		d.fault(at, "is for entries with forEach: only their projects can go")
		return
	}
	for _, s := range e.stores {
		if e.OnGone == GoneRevoke && (s.codeEngine == nil || !s.codeEngine.project.varies()) {
			d.fault(at, "revoke needs every store in the project itself: %s is not", s.at.path)
		}
	}
}
