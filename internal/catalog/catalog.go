// Package catalog finds which credentials exist: the config's entries, expanded
// over the Code Engine projects that exist and over the parameters that markers
// record.
//
//	entry            forEach: codeengine.projects   one credential per project
//	                 uses with.NAME                  one credential per set of parameters: those in
//	                                                 markers, and those of a provision event
//	                 neither                         one credential
//	name, no marker                                  a lost credential: its service ID was deleted,
//	                                                 and a store still names its key
//	marker, no entry                                 an unconfigured credential: reported, or ended
//	                                                 if its project is gone and onGone is revoke
//	                                                 or retire, which takes a trusted profile, too
//
// Two credentials that want the same location in a store or the same service ID
// collide. The one that has a service ID in IAM keeps it, and the other one is marked
// so. If both have one, or neither, both are marked.
package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// ErrExcluded is what Expand returns for an input that the entry's condition
// excludes.
var ErrExcluded = errors.New("excluded by the entry's condition")

// ErrParameters says that an entry makes no credential of the parameters of a
// provision event.
var ErrParameters = errors.New("the parameters make no credential")

// Input is what an entry is expanded with: a project, parameters or nothing.
type Input struct {
	Project *codeengine.Project
	With    map[string]string
	// Existing is that of the credential.
	Existing bool
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
	// RetireGone deprovisions it, with the durations in Offboard.
	RetireGone bool
	Offboard   offboard.Rules
	Paused     bool
	// Trusts is set if its credentials have trusted profiles.
	Trusts bool
	// Rules returns the rotation rules of a credential.
	Rules func(credential string) protocol.Rules
	// Expand builds one credential with its adapters, or returns ErrExcluded. With
	// any other error, the credential has its name, unless the input gives it none.
	Expand func(Input) (port.Credential, error)
	// Parameters returns the parameters that a credential's name has; nil has none.
	Parameters func(credential string) (with map[string]string, ok bool)
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
	// Project reads one project; port.ErrNotFound when it was deleted for
	// good.
	Project func(ctx context.Context, region, id string) (codeengine.Project, error)
	// Marked lists the service IDs that carry our owner's marker. Those that are
	// not Ours add no credential.
	Marked func(context.Context) ([]port.ServiceID, error)
	// Profiles lists the trusted profiles that are ours. It is called if an entry that
	// Trusts has RetireGone.
	Profiles func(context.Context) ([]port.Profile, error)
	// Known returns the names of credentials that this process has seen; nil returns none.
	// One with parameters that has no marker any more is looked for in its stores.
	Known func() []string
	// Tasks lists credentials of Secrets Manager tasks that a run left
	// unfinished; nil lists none.
	Tasks func(context.Context) ([]port.Credential, error)
}

// Catalog finds credentials. It is safe for concurrent use.
type Catalog struct{ cfg Config }

// New returns a Catalog. Nothing is called yet.
func New(cfg Config) *Catalog { return &Catalog{cfg: cfg} }

// listTime bounds a list of a whole account: 1,000 pages of service IDs are read in a few
// minutes. Pages that come slowly and without end hold a job no longer than that.
const listTime = 10 * time.Minute

// listed returns a function that reads a list once, within listTime.
func listed[T any](ctx context.Context, list func(context.Context) ([]T, error)) func() ([]T, error) {
	return sync.OnceValues(func() ([]T, error) {
		ctx, cancel := context.WithTimeout(ctx, listTime)
		defer cancel()
		return list(ctx)
	})
}

// Credentials returns the credentials in the scope. An error may come with
// credentials: it names what could not be listed.
func (c *Catalog) Credentials(ctx context.Context, scope Scope) ([]port.Credential, error) {
	s := &search{
		Catalog: c, scope: scope, wanted: map[string][]claim{}, added: map[string]bool{}, names: map[string]bool{}, unsure: map[string]bool{},
		projects: listed(ctx, c.cfg.Projects),
		marked:   listed(ctx, c.cfg.Marked),
		held:     func(st port.Store) bool { e, err := st.Read(ctx); return err == nil && e.KeyID != "" },
	}
	if scope.everything() {
		s.found = make([]port.Credential, 0, len(c.cfg.Entries))
	}
	for _, e := range c.cfg.Entries {
		s.entry(e)
	}
	s.collide()
	if scope.everything() {
		s.unconfigured(ctx)
		if c.cfg.Tasks != nil {
			tasks, err := c.cfg.Tasks(ctx)
			s.found, s.unknown = append(s.found, tasks...), errors.Join(s.unknown, err)
		}
	}
	return slices.DeleteFunc(s.found, func(found port.Credential) bool { return !scope.selects(found) }), s.unknown
}

