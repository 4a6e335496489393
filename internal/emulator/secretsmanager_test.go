package emulator_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	"github.com/go-openapi/strfmt"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

const day = 24 * time.Hour

// sm is the official client; "" takes the owner's token.
func (w *world) sm(token string) *sm.SecretsManagerV2 {
	w.t.Helper()
	if token == "" {
		token = w.ownerToken()
	}
	api, err := sm.NewSecretsManagerV2(&sm.SecretsManagerV2Options{URL: w.URL(), Authenticator: &core.BearerTokenAuthenticator{BearerToken: token}})
	if err != nil {
		w.t.Fatal(err)
	}
	api.Service.SetHTTPClient(w.http)
	return api
}

// keeper is an identity with the roles on Secrets Manager, by their short names.
func (w *world) keeper(roles ...string) *sm.SecretsManagerV2 {
	w.t.Helper()
	id, k := w.Cloud().AddIdentity("keeper")
	for _, r := range roles {
		service := "iam"
		if strings.HasPrefix(r, "Secret") {
			service = "secrets-manager"
		}
		w.Cloud().Grant(id.IAMID, "secrets-manager", "crn:v1:bluemix:public:"+service+"::::serviceRole:"+r)
	}
	return w.sm(w.token(k.Value))
}

func arbitrary(t *testing.T, api *sm.SecretsManagerV2, name string, change ...func(*sm.ArbitrarySecretPrototype)) *sm.ArbitrarySecret {
	t.Helper()
	n := &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: &name, Payload: ptr("payload of " + name)}
	for _, f := range change {
		f(n)
	}
	return done(api.CreateSecret(api.NewCreateSecretOptions(n)))(t).(*sm.ArbitrarySecret)
}

func create(api *sm.SecretsManagerV2, n sm.SecretPrototypeIntf) error {
	_, r, err := api.CreateSecret(api.NewCreateSecretOptions(n))
	if err == nil && r.StatusCode != 201 {
		err = fmt.Errorf("status %d", r.StatusCode)
	}
	return err
}

func rotate(t *testing.T, api *sm.SecretsManagerV2, id, payload string) *sm.ArbitrarySecretVersion {
	t.Helper()
	return done(api.CreateSecretVersion(api.NewCreateSecretVersionOptions(id, &sm.ArbitrarySecretVersionPrototype{Payload: &payload})))(t).(*sm.ArbitrarySecretVersion)
}

func version(api *sm.SecretsManagerV2, id, version string) (*sm.ArbitrarySecretVersion, error) {
	v, _, err := api.GetSecretVersion(api.NewGetSecretVersionOptions(id, version))
	out, _ := v.(*sm.ArbitrarySecretVersion)
	return out, err
}

