package observe

import (
	"slices"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// State returns the input of rotation.Decide. id is the credential's service ID, which
// the run may have made since.
func (f *Facts) State(id port.ServiceID) protocol.State {
	excess, left := f.Excess()
	s := protocol.State{
		Paused:    f.c.Paused,
		Keys:      f.Keys,
		Foreign:   f.Foreign[id.IAMID],
		Consumers: f.Consumers,
		Skew:      f.clock.Offset(),
		Gone:      f.c.Gone,
		Stranger:  f.Stranger,
		Adopting:  f.c.AdoptKey,
		Identity: protocol.Identity{
			Exists: id.ID != "", Created: id.Created, Locked: id.Locked, NameTaken: f.Taken.ID != "", Collides: f.Collision() != nil,
			Posing: f.Posing, Twice: f.Twice, Newer: f.Newer,
			Unsatisfied: append(access.Missing(f.c.Policies, left), f.outside()...), Given: f.c.Given != "",
			Excess: access.Removable(excess, f.c.Policies, left, f.clock.Now(), f.c.Rules.Window),
		},
	}
	for _, d := range f.Ours {
		if f.BearsFormer(d) {
			s.Identity.Former = d.Marker.Credential
			continue // it is renamed before it is removed
		}
		if d.ID != id.ID && !f.Busy[d.ID] && !d.Locked && f.clock.Now().Sub(d.Created) >= f.c.Rules.Window {
			s.Identity.Duplicates = append(s.Identity.Duplicates, d.ID)
		}
	}
	for _, e := range f.Entries {
		s.Stores = append(s.Stores, f.store(e))
	}
	return s
}

// store returns one store as rotation.Decide sees it.
func (f *Facts) store(e Reading) protocol.Store {
	st := protocol.Store{
		Name: e.Store.Name(), Guarded: e.Store.Guarded(), Required: !f.c.Optional[e.Store.Name()],
		Key: e.KeyID, Created: e.Created, Readable: !e.Value.Empty() && !e.Altered && !e.Unproven, Altered: e.Altered,
	}
	if f.Strange[e.KeyID] {
		st.Key, st.Foreign = "", e.KeyID
	}
	switch {
	case e.Err != nil:
		st.Fault = fault.OfStore(e.Err)
	case f.Adopted[st.Name]:
		st.Adoptable = f.c.AdoptKey
	case e.Unmarked() && !f.c.Overwrite:
		st.Fault = reason.EntryUnmarked
	case e.Owner != "" && e.Owner != f.owner:
		st.Fault = reason.EntryForeign
	}
	return st
}

// Excess returns the policies to take down, if the config asks for that, and the
// policies that the others leave granted.
func (f *Facts) Excess() ([]access.Drift, []access.Policy) {
	if !f.c.NarrowPolicies || len(f.c.Policies) == 0 {
		return nil, f.Granted
	}
	return access.Excess(f.c.Policies, f.Granted)
}

// outside returns the access groups that the service ID must join, as targets of
// steps.
func (f *Facts) outside() (labels []string) {
	for _, want := range f.c.Groups {
		if !slices.ContainsFunc(f.Member, func(g port.Group) bool { return g.ID == want || g.Name == want }) {
			labels = append(labels, access.Membership(want))
		}
	}
	return labels
}

// BearsFormer reports whether a service ID of ours can be renamed, and bears an earlier
// name of the credential.
func (f *Facts) BearsFormer(id port.ServiceID) bool {
	return id.Marked && f.c.Given == "" && id.Marker.Credential != f.c.Name && (id.ID == f.ServiceID.ID || !id.Locked)
}

// Leaving returns the input of offboard.Decide.
func (f *Facts) Leaving(d offboard.Demand) offboard.State {
	s := offboard.State{
		Demand: d, Exists: f.ServiceID.ID != "", Mark: f.ServiceID.Marker.Deprovision, Given: f.c.Given != "", Twice: len(f.Ours) > 1,
		Kept: f.c.Kept, Foreign: f.Foreign[f.ServiceID.IAMID],
	}
	for _, k := range f.Keys {
		s.Keys = append(s.Keys, offboard.Key{ID: k.ID, Disabled: k.Disabled || k.Expired(f.clock.Now()), Suspended: k.Suspended, Leaked: !k.Leaked.IsZero(), Used: k.Used})
	}
	for _, e := range f.Entries {
		s.Stores = append(s.Stores, offboard.Store{Name: e.Store.Name(), Unread: e.Err != nil, Ours: f.wrote(e)})
	}
	return s
}

// wrote reports whether an entry is one that we wrote for this credential: it names a
// key of it, or a key that IAM does not have any more and that our owner wrote.
func (f *Facts) wrote(e Reading) bool {
	return e.Err == nil && e.KeyID != "" && !f.Strange[e.KeyID] && !f.Unseen(e.KeyID) && (f.Listed(e.KeyID) || e.Owner == f.owner)
}

// Keyless returns the input of keyless.Decide for a credential with a trusted profile, of
// whose end d is demanded.
func (f *Facts) Keyless(published bool, d offboard.Demand) keyless.State {
	s := keyless.State{
		Wanted: f.c.Profile.Wanted, Unread: f.ProfileErr != nil, Assumed: f.Profile.Assumed,
		Identity: f.ServiceID.ID != "", Published: published, Ending: !f.ServiceID.Marker.Deprovision.IsZero(),
		Leaving: d.Ask == offboard.End, Force: d.Force, NotAgain: f.c.NotAgain,
		Ungranted: access.Missing(f.c.Policies, f.ProfileGranted), Others: f.Foreign[f.ServiceID.IAMID],
	}
	if f.OurProfile() {
		s.ID = f.Profile.ID
	} else {
		s.Foreign = f.Profile.ID
	}
	for _, l := range f.c.Profile.Links {
		if !slices.Contains(f.Profile.Links, l) {
			s.Unlinked = append(s.Unlinked, l.Label())
		}
	}
	for _, k := range f.Keys {
		s.Keys = append(s.Keys, keyless.Key{Created: k.Created, Used: k.Used, Suspended: k.Suspended, Live: k.Live(f.clock.Now())})
	}
	return s
}
