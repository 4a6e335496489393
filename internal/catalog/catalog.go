// Package catalog finds which credentials exist: the config's entries, expanded
// over the Code Engine projects that exist and over the parameters that markers
// record.
//
//	entry            forEach: codeengine.projects   one credential per project
//	                 uses with.NAME                  one credential per set of parameters: those in
//	                                                 markers, and those of a provision event
//	                 neither                         one credential
//	marker, no entry                                 an unconfigured credential: reported, or ended
//	                                                 if its project is gone and onGone is revoke
//
// Two credentials that want the same service ID or the same location in a store
// collide, and both are marked so.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// ErrExcluded is what Expand returns for an input that the entry's condition
// excludes.
var ErrExcluded = errors.New("excluded by the entry's condition")

// Input is what an entry is expanded with: a project, parameters or nothing.
type Input struct {
	Project *codeengine.Project
	With    map[string]string
}

// Entry is one item of the config's credentials.
type Entry struct {
	Name string
	// Formerly are names that the entry had before.
	Formerly []string
	// PerProject: one credential for each Code Engine project.
	PerProject bool
	// PerParameters: one credential for each set of parameters.
	PerParameters bool
	// RevokeGone ends the keys of a credential whose project was deleted.
	RevokeGone bool
	Paused     bool
	// Rules returns the rotation rules of a credential.
	Rules func(credential string) rotation.Rules
	// Expand builds one credential with its adapters, or returns ErrExcluded.
	Expand func(Input) (reconcile.Credential, error)
}

// called reports whether name is the entry's, or a former one.
func (e Entry) called(name string) bool { return name == e.Name || slices.Contains(e.Formerly, name) }

// others returns the names that a credential has or had beside this one: its
// keys were minted under any of them.
func (e Entry) others(credential string) (names []string) {
	head := entryOf(credential)
	for _, other := range append([]string{e.Name}, e.Formerly...) {
		if other != head {
			names = append(names, other+strings.TrimPrefix(credential, head))
		}
	}
	return names
}

// Config is what a Catalog reads.
type Config struct {
	Entries []Entry
	// Regions are the regions that the config names.
	Regions []string
	// Projects lists the Code Engine projects of these regions.
	Projects func(context.Context) ([]codeengine.Project, error)
	// Project reads one project; reconcile.ErrNotFound when it was deleted for
	// good.
	Project func(ctx context.Context, region, id string) (codeengine.Project, error)
	// Marked lists the service IDs that carry our owner's marker. Those that are
	// not Ours add no credential.
	Marked func(context.Context) ([]reconcile.ServiceID, error)
	// Tasks lists credentials of Secrets Manager tasks that a run left
	// unfinished; nil lists none.
	Tasks func(context.Context) ([]reconcile.Credential, error)
}

// Catalog finds credentials. It is safe for concurrent use.
type Catalog struct{ cfg Config }

// New returns a Catalog. Nothing is called yet.
func New(cfg Config) *Catalog { return &Catalog{cfg: cfg} }

// Credentials returns the credentials in the scope. An error may come with
// credentials: it names what could not be listed.
func (c *Catalog) Credentials(ctx context.Context, scope Scope) ([]reconcile.Credential, error) {
	s := &search{
		Catalog: c, scope: scope, wanted: map[string]string{}, added: map[string]bool{}, names: map[string]bool{}, unsure: map[string]bool{},
		projects: sync.OnceValues(func() ([]codeengine.Project, error) { return c.cfg.Projects(ctx) }),
		marked:   sync.OnceValues(func() ([]reconcile.ServiceID, error) { return c.cfg.Marked(ctx) }),
	}
	for _, e := range c.cfg.Entries {
		s.entry(e)
	}
	if scope.everything() {
		s.unconfigured(ctx)
		if c.cfg.Tasks != nil {
			tasks, err := c.cfg.Tasks(ctx)
			s.found, s.unknown = append(s.found, tasks...), errors.Join(s.unknown, err)
		}
	}
	return slices.DeleteFunc(s.found, func(found reconcile.Credential) bool { return !scope.selects(found) }), s.unknown
}

// search gathers the credentials of one scope.
type search struct {
	*Catalog
	scope    Scope
	projects func() ([]codeengine.Project, error)
	marked   func() ([]reconcile.ServiceID, error)

	found   []reconcile.Credential
	unknown error             // what could not be listed
	wanted  map[string]string // service ID name or store location → credential
	added   map[string]bool   // credentials that entries yield, in the scope or not
	names   map[string]bool   // every name that a credential has or had
	unsure  map[string]bool   // entries whose credentials are not all known
}

