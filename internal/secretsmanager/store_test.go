package secretsmanager_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

// TestStoreKeepsTheContract runs the suite for each type, with and without
// locks, and once for each answer that IBM's documents leave open.
func TestStoreKeepsTheContract(t *testing.T) {
	for name, change := range map[string]func(*cloud.Switches){
		"as the emulator guesses":            func(*cloud.Switches) {},
		"with names that are free per group": func(s *cloud.Switches) { s.SecretNamesPerGroup = true },
	} {
		for _, kind := range []string{secretsmanager.Arbitrary, secretsmanager.KeyValue} {
			for _, way := range []string{"", " with locks"} {
				t.Run(kind+" "+name+way, func(t *testing.T) {
					switches := cloud.DefaultSwitches()
					change(&switches)
					storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
						w := newWorld(t, emulator.Options{Switches: &switches})
						if way == "" {
							return w.place(kind)
						}
						return w.locking(kind)
					}})
				})
			}
		}
	}
}

func TestStoreKeepsTheContractInFormats(t *testing.T) {
	for kind, several := range map[string]bool{secretsmanager.Arbitrary: false, secretsmanager.KeyValue: true} {
		t.Run(kind, func(t *testing.T) {
			storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
				w := newWorld(t, emulator.Options{})
				w.form = storetest.Form(several)
				return w.place(kind)
			}})
		})
	}
}

func (w *world) place(kind string) storetest.Location {
	lose := func(f emulator.Fault) func(*testing.T) {
		return func(*testing.T) {
			w.ClearFaults()
			for _, path := range []string{"/api/v2/secrets", "/api/v2/secrets/*/versions"} {
				f.Method, f.Path, f.Count = "POST", path, 1
				w.Inject(f)
			}
		}
	}
	effect := true
	named := func(change func(*secretsmanager.StoreConfig)) port.Store { return w.store(kind, change) }
	p := storetest.Location{
		Store: w.store(kind), Other: w.store(kind),
		Remove: func(*testing.T) {
			s, _ := w.secret(kind)
			if err := w.Cloud().DeleteManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, s.ID, false); err != nil {
				w.t.Fatal(err)
			}
		},
		Unclear: map[string]func(*testing.T){
			"the connection drops":       lose(emulator.Fault{Kind: emulator.FaultLost}),
			"the answer is cut off":      lose(emulator.Fault{Kind: emulator.FaultTruncate}),
			"a gateway answers 504":      lose(emulator.Fault{Kind: emulator.FaultStatus, Status: 504, Effect: &effect}),
			"too many requests, it says": lose(emulator.Fault{Kind: emulator.FaultStatus, Status: 429, RetryAfter: "1", Effect: &effect}),
		},
		Down: func(*testing.T) func() {
			w.Inject(emulator.Fault{Path: "/api/v2/*", Kind: emulator.FaultStatus, Status: 503})
			return w.ClearFaults
		},
		Hang: func(*testing.T) { w.Inject(emulator.Fault{Path: "/api/v2/*", Kind: emulator.FaultHang}) },
		Deny: func(*testing.T) func() {
			me := w.Cloud().Minter().IAMID
			w.Cloud().Revoke(me, "secrets-manager")
			w.Cloud().Grant(me, "secrets-manager", reader)
			return func() { w.Cloud().Grant(me, "secrets-manager", writer) }
		},
		Permission: []string{"secrets-manager.secret", "role", "Writer"},
		Misnamed: map[string]port.Store{
			"the name has a slash":      named(func(c *secretsmanager.StoreConfig) { c.Secret = "a/b" }),
			"the name has one letter":   named(func(c *secretsmanager.StoreConfig) { c.Secret = "a" }),
			"the name ends in a dash":   named(func(c *secretsmanager.StoreConfig) { c.Secret = "a-" }),
			"the name is too long":      named(func(c *secretsmanager.StoreConfig) { c.Secret = strings.Repeat("x", 257) }),
			"the type is another":       named(func(c *secretsmanager.StoreConfig) { c.Type = "username_password" }),
			"the group does not exist":  named(func(c *secretsmanager.StoreConfig) { c.Group = "team-z" }),
			"the entry of a kv is none": w.store(secretsmanager.KeyValue, func(c *secretsmanager.StoreConfig) { c.Entry = "a b" }),
		},
	}
	p.Whole = kind == secretsmanager.Arbitrary
	p.AllowRemove = func(*testing.T) {
		w.Cloud().Grant(w.Cloud().Minter().IAMID, "secrets-manager", "crn:v1:bluemix:public:iam::::serviceRole:Manager")
	}
	if kind == secretsmanager.KeyValue {
		p.Longest = 512 << 10
		p.Neighbour = w.neighbourEntry()
		p.Handwrite = func(_ *testing.T, value string) {
			data := w.data()
			data[entryName] = value
			w.write(kind, "", data)
		}
		return p
	}
	p.Longest = 1 << 20
	p.Neighbour = w.neighbourMetadata()
	p.Handwrite = func(_ *testing.T, value string) { w.write(kind, value, nil) }
	p.WriteOnly = func(*testing.T) port.Store { return w.writeOnly(kind) }
	return p
}

