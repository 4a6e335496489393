package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Claims is what a claim needs of IAM.
type Claims interface {
	Lookup(ctx context.Context, iamID string) (port.ServiceID, error)
	Creators(ctx context.Context, iamID string) (map[string]string, error)
	ClaimServiceID(ctx context.Context, id port.ServiceID) error
	Get(ctx context.Context, keyID string) (port.KeyRecord, error)
	ClaimKey(ctx context.Context, rec port.KeyRecord) error
}

// Claim is a request to make a service ID or key ours that IAM does not show to be.
type Claim struct {
	IAM   Claims
	Owner string // of the config
	Yes   bool   // skips the question
}

// claimable is the form of what can be claimed.
var claimable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:ServiceId|ApiKey)-[A-Za-z0-9-]{1,64}$`) })

// CheckClaim returns an error if id is neither the ID of a service ID nor that of a key.
func CheckClaim(id string) error {
	if !claimable().MatchString(id) {
		return fmt.Errorf("claiming %q: it is neither the ID of a service ID (ServiceId-…) nor that of a key (ApiKey-…)", id)
	}
	return nil
}

// Run makes the service ID or key ours. It prints who made it, because a marker can
// be forged.
func (c Claim) Run(ctx context.Context, std Streams, id string) error {
	if strings.HasPrefix(id, "ApiKey-") {
		return c.key(ctx, std, id)
	}
	return c.serviceID(ctx, std, id)
}

func (c Claim) serviceID(ctx context.Context, std Streams, serviceID string) error {
	id, err := c.IAM.Lookup(ctx, "iam-"+serviceID)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return fmt.Errorf("IAM has no service ID %s: %w", serviceID, errNoKey)
	case err != nil:
		return err
	case id.Ours:
		fmt.Fprintf(std.Out, "%s is latchkey's already\n", id.ID)
		return nil
	case !id.Marked || id.Marker.Owner != c.Owner:
		return fmt.Errorf("claiming service ID %s: it does not carry the marker of owner %s: give it to a credential by serviceID.id instead", id.ID, c.Owner)
	}
	creators, err := c.IAM.Creators(ctx, id.IAMID)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Lines(), "service ID   %s %q\nmade by      %s\ncredential   %s%s\n", id.ID, id.Name, creatorOf(id.Creator), id.Marker.Credential, parameters(id))
	keys := make([]string, 0, len(creators))
	for key, creator := range creators {
		keys = append(keys, fmt.Sprintf("key          %s made by %s", key, creatorOf(creator)))
	}
	slices.Sort(keys)
	for _, line := range keys {
		fmt.Fprintln(std.Lines(), line)
	}
	if err := std.Confirm(c.Yes, "Whoever has a key of it gets what latchkey grants. Let latchkey manage "+id.ID+"?"); err != nil {
		return err
	}
	if err := c.IAM.ClaimServiceID(ctx, id); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "%s is latchkey's now\n", id.ID)
	return nil
}

func (c Claim) key(ctx context.Context, std Streams, keyID string) error {
	rec, err := c.IAM.Get(ctx, keyID)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return fmt.Errorf("IAM has no key %s: %w", keyID, errNoKey)
	case err != nil:
		return err
	case rec.Ours:
		fmt.Fprintf(std.Out, "%s is latchkey's already\n", rec.ID)
		return nil
	case !rec.Forged:
		return fmt.Errorf("claiming key %s: it does not carry the marker of owner %s: adopt it instead (latchkey adopt)", rec.ID, c.Owner)
	}
	fmt.Fprintf(std.Lines(), "key          %s %q\nmade by      %s\nof           %s\ncredential   %s\n", rec.ID, rec.Name, creatorOf(rec.Creator), rec.IAMID, rec.Credential)
	if err := std.Confirm(c.Yes, "Let latchkey rotate and delete "+rec.ID+"?"); err != nil {
		return err
	}
	if err := c.IAM.ClaimKey(ctx, rec); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "%s is latchkey's now\n", rec.ID)
	return nil
}

func creatorOf(iamID string) string {
	if iamID == "" {
		return "unknown (IAM has no record)"
	}
	return iamID
}

func parameters(id port.ServiceID) string {
	if len(id.Marker.With) == 0 {
		return ""
	}
	return fmt.Sprintf(" with %v", id.Marker.With)
}