func TestSecretGroups(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	g := done(api.CreateSecretGroup(api.NewCreateSecretGroupOptions("team-a").SetDescription("for team a")))(t)
	if *g.Name != "team-a" || *g.Description != "for team a" || *g.CreatedBy != cloud.OwnerIAMID || time.Time(*g.CreatedAt) != start.Truncate(time.Second) {
		t.Errorf("group %+v", g)
	}
	if list := done(api.ListSecretGroups(api.NewListSecretGroupsOptions()))(t); *list.TotalCount != 2 || *list.SecretGroups[0].ID != "default" || *list.SecretGroups[1].ID != *g.ID {
		t.Errorf("groups %+v", list)
	}
	patch := done2((&sm.SecretGroupPatch{Name: ptr("team-b"), Description: ptr("for team b")}).AsPatch())(t)
	if got := done(api.UpdateSecretGroup(api.NewUpdateSecretGroupOptions(*g.ID, patch)))(t); *got.Name != "team-b" || *got.Description != "for team b" {
		t.Errorf("changed group %+v", got)
	}
	if got := done(api.GetSecretGroup(api.NewGetSecretGroupOptions(*g.ID)))(t); *got.Name != "team-b" {
		t.Errorf("group %+v", got)
	}
	s := arbitrary(t, api, "one", func(n *sm.ArbitrarySecretPrototype) { n.SecretGroupID = g.ID })
	_, err := api.DeleteSecretGroup(api.NewDeleteSecretGroupOptions(*g.ID))
	refused(t, err, 409, "conflict")
	if _, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Fatal(err)
	}
	r, err := api.DeleteSecretGroup(api.NewDeleteSecretGroupOptions(*g.ID))
	if err != nil || r.StatusCode != 204 {
		t.Errorf("deleting a group: %v", err)
	}
	for name, do := range map[string]func() error{
		"a group that is gone":  func() error { _, _, err := api.GetSecretGroup(api.NewGetSecretGroupOptions(*g.ID)); return err },
		"deleting what is gone": func() error { _, err := api.DeleteSecretGroup(api.NewDeleteSecretGroupOptions(*g.ID)); return err },
		"a secret in no group": func() error {
			return create(api, &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: ptr("xx"), Payload: ptr("x"), SecretGroupID: g.ID})
		},
		"changing what is gone": func() error {
			_, _, err := api.UpdateSecretGroup(api.NewUpdateSecretGroupOptions(*g.ID, patch))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { refused(t, do(), 404, "not_found") })
	}
	for name, do := range map[string]func() error{
		"a name of one letter": func() error { _, _, err := api.CreateSecretGroup(api.NewCreateSecretGroupOptions("x")); return err },
		"a name too long": func() error {
			_, _, err := api.CreateSecretGroup(api.NewCreateSecretGroupOptions(strings.Repeat("x", 65)))
			return err
		},
		"a description of one letter": func() error {
			_, _, err := api.CreateSecretGroup(api.NewCreateSecretGroupOptions("xx").SetDescription("x"))
			return err
		},
		"deleting the default group": func() error { _, err := api.DeleteSecretGroup(api.NewDeleteSecretGroupOptions("default")); return err },
		"changing the default group": func() error {
			_, _, err := api.UpdateSecretGroup(api.NewUpdateSecretGroupOptions("default", patch))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { refused(t, do(), 400, "bad_request") })
	}
	_, _, err = api.CreateSecretGroup(api.NewCreateSecretGroupOptions("default"))
	refused(t, err, 409, "conflict")
	for n := range 199 {
		done(api.CreateSecretGroup(api.NewCreateSecretGroupOptions(fmt.Sprint("group-", n))))(t)
	}
	_, _, err = api.CreateSecretGroup(api.NewCreateSecretGroupOptions("one-more"))
	refused(t, err, 403, "limit_reached")
}

