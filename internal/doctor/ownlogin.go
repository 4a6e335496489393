package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Fixed is what an entry of the config names by its ID.
type Fixed struct {
	Credential string
	ServiceID  string // ServiceId-…, or empty
	AdoptKey   string // ApiKey-…, or empty
}

// KeyReader reads a key; iam.Client does.
type KeyReader interface {
	Get(ctx context.Context, keyID string) (port.KeyRecord, error)
}

const iamPrefix = "iam-"

// OwnLogins calls found for each entry whose service ID is the one that we are logged in
// as, or whose key to adopt is a key of it. self is our IAM ID. Only a key to adopt
// takes a call. A key that IAM does not have is not ours.
func OwnLogins(ctx context.Context, keys KeyReader, self string, entries []Fixed, found func(credential, serviceID string)) error {
	own := strings.TrimPrefix(self, iamPrefix)
	var unknown []Fixed
	for _, e := range entries {
		switch {
		case e.ServiceID != "" && e.ServiceID == own:
			found(e.Credential, own)
		case e.AdoptKey != "" && !strings.HasPrefix(own, "Profile-"): // a profile has no keys
			unknown = append(unknown, e)
		}
	}
	var faults []error
	for _, e := range unknown {
		switch k, err := keys.Get(ctx, e.AdoptKey); {
		case errors.Is(err, port.ErrNotFound):
		case err != nil:
			faults = append(faults, fmt.Errorf("looking whose key %s is to adopt: %w", e.Credential, err))
		case k.IAMID == self:
			found(e.Credential, own)
		}
	}
	return errors.Join(faults...)
}
