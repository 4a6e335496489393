package codeengine_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/port"
)

func listed(list []codeengine.Project) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Region+"/"+p.Name)
	}
	return strings.Join(out, " ")
}

func TestProjectsAreThoseOfTheRegionsEachOnce(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	for name, c := range map[string]struct {
		regions []string
		want    string
	}{
		"one region":              {[]string{"eu-de"}, "eu-de/team-a eu-de/sandbox"},
		"two, in the order asked": {[]string{"us-south", "eu-de"}, "us-south/team-b eu-de/team-a eu-de/sandbox"},
		"one that is asked twice": {[]string{"eu-de", "eu-de"}, "eu-de/team-a eu-de/sandbox"},
		"one without projects":    {[]string{"jp-tok"}, ""},
		"none":                    {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := w.client().Projects(t.Context(), c.regions)
			if err != nil || listed(got) != c.want {
				t.Errorf("projects %q (%v), want %q", listed(got), err, c.want)
			}
		})
	}
	team := w.team()
	got, err := w.client().Projects(t.Context(), []string{"eu-de"})
	if err != nil {
		t.Fatal(err)
	}
	want := codeengine.Project{ID: team.ID, Name: "team-a", Region: "eu-de", ResourceGroup: team.ResourceGroupID, CRN: team.CRN, Status: "active"}
	if got[0] != want {
		t.Errorf("project %+v, want %+v", got[0], want)
	}
}

func TestARegionThatFailsDoesNotHideTheOthers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.Inject(emulator.Fault{Path: "/v2/projects", Kind: emulator.FaultStatus, Status: 500, Count: 1})
	got, err := w.client().Projects(t.Context(), []string{"eu-de", "us-south"})
	wants(t, err, port.ErrUnavailable, "listing the projects in")
	if len(got) == 0 {
		t.Error("no project was found")
	}
}

// TestPages: the emulator's limit of projects is below one page, so a server
// of its own has more. It serves all regions, whatever host is asked.
func TestPages(t *testing.T) {
	endless, lost := false, false
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": "2", "2": "3"}[r.URL.Query().Get("start")]
		if endless {
			next = "2"
		}
		rw.Header().Set("Content-Type", "application/json")
		at := r.URL.Query().Get("start")
		link := ""
		if next != "" {
			link = `"next":{"href":"x","start":"` + next + `"},`
		}
		if lost {
			link = `"next":{"href":"https://example.com/v2/projects?start=2"},`
		}
		fmt.Fprintf(rw, `{"limit":100,%s"projects":[{"id":"p%s","name":"n%s","region":"eu-de"},{"id":"q%s","name":"q","region":"eu-gb"},{"id":"s","name":"same","region":"eu-de"}]}`, link, at, at, at)
	}))
	transport := &http.Transport{}
	defer server.Close()
	defer transport.CloseIdleConnections()
	c := codeengine.New(codeengine.Config{Endpoint: server.URL, HTTP: &http.Client{Transport: transport}})
	got, err := c.Projects(t.Context(), []string{"eu-de"})
	if err != nil || listed(got) != "eu-de/n eu-de/same eu-de/n2 eu-de/n3" {
		t.Errorf("projects %q (%v)", listed(got), err)
	}
	endless = true
	_, err = c.Projects(t.Context(), []string{"eu-de"})
	wants(t, err, port.ErrUnavailable, "does not end")
	lost = true
	_, err = c.Projects(t.Context(), []string{"eu-de"})
	wants(t, err, port.ErrUnavailable, "start of the next page")
}

func TestAProjectIsFoundByIDAndByName(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.team().ID
	for _, idOrName := range []string{id, "team-a"} {
		if got, err := w.client().Project(t.Context(), region, idOrName); err != nil || got.ID != id || got.Name != "team-a" {
			t.Errorf("project %q is %+v (%v)", idOrName, got, err)
		}
	}
	for _, idOrName := range []string{"00000000-0000-4000-8000-000000000000", "team-b"} {
		_, err := w.client().Project(t.Context(), region, idOrName)
		wants(t, err, port.ErrNotFound, idOrName)
	}
}

