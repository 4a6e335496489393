package cloud

import (
	"slices"
	"strings"
)

// Role is a role that a policy can grant.
type Role struct {
	CRN         string   `json:"crn"`
	Name        string   `json:"display_name"`
	Description string   `json:"description"`
	Actions     []string `json:"actions"`
}

var systemRoles = []Role{
	{"crn:v1:bluemix:public:iam::::role:Viewer", "Viewer", "View the service and its resources.", []string{"iam.policy.read"}},
	{"crn:v1:bluemix:public:iam::::role:Operator", "Operator", "Operate the service.", []string{"iam.policy.read"}},
	{"crn:v1:bluemix:public:iam::::role:Editor", "Editor", "Create, change and delete instances.", []string{"iam.policy.read"}},
	{"crn:v1:bluemix:public:iam::::role:Administrator", "Administrator", "Do everything, and give access to others.",
		[]string{"iam.policy.create", "iam.policy.read", "iam.policy.update", "iam.policy.delete"}},
}

var commonServiceRoles = []Role{
	{"crn:v1:bluemix:public:iam::::serviceRole:Reader", "Reader", "Read what is in the service.", []string{"iam.policy.read"}},
	{"crn:v1:bluemix:public:iam::::serviceRole:Writer", "Writer", "Read and change what is in the service.", []string{"iam.policy.read"}},
	{"crn:v1:bluemix:public:iam::::serviceRole:Manager", "Manager", "Do everything in the service.", []string{"iam.policy.read"}},
}

// ownServiceRoles has the roles of a service in addition to the common ones.
var ownServiceRoles = map[string][]Role{
	serviceLogs: {
		{"crn:v1:bluemix:public:logs::::serviceRole:Sender", "Sender", "Send logs, but not query them.", []string{"logs.data-ingress.send"}},
	},
	serviceIdentity: {
		{"crn:v1:bluemix:public:iam-identity::::serviceRole:ServiceIdCreator", "ServiceIdCreator", "Create service IDs.", []string{"iam-identity.serviceid.create"}},
		{"crn:v1:bluemix:public:iam-identity::::serviceRole:UserApiKeyCreator", "UserApiKeyCreator", "Create API keys of users.", []string{"iam-identity.apikey.create"}},
		{templateAdministratorOf(serviceIdentity), templateAdministrator, "Manage templates of the enterprise.", []string{"iam-identity.profile-template.create"}},
		{templateAssignerOf(serviceIdentity), templateAssigner, "Assign templates to child accounts.", []string{"iam-identity.profile-assignment.create"}},
	},
	serviceAccess: {
		{templateAdministratorOf(serviceAccess), templateAdministrator, "Manage templates of the enterprise.", []string{"iam-access-management.policy-template.create"}},
		{templateAssignerOf(serviceAccess), templateAssigner, "Assign templates to child accounts.", []string{"iam-access-management.policy-assignment.create"}},
	},
	serviceSecrets: {
		{"crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretTaskUpdater", "SecretTaskUpdater", "Report the end of tasks.",
			[]string{"secrets-manager.secret-task.update"}},
		{"crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader", "SecretsReader", "Read secrets.", []string{"secrets-manager.secret.read"}},
	},
	serviceObjects: {
		{"crn:v1:bluemix:public:cloud-object-storage::::serviceRole:ObjectReader", "Object Reader", "Read objects.", []string{"cloud-object-storage.object.get"}},
		{"crn:v1:bluemix:public:cloud-object-storage::::serviceRole:ObjectWriter", "Object Writer", "Write objects.", []string{"cloud-object-storage.object.put"}},
		{"crn:v1:bluemix:public:cloud-object-storage::::serviceRole:ContentReader", "Content Reader", "Read and list objects.",
			[]string{"cloud-object-storage.object.get", "cloud-object-storage.bucket.get"}},
	},
	serviceNotifications: {
		{"crn:v1:bluemix:public:event-notifications::::serviceRole:Event-Source-Manager", "Event Source Manager", "Manage sources and send events.",
			[]string{"event-notifications.notifications.post"}},
		{"crn:v1:bluemix:public:event-notifications::::serviceRole:Event-Notification-Publisher", "Event Notification Publisher", "Send events.",
			[]string{"event-notifications.notifications.post"}},
	},
}

// lookupRole returns the role that a CRN names for a service. IBM's documents
// spell a service's own roles with its name or with "iam": both work.
func lookupRole(crn, service string) (Role, bool) {
	for _, r := range systemRoles {
		if r.CRN == crn {
			return r, true
		}
	}
	for _, r := range commonServiceRoles {
		if r.CRN == crn {
			return r, true
		}
	}
	for _, r := range ownServiceRoles[service] {
		if r.CRN == crn || strings.Replace(r.CRN, ":"+service+":", ":iam:", 1) == crn {
			return r, true
		}
	}
	return Role{}, false
}

// roleOn returns the role that a CRN names for what a policy's resource covers.
// A policy on the service group IAM may have the roles of all its services.
func roleOn(resource []Attribute, crn string) (Role, bool) {
	service := attribute(resource, "serviceName")
	if service == "" && attribute(resource, "service_group_id") == "IAM" {
		for _, s := range iamServices {
			if r, ok := lookupRole(crn, s); ok {
				return r, true
			}
		}
	}
	return lookupRole(crn, service)
}

// roleNamed returns the role with a display name or CRN, for a service or, if
// service is empty, for the service group IAM and all others.
func roleNamed(name, service string) (Role, bool) {
	services := []string{service}
	if service == "" {
		services = iamServices
	}
	for _, s := range services {
		for _, r := range slices.Concat(systemRoles, commonServiceRoles, ownServiceRoles[s]) {
			if strings.EqualFold(r.Name, name) {
				return r, true
			}
		}
		if r, ok := lookupRole(name, s); ok {
			return r, true
		}
	}
	return Role{}, false
}

// RoleNamed returns the CRN of the role with a display name or CRN, for a
// service or, if service is empty, for the service group IAM and all others.
func RoleNamed(name, service string) (crn string, ok bool) {
	r, ok := roleNamed(name, service)
	return r.CRN, ok
}

// RoleOf returns the role that a CRN names for a service.
func RoleOf(crn, service string) (Role, bool) { return lookupRole(crn, service) }

// Roles are the roles that a policy can grant.
type Roles struct {
	System  []Role
	Service []Role
	Custom  []CustomRole
}

// Roles returns the roles of one service or group of services, or the common
// ones if both are empty.
func (c *Cloud) Roles(a Actor, account, service, group string) (Roles, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Roles{}, policyError(err)
	}
	if account != "" && account != AccountID && (account != ChildAccountID || !c.seesChild(a)) {
		return Roles{}, serviceError(403, "insufficent_permissions", "You are not authorized to list the roles of this account.")
	}
	if err := exclusive(service, group); err != nil {
		return Roles{}, err
	}
	services := []string{service}
	if group == "IAM" {
		services = iamServices
	}
	out := Roles{System: systemRoles, Service: commonServiceRoles[:3:3], Custom: c.customRoles(a, account, services)}
	for _, s := range services {
		out.Service = append(out.Service, ownServiceRoles[s]...)
	}
	return out, nil
}
