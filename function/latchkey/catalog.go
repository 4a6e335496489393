package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// Credentials makes the house the catalog: the config's entries, expanded over
// the projects that exist and the parameters that markers keep. A look at
// everything also finds what carries our marker and is yielded by nothing.
func (h *house) Credentials(ctx context.Context, scope reconcile.Scope) ([]reconcile.Credential, error) {
	y := &yield{
		house: h, scope: scope, wanted: map[string]string{}, names: map[string]bool{}, unsure: map[string]bool{},
		projects: sync.OnceValues(func() ([]codeengine.Project, error) { return h.codeengine.Projects(ctx, h.cfg.Regions) }),
		marked:   sync.OnceValues(func() ([]reconcile.ServiceID, error) { return h.iam.Ours(ctx) }),
	}
	for _, e := range h.cfg.Entries {
		y.entry(e)
	}
	if all := len(scope.Names) == 0 && scope.Project == "" && scope.Secret == "" && !scope.Provision; all {
		y.orphans(ctx)
		unfinished, err := h.unfinished(ctx)
		y.found, y.unknown = append(y.found, unfinished...), errors.Join(y.unknown, err)
	}
	return y.found, y.unknown
}

// yield gathers the credentials of one scope.
type yield struct {
	*house
	scope    reconcile.Scope
	projects func() ([]codeengine.Project, error)
	marked   func() ([]reconcile.ServiceID, error)

	found   []reconcile.Credential
	unknown error             // what kept something from being known
	wanted  map[string]string // service ID name or place in a store → credential
	names   map[string]bool   // every name that an instance has or had
	unsure  map[string]bool   // entries of which not every instance is known
}

// entry adds what one entry yields.
func (y *yield) entry(e *config.Entry) {
	// An entry of many instances may collide with what is in the scope. One
	// that needs IAM's whole list to know its instances is left to a sweep.
	may := mayYield(y.scope, e)
	if !may && e.UsesWith() {
		return
	}
	switch {
	case e.ForEach != "":
		list, err := y.projects()
		if may {
			y.unknown = errors.Join(y.unknown, err)
		}
		y.unsure[e.Name] = err != nil
		for _, p := range list {
			y.add(e, config.Input{Project: &config.Project{
				ID: p.ID, Name: p.Name, Region: p.Region, ResourceGroup: p.ResourceGroup, CRN: p.CRN, Status: p.Status,
			}})
		}
	case e.UsesWith():
		sets := []map[string]string{}
		ids, err := y.marked()
		y.unknown = errors.Join(y.unknown, err)
		y.unsure[e.Name] = err != nil
		for _, id := range ids {
			if entry, _, _ := strings.Cut(id.Marker.Credential, "/"); entry == e.Name || slices.Contains(e.Formerly, entry) {
				sets = append(sets, id.Marker.With)
			}
		}
		if y.scope.Provision && len(y.scope.With) > 0 && !slices.ContainsFunc(sets, func(s map[string]string) bool { return maps.Equal(s, y.scope.With) }) {
			sets = append(sets, y.scope.With)
		}
		for _, with := range sets {
			y.add(e, config.Input{With: with})
		}
	default:
		y.add(e, config.Input{})
	}
}

// add expands one instance.
func (y *yield) add(e *config.Entry, in config.Input) {
	c, err := e.Expand(in)
	switch {
	case errors.Is(err, config.ErrExcluded):
		return
	case err != nil:
		y.unsure[e.Name] = true
		if mayYield(y.scope, e) {
			y.unknown = errors.Join(y.unknown, err)
		}
		return
	}
	for _, name := range append([]string{c.Name}, c.Formerly...) {
		y.names[name] = true
	}
	built := y.credential(c)
	wants := []string{"service ID " + c.ServiceID + c.ServiceIDName}
	for _, st := range built.Stores {
		wants = append(wants, "store "+st.Name())
	}
	for _, want := range wants {
		if other, taken := y.wanted[want]; taken {
			built.Collides = true
			for i := range y.found {
				y.found[i].Collides = y.found[i].Collides || y.found[i].Name == other
			}
		}
		y.wanted[want] = c.Name
	}
	if inScope(y.scope, c) { // the others are built to see whether they collide
		y.found = append(y.found, built)
	}
}