func done2[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestArbitrarySecrets(t *testing.T) {
	w := newWorld(t)
	api := w.sm(w.token(w.Ready().APIKey)) // the minter may
	until := strfmt.DateTime(start.Add(100 * day).Truncate(time.Second))
	s := arbitrary(t, api, "logs-key", func(n *sm.ArbitrarySecretPrototype) {
		n.Description, n.Labels, n.ExpirationDate = ptr("a key"), []string{"one", "two"}, &until
		n.CustomMetadata, n.VersionCustomMetadata = map[string]any{"a": "b"}, map[string]any{"key": "ApiKey-1"}
	})
	if *s.Payload != "payload of logs-key" || *s.State != 1 || *s.SecretGroupID != "default" || fmt.Sprint(s.Labels) != "[one two]" || *s.VersionsTotal != 1 ||
		*s.ExpirationDate != until || s.CustomMetadata["a"] != "b" || *s.CreatedBy != w.Cloud().Minter().IAMID ||
		*s.Crn != "crn:v1:bluemix:public:secrets-manager:eu-de:a/"+cloud.AccountID+":"+cloud.SecretsInstanceID+":secret:"+*s.ID {
		t.Errorf("secret %+v", s)
	}
	if got := done(api.GetSecretByNameType(api.NewGetSecretByNameTypeOptions("arbitrary", "logs-key", "default")))(t).(*sm.ArbitrarySecret); *got.ID != *s.ID || *got.Payload != *s.Payload {
		t.Errorf("by name %+v", got)
	}
	if got := done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t).(*sm.ArbitrarySecret); *got.Payload != *s.Payload || !*got.Downloaded {
		t.Errorf("secret %+v", got)
	}
	m := done(api.GetSecretMetadata(api.NewGetSecretMetadataOptions(*s.ID)))(t).(*sm.ArbitrarySecretMetadata)
	if *m.Name != "logs-key" || *m.Description != "a key" || time.Time(*m.RetrievedAt) != start.Truncate(time.Second) {
		t.Errorf("metadata %+v", m)
	}
	later := strfmt.DateTime(start.Add(200 * day).Truncate(time.Second))
	patch := done2((&sm.ArbitrarySecretMetadataPatch{Name: ptr("other-key"), Labels: []string{"three"}, ExpirationDate: &later, CustomMetadata: map[string]any{"c": 1}}).AsPatch())(t)
	m = done(api.UpdateSecretMetadata(api.NewUpdateSecretMetadataOptions(*s.ID, patch)))(t).(*sm.ArbitrarySecretMetadata)
	if *m.Name != "other-key" || fmt.Sprint(m.Labels) != "[three]" || *m.ExpirationDate != later || *m.Description != "a key" || len(m.CustomMetadata) != 1 {
		t.Errorf("changed %+v", m)
	}
	_, _, err := api.GetSecretByNameType(api.NewGetSecretByNameTypeOptions("arbitrary", "logs-key", "default"))
	refused(t, err, 404, "not_found")
	r, err := w.sm("").DeleteSecret(api.NewDeleteSecretOptions(*s.ID))
	if err != nil || r.StatusCode != 204 {
		t.Errorf("deleting: %v", err)
	}
	_, _, err = api.GetSecret(api.NewGetSecretOptions(*s.ID))
	refused(t, err, 404, "not_found")
}

func TestRefusedSecrets(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	arbitrary(t, api, "taken")
	bad := func(change func(*sm.ArbitrarySecretPrototype)) error {
		n := &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: ptr("fine"), Payload: ptr("fine")}
		change(n)
		return create(api, n)
	}
	yesterday := strfmt.DateTime(start.Add(-day))
	for name, change := range map[string]func(*sm.ArbitrarySecretPrototype){
		"a name of one letter":       func(n *sm.ArbitrarySecretPrototype) { n.Name = ptr("x") },
		"a name too long":            func(n *sm.ArbitrarySecretPrototype) { n.Name = ptr(strings.Repeat("x", 257)) },
		"a name that ends in a dash": func(n *sm.ArbitrarySecretPrototype) { n.Name = ptr("xx-") },
		"a name with a slash":        func(n *sm.ArbitrarySecretPrototype) { n.Name = ptr("x/x") },
		"an empty payload":           func(n *sm.ArbitrarySecretPrototype) { n.Payload = ptr("") },
		"a payload over 1 MB":        func(n *sm.ArbitrarySecretPrototype) { n.Payload = ptr(strings.Repeat("x", 1<<20+1)) },
		"a label of one letter":      func(n *sm.ArbitrarySecretPrototype) { n.Labels = []string{"x"} },
		"31 labels":                  func(n *sm.ArbitrarySecretPrototype) { n.Labels = slices.Repeat([]string{"xx"}, 31) },
		"metadata over 10 KB": func(n *sm.ArbitrarySecretPrototype) {
			n.CustomMetadata = map[string]any{"x": strings.Repeat("x", 10<<10)}
		},
		"version metadata over 10 KB": func(n *sm.ArbitrarySecretPrototype) {
			n.VersionCustomMetadata = map[string]any{"x": strings.Repeat("x", 10<<10)}
		},
		"an expiration date in the past": func(n *sm.ArbitrarySecretPrototype) { n.ExpirationDate = &yesterday },
		"a type that there is not":       func(n *sm.ArbitrarySecretPrototype) { n.SecretType = ptr("nothing") },
	} {
		t.Run(name, func(t *testing.T) { refused(t, bad(change), 400, "bad_request") })
	}
	refused(t, bad(func(n *sm.ArbitrarySecretPrototype) { n.SecretType = ptr("username_password") }), 501, "not_emulated")
	refused(t, bad(func(n *sm.ArbitrarySecretPrototype) { n.Name = ptr("taken") }), 409, "conflict")
	g := done(api.CreateSecretGroup(api.NewCreateSecretGroupOptions("group")))(t)
	elsewhere := func(n *sm.ArbitrarySecretPrototype) { n.Name, n.SecretGroupID = ptr("taken"), g.ID }
	refused(t, bad(elsewhere), 409, "conflict") // a name is unique in the instance
	kv := &sm.KVSecretPrototype{SecretType: ptr("kv"), Name: ptr("taken"), Data: map[string]any{"a": "b"}}
	if err := create(api, kv); err != nil { // but per type
		t.Error(err)
	}
	kv.Name, kv.Data = ptr("large"), map[string]any{"a": strings.Repeat("x", 512<<10)}
	refused(t, create(api, kv), 400, "bad_request")
	kv.Data = map[string]any{}
	refused(t, create(api, kv), 400, "bad_request")
	switches := cloud.DefaultSwitches()
	switches.SecretNamesPerGroup = true
	w.Cloud().SetSwitches(switches)
	if err := bad(elsewhere); err != nil {
		t.Error(err)
	}
	r, body := w.raw("POST", "/api/v2/secrets", "{", "Authorization", "Bearer "+w.ownerToken())
	if r.StatusCode != 400 || body["status_code"] != 400.0 || body["trace"] == "" {
		t.Errorf("no JSON: %d %v", r.StatusCode, body)
	}
	r, body = w.raw("GET", "/api/v2/secrets", "")
	if r.StatusCode != 401 || len(body["errors"].([]any)) != 1 {
		t.Errorf("without a token: %d %v", r.StatusCode, body)
	}
}

