package observe

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey-io/latchkey/internal/port"
)

// observeProfile reads the credential's trusted profile. A fault keeps no key from being
// rotated.
func (o *observation) observeProfile(ctx context.Context) {
	if o.c.Profile == nil || o.by.Profiles == nil {
		return
	}
	o.ProfileErr = o.rescue(func() (err error) {
		o.Profile, err = o.by.Profiles.FindProfile(ctx, o.c.Profile.Name)
		switch {
		case errors.Is(err, port.ErrNotFound):
			o.Profile, err = port.Profile{}, nil
		case err == nil && o.OurProfile():
			o.ProfileGranted, err = o.by.Identities.Granted(ctx, o.Profile.IAMID)
		}
		return err
	})
	if o.ProfileErr != nil {
		o.by.Log.Warn("reading the trusted profile", "error", o.ProfileErr.Error())
	}
}

// OurProfile reports whether the trusted profile is ours and this credential's.
func (f *Facts) OurProfile() bool {
	return f.Profile.Ours && slices.Contains(f.c.Names(), f.Profile.Marker.Credential)
}

// replaces reports whether the trusted profile may take the place of the keys.
func (o *observation) replaces() bool {
	return o.c.Profile != nil && o.c.Profile.Wanted && o.ProfileErr == nil && o.OurProfile() && !o.Profile.Assumed.IsZero()
}
