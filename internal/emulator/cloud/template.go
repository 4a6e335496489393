package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

func (k TemplateKind) notFound(id string) *Error {
	return serviceError(404, string(k)+"_template_not_found", fmt.Sprintf("Template with ID %s not found.", id))
}

// conflict rejects a change of a template that the state of the template forbids.
// The SDK lists no such code for action controls.
func (k TemplateKind) conflict(format string, args ...any) *Error {
	code := string(k) + "_template_conflict_error"
	switch k {
	case ActionControlTemplates:
		code = "request_not_processed"
	case ProfileTemplates, SettingsTemplates:
		code = "conflict"
	}
	return serviceError(409, code, fmt.Sprintf(format, args...))
}

func (k TemplateKind) prefix() string {
	return map[TemplateKind]string{PolicyTemplates: "policy", ActionControlTemplates: "actionControl", RoleTemplates: "role",
		ProfileTemplates: "Profile", SettingsTemplates: "AccountSettings"}[k]
}

func (c *Cloud) onTemplates(a Actor, kind TemplateKind, account, action string, roles ...string) error {
	if err := c.known(a); err != nil {
		return policyError(err)
	}
	if account == "" && !kind.OfIdentity() {
		return serviceError(400, "missing_required_query_parameter", "account_id is required")
	}
	if account != AccountID && account != "" || !c.hasRole(a, kind.service(), roles...) {
		return serviceError(403, "insufficent_permissions", "You are not authorized to "+action+" templates of this account.")
	}
	return nil
}

func (t *template) current() *Template { return t.versions[len(t.versions)-1] }

func (t *template) version(n string) *Template {
	for _, v := range t.versions {
		if v.Version == n {
			return v
		}
	}
	return nil
}

// clone copies a version. The content is replaced as a whole and never changed.
func (v *Template) clone() Template { return *v }

func (c *Cloud) findTemplate(a Actor, kind TemplateKind, id, action string, roles ...string) (*template, error) {
	if err := c.onTemplates(a, kind, AccountID, action, roles...); err != nil {
		return nil, err
	}
	for _, t := range c.enterprise.templates {
		if t.kind == kind && t.id == id {
			return t, nil
		}
	}
	return nil, kind.notFound(id)
}

func (c *Cloud) findTemplateVersion(a Actor, kind TemplateKind, id, version, action string, roles ...string) (*template, *Template, error) {
	t, err := c.findTemplate(a, kind, id, action, roles...)
	if err != nil {
		return nil, nil, err
	}
	v := t.version(version)
	if v == nil {
		return nil, nil, kind.notFound(id + ", version " + version)
	}
	return t, v, nil
}

// CreateTemplate creates a template with version 1.
func (c *Cloud) CreateTemplate(a Actor, kind TemplateKind, s TemplateSpec) (Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Template{}, policyError(err)
	}
	if s.AccountID == "" {
		return Template{}, invalidPolicy("account_id is required")
	}
	if err := c.onTemplates(a, kind, s.AccountID, "create", templateAdministrator); err != nil {
		return Template{}, err
	}
	s = s.of(kind)
	if err := checkTemplateNames(s); err != nil {
		return Template{}, err
	}
	if err := c.checkTemplate(kind, s); err != nil {
		return Template{}, err
	}
	if kind == PolicyTemplates {
		count := 0
		for _, t := range c.enterprise.templates {
			if t.kind == kind {
				count++
			}
		}
		if count >= policyTemplatesPerAccount {
			return Template{}, serviceError(c.switches.IdentityLimitStatus, "request_not_processed",
				fmt.Sprintf("The limit of %d policy templates in the account is reached.", policyTemplatesPerAccount))
		}
	}
	c.enterprise.seq++
	t := &template{kind: kind, id: kind.prefix() + "Template-" + c.uuid(), seq: c.enterprise.seq}
	c.enterprise.templates = append(c.enterprise.templates, t)
	return c.addTemplateVersion(a, t, s).clone(), nil
}

func (c *Cloud) addTemplateVersion(a Actor, t *template, s TemplateSpec) *Template {
	t.last++
	now := c.now()
	v := &Template{TemplateSpec: s, ID: t.id, Version: strconv.Itoa(t.last), ETag: c.nextTag(""), State: "active",
		CreatedAt: now, CreatedBy: a.IAMID, ModifiedAt: now, ModifiedBy: a.IAMID}
	t.versions = append(t.versions, v)
	return v
}

// inherit completes the spec of a version with what all versions of the template
// share. A name given with one version renames all.
func (t *template) inherit(s *TemplateSpec) {
	old := t.current()
	s.Name, s.AccountID = cmp.Or(s.Name, old.Name), old.AccountID
	if s.Role != nil {
		role := *s.Role
		for _, v := range t.versions {
			if v.Role != nil {
				role.Name, role.ServiceName = v.Role.Name, cmp.Or(v.Role.ServiceName, role.ServiceName)
			}
		}
		s.Role = &role
	}
}

