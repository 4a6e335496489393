package iam

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Grant is an active access policy: its roles on everything that all of its
// attributes select.
type Grant struct {
	Policy string // ID
	// Roles are the last parts of the roles' CRNs, such as Administrator or
	// SecretsReader.
	Roles []string
	// Custom is set if a role is the account's own, whose actions are not known
	// from its name.
	Custom bool
	// Attributes select resources. The account is not among them.
	Attributes []Attribute
	// Conditional is set if the grant also depends on a time or on tags.
	Conditional bool
}

// Attribute selects resources by one of their properties.
type Attribute struct {
	Key, Operator string
	Values        []string // more than one for the operators that end in AnyOf
}

// Grants returns the access policies of an identity, given by its IAM ID, or of
// an access group, given by its ID. IAM omits those that we may not read.
func (c *Client) Grants(ctx context.Context, subject string) ([]Grant, error) {
	doing := "reading the policies of " + subject
	query := url.Values{"iam_id": {subject}}
	if strings.HasPrefix(subject, groupPrefix) {
		query = url.Values{"access_group_id": {subject}}
	}
	var out []Grant
	err := c.eachPolicy(ctx, doing, query, atMost(mostPages), func(account string, p *policy) {
		if g, ok := grantOf(p, account); ok {
			out = append(out, g)
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// grantOf converts a policy. It returns false for one that grants nothing in the
// account.
func grantOf(p *policy, account string) (g Grant, ok bool) {
	if p.Type != accessPolicy || p.State != "active" || p.Resource == nil {
		return g, false
	}
	g = Grant{Policy: p.ID, Conditional: p.Rule != nil || p.Pattern != "" || len(p.Resource.Tags) > 0}
	for _, a := range p.Resource.Attributes {
		one := Attribute{Key: a.Key, Operator: a.Operator, Values: texts(a.Value)}
		if one.Key != "accountId" {
			g.Attributes = append(g.Attributes, one)
		} else if one.Operator == "stringEquals" && a.Value != any(account) {
			return g, false
		}
	}
	for _, crn := range rolesOf(p) {
		g.Roles = append(g.Roles, crn[strings.LastIndexByte(crn, ':')+1:])
		g.Custom = g.Custom || strings.Contains(crn, ":customRole:")
	}
	return g, len(g.Roles) > 0
}

// texts returns the values of an attribute: a text, a truth value or a list.
func texts(v any) (out []string) {
	list, ok := v.([]any)
	if !ok {
		return []string{fmt.Sprint(v)}
	}
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// Creator returns the IAM ID of the identity that created a service ID, or "" if
// the history does not tell. The creator administers the service ID.
func (c *Client) Creator(ctx context.Context, iamID string) (string, error) {
	id := strings.TrimPrefix(iamID, iamPrefix)
	doing := "reading the history of service ID " + id
	s, reply, err := getFrom[serviceID](ctx, c.api, serviceIDPath(id), withHistory)
	if err != nil {
		return "", fault(ctx, doing, reply, err)
	}
	if s == nil {
		return "", upstream.Incomplete(doing, "service ID")
	}
	for _, r := range s.History {
		if strings.HasPrefix(strings.ToUpper(r.Action), "CREATE") {
			return r.IAMID, nil
		}
	}
	return "", nil
}

// accountSettings is IAM's AccountSettingsResponse.
type accountSettings struct {
	RestrictCreateServiceID string `json:"restrict_create_service_id"`
}

// Restricted reports whether the account restricts the creation of service IDs.
func (c *Client) Restricted(ctx context.Context) (bool, error) {
	const doing = "reading the account's settings"
	account, err := c.Account(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	s, reply, err := getFrom[accountSettings](ctx, c.api, upstream.Path("/v1/accounts", account, "settings", "identity"), nil)
	if err != nil {
		return false, accessFault(ctx, doing, reply, err)
	}
	if s == nil {
		return false, upstream.Incomplete(doing, "settings")
	}
	return s.RestrictCreateServiceID == "RESTRICTED", nil
}
