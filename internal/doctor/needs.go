package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// everywhere is IAM Identity for the whole account.
var everywhere = resource{service: identityService}

// creatorRole lets us create service IDs. Their creator administers them and their keys,
// so that beside it we need a Viewer only.
const creatorRole = "Service ID creator"

// creatorRoles are the roles of which each lets a program create service IDs, in the
// spelling of CRNs.
var creatorRoles = []string{"Operator", "Editor", "Administrator", "ServiceIdCreator"}

// serviceIDRoles are the roles that find and create service IDs.
const serviceIDRoles = "Viewer," + creatorRole

// creation checks the right to create service IDs. A user needs no role, a program
// one that creates, and everyone Service ID creator if the account restricts it. See
// ibm-cloud-docs/iam, iam-serviceid.md; that a program needs a role is inferred.
func (d *examination) creation(ctx context.Context) {
	restricted, err := d.IAM.Restricted(ctx)
	n := need{role: creatorRole, enough: creatorRoles, on: everywhere, why: "to create service IDs"}
	switch {
	case err != nil:
		n.why += " (whether the account restricts it can't be seen)"
	case restricted:
		n.enough = []string{"ServiceIdCreator"}
		n.why = "since the account restricts the creation of service IDs"
	}
	if !restricted && !strings.HasPrefix(d.self, "iam-") {
		d.pass("permission: as a user we need no role, %s", n.why)
		return
	}
	d.check(n)
}

// roles checks what the policies, access groups and stores of the credentials
// need.
func (d *examination) roles(ctx context.Context, credentials []port.Credential) {
	var projects []resource
	for _, c := range credentials {
		for _, p := range c.Policies {
			d.granting(ctx, p)
		}
		if c.Profile != nil {
			d.checkOnce(need{role: "Editor", on: everywhere, why: "to create trusted profiles and link them"})
			d.checkOnce(need{role: "Operator", on: everywhere, why: "to delete trusted profiles"})
		}
		if len(c.Groups) > 0 {
			d.checkOnce(need{role: "Viewer", on: resource{service: groupsService}, why: "to see the members of access groups"})
		}
		for _, group := range c.Groups {
			on := resource{service: groupsService, id: group}
			if !strings.HasPrefix(group, "AccessGroupId-") {
				on.id = unseen
			}
			d.checkOnce(need{role: "Editor", on: on, why: "to add service IDs to access groups"})
		}
		for _, st := range c.Stores {
			if on, ok := d.project(st); ok && !slices.Contains(projects, on) {
				projects = append(projects, on)
			}
			d.secrets(st)
		}
	}
	if len(projects) == 0 && !d.PerProject {
		return
	}
	// Reader and the roles above it see a project as Viewer does. See
	// ibm-cloud-docs/codeengine, iam.md.
	d.check(need{
		role: "Viewer", enough: slices.Concat(ranks[0], ranks[1]), on: resource{service: "codeengine"}, anywhere: true,
		why: "to see projects",
	})
	d.checkParts(need{role: "Writer", on: resource{service: "codeengine"}, why: "to write secrets and restart apps"}, projects, d.PerProject)
}

// granting checks IAM's rule that an identity grants only roles that it holds,
// and only as an Administrator of the resource.
func (d *examination) granting(ctx context.Context, p access.Policy) {
	on := resource{service: p.Service, instance: p.Instance, resourceGroup: p.ResourceGroup}
	if p.Instance != "" {
		on.region = unseen
		on.resourceGroup = cmp.Or(p.ResourceGroup, unseen)
		for _, known := range d.known {
			if p.Service == "codeengine" && known.ID == p.Instance {
				on = projectOf(known)
			}
		}
	}
	known := true
	for _, role := range p.Roles {
		if !d.exists(ctx, p.Service, role) {
			known = false
			continue
		}
		d.checkOnce(need{role: role, on: on, why: "since only a role that is held can be granted"})
	}
	if !known {
		return // the service may be wrong, and then no role on it is needed
	}
	d.checkOnce(need{role: "Administrator", on: on, why: "to grant roles on it"})
}

// exists reports whether a service has a role, as far as we may see its roles. It
// reports one that does not exist.
func (d *examination) exists(ctx context.Context, service, role string) bool {
	names, err := UnknownRole(ctx, d.IAM, service, role)
	if err != nil || names == nil {
		return true
	}
	if key := "role " + role + " on " + service; !d.checked[key] {
		d.checked[key] = true
		d.fail(fix("correct the service or the role in the config: the roles are "+strings.Join(names, ", ")), "config: %s has no role %q", service, role)
	}
	return false
}

// UnknownRole returns the names of a service's roles if the named one is none of them. It
// returns nil if it is one, and if IAM shows no roles of the service to us.
func UnknownRole(ctx context.Context, iam RoleLister, service, role string) ([]string, error) {
	names, err := iam.Roles(ctx, service)
	if err != nil || len(names) == 0 || (access.Policy{Roles: names}).Has(role) {
		return nil, err
	}
	return names, nil
}

// checkOnce checks a need unless it was checked before.
func (d *examination) checkOnce(n need) {
	key := fmt.Sprint(n.role, n.on)
	if d.checked[key] {
		return
	}
	d.checked[key] = true
	d.check(n)
}

