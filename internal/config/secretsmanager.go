package config

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// SecretsManagerStore is a secret of Secrets Manager: the whole secret, of the
// type arbitrary, or an entry of one of the type kv. Beside Entry latchkey
// writes the companions Entry+"_ID" and Entry+"_LATCHKEY".
type SecretsManagerStore struct {
	Instance string // GUID
	Region   string
	Group    string // name of the secret group; "": the default one
	Name     string
	Type     string // "arbitrary" or "kv"
	Entry    string // only with the type kv
	// Lock says in Secrets Manager that what was published is in use. It is off
	// by default, since it takes the role Manager where Writer does for the rest.
	Lock bool
}

// Types of secrets that a secretsManager store can be.
const (
	typeArbitrary = "arbitrary"
	typeKeyValue  = "kv"
)

type secretsManagerTemplate struct {
	instance, region, group, name, entry *template // group and entry may be nil
	kind                                 string
	lock                                 bool
}

func (d *decoder) secretsManager(v value) *secretsManagerTemplate {
	s := &secretsManagerTemplate{}
	o := d.object(v,
		field{"instance", true, func(v value) { s.instance = d.template(v, entry.CheckInstance) }},
		field{"region", true, func(v value) { s.region = d.template(v, entry.CheckRegion) }},
		field{"group", false, func(v value) { s.group = d.template(v, entry.CheckSecretGroup) }},
		field{"name", true, func(v value) { s.name = d.template(v, entry.CheckManagedSecret) }},
		field{"type", true, func(v value) { s.kind = d.word(v, oneOf(typeArbitrary, typeKeyValue)) }},
		field{"entry", false, func(v value) { s.entry = d.template(v, entry.CheckEntry) }},
		field{"lock", false, func(v value) { s.lock = d.truth(v) }},
	)
	_, given := o.keys["entry"]
	switch {
	case s.kind == typeKeyValue && !given:
		d.fault(value{node: v.node, path: join(v.path, "entry")}, "is missing; a secret of the type kv has many")
	case s.kind == typeArbitrary && given:
		d.fault(o.at("entry"), "can't be with the type arbitrary: the whole secret is the key")
	}
	return s
}

// placeParts are what tells two places apart. The group is not among them: a
// name is unique in the instance, per type.
func (s *secretsManagerTemplate) placeParts() []*template {
	parts := []*template{{parts: []part{{literal: s.kind}}}, s.instance, s.region, s.name}
	if s.kind == typeKeyValue {
		parts = append(parts, s.entry)
	}
	return parts
}

func (s *secretsManagerTemplate) expand(x *expansion) *SecretsManagerStore {
	out := &SecretsManagerStore{Instance: x.text(s.instance), Region: x.text(s.region), Name: x.text(s.name), Type: s.kind, Lock: s.lock}
	if s.group != nil {
		out.Group = x.text(s.group)
	}
	if s.entry != nil {
		out.Entry = x.text(s.entry)
	}
	return out
}

func (s SecretsManagerStore) place() string {
	where := fmt.Sprintf("the %s secret %q of the Secrets Manager instance %s in %s", s.Type, s.Name, s.Instance, s.Region)
	if s.Type == typeKeyValue {
		return fmt.Sprintf("the entry %q of %s", s.Entry, where)
	}
	return where
}
