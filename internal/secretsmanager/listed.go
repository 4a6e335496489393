package secretsmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// about is what the metadata of a secret say. A list has them, and neither the values nor
// the metadata of versions.
type about struct {
	versions int64 // in all
	active   bool
	custom   map[string]any
}

// secretName is what a secret is found by. Names may be free per group.
type secretName struct{ group, kind, name string }

// aboutOf returns the metadata of a secret of a type that can hold a key.
func aboutOf(x sm.SecretMetadataIntf) (name secretName, a *about) {
	const active = 1
	number := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	switch x := x.(type) {
	case *sm.ArbitrarySecretMetadata:
		return secretName{text(x.SecretGroupID), Arbitrary, text(x.Name)}, &about{number(x.VersionsTotal), number(x.State) == active, x.CustomMetadata}
	case *sm.KVSecretMetadata:
		return secretName{text(x.SecretGroupID), KeyValue, text(x.Name)}, &about{number(x.VersionsTotal), number(x.State) == active, x.CustomMetadata}
	}
	return secretName{}, nil
}

// mark returns what the custom metadata say about the key of the current version. It
// returns false if they are about an earlier version, or about none.
func (a *about) mark(name string) (m entry.Metadata, ok bool) {
	noted, _ := a.custom[name].(string)
	m = entry.Decode(noted)
	return m, m.KeyID != "" && m.Version > 0 && m.Version == a.versions
}

// longestCustom is the size limit of a secret's custom metadata.
const longestCustom = 10 << 10

// next returns the custom metadata for the version after the current one, in which an entry
// has another key and the other entries are as they were. It returns nil, which changes
// nothing, if the metadata are unknown or would be too long.
func (a *about) next(name string, m entry.Metadata) map[string]any {
	if a == nil {
		return nil
	}
	next := map[string]any{}
	maps.Copy(next, a.custom)
	set := func(name string, m entry.Metadata) {
		m.Version = a.versions + 1
		if noted, err := m.Encode(); err == nil {
			next[name] = noted
		}
	}
	for other := range a.custom {
		if kept, ok := a.mark(other); ok && strings.HasPrefix(other, markName) {
			set(other, kept)
		}
	}
	set(name, m)
	if text, err := json.Marshal(next); err != nil || len(text) > longestCustom {
		return nil
	}
	return next
}

// about reads the metadata of the secret. They only spare later sweeps calls, so nil is
// returned if they can't be read.
func (s *Store) about(ctx context.Context, api *sm.SecretsManagerV2) *about {
	id := s.known("")
	if id == "" {
		return nil
	}
	d := s.deed("reading the metadata of", "secret-metadata.read", forReading)
	got, resp, err := api.GetSecretMetadataWithContext(ctx, &sm.GetSecretMetadataOptions{ID: &id})
	if d.fault(ctx, resp, err) != nil {
		return nil
	}
	if _, a := aboutOf(got); a != nil && a.versions > 0 {
		return a
	}
	return nil
}

// place is an instance.
type place struct{ instance, region string }

// Place satisfies listing.Placed.
func (s *Store) Place() any { return place{s.cfg.Instance, s.cfg.Region} }

// listed returns the entry without its value from the list of the instance's secrets, if
// the looks of a sweep share it. It returns false if the list does not show that the
// current version is latchkey's, and for texts, which are compared with the value.
func (s *Store) listed(ctx context.Context, api *sm.SecretsManagerV2) (port.Entry, bool) {
	if s.cfg.Form != nil {
		return port.Entry{}, false
	}
	all, ok := listing.Of(ctx, s.Place(), "secrets", func() (map[secretName]*about, error) { return s.list(ctx, api) })
	if !ok {
		return port.Entry{}, false
	}
	group, ok := listing.Of(ctx, s.Place(), "group "+s.cfg.Group, func() (string, error) { return s.group(ctx, api, "reading") })
	a := all[secretName{group, s.cfg.Type, s.cfg.Secret}]
	if !ok || a == nil || !a.active {
		return port.Entry{}, false
	}
	m, ok := a.mark(s.markName())
	return port.Entry{KeyID: m.KeyID, Created: m.Created, IAMID: m.IAMID, Owner: m.Owner}, ok
}

// list returns the metadata of all secrets of the instance that can hold a key.
func (s *Store) list(ctx context.Context, api *sm.SecretsManagerV2) (map[secretName]*about, error) {
	d := deed{fmt.Sprintf("listing the secrets of instance %s in %s", s.cfg.Instance, s.cfg.Region), "secrets.list", forReading}
	all := map[secretName]*about{}
	err := each(ctx, api, d, &sm.ListSecretsOptions{SecretTypes: []string{Arbitrary, KeyValue}}, func(x sm.SecretMetadataIntf) bool {
		if name, a := aboutOf(x); a != nil {
			all[name] = a
		}
		return true
	})
	return all, err
}

// each calls do for every secret of a list, until do returns false.
func each(ctx context.Context, api *sm.SecretsManagerV2, d deed, o *sm.ListSecretsOptions, do func(sm.SecretMetadataIntf) bool) error {
	const most = 1000
	o.Limit, o.Offset = core.Int64Ptr(most), core.Int64Ptr(0)
	seen := upstream.Pages{Doing: d.doing, Most: maxPages}
	for {
		page, resp, err := api.ListSecretsWithContext(ctx, o)
		if err = d.fault(ctx, resp, err); err != nil {
			return err
		}
		for _, x := range page.Secrets {
			if !do(x) {
				return nil
			}
		}
		if page.Next == nil || len(page.Secrets) == 0 {
			return nil
		}
		*o.Offset += int64(len(page.Secrets))
		if more, err := seen.Next(fmt.Sprint(*o.Offset)); !more {
			return err
		}
	}
}
