package sweep

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

var states = flag.Int("states", 400, "how many states of random worlds are observed in both ways")

// randomWorld is an account whose credentials have stores of each kind that is listed.
type randomWorld struct {
	*emulator.Server
	t         *testing.T
	rand      *rand.Rand
	now       time.Time
	namespace string
	group     string // of service IDs, beside the default group
	cluster   *kubetest.Cluster
	all       []port.Credential
	real      *reconcile.Reconciler
	lists     *iam.Lists
	alone     Planner
	listed    Planner
}

const (
	perKind = 5 // a list is read for more than three
	given   = 2 // of perKind: credentials of service IDs that exist
	kinds   = 4
	inCode  = 0 // by the number of the credential, modulo kinds
	inPlain = 1
	inPairs = 2
	inKube  = 3
)

func newRandomWorld(t *testing.T, seed uint64) *randomWorld {
	t.Helper()
	w := &randomWorld{t: t, rand: rand.New(rand.NewPCG(seed, 0)), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), namespace: "team", cluster: kubetest.Fake(t)}
	now := func() time.Time { return w.now }
	var err error
	if w.Server, err = emulator.Start(emulator.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	carrier := &http.Transport{}
	t.Cleanup(func() {
		carrier.CloseIdleConnections()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := iam.New(iam.Config{URL: w.URL(), Owner: "prod", HTTP: &http.Client{Transport: fence.Writes(carrier)}, APIKey: secret.New(w.Ready().APIKey), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	w.cluster.Namespace(t, w.namespace, append([]kubetest.Rule{{Resources: []string{"secrets"}, Verbs: []string{"list"}}}, kubetest.Everything...)...)
	proxy := w.cluster.Proxy(t)
	ce := codeengine.New(codeengine.Config{Endpoint: w.URL(), HTTP: c.HTTP()})
	sm := secretsmanager.New(secretsmanager.Config{Endpoint: w.URL(), HTTP: c.HTTP()})
	kube := kubernetes.New(kubernetes.Config{Kubeconfig: func(context.Context) ([]byte, error) { return w.cluster.Kubeconfig(proxy), nil }, Now: now})
	project := w.Ready().Projects[0]
	group, err := w.Cloud().CreateServiceIDGroup(cloud.Owner(), cloud.AccountID, "given", "")
	if err != nil {
		t.Fatal(err)
	}
	w.group = group.ID
	for i := range perKind * kinds {
		name := fmt.Sprintf("c%d", i)
		var s port.Store
		switch i % kinds {
		case inCode:
			s = ce.Store(codeengine.StoreConfig{Project: project.ID, Region: project.Region, Secret: name, Entry: "KEY", Owner: "prod"})
		case inPlain:
			s = sm.Store(secretsmanager.StoreConfig{Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Secret: name, Type: secretsmanager.Arbitrary, Owner: "prod"})
		case inPairs: // of one secret
			s = sm.Store(secretsmanager.StoreConfig{Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Secret: "shared", Type: secretsmanager.KeyValue, Entry: name, Owner: "prod"})
		case inKube:
			s = kube.Store(kubernetes.StoreConfig{Namespace: w.namespace, Secret: name, Entry: "KEY", Owner: "prod"})
		}
		rules := protocol.Standard()
		rules.After, rules.Expire, rules.Overlap, rules.SweepEvery = 60*24*time.Hour, 90*24*time.Hour, 24*time.Hour, 6*time.Hour
		w.all = append(w.all, port.Credential{
			Name: name, Entry: name, ServiceIDName: name, OnLeak: "disable", Rules: rules, Stores: []port.Store{s},
			Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: cloud.LogsInstanceID}},
		})
		if i/kinds >= perKind-given {
			w.give(&w.all[i], i%2 == 0)
		}
	}
	w.lists = c.Lists()
	w.real = &reconcile.Reconciler{Identities: c, Keys: c, Exchange: c, Owner: "prod", Account: c.Account, Now: now}
	w.alone = Planner{&reconcile.Reconciler{Identities: c, Keys: c, Exchange: c, Owner: "prod", Account: c.Account, Now: now}}
	w.listed = Planner{&reconcile.Reconciler{Identities: w.lists, Keys: w.lists, Exchange: c, Owner: "prod", Account: c.Account, Now: now}}
	for _, c := range w.all {
		if out, err := w.real.Reconcile(t.Context(), c, reconcile.Request{}); err != nil || out.Result != result.Published {
			t.Fatalf("%s: %s %s %v", c.Name, out.Result, out.Message, err)
		}
	}
	return w
}

// give makes the service ID of a credential an existing one of the owner, in a group or not.
func (w *randomWorld) give(c *port.Credential, grouped bool) {
	n := cloud.NewServiceID{AccountID: cloud.AccountID, Name: c.Name}
	if grouped {
		n.GroupID = w.group
	}
	c.Given, c.ServiceIDName, c.Policies = w.Cloud().AddServiceID(n).ID, "", nil
}

// meddle changes what one credential has, as people, IAM and other software do.
func (w *randomWorld) meddle() {
	i := w.rand.IntN(len(w.all))
	name, c := w.all[i].Name, w.Cloud()
	var id cloud.ServiceID
	for _, d := range w.State(true).ServiceIDs {
		if d.Name == name {
			id = d
		}
	}
	var keys []cloud.APIKey
	for _, k := range w.State(true).APIKeys {
		if k.IAMID == id.IAMID && id.ID != "" {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return
	}
	key := keys[w.rand.IntN(len(keys))]
	switch w.rand.IntN(14) {
	case 0:
		c.RemoveKey(key.ID)
	case 1:
		c.SetKeyDisabled(key.ID, w.rand.IntN(2) == 0)
	case 2:
		c.SetKeyExpiry(key.ID, w.now.Add(time.Duration(w.rand.IntN(100*24))*time.Hour))
	case 3:
		c.SetKeyLocked(key.ID, true)
	case 4:
		c.SetKeyDescription(key.ID, "someone else's")
	case 5:
		c.RemoveServiceID(id.ID)
	case 6:
		c.Revoke(id.IAMID, "logs")
	case 7:
		c.Grant(id.IAMID, "kms", "crn:v1:bluemix:public:iam::::serviceRole:Reader")
	case 8:
		c.AddAPIKey(cloud.NewAPIKey{Name: "foreign", IAMID: id.IAMID, AccountID: cloud.AccountID})
	case 9: // a second service ID of ours with the name
		if _, err := c.CreateServiceID(c.Minter().Actor(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: name, Description: id.Description}); err != nil {
			w.t.Fatal(err)
		}
	case 10:
		w.now = w.now.Add(time.Duration(w.rand.IntN(40*24)) * time.Hour)
	default:
		w.alter(i, w.rand.IntN(3))
	}
}

// alter changes the store of a credential by hand: its value, or all that it has.
func (w *randomWorld) alter(i, how int) {
	name, c, owner := w.all[i].Name, w.Cloud(), cloud.Owner()
	other := fmt.Sprint("altered-", w.rand.Uint64())
	switch i % kinds {
	case inCode:
		project, _ := w.State(true).Project("team-a")
		for _, s := range project.Secrets {
			if s.Name != name {
				continue
			}
			data := maps.Clone(s.Data)
			data[[]string{"KEY", "KEY_ID", "KEY_LATCHKEY"}[how]] = other
			c.PutSecret(project.ID, name, data)
		}
	case inPlain, inPairs:
		kind, secret := secretsmanager.Arbitrary, name
		if i%kinds == inPairs {
			kind, secret = secretsmanager.KeyValue, "shared"
		}
		s, ok := w.State(true).ManagedSecret(cloud.SecretsInstanceID, kind, secret)
		if !ok {
			return
		}
		var err error
		switch data, _ := s.Versions[len(s.Versions)-1].Data["data"].(map[string]any); how {
		case 0:
			if data = maps.Clone(data); data != nil {
				data[name] = other
			}
			_, err = c.CreateSecretVersion(owner, cloud.SecretsInstanceID, s.ID, cloud.NewSecretVersion{Payload: other, Data: data})
		case 1:
			_, err = c.UpdateManagedSecret(owner, cloud.SecretsInstanceID, s.ID, cloud.ManagedSecretChange{CustomMetadata: map[string]any{"team": "a"}})
		case 2:
			err = c.DeleteManagedSecret(owner, cloud.SecretsInstanceID, s.ID, false)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	case inKube:
		path := "/api/v1/namespaces/" + w.namespace + "/secrets/" + name
		change := map[string]any{"data": map[string]any{"KEY": base64.StdEncoding.EncodeToString([]byte(other))}}
		switch {
		case !w.cluster.Has(w.t, path):
			return
		case how == 1:
			change = map[string]any{"metadata": map[string]any{"annotations": map[string]any{"key-id.latchkey.dev/KEY": other}, "labels": map[string]any{"latchkey.dev/key": nil}}}
		case how == 2:
			change = map[string]any{"metadata": map[string]any{"annotations": map[string]any{"owner.latchkey.dev/KEY": other}}}
		}
		w.cluster.Do(w.t, "PATCH", path, change)
	}
}

// inBoth looks at each credential from lists and alone. It returns how many the lists
// show to need nothing.
func (w *randomWorld) inBoth(seed uint64) (rests int) {
	ctx := w.t.Context()
	if err := w.lists.Read(ctx, w.all); err != nil {
		w.t.Fatal(err)
	}
	by := &lists{}
	for _, c := range w.all {
		by.Want(c.Stores[0])
	}
	for _, c := range w.all {
		one, err := w.alone.Reconcile(ctx, c, reconcile.Request{})
		out, lerr := w.listed.Reconcile(by.With(ctx), c, reconcile.Request{})
		if lerr != nil { // no list shows it, so it is looked at alone
			continue
		}
		if diff := cmp.Diff(one, out, cmpopts.EquateErrors(), cmpopts.IgnoreUnexported(result.Outcome{})); diff != "" || err != nil {
			w.t.Errorf("seed %d, %s at %s: %v (-alone +listed)\n%s", seed, c.Name, w.now, err, diff)
		}
		if settled(out) {
			rests++
		}
	}
	return rests
}

func TestListsShowWhatALookAloneShows(t *testing.T) {
	const rounds = 5
	seen, rests := 0, 0
	for seed := uint64(1); seen < *states; seed++ {
		w := newRandomWorld(t, seed)
		for range rounds {
			for range w.rand.IntN(16) {
				w.meddle()
			}
			rests += w.inBoth(seed)
			seen += len(w.all)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d states, of which %d need nothing", seen, rests)
	if rests < seen/10 || rests > seen*9/10 {
		t.Errorf("%d of %d states need nothing", rests, seen)
	}
}

// TestASweepCostsPages counts each call of a sweep in which nothing is due.
func TestASweepCostsPages(t *testing.T) {
	w := newRandomWorld(t, 1)
	s := New(Config{Reconciler: w.real, Lists: w.lists.Read, Listed: w.listed, Now: func() time.Time { return w.now }})
	w.ResetCounters()
	for _, out := range s.Sweep(t.Context(), w.all, reconcile.Request{}).Outcomes {
		if !settled(out) {
			t.Errorf("%s: %s %s", out.Credential, out.Condition, out.Message)
		}
	}
	want := map[string]int{
		"GET /v1/serviceids": 2, "GET /v1/apikeys": 2, // the default group's, and the other one's
		"GET /v2/policies":                   1,
		"GET /v2/projects/{project}/secrets": 1, "GET /api/v2/secrets": 1,
	}
	if diff := cmp.Diff(want, w.Counters()); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
}