// orphans adds what carries our marker and nothing yields: it is reported, or
// it ends where its project is gone and the config says so.
func (y *yield) orphans(ctx context.Context) {
	ids, err := y.marked()
	if err != nil {
		y.unknown = errors.Join(y.unknown, err)
		return
	}
	for _, id := range ids {
		name := id.Marker.Credential
		if y.names[name] {
			continue
		}
		y.names[name] = true // two service IDs of one name are one credential
		head, _, _ := strings.Cut(name, "/")
		i := slices.IndexFunc(y.cfg.Entries, func(e *config.Entry) bool { return e.Name == head || slices.Contains(e.Formerly, head) })
		if i >= 0 && y.unsure[y.cfg.Entries[i].Name] {
			continue // it may be one that could not be looked at
		}
		if i >= 0 && y.cfg.Entries[i].OnGone == config.GoneRevoke {
			gone, err := y.gone(ctx, id.Marker.With)
			if err != nil {
				y.unknown = errors.Join(y.unknown, fmt.Errorf("looking whether the project of %s is gone: %w", name, err))
				continue
			}
			if gone {
				e := y.cfg.Entries[i]
				y.found = append(y.found, reconcile.Credential{
					Name: name, Entry: e.Name, Former: others(name, e), With: id.Marker.With, ServiceIDName: id.Name, Gone: true,
					Rules: y.rules(name, e.Rotation), Paused: e.Paused(),
				})
				continue
			}
		}
		y.found = append(y.found, reconcile.Credential{Name: name, Unconfigured: &id})
	}
}

// others are the names that an instance has and had beside this one: its keys
// were minted under any of them.
func others(name string, e *config.Entry) (names []string) {
	head, _, _ := strings.Cut(name, "/")
	for _, other := range append([]string{e.Name}, e.Formerly...) {
		if other != head {
			names = append(names, other+strings.TrimPrefix(name, head))
		}
	}
	return names
}

// gone reports whether a project does not exist any more. A list that lacks it
// proves nothing; nor does a region that the config no longer names. One that
// was deleted can be restored for a while, and exists until then.
func (h *house) gone(ctx context.Context, with map[string]string) (bool, error) {
	id, region := with["project"], with["region"]
	if id == "" || !slices.Contains(h.cfg.Regions, region) {
		return false, nil
	}
	_, err := h.codeengine.Project(ctx, region, id)
	if errors.Is(err, reconcile.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// mayYield spares entries that cannot have a credential in the scope.
func mayYield(scope reconcile.Scope, e *config.Entry) bool {
	return len(scope.Names) == 0 || slices.ContainsFunc(scope.Names, func(name string) bool {
		head, _, _ := strings.Cut(name, "/")
		return head == e.Name || slices.Contains(e.Formerly, head)
	})
}

// called reports whether a name is the credential's or its entry's, or once
// was: keys keep the name under which they were minted.
func called(c config.Credential, name string) bool {
	return name == c.Entry || name == c.Name || slices.ContainsFunc(c.Formerly, func(former string) bool {
		entry, _, _ := strings.Cut(former, "/")
		return name == former || name == entry
	})
}

func inScope(scope reconcile.Scope, c config.Credential) bool {
	if len(scope.Names) > 0 && !slices.ContainsFunc(scope.Names, func(name string) bool { return called(c, name) }) {
		return false
	}
	if scope.Project != "" && c.With["project"] != scope.Project {
		return false
	}
	if scope.Secret != "" && c.ServiceIDName != scope.Secret && c.Name != scope.Secret {
		return false
	}
	if scope.Provision {
		for name, value := range scope.With {
			if c.With[name] != value {
				return false
			}
		}
	}
	return true
}