// search gathers the credentials of one scope.
type search struct {
	*Catalog
	scope    Scope
	projects func() ([]codeengine.Project, error)
	marked   func() ([]port.ServiceID, error)
	held     func(port.Store) bool // a store names a key

	found   []port.Credential
	unknown error              // what could not be listed
	wanted  map[string][]claim // by service ID name or store location
	added   map[string]bool    // credentials that entries yield, in the scope or not
	names   map[string]bool    // every name that a credential has or had
	unsure  map[string]bool    // entries whose credentials are not all known
}

// claim is a credential that wants a service ID or a location in a store. It yields a
// service ID's name for its own one.
type claim struct {
	name   string
	former []string
	yields bool
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
			s.add(e, Input{Project: &p}, "")
		}
	case e.PerParameters:
		ids, err := s.marked()
		s.unknown = errors.Join(s.unknown, err)
		s.unsure[e.Name] = err != nil
		if s.scope.Provision && len(s.scope.With) > 0 {
			s.provision(e)
		}
		for _, id := range ids {
			if id.Ours && e.called(entryOf(id.Marker.Credential)) {
				s.add(e, Input{With: id.Marker.With, Existing: true}, id.Marker.Credential)
			}
		}
		if err == nil {
			s.lost(e)
		}
	default:
		s.add(e, Input{}, e.Name)
	}
}

// add expands one credential. It ignores one that it has added before: two replicas
// may have created its service ID twice, and an event may provision what a marker
// records. One that cannot be expanded is blocked, and holds back no other. known is
// its name if the input gives it none.
func (s *search) add(e Entry, in Input, known string) {
	c, err := e.Expand(in)
	if err != nil && !errors.Is(err, ErrExcluded) {
		c = port.Credential{
			Name: cmp.Or(c.Name, known), Entry: e.Name, With: c.With, Rules: c.Rules, Paused: c.Paused, Former: c.Former, Invalid: err,
		}
	}
	switch {
	case errors.Is(err, ErrExcluded):
		return
	case c.Name == "":
		s.unsure[e.Name] = true
		if s.scope.mayInclude(e) {
			s.unknown = errors.Join(s.unknown, err)
		}
		return
	}
	if s.added[c.Name] {
		return
	}
	s.added[c.Name], c.Existing = true, in.Existing
	if in.Project != nil {
		c.Project = in.Project.Name
	}
	for _, name := range append([]string{c.Name}, c.Former...) {
		s.names[name] = true
	}
	wants := []string{wantedName(c)}
	for _, st := range c.Stores {
		wants = append(wants, "store "+st.Name())
	}
	if c.Invalid != nil {
		wants = nil
	}
	for _, want := range wants {
		s.wanted[want] = append(s.wanted[want], claim{c.Name, c.Former, c.OwnName != "" && want == wants[0]})
	}
	if s.scope.includes(c) {
		s.found = append(s.found, c)
	}
}

// provision adds the credential of a provision event. Parameters of which the entry
// makes no credential are a fault of the event.
func (s *search) provision(e Entry) {
	in := Input{With: s.scope.With}
	if _, err := e.Expand(in); err != nil && !errors.Is(err, ErrExcluded) {
		s.unknown = errors.Join(s.unknown, fmt.Errorf("%w: %w", ErrParameters, err))
		return
	}
	s.add(e, in, "")
}

// lost adds credentials that no marker shows any more, and whose key a store names. They
// are known by their names: from the scope, or from this process.
func (s *search) lost(e Entry) {
	names := slices.Clone(s.scope.Names)
	if s.cfg.Known != nil {
		names = append(names, s.cfg.Known()...)
	}
	for _, name := range names {
		if e.Parameters == nil || s.added[name] || !e.called(entryOf(name)) {
			continue
		}
		with, ok := e.Parameters(name)
		if !ok {
			continue
		}
		c, err := e.Expand(Input{With: with})
		if err != nil || s.added[c.Name] || !s.scope.includes(c) || !slices.ContainsFunc(c.Stores, s.held) {
			continue
		}
		s.add(e, Input{With: with, Existing: true}, "")
	}
}

