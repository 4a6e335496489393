package catalog

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Scope selects credentials. The zero Scope selects all of them.
type Scope struct {
	// Names are config entries or credentials, such as "logs-sender" or
	// "logs-sender/4f1a…".
	Names []string
	// Project is the ID of a Code Engine project: only its credentials.
	Project string
	// Secrets are names of secrets in Secrets Manager: only credentials that are
	// stored in one of them, or have its name.
	Secrets []string
	// With selects the credentials with these parameters. One may not exist yet.
	With map[string]string
	// Provision lets With add a credential that neither the config nor a marker
	// yields.
	Provision bool
	// Share selects one part of the credentials.
	Share Share
}

// Share is one of Size parts of the credentials, counted from 0. The zero Share
// is everything.
type Share struct{ Index, Size int }

// ReadShare returns the share of one index of a Code Engine job array. env looks
// variables up.
func ReadShare(env func(string) string) (share Share, err error) {
	share.Size = 1
	for name, into := range map[string]*int{"JOB_INDEX": &share.Index, "JOB_ARRAY_SIZE": &share.Size} {
		if v := env(name); v != "" {
			if *into, err = strconv.Atoi(v); err != nil || *into < 0 {
				return share, fmt.Errorf("reading %s %q: not a count", name, v)
			}
		}
	}
	share.Size = max(share.Size, 1)
	share.Index %= share.Size
	return share, nil
}

// has reports whether a credential belongs to this share. The hash is stable: a
// job index that is retried gets the same credentials.
func (s Share) has(credential string) bool {
	if s.Size < 2 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(credential))
	return h.Sum64()%uint64(s.Size) == uint64(s.Index) //nolint:gosec // both are counts
}

// everything reports whether the scope names no credential, project or
// parameters.
func (s Scope) everything() bool { return len(s.Names) == 0 && s.Project == "" && !s.Provision }

// mayInclude reports whether an entry can have a credential in the scope.
func (s Scope) mayInclude(e Entry) bool {
	return len(s.Names) == 0 || slices.ContainsFunc(s.Names, func(name string) bool { return e.called(entryOf(name)) })
}

// includes reports whether a credential that the config yields is in the scope.
func (s Scope) includes(c port.Credential) bool {
	if len(s.Names) > 0 && !slices.ContainsFunc(s.Names, func(name string) bool { return called(c, name) }) {
		return false
	}
	if s.Project != "" && c.With["project"] != s.Project {
		return false
	}
	for name, value := range s.With {
		if c.With[name] != value {
			return false
		}
	}
	return true
}

// selects reports whether a credential found in the scope passes its filters.
func (s Scope) selects(c port.Credential) bool {
	if !s.Share.has(c.Name) {
		return false
	}
	return len(s.Secrets) == 0 || Concerned(c, s.Secrets)
}

// Concerned reports whether the credential is stored in a secret with one of these
// names, or has such a name.
func Concerned(c port.Credential, secrets []string) bool {
	stored, _ := StoredIn(c, secrets)
	return stored || slices.Contains(secrets, c.ServiceIDName) || slices.Contains(secrets, c.Name)
}

// called reports whether a name is the credential's or its entry's, or a former
// one: keys keep the name under which they were minted.
func called(c port.Credential, name string) bool {
	return name == c.Entry || name == c.Name || slices.ContainsFunc(c.Former, func(former string) bool {
		return name == former || name == entryOf(former)
	})
}

// entryOf returns the entry's part of a credential's name.
func entryOf(credential string) string {
	entry, _, _ := strings.Cut(credential, "/")
	return entry
}

// secretStore is a store that keeps the key in a named secret of Secrets
// Manager.
type secretStore interface {
	// Secret returns the secret's name.
	Secret() string
	// Dates reports whether the key's expiry becomes the secret's.
	Dates() bool
}

// StoredIn reports whether the credential has a store in a Secrets Manager
// secret with one of these names, and whether the key's expiry is that secret's
// expiry.
func StoredIn(c port.Credential, secrets []string) (stored, dated bool) {
	for _, st := range c.Stores {
		if s, ok := st.(secretStore); ok && slices.Contains(secrets, s.Secret()) {
			stored, dated = true, dated || s.Dates()
		}
	}
	return stored, dated
}

// Unknown returns the names that name neither an entry of the config nor one of
// the credentials found for them.
func (c *Catalog) Unknown(names []string, found []port.Credential) (unknown []string) {
	for _, name := range names {
		entry := slices.ContainsFunc(c.cfg.Entries, func(e Entry) bool { return e.called(name) })
		if !entry && !slices.ContainsFunc(found, func(f port.Credential) bool { return called(f, name) }) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
