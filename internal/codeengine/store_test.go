package codeengine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

// TestStoreKeepsTheContract runs the suite once for each answer that IBM's
// documents leave open.
func TestStoreKeepsTheContract(t *testing.T) {
	for name, change := range map[string]func(*cloud.Switches){
		"as the emulator guesses":           func(*cloud.Switches) {},
		"with 409 for a stale tag":          func(s *cloud.Switches) { s.StaleCodeEngineStatus = 409 },
		"with 412 for a name that is taken": func(s *cloud.Switches) { s.ExistingCodeEngineStatus = 412 },
		"with 400 for a quota":              func(s *cloud.Switches) { s.QuotaStatus = 400 },
		"with 409 for a quota":              func(s *cloud.Switches) { s.QuotaStatus = 409 },
	} {
		t.Run(name, func(t *testing.T) {
			switches := cloud.DefaultSwitches()
			change(&switches)
			storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
				return newWorld(t, emulator.Options{Switches: &switches}).place()
			}})
		})
	}
	t.Run("with several entries in formats of their own", func(t *testing.T) {
		storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
			w := newWorld(t, emulator.Options{})
			w.form = storetest.Form(true)
			return w.place()
		}})
	})
}

func (w *world) place() storetest.Location {
	neighbours := 0
	lose := func(f emulator.Fault) func(*testing.T) {
		return func(*testing.T) {
			w.ClearFaults()
			for method, path := range map[string]string{"POST": "/v2/projects/*/secrets", "PUT": "/v2/projects/*/secrets/*"} {
				f.Method, f.Path, f.Count = method, path, 1
				w.Inject(f)
			}
		}
	}
	effect := true
	return storetest.Location{
		Store: w.store(), Other: w.store(), Permission: []string{"Viewer", "Writer", "codeengine"},
		Neighbour: func(*testing.T) func(*testing.T) {
			neighbours++
			name, value := fmt.Sprint("neighbour-", neighbours), fmt.Sprint("\x00<ünchanged> ", neighbours)
			w.set(name, value)
			return func(t *testing.T) {
				t.Helper()
				if got := w.data()[name]; got != value {
					t.Errorf("%s is now %q", name, got)
				}
			}
		},
		Handwrite: func(_ *testing.T, value string) { w.set(entryName, value) },
		Remove:    func(*testing.T) { w.Cloud().RemoveSecret(w.team().ID, secretName) },
		Unclear: map[string]func(*testing.T){
			"the connection drops":       lose(emulator.Fault{Kind: emulator.FaultLost}),
			"the answer is cut off":      lose(emulator.Fault{Kind: emulator.FaultTruncate}),
			"a gateway answers 504":      lose(emulator.Fault{Kind: emulator.FaultStatus, Status: 504, Effect: &effect}),
			"too many requests, it says": lose(emulator.Fault{Kind: emulator.FaultStatus, Status: 429, RetryAfter: "1", Effect: &effect}),
		},
		Down: func(*testing.T) func() {
			w.Inject(emulator.Fault{Path: "/v2/*", Kind: emulator.FaultStatus, Status: 503})
			return w.ClearFaults
		},
		Hang: func(*testing.T) { w.Inject(emulator.Fault{Path: "/v2/*", Kind: emulator.FaultHang}) },
		Deny: func(*testing.T) func() {
			me := w.Cloud().Minter().IAMID
			w.Cloud().Revoke(me, "codeengine")
			w.Cloud().Grant(me, "codeengine", "crn:v1:bluemix:public:iam::::serviceRole:Reader")
			return func() { w.Cloud().Grant(me, "codeengine", "crn:v1:bluemix:public:iam::::serviceRole:Writer") }
		},
		Fill: func(*testing.T) {
			for n := range 100 {
				w.Cloud().PutSecret(w.team().ID, fmt.Sprint("filler-", n), nil)
			}
		},
		Longest: 1 << 20,
		Misnamed: map[string]port.Store{
			"the secret has capitals":    w.store(func(c *codeengine.StoreConfig) { c.Secret = "Logs-Sender" }),
			"the entry has a space":      w.store(func(c *codeengine.StoreConfig) { c.Entry = "IAM API KEY" }),
			"the project does not exist": w.store(func(c *codeengine.StoreConfig) { c.Project = "no-such-project" }),
		},
	}
}

