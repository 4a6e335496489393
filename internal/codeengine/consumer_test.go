package codeengine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

const marker = "LATCHKEY_KEY_ID_LOGS_SENDER_IAM_API_KEY"

// consumers are those of a store with the restart.
func (w *world) consumers(r codeengine.Restart) port.Consumers {
	return w.store(func(c *codeengine.StoreConfig) { c.Restart = r }).Consumers()
}

// label is how a consumer in team-a is named.
func (w *world) label(app string) string { return "app/" + w.team().ID + "/" + app }

func (w *world) list(r codeengine.Restart) string {
	w.t.Helper()
	list, err := w.consumers(r).Consumers(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, c := range list {
		name, ours := strings.CutPrefix(c.Name, w.label(""))
		if !ours {
			w.t.Errorf("a consumer is named %s", c.Name)
		}
		if c.Unknown {
			name += "?"
		}
		if c.Key != "" {
			name += "=" + c.Key
		}
		if c.Next != "" {
			name += " then " + c.Next
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func env(vars ...map[string]any) map[string]any {
	list := []any{}
	for _, v := range vars {
		list = append(list, v)
	}
	return map[string]any{"run_env_variables": list}
}

func TestNoRestartMeansNoConsumers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if c := w.consumers(codeengine.Restart{}); c != nil {
		t.Errorf("consumers %v", c)
	}
}

func TestConsumersAreTheAppsThatTakeTheEntryFromTheirEnvironment(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	key := func(reference, key string) map[string]any {
		return map[string]any{"type": "secret_key_reference", "name": "K", "reference": reference, "key": key}
	}
	for name, spec := range map[string]map[string]any{
		"full":    env(map[string]any{"type": "secret_full_reference", "reference": secretName, "prefix": "P_"}),
		"key":     env(map[string]any{"type": "literal", "name": "A", "value": "b"}, key(secretName, entryName)),
		"other":   env(key(secretName, "OTHER_KEY")),
		"else":    env(key("another-secret", entryName), map[string]any{"type": "secret_full_reference", "reference": "another-secret"}),
		"config":  env(map[string]any{"type": "config_map_full_reference", "reference": secretName}),
		"mount":   {"run_volume_mounts": []any{map[string]any{"type": "secret", "reference": secretName, "mount_path": "/keys"}}},
		"marked":  env(key(secretName, entryName), map[string]any{"type": "literal", "name": marker, "value": "ApiKey-7"}),
		"foreign": env(key(secretName, entryName), map[string]any{"type": "literal", "name": marker + "_2", "value": "ApiKey-7"}),
	} {
		w.Cloud().AddApp(w.team().ID, name, spec)
	}
	for name, c := range map[string]struct {
		restart codeengine.Restart
		want    string
	}{
		"all":                      {codeengine.Restart{All: true}, "foreign full key marked=ApiKey-7 shipper"},
		"some by name":             {codeengine.Restart{Names: []string{"app/mount", "app/full"}}, "full mount"},
		"one that is not there":    {codeengine.Restart{Names: []string{"app/key", "app/gone"}}, "key gone?"},
		"all, and one by its name": {codeengine.Restart{All: true, Names: []string{"app/web", "app/gone"}}, "foreign full key marked=ApiKey-7 shipper web gone?"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.list(c.restart); got != c.want {
				t.Errorf("consumers %q, want %q", got, c.want)
			}
		})
	}
}

func TestConsumersOfAnUnreadableProjectAreAnError(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	c := w.consumers(codeengine.Restart{All: true})
	w.Inject(emulator.Fault{Path: "/v2/projects/*/apps", Kind: emulator.FaultStatus, Status: 500, Count: 1})
	_, err := c.Consumers(t.Context())
	wants(t, err, port.ErrUnavailable, "listing the apps")
	w.Cloud().RemoveProject(w.team().ID)
	if _, err := c.Consumers(t.Context()); err == nil {
		t.Error("a deleted project has no consumers, it seems")
	}
}

func TestAllPagesOfAppsAreRead(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		next := `"next":{"href":"x","start":"2"},`
		if r.URL.Query().Get("start") == "2" {
			next = ""
		}
		fmt.Fprintf(rw, `{"limit":100,%s"apps":[{"name":"app%s","run_env_variables":[{"type":"secret_full_reference","reference":"logs-sender"}]}]}`,
			next, r.URL.Query().Get("start"))
	})
	list, err := s.Consumers().Consumers(t.Context())
	if err != nil || len(list) != 2 || list[0].Name == list[1].Name {
		t.Errorf("consumers %v (%v)", list, err)
	}
}

