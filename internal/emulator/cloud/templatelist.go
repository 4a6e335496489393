package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ListTemplates returns one page of templates, each with its latest version.
func (c *Cloud) ListTemplates(a Actor, kind TemplateKind, q TemplateQuery) (Page[Template], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, q, limit, err := c.templatePage(kind, q, "list", a)
	if err != nil {
		return Page[Template]{}, err
	}
	for _, f := range []struct {
		name, value string
		values      []string
	}{
		{"state", q.State, []string{"active", "deleted"}},
		{"policy_type", q.PolicyType, []string{"access", "authorization"}},
		{"policy_service_type", q.ServiceType, []string{"service", "platform_service"}},
	} {
		if f.value != "" && !slices.Contains(f.values, f.value) {
			return Page[Template]{}, serviceError(400, "invalid_body", fmt.Sprintf("%s must be one of %s", f.name, strings.Join(f.values, ", ")))
		}
	}
	if b := []bool{q.Service != "", q.ServiceType != "", q.ServiceSet != ""}; b[0] && b[1] || b[0] && b[2] || b[1] && b[2] {
		return Page[Template]{}, serviceError(400, "invalid_body",
			"policy_service_name, policy_service_type and policy_service_group_id are mutually exclusive.")
	}
	seq := func(t *template) int64 { return t.seq }
	less, err := order(q.Sort, q.Order, seq, map[string]func(x, y *template) int{
		"name":             func(x, y *template) int { return cmp.Compare(x.current().Name, y.current().Name) },
		"created_at":       func(x, y *template) int { return x.current().CreatedAt.Compare(y.current().CreatedAt) },
		"last_modified_at": func(x, y *template) int { return x.current().ModifiedAt.Compare(y.current().ModifiedAt) },
	})
	if err != nil {
		return Page[Template]{}, err
	}
	items, next := cut(at, limit, bySeq(c.enterprise.templates, seq), func(t *template) bool {
		return t.kind == kind && t.current().matches(q)
	}, less)
	page := Page[Template]{Limit: limit, Next: next, Items: make([]Template, len(items))}
	for i, t := range items {
		page.Items[i] = t.current().clone()
	}
	return page, nil
}

func (v *Template) matches(q TemplateQuery) bool {
	var kind string
	var resource []Attribute
	if p := v.Policy; p != nil {
		kind = p.Type
		if p.Resource != nil {
			resource = p.Resource.Attributes
		}
	}
	for _, pair := range [][2]string{
		{v.AccountID, q.AccountID}, {v.Name, q.Name}, {v.State, cmp.Or(q.State, "active")}, {kind, q.PolicyType},
		{attribute(resource, "serviceName"), q.Service}, {attribute(resource, "serviceType"), q.ServiceType},
		{attribute(resource, "service_group_id"), q.ServiceSet},
	} {
		if pair[1] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return true
}

func (c *Cloud) templatePage(kind TemplateKind, q TemplateQuery, action string, a Actor) (position[TemplateQuery], TemplateQuery, int, error) {
	at := position[TemplateQuery]{Query: q}
	if q.Start != "" {
		var ok bool
		if at, ok = parsePosition[TemplateQuery](q.Start); !ok {
			return at, q, 0, serviceError(400, "invalid_body", "start is not valid")
		}
		q = at.Query
	}
	limit := cmp.Or(q.Limit, c.switches.PolicyPageSize)
	if limit < 1 || limit > 100 {
		return at, q, 0, serviceError(400, "invalid_body", "limit must be from 1 to 100")
	}
	return at, q, limit, c.onTemplates(a, kind, q.AccountID, action, templateAdministrator, templateAssigner)
}

// ListTemplateVersions returns one page of the versions of a template, oldest
// first.
func (c *Cloud) ListTemplateVersions(a Actor, kind TemplateKind, id string, q TemplateQuery) (Page[Template], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.AccountID = AccountID
	at, _, limit, err := c.templatePage(kind, q, "read", a)
	if err != nil {
		return Page[Template]{}, err
	}
	t, err := c.findTemplate(a, kind, id, "read", templateAdministrator, templateAssigner)
	if err != nil {
		return Page[Template]{}, err
	}
	items, next := cut(at, limit, bySeq(t.versions, func(v *Template) int64 {
		n, _ := strconv.ParseInt(v.Version, 10, 64)
		return n
	}), func(v *Template) bool { return q.State == "" || q.State == v.State }, nil)
	page := Page[Template]{Limit: limit, Next: next, Items: make([]Template, len(items))}
	for i, v := range items {
		page.Items[i] = v.clone()
	}
	return page, nil
}
