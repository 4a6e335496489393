package cloud

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// CustomRole is a role that an account defines for one service.
type CustomRole struct {
	ID          string    `json:"id"`
	ETag        string    `json:"etag"`
	Name        string    `json:"name"`
	DisplayName string    `json:"display_name"`
	Description string    `json:"description,omitempty"`
	Actions     []string  `json:"actions"`
	CRN         string    `json:"crn"`
	AccountID   string    `json:"account_id"`
	ServiceName string    `json:"service_name"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by_id"`
	ModifiedAt  time.Time `json:"last_modified_at"`
	ModifiedBy  string    `json:"last_modified_by_id"`
}

// NewCustomRole is the request to create a custom role. Only the display name,
// the description and the actions of a role can change.
type NewCustomRole struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name"`
	Description string   `json:"description"`
	Actions     []string `json:"actions"`
	AccountID   string   `json:"account_id"`
	ServiceName string   `json:"service_name"`
}

// customRolesPerAccount is documented: ibm-cloud-docs/account, known-issues.md
// (IAM limits).
const customRolesPerAccount = 40

// The bounds are those of IBM's Terraform provider (resource_ibm_iam_custom_role.go);
// an action has the form that the SDK describes, service.resource.action.
var (
	customRoleName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,29}$`)
	roleActionForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2,}$`)
)

const (
	longestRoleDisplayName = 50
	longestRoleDescription = 250
)

func roleNotFound(id string) *Error {
	return serviceError(404, "role_not_found", fmt.Sprintf("Role with ID %s not found.", id))
}

func (r *CustomRole) copy() CustomRole {
	out := *r
	out.Actions = slices.Clone(r.Actions)
	return out
}

func (n NewCustomRole) check() error {
	if !customRoleName.MatchString(n.Name) {
		return invalidPolicy("name must start with a capital letter and have up to 30 letters and digits")
	}
	if n.ServiceName == "" {
		return invalidPolicy("service_name is required")
	}
	if length := len([]rune(n.DisplayName)); length == 0 || length > longestRoleDisplayName {
		return invalidPolicy("display_name must have 1 to %d characters", longestRoleDisplayName)
	}
	if len([]rune(n.Description)) > longestRoleDescription {
		return invalidPolicy("description must have up to %d characters", longestRoleDescription)
	}
	return checkActions(n.ServiceName, n.Actions)
}

// checkActions checks that the actions are of one service. A role may also have
// actions that are not defined by the service, but not those alone.
func checkActions(service string, actions []string) error {
	for _, action := range actions {
		if !roleActionForm.MatchString(action) {
			return invalidPolicy("The action %q does not have the form service.resource.action", action)
		}
	}
	if !slices.ContainsFunc(actions, func(action string) bool { return strings.HasPrefix(action, service+".") }) {
		return invalidPolicy("actions must have at least one action of the service %q", service)
	}
	return nil
}

// customRoleAt returns the role that a CRN names for a service, or nil.
func (c *Cloud) customRoleAt(crn, service string) *CustomRole {
	for _, r := range c.enterprise.roles {
		if r.CRN == crn && r.AccountID == AccountID && r.ServiceName == service {
			return r
		}
	}
	return nil
}

// grantedBy returns the roles of the service that a custom role amounts to: those
// all of whose actions it has. The actions of the platform roles and of Reader,
// Writer and Manager differ by service and are not known.
func (r *CustomRole) grantedBy() []string {
	var names []string
	for _, own := range ownServiceRoles[r.ServiceName] {
		if !slices.ContainsFunc(own.Actions, func(action string) bool { return !slices.Contains(r.Actions, action) }) {
			names = append(names, own.Name)
		}
	}
	return names
}

// roleFor is roleOn with the account's custom roles.
func (c *Cloud) roleFor(resource []Attribute, crn string) (Role, bool) {
	if r, ok := roleOn(resource, crn); ok {
		return r, true
	}
	if r := c.customRoleAt(crn, attribute(resource, "serviceName")); r != nil {
		return Role{CRN: r.CRN, Name: r.CRN, Description: r.Description, Actions: r.Actions}, true
	}
	return Role{}, false
}