func TestARunThatIsTooOldToWriteRestartsNothing(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.Cloud().AddApp(w.team().ID, "theirs", env(map[string]any{"type": "secret_full_reference", "reference": secretName}))
	before := len(w.app("theirs").Revisions)
	err := w.consumers(codeengine.Restart{All: true}).Restart(storetest.TooOld(t), w.label("theirs"), "ApiKey-1")
	wants(t, err, port.ErrUnavailable)
	if now := len(w.app("theirs").Revisions); now != before {
		t.Errorf("the app has %d revisions, had %d", now, before)
	}
}

// TestOneRevisionHasTheMarksOfAllEntriesWithTheKey: a credential has two stores that an
// app reads. One revision reads both.
func TestOneRevisionHasTheMarksOfAllEntriesWithTheKey(t *testing.T) {
	key := func(entry string) map[string]any {
		return map[string]any{"type": "secret_key_reference", "name": entry, "reference": secretName, "key": entry}
	}
	both := env(key(entryName), key("OTHER_KEY"))
	for name, c := range map[string]struct {
		app       map[string]any
		between   func(w *world) // after both entries were written, and before the restarts
		revisions int            // that two restarts make
	}{
		"both entries have the key":             {both, func(*world) {}, 1},
		"the other entry was changed meanwhile": {both, func(w *world) { w.set("OTHER_KEY_ID", "ApiKey-0") }, 2},
		"the other entry was emptied meanwhile": {both, func(w *world) { w.set("OTHER_KEY", "") }, 2},
		"the app does not read the other entry": {env(key(entryName)), func(*world) {}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			w.Cloud().AddApp(w.team().ID, "reader", c.app)
			client := w.client()
			var consumers []port.Consumers
			for _, name := range []string{entryName, "OTHER_KEY"} {
				st := client.Store(codeengine.StoreConfig{
					Project: w.team().ID, Region: region, Secret: secretName, Entry: name, Owner: "prod", Restart: codeengine.Restart{All: true},
				})
				is, err := st.Read(t.Context())
				if err != nil && !errors.Is(err, port.ErrNotFound) {
					t.Fatal(err)
				}
				if err := st.Publish(t.Context(), entry(1), is.Revision); err != nil {
					t.Fatal(err)
				}
				consumers = append(consumers, st.Consumers())
			}
			c.between(w)
			before := len(w.app("reader").Revisions)
			for _, c := range consumers {
				if err := c.Restart(t.Context(), w.label("reader"), "ApiKey-1"); err != nil {
					t.Fatal(err)
				}
			}
			if made := len(w.app("reader").Revisions) - before; made != c.revisions {
				t.Errorf("%d revisions, want %d: %+v", made, c.revisions, w.app("reader").Env())
			}
		})
	}
}