func TestListsOfSecrets(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	g := done(api.CreateSecretGroup(api.NewCreateSecretGroupOptions("group")))(t)
	for n, name := range []string{"bb-key", "aa-key", "cc-other"} {
		until := strfmt.DateTime(start.Add(time.Duration(100-n) * day))
		s := arbitrary(t, api, name, func(p *sm.ArbitrarySecretPrototype) {
			p.Labels, p.Description, p.ExpirationDate = []string{"all", fmt.Sprint("label-", n)}, ptr("Number "+fmt.Sprint(n)), &until
			if n == 2 {
				p.SecretGroupID = g.ID
			}
		})
		w.Advance(time.Minute)
		if n == 1 {
			done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t)
		}
	}
	done(api.CreateSecret(api.NewCreateSecretOptions(&sm.KVSecretPrototype{SecretType: ptr("kv"), Name: ptr("dd-kv"), Data: map[string]any{"a": "b"}})))(t)
	list := func(change func(*sm.ListSecretsOptions)) string {
		t.Helper()
		o := api.NewListSecretsOptions()
		change(o)
		var names []string
		for _, s := range done(api.ListSecrets(o))(t).Secrets {
			switch s := s.(type) {
			case *sm.ArbitrarySecretMetadata:
				names = append(names, (*s.Name)[:2])
			case *sm.KVSecretMetadata:
				names = append(names, (*s.Name)[:2])
			}
		}
		return strings.Join(names, " ")
	}
	for name, test := range map[string]struct {
		change func(*sm.ListSecretsOptions)
		want   string
	}{
		"all, as they were made":    {func(*sm.ListSecretsOptions) {}, "bb aa cc dd"},
		"by name":                   {func(o *sm.ListSecretsOptions) { o.SetSort("name") }, "aa bb cc dd"},
		"by name, descending":       {func(o *sm.ListSecretsOptions) { o.SetSort("-name") }, "dd cc bb aa"},
		"by expiration date":        {func(o *sm.ListSecretsOptions) { o.SetSort("expiration_date") }, "dd cc aa bb"},
		"by time of retrieval":      {func(o *sm.ListSecretsOptions) { o.SetSort("-retrieved_at") }, "aa bb cc dd"},
		"by time of creation":       {func(o *sm.ListSecretsOptions) { o.SetSort("-created_at") }, "dd cc aa bb"},
		"by time of change":         {func(o *sm.ListSecretsOptions) { o.SetSort("updated_at") }, "bb aa cc dd"},
		"by type":                   {func(o *sm.ListSecretsOptions) { o.SetSort("-secret_type") }, "dd bb aa cc"},
		"of a type":                 {func(o *sm.ListSecretsOptions) { o.SetSecretTypes([]string{"kv"}) }, "dd"},
		"of two types":              {func(o *sm.ListSecretsOptions) { o.SetSecretTypes([]string{"kv", "arbitrary"}) }, "bb aa cc dd"},
		"of a group":                {func(o *sm.ListSecretsOptions) { o.SetGroups([]string{*g.ID}) }, "cc"},
		"of two groups":             {func(o *sm.ListSecretsOptions) { o.SetGroups([]string{"default", *g.ID}) }, "bb aa cc dd"},
		"with all labels":           {func(o *sm.ListSecretsOptions) { o.SetMatchAllLabels([]string{"all", "label-1"}) }, "aa"},
		"with labels that none has": {func(o *sm.ListSecretsOptions) { o.SetMatchAllLabels([]string{"label-0", "label-1"}) }, ""},
		"a part of the name":        {func(o *sm.ListSecretsOptions) { o.SetSearch("-KEY") }, "bb aa"},
		"a part of the description": {func(o *sm.ListSecretsOptions) { o.SetSearch("number 2") }, "cc"},
		"a part of a label":         {func(o *sm.ListSecretsOptions) { o.SetSearch("label-0") }, "bb"},
		"everything at once": {func(o *sm.ListSecretsOptions) {
			o.SetSearch("key").SetGroups([]string{"default"}).SetSecretTypes([]string{"arbitrary"}).SetMatchAllLabels([]string{"all"}).SetSort("name").SetLimit(1).SetOffset(1)
		}, "bb"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := list(test.change); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	page := done(api.ListSecrets(api.NewListSecretsOptions().SetLimit(3).SetOffset(1).SetSort("name")))(t)
	if *page.TotalCount != 4 || *page.Limit != 3 || *page.Offset != 1 || page.Next != nil || page.Previous == nil || len(page.Secrets) != 3 ||
		!strings.Contains(*page.First.Href, "offset=0") || !strings.Contains(*page.First.Href, "sort=name") || !strings.Contains(*page.Last.Href, "offset=3") {
		t.Errorf("page %+v", page)
	}
	if page := done(api.ListSecrets(api.NewListSecretsOptions().SetOffset(9)))(t); len(page.Secrets) != 0 || page.Next != nil || *page.Limit != 200 {
		t.Errorf("page behind the last %+v", page)
	}
	pager, err := api.NewSecretsPager(api.NewListSecretsOptions().SetLimit(1))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := pager.GetAll(); err != nil || len(all) != 4 {
		t.Errorf("pager: %d, %v", len(all), err)
	}
	for name, query := range map[string]string{
		"a sort that there is not": "sort=payload", "a type that there is not": "secret_types=x", "a limit of 0": "limit=0",
		"a limit over 1000": "limit=1001", "a negative offset": "offset=-1",
	} {
		t.Run(name, func(t *testing.T) {
			if r, body := w.raw("GET", "/api/v2/secrets?"+query, "", "Authorization", "Bearer "+w.ownerToken()); r.StatusCode != 400 {
				t.Errorf("%d %v", r.StatusCode, body)
			}
		})
	}
}

func TestSecretVersions(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	s := arbitrary(t, api, "key", func(n *sm.ArbitrarySecretPrototype) { n.VersionCustomMetadata = map[string]any{"n": "1"} })
	first := done(api.ListSecretVersions(api.NewListSecretVersionsOptions(*s.ID)))(t).Versions[0].(*sm.ArbitrarySecretVersionMetadata)
	second := done(api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.ArbitrarySecretVersionPrototype{
		Payload: ptr("two"), VersionCustomMetadata: map[string]any{"n": "2"}, CustomMetadata: map[string]any{"who": "me"},
	})))(t).(*sm.ArbitrarySecretVersion)
	if *second.Alias != "current" || *second.Payload != "two" || !*second.PayloadAvailable || second.VersionCustomMetadata["n"] != "2" || *second.SecretName != "key" {
		t.Errorf("version %+v", second)
	}
	if v, err := version(api, *s.ID, "previous"); err != nil || *v.ID != *first.ID || *v.Payload != "payload of key" || v.VersionCustomMetadata["n"] != "1" {
		t.Errorf("previous %+v, %v", v, err)
	}
	third := rotate(t, api, *s.ID, "three")
	if v, err := version(api, *s.ID, *first.ID); err != nil || v.Payload != nil || *v.PayloadAvailable || v.Alias != nil {
		t.Errorf("a version behind the previous one has %+v, %v", v, err)
	}
	list := done(api.ListSecretVersions(api.NewListSecretVersionsOptions(*s.ID)))(t)
	if *list.TotalCount != 3 || *list.Versions[2].(*sm.ArbitrarySecretVersionMetadata).ID != *third.ID {
		t.Errorf("versions %+v", list)
	}
	m := done(api.GetSecretVersionMetadata(api.NewGetSecretVersionMetadataOptions(*s.ID, "previous")))(t).(*sm.ArbitrarySecretVersionMetadata)
	if *m.ID != *second.ID || m.VersionCustomMetadata["n"] != "2" {
		t.Errorf("metadata %+v", m)
	}
	patch := done2((&sm.SecretVersionMetadataPatch{VersionCustomMetadata: map[string]any{"m": "x"}}).AsPatch())(t)
	m = done(api.UpdateSecretVersionMetadata(api.NewUpdateSecretVersionMetadataOptions(*s.ID, *second.ID, patch)))(t).(*sm.ArbitrarySecretVersionMetadata)
	if fmt.Sprint(m.VersionCustomMetadata) != "map[m:x]" {
		t.Errorf("metadata %+v", m)
	}
	_, err := api.DeleteSecretVersionData(api.NewDeleteSecretVersionDataOptions(*s.ID, "previous"))
	refused(t, err, 400, "bad_request") // only generated credentials can be deleted
	_, err = version(api, *s.ID, "next")
	refused(t, err, 404, "not_found")
	if got := done(api.GetSecretMetadata(api.NewGetSecretMetadataOptions(*s.ID)))(t).(*sm.ArbitrarySecretMetadata); *got.VersionsTotal != 3 || got.CustomMetadata["who"] != "me" {
		t.Errorf("metadata %+v", got)
	}
	for n := range 60 {
		rotate(t, api, *s.ID, fmt.Sprint("value ", n))
	}
	if list := done(api.ListSecretVersions(api.NewListSecretVersionsOptions(*s.ID)))(t); len(list.Versions) != 50 {
		t.Errorf("%d versions are kept", len(list.Versions))
	}
}

