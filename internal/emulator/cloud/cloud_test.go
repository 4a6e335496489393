package cloud_test

import (
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

var start = time.Date(2026, 11, 24, 10, 0, 30, 0, time.UTC)

func newCloud() *cloud.Cloud {
	return cloud.New(cloud.Options{Now: func() time.Time { return start }})
}

func TestTheSameSeedMakesTheSameCloud(t *testing.T) {
	build := func() cloud.State {
		c := newCloud()
		s, err := c.CreateServiceID(c.Minter().Actor(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: "s"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.CreateAPIKey(c.Minter().Actor(), cloud.NewAPIKey{Name: "k", IAMID: s.IAMID}); err != nil {
			t.Fatal(err)
		}
		return c.State(true)
	}
	if diff := cmp.Diff(build(), build()); diff != "" {
		t.Error(diff)
	}
	other := cloud.New(cloud.Options{Now: func() time.Time { return start }, Seed: [32]byte{1}})
	if other.Minter() == newCloud().Minter() {
		t.Error("another seed made the same minter")
	}
}

func TestEveryRefusalIsAnError(t *testing.T) {
	c := newCloud()
	anonymous := cloud.Actor{}
	for name, err := range map[string]error{
		"identity": second(c.ListServiceIDs(anonymous, cloud.ServiceIDQuery{AccountID: cloud.AccountID})),
		"policies": second(c.ListPolicies(anonymous, cloud.PolicyQuery{AccountID: cloud.AccountID})),
		"projects": second(c.ListProjects(anonymous, "", cloud.ListQuery{})),
		"logs":     second(c.Ingest(anonymous, cloud.LogsInstanceID, nil)),
	} {
		var e *cloud.Error
		if !errors.As(err, &e) || e.Status != 401 || e.Code == "" || e.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnswersAreCopies(t *testing.T) {
	c := newCloud()
	project := c.State(false).Projects[0].ID
	s := c.PutSecret(project, "s", map[string]string{"a": "1"})
	s.Data["a"] = "2"
	got, err := c.GetSecret(cloud.Owner(), project, "s")
	if err != nil || got.Data["a"] != "1" {
		t.Errorf("secret %v, %v", got.Data, err)
	}
	app, err := c.GetApp(cloud.Owner(), project, "shipper")
	if err != nil {
		t.Fatal(err)
	}
	app.Spec["run_env_variables"].([]any)[0].(map[string]any)["reference"] = "other"
	app, _ = c.GetApp(cloud.Owner(), project, "shipper")
	if env := app.Env(); len(env) != 1 || env[0].Reference != "logs-sender" {
		t.Errorf("variables %+v", env)
	}
}

// TestPagesAreAPartition changes a list between its pages. Every item that stays
// is on exactly one page, in the order of creation.
func TestPagesAreAPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCloud()
		var ids []string
		for range rapid.IntRange(0, 30).Draw(t, "keys") {
			_, k := c.AddIdentity("x")
			ids = append(ids, k.ID)
		}
		removed := map[string]bool{}
		q := cloud.APIKeyQuery{AccountID: cloud.AccountID, Scope: "account", PageSize: rapid.IntRange(1, 7).Draw(t, "size")}
		var seen []string
		for {
			page, err := c.ListAPIKeys(cloud.Owner(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Items) > q.PageSize {
				t.Fatalf("a page of %d", len(page.Items))
			}
			for _, k := range page.Items {
				seen = append(seen, k.ID)
			}
			if page.Next == "" {
				break
			}
			q.PageToken = page.Next
			if len(ids) > 0 {
				id := rapid.SampledFrom(ids).Draw(t, "victim")
				if !removed[id] {
					removed[id] = true
					c.RemoveKey(id)
				}
			}
			if len(seen) > 100 {
				t.Fatal("the pages do not end")
			}
		}
		var still, got []string
		for _, id := range ids {
			if !removed[id] {
				still = append(still, id)
			}
		}
		for _, id := range seen {
			if slices.Contains(still, id) {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, still) {
			t.Fatalf("pages show %v, want %v", got, still)
		}
	})
}

// TestIdentityInvariants runs arbitrary calls and checks what must hold after
// each of them.
func TestIdentityInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := start
		c := cloud.New(cloud.Options{Now: func() time.Time { return now }})
		m := c.Minter().Actor()
		var sids []cloud.ServiceID
		var keys []cloud.APIKey
		sid := func(t *rapid.T) cloud.ServiceID {
			if len(sids) == 0 {
				t.Skip("no service ID")
			}
			return rapid.SampledFrom(sids).Draw(t, "service ID")
		}
		key := func(t *rapid.T) cloud.APIKey {
			if len(keys) == 0 {
				t.Skip("no key")
			}
			return rapid.SampledFrom(keys).Draw(t, "key")
		}
		t.Repeat(map[string]func(*rapid.T){
			"create a service ID": func(t *rapid.T) {
				s, err := c.CreateServiceID(m, cloud.NewServiceID{AccountID: cloud.AccountID, Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")})
				if err == nil {
					sids = append(sids, s)
				}
			},
			"create a key": func(t *rapid.T) {
				value := strings.Repeat(rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "value"), 32)
				k, err := c.CreateAPIKey(m, cloud.NewAPIKey{Name: "k", IAMID: sid(t).IAMID, Value: value})
				if err == nil {
					keys = append(keys, k)
				}
			},
			"rename": func(t *rapid.T) {
				_, _ = c.UpdateServiceID(m, sid(t).ID, "*", cloud.ServiceIDChange{Name: new(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))})
			},
			"lock a key":          func(t *rapid.T) { _ = c.LockAPIKey(m, key(t).ID, rapid.Bool().Draw(t, "on")) },
			"disable a key":       func(t *rapid.T) { _ = c.DisableAPIKey(m, key(t).ID, rapid.Bool().Draw(t, "on")) },
			"delete a key":        func(t *rapid.T) { _ = c.DeleteAPIKey(m, key(t).ID) },
			"delete a service ID": func(t *rapid.T) { _ = c.DeleteServiceID(m, sid(t).ID) },
			"let time pass":       func(*rapid.T) { now = now.Add(time.Minute) },
			"": func(t *rapid.T) {
				s := c.State(true)
				values, owners := map[string]bool{}, map[string]int{}
				for _, x := range s.ServiceIDs {
					owners[x.IAMID] = 0
				}
				for _, k := range s.APIKeys {
					if values[k.Value] {
						t.Fatal("two keys have the same value")
					}
					values[k.Value] = true
					if _, ok := owners[k.IAMID]; !ok {
						t.Fatalf("key %s has no owner", k.ID)
					}
					if owners[k.IAMID]++; owners[k.IAMID] > 20 {
						t.Fatal("more than 20 keys")
					}
				}
				for name := range map[string]bool{"a": true, "b": true} {
					page, err := c.ListServiceIDs(m, cloud.ServiceIDQuery{AccountID: cloud.AccountID, Name: name, PageSize: 100})
					if err != nil {
						t.Fatal(err)
					}
					want := 0
					for _, x := range s.ServiceIDs {
						if x.Name == name {
							want++
						}
					}
					if page.Next == "" && len(page.Items) != want {
						t.Fatalf("the name %s finds %d, want %d", name, len(page.Items), want)
					}
				}
			},
		})
	})
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-12-31T00:00+0000":     time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
		"2026-12-31T00:00:07+0000":  time.Date(2026, 12, 31, 0, 0, 7, 0, time.UTC),
		"2026-12-31T00:00Z":         time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
		"2026-12-31T02:00:07+02:00": time.Date(2026, 12, 31, 0, 0, 7, 0, time.UTC),
	} {
		got, ok := cloud.ParseTime(text)
		if !ok || !got.Equal(want) {
			t.Errorf("%s is %s, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "2026-12-31", "31.12.2026", "2026-13-01T00:00+0000"} {
		if got, ok := cloud.ParseTime(text); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
	if got := cloud.FormatTime(start); got != "2026-11-24T10:00+0000" {
		t.Error(got)
	}
}

func TestExpiryIsEnforcedToTheSecond(t *testing.T) {
	now := start
	c := cloud.New(cloud.Options{Now: func() time.Time { return now }})
	s, _ := c.AddIdentity("s")
	k, err := c.CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "k", IAMID: s.IAMID, ExpiresAt: "2026-11-24T10:05:30+0000"})
	if err != nil {
		t.Fatal(err)
	}
	now = start.Add(5*time.Minute - time.Second)
	if _, err := c.ExchangeAPIKey(k.Value); err != nil {
		t.Errorf("a second before: %v", err)
	}
	now = start.Add(5 * time.Minute)
	if _, err := c.ExchangeAPIKey(k.Value); err == nil {
		t.Error("a key authenticates at its expiry")
	}
}

func TestStateIsJSON(t *testing.T) {
	c := newCloud()
	b, err := json.Marshal(c.State(false))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), c.Minter().APIKey) {
		t.Error("a state without values has one")
	}
	var back cloud.State
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if p, ok := back.Project("team-a"); !ok || len(p.Apps) != 2 {
		t.Errorf("team-a %+v", p)
	}
	if k, ok := back.Key(c.Minter().APIKeyID); !ok || k.Value != "" {
		t.Errorf("minter's key %+v", k)
	}
}

func TestUnknownIDsInTheConsolePanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("removing a key that is not there went well")
		}
	}()
	newCloud().RemoveKey("ApiKey-0")
}

// TestLargeAccount limits the memory of an account of 100,000 service IDs, each
// with a key and a policy. The test can list them all because a page costs no scan.
func TestLargeAccount(t *testing.T) {
	if testing.Short() {
		t.Skip("builds 100,000 service IDs")
	}
	c := cloud.New(cloud.Options{Now: func() time.Time { return start }, SeedCredentials: 100_000})
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if mib := m.HeapAlloc >> 20; mib > 400 {
		t.Errorf("%d MiB", mib)
	}
	q := cloud.APIKeyQuery{AccountID: cloud.AccountID, Scope: "account", PageSize: 100}
	n := 0
	for {
		page, err := c.ListAPIKeys(c.Minter().Actor(), q)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Items)
		if q.PageToken = page.Next; q.PageToken == "" {
			break
		}
	}
	if n != 100_001 {
		t.Errorf("%d keys on all pages", n)
	}
}
