package iam

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
)

// AccountKeys returns the API keys of all users and service IDs of the account, in the
// order of their creation. IAM shows those that our roles cover.
func (c *Client) AccountKeys(ctx context.Context) ([]port.AccountKey, error) {
	const doing = "listing the keys of the account"
	self, err := c.Self(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	var all []port.AccountKey
	for _, kind := range []string{"serviceid", "user"} {
		query := url.Values{"scope": {"account"}, "type": {kind}}
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