func TestKeyValueSecrets(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	s := done(api.CreateSecret(api.NewCreateSecretOptions(&sm.KVSecretPrototype{SecretType: ptr("kv"), Name: ptr("pair"),
		Data: map[string]any{"a": "1", "deep": map[string]any{"b": 2.0}}})))(t).(*sm.KVSecret)
	if fmt.Sprint(s.Data) != "map[a:1 deep:map[b:2]]" {
		t.Errorf("data %v", s.Data)
	}
	done(api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.KVSecretVersionPrototype{Data: map[string]any{"c": "3"}})))(t)
	for alias, want := range map[string]string{"current": "map[c:3]", "previous": "map[a:1 deep:map[b:2]]"} {
		if v := done(api.GetSecretVersion(api.NewGetSecretVersionOptions(*s.ID, alias)))(t).(*sm.KVSecretVersion); fmt.Sprint(v.Data) != want {
			t.Errorf("%s: %v", alias, v.Data)
		}
	}
}

func TestStateHasSecretDataOnlyIfAsked(t *testing.T) {
	w := newWorld(t)
	arbitrary(t, w.sm(""), "key")
	for _, values := range []bool{false, true} {
		b, err := json.Marshal(w.State(values))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "payload of key") != values {
			t.Errorf("with values %v: %s", values, b)
		}
	}
	if s, ok := w.State(true).ManagedSecret(cloud.SecretsInstanceID, "arbitrary", "key"); !ok || s.Versions[0].Data["payload"] != "payload of key" {
		t.Errorf("state %+v", s)
	}
}

