package config

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// SecretsManagerStore is a whole secret of type arbitrary in Secrets Manager, or an
// entry of a secret of type kv. For an entry latchkey also writes Entry+"_ID" and
// Entry+"_LATCHKEY".
type SecretsManagerStore struct {
	Instance string // GUID
	Region   string // such as eu-de
	Group    string // name of the secret group; "": the default group
	Name     string // the secret's name
	Type     string // "arbitrary" or "kv"
	Entry    string // key in a secret of type kv; otherwise ""
	// Lock locks the published version as in use; default false. It requires the
	// role Manager; everything else requires Writer.
	Lock bool
}

// Values of SecretsManagerStore.Type.
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
		d.fault(value{node: v.node, path: join(v.path, "entry")}, "is missing; a secret of type kv has several entries")
	case s.kind == typeArbitrary && given:
		d.fault(o.at("entry"), "cannot be combined with the type arbitrary: the key is the whole secret")
	}
	return s
}

// locationParts distinguish two locations. The group is not one of them: a name is
// unique in the instance, per type.
func (s *secretsManagerTemplate) locationParts() []*template {
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

func (s SecretsManagerStore) location() string {
	where := fmt.Sprintf("the %s secret %q of the Secrets Manager instance %s in %s", s.Type, s.Name, s.Instance, s.Region)
	if s.Type == typeKeyValue {
		return fmt.Sprintf("the entry %q of %s", s.Entry, where)
	}
	return where
}