func TestAnEntryIsInTheDataWithItsCompanions(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if err := w.store().Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	data := w.data()
	if len(data) != 3 || data["IAM_API_KEY"] != canary+"1" || data["IAM_API_KEY_ID"] != "ApiKey-1" {
		t.Errorf("the data is %v", data)
	}
	var note map[string]string
	if err := json.Unmarshal([]byte(data["IAM_API_KEY_LATCHKEY"]), &note); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"owner": "prod", "created": "2026-11-24T10:01:00Z", "iam_id": "iam-ServiceId-1"}
	if fmt.Sprint(note) != fmt.Sprint(want) {
		t.Errorf("the note is %v, want %v", note, want)
	}
	s := w.store()
	if want := "codeEngine/eu-de/" + w.team().ID + "/logs-sender#IAM_API_KEY"; s.Name() != want {
		t.Errorf("the store's name is %s, want %s", s.Name(), want)
	}
}

func TestTwoEntriesShareOneSecret(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	one := w.store()
	two := w.store(func(c *codeengine.StoreConfig) { c.Entry = "OTHER_KEY" })
	if err := one.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	e, err := two.Read(t.Context())
	if !errors.Is(err, port.ErrNotFound) || e.Revision == "" {
		t.Fatalf("an entry beside another: revision %q, %v", e.Revision, err)
	}
	if err := two.Publish(t.Context(), entry(2), e.Revision); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[*codeengine.Store]string{one: "ApiKey-1", two: "ApiKey-2"} {
		if got, err := s.Read(t.Context()); err != nil || got.KeyID != want {
			t.Errorf("%s names %s (%v), want %s", s.Name(), got.KeyID, err, want)
		}
	}
}

func TestADamagedCompanionLosesOnlyItsOwnFields(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.set(entryName, canary)
	w.set(entryName+"_ID", "ApiKey-1")
	w.set(entryName+"_LATCHKEY", `{"owner":`)
	got, err := w.store().Read(t.Context())
	if err != nil || got.KeyID != "ApiKey-1" || got.Owner != "" || !got.Created.IsZero() || got.Unmarked() {
		t.Errorf("entry of key %s, owner %q, created %s (%v)", got.KeyID, got.Owner, got.Created, err)
	}
}

// TestCalls: a publication at the revision of the read before costs one call.
func TestCalls(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store()
	calls := func(doing string, want int, f func() error) {
		t.Helper()
		w.ResetCounters()
		if err := f(); err != nil && !errors.Is(err, port.ErrNotFound) {
			t.Errorf("%s: %v", doing, err)
		}
		if got := w.Counter("*", "/v2/*"); got != want {
			t.Errorf("%s took %d calls, want %d: %v", doing, got, want, w.Counters())
		}
	}
	var at string
	read := func() error {
		e, err := s.Read(t.Context())
		at = e.Revision
		return err
	}
	calls("reading an absent secret", 2, read) // the project is asked, too
	calls("creating", 1, func() error { return s.Publish(t.Context(), entry(1), at) })
	calls("reading", 1, read)
	calls("replacing what was read", 1, func() error { return s.Publish(t.Context(), entry(2), at) })
	calls("reading elsewhere", 1, func() error {
		e, err := w.store().Read(t.Context())
		at = e.Revision
		return err
	})
	calls("replacing what another client read", 2, func() error { return s.Publish(t.Context(), entry(3), at) })
}

func TestAProjectByNameIsLookedUpOnce(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(func(c *codeengine.StoreConfig) { c.Project = "team-a" })
	for n, revision := range []string{"", "read"} {
		if revision != "" {
			e, err := s.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			revision = e.Revision
		}
		if err := s.Publish(t.Context(), entry(n), revision); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Counter("GET", "/v2/projects"); got != 1 {
		t.Errorf("the projects were listed %d times", got)
	}
}

func TestAProjectThatWasMadeAnewIsFoundAnew(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(func(c *codeengine.StoreConfig) { c.Project = "team-a" })
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	w.Cloud().RemoveProject(w.team().ID)
	if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrRefused) {
		t.Fatalf("reading in a deleted project: %v", err)
	}
	w.Cloud().AddProject("team-a", region)
	if e, err := s.Read(t.Context()); !errors.Is(err, port.ErrNotFound) || e.Revision != "" {
		t.Errorf("reading in the new project: %q, %v", e.Revision, err)
	}
}

