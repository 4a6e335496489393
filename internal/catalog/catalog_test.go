package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// account is what a Catalog lists. A test changes what it needs.
type account struct {
	entries  []catalog.Entry
	projects []codeengine.Project
	marked   []port.ServiceID
	tasks    []port.Credential
	profiles []port.Profile
	// deleted are the IDs of projects that were deleted for good; unread are
	// those that can't be read.
	deleted, unread []string

	known []string // that the process has seen

	projectsErr, markedErr, tasksErr error

	calls []string
}

var (
	errProjects = errors.New("listing projects failed")
	errProject  = errors.New("reading the project failed")
	errMarked   = errors.New("listing service IDs failed")
	errTasks    = errors.New("listing tasks failed")
	errExpand   = errors.New("expanding failed")
)

func (a *account) catalog() *catalog.Catalog {
	return catalog.New(catalog.Config{
		Entries: a.entries, Regions: []string{"eu-de", "us-south"},
		Projects: func(context.Context) ([]codeengine.Project, error) {
			a.calls = append(a.calls, "projects")
			return a.projects, a.projectsErr
		},
		Project: func(_ context.Context, region, id string) (codeengine.Project, error) {
			a.calls = append(a.calls, "project "+id)
			switch {
			case slices.Contains(a.deleted, id):
				return codeengine.Project{}, fmt.Errorf("reading project %s: %w", id, port.ErrNotFound)
			case slices.Contains(a.unread, id):
				return codeengine.Project{}, errProject
			}
			return codeengine.Project{ID: id, Region: region}, nil
		},
		Marked: func(context.Context) ([]port.ServiceID, error) {
			a.calls = append(a.calls, "marked")
			return a.marked, a.markedErr
		},
		Profiles: func(context.Context) ([]port.Profile, error) {
			a.calls = append(a.calls, "profiles")
			return a.profiles, nil
		},
		Known: func() []string { return a.known },
		Tasks: func(context.Context) ([]port.Credential, error) {
			a.calls = append(a.calls, "tasks")
			return a.tasks, a.tasksErr
		},
	})
}

// find returns the credentials of a scope, and fails if a name occurs twice.
func (a *account) find(t testing.TB, scope catalog.Scope) (map[string]port.Credential, error) {
	t.Helper()
	list, err := a.catalog().Credentials(t.Context(), scope)
	found := map[string]port.Credential{}
	for _, c := range list {
		if _, twice := found[c.Name]; twice {
			t.Errorf("the credential %s occurs twice", c.Name)
		}
		found[c.Name] = c
	}
	return found, err
}