// TestRequests looks at what is sent, with and without an endpoint.
func TestRequests(t *testing.T) {
	for name, c := range map[string]struct {
		cfg       codeengine.Config
		url, host string
	}{
		"to IBM Cloud":           {codeengine.Config{}, "https://api.eu-de.codeengine.cloud.ibm.com/v2/projects", "api.eu-de.codeengine.cloud.ibm.com"},
		"inside IBM's network":   {codeengine.Config{Private: true}, "https://api.private.eu-de.codeengine.cloud.ibm.com/v2/projects", "api.private.eu-de.codeengine.cloud.ibm.com"},
		"to an endpoint for all": {codeengine.Config{Endpoint: "http://127.0.0.1:1/"}, "http://127.0.0.1:1/v2/projects", "api.eu-de.codeengine.cloud.ibm.com"},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var sent []*http.Request
			c.cfg.HTTP = &http.Client{Transport: bearer("ours", func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, r)
				return nil, errors.New("no network here: " + canary)
			})}
			_, err := codeengine.New(c.cfg).Projects(t.Context(), []string{"eu-de"})
			wants(t, err, port.ErrUnavailable)
			if len(sent) != 1 {
				t.Fatalf("%d requests were sent", len(sent))
			}
			r := sent[0]
			if got, _, _ := strings.Cut(r.URL.String(), "?"); got != c.url || r.Host != c.host {
				t.Errorf("sent to %s at host %s, want %s at %s", got, r.Host, c.url, c.host)
			}
			if v := r.URL.Query().Get("version"); v < "2024-05-13" {
				t.Errorf("the version is %q: an app's own variables and Code Engine's would be one", v)
			}
			if got := r.Header.Get("Authorization"); got != "Bearer ours" {
				t.Errorf("it carries authorization %q", got)
			}
		})
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bearer is a transport that logs in with a token.
func bearer(token string, next tripper) tripper {
	return func(r *http.Request) (*http.Response, error) {
		own := r.Clone(r.Context())
		own.Header.Set("Authorization", "Bearer "+token)
		return next(own)
	}
}

// TestOurOwnLogin: its failure must not look like an answer of the store.
func TestOurOwnLogin(t *testing.T) {
	for name, c := range map[string]struct {
		key   string
		fault emulator.Fault
		want  error
	}{
		"a key that IAM does not know is denied": {canary, emulator.Fault{}, port.ErrDenied},
		"an IAM that is down says nothing": {
			"", emulator.Fault{Path: "/identity/token", Kind: emulator.FaultStatus, Status: 503}, port.ErrUnavailable,
		},
		"an IAM that drops the connection says nothing": {
			"", emulator.Fault{Path: "/identity/token", Kind: emulator.FaultLost}, port.ErrUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			key := w.Ready().APIKey
			if c.key != "" {
				key = c.key
			}
			if c.fault.Kind != "" {
				w.Inject(c.fault)
			}
			s := codeengine.New(codeengine.Config{
				Endpoint: w.URL(), HTTP: w.login(key).HTTP(),
			}).Store(codeengine.StoreConfig{Project: w.team().ID, Region: region, Secret: secretName, Entry: entryName})
			_, err := s.Read(t.Context())
			wants(t, err, c.want, "logging in")
			wants(t, s.Publish(t.Context(), entry(1), ""), c.want, "logging in")
			if got := w.Counter("*", "/v2/*"); got != 0 {
				t.Errorf("%d calls were made without a token", got)
			}
		})
	}
}

// TestALoginInTheTransport: the shared client may log in itself, and speaks in
// the sentinels.
func TestALoginInTheTransport(t *testing.T) {
	for _, want := range []error{port.ErrDenied, port.ErrUnavailable} {
		s := codeengine.New(codeengine.Config{HTTP: &http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("logging in as ourselves: %w", want)
		})}}).Store(codeengine.StoreConfig{Project: "team-a", Region: region, Secret: secretName, Entry: entryName})
		_, err := s.Read(t.Context())
		wants(t, err, want, "logging in as ourselves")
	}
}
