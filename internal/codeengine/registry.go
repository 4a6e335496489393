package codeengine

import (
	"cmp"
	"regexp"
	"sync"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// RegistryEntry is the property of a secret of the format registry that holds the key.
const RegistryEntry = "password"

// Registry is the login of a secret of the format registry. Code Engine pulls images
// with such a secret. It has these properties and no room for companions:
//
//	server    de.icr.io
//	username  iamapikey
//	password  the key's value
//	email     <key's ID>@<owner>.latchkey.dev
type Registry struct{ Server, Username string }

// keyAddress matches the e-mail address that names a key and its owner.
var keyAddress = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([^@]+)@([^@]+)\.latchkey\.dev$`) })

// metadata returns the metadata in the properties of the secret.
func (*Registry) metadata(data map[string]secret.Value) (m entry.Metadata) {
	if parts := keyAddress().FindStringSubmatch(data["email"].Expose()); parts != nil {
		m.KeyID, m.Owner = parts[1], parts[2]
	}
	return m
}

// value returns the key's value. If the login is not that of the config, the value is
// that of no key, so that the secret is repaired.
func (r *Registry) value(data map[string]secret.Value, m entry.Metadata) secret.Value {
	value := data[RegistryEntry]
	if value.Empty() || m.KeyID == "" || data["server"].Expose() == r.Server && data["username"].Expose() == r.Username {
		return value
	}
	return secret.New(data["username"].Expose() + ":" + value.Expose() + "@" + data["server"].Expose())
}

// put sets the properties.
func (r *Registry) put(data map[string]secret.Value, e port.Entry, owner string) {
	data["server"], data["username"], data[RegistryEntry] = secret.New(r.Server), secret.New(r.Username), e.Value
	data["email"] = secret.New(e.KeyID + "@" + cmp.Or(e.Owner, owner) + ".latchkey.dev")
}

// Formats of a secret.
const (
	formatGeneric  = "generic"
	formatRegistry = "registry"
)

// kind returns the format of the secret.
func (s *Store) kind() string {
	if s.cfg.Registry != nil {
		return formatRegistry
	}
	return formatGeneric
}

// body returns the data as they are sent. A secret of the format registry has its four
// properties, also if they are empty, and no others.
func (s *Store) body(data map[string]secret.Value) map[string]string {
	body := make(map[string]string, len(data))
	if s.cfg.Registry != nil {
		for _, name := range []string{"server", "username", RegistryEntry, "email"} {
			body[name] = data[name].Expose()
		}
		return body
	}
	for name, value := range data {
		body[name] = value.Expose()
	}
	return body
}
