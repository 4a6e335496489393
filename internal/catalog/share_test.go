package catalog_test

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/port"
)

// drawAccount draws up to four entries of any kind, projects that exist, are
// deleted or can't be read, and markers of what is configured and what is not.
func drawAccount(t *rapid.T) *account {
	a := &account{}
	kinds := map[string]func(*catalog.Entry){
		"static": func(*catalog.Entry) {}, "projects": perProject, "parameters": perParameters,
	}
	shared := rapid.Bool().Draw(t, "shared service ID")
	for i := range rapid.IntRange(0, 4).Draw(t, "entries") {
		e := entry(fmt.Sprint("e", i), kinds[rapid.SampledFrom([]string{"static", "projects", "parameters"}).Draw(t, "kind")], formerly(fmt.Sprint("old", i)),
			func(e *catalog.Entry) { e.RevokeGone = rapid.Bool().Draw(t, "revoke") })
		if shared {
			e = changed(e, func(c *port.Credential) { c.ServiceIDName = "shared" })
		}
		a.entries = append(a.entries, e)
	}
	for i := range 4 {
		id, region := fmt.Sprint("p", i), rapid.SampledFrom([]string{"eu-de", "us-south", "jp-tok"}).Draw(t, "region")
		switch rapid.IntRange(0, 2).Draw(t, "state") {
		case 0:
			a.projects = append(a.projects, project(id, region))
		case 1:
			a.deleted = append(a.deleted, id)
		case 2:
			a.unread = append(a.unread, id)
		}
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "markers") {
		head := rapid.SampledFrom([]string{"e", "old", "other"}).Draw(t, "head") + fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "entry"))
		instance := fmt.Sprint("p", rapid.IntRange(0, 2).Draw(t, "instance"))
		with := map[string]string{"team": instance, "project": instance, "region": rapid.SampledFrom([]string{"eu-de", "jp-tok"}).Draw(t, "region of the marker")}
		credential := rapid.SampledFrom([]string{head, head + "/" + instance}).Draw(t, "name")
		a.marked = append(a.marked, mark(fmt.Sprint("ServiceId-", i), credential, with))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "tasks") {
		a.tasks = append(a.tasks, port.Credential{Name: fmt.Sprint("custom-credentials/s/", i)})
	}
	return a
}

// look is what two expansions of one credential must agree on.
func look(c port.Credential) string {
	id := ""
	if c.Unconfigured != nil {
		id = c.Unconfigured.ID
	}
	return fmt.Sprint(c.Entry, c.With, c.Former, c.ServiceIDName, c.Collides, c.Gone, id)
}

func TestEveryCredentialIsInExactlyOneShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAccount(t)
		all, union := map[string]string{}, map[string]string{}
		gather := func(into map[string]string, scope catalog.Scope) {
			found, _ := a.catalog().Credentials(t.Context(), scope) // a project may be unreadable
			for _, c := range found {
				if _, twice := into[c.Name]; twice {
					t.Fatalf("the credential %s occurs twice", c.Name)
				}
				into[c.Name] = look(c)
			}
		}
		scope := catalog.Scope{}
		if rapid.Bool().Draw(t, "named") {
			scope.Names = []string{"e0", "e1/p1", "old2"}
		}
		gather(all, scope)
		scope.Share.Size = rapid.IntRange(1, 6).Draw(t, "size")
		for i := range scope.Share.Size {
			scope.Share.Index = i
			gather(union, scope)
		}
		if !maps.Equal(all, union) {
			t.Fatalf("the shares are not the whole:\n%v\n%v", union, all)
		}
	})
}

func TestAShareStaysTheSame(t *testing.T) {
	// A job index that is retried gets the same credentials, with any version of
	// latchkey.
	for credential, want := range map[string]int{"static": 3, "sender/p1": 2, "sender/p2": 3, "ci/a": 1} {
		for i := range 4 {
			a := account{entries: []catalog.Entry{entry(credential)}}
			found := a.mustFind(t, catalog.Scope{Share: catalog.Share{Index: i, Size: 4}})
			if (len(found) == 1) != (i == want) {
				t.Errorf("%s: share %d has %d, want it in %d", credential, i, len(found), want)
			}
		}
	}
}

func TestTheShareOfAJobIndex(t *testing.T) {
	for name, tc := range map[string]struct {
		index, size string
		want        catalog.Share
		bad         bool
	}{
		"no array":                      {"", "", catalog.Share{Size: 1}, false},
		"the last of three":             {"2", "3", catalog.Share{Index: 2, Size: 3}, false},
		"an index outside of the array": {"4", "3", catalog.Share{Index: 1, Size: 3}, false},
		"an array of none is one":       {"2", "0", catalog.Share{Size: 1}, false},
		"no number":                     {"x", "3", catalog.Share{}, true},
		"less than none":                {"-1", "3", catalog.Share{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"JOB_INDEX": tc.index, "JOB_ARRAY_SIZE": tc.size}
			got, err := catalog.ReadShare(func(name string) string { return env[name] })
			if (err != nil) != tc.bad || (!tc.bad && got != tc.want) {
				t.Errorf("it is %+v, %v", got, err)
			}
		})
	}
}
