// Package entry defines what latchkey writes beside a key in a store, and which
// names a store takes. The stores and the config share it.
//
// A store entry holds one key's value. [Metadata] describes the key. Code
// Engine, Secrets Manager and Vault keep it in two companion entries of the
// same secret; for the entry IAM_API_KEY they are
//
//	IAM_API_KEY_ID        the key's ID
//	IAM_API_KEY_LATCHKEY  {"owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-…"}
//
// Kubernetes keeps it in annotations of the Secret:
//
//	key-id.latchkey.dev/IAM_API_KEY   the key's ID
//	created.latchkey.dev/IAM_API_KEY  IAM's created_at of the key, RFC 3339
//	iam-id.latchkey.dev/IAM_API_KEY   the service ID's IAM ID
//	owner.latchkey.dev/IAM_API_KEY    the installation that wrote it
//	entries.latchkey.dev/IAM_API_KEY  further entries with the same key, if there are any
//
// The Secret also has the label latchkey.dev/key, which finds it in a list.
package entry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The suffixes of an entry's companions.
const (
	suffixID       = "_ID"
	suffixMetadata = "_LATCHKEY"
)

// Metadata describes the key in a store entry. It never holds the value.
type Metadata struct {
	KeyID string `json:"key_id,omitempty"`
	// Version is the version of the secret that the metadata belongs to. Only the
	// custom metadata of a secret in Vault or Secrets Manager have it.
	Version int64     `json:"version,omitempty"`
	Owner   string    `json:"owner"`
	Created time.Time `json:"created"`
	IAMID   string    `json:"iam_id"`
	// Entries are the names of the further entries of the same secret that hold the
	// key, separated by commas.
	Entries string `json:"entries,omitempty"`
}

// Encode returns the metadata as one line of JSON.
func (m Metadata) Encode() (string, error) {
	m.Created = m.Created.UTC()
	text, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encoding the metadata of key %s: %w", m.KeyID, err)
	}
	return string(text), nil
}

// Decode reads what Encode wrote. A text that is not valid JSON yields the zero
// Metadata, because a hand-edited companion must not block a rotation.
func Decode(text string) Metadata {
	var m Metadata
	if json.Unmarshal([]byte(text), &m) != nil {
		return Metadata{}
	}
	return m
}

// Companions returns the entries to write beside the entry with the given name.
func (m Metadata) Companions(name string) (map[string]string, error) {
	id := m.KeyID
	m.KeyID, m.Version = "", 0
	text, err := m.Encode()
	if err != nil {
		return nil, err
	}
	return map[string]string{name + suffixID: id, name + suffixMetadata: text}, nil
}

// FromCompanions reads the companions of the entry with the given name. text
// returns the text of an entry of the secret, or "" if there is none.
func FromCompanions(name string, text func(name string) string) Metadata {
	m := Decode(text(name + suffixMetadata))
	m.KeyID = text(name + suffixID)
	return m
}

// Without returns the data of a secret without the entries with these names.
func Without[V any](data map[string]V, names []string) map[string]V {
	rest := maps.Clone(data)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// WithCompanions returns the names and those of the companions of the first.
func WithCompanions(names []string) []string {
	return append(slices.Clone(names), names[0]+suffixID, names[0]+suffixMetadata)
}

// domain is the last part of every annotation's prefix.
const domain = ".latchkey.dev/"

// Annotations returns the annotations to set on a Kubernetes Secret for the
// entry with the given name.
func (m Metadata) Annotations(name string) map[string]string {
	name = annotated(name)
	all := map[string]string{
		"key-id" + domain + name:  m.KeyID,
		"created" + domain + name: m.Created.UTC().Format(time.RFC3339),
		"iam-id" + domain + name:  m.IAMID,
		"owner" + domain + name:   m.Owner,
	}
	if m.Entries != "" {
		all[EntriesAnnotation(name)] = m.Entries
	}
	return all
}

// Label is the name of the label of a Secret with an entry.
const Label = "latchkey.dev/key"

// EntriesAnnotation returns the name of the annotation for the further entries of the
// entry with the given name. A Secret without further entries lacks it.
func EntriesAnnotation(name string) string { return "entries" + domain + annotated(name) }

// annotated returns an entry's name as it stands in the name of an annotation.
func annotated(name string) string { return strings.TrimPrefix(name, ".") }

// FromAnnotations reads the annotations of the entry with the given name.
// Created is zero if its annotation is missing or not a time.
func FromAnnotations(name string, annotations map[string]string) Metadata {
	name = annotated(name)
	m := Metadata{
		KeyID: annotations["key-id"+domain+name],
		IAMID: annotations["iam-id"+domain+name],
		Owner: annotations["owner"+domain+name], Entries: annotations[EntriesAnnotation(name)],
	}
	m.Created, _ = time.Parse(time.RFC3339, annotations["created"+domain+name])
	return m
}

// TemplateAnnotation returns the name of the annotation that a restart sets on a
// workload's pod template. It contains the secret and the entry: if two
// credentials shared one annotation, each would overwrite the other's and
// restart the workload for ever. A long name is cut and gets a hash.
func TemplateAnnotation(secret, name string) string {
	const longest = 63
	full := secret + "." + name
	if len(full) > longest {
		sum := sha256.Sum256([]byte(full))
		tail := hex.EncodeToString(sum[:8])
		full = full[:longest-len(tail)-1] + "." + tail
	}
	return "key-id" + domain + full
}
