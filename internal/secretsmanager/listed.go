package secretsmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

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

// metadata are what IBM's documents call SecretMetadata.
type metadata struct {
	ID       string         `json:"id"`
	Type     string         `json:"secret_type"`
	Group    string         `json:"secret_group_id"`
	Name     string         `json:"name"`
	State    int64          `json:"state"`
	Versions int64          `json:"versions_total"`
	Custom   map[string]any `json:"custom_metadata"`
}

// about returns what the metadata of a secret of a type that can hold a key say, or nil.
func (x metadata) about() (name secretName, a *about) {
	const active = 1
	if !holdsKey(x.Type) {
		return secretName{}, nil
	}
	return secretName{x.Group, x.Type, x.Name}, &about{x.Versions, x.State == active, x.Custom}
}

// holdsKey reports whether secrets of the type can hold a key.
func holdsKey(kind string) bool { return kind == Arbitrary || kind == KeyValue }

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
func (s *Store) about(ctx context.Context, api upstream.Service) *about {
	id := s.known("")
	if id == "" {
		return nil
	}
	d := s.deed("reading the metadata of", "secret-metadata.read", forReading)
	got, err := send[metadata](ctx, api, d, upstream.Request{Method: http.MethodGet, Path: secrets(id, "metadata")})
	if err != nil {
		return nil
	}
	if _, a := got.about(); a != nil && a.versions > 0 {
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
func (s *Store) listed(ctx context.Context, api upstream.Service) (port.Entry, bool) {
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
func (s *Store) list(ctx context.Context, api upstream.Service) (map[secretName]*about, error) {
	d := deed{fmt.Sprintf("listing the secrets of instance %s in %s", s.cfg.Instance, s.cfg.Region), "secrets.list", forReading}
	all := map[secretName]*about{}
	err := each(ctx, api, d, url.Values{"secret_types": {Arbitrary + "," + KeyValue}}, func(x metadata) bool {
		if name, a := x.about(); a != nil {
			all[name] = a
		}
		return true
	})
	return all, err
}

// each calls do for every secret of a list, until do returns false.
func each(ctx context.Context, api upstream.Service, d deed, query url.Values, do func(metadata) bool) error {
	type list struct {
		Secrets []metadata `json:"secrets"`
		Next    *struct{}  `json:"next"`
	}
	const most = 1000
	query.Set("limit", strconv.Itoa(most))
	seen := upstream.Pages{Doing: d.doing, Most: maxPages}
	for offset := 0; ; {
		query.Set("offset", strconv.Itoa(offset))
		page, err := send[list](ctx, api, d, upstream.Request{Method: http.MethodGet, Path: secrets(), Query: query})
		if err != nil {
			return err
		}
		for _, x := range page.Secrets {
			if x.Type == "" { // it may be any secret
				return upstream.Incomplete(d.doing, "type of a secret")
			}
			if !do(x) {
				return nil
			}
		}
		if page.Next == nil || len(page.Secrets) == 0 {
			return nil
		}
		offset += len(page.Secrets)
		if more, err := seen.Next(strconv.Itoa(offset)); !more {
			return err
		}
	}
}