// neighbourEntry puts another entry into the kv secret, as a person does in the
// console: the version that this makes has no metadata.
func (w *world) neighbourEntry() func(*testing.T) func(*testing.T) {
	n := 0
	return func(*testing.T) func(*testing.T) {
		n++
		name, value := fmt.Sprint("neighbour-", n), map[string]any{"text": fmt.Sprint("\x00<ünchanged> ", n), "number": float64(n) + 0.5, "list": []any{true, nil}}
		data := w.data()
		data[name] = value
		w.write(secretsmanager.KeyValue, "", data)
		return func(t *testing.T) {
			t.Helper()
			if got := w.data()[name]; fmt.Sprint(got) != fmt.Sprint(value) {
				t.Errorf("%s is now %v", name, got)
			}
		}
	}
}

// neighbourMetadata puts foreign metadata on the arbitrary secret
// and its current version, or beside it while it is not there.
func (w *world) neighbourMetadata() func(*testing.T) func(*testing.T) {
	n := 0
	const in = cloud.SecretsInstanceID
	return func(t *testing.T) func(*testing.T) {
		t.Helper()
		n++
		s, ok := w.secret(secretsmanager.Arbitrary)
		if !ok {
			name, payload := fmt.Sprint(secretName, "-", n), fmt.Sprint("neighbour ", n)
			beside, _, err := w.Cloud().CreateManagedSecret(cloud.Owner(), in, cloud.NewManagedSecret{Type: "arbitrary", Name: name, GroupID: w.group, Payload: payload})
			if err != nil {
				t.Fatal(err)
			}
			return func(t *testing.T) {
				t.Helper()
				if got, v, err := w.Cloud().GetManagedSecret(cloud.Owner(), in, beside.ID); err != nil || v.Data["payload"] != payload || got.VersionsTotal != 1 {
					t.Errorf("the secret beside is now %v, %v", v.Data, err)
				}
			}
		}
		label, key := fmt.Sprint("label-", n), fmt.Sprint("key-", n)
		custom := map[string]any{key: "kept"}
		for k, v := range s.CustomMetadata {
			custom[k] = v
		}
		must[cloud.ManagedSecret](w)(w.Cloud().UpdateManagedSecret(cloud.Owner(), in, s.ID, cloud.ManagedSecretChange{Labels: append(s.Labels, label), CustomMetadata: custom}))
		of := map[string]any{key: "kept"}
		for k, v := range w.current(secretsmanager.Arbitrary).CustomMetadata {
			of[k] = v
		}
		must[cloud.SecretVersion](w)(w.Cloud().UpdateSecretVersionMetadata(cloud.Owner(), in, s.ID, "current", of))
		return func(t *testing.T) {
			t.Helper()
			now, _ := w.secret(secretsmanager.Arbitrary)
			if !strings.Contains(fmt.Sprint(now.Labels), label) || now.CustomMetadata[key] != "kept" || w.current(secretsmanager.Arbitrary).CustomMetadata[key] != "kept" {
				t.Errorf("labels %v, metadata %v, and of the version %v", now.Labels, now.CustomMetadata, w.current(secretsmanager.Arbitrary).CustomMetadata)
			}
		}
	}
}