func TestARestartKeepsTheAppAndLeavesTheKeyOnIt(t *testing.T) {
	for name, versionless := range map[string]bool{"as it is": false, "where no version means the oldest": true} {
		t.Run(name, func(t *testing.T) {
			switches := cloud.DefaultSwitches()
			switches.VersionlessIsOldest = versionless
			w := newWorld(t, emulator.Options{Switches: &switches})
			theirs := []map[string]any{
				{"type": "literal", "name": "EMPTY", "value": ""},
				{"type": "secret_full_reference", "reference": secretName, "prefix": "P_"},
				{"type": "config_map_key_reference", "name": "C", "reference": "m", "key": "k"},
			}
			spec := env(theirs...)
			// As the API has it since the version that we ask for: without a name.
			spec["run_volume_mounts"] = []any{map[string]any{"type": "config_map", "reference": "m", "mount_path": "/m"}}
			spec["scale_min_instances"] = 1
			w.Cloud().AddApp(w.team().ID, "theirs", spec)
			c := w.consumers(codeengine.Restart{All: true})
			before := w.app("theirs")
			for _, key := range []string{"ApiKey-1", "ApiKey-2", "ApiKey-2"} {
				if err := c.Restart(t.Context(), w.label("theirs"), key); err != nil {
					t.Fatal(err)
				}
			}
			after := w.app("theirs")
			want := append(before.Env(), cloud.EnvVar{Type: "literal", Name: marker, Value: "ApiKey-2"})
			if !slices.Equal(after.Env(), want) {
				t.Errorf("environment %+v, want %+v", after.Env(), want)
			}
			if len(after.Revisions) != 3 {
				t.Errorf("revisions %v: want one more for each new key", after.Revisions)
			}
			for _, field := range []string{"image_reference", "run_volume_mounts", "scale_min_instances"} {
				if fmt.Sprint(after.Spec[field]) != fmt.Sprint(before.Spec[field]) {
					t.Errorf("%s is now %v, was %v", field, after.Spec[field], before.Spec[field])
				}
			}
			if got := w.list(codeengine.Restart{All: true}); !strings.Contains(got, "theirs=ApiKey-2") {
				t.Errorf("consumers %q", got)
			}
		})
	}
}

// TestARestartSendsTheEnvironmentAsItIs: a member that is absent stays so, and one that is
// empty does, too.
func TestARestartSendsTheEnvironmentAsItIs(t *testing.T) {
	const theirs = `{"type":"literal","name":"EMPTY","value":""},` +
		`{"type":"secret_full_reference","reference":"logs-sender","prefix":""},` +
		`{"type":"config_map_key_reference","name":"C","reference":"m","key":"k"}`
	var sent, kind, tag string
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			body, _ := io.ReadAll(r.Body)
			sent, kind, tag = string(body), r.Header.Get("Content-Type"), r.Header.Get("If-Match")
		}
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, `{"name":"a","entity_tag":"7","run_env_variables":[`+theirs+`]}`)
	})
	if err := s.Consumers().Restart(t.Context(), "app/5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21/a", "ApiKey-1"); err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal([]byte(sent), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"run_env_variables":[`+theirs+`,{"type":"literal","name":"`+marker+`","value":"ApiKey-1"}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) || kind != "application/merge-patch+json" || tag != "7" {
		t.Errorf("sent %s as %s at %s", sent, kind, tag)
	}
}

// TestTwoEntriesOfOneSecretRestartAnAppOnceEach: with one marker for both they
// would go on for ever.
func TestTwoEntriesOfOneSecretRestartAnAppOnceEach(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	one := w.consumers(codeengine.Restart{All: true})
	two := w.store(func(c *codeengine.StoreConfig) { c.Entry, c.Restart.All = "OTHER_KEY", true }).Consumers()
	for range 3 {
		for key, c := range map[string]port.Consumers{"ApiKey-1": one, "ApiKey-2": two} {
			if err := c.Restart(t.Context(), w.label("shipper"), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := w.app("shipper").Revisions; len(got) != 3 {
		t.Errorf("revisions %v: want the first and one per entry", got)
	}
}

func TestARestartStartsOverWhenTheAppWasChanged(t *testing.T) {
	for _, status := range []int{409, 412} {
		for name, c := range map[string]struct {
			times int
			want  error
		}{"twice": {2, nil}, "each time": {3, port.ErrConflict}} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				w := newWorld(t, emulator.Options{})
				w.Inject(emulator.Fault{Method: "PATCH", Kind: emulator.FaultStatus, Status: status, Count: c.times})
				err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), w.label("shipper"), "ApiKey-1")
				if c.want != nil {
					wants(t, err, c.want, "shipper")
				} else if err != nil {
					t.Error(err)
				}
				if got := w.Counter("PATCH", "/v2/*"); got != 3 {
					t.Errorf("%d attempts, want 3", got)
				}
			})
		}
	}
}

