package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

const policiesPath = "/v2/policies"

// Granted returns the active access policies of an identity, complete with
// attributes, tags and rules.
func (c *Client) Granted(ctx context.Context, iamID string) ([]access.Policy, error) {
	own, err := c.ownIDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the policies of %s: %w", iamID, err)
	}
	var out []access.Policy
	err = c.eachPolicy(ctx, "reading the policies of "+iamID, url.Values{"iam_id": {iamID}}, atMost(mostOfPolicies), func(account string, p *policy) {
		if one, ok := c.policyOf(p, account, iamID, own); ok {
			out = append(out, one)
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// policyList is IBM's V2PolicyCollection.
type policyList struct {
	Policies []policy `json:"policies"`
	Next     *struct {
		Start string `json:"start"`
	} `json:"next"`
}

// eachPolicy visits the access policies that a query selects, page by page.
func (c *Client) eachPolicy(ctx context.Context, doing string, query url.Values, pages *budget, visit func(account string, p *policy)) error {
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	query.Set("account_id", account)
	query.Set("type", accessPolicy)
	return eachPage(doing, pages, func(start *string) (string, error) {
		if start != nil {
			query.Set("start", *start)
		}
		page, reply, err := upstream.Send[policyList](ctx, c.api, upstream.Request{Method: http.MethodGet, Path: upstream.Path(policiesPath), Query: query})
		if err != nil {
			return "", accessFault(ctx, doing, reply, err)
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
		if page.Next.Start == "" {
			return "", upstream.Incomplete(doing, "start of the next page")
		}
		return page.Next.Start, nil
	})
}

// subjectIs reports whether the subject is this identity, without further
// attributes.
func subjectIs(s *subject, iamID string) bool {
	return s == nil || len(s.Attributes) == 1 && s.Attributes[0].Key == "iam_id" && s.Attributes[0].Value == any(iamID)
}

// subjectOf returns the identity that a policy is for, or "".
func subjectOf(s *subject) string {
	if s == nil || len(s.Attributes) != 1 || s.Attributes[0].Key != "iam_id" {
		return ""
	}
	id, _ := s.Attributes[0].Value.(string)
	return id
}

// rolesOf returns the CRNs of a policy's roles.
func rolesOf(p *policy) (crns []string) {
	for _, role := range p.Control.Grant.Roles {
		crns = append(crns, role.ID)
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
	want := c.request(iamID, account, p, roles)
	reply, err := upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodPost, Path: upstream.Path(policiesPath), Body: want})
	if err == nil {
		return nil
	}
	err = accessFault(ctx, doing, reply, err)
	if !errors.Is(err, port.ErrConflict) {
		return err
	}
	if reply.Answer().Code == policyExists {
		return c.widen(ctx, doing, conflicting(reply), want)
	}
	// IAM has other conflicts, such as a locked service ID.
	if id, lerr := c.Lookup(ctx, iamID); lerr == nil && id.Locked {
		return fmt.Errorf("%s: service ID %s: %w", doing, id.ID, port.ErrLocked)
	}
	return err
}

func (c *Client) request(iamID, account string, p access.Policy, roles []string) policySpec {
	return policySpec{
		Type:        accessPolicy,
		Description: "Managed by latchkey " + c.policyMarker(),
		Control:     granting(roles),
		Subject:     &subject{[]attribute{{Key: "iam_id", Operator: access.Equals, Value: iamID}}},
		Resource:    resourceOf(p, account),
		Pattern:     p.Pattern,
		Rule:        ruleFor(p.Rule),
	}
}

func granting(crns []string) (c control) {
	for _, crn := range crns {
		c.Grant.Roles = append(c.Grant.Roles, roleID{crn})
	}
	return c
}

func (c *Client) readPolicy(ctx context.Context, id string) (*policy, *upstream.Reply, error) {
	return upstream.Send[policy](ctx, c.api, upstream.Request{Method: http.MethodGet, Path: upstream.Path(policiesPath, id)})
}

// replacePolicy replaces a policy, on condition that it still has the entity tag.
func (c *Client) replacePolicy(ctx context.Context, id, tag string, want policySpec) (*upstream.Reply, error) {
	return upstream.Do(ctx, c.api, upstream.Request{
		Method: http.MethodPut, Path: upstream.Path(policiesPath, id), Header: map[string]string{"If-Match": tag}, Body: want,
	})
}

// policyMarker marks a policy as ours. It names no credential, since the
// policy's subject does.
func (c *Client) policyMarker() string { return "[latchkey v=1 owner=" + c.cfg.Owner + "]" }

// marked reports whether a policy has our mark.
func (c *Client) marked(p *policy) bool {
	return strings.HasSuffix(p.Description, c.policyMarker())
}

// conflicting returns the ID of the existing policy. IBM's model has the ID
// here; recorded answers have the whole policy.
func conflicting(reply *upstream.Reply) string {
	var at any
	reply.Read(&at)
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
func (c *Client) widen(ctx context.Context, doing, id string, want policySpec) error {
	if id == "" {
		return nil
	}
	got, reply, err := c.readPolicy(ctx, id)
	if err != nil {
		err = accessFault(ctx, doing, reply, err)
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
		if !slices.Contains(roles, r.ID) {
			roles = append(roles, r.ID)
		}
	}
	tag := reply.Header.Get("Etag")
	if len(roles) == had || tag == "" {
		return nil
	}
	want.Control = granting(roles)
	reply, err = c.replacePolicy(ctx, id, tag, want)
	err = accessFault(ctx, doing, reply, err)
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
	got, reply, err := c.readPolicy(ctx, p.ID)
	if err = accessFault(ctx, doing, reply, err); errors.Is(err, port.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if got == nil {
		return upstream.Incomplete(doing, "policy")
	}
	if got.State == "deleted" {
		return nil
	}
	now, ok := c.policyOf(got, account, iamID, own)
	if !ok || !now.Ours || !now.SameTarget(p) || !slices.Equal(now.Roles, p.Roles) {
		return fmt.Errorf("%s: %w: it is not what was read before", doing, port.ErrConflict)
	}
	if len(keep) == 0 {
		reply, err = upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodDelete, Path: upstream.Path(policiesPath, p.ID)})
		if err = accessFault(ctx, doing, reply, err); errors.Is(err, port.ErrNotFound) {
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
	tag := reply.Header.Get("Etag")
	if len(crns) == 0 || tag == "" {
		return upstream.Incomplete(doing, "role to keep, or no entity tag")
	}
	reply, err = c.replacePolicy(ctx, p.ID, tag, c.request(iamID, account, now, crns))
	return accessFault(ctx, doing, reply, err)
}

// roleBook caches the roles of each service.
type roleBook struct {
	mu    sync.Mutex
	known map[string][]role
}

// role is IBM's Role or CustomRole.
type role struct {
	Display string `json:"display_name"`
	CRN     string `json:"crn"`
}

// roleList is IBM's RoleCollection.
type roleList struct {
	System  []role `json:"system_roles"`
	Service []role `json:"service_roles"`
	Custom  []role `json:"custom_roles"`
}

// resolve returns the CRNs of a policy's roles.
func (c *Client) resolve(ctx context.Context, account string, p access.Policy) (crns []string, err error) {
	known, err := c.rolesFor(ctx, account, p.Service)
	if err != nil {
		return nil, err
	}
	for _, name := range p.Roles {
		crn := roleCRN(p.Service, name)
		if i := slices.IndexFunc(known, func(r role) bool { return r.Display == name }); i >= 0 {
			crn = known[i].CRN
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
		names = append(names, r.Display)
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
	query := url.Values{"account_id": {account}, "policy_type": {accessPolicy}}
	if service != "" {
		query.Set("service_name", service)
	}
	list, reply, err := upstream.Send[roleList](ctx, c.api, upstream.Request{Method: http.MethodGet, Path: upstream.Path("/v2/roles"), Query: query})
	if err = accessFault(ctx, "listing the roles of "+service, reply, err); err != nil {
		if own := (*upstream.LoginError)(nil); errors.Is(err, port.ErrDenied) && !errors.As(err, &own) {
			return nil, nil
		}
		return nil, err
	}
	if list == nil {
		return nil, upstream.Incomplete("listing the roles of "+service, "list")
	}
	known = slices.Concat(list.System, list.Service, list.Custom)
	c.roles.mu.Lock()
	defer c.roles.mu.Unlock()
	if c.roles.known == nil {
		c.roles.known = map[string][]role{}
	}
	c.roles.known[service] = known
	return known, nil
}