func TestAnArbitrarySecretSaysWhoseKeyItHas(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(secretsmanager.Arbitrary)
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	got, _ := w.secret(secretsmanager.Arbitrary)
	v := w.current(secretsmanager.Arbitrary)
	const note = `{"key_id":"ApiKey-1","owner":"prod","created":"2026-11-24T10:01:00Z","iam_id":"iam-ServiceId-1"}`
	if v.Data["payload"] != canary+"1" || v.CustomMetadata["latchkey"] != note || fmt.Sprint(got.Labels) != "[latchkey prod]" || got.GroupID != w.group {
		t.Errorf("secret %+v, version %+v", got, v)
	}
	if want := "secretsManager/eu-de/" + cloud.SecretsInstanceID + "/team-a/logs-sender"; s.Name() != want || s.Guarded() {
		t.Errorf("the store's name is %s, guarded is %v", s.Name(), s.Guarded())
	}
}

func TestAnEntryOfAKVSecretIsInTheDataWithItsCompanions(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	one := w.store(secretsmanager.KeyValue)
	two := w.store(secretsmanager.KeyValue, func(c *secretsmanager.StoreConfig) { c.Entry = "OTHER_KEY" })
	if err := one.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	if d := w.data(); len(d) != 3 || d["IAM_API_KEY"] != canary+"1" || d["IAM_API_KEY_ID"] != "ApiKey-1" || !strings.Contains(d["IAM_API_KEY_LATCHKEY"].(string), `"owner":"prod"`) {
		t.Errorf("the data is %v", d)
	}
	e, err := two.Read(t.Context())
	if !errors.Is(err, port.ErrNotFound) || e.Revision == "" {
		t.Fatalf("an entry beside another: revision %q, %v", e.Revision, err)
	}
	if err := two.Publish(t.Context(), entry(2), e.Revision); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[*secretsmanager.Store]string{one: "ApiKey-1", two: "ApiKey-2"} {
		if got, err := s.Read(t.Context()); err != nil || got.KeyID != want {
			t.Errorf("%s names %s (%v), want %s", s.Name(), got.KeyID, err, want)
		}
	}
	if m := w.current(secretsmanager.KeyValue).CustomMetadata; len(m) != 2 || m["latchkey_IAM_API_KEY"] == nil || m["latchkey_OTHER_KEY"] == nil {
		t.Errorf("metadata %v", m)
	}
}

func TestThePublishedKeyDatesAnArbitrarySecret(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(secretsmanager.Arbitrary)
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	date := func(want time.Time) {
		t.Helper()
		if got, _ := w.secret(secretsmanager.Arbitrary); !got.ExpirationDate.Equal(want) {
			t.Errorf("it expires %s, want %s", got.ExpirationDate, want)
		}
	}
	date(entry(1).Created.Add(life))
	publish := func(e port.Entry) error {
		now, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Publish(t.Context(), e, now.Revision)
	}
	if err := publish(entry(2)); err != nil {
		t.Fatal(err)
	}
	date(entry(2).Created.Add(life))
	got, _ := w.secret(secretsmanager.Arbitrary)
	later := start.Add(400 * 24 * time.Hour).Format(time.RFC3339)
	must[cloud.ManagedSecret](w)(w.Cloud().UpdateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, got.ID, cloud.ManagedSecretChange{ExpirationDate: (*cloud.Date)(&later)}))
	if err := publish(entry(3)); err != nil {
		t.Fatal(err)
	}
	date(start.Add(400 * 24 * time.Hour)) // a person's later date stays
	w.ResetCounters()
	if err := publish(entry(4)); err != nil || w.Counter("PATCH", "/api/v2/*") != 0 {
		t.Errorf("dated again: %v", err)
	}
}