// TestAnotherWritersChangeIsNotUndone changes the app between our read and our
// patch.
func TestAnotherWritersChangeIsNotUndone(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	changed := false
	inner := w.http.Transport
	w.http = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPatch && !changed {
			changed = true
			x := w.app("shipper")
			patch := env(map[string]any{"type": "literal", "name": "NEW", "value": "theirs"},
				map[string]any{"type": "secret_full_reference", "reference": secretName})
			if _, err := w.Cloud().UpdateApp(cloud.Owner(), x.ProjectID, x.Name, x.EntityTag, patch); err != nil {
				t.Error(err)
			}
		}
		return inner.RoundTrip(r)
	})}
	if err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), w.label("shipper"), "ApiKey-1"); err != nil {
		t.Fatal(err)
	}
	got := w.app("shipper").Env()
	if len(got) != 3 || got[0].Value != "theirs" || got[2].Value != "ApiKey-1" {
		t.Errorf("environment %+v", got)
	}
}

func TestRestartsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		app   string
		spoil func(w *world)
		want  error
	}{
		"an app that is not there":     {"gone", func(*world) {}, port.ErrNotFound},
		"no permission":                {"shipper", func(w *world) { w.place().Deny(w.t) }, port.ErrDenied},
		"a lost answer":                {"shipper", func(w *world) { w.Inject(emulator.Fault{Method: "PATCH", Kind: emulator.FaultLost}) }, port.ErrUnavailable},
		"no room for another revision": {"shipper", (*world).fillRevisions, port.ErrQuota},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			c.spoil(w)
			err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), w.label(c.app), "ApiKey-1")
			wants(t, err, c.want, c.app)
		})
	}
	w := newWorld(t, emulator.Options{})
	err := w.consumers(codeengine.Restart{All: true}).Restart(t.Context(), "app/other-project/shipper", "ApiKey-1")
	wants(t, err, port.ErrRefused, "no consumer of")
}

// fillRevisions uses up the project's revisions.
func (w *world) fillRevisions() {
	w.t.Helper()
	for {
		x := w.app("web")
		if _, err := w.Cloud().UpdateApp(cloud.Owner(), x.ProjectID, x.Name, "*", env()); err != nil {
			return
		}
	}
}

func TestAServiceThatRepeatsTheEnvironmentIsNotQuoted(t *testing.T) {
	s := fake(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			fmt.Fprintf(rw, `{"name":"a","entity_tag":"1","run_env_variables":[{"type":"literal","name":"PASSWORD","value":"%s"}]}`, canary)
			return
		}
		rw.WriteHeader(400)
		fmt.Fprintf(rw, `{"errors":[{"code":"bad_request","message":"not valid: %s"}]}`, canary)
	})
	wants(t, s.Consumers().Restart(t.Context(), "app/5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21/a", "ApiKey-1"), port.ErrRefused, "left out")
}

// play makes something happen to the next revision of the app theirs, or to its
// newest one.
func (w *world) play(p cloud.Play) {
	w.t.Helper()
	if _, err := w.Cloud().PlayApp(w.team().ID, "theirs", p); err != nil {
		w.t.Fatal(err)
	}
}

// theirs adds an app that runs with ApiKey-1, and returns its consumers.
func (w *world) theirs() port.Consumers {
	w.t.Helper()
	w.Cloud().AddApp(w.team().ID, "theirs", env(map[string]any{"type": "secret_full_reference", "reference": secretName}))
	c := w.theirConsumers()
	if err := c.Restart(w.t.Context(), w.label("theirs"), "ApiKey-1"); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) runsWith(want string) {
	w.t.Helper()
	if got := w.list(codeengine.Restart{Names: []string{"app/theirs"}}); got != "theirs="+want {
		w.t.Errorf("consumers %q, want %s", got, want)
	}
}