// Whoever may make a project in another resource group could else have the key.
func TestAProjectNameThatTwoProjectsHaveIsNotGuessed(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	first := w.team()
	other := w.Cloud().AddProject(first.Name, region)
	s := w.store(func(c *codeengine.StoreConfig) { c.Project = first.Name })
	_, err := s.Read(t.Context())
	wants(t, err, port.ErrRefused, "several projects", other.ID, first.ID)
	w.Cloud().RemoveProject(other.ID)
	if _, err := s.Read(t.Context()); err != nil && !errors.Is(err, port.ErrNotFound) {
		t.Errorf("with one left: %v", err)
	}
}

// Reading reports a project that is not active before a key is minted.
func TestAProjectThatIsNotActiveIsNotPublishedTo(t *testing.T) {
	const unknown = "00000000-0000-4000-8000-000000000000"
	byName := func(c *codeengine.StoreConfig) { c.Project = "team-c" }
	for name, c := range map[string]struct {
		status int // of the switch for an inactive project
		make   func(w *world) func(*codeengine.StoreConfig)
		want   error
		says   string
	}{
		"that is being made": {409, func(w *world) func(*codeengine.StoreConfig) {
			id := w.create("team-c")
			return func(c *codeengine.StoreConfig) { c.Project = id }
		}, port.ErrNotActive, "creating"},
		"that is being made, with 404": {404, func(w *world) func(*codeengine.StoreConfig) {
			id := w.create("team-c")
			return func(c *codeengine.StoreConfig) { c.Project = id }
		}, port.ErrNotActive, "creating"},
		"that is being made, with 400": {400, func(w *world) func(*codeengine.StoreConfig) {
			id := w.create("team-c")
			return func(c *codeengine.StoreConfig) { c.Project = id }
		}, port.ErrNotActive, "creating"},
		"that is being made, by name": {409, func(w *world) func(*codeengine.StoreConfig) {
			w.create("team-c")
			return byName
		}, port.ErrNotActive, "creating"},
		"that was deleted": {409, func(w *world) func(*codeengine.StoreConfig) {
			id := w.Cloud().AddProject("team-c", region).ID
			w.Cloud().RemoveProject(id)
			return func(c *codeengine.StoreConfig) { c.Project = id }
		}, port.ErrRefused, "soft_deleted"},
		"that never was": {409, func(*world) func(*codeengine.StoreConfig) {
			return func(c *codeengine.StoreConfig) { c.Project = unknown }
		}, port.ErrRefused, unknown},
		"of an unknown name": {409, func(*world) func(*codeengine.StoreConfig) { return byName }, port.ErrRefused, "team-c"},
		"of another region": {409, func(*world) func(*codeengine.StoreConfig) {
			return func(c *codeengine.StoreConfig) { c.Region, c.Project = "us-south", "team-a" }
		}, port.ErrRefused, "us-south"},
	} {
		t.Run(name, func(t *testing.T) {
			switches := cloud.DefaultSwitches()
			switches.InactiveProjectStatus = c.status
			w := newWorld(t, emulator.Options{Switches: &switches, ProjectDelay: emulator.UsualProjectDelay})
			s := w.store(c.make(w))
			_, err := s.Read(t.Context())
			wants(t, err, c.want, c.says)
			wants(t, s.Publish(t.Context(), entry(1), ""), c.want, c.says)
			if _, err := s.Read(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("reading once more: %v", err)
			}
		})
	}
}

func wants(t *testing.T, err, want error, says ...string) {
	t.Helper()
	never(t, err)
	if !errors.Is(err, want) {
		t.Fatalf("error %v: want %v", err, want)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

// create makes a project that is being created, if its world has a ProjectDelay.
func (w *world) create(name string) string {
	w.t.Helper()
	p, err := w.Cloud().CreateProject(cloud.Owner(), cloud.NewProject{Name: name, Region: region})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.ID
}

func TestASecretIsNotAbsentWhileTheProjectCannotBeRead(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.Inject(emulator.Fault{Method: "GET", Path: "/v2/projects/{project}", Kind: emulator.FaultStatus, Status: 500})
	_, err := w.store().Read(t.Context())
	wants(t, err, port.ErrUnavailable)
	if errors.Is(err, port.ErrNotFound) {
		t.Errorf("error %v counts as absence", err)
	}
}

func TestNamesAndEntriesThatCodeEngineRefusesAreNotSent(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	long := strings.Repeat("a", 254)
	for name, c := range map[string]struct {
		secret, entry string
		value         string
		says          string
	}{
		"a secret with capitals":        {"Logs", "K", canary, "lower-case"},
		"a secret with a slash":         {"a/b", "K", canary, "lower-case"},
		"a secret that starts with '-'": {"-a", "K", canary, "starts and ends"},
		"a secret with an empty part":   {"a..b", "K", canary, "starts and ends"},
		"a secret without a name":       {"", "K", canary, "lower-case"},
		"a secret with too long a name": {long, "K", canary, "253"},
		"an entry with a space":         {"a", "my key", canary, "letters, digits"},
		"an entry without a name":       {"a", "", canary, "letters, digits"},
		"an entry with no room for _ID": {"a", long[:250], canary, "244"},
		"a value that is too long":      {"a", "K", strings.Repeat(canary, 1<<15), "1048576"},
		"a value that is not there":     {"a", "K", "", "no value"},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.store(func(sc *codeengine.StoreConfig) { sc.Secret, sc.Entry = c.secret, c.entry })
			e := entry(1)
			e.Value = secret.New(c.value)
			wants(t, s.Publish(t.Context(), e, ""), port.ErrRefused, c.says)
			if c.says != "no value" && c.says != "1048576" {
				_, err := s.Read(t.Context())
				wants(t, err, port.ErrRefused, c.says)
			}
		})
	}
	if got := w.Counter("*", "/v2/*"); got != 0 {
		t.Errorf("%d calls were made", got)
	}
}