func TestAVersionThatFailsLeavesADateThatDestroysNothing(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(secretsmanager.Arbitrary)
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	now, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Inject(emulator.Fault{Method: "PATCH", Path: "/api/v2/*", Kind: emulator.FaultStatus, Status: 503})
	err = s.Publish(t.Context(), entry(2), now.Revision)
	if !errors.Is(err, port.ErrUnavailable) || w.current(secretsmanager.Arbitrary).ID != now.Revision {
		t.Errorf("a version was made although the date could not be moved: %v", err)
	}
}

func TestALockedPreviousVersionRefusesTheNext(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(secretsmanager.Arbitrary)
	revision := ""
	for n := range 2 {
		if err := s.Publish(t.Context(), entry(n), revision); err != nil {
			t.Fatal(err)
		}
		e, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		revision = e.Revision
	}
	got, _ := w.secret(secretsmanager.Arbitrary)
	must[cloud.LockedSecret](w)(w.Cloud().CreateSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, got.ID, "previous", "", []cloud.NewSecretLock{{Name: "app"}}))
	err := s.Publish(t.Context(), entry(3), revision)
	if never(t, err); !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("publishing over a lock: %v", err)
	}
	must[cloud.LockedSecret](w)(w.Cloud().DeleteSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, got.ID, "", nil))
	if err := s.Publish(t.Context(), entry(3), revision); err != nil {
		t.Error(err)
	}
}

func TestAPublicationRefusesWhatChangedSinceTheRead(t *testing.T) {
	for _, kind := range []string{secretsmanager.Arbitrary, secretsmanager.KeyValue} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			s := w.store(kind)
			if err := s.Publish(t.Context(), entry(5), ""); err != nil {
				t.Fatal(err)
			}
			now, err := s.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Publish(t.Context(), entry(4), now.Revision); !errors.Is(err, port.ErrConflict) {
				t.Errorf("an older key over a newer one: %v", err)
			}
			if err := w.store(kind).Publish(t.Context(), entry(6), now.Revision); err != nil {
				t.Fatal(err)
			}
			if err := s.Publish(t.Context(), entry(7), now.Revision); !errors.Is(err, port.ErrConflict) {
				t.Errorf("over another process' publication: %v", err)
			}
			if err := s.Publish(t.Context(), entry(7), ""); !errors.Is(err, port.ErrConflict) {
				t.Errorf("creating what exists: %v", err)
			}
			if got, err := s.Read(t.Context()); err != nil || got.KeyID != "ApiKey-6" {
				t.Errorf("it names %s, %v", got.KeyID, err)
			}
		})
	}
}

func TestANameThatIsTakenInAnotherGroupIsRefused(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if err := w.store(secretsmanager.Arbitrary).Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	s := w.store(secretsmanager.Arbitrary, func(c *secretsmanager.StoreConfig) { c.Group = "" })
	if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrNotFound) {
		t.Errorf("reading in another group: %v", err)
	}
	err := s.Publish(t.Context(), entry(2), "")
	if !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), w.group) {
		t.Errorf("creating: %v", err)
	}
}

// lists answers each list of secrets with a text.
type lists struct {
	next http.RoundTripper
	text string
}

func (l lists) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, "/api/v2/secrets") {
		return l.next.RoundTrip(req)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(l.text)), Request: req,
	}, nil
}

func TestANameThatIsTakenAndNotListedIsRefused(t *testing.T) {
	for _, kind := range []string{secretsmanager.Arbitrary, secretsmanager.KeyValue} {
		w := newWorld(t, emulator.Options{})
		if err := w.store(kind).Publish(t.Context(), entry(1), ""); err != nil {
			t.Fatal(err)
		}
		w.http.Transport = lists{w.http.Transport, `{"secrets":[],"total_count":5,"limit":100,"offset":0}`}
		if err := w.store(kind).Publish(t.Context(), entry(2), ""); !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), "does not show") {
			t.Errorf("%s: a refusal is remembered, so that each sweep does not make a key: %v", kind, err)
		}
	}
}