func TestAnAppRunsWithTheKeyOfItsReadyRevision(t *testing.T) {
	for name, tc := range map[string]struct {
		play cloud.Play
		want error
		says string
		runs string
	}{
		"a revision that does not get ready":  {cloud.Play{Kind: cloud.PlayHold}, port.ErrNotActive, "theirs-00002 serves", "ApiKey-1 then ApiKey-2"},
		"a revision that waits for resources": {cloud.Play{Kind: cloud.PlayEvict}, port.ErrNotActive, "theirs-00003 is not ready", "ApiKey-1 then ApiKey-2"},
		"a revision that fails":               {cloud.Play{Kind: cloud.PlayFail, Reason: "image_pull_back_off"}, port.ErrRefused, "image_pull_back_off", "ApiKey-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			w.theirs()
			w.play(tc.play)
			for range 2 { // the second one finds the mark, and only looks
				wants(t, w.theirConsumers().Restart(t.Context(), w.label("theirs"), "ApiKey-2"), tc.want, tc.says)
				w.runsWith(tc.runs)
			}
			if made := w.app("theirs").Revisions; len(made) != 3 {
				t.Errorf("revisions %v, want one for the restart", made)
			}
			w.play(cloud.Play{Kind: cloud.PlayRelease})
			if err := w.theirConsumers().Restart(t.Context(), w.label("theirs"), "ApiKey-2"); err != nil {
				t.Error(err)
			}
			w.runsWith("ApiKey-2")
		})
	}
}

func (w *world) theirConsumers() port.Consumers {
	return w.consumers(codeengine.Restart{Names: []string{"app/theirs"}})
}

func TestARestartWaitsForARevisionThatGetsReady(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.patience = time.Minute
	c := w.theirs()
	w.play(cloud.Play{Kind: cloud.PlayHold})
	done := make(chan error)
	go func() { done <- c.Restart(t.Context(), w.label("theirs"), "ApiKey-2") }()
	for len(w.app("theirs").Revisions) < 3 {
		runtime.Gosched()
	}
	w.play(cloud.Play{Kind: cloud.PlayRelease})
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.runsWith("ApiKey-2")
}

func TestAnAppWithoutTheMarkRunsWithTheKeyOfTheRestartBefore(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	c := w.theirs()
	apply := func() { // as terraform apply does
		app := w.app("theirs")
		_, err := w.Cloud().UpdateApp(cloud.Owner(), w.team().ID, "theirs", app.EntityTag,
			env(map[string]any{"type": "secret_full_reference", "reference": secretName}))
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		apply()
		w.runsWith("ApiKey-1")
	}
	if err := c.Restart(t.Context(), w.label("theirs"), "ApiKey-2"); err != nil {
		t.Fatal(err)
	}
	w.runsWith("ApiKey-2")
	apply()
	w.runsWith("ApiKey-2")
	w.play(cloud.Play{Kind: cloud.PlayHold})
	apply() // its revision does not serve yet
	w.runsWith("ApiKey-2")
}

func TestAnAppThatWasNeverReadyHoldsNoKeyBack(t *testing.T) {
	answer := func(key string) string {
		return `{"name":"app","entity_tag":"1","status":"failed","status_details":{"latest_created_revision":"app-00001","reason":"no_revision_ready"},
			"run_env_variables":[{"type":"secret_full_reference","reference":"logs-sender"},{"type":"literal","name":"` + marker + `","value":"` + key + `"}]}`
	}
	s := fake(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, `{"limit":100,"apps":[`+answer("ApiKey-1")+`]}`)
	})
	list, err := s.Consumers().Consumers(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != "ApiKey-1" {
		t.Errorf("consumers %v (%v)", list, err)
	}
}
