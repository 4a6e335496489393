package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// keyless plans for the credential's trusted profile. plan is the one for its keys, and d
// is demanded of its end.
func (ru *run) keyless(plan protocol.Plan, d offboard.Demand) keyless.Plan {
	if ru.c.Profile == nil || ru.Profiles == nil {
		return keyless.Plan{}
	}
	return keyless.Decide(ru.facts.Keyless(plan.Published != "", d), ru.c.Offboard.Quiet, ru.now())
}

// createProfile creates the trusted profile with our marker.
func (ru *run) createProfile(ctx context.Context, _ protocol.Step) error {
	p, err := ru.Profiles.CreateProfile(ctx, ru.c.Profile.Name, ru.marker().Describe(ru.c.Description))
	switch {
	case errors.Is(err, port.ErrConflict):
		return fmt.Errorf("%w: %w", observe.ErrAgain, err) // another replica was first, or another name's owner
	case err != nil:
		return err
	}
	ru.profile = p
	return nil
}

// ourProfile returns the profile that this round made or observed as ours.
func (ru *run) ourProfile() (port.Profile, error) {
	switch {
	case ru.profile.ID != "":
		return ru.profile, nil
	case ru.facts.OurProfile():
		return ru.facts.Profile, nil
	}
	return port.Profile{}, fmt.Errorf("changing trusted profile %q: not ours: %w", ru.c.Profile.Name, port.ErrRefused)
}

// grantProfile creates a policy of the profile and reads it back.
func (ru *run) grantProfile(ctx context.Context, s protocol.Step) error {
	p, err := ru.ourProfile()
	if err != nil {
		return err
	}
	label, _ := keyless.IsPolicy(s.Target)
	i := slices.IndexFunc(ru.c.Policies, func(p access.Policy) bool { return p.Label() == label })
	return ru.grantTo(ctx, p.IAMID, ru.c.Policies[i])
}

// linkProfile lets a compute resource assume the profile.
func (ru *run) linkProfile(ctx context.Context, s protocol.Step) error {
	p, err := ru.ourProfile()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(ru.c.Profile.Links, func(l keyless.Link) bool { return l.Label() == s.Target })
	return ru.Profiles.LinkProfile(ctx, p.ID, ru.c.Profile.Links[i])
}

// removeProfile deletes the profile. It is read again: a consumer may have assumed it
// since, which counts unless the demand forces the end.
func (ru *run) removeProfile(ctx context.Context, s protocol.Step) error {
	now, err := ru.Profiles.FindProfile(ctx, ru.c.Profile.Name)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case now.ID != s.Target || !now.Ours || now.Assumed.After(ru.facts.Profile.Assumed) && !ru.req.End.Force:
		return fmt.Errorf("%w: trusted profile %s is in use, or not what it was", observe.ErrAgain, s.Target)
	}
	return ru.Profiles.RemoveProfile(ctx, s.Target)
}