// mustFind fails on an error.
func (a *account) mustFind(t testing.TB, scope catalog.Scope) map[string]port.Credential {
	t.Helper()
	found, err := a.find(t, scope)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func names(found map[string]port.Credential) string {
	return strings.Join(slices.Sorted(maps.Keys(found)), " ")
}

// entry returns an entry that expands as the config's do: a credential is named
// after the entry and its project or its parameter "team".
func entry(name string, change ...func(*catalog.Entry)) catalog.Entry {
	e := catalog.Entry{Name: name, Rules: func(string) protocol.Rules { return protocol.Standard() }}
	for _, f := range change {
		f(&e)
	}
	if e.Expand != nil {
		return e
	}
	e.Expand = func(in catalog.Input) (port.Credential, error) {
		c := port.Credential{Name: e.Name, Entry: e.Name}
		suffix := ""
		switch {
		case e.PerProject:
			suffix = "/" + in.Project.ID
			c.With = map[string]string{"project": in.Project.ID, "region": in.Project.Region}
		case e.PerParameters:
			if in.With["team"] == "" {
				return port.Credential{}, errExpand
			}
			suffix = "/" + in.With["team"]
			c.With = map[string]string{"team": in.With["team"]}
		}
		c.Name += suffix
		for _, former := range e.Formerly {
			c.Former = append(c.Former, former+suffix)
		}
		c.ServiceIDName = "id of " + c.Name
		c.Stores = []port.Store{store{name: "file/" + c.Name}}
		return c, nil
	}
	return e
}

func perProject(e *catalog.Entry)    { e.PerProject = true }
func perParameters(e *catalog.Entry) { e.PerParameters = true }
func revokeGone(e *catalog.Entry)    { e.RevokeGone = true }
func retireTrust(e *catalog.Entry)   { e.RetireGone, e.Trusts = true, true }

func formerly(former ...string) func(*catalog.Entry) {
	return func(e *catalog.Entry) { e.Formerly = former }
}

// changed changes each credential that the entry yields.
func changed(e catalog.Entry, change func(*port.Credential)) catalog.Entry {
	expand := e.Expand
	e.Expand = func(in catalog.Input) (port.Credential, error) {
		c, err := expand(in)
		change(&c)
		return c, err
	}
	return e
}

func profile(name string, with map[string]string) port.Profile {
	return port.Profile{ID: "Profile-1", Name: name, Ours: true, Marker: marker.Marker{Credential: name, With: with}}
}

func project(id, region string) codeengine.Project {
	return codeengine.Project{ID: id, Name: "name of " + id, Region: region}
}

// mark returns a service ID with our marker.
func mark(id, credential string, with map[string]string) port.ServiceID {
	return port.ServiceID{
		ID: id, IAMID: "iam-" + id, Name: "id of " + credential, Marked: true, Ours: true,
		Marker: marker.Marker{Owner: "prod", Credential: credential, With: with},
	}
}

func team(name string) map[string]string { return map[string]string{"team": name} }

func of(project, region string) map[string]string {
	return map[string]string{"project": project, "region": region}
}

// store is a store that is never read.
type store struct{ name string }

var _ port.Store = store{}

func (s store) Name() string { return s.name }
func (store) Guarded() bool  { return true }
func (store) Read(context.Context) (port.Entry, error) {
	return port.Entry{}, errors.New("a catalog reads no store")
}
func (store) Publish(context.Context, port.Entry, string) error {
	return errors.New("a catalog writes no store")
}

// secretStore is a store in a secret of Secrets Manager.
type secretStore struct {
	store
	secret string
	dates  bool
}

func (s secretStore) Secret() string { return s.secret }
func (s secretStore) Dates() bool    { return s.dates }

// inSecret is a store in the secret.
func inSecret(secret string, dates bool) secretStore {
	return secretStore{store{"secretsManager/" + secret}, secret, dates}
}

// full has an entry of each kind, an unconfigured service ID and an unfinished
// task.
func full() *account {
	return &account{
		entries: []catalog.Entry{
			changed(entry("static"), func(c *port.Credential) { c.Stores = append(c.Stores, inSecret("vault-token", true)) }),
			entry("sender", perProject, formerly("shipper", "logger")),
			entry("ci", perParameters, formerly("build")),
		},
		projects: []codeengine.Project{project("p1", "eu-de"), project("p2", "us-south")},
		marked: []port.ServiceID{
			mark("ServiceId-1", "ci/a", team("a")),
			mark("ServiceId-2", "build/b", team("b")),
			mark("ServiceId-3", "left", nil),
			mark("ServiceId-4", "static", nil),
		},
		tasks: []port.Credential{{Name: "custom-credentials/s/t", Entry: "custom-credentials"}},
	}
}

func TestAScopeSelectsCredentials(t *testing.T) {
	for name, tc := range map[string]struct {
		scope catalog.Scope
		want  string
	}{
		"the zero scope selects all": {
			catalog.Scope{}, "ci/a ci/b custom-credentials/s/t left sender/p1 sender/p2 static",
		},
		"an entry's name selects its credentials":      {catalog.Scope{Names: []string{"sender"}}, "sender/p1 sender/p2"},
		"a credential's name selects it":               {catalog.Scope{Names: []string{"sender/p1"}}, "sender/p1"},
		"a former name of the entry selects them, too": {catalog.Scope{Names: []string{"logger"}}, "sender/p1 sender/p2"},
		"a former name of the credential selects it":   {catalog.Scope{Names: []string{"shipper/p2"}}, "sender/p2"},
		"parameters under a former name are found":     {catalog.Scope{Names: []string{"build"}}, "ci/a ci/b"},
		"names add up": {catalog.Scope{Names: []string{"static", "ci/b"}}, "ci/b static"},
		"a name that no entry has selects nothing":       {catalog.Scope{Names: []string{"send"}}, ""},
		"a credential that does not exist selects none":  {catalog.Scope{Names: []string{"sender/p3"}}, ""},
		"a project selects its credentials":              {catalog.Scope{Project: "p2"}, "sender/p2"},
		"a project and a name select what both do":       {catalog.Scope{Project: "p2", Names: []string{"static", "sender"}}, "sender/p2"},
		"a project without credentials selects nothing":  {catalog.Scope{Project: "p3"}, ""},
		"a provision finds parameters that exist":        {catalog.Scope{Names: []string{"ci"}, With: team("a"), Provision: true}, "ci/a"},
		"a provision adds parameters that are new":       {catalog.Scope{Names: []string{"ci"}, With: team("c"), Provision: true}, "ci/c"},
		"a provision by a former name adds them, too":    {catalog.Scope{Names: []string{"build"}, With: team("c"), Provision: true}, "ci/c"},
		"a provision without parameters adds nothing":    {catalog.Scope{Names: []string{"ci"}, Provision: true}, "ci/a ci/b"},
		"parameters without a provision select":          {catalog.Scope{Names: []string{"ci"}, With: team("a")}, "ci/a"},
		"parameters without a provision add nothing":     {catalog.Scope{Names: []string{"ci"}, With: team("c")}, ""},
		"a provision finds the credential of a project":  {catalog.Scope{Names: []string{"sender"}, With: of("p1", "eu-de"), Provision: true}, "sender/p1"},
		"a provision adds no project":                    {catalog.Scope{Names: []string{"sender"}, With: of("p3", "eu-de"), Provision: true}, ""},
		"a provision finds no entry without parameters":  {catalog.Scope{Names: []string{"static"}, With: team("a"), Provision: true}, ""},
		"a secret selects what is stored in it":          {catalog.Scope{Secrets: []string{"vault-token"}}, "static"},
		"a secret selects a service ID of its name":      {catalog.Scope{Secrets: []string{"id of ci/a"}}, "ci/a"},
		"a secret selects a credential of its name":      {catalog.Scope{Secrets: []string{"sender/p2", "left"}}, "left sender/p2"},
		"a secret of another name selects nothing":       {catalog.Scope{Secrets: []string{"other"}}, ""},
		"a secret and a name select what both do":        {catalog.Scope{Secrets: []string{"vault-token"}, Names: []string{"ci"}}, ""},
		"a share of one is everything of the scope":      {catalog.Scope{Names: []string{"ci"}, Share: catalog.Share{Size: 1}}, "ci/a ci/b"},
		"extra parameters of a provision name no other":  {catalog.Scope{Names: []string{"ci"}, With: map[string]string{"team": "c", "x": "y"}, Provision: true}, ""},
		"an unconfigured credential is left to a sweep":  {catalog.Scope{Names: []string{"left"}}, ""},
		"an unfinished task is left to a sweep":          {catalog.Scope{Names: []string{"custom-credentials"}}, ""},
		"a project's scope has no service ID without it": {catalog.Scope{Project: "left"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(full().mustFind(t, tc.scope)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOnlyAFullSweepListsUnfinishedTasks(t *testing.T) {
	for name, tc := range map[string]struct {
		scope catalog.Scope
		want  bool
	}{
		"everything":           {catalog.Scope{}, true},
		"a share":              {catalog.Scope{Share: catalog.Share{Index: 1, Size: 2}}, true},
		"secrets":              {catalog.Scope{Secrets: []string{"a"}}, true},
		"a name":               {catalog.Scope{Names: []string{"static"}}, false},
		"a project":            {catalog.Scope{Project: "p1"}, false},
		"a provision":          {catalog.Scope{Provision: true, With: team("a")}, false},
		"a name and a share":   {catalog.Scope{Names: []string{"static"}, Share: catalog.Share{Size: 2}}, false},
		"a project and secret": {catalog.Scope{Project: "p1", Secrets: []string{"a"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := full()
			a.mustFind(t, tc.scope)
			if got := slices.Contains(a.calls, "tasks"); got != tc.want {
				t.Errorf("listed: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestACatalogWithoutTasksListsNone(t *testing.T) {
	c := catalog.New(catalog.Config{
		Entries: []catalog.Entry{entry("static")},
		Marked:  func(context.Context) ([]port.ServiceID, error) { return nil, nil },
	})
	if found, err := c.Credentials(t.Context(), catalog.Scope{}); err != nil || len(found) != 1 {
		t.Errorf("%d credentials, %v", len(found), err)
	}
}

func TestAListThatDoesNotEndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := catalog.New(catalog.Config{
			Entries: []catalog.Entry{entry("static")},
			Marked: func(ctx context.Context) ([]port.ServiceID, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		began := time.Now()
		found, err := c.Credentials(t.Context(), catalog.Scope{})
		if !errors.Is(err, context.DeadlineExceeded) || len(found) != 1 || time.Since(began) != 10*time.Minute {
			t.Errorf("%d credentials, %v after %s", len(found), err, time.Since(began))
		}
	})
}

func TestEachListIsReadOnceAndOnlyIfAScopeNeedsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		scope catalog.Scope
		want  []string
	}{
		"everything":                {catalog.Scope{}, []string{"marked", "projects", "tasks"}},
		"an entry with projects":    {catalog.Scope{Names: []string{"sender"}}, []string{"projects"}},
		"an entry without either":   {catalog.Scope{Names: []string{"static"}}, []string{"projects"}}, // a collision
		"an entry with parameters":  {catalog.Scope{Names: []string{"ci"}}, []string{"marked", "projects"}},
		"a provision of parameters": {catalog.Scope{Names: []string{"ci/c"}, With: team("c"), Provision: true}, []string{"marked", "projects"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := full()
			a.entries = append(a.entries, entry("more", perProject), entry("again", perParameters))
			a.mustFind(t, tc.scope)
			slices.Sort(a.calls)
			if !slices.Equal(a.calls, tc.want) {
				t.Errorf("calls %q, want %q", a.calls, tc.want)
			}
		})
	}
}

func TestCredentialsThatWantTheSameCollide(t *testing.T) {
	// named makes every credential of an entry use one service ID.
	named := func(e catalog.Entry, name string) catalog.Entry {
		return changed(e, func(c *port.Credential) { c.ServiceIDName = name })
	}
	stored := func(e catalog.Entry, location string) catalog.Entry {
		return changed(e, func(c *port.Credential) { c.Stores = append(c.Stores, store{location}) })
	}
	given := func(e catalog.Entry, id string) catalog.Entry {
		return changed(e, func(c *port.Credential) { c.Given, c.ServiceIDName = id, "" })
	}
	projects := []codeengine.Project{project("p1", "eu-de"), project("p2", "eu-de")}
	for name, tc := range map[string]struct {
		account account
		names   []string
		want    string // those that collide
	}{
		"one service ID name": {
			account: account{entries: []catalog.Entry{named(entry("a"), "x"), named(entry("b"), "x"), entry("c")}}, want: "a b",
		},
		"one service ID name of three": {
			account: account{entries: []catalog.Entry{named(entry("a"), "x"), named(entry("b"), "x"), named(entry("c"), "x")}}, want: "a b c",
		},
		"one location of a store": {
			account: account{entries: []catalog.Entry{stored(entry("a"), "file/x"), entry("b"), stored(entry("c"), "file/x")}}, want: "a c",
		},
		"one service ID that the config gives": {
			account: account{entries: []catalog.Entry{given(entry("a"), "ServiceId-1"), given(entry("b"), "ServiceId-1"), given(entry("c"), "ServiceId-2")}},
			want:    "a b",
		},
		"a service ID name and a location of the same text do not": {
			account: account{entries: []catalog.Entry{named(entry("a"), "x"), stored(entry("b"), "x")}},
		},
		"all projects of an entry": {
			account: account{entries: []catalog.Entry{named(entry("a", perProject), "x"), entry("b", perProject)}, projects: projects}, want: "a/p1 a/p2",
		},
		"an entry with another's project": {
			account: account{entries: []catalog.Entry{entry("a", perProject), named(entry("b"), "id of a/p2")}, projects: projects}, want: "a/p2 b",
		},
		"all parameters of an entry": {
			account: account{
				entries: []catalog.Entry{stored(entry("a", perParameters), "file/x")},
				marked:  []port.ServiceID{mark("ServiceId-1", "a/1", team("1")), mark("ServiceId-2", "a/2", team("2"))},
			}, want: "a/1 a/2",
		},
		"a credential outside the scope, which is listed earlier": {
			account: account{entries: []catalog.Entry{named(entry("a"), "x"), named(entry("b"), "x")}}, names: []string{"b"}, want: "b",
		},
		"a credential outside the scope, which is listed later": {
			account: account{entries: []catalog.Entry{named(entry("a"), "x"), named(entry("b"), "x")}}, names: []string{"a"}, want: "a",
		},
		"a project's credential outside the scope": {
			account: account{entries: []catalog.Entry{entry("a", perProject), named(entry("b"), "id of a/p2")}, projects: projects},
			names:   []string{"a/p2"}, want: "a/p2",
		},
		"parameters outside the scope are left to a sweep": {
			account: account{
				entries: []catalog.Entry{entry("a", perParameters), named(entry("b"), "id of a/1")},
				marked:  []port.ServiceID{mark("ServiceId-1", "a/1", team("1"))},
			}, names: []string{"b"},
		},
		"an input that is excluded does not": {
			account: account{entries: []catalog.Entry{named(entry("a"), "x"), entry("b", func(e *catalog.Entry) {
				e.Expand = func(catalog.Input) (port.Credential, error) {
					return port.Credential{Name: "b", ServiceIDName: "x"}, catalog.ErrExcluded
				}
			})}},
		},
		"the credential with a service ID keeps the name": {
			account: account{
				entries: []catalog.Entry{named(entry("a"), "x"), named(entry("b", formerly("old")), "x"), named(entry("c"), "x")},
				marked:  []port.ServiceID{mark("ServiceId-1", "old", nil)},
			}, want: "a c",
		},
		"the credential with a service ID keeps the location": {
			account: account{
				entries: []catalog.Entry{stored(entry("a"), "file/x"), stored(entry("b"), "file/x")},
				marked:  []port.ServiceID{mark("ServiceId-1", "b", nil)},
			}, want: "a",
		},
		"two credentials with service IDs collide": {
			account: account{
				entries: []catalog.Entry{stored(entry("a"), "file/x"), stored(entry("b"), "file/x")},
				marked:  []port.ServiceID{mark("ServiceId-1", "b", nil), mark("ServiceId-2", "a", nil)},
			}, want: "a b",
		},
		"projects that have service ID names of their own do not": {
			account: account{entries: []catalog.Entry{changed(named(entry("a", perProject), "x"), func(c *port.Credential) { c.OwnName = "x-" + c.Name })}, projects: projects},
		},
		"two service IDs that record the same parameters do not": {
			account: account{
				entries: []catalog.Entry{entry("a", perParameters, formerly("old"))},
				marked: []port.ServiceID{
					mark("ServiceId-1", "a/1", team("1")), mark("ServiceId-2", "a/1", team("1")), mark("ServiceId-3", "old/1", team("1")),
				},
			},
		},
		"two service IDs that differ in a parameter which the entry does not read do not": {
			account: account{
				entries: []catalog.Entry{entry("a", perParameters)},
				marked: []port.ServiceID{
					mark("ServiceId-1", "a/1", team("1")), mark("ServiceId-2", "a/1.x", map[string]string{"team": "1", "region": "x"}),
				},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := tc.account.mustFind(t, catalog.Scope{Names: tc.names})
			if len(found) == 0 {
				t.Error("no credential was found")
			}
			maps.DeleteFunc(found, func(_ string, c port.Credential) bool { return c.Collides == "" })
			if got := names(found); got != tc.want {
				t.Errorf("%q collide, want %q", got, tc.want)
			}
		})
	}
}

func TestAProvisionWithParametersOfNoCredentialIsTheEventsFault(t *testing.T) {
	a := account{
		entries: []catalog.Entry{entry("a", perParameters)},
		marked:  []port.ServiceID{mark("ServiceId-1", "a/1", team("1"))},
	}
	found, err := a.find(t, catalog.Scope{Names: []string{"a"}, With: map[string]string{"tema": "2"}, Provision: true})
	if !errors.Is(err, catalog.ErrParameters) || len(found) > 0 {
		t.Errorf("%v, %v", names(found), err)
	}
}

func TestAMarkerWithoutACredentialIsUnconfigured(t *testing.T) {
	p := project("p1", "eu-de")
	sender := func(change ...func(*catalog.Entry)) []catalog.Entry {
		return []catalog.Entry{entry("sender", append(change, perProject)...)}
	}
	for name, tc := range map[string]struct {
		account account
		want    string // name and kind
		read    bool   // the project was read
		err     error
	}{
		"no entry has its name": {
			account: account{marked: []port.ServiceID{mark("ServiceId-1", "left", nil)}}, want: "left unconfigured ServiceId-1",
		},
		"the name is an entry's, with something added": {
			account: account{entries: []catalog.Entry{entry("a")}, marked: []port.ServiceID{mark("ServiceId-1", "a/x", nil)}},
			want:    "a configured, a/x unconfigured ServiceId-1",
		},
		"a credential has its name": {
			account: account{entries: sender(), projects: []codeengine.Project{p}, marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de"))}},
			want:    "sender/p1 configured",
		},
		"a credential had its name": {
			account: account{
				entries: sender(formerly("shipper")), projects: []codeengine.Project{p},
				marked: []port.ServiceID{mark("ServiceId-1", "shipper/p1", of("p1", "eu-de"))},
			},
			want: "sender/p1 configured",
		},
		"two service IDs have one name": {
			account: account{marked: []port.ServiceID{mark("ServiceId-1", "left", nil), mark("ServiceId-2", "left", nil)}},
			want:    "left unconfigured ServiceId-1",
		},
		"its project is deleted, and its keys end with it": {
			account: account{entries: sender(revokeGone), marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de"))}, deleted: []string{"p1"}},
			want:    "sender/p1 gone", read: true,
		},
		"its project is deleted, and the config does not say that keys end": {
			account: account{entries: sender(), marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de"))}, deleted: []string{"p1"}},
			want:    "sender/p1 unconfigured ServiceId-1",
		},
		"its project is deleted, and only its former entry is configured": {
			account: account{
				entries: sender(revokeGone, formerly("shipper")),
				marked:  []port.ServiceID{mark("ServiceId-1", "shipper/p1", of("p1", "eu-de"))}, deleted: []string{"p1"},
			},
			want: "shipper/p1 gone", read: true,
		},
		"its project is deleted, and only a trusted profile shows it": {
			account: account{entries: sender(retireTrust), profiles: []port.Profile{profile("sender/p1", of("p1", "eu-de"))}, deleted: []string{"p1"}},
			want:    "sender/p1 gone with profile sender/p1", read: true,
		},
		"its project is deleted, and it has a trusted profile, too": {
			account: account{
				entries: sender(retireTrust), deleted: []string{"p1"},
				marked:   []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de"))},
				profiles: []port.Profile{profile("sender/p1", of("p1", "eu-de"))},
			},
			want: "sender/p1 gone with profile sender/p1", read: true,
		},
		"its project exists, so its trusted profile stays": {
			account: account{entries: sender(retireTrust), profiles: []port.Profile{profile("sender/p1", of("p1", "eu-de"))}},
			read:    true,
		},
		"a trusted profile of an entry that keeps it stays": {
			account: account{entries: sender(), profiles: []port.Profile{profile("sender/p1", of("p1", "eu-de"))}, deleted: []string{"p1"}},
		},
		"its project is not listed, and exists": {
			account: account{entries: sender(revokeGone), marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de"))}},
			want:    "sender/p1 unconfigured ServiceId-1", read: true,
		},
		"its project is in a region that the config does not name": {
			account: account{entries: sender(revokeGone), marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "jp-tok"))}, deleted: []string{"p1"}},
			want:    "sender/p1 unconfigured ServiceId-1",
		},
		"it names no project": {
			account: account{entries: sender(revokeGone), marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", nil)}, deleted: []string{""}},
			want:    "sender/p1 unconfigured ServiceId-1",
		},
		"its project can't be read": {
			account: account{
				entries: sender(revokeGone), unread: []string{"p1"},
				marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de")), mark("ServiceId-2", "left", nil)},
			},
			want: "left unconfigured ServiceId-2", read: true, err: errProject,
		},
		"the projects can't be listed, so it may be configured": {
			account: account{
				entries: sender(revokeGone), projectsErr: errProjects, deleted: []string{"p1"},
				marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de")), mark("ServiceId-2", "left", nil)},
			},
			want: "left unconfigured ServiceId-2", err: errProjects,
		},
		"its entry can't be expanded, so it is blocked": {
			account: account{
				entries: []catalog.Entry{entry("ci", perParameters)},
				marked:  []port.ServiceID{mark("ServiceId-1", "ci/a", nil), mark("ServiceId-2", "ci/b", team("b"))},
			},
			want: "ci/a invalid, ci/b configured",
		},
		"the condition of its entry excludes it": {
			account: account{
				entries: sender(func(e *catalog.Entry) {
					e.Expand = func(catalog.Input) (port.Credential, error) { return port.Credential{}, catalog.ErrExcluded }
				}),
				projects: []codeengine.Project{p}, marked: []port.ServiceID{mark("ServiceId-1", "sender/p1", of("p1", "eu-de"))},
			},
			want: "sender/p1 unconfigured ServiceId-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := tc.account.find(t, catalog.Scope{})
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			var got []string
			for _, name := range slices.Sorted(maps.Keys(found)) {
				c, kind := found[name], "configured"
				switch {
				case c.Gone && c.Profile != nil:
					kind = "gone with profile " + c.Profile.Name
				case c.Gone:
					kind = "gone"
				case c.Invalid != nil:
					kind = "invalid"
				case c.Unconfigured != nil:
					kind = "unconfigured " + c.Unconfigured.ID
				}
				got = append(got, name+" "+kind)
			}
			if got := strings.Join(got, ", "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if read := slices.Contains(tc.account.calls, "project p1"); read != tc.read {
				t.Errorf("the project was read: %t, want %t", read, tc.read)
			}
		})
	}
}

func TestACredentialWhoseProjectIsDeletedKeepsWhatItsEndNeeds(t *testing.T) {
	rules := protocol.Standard()
	rules.Overlap = 48 * time.Hour
	a := account{
		entries: []catalog.Entry{entry("sender", perProject, revokeGone, formerly("shipper", "logger"), func(e *catalog.Entry) {
			e.Paused = true
			e.Rules = func(credential string) protocol.Rules {
				if credential != "shipper/p1" {
					t.Errorf("rules of %s", credential)
				}
				return rules
			}
		})},
		marked: []port.ServiceID{mark("ServiceId-1", "shipper/p1", of("p1", "eu-de"))}, deleted: []string{"p1"},
	}
	c := a.mustFind(t, catalog.Scope{})["shipper/p1"]
	if !c.Gone || c.Entry != "sender" || c.ServiceIDName != "id of shipper/p1" || !maps.Equal(c.With, of("p1", "eu-de")) || !c.Paused || c.Rules != rules {
		t.Errorf("%+v", c)
	}
	// Its keys may have been made under any of these names.
	if want := []string{"sender/p1", "logger/p1"}; !slices.Equal(c.Former, want) {
		t.Errorf("former names %q, want %q", c.Former, want)
	}
}

func TestAnErrorComesWithTheCredentialsThatAreKnown(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		scope  catalog.Scope
		want   string
		err    error
	}{
		"some regions' projects could not be listed": {
			change: func(a *account) { a.projects, a.projectsErr = a.projects[:1], errProjects },
			want:   "ci/a ci/b custom-credentials/s/t left sender/p1 static", err: errProjects,
		},
		"the markers could not be listed": {
			change: func(a *account) { a.marked, a.markedErr = nil, errMarked },
			want:   "custom-credentials/s/t sender/p1 sender/p2 static", err: errMarked,
		},
		"some tasks could not be listed": {
			change: func(a *account) { a.tasksErr = errTasks },
			want:   "ci/a ci/b custom-credentials/s/t left sender/p1 sender/p2 static", err: errTasks,
		},
		"an entry can't be expanded": {
			change: func(a *account) {
				a.entries[0].Expand = func(catalog.Input) (port.Credential, error) { return port.Credential{}, errExpand }
			},
			want: "ci/a ci/b custom-credentials/s/t left sender/p1 sender/p2 static", // static is blocked
		},
		"the projects of another entry than the scope's": {
			change: func(a *account) { a.projectsErr = errProjects },
			scope:  catalog.Scope{Names: []string{"static"}}, want: "static",
		},
		"another entry than the scope's can't be expanded": {
			change: func(a *account) {
				a.entries[0].Expand = func(catalog.Input) (port.Credential, error) { return port.Credential{}, errExpand }
			},
			scope: catalog.Scope{Names: []string{"ci"}}, want: "ci/a ci/b",
		},
		"a provision whose markers could not be listed is expanded all the same": {
			change: func(a *account) { a.marked, a.markedErr = nil, errMarked },
			scope:  catalog.Scope{Names: []string{"ci"}, With: team("c"), Provision: true}, want: "ci/c", err: errMarked,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := full()
			tc.change(a)
			found, err := a.find(t, tc.scope)
			if got := names(found); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
		})
	}
}

func TestTheErrorsOfSeveralListsComeTogether(t *testing.T) {
	a := full()
	a.projectsErr, a.markedErr, a.tasksErr = errProjects, errMarked, errTasks
	_, err := a.find(t, catalog.Scope{})
	for _, want := range []error{errProjects, errMarked, errTasks} {
		if !errors.Is(err, want) {
			t.Errorf("the error %v is not %v", err, want)
		}
	}
}

func TestStoredInFindsSecretsAndTheirExpiry(t *testing.T) {
	c := port.Credential{Stores: []port.Store{store{"file/a"}, inSecret("a", false), inSecret("b", true), inSecret("a", false)}}
	for _, tc := range []struct {
		secrets       []string
		stored, dated bool
	}{
		{nil, false, false},
		{[]string{"file/a"}, false, false},
		{[]string{"a"}, true, false},
		{[]string{"b"}, true, true},
		{[]string{"a", "b"}, true, true},
		{[]string{"c"}, false, false},
	} {
		if stored, dated := catalog.StoredIn(c, tc.secrets); stored != tc.stored || dated != tc.dated {
			t.Errorf("%q: stored %t, dated %t", tc.secrets, stored, dated)
		}
	}
}

// holding is a store that names a key, or none.
type holding struct {
	store
	key string
}

func (h holding) Read(context.Context) (port.Entry, error) { return port.Entry{KeyID: h.key}, nil }

func TestACredentialWithoutAMarkerIsLostIfAStoreNamesItsKey(t *testing.T) {
	tenants := entry("a", perParameters, formerly("old"))
	tenants.Parameters = func(name string) (map[string]string, bool) {
		_, value, ok := strings.Cut(name, "/")
		return team(value), ok
	}
	tenants = changed(tenants, func(c *port.Credential) {
		h := holding{store: store{name: "file/" + c.Name}}
		if c.With["team"] != "empty" {
			h.key = "ApiKey-1"
		}
		c.Stores = []port.Store{h}
	})
	for name, tc := range map[string]struct {
		known []string
		scope catalog.Scope
		err   error
		want  string // those that only exist have a mark
	}{
		"one that the process knows":          {[]string{"a/2"}, catalog.Scope{}, nil, "a/1? a/2?"},
		"one that the scope names":            {nil, catalog.Scope{Names: []string{"a/2"}}, nil, "a/2?"},
		"one by its former name":              {nil, catalog.Scope{Names: []string{"old/2"}}, nil, "a/2?"},
		"one that no store has a key of":      {[]string{"a/empty"}, catalog.Scope{Names: []string{"a/empty"}}, nil, ""},
		"one that still has a marker":         {[]string{"a/1"}, catalog.Scope{}, nil, "a/1?"},
		"one that is outside of the scope":    {[]string{"a/2"}, catalog.Scope{Names: []string{"a/1"}}, nil, "a/1?"},
		"one of another entry":                {[]string{"b/2"}, catalog.Scope{}, nil, "a/1?"},
		"an entry that is named":              {nil, catalog.Scope{Names: []string{"a"}}, nil, "a/1?"},
		"one that is provisioned again":       {[]string{"a/2"}, catalog.Scope{Names: []string{"a"}, With: team("2"), Provision: true}, nil, "a/2"},
		"none while markers cannot be listed": {[]string{"a/2"}, catalog.Scope{}, errMarked, "a/1?"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{entries: []catalog.Entry{tenants}, marked: []port.ServiceID{mark("ServiceId-1", "a/1", team("1"))}, markedErr: tc.err, known: tc.known}
			found, err := a.find(t, tc.scope)
			if !errors.Is(err, tc.err) {
				t.Fatal(err)
			}
			var got []string
			for _, name := range slices.Sorted(maps.Keys(found)) {
				if found[name].Existing {
					name += "?"
				}
				got = append(got, name)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("found %v, want %s", got, tc.want)
			}
		})
	}
}