func TestWithoutPermissionToReadValuesASecretIsNotAbsent(t *testing.T) {
	for _, kind := range []string{secretsmanager.Arbitrary, secretsmanager.KeyValue} {
		w := newWorld(t, emulator.Options{})
		w.write(kind, "by hand", map[string]any{entryName: "by hand"})
		_, err := w.writeOnly(kind).Read(t.Context())
		if !errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "SecretsReader") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestWithoutPermissionToReadValuesAKVSecretIsNotReplaced(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	blind := w.writeOnly(secretsmanager.KeyValue)
	if err := blind.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	e, err := blind.Read(t.Context())
	if err != nil || e.KeyID != "ApiKey-1" || !e.Value.Empty() {
		t.Fatalf("it reads %s, %v", e.KeyID, err)
	}
	err = blind.Publish(t.Context(), entry(2), e.Revision)
	if !errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "secrets-manager.secret-version.read") {
		t.Errorf("publishing: %v", err)
	}
}

func TestANumberThatWouldChangeIsNotWrittenBack(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.write(secretsmanager.KeyValue, "", map[string]any{"big": []any{map[string]any{"n": float64(1 << 60)}}})
	s := w.store(secretsmanager.KeyValue)
	e, err := s.Read(t.Context())
	if !errors.Is(err, port.ErrNotFound) {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), entry(1), e.Revision); !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), "big") {
		t.Errorf("publishing: %v", err)
	}
}

func TestAnEntryWithoutAValueOrAKeyIsRefused(t *testing.T) {
	s := newWorld(t, emulator.Options{}).store(secretsmanager.Arbitrary)
	noKey, noValue := entry(1), entry(1)
	noKey.KeyID, noValue.Value = "", nil
	for _, e := range []port.Entry{noKey, noValue} {
		if err := s.Publish(t.Context(), e, ""); !errors.Is(err, port.ErrRefused) {
			t.Errorf("publishing %q: %v", e.KeyID, err)
		}
	}
}

func TestAnExpiredSecretIsRefusedWithTheFix(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(secretsmanager.Arbitrary)
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	w.Advance(life)
	s = w.store(secretsmanager.Arbitrary) // with a token of that day
	e, err := s.Read(t.Context())
	if err != nil || e.KeyID != "ApiKey-1" || !e.Value.Empty() || !e.Cleared {
		t.Fatalf("it reads %s, cleared: %t, %v", e.KeyID, e.Cleared, err)
	}
	next := entry(2)
	next.Created = w.Now()
	if err := s.Publish(t.Context(), next, e.Revision); !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("publishing: %v", err)
	}
}

func TestEachInstanceHasItsHost(t *testing.T) {
	for private, want := range map[bool]string{false: "abc.eu-de.secrets-manager.appdomain.cloud", true: "abc.private.eu-de.secrets-manager.appdomain.cloud"} {
		var host string
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			host = r.URL.Host
			return nil, errors.New("no network in this test")
		})
		cfg := config(secretsmanager.Arbitrary)
		cfg.Instance, cfg.Group = "abc", ""
		_, err := secretsmanager.New(secretsmanager.Config{Private: private, HTTP: &http.Client{Transport: transport}}).Store(cfg).Read(t.Context())
		if host != want || !errors.Is(err, port.ErrUnavailable) {
			t.Errorf("private %v: %s, %v", private, host, err)
		}
	}
}

func TestANewSecretIsSentInIBMsForm(t *testing.T) {
	const marks = `{"latchkey%s":"{\"key_id\":\"ApiKey-1\",%%s\"owner\":\"prod\",\"created\":\"2026-11-24T10:01:00Z\",\"iam_id\":\"iam-ServiceId-1\"}"}`
	for kind, want := range map[string]string{
		secretsmanager.Arbitrary: `"expiration_date":"2027-02-22T10:01:00.000Z","payload":"` + canary + `1"`,
		secretsmanager.KeyValue: `"data":{"IAM_API_KEY":"` + canary + `1","IAM_API_KEY_ID":"ApiKey-1",` +
			`"IAM_API_KEY_LATCHKEY":"{\"owner\":\"prod\",\"created\":\"2026-11-24T10:01:00Z\",\"iam_id\":\"iam-ServiceId-1\"}"}`,
	} {
		w := newWorld(t, emulator.Options{})
		var sent []byte
		plain := w.http.Transport
		w.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/secrets") {
				sent, _ = io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(sent))
			}
			return plain.RoundTrip(r)
		})
		if err := w.store(kind).Publish(t.Context(), entry(1), ""); err != nil {
			t.Fatal(err)
		}
		end := ""
		if kind == secretsmanager.KeyValue {
			end = "_" + entryName
		}
		form := fmt.Sprintf(marks, end)
		whole := fmt.Sprintf(`{"secret_type":%q,"name":%q,"secret_group_id":%q,"description":"An API key that latchkey manages","labels":["latchkey","prod"],%s,"custom_metadata":%s,"version_custom_metadata":%s}`,
			kind, secretName, w.group, want, fmt.Sprintf(form, `\"version\":1,`), fmt.Sprintf(form, ""))
		var got, expected map[string]any
		if err := json.Unmarshal([]byte(whole), &expected); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(sent, &got); err != nil || !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: %v\n%s\nwant\n%s", kind, err, sent, whole)
		}
	}
}

