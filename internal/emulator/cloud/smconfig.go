package cloud

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// configurationKind is a type of configurations whose fields are stored but have
// no effect.
type configurationKind struct {
	secretType string
	required   []string // each is a string
	optional   []string // a string; only disabled is a boolean
	class      string   // of the limit per instance; "" means no limit
}

// configurationKinds has the types that only serve other types of secrets. Their
// fields are from the models of the SDK.
var configurationKinds = map[string]configurationKind{
	"iam_credentials_configuration": {secretType: IAMCredentials, required: []string{"api_key"}, optional: []string{"disabled"}},
	"public_cert_configuration_ca_lets_encrypt": {secretType: "public_cert", class: "third-party CA",
		required: []string{"lets_encrypt_environment", "lets_encrypt_private_key"}, optional: []string{"lets_encrypt_preferred_chain"}},
	"public_cert_configuration_dns_classic_infrastructure": {secretType: "public_cert", class: "DNS provider",
		required: []string{"classic_infrastructure_username", "classic_infrastructure_password"}},
	"public_cert_configuration_dns_cloud_internet_services": {secretType: "public_cert", class: "DNS provider",
		required: []string{"cloud_internet_services_crn"}, optional: []string{"cloud_internet_services_apikey"}},
}

// privateEngines are the types of configurations that are not emulated.
var privateEngines = []string{"private_cert_configuration_root_ca", "private_cert_configuration_intermediate_ca", "private_cert_configuration_template"}

// SecretType returns the type of secrets that the configuration serves.
func (e Engine) SecretType() string {
	if k, ok := configurationKinds[e.Type]; ok {
		return k.secretType
	}
	return CustomCredentials
}

// class returns which limit a configuration counts toward.
func (e Engine) class() string {
	if k, ok := configurationKinds[e.Type]; ok {
		return k.class
	}
	return "custom credentials"
}

// check returns the known fields of a configuration, without the empty ones.
func (k configurationKind) check(fields map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for _, name := range slices.Concat(k.required, k.optional) {
		switch x := fields[name].(type) {
		case nil:
		case bool:
			if name != "disabled" {
				return nil, smInvalid("%s must be a string.", name)
			}
			out[name] = x
		case string:
			if name == "disabled" {
				return nil, smInvalid("disabled must be true or false.")
			}
			if x != "" {
				out[name] = x
			}
		default:
			return nil, smInvalid("%s has the wrong type.", name)
		}
	}
	for _, name := range k.required {
		if out[name] == nil {
			return nil, smInvalid("%s is required.", name)
		}
	}
	if environment := out["lets_encrypt_environment"]; environment != nil && environment != "production" && environment != "staging" {
		return nil, smInvalid("lets_encrypt_environment must be production or staging.")
	}
	return out, nil
}

// UpdateEngine changes the fields of a configuration: of custom credentials its
// task_timeout, of another type those of its creation.
func (c *Cloud) UpdateEngine(a Actor, instance, name, kind string, patch map[string]any) (Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, e, err := c.findEngine(a, instance, name, kind, "configuration.update")
	if err != nil {
		return Engine{}, err
	}
	if k, ok := configurationKinds[e.Type]; ok {
		next := maps.Clone(e.Fields)
		maps.Copy(next, patch)
		if next, err = k.check(next); err != nil {
			return Engine{}, err
		}
		e.Fields = next
	} else if timeout, ok := patch["task_timeout"]; ok {
		t, ok := timeout.(string)
		if _, err := taskTimeout(t); err != nil || !ok || t == "" {
			return Engine{}, smInvalid("task_timeout must be a duration from 5 minutes to 24 hours.")
		}
		e.TaskTimeout = t
	}
	e.UpdatedAt = c.now()
	return *e, nil
}

// CreateEngineAction refuses: only configurations for private certificates have
// actions, and they are not emulated.
func (c *Cloud) CreateEngineAction(a Actor, instance, name, kind, action string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, e, err := c.findEngine(a, instance, name, kind, "configuration-action.create")
	if err != nil {
		return err
	}
	return smInvalid("A configuration of the type %s has no action %q.", e.Type, action)
}

// findEngine finds a configuration. A caller may require its type.
func (c *Cloud) findEngine(a Actor, instance, name, kind, action string) (*secretsInstance, *Engine, error) {
	in, err := c.allowed(a, instance, "", action)
	if err != nil {
		return nil, nil, err
	}
	e := in.engine(name)
	if e == nil || kind != "" && kind != e.Type {
		return nil, nil, smNotFound("configuration", name)
	}
	return in, e, nil
}

// EngineQuery selects a page of configurations.
type EngineQuery struct {
	Offset, Limit int // limit 0 = 200
	Sort, Search  string
	SecretTypes   []string
}

// ListEngines returns one page of the configurations, in the order of their
// creation unless the query sorts.
func (c *Cloud) ListEngines(a Actor, instance string, q EngineQuery) (Slice[Engine], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "configurations.list")
	if err != nil {
		return Slice[Engine]{}, err
	}
	for _, t := range q.SecretTypes {
		if !slices.Contains([]string{IAMCredentials, "public_cert", "private_cert", CustomCredentials}, t) {
			return Slice[Engine]{}, smInvalid("The secret type %q has no configurations.", t)
		}
	}
	orders := map[string]func(a, b Engine) int{
		"":            func(Engine, Engine) int { return 0 },
		"config_type": func(a, b Engine) int { return cmp.Compare(a.Type, b.Type) },
		"secret_type": func(a, b Engine) int { return cmp.Compare(a.SecretType(), b.SecretType()) },
		"name":        func(a, b Engine) int { return cmp.Compare(a.Name, b.Name) },
	}
	field, descending := strings.CutPrefix(q.Sort, "-")
	less, ok := orders[field]
	if !ok {
		return Slice[Engine]{}, smInvalid("sort must be config_type, secret_type or name.")
	}
	found := []Engine{}
	for _, e := range in.engines {
		if len(q.SecretTypes) > 0 && !slices.Contains(q.SecretTypes, e.SecretType()) {
			continue
		}
		if slices.ContainsFunc([]string{e.Name, e.Type, e.SecretType()}, func(s string) bool { return contains(s, q.Search) }) {
			found = append(found, *e)
		}
	}
	slices.SortStableFunc(found, func(a, b Engine) int {
		if descending {
			a, b = b, a
		}
		return less(a, b)
	})
	return smSliced(found, q.Limit, q.Offset, 200)
}

// CreateSecretAction refuses an action on a secret or, with a version, on that:
// only certificates have actions, and they are not emulated.
func (c *Cloud) CreateSecretAction(a Actor, instance, secret, version, action string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s *managedSecret
	var err error
	if version == "" {
		s, err = c.secret(a, instance, secret, "secret-action.create")
	} else {
		s, _, err = c.findVersion(a, instance, secret, version, "secret-version-action.create")
	}
	if err != nil {
		return err
	}
	return smInvalid("A secret of the type %s has no action %q.", s.Type, action)
}
