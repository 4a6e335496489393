// Package format turns a key into the texts that consumers read, and back.
//
// A store entry holds a text. By default the text is the key's value alone. A [Text]
// is a template of the value and of facts about the key: a docker config, a line of an
// .env file, a JSON document. A [Form] is the texts of all entries of one secret that
// hold one key. They are written in one write.
//
// # Reading back
//
// Rendering depends on nothing but the facts and the value, so it can be repeated.
// [Form.Read] finds the value in the text of the first entry, renders all texts with it
// and compares them with the stored ones. Only if all are equal is it the key's value:
//
//	Read(Write(v)) is v, for every v of letters, digits, - and _
//	Read(texts) is v only if Write(v) is texts
//
// Otherwise Read returns the stored texts, which are no key's value. The entry then
// counts as altered, and is repaired like any altered value. So a changed template
// needs no rule of its own.
package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Facts are what the config and the credential say. They are the same for all keys of
// a credential.
type Facts struct {
	Credential string
	Account    string // "" if the config names none
	Project    Project
	// Expire is the full lifetime of a key.
	Expire time.Duration
}

// Project is the Code Engine project of a credential with forEach.
type Project struct{ ID, Name, Region string }

// Form is the texts of the entries that hold one key. A nil Form is the value alone, in
// one entry.
type Form struct {
	Facts Facts
	// First is the text of the store's own entry. If nil, it is the value alone.
	First *Text
	// More are further entries of the same secret.
	More []Entry
}

// Entry is one further entry.
type Entry struct {
	Name string
	Text *Text // nil: the value alone
}

// Beside is what the name of the file that describes the key of a text ends in.
const Beside = ".latchkey"

// ErrTaken is returned by Read if another writer has an entry that the form needs.
var ErrTaken = errors.New("another writer's value")

// Names returns the names of all entries: the first, then the further ones.
func (f *Form) Names(first string) []string {
	names := []string{first}
	if f != nil {
		for _, e := range f.More {
			names = append(names, e.Name)
		}
	}
	return names
}

// further returns the names of the further entries.
func (f *Form) further() []string { return f.Names("")[1:] }

// Write returns the texts of all entries by name, and the metadata to write beside
// them.
func (f *Form) Write(first string, m entry.Metadata, v secret.Value) (map[string]secret.Value, entry.Metadata, error) {
	if f == nil {
		return map[string]secret.Value{first: v}, m, nil
	}
	m.Entries = strings.Join(f.further(), ",")
	texts := make(map[string]secret.Value, 1+len(f.More))
	for _, e := range f.all(first) {
		text, err := e.Text.render(f.facts(m), v)
		if err != nil {
			return nil, m, fmt.Errorf("rendering entry %s: %w", e.Name, err)
		}
		texts[e.Name] = text
	}
	return texts, m, nil
}

// Read returns the key's value in the stored texts, or the zero Value if there is no
// entry. text returns the text of an entry, or the zero Value. If the texts are not
// what Write makes of one value, Read returns the texts themselves.
func (f *Form) Read(first string, m entry.Metadata, text func(name string) secret.Value) (secret.Value, error) {
	if f == nil {
		return text(first), nil
	}
	ours := strings.Split(m.Entries, ",")
	var stored []secret.Value
	for _, name := range f.Names(first) {
		t := text(name)
		if t.Empty() {
			continue
		}
		if m.KeyID != "" && name != first && !slices.Contains(ours, name) {
			return nil, fmt.Errorf("entry %s: %w: delete it, or give the entry of the config another name", name, ErrTaken)
		}
		stored = append(stored, t)
	}
	if m.KeyID != "" && !text(first).Empty() {
		facts := f.facts(m)
		for v := range f.First.values(facts, text(first)) {
			if f.agrees(first, facts, v, text) {
				return v, nil
			}
		}
	}
	switch {
	case len(stored) == 0:
		return nil, nil
	case m.KeyID == "":
		return stored[0], nil
	}
	return join(stored), nil
}

// agrees reports whether the stored texts are those of the value.
func (f *Form) agrees(first string, facts data, v secret.Value, text func(string) secret.Value) bool {
	for _, e := range f.all(first) {
		want, err := e.Text.render(facts, v)
		if err != nil || !want.Equal(text(e.Name)) {
			return false
		}
	}
	return true
}

func (f *Form) all(first string) []Entry {
	return append([]Entry{{Name: first, Text: f.First}}, f.More...)
}

// facts returns what the templates see of a key, without its value.
func (f *Form) facts(m entry.Metadata) data {
	created := m.Created.UTC().Truncate(time.Second)
	d := data{
		ID: m.KeyID, IAMID: m.IAMID, ServiceID: strings.TrimPrefix(m.IAMID, "iam-"), Owner: m.Owner,
		Credential: f.Facts.Credential, Account: f.Facts.Account, Project: f.Facts.Project,
	}
	if !created.IsZero() {
		d.Created, d.Expires = created.Format(time.RFC3339), created.Add(f.Facts.Expire).Format(time.RFC3339)
	}
	return d
}

// join returns the texts as one, which is no key's value.
func join(texts []secret.Value) secret.Value {
	var b strings.Builder
	for _, t := range texts {
		b.WriteString(t.Expose())
		b.WriteByte('\n')
	}
	return secret.New(b.String())
}
