package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/iam"
)

// Need is a role that the config needs, and no more.
type Need struct {
	Service, Role string
	// Attribute and Value limit the role as an attribute of a policy; both are empty
	// where the whole service is needed, or where the config does not say.
	Attribute, Value string
}

// need returns the need as the checks compare it.
func (n Need) need() need {
	on := resource{service: n.Service}
	switch n.Attribute {
	case "serviceInstance":
		on.instance = n.Value
	case "resourceGroupId":
		on.resourceGroup = n.Value
	case "resource":
		on.id = n.Value
		if n.Service == identityService {
			on.kind = "serviceid"
		}
	}
	out := need{role: n.Role, enough: atLeast(n.Role, n.Service), on: on}
	if n.Service == identityService && spelled(n.Role) == spelled(creatorRole) {
		out.enough = creatorRoles
	}
	return out
}

// wide prints the roles that we hold beyond what the config needs. It is no failure.
// foreign are the service IDs that others created, whose keys take an Administrator.
func (d *examination) wide(foreign []resource) {
	if len(d.Needs) == 0 {
		return
	}
	var needs []need
	for _, n := range d.Needs {
		needs = append(needs, n.need())
	}
	for _, on := range foreign {
		needs = append(needs, need{role: "Administrator", enough: []string{"Administrator"}, on: on})
		for _, role := range []string{"Operator", "Editor"} {
			needs = append(needs, need{role: role, enough: []string{role}, on: on})
		}
	}
	for _, p := range d.policies {
		if p.Conditional || p.Custom {
			continue // what it grants is not known
		}
		for _, role := range p.Roles {
			if why := wider(p, role, needs); why != "" {
				d.tally.Wide++
				by := ""
				if p.group != "" {
					by = " by access group " + p.group
				}
				fmt.Fprintf(d.out, "wide  permission: %s on %s%s: %s (policy %s)\n", role, p.what(), by, why, p.Policy)
			}
		}
	}
}

// wider returns why a role of a policy is wider than the needs, or "".
func wider(p granted, role string, needs []need) string {
	var enough, parts []string
	exact := false
	for _, n := range needs {
		switch {
		case !p.concerns(n.on) || !slices.ContainsFunc(n.enough, func(e string) bool { return strings.EqualFold(e, spelled(role)) }):
		case !strings.EqualFold(spelled(n.role), spelled(role)):
			enough = append(enough, n.role)
		case n.on.part() == "" || p.limited():
			return ""
		default:
			exact, parts = true, append(parts, strings.TrimSpace(n.on.part()))
		}
	}
	switch {
	case exact:
		return "it is needed on a part only: " + listed(parts)
	case len(enough) > 0:
		return "less is enough: " + listed(enough)
	case role == "Viewer" || role == "Reader":
		return "" // it lets latchkey see more of its own permissions
	}
	return "the config does not need it"
}

// listed joins texts, each once and the first few only.
func listed(texts []string) string {
	const most = 3
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
	}
	return strings.Join(texts, ", ")
}

// concerns reports whether a policy covers the resource, or a part of it.
func (p granted) concerns(on resource) bool {
	return !slices.ContainsFunc(p.Attributes, func(a iam.Attribute) bool {
		value := on.value(a.Key)
		return (value != "" || ofService(a.Key)) && selects(a, value) == missing
	})
}

// limited reports whether a policy covers a part of its services only.
func (p granted) limited() bool {
	return slices.ContainsFunc(p.Attributes, func(a iam.Attribute) bool { return !ofService(a.Key) })
}

// what names the services of a policy.
func (p granted) what() string {
	for _, a := range p.Attributes {
		if ofService(a.Key) {
			if a.Key == "serviceName" {
				return strings.Join(a.Values, ", ")
			}
			return a.Key + " " + strings.Join(a.Values, ", ")
		}
	}
	return "all services"
}
