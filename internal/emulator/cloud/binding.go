package cloud

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The bounds of bindings and domain mappings are those of the API definition, as
// IBM's Terraform provider repeats them.
var (
	bindingPrefix = regexp.MustCompile(`^[A-Z]([_A-Z0-9]*[A-Z0-9])*$`)
	domainName    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$`)

	bindingRules = rules{"component": component, "prefix": text(1, 31, bindingPrefix), "secret_name": text(1, 253, resourceName)}
	mappingRules = rules{"component": component, "tls_secret": text(1, 253, resourceName)}
)

var component = object(rules{"name": text(1, 63, jobName), "resource_type": text(1, 63, nil)}, func(map[string]any) error { return nil })

func checkBinding(spec map[string]any) error {
	return firstError(needed(spec, "component", "prefix", "secret_name"), bindingRules.check(spec))
}

func checkMapping(spec map[string]any) error {
	return firstError(needed(spec, "component", "tls_secret"), mappingRules.check(spec))
}

// needed returns an error that names the first field that is missing.
func needed(spec map[string]any, fields ...string) error {
	for _, field := range fields {
		if spec[field] == nil {
			return ceInvalid("%s is required.", field)
		}
	}
	return nil
}

// componentOf returns the resource that a binding or domain mapping refers to.
func componentOf(spec map[string]any) (resourceType, name string) {
	ref, _ := spec["component"].(map[string]any)
	resourceType, _ = ref["resource_type"].(string)
	name, _ = ref["name"].(string)
	return resourceType, name
}

// bindingID returns the ID of a binding, which depends on its content only. The
// ID in IBM's examples has this form, and begins with the hash of "app".
func bindingID(spec map[string]any) string {
	resourceType, name := componentOf(spec)
	secret, _ := spec["secret_name"].(string)
	prefix, _ := spec["prefix"].(string)
	parts := []string{strings.TrimSuffix(resourceType, "_v2"), name, secret, prefix}
	for i, part := range parts {
		sum := sha256.Sum256([]byte(part))
		parts[i] = hex.EncodeToString(sum[:])[:7]
	}
	return strings.Join(parts, "-")
}

// checkComponent checks that the component exists and has one of the types, and
// that the secret in the field has the format.
func (c *Cloud) checkComponent(p *project, spec map[string]any, field, format string, types ...string) error {
	resourceType, name := componentOf(spec)
	if !slices.Contains(types, resourceType) {
		return c.ceRefused(ceInvalid("The component's resource_type must be one of %s.", strings.Join(types, ", ")))
	}
	if !p.hasComponent(resourceType, name) {
		return ceNotFound("Component")
	}
	secret, _ := spec[field].(string)
	if s := p.secrets[secret]; s == nil {
		return ceNotFound("Secret")
	} else if s.Format != format {
		return c.ceRefused(ceInvalid("%s must name a secret of the format %s.", field, format))
	}
	return nil
}

func (p *project) hasComponent(resourceType, name string) bool {
	switch resourceType {
	case "app_v2":
		return p.apps[name] != nil
	case "function_v2":
		return p.workloads[workloadKey{Functions, name}] != nil
	}
	return p.workloads[workloadKey{Jobs, name}] != nil
}

// bind rejects a second binding of a secret to a component, and gives an app a
// new revision.
func (c *Cloud) bind(p *project, spec map[string]any) error {
	resourceType, name := componentOf(spec)
	for k, x := range p.workloads {
		if ofType, of := componentOf(x.Spec); k.kind == Bindings && ofType == resourceType && of == name && x.Spec["secret_name"] == spec["secret_name"] {
			return serviceError(c.switches.ExistingCodeEngineStatus, "resource_already_exists", "The secret is bound to this component.")
		}
	}
	if resourceType != "app_v2" {
		return nil
	}
	if p.revisions() >= revisionsPerProject {
		return c.ceQuota("revisions in this project", revisionsPerProject)
	}
	x := p.apps[name]
	x.EntityTag = p.nextTag()
	c.addRevision(x)
	return nil
}

// unbind deletes the bindings and domain mappings of a component.
func (p *project) unbind(resourceType, name string) {
	maps.DeleteFunc(p.workloads, func(k workloadKey, x *Workload) bool {
		ofType, of := componentOf(x.Spec)
		return (k.kind == Bindings || k.kind == DomainMappings) && ofType == resourceType && of == name
	})
}