func projectOf(p codeengine.Project) resource {
	return resource{
		service: "codeengine", instance: p.ID, name: p.Name, region: cmp.Or(p.Region, unseen), resourceGroup: cmp.Or(p.ResourceGroup, unseen),
	}
}

// project returns the project of a store in Code Engine. A config may name it
// instead of giving its ID.
func (d *examination) project(st port.Store) (on resource, ok bool) {
	rest, ok := strings.CutPrefix(st.Name(), "codeEngine/")
	if !ok {
		return on, false
	}
	region, rest, _ := strings.Cut(rest, "/")
	project := rest[:max(0, strings.LastIndexByte(rest, '/'))]
	for _, p := range d.known {
		if p.Region == region && (p.ID == project || p.Name == project) {
			return projectOf(p), true
		}
	}
	return resource{service: "codeengine", instance: project, region: region, resourceGroup: unseen}, true
}

// secretStore is a store in an instance of Secrets Manager.
type secretStore interface {
	Locks() bool
	Instance() string
	Region() string
	// Group is the ID of the secret group, or empty if only its name is known.
	Group() string
}

// secrets checks what a store in Secrets Manager needs.
func (d *examination) secrets(st port.Store) {
	sm, ok := st.(secretStore)
	if !ok {
		return
	}
	on := resource{
		service: "secrets-manager", instance: sm.Instance(), region: sm.Region(), resourceGroup: unseen,
		kind: "secret-group", id: cmp.Or(sm.Group(), unseen),
	}
	if sm.Locks() {
		d.checkOnce(need{role: "Manager", on: on, why: "to remove the locks of its stores"})
		return
	}
	d.checkOnce(need{role: "Writer", on: on, why: "to write secrets"})
}

// others checks the roles on service IDs that others created, and returns these. The
// creator of a service ID administers it. See ibm-cloud-docs/iam,
// iam-account_management.md, #identity-service-account-management.
func (d *examination) others(ctx context.Context, ids []found) (foreign []resource) {
	needs := []need{
		{role: "Operator", on: everywhere, why: "to delete keys of service IDs that others created"},
		{role: "Editor", on: everywhere, why: "to create and update keys of service IDs that others created"},
	}
	mayGrant := need{role: "Administrator", on: everywhere, why: "to grant roles to service IDs that others created"}
	var parts, granting []resource
	ours := 0
	creators, errs := make([]string, len(ids)), make([]error, len(ids))
	d.each(ctx, len(ids), func(_ *examination, i int) { creators[i], errs[i] = d.IAM.Creator(ctx, "iam-"+ids[i].id) })
	administrator := d.decide(mayGrant).verdict == held // all that follows is granted
	for i, f := range ids {
		creator, err := creators[i], errs[i]
		on := resource{service: identityService, kind: "serviceid", id: f.id}
		if err != nil || creator != d.self {
			foreign = append(foreign, on)
		}
		switch {
		case administrator:
		case err != nil || creator == "":
			d.unclear(needs, on, err)
		case creator == d.self:
			ours++
		default:
			parts = append(parts, on)
			if f.grants {
				granting = append(granting, on)
			}
		}
	}
	if ours > 0 {
		d.pass("permission: we created %d of the service IDs, and their creator administers them", ours)
	}
	if len(parts) > 0 {
		d.checkParts(needs[0], parts, false)
		d.checkParts(needs[1], parts, false)
	}
	// An Administrator of access management may grant roles to every identity.
	if d.decide(need{role: "Administrator", on: resource{service: accessService}}).verdict == held {
		return foreign
	}
	for _, on := range granting {
		mayGrant.on = on
		f := d.decide(mayGrant)
		if f.verdict == missing {
			f = finding{unknown, "IBM does not say whether it takes more than Administrator of the service that the role is on"}
		}
		d.print(mayGrant, f)
	}
	return foreign
}

// unclear reports a service ID whose creator is unknown, unless the roles that it
// takes are held.
func (d *examination) unclear(needs []need, on resource, err error) {
	why := "its creator is not in its history"
	if err != nil {
		why = err.Error()
	}
	for _, n := range needs[:2] {
		n.on = on
		if f := d.decide(n); f.verdict != held {
			d.print(n, finding{unknown, why})
		}
	}
}

// find looks for service IDs as a sweep does, and compares the clocks. It reports
// whether we have a role on IAM Identity.
func (d *examination) find(ctx context.Context) bool {
	_, date, err := d.IAM.Find(ctx, "latchkey-doctor-looks-for-nothing")
	switch {
	case errors.Is(err, port.ErrDenied):
		d.fail(d.grant(serviceIDRoles, everywhere), "permission: no role on %s, to find service IDs: %v", identityService, err)
		return false
	case err != nil:
		d.fail("", "IAM: service IDs can't be listed: %v", err)
		return true
	}
	skew := d.Now().Sub(date).Round(time.Second)
	if limit := protocol.Standard().MaxSkew; skew.Abs() > limit {
		d.fail("set this machine's clock", "clock: it differs from IAM's by %s; more than %s blocks every credential", skew, limit)
		return true
	}
	d.pass("IAM: service IDs can be listed; the clock differs from IAM's by %s", skew.Abs())
	return true
}