func TestASecretOfAnotherFormatIsRefused(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if _, err := w.Cloud().CreateSecret(cloud.Owner(), w.team().ID, cloud.NewSecret{
		Name: secretName, Format: "basic_auth", Data: map[string]string{"username": "u", "password": canary},
	}); err != nil {
		t.Fatal(err)
	}
	s := w.store()
	_, err := s.Read(t.Context())
	wants(t, err, port.ErrRefused, secretName, "basic_auth")
	wants(t, s.Publish(t.Context(), entry(1), "2385407409"), port.ErrRefused, "basic_auth")
}

// TestAStatusSelectsTheError: every answer has its meaning, whatever else is in it.
func TestAStatusSelectsTheError(t *testing.T) {
	const body = `{"errors":[{"code":"some_code","message":"Some words."}],"status_code":0}`
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
		says   string
	}{
		"400":                              {400, body, port.ErrRefused, "some_code Some words."},
		"401, as our token was not taken":  {401, body, port.ErrUnavailable, "401"},
		"403":                              {403, body, port.ErrDenied, "some_code"},
		"403 with a quota's code":          {403, `{"errors":[{"code":"secret_quota_reached"}]}`, port.ErrQuota, "secret_quota_reached"},
		"409 with a limit's code":          {409, `{"errors":[{"code":"limit_exceeded"}]}`, port.ErrQuota, "limit_exceeded"},
		"413":                              {413, "", port.ErrRefused, "413"},
		"422":                              {422, body, port.ErrRefused, "some_code"},
		"429 with a limit's code":          {429, `{"errors":[{"code":"rate_limit"}]}`, port.ErrUnavailable, "429"},
		"500":                              {500, body, port.ErrUnavailable, "some_code"},
		"502 from a gateway":               {502, "<html>" + canary + "</html>", port.ErrUnavailable, "502"},
		"200 that is not JSON":             {200, canary, port.ErrUnavailable, "can't be read"},
		"200 of another shape":             {200, `{"entity_tag":{"x":"` + canary + `"}}`, port.ErrUnavailable, "can't be read"},
		"200 with data that are no text":   {200, `{"entity_tag":"1","format":"generic","data":{"x":["` + canary + `"]}}`, port.ErrUnavailable, "can't be read"},
		"200 without a body":               {200, "", port.ErrUnavailable, "without an answer"},
		"200 without an entity tag":        {200, `{"name":"x","format":"generic","data":{"IAM_API_KEY":"` + canary + `"}}`, port.ErrUnavailable, "entity_tag"},
		"an error that quotes nothing":     {400, `{"errors":"` + canary + `"}`, port.ErrRefused, "400"},
		"an error with far too many words": {400, `{"errors":[{"message":"` + strings.Repeat("ü ", 1000) + `"}]}`, port.ErrRefused, "…"},
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				status, out := c.status, c.body
				if strings.Count(r.URL.Path, "/") == 3 { // the project, which is fine
					status, out = 200, `{"id":"5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21","status":"active"}`
				}
				rw.WriteHeader(status)
				_, _ = io.WriteString(rw, out)
			})
			_, err := s.Read(t.Context())
			wants(t, err, c.want, c.says)
			if len(err.Error()) > 600 {
				t.Errorf("the error has %d characters", len(err.Error()))
			}
		})
	}
}