// keep fills in what a change of a version does not name. IAM identity does not
// need the content of a version again.
func (s *TemplateSpec) keep(old TemplateSpec) {
	s.Profile, s.Settings, s.Controls = cmp.Or(s.Profile, old.Profile), cmp.Or(s.Settings, old.Settings), cmp.Or(s.Controls, old.Controls)
	if s.References == nil {
		s.References = old.References
	}
}

func (t *template) rename(name string) {
	for _, v := range t.versions {
		v.Name = name
	}
}

// CreateTemplateVersion adds a version to a template.
func (c *Cloud) CreateTemplateVersion(a Actor, kind TemplateKind, id string, s TemplateSpec) (Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.findTemplate(a, kind, id, "change", templateAdministrator)
	if err != nil {
		return Template{}, err
	}
	s = s.of(kind)
	t.inherit(&s)
	if err := checkTemplateNames(s); err != nil {
		return Template{}, err
	}
	if err := c.checkTemplate(kind, s); err != nil {
		return Template{}, err
	}
	if len(t.versions) >= versionsPerTemplate {
		return Template{}, serviceError(c.switches.IdentityLimitStatus, "request_not_processed",
			fmt.Sprintf("The limit of %d versions of the template is reached.", versionsPerTemplate))
	}
	v := c.addTemplateVersion(a, t, s)
	t.rename(s.Name)
	return v.clone(), nil
}

func (c *Cloud) templateIfMatch(kind TemplateKind, ifMatch, tag string) error {
	if kind.OfIdentity() {
		return c.identityIfMatch(ifMatch, tag)
	}
	return c.policyIfMatch(ifMatch, tag)
}

// GetTemplate returns a version of a template. An empty version is the latest.
func (c *Cloud) GetTemplate(a Actor, kind TemplateKind, id, version string) (Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.findTemplate(a, kind, id, "read", templateAdministrator, templateAssigner)
	if err != nil {
		return Template{}, err
	}
	if version == "" {
		return t.current().clone(), nil
	}
	if v := t.version(version); v != nil {
		return v.clone(), nil
	}
	return Template{}, kind.notFound(id + ", version " + version)
}

// ReplaceTemplate replaces a version that is not committed, if ifMatch is its
// ETag or "*".
func (c *Cloud) ReplaceTemplate(a Actor, kind TemplateKind, id, version, ifMatch string, s TemplateSpec) (Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, v, err := c.findTemplateVersion(a, kind, id, version, "change", templateAdministrator)
	if err != nil {
		return Template{}, err
	}
	if err := c.templateIfMatch(kind, ifMatch, v.ETag); err != nil {
		return Template{}, err
	}
	if v.Committed {
		return Template{}, kind.conflict("Version %s is committed and cannot change.", version)
	}
	s = s.of(kind)
	t.inherit(&s)
	if kind.OfIdentity() {
		s.keep(v.TemplateSpec)
	}
	if err := checkTemplateNames(s); err != nil {
		return Template{}, err
	}
	if err := c.checkTemplate(kind, s); err != nil {
		return Template{}, err
	}
	v.TemplateSpec = s
	v.ETag, v.ModifiedAt, v.ModifiedBy = c.nextTag(v.ETag), c.now(), a.IAMID
	t.rename(s.Name)
	return v.clone(), nil
}

// CommitTemplate commits a version: it cannot change any more, and can be
// assigned. Committing a committed version has no effect.
func (c *Cloud) CommitTemplate(a Actor, kind TemplateKind, id, version string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, v, err := c.findTemplateVersion(a, kind, id, version, "change", templateAdministrator)
	if err != nil || v.Committed {
		return err
	}
	committed := v.TemplateSpec
	committed.Committed = true
	if err := c.checkTemplate(kind, committed); err != nil {
		return err
	}
	v.Committed = true
	v.ETag, v.ModifiedAt, v.ModifiedBy = c.nextTag(v.ETag), c.now(), a.IAMID
	return nil
}

func (c *Cloud) assigned(id, version string) bool {
	return slices.ContainsFunc(c.enterprise.assignments, func(x *assignment) bool {
		return x.Template.ID == id && (version == "" || x.Template.Version == version)
	})
}

// DeleteTemplate deletes a template with all its versions, or one version. The
// template goes with its last version. Nothing assigned can be deleted.
func (c *Cloud) DeleteTemplate(a Actor, kind TemplateKind, id, version string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.findTemplate(a, kind, id, "delete", templateAdministrator)
	if err != nil {
		return err
	}
	if version != "" && t.version(version) == nil {
		return kind.notFound(id + ", version " + version)
	}
	if c.assigned(id, version) {
		return kind.conflict("The template is assigned: remove its assignments first.")
	}
	t.versions = slices.DeleteFunc(t.versions, func(v *Template) bool { return version == "" || v.Version == version })
	if len(t.versions) == 0 {
		c.enterprise.templates = slices.DeleteFunc(c.enterprise.templates, func(x *template) bool { return x == t })
	}
	return nil
}
