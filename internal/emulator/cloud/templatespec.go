package cloud

import "time"

// TemplateKind is a kind of IAM template.
type TemplateKind string

// The kinds of templates of policy management and of IAM identity.
const (
	PolicyTemplates        TemplateKind = "policy"
	ActionControlTemplates TemplateKind = "action_control"
	RoleTemplates          TemplateKind = "role"
	ProfileTemplates       TemplateKind = "profile"
	SettingsTemplates      TemplateKind = "account_settings"
)

// OfIdentity reports whether IAM identity has the templates of the kind.
func (k TemplateKind) OfIdentity() bool { return k == ProfileTemplates || k == SettingsTemplates }

func (k TemplateKind) service() string {
	if k.OfIdentity() {
		return serviceIdentity
	}
	return serviceAccess
}

// AttributeSet has the attributes and tags of a template's resource or subject.
type AttributeSet struct {
	Attributes []Attribute `json:"attributes"`
	Tags       []Tag       `json:"tags,omitempty"`
}

// RoleRef names a role by its CRN.
type RoleRef struct {
	RoleID string `json:"role_id"`
}

// TemplateRef names a version of a template.
type TemplateRef struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// TemplateGrant has the roles that a template's policy gives.
type TemplateGrant struct {
	Roles      []RoleRef     `json:"roles,omitempty"`
	References []TemplateRef `json:"role_template_references,omitempty"`
}

// TemplateControl wraps the grant of a template.
type TemplateControl struct {
	Grant *TemplateGrant `json:"grant"`
}

// TemplatePolicy is the policy of a template. It names no account: an assignment
// adds that of its target.
type TemplatePolicy struct {
	Type        string           `json:"type"`
	Description string           `json:"description,omitempty"`
	Resource    *AttributeSet    `json:"resource,omitempty"`
	Subject     *AttributeSet    `json:"subject,omitempty"`
	Pattern     string           `json:"pattern,omitempty"`
	Rule        any              `json:"rule,omitempty"`
	Control     *TemplateControl `json:"control,omitempty"`
}

// TemplateActions is the action control of a template.
type TemplateActions struct {
	ServiceName string   `json:"service_name"`
	Description string   `json:"description,omitempty"`
	Actions     []string `json:"actions"`
}

// TemplateRole is the role of a template. The first version sets its name and
// service.
type TemplateRole struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name"`
	ServiceName string   `json:"service_name,omitempty"`
	Description string   `json:"description,omitempty"`
	Actions     []string `json:"actions"`
}

// TemplateSpec is the part of a template's version that a caller sets. One of
// Policy, ActionControl, Role, Profile and Settings is set, according to the kind.
// References and Controls go with Profile.
type TemplateSpec struct {
	Name          string           `json:"name"`
	Description   string           `json:"description,omitempty"`
	AccountID     string           `json:"account_id"`
	Committed     bool             `json:"committed"`
	Policy        *TemplatePolicy  `json:"policy,omitempty"`
	ActionControl *TemplateActions `json:"action_control,omitempty"`
	Role          *TemplateRole    `json:"role,omitempty"`

	Profile    *TemplateProfile  `json:"profile,omitempty"`
	References []TemplateRef     `json:"policy_template_references,omitempty"`
	Controls   *TemplateControls `json:"action_controls,omitempty"`
	Settings   *TemplateSettings `json:"account_settings,omitempty"`
}

// of returns the spec without what belongs to other kinds. A request to IAM
// identity cannot commit.
func (s TemplateSpec) of(k TemplateKind) TemplateSpec {
	if k.OfIdentity() {
		s.Committed, s.Policy, s.ActionControl, s.Role = false, nil, nil, nil
	} else {
		s.Profile, s.References, s.Controls, s.Settings = nil, nil, nil, nil
	}
	return s
}

// Template is a version of a template.
type Template struct {
	TemplateSpec
	ID         string    `json:"id"`
	Version    string    `json:"version"`
	ETag       string    `json:"etag"`
	State      string    `json:"state"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by_id"`
	ModifiedAt time.Time `json:"last_modified_at"`
	ModifiedBy string    `json:"last_modified_by_id"`
}

type template struct {
	kind     TemplateKind
	id       string
	seq      int64
	last     int // number of the newest version; a deleted number is not used again
	versions []*Template
}

// Limits of ibm-cloud-docs/account, known-issues.md (IAM limits).
const (
	policyTemplatesPerAccount = 500
	versionsPerTemplate       = 100
)

// TemplateQuery selects templates or versions of one.
type TemplateQuery struct {
	AccountID, Name, State                       string
	PolicyType, Service, ServiceType, ServiceSet string
	Sort, Order                                  string // of IAM identity
	Limit                                        int
	Start                                        string `json:"-"`
}
