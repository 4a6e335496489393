package iam

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// keyValue is the form of a key's value; IBM's own have 44 characters. No other
// text is sent to IAM.
var keyValue = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{20,128}$`) })

// Owner returns the ID of the key with the value v, and the credential in its
// marker. It returns port.ErrNotFound if IAM has no such key or the key is
// not ours.
func (c *Client) Owner(ctx context.Context, v secret.Value) (keyID, credential string, err error) {
	const doing = "looking up the owner of a key's value"
	if !keyValue().MatchString(v.Expose()) {
		return "", "", fmt.Errorf("%s: %w: the value does not have the form of a key", doing, port.ErrNotFound)
	}
	own, err := c.ownIDs(ctx)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", doing, err)
	}
	for try := 1; ; try++ {
		k, reply, err := c.keyOf(ctx, v, withHistory)
		if err == nil {
			r, rerr := c.read(k, own)
			switch {
			case rerr != nil:
				return "", "", fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, rerr)
			case !r.ours:
				return "", "", fmt.Errorf("%s: %w: key %s is not ours", doing, port.ErrNotFound, r.ID)
			}
			return r.ID, r.marker.Credential, nil
		}
		if err = fault(ctx, doing, reply, err, v); !errors.Is(err, port.ErrUnavailable) || try == lookUps {
			return "", "", err
		}
		if serr := c.sleep(ctx, lookUpPause<<(try-1)); serr != nil {
			return "", "", fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, serr)
		}
	}
}