// RoleOf returns the role that a CRN names for a service, or a custom role of
// the account.
func (c *Cloud) RoleOf(crn, service string) (Role, bool) {
	if r, ok := lookupRole(crn, service); ok {
		return r, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.customRoleAt(crn, service); r != nil {
		return Role{CRN: r.CRN, Name: r.DisplayName, Description: r.Description, Actions: slices.Clone(r.Actions)}, true
	}
	return Role{}, false
}

// mayGrantCustom reports whether the identity has every action of a custom role
// on the target, or holds that role.
func (c *Cloud) mayGrantCustom(a Actor, t target, role Role) bool {
	held := c.heldRoles(a, t)
	if slices.Contains(held, role.CRN) {
		return true
	}
	var actions []string
	for _, name := range held {
		if r, ok := roleNamed(name, t.service); ok {
			actions = append(actions, r.Actions...)
		}
	}
	return !slices.ContainsFunc(role.Actions, func(action string) bool { return !slices.Contains(actions, action) })
}

// onRoles checks the access to custom roles of an account. The account's owner
// and an Administrator of access management, which has role management, change
// them.
func (c *Cloud) onRoles(a Actor, account, action string, role string) error {
	if err := c.known(a); err != nil {
		return policyError(err)
	}
	allowed := account == AccountID && c.may(a, target{service: serviceAccess}, role)
	if account == ChildAccountID {
		allowed = action == "read" && c.seesChild(a)
	}
	if !allowed {
		return serviceError(403, "insufficent_permissions", "You are not authorized to "+action+" roles.")
	}
	return nil
}

// CreateRole creates a custom role.
func (c *Cloud) CreateRole(a Actor, n NewCustomRole) (CustomRole, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return CustomRole{}, policyError(err)
	}
	if n.AccountID == "" {
		return CustomRole{}, invalidPolicy("account_id is required")
	}
	if err := c.onRoles(a, n.AccountID, "create", "Administrator"); err != nil {
		return CustomRole{}, err
	}
	if err := n.check(); err != nil {
		return CustomRole{}, err
	}
	count := 0
	for _, r := range c.enterprise.roles {
		if r.AccountID != n.AccountID {
			continue
		}
		if r.Name == n.Name && r.ServiceName == n.ServiceName {
			return CustomRole{}, serviceError(409, "role_conflict_error",
				fmt.Sprintf("The role %s of the service %s already exists.", n.Name, n.ServiceName))
		}
		count++
	}
	if count >= customRolesPerAccount {
		return CustomRole{}, serviceError(c.switches.IdentityLimitStatus, "request_not_processed",
			fmt.Sprintf("The limit of %d custom roles in the account is reached.", customRolesPerAccount))
	}
	return c.putRole(a, n).copy(), nil
}

func (c *Cloud) putRole(a Actor, n NewCustomRole) *CustomRole {
	now := c.now()
	r := &CustomRole{ID: hex.EncodeToString(c.random(16)), ETag: c.nextTag(""), Name: n.Name, DisplayName: n.DisplayName,
		Description: n.Description, Actions: slices.Clone(n.Actions), AccountID: n.AccountID, ServiceName: n.ServiceName,
		CRN:       "crn:v1:bluemix:public:" + n.ServiceName + "::a/" + n.AccountID + "::customRole:" + n.Name,
		CreatedAt: now, CreatedBy: a.IAMID, ModifiedAt: now, ModifiedBy: a.IAMID}
	c.enterprise.roles = append(c.enterprise.roles, r)
	return r
}

func (c *Cloud) findRole(a Actor, id, action, role string) (*CustomRole, error) {
	if err := c.known(a); err != nil {
		return nil, policyError(err)
	}
	i := slices.IndexFunc(c.enterprise.roles, func(r *CustomRole) bool { return r.ID == id })
	if i < 0 {
		return nil, roleNotFound(id)
	}
	r := c.enterprise.roles[i]
	return r, c.onRoles(a, r.AccountID, action, role)
}

// GetRole returns one custom role.
func (c *Cloud) GetRole(a Actor, id string) (CustomRole, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.findRole(a, id, "read", "Viewer")
	if err != nil {
		return CustomRole{}, err
	}
	return r.copy(), nil
}

// ReplaceRole replaces the display name, description and actions of a custom
// role if ifMatch is its ETag or "*".
func (c *Cloud) ReplaceRole(a Actor, id, ifMatch string, n NewCustomRole) (CustomRole, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.findRole(a, id, "update", "Administrator")
	if err != nil {
		return CustomRole{}, err
	}
	if err := c.policyIfMatch(ifMatch, r.ETag); err != nil {
		return CustomRole{}, err
	}
	n.Name, n.ServiceName = r.Name, r.ServiceName
	if err := n.check(); err != nil {
		return CustomRole{}, err
	}
	r.DisplayName, r.Description, r.Actions = n.DisplayName, n.Description, slices.Clone(n.Actions)
	r.ETag, r.ModifiedAt, r.ModifiedBy = c.nextTag(r.ETag), c.now(), a.IAMID
	return r.copy(), nil
}

// DeleteRole deletes a custom role that no policy grants.
func (c *Cloud) DeleteRole(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.findRole(a, id, "delete", "Administrator")
	if err != nil {
		return err
	}
	for _, p := range c.policies {
		if slices.Contains(p.Roles, r.CRN) {
			return serviceError(409, "role_conflict_error", fmt.Sprintf("The policy %s grants the role.", p.ID))
		}
	}
	c.dropRole(id)
	return nil
}

func (c *Cloud) dropRole(id string) {
	c.enterprise.roles = slices.DeleteFunc(c.enterprise.roles, func(r *CustomRole) bool { return r.ID == id })
}

// customRoles returns the custom roles of an account for the services, or for all
// if services has an empty name.
func (c *Cloud) customRoles(a Actor, account string, services []string) []CustomRole {
	out := []CustomRole{}
	if account == "" || c.onRoles(a, account, "read", "Viewer") != nil {
		return out // a caller sees the roles that it may read
	}
	for _, r := range c.enterprise.roles {
		if r.AccountID == account && (slices.Contains(services, "") || slices.Contains(services, r.ServiceName)) {
			out = append(out, r.copy())
		}
	}
	return out
}