func TestAServiceThatRepeatsTheSecretIsNotQuoted(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(rw, `{"format":"generic","entity_tag":"1","id":"x","status":"active","data":{"theirs":"their-`+canary+`"}}`)
			return
		}
		said := []byte(`"The neighbour their-` + canary + ` is not valid."`)
		if r.Method == http.MethodPost {
			sent, _ := io.ReadAll(r.Body)
			said, _ = json.Marshal("This is not valid: " + string(sent))
		}
		rw.WriteHeader(400)
		_, _ = io.WriteString(rw, `{"errors":[{"code":"bad_request","message":`+string(said)+`}]}`)
	})
	wants(t, s.Publish(t.Context(), entry(1), ""), port.ErrRefused, "400", "left out")
	wants(t, s.Publish(t.Context(), entry(1), "1"), port.ErrRefused, "400", "left out")
}

// TestAWriteIsKnownByTheSecretInItsAnswer: any other answer may be that of a server on the way.
func TestAWriteIsKnownByTheSecretInItsAnswer(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(rw, `{"format":"generic","entity_tag":"1","data":{}}`)
			return
		}
		_, _ = io.WriteString(rw, `{"entity_tag":{"x":"`+canary+`"}}`)
	})
	for _, revision := range []string{"", "1"} {
		wants(t, s.Publish(t.Context(), entry(1), revision), port.ErrUnavailable, "can't be read")
	}
}

// TestAProjectThatIsThereAndTakesNoSecret: the two answers contradict each
// other, so nothing is known.
func TestAProjectThatIsThereAndTakesNoSecret(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			rw.WriteHeader(404)
			_, _ = io.WriteString(rw, `{"errors":[{"code":"not_found"}]}`)
			return
		}
		_, _ = io.WriteString(rw, `{"id":"5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21","status":"active"}`)
	})
	wants(t, s.Publish(t.Context(), entry(1), ""), port.ErrUnavailable, "takes no secret")
}

func TestAnAnswerThatStopsInItsMiddleEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := codeengine.New(codeengine.Config{HTTP: &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		body := iotest.ErrReader(errors.New("stopped"))
		cancel() // the headers are there, the body is not
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body), Request: r}, nil
	})}}).Store(codeengine.StoreConfig{Project: "5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21", Region: region, Secret: secretName, Entry: entryName})
	_, err := s.Read(ctx)
	wants(t, err, port.ErrUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not say that the call was cancelled", err)
	}
}

func TestStoresOfOneProjectShareItsLists(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	client, lists := w.client(), new(listing.Shared)
	var stores []*codeengine.Store
	for i := range 6 {
		s := client.Store(codeengine.StoreConfig{
			Project: w.team().ID, Region: region, Secret: fmt.Sprint("s", i), Entry: entryName, Owner: "prod", Restart: codeengine.Restart{All: true},
		})
		if i != 5 { // a list does not show that it is absent
			if err := s.Publish(t.Context(), entry(i), ""); err != nil {
				t.Fatal(err)
			}
		}
		stores = append(stores, s)
		lists.Want(s)
	}
	count := func() (calls [3]int) {
		for i, path := range []string{"/v2/projects/{project}/secrets", "/v2/projects/{project}/secrets/{name}", "/v2/projects/{project}/apps"} {
			calls[i] = w.Counter("GET", path)
		}
		return calls
	}
	before := count()
	ctx := lists.With(t.Context())
	for i, s := range stores {
		alone, err := s.Read(t.Context())
		listed, lerr := s.Read(ctx)
		if !errors.Is(err, lerr) && !errors.Is(lerr, port.ErrNotFound) || listed.KeyID != alone.KeyID || listed.Revision != alone.Revision || !listed.Value.Equal(alone.Value) {
			t.Errorf("s%d: %v, %v: %+v, alone %+v", i, err, lerr, listed, alone)
		}
		if _, err := s.Consumers().Consumers(ctx); err != nil {
			t.Error(err)
		}
	}
	after := count()
	if secrets, alone, apps := after[0]-before[0], after[1]-before[1], after[2]-before[2]; secrets != 1 || alone != 6+1 || apps != 1 {
		t.Errorf("%d lists of secrets, %d secrets by themselves, %d lists of apps", secrets, alone, apps)
	}
	few := new(listing.Shared)
	few.Want(stores[0])
	if _, err := stores[0].Read(few.With(t.Context())); err != nil || count()[0] != after[0] {
		t.Errorf("a look at one secret lists the others (%v)", err)
	}
}
