package iam

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// AccountKeys returns the API keys of all users and service IDs of the account, in the
// order of their creation. IAM shows those that our roles cover. A list of keys of service
// IDs has those of one group.
func (c *Client) AccountKeys(ctx context.Context) ([]port.AccountKey, error) {
	const doing = "listing the keys of the account"
	self, err := c.Self(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	queries := []url.Values{{"type": {"user"}}, {"type": {"serviceid"}}}
	groups, err := c.serviceIDGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	for _, group := range groups {
		queries = append(queries, url.Values{"type": {"serviceid"}, "group_id": {group}})
	}
	var all []port.AccountKey
	for _, query := range queries {
		query.Set("scope", "account")
		if _, err := c.eachKey(ctx, doing, query, atMost(mostPages), func(r record) { all = append(all, r.ofAccount(self)) }); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b port.AccountKey) int {
		if n := a.Created.Compare(b.Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

// serviceIDGroups is IAM's ServiceIdGroupList.
type serviceIDGroups struct {
	Groups []struct {
		ID string `json:"id"`
	} `json:"serviceid_groups"`
}

// serviceIDGroups returns the IDs of the account's groups of service IDs. The default group
// is none of them.
func (c *Client) serviceIDGroups(ctx context.Context) (ids []string, err error) {
	const doing = "listing the groups of service IDs"
	account, err := c.Account(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	list, reply, err := getFrom[serviceIDGroups](ctx, c.api, upstream.Path("/v1/serviceid_groups"), url.Values{"account_id": {account}})
	switch {
	case err != nil:
		return nil, fault(ctx, doing, reply, err)
	case list == nil:
		return nil, upstream.Incomplete(doing, "list")
	}
	for _, group := range list.Groups {
		if group.ID == "" {
			return nil, upstream.Incomplete(doing, "ID of a group")
		}
		ids = append(ids, group.ID)
	}
	return ids, nil
}

// ofAccount returns the key as one of the account. self is our own IAM ID.
func (r record) ofAccount(self string) port.AccountKey {
	k := port.AccountKey{
		ID: r.ID, Name: r.name, Of: r.iamID, Creator: r.creator, Created: r.Created, Expires: r.Expires, Disabled: r.Disabled, Locked: r.Locked, Login: r.iamID == self,
	}
	if r.ours {
		k.Credential = r.marker.Credential
	}
	return k
}
