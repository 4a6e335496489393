package config

import (
	"slices"
	"strings"
)

// Secret is a place outside of the config that holds a secret: a variable or a file.
type Secret struct {
	At        string // path in the config, such as events.auth.bearerEnv
	Env, File string // one of them
}

// Kubeconfig is a kubeconfig that a store needs, and the context that it takes of it.
type Kubeconfig struct {
	Secret
	Context string // "": the current one
}

// addSecret records where the config takes a secret from.
func (d *decoder) addSecret(at, name string) {
	field, _, _ := strings.Cut(at[strings.LastIndexByte(at, '.')+1:], "[")
	switch {
	case strings.HasSuffix(field, "Env"):
		d.secrets = append(d.secrets, Secret{At: at, Env: name})
	case strings.HasSuffix(field, "File"):
		d.secrets = append(d.secrets, Secret{At: at, File: name})
	}
}

// Needs are what a config needs outside of it. Its JSON is what validate --needs
// prints.
type Needs struct {
	Variables []Source `json:"variables"`
	Files     []Source `json:"files"`
	Grants    []Grant  `json:"grants"`
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
	Role    string `json:"role"`
	Why     string `json:"why"`
}

// Needs returns the variables, files and roles that the config needs.
func (c *Config) Needs() Needs {
	n := Needs{Variables: []Source{}, Files: []Source{}, Grants: c.grants()}
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

// grants returns the roles that latchkey's identity needs for the whole config. On
// which instances is up to the grantor.
func (c *Config) grants() (grants []Grant) {
	add := func(service, role, why string) {
		if !slices.ContainsFunc(grants, func(g Grant) bool { return g.Service == service && g.Role == role }) {
			grants = append(grants, Grant{service, role, why})
		}
	}
	add("iam-identity", "Operator", "to find and create service IDs, and to delete keys")
	add("iam-identity", "Editor", "to create and update keys")
	for _, e := range c.Entries {
		for _, p := range e.policies {
			for _, role := range p.roles {
				add(p.service, role, "since only a role that is held can be granted")
			}
			add(p.service, "Administrator", "to grant roles on it")
		}
		if len(e.groups) > 0 {
			add("iam-groups", "Editor", "to add service IDs to access groups")
		}
		for _, s := range e.stores {
			if s.codeEngine != nil {
				add("codeengine", "Viewer", "to see projects")
				add("codeengine", "Writer", "to write secrets and restart apps")
			}
			if s.secretsManager != nil && s.secretsManager.lock {
				add("secrets-manager", "Manager", "to write secrets and remove their locks")
			} else if s.secretsManager != nil {
				add("secrets-manager", "Writer", "to write secrets")
			}
		}
	}
	return grants
}