func TestAccessToSecretsManager(t *testing.T) {
	w := newWorld(t)
	owner := w.sm("")
	g := done(owner.CreateSecretGroup(owner.NewCreateSecretGroupOptions("group")))(t)
	s := arbitrary(t, owner, "key", func(n *sm.ArbitrarySecretPrototype) { n.SecretGroupID = g.ID })
	fresh := 0
	operations := []struct {
		name string
		do   func(api *sm.SecretsManagerV2) error
	}{
		{"list", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.ListSecrets(api.NewListSecretsOptions())
			return err
		}},
		{"metadata", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.GetSecretMetadata(api.NewGetSecretMetadataOptions(*s.ID))
			return err
		}},
		{"read", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.GetSecret(api.NewGetSecretOptions(*s.ID))
			return err
		}},
		{"by name", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.GetSecretByNameType(api.NewGetSecretByNameTypeOptions("arbitrary", "key", "group"))
			return err
		}},
		{"version", func(api *sm.SecretsManagerV2) error { _, err := version(api, *s.ID, "current"); return err }},
		{"create", func(api *sm.SecretsManagerV2) error {
			fresh++
			return create(api, &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: ptr(fmt.Sprint("new-", fresh)), Payload: ptr("x")})
		}},
		{"rotate", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.ArbitrarySecretVersionPrototype{Payload: ptr("x")}))
			return err
		}},
		{"change", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.UpdateSecretMetadata(api.NewUpdateSecretMetadataOptions(*s.ID, map[string]any{"description": "xx"}))
			return err
		}},
		{"lock", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.CreateSecretLocksBulk(api.NewCreateSecretLocksBulkOptions(*s.ID, []sm.SecretLockPrototype{{Name: ptr("lock")}}))
			return err
		}},
		{"unlock", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.DeleteSecretLocksBulk(api.NewDeleteSecretLocksBulkOptions(*s.ID))
			return err
		}},
		{"group", func(api *sm.SecretsManagerV2) error {
			fresh++
			_, _, err := api.CreateSecretGroup(api.NewCreateSecretGroupOptions(fmt.Sprint("new-", fresh)))
			return err
		}},
		{"configurations", func(api *sm.SecretsManagerV2) error {
			_, _, err := api.ListConfigurations(api.NewListConfigurationsOptions())
			return err
		}},
	}
	for role, want := range map[string]string{
		"":                  "",
		"Reader":            "list metadata configurations",
		"SecretsReader":     "list metadata read by name version",
		"SecretsWriter":     "", // there is no such role
		"SecretTaskUpdater": "",
		"Writer":            "list metadata read by name version create rotate change lock configurations",
		"Manager":           "list metadata read by name version create rotate change lock unlock group configurations",
	} {
		t.Run("as "+role, func(t *testing.T) {
			roles := []string{role}
			if role == "" {
				roles = nil
			}
			api := w.keeper(roles...)
			var got []string
			for _, d := range operations {
				if err := d.do(api); err != nil {
					refused(t, err, 403, "forbidden")
					continue
				}
				got = append(got, d.name)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("may %s, want %s", strings.Join(got, " "), want)
			}
			done(owner.DeleteSecretLocksBulk(owner.NewDeleteSecretLocksBulkOptions(*s.ID)))(t)
		})
	}
}

