package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// rename writes the credential's new name in the markers, so that the config no
// longer needs the old one. The service ID in use is the last: a replica with the old
// config must not use a duplicate in its place.
func (ru *run) rename(ctx context.Context, _ protocol.Step) error {
	for _, d := range ru.facts.Ours {
		if d.ID == ru.id.ID || !ru.facts.BearsFormer(d) {
			continue
		}
		if err := ru.renameOne(ctx, d); err != nil {
			return err
		}
	}
	ru.memory.Forget(ru.c.Name)
	if !ru.facts.BearsFormer(ru.id) {
		return nil
	}
	return ru.renameOne(ctx, ru.id)
}

// renameOne writes the credential's new name in one marker.
func (ru *run) renameOne(ctx context.Context, observed port.ServiceID) error {
	err := ru.mark(ctx, observed, func(m *marker.Marker) { m.Credential, m.With = ru.c.Name, ru.c.With })
	if err != nil {
		return fmt.Errorf("renaming the credential of %s: %w", observed.ID, err)
	}
	return nil
}

// mark changes the marker of a service ID of ours.
func (ru *run) mark(ctx context.Context, observed port.ServiceID, change func(*marker.Marker)) error {
	id, err := ru.Identities.Lookup(ctx, observed.IAMID)
	if err != nil {
		return err
	}
	if !ru.facts.Still(id, observed) {
		return fmt.Errorf("marking service ID %s: no longer ours: %w", id.ID, port.ErrRefused)
	}
	m := id.Marker
	change(&m)
	if err := ru.Identities.Mark(ctx, id, m); err != nil {
		return again(err)
	}
	if id.ID == ru.id.ID {
		ru.id.Marker = m
	}
	return nil
}

// known returns the name by which every replica knows the keys of the service ID: the
// one in its marker. A replica with an earlier config does not know a new name.
func (ru *run) known() string {
	if ru.id.Marked && ru.c.Given == "" {
		return ru.id.Marker.Credential
	}
	return ru.c.Name
}

// removeIdentity deletes the service ID of a deleted project, unless it has keys,
// which would be deleted with it.
func (ru *run) removeIdentity(ctx context.Context, _ protocol.Step) error {
	l, err := ru.Keys.List(ctx, ru.id.IAMID, ru.c.Names()...)
	if err != nil {
		return fmt.Errorf("removing service ID %s: %w", ru.id.ID, err)
	}
	if len(l.Keys)+l.Foreign > 0 {
		return fmt.Errorf("%w: service ID %s has keys now", observe.ErrAgain, ru.id.ID)
	}
	ru.memory.Forget(ru.c.Name)
	return ru.Identities.Remove(ctx, ru.id.ID)
}

// join adds the service ID to an access group and reads the membership back,
// because IAM is eventually consistent.
func (ru *run) join(ctx context.Context, group string) error {
	if err := ru.Identities.Join(ctx, ru.id.IAMID, group); err != nil {
		return err
	}
	return ru.poll(ctx, func() error {
		member, err := ru.Identities.Groups(ctx, ru.id.IAMID)
		if err != nil {
			return fmt.Errorf("reading back access group %q: %w", group, err)
		}
		if slices.ContainsFunc(member, func(g port.Group) bool { return g.ID == group || g.Name == group }) {
			return nil
		}
		return fmt.Errorf("reading back access group %q: %w", group, port.ErrNotYet)
	})
}

func (ru *run) marker() marker.Marker {
	return marker.Marker{Owner: ru.Owner, Credential: ru.c.Name, With: ru.c.With}
}

func (ru *run) createIdentity(ctx context.Context, _ protocol.Step) error {
	id, err := ru.Identities.Create(ctx, ru.facts.Name, ru.marker().Describe(ru.c.Description))
	if err != nil {
		return err
	}
	ru.id, ru.out.ServiceID = id, id.ID
	return nil
}

// removeDuplicate deletes a second service ID, unless it has keys, which would be
// deleted with it.
func (ru *run) removeDuplicate(ctx context.Context, s protocol.Step) error {
	id := s.Target
	i := slices.IndexFunc(ru.facts.Ours, func(d port.ServiceID) bool { return d.ID == id })
	l, err := ru.Keys.List(ctx, ru.facts.Ours[i].IAMID, ru.c.Names()...)
	if err != nil {
		return fmt.Errorf("removing duplicate %s: %w", id, err)
	}
	if len(l.Keys)+l.Foreign > 0 {
		return fmt.Errorf("%w: duplicate %s has keys now", observe.ErrAgain, id)
	}
	if err := ru.fence.Check(l.Date); err != nil {
		return fmt.Errorf("removing duplicate %s: %w", id, err)
	}
	return ru.Identities.Remove(ctx, id)
}

// grant joins an access group, or creates one policy and reads it back. IAM may report success and grant
// less: then the policy on the resource lacks a role. IAM is also eventually
// consistent: then there may be no policy yet.
func (ru *run) grant(ctx context.Context, s protocol.Step) error {
	label := s.Target
	if group, ok := access.IsMembership(label); ok {
		return ru.join(ctx, group)
	}
	i := slices.IndexFunc(ru.c.Policies, func(p access.Policy) bool { return p.Label() == label })
	return ru.grantTo(ctx, ru.id.IAMID, ru.c.Policies[i])
}

// grantTo creates one policy of an identity and reads it back.
func (ru *run) grantTo(ctx context.Context, iamID string, want access.Policy) error {
	label := want.Label()
	if err := ru.Identities.Grant(ctx, iamID, want); err != nil {
		return err
	}
	return ru.poll(ctx, func() error {
		granted, err := ru.Identities.Granted(ctx, iamID)
		if err != nil {
			return fmt.Errorf("reading back %s: %w", label, err)
		}
		if access.Fulfilled(want, granted) {
			return nil
		}
		for _, g := range granted {
			if g.SameTarget(want) {
				return fmt.Errorf("reading back %s: granted only %v: %w", label, g.Roles, fault.ErrWeaker)
			}
		}
		return fmt.Errorf("reading back %s: %w", label, port.ErrNotYet)
	})
}

// narrow takes down a policy of ours, or the roles of it that the config does not say.
func (ru *run) narrow(ctx context.Context, s protocol.Step) error {
	excess, _ := ru.facts.Excess()
	i := slices.IndexFunc(excess, func(d access.Drift) bool { return d.ID == s.Target })
	if i < 0 {
		return fmt.Errorf("narrowing policy %s: the config says it: %w", s.Target, port.ErrRefused)
	}
	return ru.Identities.Narrow(ctx, ru.id.IAMID, excess[i].Policy, excess[i].Keep)
}