func TestASecretOfAnotherTypeIsNotRead(t *testing.T) {
	const version = `{"id":"v","secret_type":%q,"data":{},"payload":"x"}`
	for name, c := range map[string]struct {
		list, version string
		want          error
	}{
		"a list of another type":          {list: `{"secrets":[{"id":"s","secret_type":"username_password","name":"logs-sender"}],"next":{}}`, want: port.ErrNotFound},
		"a list of a type that is new":    {list: `{"secrets":[{"id":"s","secret_type":"new","name":"logs-sender"}]}`, want: port.ErrNotFound},
		"a list that names no type":       {list: `{"secrets":[{"id":"s","name":"logs-sender"}]}`, want: port.ErrUnavailable},
		"a list without secrets":          {list: `{"total_count":1}`, want: port.ErrUnavailable},
		"a version of another type":       {version: fmt.Sprintf(version, "custom_credentials"), want: port.ErrUnavailable},
		"a version of a type that is new": {version: fmt.Sprintf(version, "new"), want: port.ErrUnavailable},
		"a version that names no type":    {version: `{"id":"v"}`, want: port.ErrUnavailable},
		"a version with a bent date":      {version: `{"id":"v","secret_type":"arbitrary","expiration_date":"soon"}`, want: port.ErrUnavailable},
		"a version of the other type":     {version: `{"id":"v","secret_type":"kv","data":{}}`, want: port.ErrUnavailable},
		"a list of the other type":        {list: `{"secrets":[{"id":"s","secret_type":"kv","name":"logs-sender"}],"next":{}}`, want: port.ErrNotFound},
		"what the others differ from":     {},
	} {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.URL.Path == "/api/v2/secret_groups":
				fmt.Fprint(w, `{"secret_groups":[{"id":"g","name":"team-a"}]}`)
			case strings.Contains(r.URL.Path, "/versions/"):
				fmt.Fprint(w, cmp.Or(c.version, fmt.Sprintf(version, secretsmanager.Arbitrary)))
			case r.URL.Query().Get("offset") != "0":
				fmt.Fprint(w, `{"secrets":[]}`)
			default:
				fmt.Fprint(w, cmp.Or(c.list, `{"secrets":[{"id":"s","secret_type":"arbitrary","name":"logs-sender"}]}`))
			}
		})
		if _, err := s.Read(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAVersionWithoutItsValuesIsNotAnEmptyOne(t *testing.T) {
	for name, c := range map[string]struct {
		kind, version string
		want          error
	}{
		"data are missing":         {secretsmanager.KeyValue, `{"id":"v","secret_type":"kv","payload_available":true}`, port.ErrUnavailable},
		"data are null":            {secretsmanager.KeyValue, `{"id":"v","secret_type":"kv","data":null}`, port.ErrUnavailable},
		"data are empty":           {secretsmanager.KeyValue, `{"id":"v","secret_type":"kv","data":{}}`, port.ErrNotFound},
		"data were deleted":        {secretsmanager.KeyValue, `{"id":"v","secret_type":"kv","payload_available":false}`, port.ErrNotFound},
		"the payload is missing":   {secretsmanager.Arbitrary, `{"id":"v","secret_type":"arbitrary","payload_available":true}`, port.ErrUnavailable},
		"the payload is empty":     {secretsmanager.Arbitrary, `{"id":"v","secret_type":"arbitrary","payload":""}`, port.ErrUnavailable},
		"the payload was deleted":  {secretsmanager.Arbitrary, `{"id":"v","secret_type":"arbitrary","payload_available":false}`, port.ErrNotFound},
		"another type, as a value": {secretsmanager.KeyValue, `{"id":"v","secret_type":"arbitrary","payload":"x"}`, port.ErrUnavailable},
	} {
		wrote := false
		s := fakeOf(t, c.kind, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.Method != http.MethodGet:
				wrote = true
			case r.URL.Path == "/api/v2/secret_groups":
				fmt.Fprint(w, `{"secret_groups":[{"id":"g","name":"team-a"}]}`)
			case strings.Contains(r.URL.Path, "/versions/"):
				fmt.Fprint(w, c.version)
			default:
				fmt.Fprintf(w, `{"secrets":[{"id":"s","secret_type":%q,"name":"logs-sender"}]}`, c.kind)
			}
		})
		if _, err := s.Read(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: reading: %v, want %v", name, err, c.want)
		}
		if c.kind != secretsmanager.KeyValue || !errors.Is(c.want, port.ErrUnavailable) {
			continue
		}
		if err := s.Publish(t.Context(), entry(1), "v"); !errors.Is(err, port.ErrUnavailable) || wrote {
			t.Errorf("%s: publishing: %v, wrote: %t", name, err, wrote)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAStatusSelectsTheError(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"an empty page":               {200, ``, port.ErrUnavailable},
		"a proxy's page":              {200, `<html>` + canary + `</html>`, port.ErrUnavailable},
		"a gateway in between":        {502, `<html>` + canary + `</html>`, port.ErrUnavailable},
		"too many requests":           {429, `{"errors":[{"code":"too_many","message":"slow down"}]}`, port.ErrUnavailable},
		"a token that is not good":    {401, `{"errors":[{"code":"unauthorized"}]}`, port.ErrUnavailable},
		"no permission":               {403, `{"errors":[]}`, port.ErrDenied},
		"a limit":                     {400, `{"errors":[{"code":"limit_reached"}]}`, port.ErrQuota},
		"a request that is no good":   {400, `{"errors":[{"code":"bad","message":"` + canary + `1"}]}`, port.ErrRefused},
		"a secret without its ID":     {201, `{"secret_type":"arbitrary"}`, port.ErrUnavailable},
		"a redirect with no sense in": {302, ``, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/v2/secret_groups" {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, `{"secret_groups":[{"id":"g","name":"team-a","description":"","created_at":"2026-11-24T10:00:00Z","created_by":"me","updated_at":"2026-11-24T10:00:00Z"}],"total_count":1}`)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			err := s.Publish(t.Context(), entry(1), "")
			never(t, err)
			if !errors.Is(err, test.want) {
				t.Errorf("publishing: %v, want %v", err, test.want)
			}
		})
	}
}

func TestAMinterWithoutItsKeyIsDenied(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.client(secret.New("no such key").Expose()).Store(config(secretsmanager.Arbitrary))
	if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "logging in") {
		t.Errorf("reading: %v", err)
	}
}

// Another client writes between our version and the read that follows it.
func TestAVersionThatFollowsAtOnceIsUnavailable(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if err := w.store(secretsmanager.Arbitrary).Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	plain := w.http.Transport
	w.http = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := plain.RoundTrip(r)
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/versions") {
			w.write(secretsmanager.Arbitrary, "by hand", nil)
		}
		return resp, err
	})}
	s := w.store(secretsmanager.Arbitrary)
	now, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = s.Publish(t.Context(), entry(2), now.Revision)
	if never(t, err); !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "followed") {
		t.Errorf("publishing: %v", err)
	}
	if got, err := s.Read(t.Context()); err != nil || !got.Unmarked() {
		t.Errorf("it reads %s, %v", got.KeyID, err)
	}
}
