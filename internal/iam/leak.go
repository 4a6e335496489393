package iam

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// keyValue is the shape of what may be the value of a key: IBM's have 44 of
// these characters. Anything else is not sent to IAM.
var keyValue = regexp.MustCompile(`^[A-Za-z0-9_-]{20,128}$`)

// Owner returns the ID of the key that has the value v, and the credential that
// its marker names. reconcile.ErrNotFound: IAM knows no such key, or it is not
// ours.
func (c *Client) Owner(ctx context.Context, v secret.Value) (keyID, credential string, err error) {
	const doing = "looking up whose key has a value"
	if !keyValue.MatchString(v.Expose()) {
		return "", "", fmt.Errorf("%s: %w: it has not the shape of one", doing, reconcile.ErrNotFound)
	}
	for try := 1; ; try++ {
		k, resp, err := c.identity.GetAPIKeysDetailsWithContext(ctx, &iamidentityv1.GetAPIKeysDetailsOptions{IamAPIKey: core.StringPtr(v.Expose())})
		if err == nil {
			r, rerr := c.read(k)
			switch {
			case rerr != nil:
				return "", "", fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, rerr)
			case !r.ours:
				return "", "", fmt.Errorf("%s: %w: key %s is not ours", doing, reconcile.ErrNotFound, r.ID)
			}
			return r.ID, r.marker.Credential, nil
		}
		if err = fault(ctx, doing, resp, err, v); !errors.Is(err, reconcile.ErrUnavailable) || try == lookUps {
			return "", "", err
		}
		if serr := c.sleep(ctx, lookUpPause<<(try-1)); serr != nil {
			return "", "", fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, serr)
		}
	}
}
