package iam

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// Granted returns the active access policies of an identity that are a plain
// grant. One with a condition or another attribute grants less than it seems,
// so it does not count.
func (c *Client) Granted(ctx context.Context, iamID string) ([]reconcile.Policy, error) {
	doing := "reading the policies of " + iamID
	account, err := c.Account(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	opts := &iampolicymanagementv1.ListV2PoliciesOptions{AccountID: &account, IamID: &iamID, Type: core.StringPtr("access")}
	var out []reconcile.Policy
	for range maxPages {
		page, resp, err := c.policies.ListV2PoliciesWithContext(ctx, opts)
		if err != nil {
			return nil, sortError(doing, resp, err)
		}
		for i := range page.Policies {
			p := &page.Policies[i]
			if str(p.State) != "active" || p.Rule != nil || p.Pattern != nil {
				continue
			}
			if plain, ok := plainGrant(p.Resource, rolesOf(p.Control)); ok {
				out = append(out, plain)
			}
		}
		if page.Next == nil || str(page.Next.Start) == "" {
			return out, nil
		}
		opts.Start = page.Next.Start
	}
	return nil, fmt.Errorf("%s: %w: the list does not end", doing, reconcile.ErrUnavailable)
}

func rolesOf(control iampolicymanagementv1.ControlResponseIntf) (crns []string) {
	var grant *iampolicymanagementv1.Grant
	switch r := control.(type) {
	case *iampolicymanagementv1.ControlResponse:
		grant = r.Grant
	case *iampolicymanagementv1.ControlResponseControl:
		grant = r.Grant
	}
	if grant == nil {
		return nil
	}
	for _, role := range grant.Roles {
		crns = append(crns, str(role.RoleID))
	}
	return crns
}

func plainGrant(resource *iampolicymanagementv1.V2PolicyResource, crns []string) (reconcile.Policy, bool) {
	var p reconcile.Policy
	if resource == nil || len(resource.Tags) > 0 {
		return p, false
	}
	for _, a := range resource.Attributes {
		value, text := a.Value.(string)
		if !text || str(a.Operator) != "stringEquals" {
			return p, false
		}
		switch str(a.Key) {
		case "accountId":
		case "serviceName":
			p.Service = value
		case "serviceInstance":
			p.Instance = value
		case "resourceGroupId":
			p.ResourceGroup = value
		default:
			return p, false
		}
	}
	for _, crn := range crns {
		p.Roles = append(p.Roles, crn[strings.LastIndexByte(crn, ':')+1:])
	}
	return p, p.Service != ""
}

// Grant makes sure that a policy exists. A policy that exists already is
// replaced if it is ours and lacks a role. Success does not mean that the
// roles were granted: IAM grants at most what the grantor holds.
func (c *Client) Grant(ctx context.Context, iamID string, p reconcile.Policy) error {
	doing := "granting " + p.Label()
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	roles, err := c.resolve(ctx, account, p)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	attribute := func(key, value string) iampolicymanagementv1.V2PolicyResourceAttribute {
		return iampolicymanagementv1.V2PolicyResourceAttribute{Key: &key, Operator: core.StringPtr("stringEquals"), Value: value}
	}
	attributes := []iampolicymanagementv1.V2PolicyResourceAttribute{attribute("accountId", account), attribute("serviceName", p.Service)}
	if p.Instance != "" {
		attributes = append(attributes, attribute("serviceInstance", p.Instance))
	}
	if p.ResourceGroup != "" {
		attributes = append(attributes, attribute("resourceGroupId", p.ResourceGroup))
	}
	opts := &iampolicymanagementv1.CreateV2PolicyOptions{
		Type:        core.StringPtr("access"),
		Description: core.StringPtr(c.policyText()),
		Control:     &iampolicymanagementv1.Control{Grant: &iampolicymanagementv1.Grant{Roles: roles}},
		Subject: &iampolicymanagementv1.V2PolicySubject{Attributes: []iampolicymanagementv1.V2PolicySubjectAttribute{
			{Key: core.StringPtr("iam_id"), Operator: core.StringPtr("stringEquals"), Value: iamID},
		}},
		Resource: &iampolicymanagementv1.V2PolicyResource{Attributes: attributes},
	}
	_, resp, err := c.policies.CreateV2PolicyWithContext(ctx, opts)
	err = sortError(doing, resp, err)
	if err == nil || !errors.Is(err, reconcile.ErrConflict) {
		return err
	}
	return c.widen(ctx, doing, conflicting(resp), opts)
}

// policyText is how a later run knows a policy as ours.
func (c *Client) policyText() string { return "Managed by latchkey, owner " + c.cfg.Owner }

// conflicting is the ID of the policy that was there first. Recorded answers
// have the ID, or the whole policy.
func conflicting(resp *core.DetailedResponse) string {
	var body struct {
		Errors []struct {
			Details struct {
				ConflictsWith struct {
					Policy any `json:"policy"`
				} `json:"conflicts_with"`
			} `json:"details"`
		} `json:"errors"`
	}
	if resp == nil || remarshal(resp.Result, &body) != nil || len(body.Errors) == 0 {
		return ""
	}
	switch p := body.Errors[0].Details.ConflictsWith.Policy.(type) {
	case string:
		return p
	case map[string]any:
		id, _ := p["id"].(string)
		return id
	}
	return ""
}

// widen gives a policy of ours the roles that it lacks. Anybody else's is left
// alone: the read-back tells what it grants.
func (c *Client) widen(ctx context.Context, doing, id string, want *iampolicymanagementv1.CreateV2PolicyOptions) error {
	if id == "" {
		return nil
	}
	got, resp, err := c.policies.GetV2PolicyWithContext(ctx, &iampolicymanagementv1.GetV2PolicyOptions{ID: &id})
	if err != nil {
		err = sortError(doing, resp, err)
		if errors.Is(err, reconcile.ErrNotFound) {
			return nil // it is too young to be shown, or gone: the read-back tells
		}
		return err
	}
	if str(got.Description) != c.policyText() {
		return nil
	}
	has := map[string]bool{}
	for _, crn := range rolesOf(got.Control) {
		has[crn] = true
	}
	lacks := false
	for _, r := range want.Control.Grant.Roles {
		lacks = lacks || !has[str(r.RoleID)]
	}
	if !lacks {
		return nil
	}
	tag := resp.Headers.Get("Etag")
	_, resp, err = c.policies.ReplaceV2PolicyWithContext(ctx, &iampolicymanagementv1.ReplaceV2PolicyOptions{
		ID: &id, IfMatch: &tag, Type: want.Type, Description: want.Description,
		Control: want.Control, Subject: want.Subject, Resource: want.Resource,
	})
	err = sortError(doing, resp, err)
	if errors.Is(err, reconcile.ErrConflict) {
		return nil // somebody else is at it: the read-back tells
	}
	return err
}

// resolve finds the CRNs of a policy's roles by their display names.
func (c *Client) resolve(ctx context.Context, account string, p reconcile.Policy) ([]iampolicymanagementv1.Roles, error) {
	known, err := c.rolesFor(ctx, account, p.Service)
	if err != nil {
		return nil, err
	}
	var out []iampolicymanagementv1.Roles
	for _, role := range p.Roles {
		crn := known[role]
		if crn == "" {
			crn = roleCRN(p.Service, role)
		}
		out = append(out, iampolicymanagementv1.Roles{RoleID: &crn})
	}
	return out, nil
}

func (c *Client) rolesFor(ctx context.Context, account, service string) (map[string]string, error) {
	c.roles.mu.Lock()
	known := c.roles.known[service]
	c.roles.mu.Unlock()
	if known != nil {
		return known, nil
	}
	list, resp, err := c.policies.ListRolesWithContext(ctx, &iampolicymanagementv1.ListRolesOptions{
		AccountID: &account, ServiceName: &service, PolicyType: core.StringPtr("access"),
	})
	if err != nil {
		return nil, sortError("listing the roles of "+service, resp, err)
	}
	known = map[string]string{}
	for _, r := range append(list.SystemRoles, list.ServiceRoles...) {
		known[str(r.DisplayName)] = str(r.CRN)
	}
	for _, r := range list.CustomRoles {
		known[str(r.DisplayName)] = str(r.CRN)
	}
	c.roles.mu.Lock()
	defer c.roles.mu.Unlock()
	if c.roles.known == nil {
		c.roles.known = map[string]map[string]string{}
	}
	c.roles.known[service] = known
	return known, nil
}
