package config

import (
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// Kubeconfig is a kubeconfig that a store needs, and the context that it takes of it.
type Kubeconfig struct {
	secret.Source
	Context string // "": the current one
}

// addSecret records where the config takes a secret from.
func (d *decoder) addSecret(at, name string) secret.Source {
	s := secret.Source{At: at, Sender: senderOf(at)}
	field, _, _ := strings.Cut(at[strings.LastIndexByte(at, '.')+1:], "[")
	if strings.HasSuffix(field, "Env") {
		s.Env = name
	} else {
		s.File = name
	}
	d.secrets = append(d.secrets, s)
	return s
}

// Needs are what a config needs outside of it. Its JSON is what validate --needs
// prints.
type Needs struct {
	Variables []Source `json:"variables"`
	Files     []Source `json:"files"`
	Grants    []Grant  `json:"grants"`
	// Endpoints are for rules of a firewall or a network policy. The emulator and the
	// collectors of OpenTelemetry are not among them: variables name those.
	Endpoints []Endpoint `json:"endpoints"`
}

// Source is a variable or file with a secret, and the field of the config that
// names it.
type Source struct {
	Name string `json:"name"`
	For  string `json:"for"`
}

// Grant is a role that latchkey's identity needs.
type Grant struct {
	Service string `json:"service"` // in IAM, such as iam-identity
	Role    string `json:"role"`    // its display name
	// Attribute and Value limit the role, as an attribute of a policy: serviceInstance,
	// resource or resourceGroupId. Both are empty where the config does not limit it.
	// Service is empty if the attribute is serviceType.
	Attribute string `json:"attribute,omitempty"`
	Value     string `json:"value,omitempty"`
	Why       string `json:"why"`
}

// Needs returns the variables, files, roles and servers that the config needs.
func (c *Config) Needs() Needs {
	n := Needs{Variables: []Source{}, Files: []Source{}, Grants: c.grants(), Endpoints: c.endpoints()}
	if c.Identity.Profile == "" {
		n.Variables = append(n.Variables, Source{"IBMCLOUD_API_KEY", "identity"})
	}
	for _, s := range c.Secrets {
		if s.Env != "" {
			n.Variables = append(n.Variables, Source{s.Env, s.At})
		} else {
			n.Files = append(n.Files, Source{s.File, s.At})
		}
	}
	return n
}

// grants returns the roles that latchkey's identity needs for the whole config, and no
// more. deploy/iam grants them.
func (c *Config) grants() (grants []Grant) {
	add := func(g Grant) {
		if !slices.ContainsFunc(grants, func(had Grant) bool { return had.same(g) }) {
			grants = append(grants, g)
		}
	}
	whole := func(service, role, why string) { add(Grant{Service: service, Role: role, Why: why}) }
	whole(identityService, "Viewer", "to find service IDs and keys")
	for _, e := range c.Entries {
		if e.given != "" {
			add(Grant{identityService, "Administrator", "resource", e.given, "to create, update and delete keys of a service ID that latchkey did not create"})
		} else {
			whole(identityService, "Service ID creator", "to create service IDs: their creator administers them and their keys")
		}
		if len(e.trust) > 0 {
			whole(identityService, "Editor", "to create trusted profiles and link them")
			whole(identityService, "Operator", "to delete trusted profiles")
		}
		for _, p := range e.policies {
			for _, g := range p.grants() {
				add(g)
			}
			on := p.on()
			on.Role, on.Why = "Administrator", "to grant roles on it"
			add(on)
		}
		if len(e.groups) > 0 {
			whole(groupsService, "Viewer", "to see the members of access groups")
		}
		for _, group := range e.groups {
			on := Grant{Service: groupsService, Role: "Editor", Why: "to add service IDs to access groups"}
			if strings.HasPrefix(group, groupPrefix) {
				on.Attribute, on.Value = "resource", group
			}
			add(on)
		}
		for _, s := range e.stores {
			if s.codeEngine != nil {
				whole("codeengine", "Viewer", "to see projects")
				whole("codeengine", "Writer", "to write secrets and restart apps")
			}
			if s.secretsManager != nil {
				add(s.secretsManager.grant(e.ends()))
			}
		}
	}
	for _, g := range c.Provider.grants() {
		add(g)
	}
	return grants
}

// Names of services in IAM, and what the ID of an access group begins with.
const (
	identityService = "iam-identity"
	groupsService   = "iam-groups"
	secretsService  = "secrets-manager"
	groupPrefix     = "AccessGroupId-"
)

// same reports whether two grants are one, whatever they are for.
func (g Grant) same(other Grant) bool {
	other.Why = g.Why
	return g == other
}

// Fixed returns the IDs of the service ID and of the key to adopt that the entry names;
// each may be empty.
func (e *Entry) Fixed() (serviceID, adoptKey string) { return e.given, e.adoptKey }

// Grants returns the roles that the entry's policies give to its service IDs. Why they
// are needed is that only a role that is held can be granted.
func (e *Entry) Grants() (grants []Grant) {
	for _, p := range e.policies {
		grants = append(grants, p.grants()...)
	}
	return grants
}

func (p policyTemplate) grants() (grants []Grant) {
	on := p.on()
	for _, role := range p.roles {
		on.Role, on.Why = role, "since only a role that is held can be granted"
		grants = append(grants, on)
	}
	return grants
}

// on returns the resource of a policy as that of a grant. A template with an expression
// limits nothing, since its result is not known.
func (p policyTemplate) on() Grant {
	g := Grant{Service: p.service}
	if p.serviceType != "" {
		g.Attribute, g.Value = "serviceType", p.serviceType
	} else if instance, ok := p.instance.literal(); ok {
		g.Attribute, g.Value = "serviceInstance", instance
	} else if group, ok := p.resourceGroup.literal(); ok {
		g.Attribute, g.Value = "resourceGroupId", group
	}
	return g
}

// ends reports whether credentials of the entry can be deprovisioned.
func (e *Entry) ends() bool { return e.UsesWith() || !e.Keep || e.OnGone == GoneRetire }

func (s *secretsManagerTemplate) grant(ends bool) Grant {
	g := Grant{Service: secretsService, Role: "Writer", Why: "to write secrets"}
	switch {
	case s.lock:
		g.Role, g.Why = "Manager", "to write secrets and remove their locks"
	case ends:
		g.Role, g.Why = "Manager", "to write secrets, and delete those of a deprovisioned credential"
	}
	if instance, ok := s.instance.literal(); ok {
		g.Attribute, g.Value = "serviceInstance", instance
	}
	return g
}

// grants returns the roles that the provider of custom credentials needs.
func (p *Provider) grants() (grants []Grant) {
	if p == nil {
		return nil
	}
	for _, instance := range p.Instances {
		for _, role := range []string{"SecretTaskUpdater", "SecretsReader"} {
			grants = append(grants, Grant{secretsService, role, "serviceInstance", instance, "to read and complete tasks"})
		}
	}
	for _, a := range p.Allow {
		for _, id := range a.ServiceIDs {
			grants = append(grants, Grant{identityService, "Administrator", "resource", id, "to create, update and delete keys of a service ID that latchkey did not create"})
		}
	}
	return grants
}