func TestAccessToOneSecretGroup(t *testing.T) {
	w := newWorld(t)
	owner := w.sm("")
	mine := done(owner.CreateSecretGroup(owner.NewCreateSecretGroupOptions("mine")))(t)
	in := arbitrary(t, owner, "in", func(n *sm.ArbitrarySecretPrototype) { n.SecretGroupID = mine.ID })
	out := arbitrary(t, owner, "out")
	id, k := w.Cloud().AddIdentity("teammate")
	if _, err := w.Cloud().CreatePolicy(cloud.Owner(), cloud.PolicySpec{Type: "access", Roles: []string{"crn:v1:bluemix:public:iam::::serviceRole:Writer"},
		Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: id.IAMID}},
		Resource: []cloud.Attribute{
			{Key: "serviceName", Operator: "stringEquals", Value: "secrets-manager"}, {Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID},
			{Key: "serviceInstance", Operator: "stringEquals", Value: cloud.SecretsInstanceID},
			{Key: "resourceType", Operator: "stringEquals", Value: "secret-group"}, {Key: "resource", Operator: "stringEquals", Value: *mine.ID},
		}}); err != nil {
		t.Fatal(err)
	}
	api := w.sm(w.token(k.Value))
	done(api.GetSecret(api.NewGetSecretOptions(*in.ID)))(t)
	if list := done(api.ListSecrets(api.NewListSecretsOptions()))(t); *list.TotalCount != 1 {
		t.Errorf("list %+v", list)
	}
	if list := done(api.ListSecretGroups(api.NewListSecretGroupsOptions()))(t); *list.TotalCount != 1 {
		t.Errorf("groups %+v", list)
	}
	_, _, err := api.GetSecret(api.NewGetSecretOptions(*out.ID))
	refused(t, err, 403, "forbidden")
	_, _, err = api.GetSecret(api.NewGetSecretOptions("11111111-2222-4333-8444-555555555555"))
	refused(t, err, 404, "not_found")
	refused(t, create(api, &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: ptr("new"), Payload: ptr("x")}), 403, "forbidden")
	if err := create(api, &sm.ArbitrarySecretPrototype{SecretType: ptr("arbitrary"), Name: ptr("new"), Payload: ptr("x"), SecretGroupID: mine.ID}); err != nil {
		t.Error(err)
	}
}

