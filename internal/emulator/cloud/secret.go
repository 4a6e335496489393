package cloud

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Secret is a Code Engine secret. Code Engine returns its data in clear text.
type Secret struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Format    string            `json:"format"`
	Data      map[string]string `json:"data,omitempty"`
	EntityTag string            `json:"entity_tag"`
	ProjectID string            `json:"project_id"`
	Region    string            `json:"region"`
	CreatedAt time.Time         `json:"created_at"`
	// ServiceAccess and ServiceOperator are the properties of the formats with
	// those names, as they were sent.
	ServiceAccess   json.RawMessage `json:"service_access,omitempty"`
	ServiceOperator json.RawMessage `json:"service_operator,omitempty"`
}

// ResourceType returns the type that Code Engine shows for the secret's format.
func (s Secret) ResourceType() string {
	switch s.Format {
	case "ssh_auth":
		return "secret_auth_ssh_v2"
	case "service_operator":
		return "secret_operator_v2"
	}
	return "secret_" + s.Format + "_v2"
}

// NewSecret is the request for a secret.
type NewSecret struct {
	Name            string            `json:"name"`
	Format          string            `json:"format"`
	Data            map[string]string `json:"data"`
	ServiceAccess   json.RawMessage   `json:"service_access"`
	ServiceOperator json.RawMessage   `json:"service_operator"`
}

// secretFormats maps each format to the data that it requires.
var secretFormats = map[string][]string{
	"generic":          nil,
	"other":            nil,
	"service_access":   nil,
	"service_operator": nil,
	"basic_auth":       {"username", "password"},
	"hmac_auth":        {"access_key_id", "secret_access_key"},
	"registry":         {"username", "password", "server"},
	"ssh_auth":         {"ssh_key"},
	"tls":              {"tls_cert", "tls_key"},
}

var (
	resourceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	dataKey      = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
)

const longestValue = 1 << 20

func checkSecret(format string, data map[string]string) error {
	required, ok := secretFormats[format]
	if !ok {
		return ceInvalid("The secret format %q is not known.", format)
	}
	for _, k := range required {
		if data[k] == "" {
			return ceInvalid("The data of the format %s needs %s.", format, k)
		}
	}
	for k, v := range data {
		if !dataKey.MatchString(k) {
			return ceInvalid("The data key %q is not valid.", k)
		}
		if utf8.RuneCountInString(v) > longestValue {
			return ceInvalid("The value of %s is too long.", k)
		}
	}
	return nil
}

func (s *Secret) copy() Secret {
	out := *s
	out.Data = maps.Clone(s.Data)
	return out
}

// CreateSecret makes a secret.
func (c *Cloud) CreateSecret(a Actor, projectID string, n NewSecret) (Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, "Writer")
	if err != nil {
		return Secret{}, err
	}
	if len(n.Name) > 253 || !resourceName.MatchString(n.Name) {
		return Secret{}, c.ceRefused(ceInvalid("The secret name %q is not valid.", n.Name))
	}
	if err := checkSecret(n.Format, n.Data); err != nil {
		return Secret{}, c.ceRefused(err)
	}
	if p.secrets[n.Name] != nil {
		return Secret{}, serviceError(c.switches.ExistingCodeEngineStatus, "resource_already_exists", "A secret of this name exists.")
	}
	if len(p.secrets) >= secretsPerProject {
		return Secret{}, c.ceQuota("secrets in this project", secretsPerProject)
	}
	return c.putSecret(p, n).copy(), nil
}

func (c *Cloud) putSecret(p *project, n NewSecret) *Secret {
	s := &Secret{
		ID: c.uuid(), Name: n.Name, Format: n.Format, Data: maps.Clone(n.Data), EntityTag: p.nextTag(),
		ProjectID: p.ID, Region: p.Region, CreatedAt: c.now(),
		ServiceAccess: n.ServiceAccess, ServiceOperator: n.ServiceOperator,
	}
	p.secrets[n.Name] = s
	return s
}

// ListSecrets returns one page of a project's secrets with their values, sorted
// by name.
func (c *Cloud) ListSecrets(a Actor, projectID, format string, q ListQuery) (Page[Secret], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, "Reader")
	if err != nil {
		return Page[Secret]{}, err
	}
	var found []*Secret
	for _, s := range p.secrets {
		if format == "" || s.Format == format {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *Secret) int { return strings.Compare(a.Name, b.Name) })
	return ceCut(q, found, func(s *Secret) string { return s.Name }, (*Secret).copy)
}

func (c *Cloud) findSecret(a Actor, projectID, name, role string) (*project, *Secret, error) {
	p, err := c.activeProject(a, projectID, role)
	if err != nil {
		return nil, nil, err
	}
	s, ok := p.secrets[name]
	if !ok {
		return nil, nil, ceNotFound("Resource")
	}
	return p, s, nil
}

// GetSecret returns one secret.
func (c *Cloud) GetSecret(a Actor, projectID, name string) (Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, s, err := c.findSecret(a, projectID, name, "Reader")
	if err != nil {
		return Secret{}, err
	}
	return s.copy(), nil
}

// ReplaceSecret replaces all data of a secret if ifMatch is its entity tag or
// "*".
func (c *Cloud) ReplaceSecret(a Actor, projectID, name, ifMatch string, n NewSecret) (Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, s, err := c.findSecret(a, projectID, name, "Writer")
	if err != nil {
		return Secret{}, err
	}
	if err := c.ceIfMatch(ifMatch, s.EntityTag); err != nil {
		return Secret{}, err
	}
	if n.Format != s.Format {
		return Secret{}, c.ceRefused(ceInvalid("The format of a secret cannot change."))
	}
	if err := checkSecret(n.Format, n.Data); err != nil {
		return Secret{}, c.ceRefused(err)
	}
	s.Data, s.EntityTag = maps.Clone(n.Data), p.nextTag()
	s.ServiceAccess, s.ServiceOperator = n.ServiceAccess, n.ServiceOperator
	return s.copy(), nil
}

// DeleteSecret deletes a secret.
func (c *Cloud) DeleteSecret(a Actor, projectID, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, _, err := c.findSecret(a, projectID, name, "Writer")
	if err != nil {
		return c.deletion(err)
	}
	delete(p.secrets, name)
	return nil
}
