package simulate

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// edition is which version of latchkey a replica runs.
type edition int

const (
	present edition = iota
	earlier         // it does not know the newest marks
	later           // it writes a mark that the present version does not know
)

// former is IAM for the frozen behaviour of an earlier version. It keeps the fields of
// a marker that it does not know, and decides without them.
type former struct{ iam }

func forget(k protocol.Key) protocol.Key {
	k.Print, k.Served, k.Stores = "", time.Time{}, nil
	k.Refused, k.Refusal = time.Time{}, ""
	return k
}

func (i former) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	l, err := i.iam.List(ctx, iamID, creds...)
	for n := range l.Keys {
		l.Keys[n] = forget(l.Keys[n])
	}
	return l, err
}

func (i former) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	rec, err := i.iam.Get(ctx, keyID)
	rec.Key = forget(rec.Key)
	return rec, err
}

// Update leaves out the marks that the version does not have.
func (i former) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	c.Refused, c.Refusal, c.Served = time.Time{}, "", time.Time{}
	if c == (port.KeyChange{}) {
		return rec, nil
	}
	now, err := i.iam.Update(ctx, rec, c)
	now.Key = forget(now.Key)
	return now, err
}

// coming is IAM for a later version, which writes a field of its own.
type coming struct{ iam }

const fieldOfLater = "soon=1"

// extend adds the later version's field to a marker.
func extended(description string) string {
	m, text, ok := marker.Parse(description)
	if !ok || slices.Contains(m.Unknown, fieldOfLater) {
		return description
	}
	m.Unknown = append(m.Unknown, fieldOfLater)
	return m.Describe(text)
}

func (i coming) Mint(ctx ctx, m port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	m.Description = extended(m.Description)
	return i.iam.Mint(ctx, m, v)
}

func (i coming) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	rec.Description = extended(rec.Description)
	return i.iam.Update(ctx, rec, c)
}

func (i coming) Create(ctx context.Context, name, description string) (port.ServiceID, error) {
	return i.iam.Create(ctx, name, extended(description))
}

// checkFields checks that an update keeps what another version wrote: P7.
func (s *sim) checkFields(thing, before, after string) {
	old, _, _ := s.parse(before)
	now, _, _ := s.parse(after)
	for _, field := range old.Unknown {
		if !slices.Contains(now.Unknown, field) {
			s.violate("P7", "takes %s off %s, which another version wrote", field, s.nick(thing))
		}
	}
}
