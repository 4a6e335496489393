package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Granted returns the active access policies of an identity, complete with
// attributes, tags and rules.
func (c *Client) Granted(ctx context.Context, iamID string) ([]access.Policy, error) {
	own, err := c.ownIDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the policies of %s: %w", iamID, err)
	}
	var out []access.Policy
	err = c.eachPolicy(ctx, "reading the policies of "+iamID, &iampolicymanagementv1.ListV2PoliciesOptions{IamID: &iamID}, atMost(mostOfPolicies),
		func(account string, p *iampolicymanagementv1.V2PolicyTemplateMetaData) {
			if one, ok := c.policyOf(p, account, iamID, own); ok {
				out = append(out, one)
			}
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eachPolicy visits the access policies that opts select, page by page.
func (c *Client) eachPolicy(ctx context.Context, doing string, opts *iampolicymanagementv1.ListV2PoliciesOptions, pages *budget,
	visit func(account string, p *iampolicymanagementv1.V2PolicyTemplateMetaData),
) error {
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	opts.AccountID, opts.Type = &account, core.StringPtr("access")
	return eachPage(doing, pages, func(start *string) (string, error) {
		opts.Start = start
		page, resp, err := c.policies.ListV2PoliciesWithContext(ctx, opts)
		if err != nil {
			return "", accessFault(ctx, doing, resp, err)
		}
		if page == nil {
			return "", upstream.Incomplete(doing, "list")
		}
		for i := range page.Policies {
			visit(account, &page.Policies[i])
		}
		if page.Next == nil {
			return "", nil
		}
		if str(page.Next.Start) == "" {
			return "", upstream.Incomplete(doing, "start of the next page")
		}
		return *page.Next.Start, nil
	})
}

// subjectIs reports whether the subject is this identity, without further
// attributes.
func subjectIs(s *iampolicymanagementv1.V2PolicySubject, iamID string) bool {
	return s == nil || len(s.Attributes) == 1 && str(s.Attributes[0].Key) == "iam_id" && s.Attributes[0].Value == any(iamID)
}

// subjectOf returns the identity that a policy is for, or "".
func subjectOf(s *iampolicymanagementv1.V2PolicySubject) string {
	if s == nil || len(s.Attributes) != 1 || str(s.Attributes[0].Key) != "iam_id" {
		return ""
	}
	id, _ := s.Attributes[0].Value.(string)
	return id
}

// rolesOf returns the CRNs of a policy's roles.
func rolesOf(p *iampolicymanagementv1.V2PolicyTemplateMetaData) (crns []string) {
	control, ok := p.Control.(*iampolicymanagementv1.ControlResponse)
	if !ok || control.Grant == nil {
		return nil
	}
	for _, role := range control.Grant.Roles {
		crns = append(crns, str(role.RoleID))
	}
	return crns
}

// Grant creates a policy. If it exists and is ours, Grant adds the missing roles.
// Success does not prove that the roles were granted: IAM grants at most what
// the grantor holds.
func (c *Client) Grant(ctx context.Context, iamID string, p access.Policy) error {
	doing := "granting " + p.Label()
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	roles, err := c.resolve(ctx, account, p)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	opts := c.request(iamID, account, p, roles)
	_, resp, err := c.policies.CreateV2PolicyWithContext(ctx, opts)
	if err == nil {
		return nil
	}
	err = accessFault(ctx, doing, resp, err)
	if !errors.Is(err, port.ErrConflict) {
		return err
	}
	if upstream.SDKAnswer(resp).Code == policyExists {
		return c.widen(ctx, doing, conflicting(resp), opts)
	}
	// IAM has other conflicts, such as a locked service ID.
	if id, lerr := c.Lookup(ctx, iamID); lerr == nil && id.Locked {
		return fmt.Errorf("%s: service ID %s: %w", doing, id.ID, port.ErrLocked)
	}
	return err
}

func (c *Client) request(iamID, account string, p access.Policy, roles []string) *iampolicymanagementv1.CreateV2PolicyOptions {
	return &iampolicymanagementv1.CreateV2PolicyOptions{
		Type:        core.StringPtr("access"),
		Description: core.StringPtr("Managed by latchkey " + c.policyMarker()),
		Control:     granting(roles),
		Subject: &iampolicymanagementv1.V2PolicySubject{Attributes: []iampolicymanagementv1.V2PolicySubjectAttribute{
			{Key: core.StringPtr("iam_id"), Operator: core.StringPtr(access.Equals), Value: iamID},
		}},
		Resource: resourceOf(p, account),
		Pattern:  patternOf(p),
		Rule:     ruleFor(p),
	}
}

func granting(crns []string) *iampolicymanagementv1.Control {
	grant := &iampolicymanagementv1.Grant{}
	for _, crn := range crns {
		grant.Roles = append(grant.Roles, iampolicymanagementv1.Roles{RoleID: &crn})
	}
	return &iampolicymanagementv1.Control{Grant: grant}
}

// policyMarker marks a policy as ours. It names no credential, since the
// policy's subject does.
func (c *Client) policyMarker() string { return "[latchkey v=1 owner=" + c.cfg.Owner + "]" }

// marked reports whether a policy has our mark.
func (c *Client) marked(p *iampolicymanagementv1.V2PolicyTemplateMetaData) bool {
	return strings.HasSuffix(str(p.Description), c.policyMarker())
}

// conflicting returns the ID of the existing policy. The SDK's model has the ID
// here; recorded answers have the whole policy.
func conflicting(resp *core.DetailedResponse) string {
	at := resp.Result
	for _, key := range []string{"errors", "details", "conflicts_with", "policy"} {
		m, _ := at.(map[string]any)
		at = m[key]
		if list, ok := at.([]any); ok && len(list) > 0 {
			at = list[0]
		}
	}
	if whole, ok := at.(map[string]any); ok {
		at = whole["id"]
	}
	id, _ := at.(string)
	return id
}

// widen adds missing roles to a policy of ours. It keeps the others, since two
// config entries may share the policy. It leaves a policy of another owner
// alone; the caller's read-back then shows the missing roles.
func (c *Client) widen(ctx context.Context, doing, id string, want *iampolicymanagementv1.CreateV2PolicyOptions) error {
	if id == "" {
		return nil
	}
	got, resp, err := c.policies.GetV2PolicyWithContext(ctx, &iampolicymanagementv1.GetV2PolicyOptions{ID: &id})
	if err != nil {
		err = accessFault(ctx, doing, resp, err)
		if errors.Is(err, port.ErrNotFound) {
			return nil // deleted, or not yet visible
		}
		return err
	}
	if got == nil || !c.marked(got) {
		return nil
	}
	roles := rolesOf(got)
	had := len(roles)
	for _, r := range want.Control.Grant.Roles {
		if !slices.Contains(roles, str(r.RoleID)) {
			roles = append(roles, str(r.RoleID))
		}
	}
	tag := resp.Headers.Get("Etag")
	if len(roles) == had || tag == "" {
		return nil
	}
	_, resp, err = c.policies.ReplaceV2PolicyWithContext(ctx, &iampolicymanagementv1.ReplaceV2PolicyOptions{
		ID: &id, IfMatch: &tag, Type: want.Type, Description: want.Description,
		Control: granting(roles), Subject: want.Subject, Resource: want.Resource, Pattern: want.Pattern, Rule: want.Rule,
	})
	err = accessFault(ctx, doing, resp, err)
	if errors.Is(err, port.ErrConflict) {
		return nil // another writer changed it
	}
	return err
}

// Narrow takes down a policy of ours, or all of its roles but those to keep. It reads the
// policy first: what another writer changed, or made, stays.
func (c *Client) Narrow(ctx context.Context, iamID string, p access.Policy, keep []string) error {
	doing := "narrowing " + p.Label()
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	own, err := c.ownIDs(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	got, resp, err := c.policies.GetV2PolicyWithContext(ctx, &iampolicymanagementv1.GetV2PolicyOptions{ID: &p.ID})
	if err = accessFault(ctx, doing, resp, err); errors.Is(err, port.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if got == nil {
		return upstream.Incomplete(doing, "policy")
	}
	if str(got.State) == "deleted" {
		return nil
	}
	now, ok := c.policyOf(got, account, iamID, own)
	if !ok || !now.Ours || !now.SameTarget(p) || !slices.Equal(now.Roles, p.Roles) {
		return fmt.Errorf("%s: %w: it is not what was read before", doing, port.ErrConflict)
	}
	if len(keep) == 0 {
		resp, err = c.policies.DeleteV2PolicyWithContext(ctx, &iampolicymanagementv1.DeleteV2PolicyOptions{ID: &p.ID})
		if err = accessFault(ctx, doing, resp, err); errors.Is(err, port.ErrNotFound) {
			return nil
		}
		return err
	}
	var crns []string
	for _, crn := range rolesOf(got) {
		if (access.Policy{Roles: keep}).Has(crn[strings.LastIndexByte(crn, ':')+1:]) {
			crns = append(crns, crn)
		}
	}
	tag := resp.Headers.Get("Etag")
	if len(crns) == 0 || tag == "" {
		return upstream.Incomplete(doing, "role to keep, or no entity tag")
	}
	want := c.request(iamID, account, now, crns)
	_, resp, err = c.policies.ReplaceV2PolicyWithContext(ctx, &iampolicymanagementv1.ReplaceV2PolicyOptions{
		ID: &p.ID, IfMatch: &tag, Type: want.Type, Description: want.Description,
		Control: want.Control, Subject: want.Subject, Resource: want.Resource, Pattern: want.Pattern, Rule: want.Rule,
	})
	return accessFault(ctx, doing, resp, err)
}

// roleBook caches the roles of each service.
type roleBook struct {
	mu    sync.Mutex
	known map[string][]role
}

type role struct{ display, crn string }

// resolve returns the CRNs of a policy's roles.
func (c *Client) resolve(ctx context.Context, account string, p access.Policy) (crns []string, err error) {
	known, err := c.rolesFor(ctx, account, p.Service)
	if err != nil {
		return nil, err
	}
	for _, name := range p.Roles {
		crn := roleCRN(p.Service, name)
		if i := slices.IndexFunc(known, func(r role) bool { return r.display == name }); i >= 0 {
			crn = known[i].crn
		}
		crns = append(crns, crn)
	}
	return crns, nil
}

// Roles returns the names of the roles of a service: none if we may not list them.
func (c *Client) Roles(ctx context.Context, service string) (names []string, err error) {
	account, err := c.Account(ctx)
	if err != nil {
		return nil, err
	}
	known, err := c.rolesFor(ctx, account, service)
	for _, r := range known {
		names = append(names, r.display)
	}
	return names, err
}

// rolesFor lists the roles of a service. If we may not list them, it returns
// none, and resolve uses the documented form of a CRN.
func (c *Client) rolesFor(ctx context.Context, account, service string) ([]role, error) {
	c.roles.mu.Lock()
	known, ok := c.roles.known[service]
	c.roles.mu.Unlock()
	if ok {
		return known, nil
	}
	opts := &iampolicymanagementv1.ListRolesOptions{AccountID: &account, PolicyType: core.StringPtr("access")}
	if service != "" {
		opts.ServiceName = &service
	}
	list, resp, err := c.policies.ListRolesWithContext(ctx, opts)
	if err = accessFault(ctx, "listing the roles of "+service, resp, err); err != nil {
		if own := (*upstream.LoginError)(nil); errors.Is(err, port.ErrDenied) && !errors.As(err, &own) {
			return nil, nil
		}
		return nil, err
	}
	if list == nil {
		return nil, upstream.Incomplete("listing the roles of "+service, "list")
	}
	for _, r := range slices.Concat(list.SystemRoles, list.ServiceRoles) {
		known = append(known, role{display: str(r.DisplayName), crn: str(r.CRN)})
	}
	for _, r := range list.CustomRoles {
		known = append(known, role{display: str(r.DisplayName), crn: str(r.CRN)})
	}
	c.roles.mu.Lock()
	defer c.roles.mu.Unlock()
	if c.roles.known == nil {
		c.roles.known = map[string][]role{}
	}
	c.roles.known[service] = known
	return known, nil
}