func TestInstancesOfSecretsManagerAreApart(t *testing.T) {
	w := newWorld(t)
	const other = "00000000-1111-4222-8333-444444444444"
	w.Cloud().AddSecretsInstance(other, "us-south")
	arbitrary(t, w.sm(""), "key")
	for host, want := range map[string]string{
		cloud.SecretsInstanceID + ".eu-de.secrets-manager.appdomain.cloud":         "200 1",
		cloud.SecretsInstanceID + ".private.eu-de.secrets-manager.appdomain.cloud": "200 1",
		other + ".us-south.secrets-manager.appdomain.cloud":                        "200 0",
		other + ".eu-de.secrets-manager.appdomain.cloud":                           "404 <nil>",
	} {
		r, body := w.raw("GET", "/api/v2/secrets", "", "Authorization", "Bearer "+w.ownerToken(), "Host", host)
		if got := fmt.Sprint(r.StatusCode, " ", body["total_count"]); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if in, ok := w.Cloud().SecretsInstanceIn(other); !ok || in.Region != "us-south" {
		t.Errorf("instance %+v", in)
	}
	ready := w.Ready()
	if ready.SecretsManager != (cloud.SecretsInstance{ID: cloud.SecretsInstanceID, Region: "eu-de"}) || ready.Notifications != cloud.NotificationsInstanceID {
		t.Errorf("ready %+v", ready)
	}
}