// collide marks the credentials that want what another one has or wants, too.
func (s *search) collide() {
	for _, want := range slices.Sorted(maps.Keys(s.wanted)) {
		rivals := s.wanted[want]
		if len(rivals) < 2 {
			continue
		}
		rivals = slices.DeleteFunc(slices.Clone(rivals), func(c claim) bool {
			if c.yields {
				s.change(c.name, func(found *port.Credential) { found.SharesName = true })
			}
			return c.yields
		})
		if len(rivals) < 2 {
			continue
		}
		holders := s.holders(rivals)
		for i, c := range rivals {
			other := rivals[(i+1)%len(rivals)].name
			if len(holders) == 1 {
				other = holders[0]
			}
			if other != c.name {
				s.change(c.name, func(found *port.Credential) {
					found.Collides = cmp.Or(found.Collides, fmt.Sprintf("%s is also that of %s", want, other))
				})
			}
		}
	}
}

// change changes a credential that was found.
func (s *search) change(name string, to func(*port.Credential)) {
	for i := range s.found {
		if s.found[i].Name == name {
			to(&s.found[i])
		}
	}
}

// wantedName is what a credential wants as its service ID.
func wantedName(c port.Credential) string { return "service ID " + c.Given + c.ServiceIDName }

// holders returns those of the credentials that have a service ID of ours in IAM.
func (s *search) holders(of []claim) (names []string) {
	ids, err := s.marked()
	if err != nil {
		s.unknown = errors.Join(s.unknown, err)
		return nil
	}
	for _, c := range of {
		if slices.ContainsFunc(ids, func(id port.ServiceID) bool {
			return id.Ours && (id.Marker.Credential == c.name || slices.Contains(c.former, id.Marker.Credential))
		}) {
			names = append(names, c.name)
		}
	}
	return names
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
	for i := range ids {
		id := &ids[i]
		if !id.Ours {
			// Its marker may name any credential, so it is reported by its own ID.
			if forged++; forged <= mostForged {
				s.found = append(s.found, port.Credential{Name: id.ID, Unconfigured: new(*id), Forged: true})
			}
			continue
		}
		name := id.Marker.Credential
		if s.names[name] {
			continue
		}
		s.names[name] = true // two service IDs of one name are one credential
		i, gone, ok := s.over(ctx, name, id.Marker.With)
		switch {
		case !ok:
		case gone:
			s.retire(s.cfg.Entries[i], name, id.Marker.With, id.Name)
		default:
			s.found = append(s.found, port.Credential{Name: name, Unconfigured: new(*id)})
		}
	}
	s.profiles(ctx)
}

// over returns the entry of a marked credential that the config does not yield, and
// whether the credential is to end because its project is gone. ok is false if that is not
// known.
func (s *search) over(ctx context.Context, name string, with map[string]string) (entry int, gone, ok bool) {
	i := slices.IndexFunc(s.cfg.Entries, func(e Entry) bool { return e.called(entryOf(name)) })
	switch {
	case i >= 0 && s.unsure[s.cfg.Entries[i].Name]:
		return i, false, false // it may belong to one that could not be listed
	case i < 0 || !s.cfg.Entries[i].RevokeGone && !s.cfg.Entries[i].RetireGone:
		return i, false, true
	}
	gone, err := s.gone(ctx, with)
	if err != nil {
		s.unknown = errors.Join(s.unknown, fmt.Errorf("checking whether the project of %s was deleted: %w", name, err))
	}
	return i, gone, err == nil
}

// retire adds a credential whose project is gone.
func (s *search) retire(e Entry, name string, with map[string]string, serviceID string) {
	s.found = append(s.found, port.Credential{
		Name: name, Entry: e.Name, Former: e.others(name), With: with, ServiceIDName: serviceID, Gone: true,
		RetireGone: e.RetireGone, Offboard: e.Offboard,
		Rules: e.Rules(name), Paused: e.Paused,
	})
}

// profiles gives the credentials that are deprovisioned, because their project is gone,
// their trusted profiles. Often a profile is all that such a credential has.
func (s *search) profiles(ctx context.Context) {
	if !slices.ContainsFunc(s.cfg.Entries, func(e Entry) bool { return e.Trusts && e.RetireGone }) {
		return
	}
	all, err := s.cfg.Profiles(ctx)
	if err != nil {
		s.unknown = errors.Join(s.unknown, err)
		return
	}
	for _, p := range all {
		name := p.Marker.Credential
		if !s.names[name] {
			s.names[name] = true
			if i, gone, ok := s.over(ctx, name, p.Marker.With); ok && gone {
				s.retire(s.cfg.Entries[i], name, p.Marker.With, p.Name)
			}
		}
		s.change(name, func(found *port.Credential) {
			if found.Gone && found.RetireGone {
				found.Profile = &port.TrustedProfile{Name: p.Name}
			}
		})
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
	if errors.Is(err, port.ErrNotFound) {
		return true, nil
	}
	return false, err
}
