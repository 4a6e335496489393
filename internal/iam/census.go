package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// AccountKey is an API key of the account, whoever made it.
type AccountKey struct {
	ID, Name string
	// Of is the IAM ID of the user or service ID that the key authenticates. Creator
	// is the IAM ID of the identity that made it.
	Of, Creator      string
	Created, Expires time.Time
	Disabled, Locked bool
	// Credential is the name in our marker, if the key is ours.
	Credential string
}

// AccountKeys returns the API keys of all users and service IDs of the account, in the
// order of their creation. IAM shows those that our roles cover.
func (c *Client) AccountKeys(ctx context.Context) ([]AccountKey, error) {
	const doing = "listing the keys of the account"
	account, err := c.Account(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	own, err := c.ownIDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	var all []AccountKey
	for _, kind := range []string{"serviceid", "user"} {
		opts := &iamidentityv1.ListAPIKeysOptions{
			AccountID: &account, Pagesize: core.Int64Ptr(100), Scope: core.StringPtr("account"), Type: &kind, IncludeHistory: core.BoolPtr(true),
		}
		err := eachPage(doing, mostPages, func(token *string) (string, error) {
			opts.Pagetoken = token
			page, resp, err := c.identity.ListAPIKeysWithContext(ctx, opts)
			if err != nil {
				return "", fault(ctx, doing, resp, err)
			}
			if page == nil {
				return "", upstream.Incomplete(doing, "list")
			}
			for i := range page.Apikeys {
				k, err := c.accountKey(&page.Apikeys[i], own)
				if err != nil {
					return "", fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
				}
				all = append(all, k)
			}
			return pageToken(doing, page.Next)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b AccountKey) int {
		if n := a.Created.Compare(b.Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

func (c *Client) accountKey(k *iamidentityv1.APIKey, own []string) (AccountKey, error) {
	r, err := c.read(k, own)
	if err != nil {
		return AccountKey{}, err
	}
	out := AccountKey{
		ID: r.ID, Name: r.name, Of: r.iamID, Creator: r.creator, Created: r.Created, Expires: r.Expires, Disabled: r.Disabled, Locked: r.Locked,
	}
	if r.ours {
		out.Credential = r.marker.Credential
	}
	return out, nil
}
