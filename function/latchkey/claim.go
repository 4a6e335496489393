package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

type claimCommand struct {
	byHand
	Config   string `help:"The config file." placeholder:"FILE"`
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
	Thing    string `arg:"" help:"The ID of a service ID or key that carries latchkey's marker."`
	Yes      bool   `help:"Skip the confirmation."`
}

// claimable is the form of what can be claimed.
var claimable = regexp.MustCompile(`^(?:ServiceId|ApiKey)-[A-Za-z0-9-]{1,64}$`)

// Run makes a service ID or key ours that IAM does not show to be. It prints who
// made it, because a marker can be forged.
func (c claimCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	if !claimable.MatchString(c.Thing) {
		return fmt.Errorf("claiming %q: it is neither the ID of a service ID (ServiceId-…) nor that of a key (ApiKey-…)", c.Thing)
	}
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	if strings.HasPrefix(c.Thing, "ApiKey-") {
		return c.key(ctx, p, std)
	}
	id, err := p.iam.Lookup(ctx, "iam-"+c.Thing)
	switch {
	case err != nil:
		return err
	case id.Ours:
		fmt.Fprintf(std.out, "%s is latchkey's already\n", id.ID)
		return nil
	case !id.Marked || id.Marker.Owner != p.cfg.Owner:
		return fmt.Errorf("claiming service ID %s: it does not carry the marker of owner %s: give it to a credential by serviceID.id instead", id.ID, p.cfg.Owner)
	}
	creators, err := p.iam.Creators(ctx, id.IAMID)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "service ID   %s %q\nmade by      %s\ncredential   %s%s\n", id.ID, id.Name, creatorOf(id.Creator), id.Marker.Credential, parameters(id))
	keys := make([]string, 0, len(creators))
	for key, creator := range creators {
		keys = append(keys, fmt.Sprintf("key          %s made by %s", key, creatorOf(creator)))
	}
	slices.Sort(keys)
	for _, line := range keys {
		fmt.Fprintln(std.out, line)
	}
	if err := confirm(std, c.Yes, "Whoever has a key of it gets what latchkey grants. Let latchkey manage "+id.ID+"?"); err != nil {
		return err
	}
	if err := p.iam.ClaimServiceID(ctx, id); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s is latchkey's now\n", id.ID)
	return nil
}

func (c claimCommand) key(ctx context.Context, p *assembly, std streams) error {
	rec, err := p.iam.Get(ctx, c.Thing)
	switch {
	case err != nil:
		return err
	case rec.Ours:
		fmt.Fprintf(std.out, "%s is latchkey's already\n", rec.ID)
		return nil
	case !rec.Forged:
		return fmt.Errorf("claiming key %s: it does not carry the marker of owner %s: adopt it instead (latchkey adopt)", rec.ID, p.cfg.Owner)
	}
	fmt.Fprintf(std.out, "key          %s %q\nmade by      %s\nof           %s\ncredential   %s\n", rec.ID, rec.Name, creatorOf(rec.Creator), rec.IAMID, rec.Credential)
	if err := confirm(std, c.Yes, "Let latchkey rotate and delete "+rec.ID+"?"); err != nil {
		return err
	}
	if err := p.iam.ClaimKey(ctx, rec); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s is latchkey's now\n", rec.ID)
	return nil
}

func creatorOf(iamID string) string {
	if iamID == "" {
		return "unknown (IAM has no record)"
	}
	return iamID
}

func parameters(id reconcile.ServiceID) string {
	if len(id.Marker.With) == 0 {
		return ""
	}
	return fmt.Sprintf(" with %v", id.Marker.With)
}