// entry adds the credentials of one entry. An entry outside the scope may still
// collide with one inside, so its projects are expanded too. One that needs
// IAM's whole list to know its credentials is left to a sweep.
func (s *search) entry(e Entry) {
	may := s.scope.mayInclude(e)
	if !may && e.PerParameters {
		return
	}
	switch {
	case e.PerProject:
		list, err := s.projects()
		if may {
			s.unknown = errors.Join(s.unknown, err)
		}
		s.unsure[e.Name] = err != nil
		for _, p := range list {
			s.add(e, Input{Project: &p})
		}
	case e.PerParameters:
		sets := []map[string]string{}
		ids, err := s.marked()
		s.unknown = errors.Join(s.unknown, err)
		s.unsure[e.Name] = err != nil
		for _, id := range ids {
			if id.Ours && e.called(entryOf(id.Marker.Credential)) {
				sets = append(sets, id.Marker.With)
			}
		}
		if s.scope.Provision && len(s.scope.With) > 0 {
			sets = append(sets, s.scope.With)
		}
		for _, with := range sets {
			s.add(e, Input{With: with})
		}
	default:
		s.add(e, Input{})
	}
}

// add expands one credential, and finds what it collides with. It ignores one
// that it has added before: two replicas may have created its service ID twice,
// and an event may provision what a marker records.
func (s *search) add(e Entry, in Input) {
	c, err := e.Expand(in)
	switch {
	case errors.Is(err, ErrExcluded):
		return
	case err != nil:
		s.unsure[e.Name] = true
		if s.scope.mayInclude(e) {
			s.unknown = errors.Join(s.unknown, err)
		}
		return
	}
	if s.added[c.Name] {
		return
	}
	s.added[c.Name] = true
	for _, name := range append([]string{c.Name}, c.Former...) {
		s.names[name] = true
	}
	wants := []string{"service ID " + c.Given + c.ServiceIDName}
	for _, st := range c.Stores {
		wants = append(wants, "store "+st.Name())
	}
	for _, want := range wants {
		if other, taken := s.wanted[want]; taken {
			c.Collides = true
			for i := range s.found {
				s.found[i].Collides = s.found[i].Collides || s.found[i].Name == other
			}
		}
		s.wanted[want] = c.Name
	}
	if s.scope.includes(c) {
		s.found = append(s.found, c)
	}
}

// mostForged limits the reports about service IDs that others made: any member
// of the account can make many.
const mostForged = 10

// unconfigured adds service IDs that carry our marker and belong to no entry's
// credential, or are not ours.
func (s *search) unconfigured(ctx context.Context) {
	ids, err := s.marked()
	if err != nil {
		s.unknown = errors.Join(s.unknown, err)
		return
	}
	forged := 0
	for _, id := range ids {
		if !id.Ours {
			// Its marker may name any credential, so it is reported by its own ID.
			if forged++; forged <= mostForged {
				s.found = append(s.found, reconcile.Credential{Name: id.ID, Unconfigured: &id, Forged: true})
			}
			continue
		}
		name := id.Marker.Credential
		if s.names[name] {
			continue
		}
		s.names[name] = true // two service IDs of one name are one credential
		i := slices.IndexFunc(s.cfg.Entries, func(e Entry) bool { return e.called(entryOf(name)) })
		if i >= 0 && s.unsure[s.cfg.Entries[i].Name] {
			continue // it may belong to one that could not be listed
		}
		if i >= 0 && s.cfg.Entries[i].RevokeGone {
			gone, err := s.gone(ctx, id.Marker.With)
			if err != nil {
				s.unknown = errors.Join(s.unknown, fmt.Errorf("checking whether the project of %s was deleted: %w", name, err))
				continue
			}
			if gone {
				e := s.cfg.Entries[i]
				s.found = append(s.found, reconcile.Credential{
					Name: name, Entry: e.Name, Former: e.others(name), With: id.Marker.With, ServiceIDName: id.Name, Gone: true,
					Rules: e.Rules(name), Paused: e.Paused,
				})
				continue
			}
		}
		s.found = append(s.found, reconcile.Credential{Name: name, Unconfigured: &id})
	}
}

// gone reports whether a project was deleted for good. Absence from a list
// proves nothing, nor does a region that the config no longer names. A deleted
// project can be restored for a while, and exists until then.
func (c *Catalog) gone(ctx context.Context, with map[string]string) (bool, error) {
	id, region := with["project"], with["region"]
	if id == "" || !slices.Contains(c.cfg.Regions, region) {
		return false, nil
	}
	_, err := c.cfg.Project(ctx, region, id)
	if errors.Is(err, reconcile.ErrNotFound) {
		return true, nil
	}
	return false, err
}
