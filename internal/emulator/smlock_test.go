package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	"github.com/go-openapi/strfmt"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func lockOn(t *testing.T, api *sm.SecretsManagerV2, id, version, mode string, names ...string) *sm.SecretLocks {
	t.Helper()
	var locks []sm.SecretLockPrototype
	for _, n := range names {
		locks = append(locks, sm.SecretLockPrototype{Name: &n, Description: ptr("for " + n), Attributes: map[string]any{"app": n}})
	}
	o := api.NewCreateSecretVersionLocksBulkOptions(id, version, locks)
	if mode != "" {
		o.SetMode(mode)
	}
	return done(api.CreateSecretVersionLocksBulk(o))(t)
}

// held are the locks of the versions, current first.
func held(l *sm.SecretLocks) string {
	var out []string
	for _, v := range l.Versions {
		out = append(out, fmt.Sprint(*v.VersionAlias, v.Locks))
	}
	return strings.Join(out, " ")
}

func TestLocksHoldVersions(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	s := arbitrary(t, api, "key")
	first := done(api.CreateSecretLocksBulk(api.NewCreateSecretLocksBulkOptions(*s.ID, []sm.SecretLockPrototype{{Name: ptr("one")}, {Name: ptr("two")}})))(t)
	if held(first) != "current[one two]" || *first.SecretName != "key" || !*first.Versions[0].PayloadAvailable {
		t.Errorf("locks %+v", first)
	}
	if again := lockOn(t, api, *s.ID, "current", "", "one"); held(again) != "current[one two]" {
		t.Errorf("a lock of the same name: %s", held(again))
	}
	_, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID))
	refused(t, err, 412, "precondition_failed")
	rotate(t, api, *s.ID, "two") // the current version's locks move along
	_, _, err = api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.ArbitrarySecretVersionPrototype{Payload: ptr("three")}))
	refused(t, err, 412, "precondition_failed")
	if v, err := version(api, *s.ID, "current"); err != nil || *v.Payload != "two" {
		t.Errorf("the refused rotation changed %+v, %v", v, err)
	}
	if m := done(api.GetSecretMetadata(api.NewGetSecretMetadataOptions(*s.ID)))(t).(*sm.ArbitrarySecretMetadata); *m.LocksTotal != 2 {
		t.Errorf("%d locks in total", *m.LocksTotal)
	}
	if l := lockOn(t, api, *s.ID, "current", "remove_previous", "one"); held(l) != "current[one] previous[two]" {
		t.Errorf("remove_previous: %s", held(l))
	}
	if l := lockOn(t, api, *s.ID, "current", "remove_previous_and_delete", "three"); held(l) != "current[one three] previous[two]" || !*l.Versions[1].PayloadAvailable {
		t.Errorf("a previous version with other locks keeps its data: %s", held(l))
	}
	if l := lockOn(t, api, *s.ID, "current", "remove_previous_and_delete", "two"); held(l) != "current[one three two] previous[]" || *l.Versions[1].PayloadAvailable {
		t.Errorf("remove_previous_and_delete: %s", held(l))
	}
	if l := done(api.DeleteSecretVersionLocksBulk(api.NewDeleteSecretVersionLocksBulkOptions(*s.ID, "current").SetName([]string{"one", "none"})))(t); held(l) != "current[three two] previous[]" {
		t.Errorf("unlocked by name: %s", held(l))
	}
	if l := done(api.DeleteSecretLocksBulk(api.NewDeleteSecretLocksBulkOptions(*s.ID)))(t); held(l) != "current[] previous[]" {
		t.Errorf("unlocked: %s", held(l))
	}
	if _, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Error(err)
	}
}

func TestListsOfLocks(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	g := done(api.CreateSecretGroup(api.NewCreateSecretGroupOptions("group")))(t)
	s := arbitrary(t, api, "key")
	other := arbitrary(t, api, "other", func(n *sm.ArbitrarySecretPrototype) { n.SecretGroupID = g.ID })
	arbitrary(t, api, "free")
	lockOn(t, api, *other.ID, "current", "", "app-z")
	lockOn(t, api, *s.ID, "current", "", "app-b")
	rotate(t, api, *s.ID, "two")
	w.Advance(time.Minute)
	lockOn(t, api, *s.ID, "current", "", "app-c", "job-a")
	names := func(locks []sm.SecretLock) string {
		var out []string
		for _, l := range locks {
			out = append(out, *l.Name+"@"+*l.SecretVersionAlias)
		}
		return strings.Join(out, " ")
	}
	list := func() *sm.ListSecretLocksOptions { return api.NewListSecretLocksOptions(*s.ID) }
	for name, test := range map[string]struct {
		options *sm.ListSecretLocksOptions
		want    string
	}{
		"all":                     {list(), "app-b@previous app-c@current job-a@current"},
		"by name":                 {list().SetSort("name"), "app-b@previous app-c@current job-a@current"},
		"by name, descending":     {list().SetSort("-name"), "job-a@current app-c@current app-b@previous"},
		"by creation, descending": {list().SetSort("-created_at"), "app-c@current job-a@current app-b@previous"},
		"a part of the name":      {list().SetSearch("app"), "app-b@previous app-c@current"},
		"the second page":         {list().SetLimit(1).SetOffset(1), "app-c@current"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(done(api.ListSecretLocks(test.options))(t).Locks); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	v := done(api.ListSecretVersionLocks(api.NewListSecretVersionLocksOptions(*s.ID, "previous")))(t)
	if l := v.Locks[0]; *v.TotalCount != 1 || *v.Limit != 25 || *l.Name != "app-b" || *l.Description != "for app-b" || l.Attributes["app"] != "app-b" || *l.SecretID != *s.ID {
		t.Errorf("locks of a version %+v", v)
	}
	all := func(o *sm.ListSecretsLocksOptions) string {
		var out []string
		for _, l := range done(api.ListSecretsLocks(o))(t).SecretsLocks {
			out = append(out, *l.SecretName)
		}
		return strings.Join(out, " ")
	}
	for name, test := range map[string]struct {
		options *sm.ListSecretsLocksOptions
		want    string
	}{
		"all secrets":        {api.NewListSecretsLocksOptions(), "key other"},
		"of a group":         {api.NewListSecretsLocksOptions().SetGroups([]string{*g.ID}), "other"},
		"a part of the name": {api.NewListSecretsLocksOptions().SetSearch("job"), "key"},
		"the second page":    {api.NewListSecretsLocksOptions().SetLimit(1).SetOffset(1), "other"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := all(test.options); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestRefusedLocks(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	s := arbitrary(t, api, "key")
	for name, body := range map[string]string{
		"no locks":                `{}`,
		"a name of one letter":    `{"locks":[{"name":"x"}]}`,
		"a name with a space":     `{"locks":[{"name":"a b"}]}`,
		"a name twice":            `{"locks":[{"name":"aa"},{"name":"aa"}]}`,
		"attributes over 10 KB":   `{"locks":[{"name":"aa","attributes":{"x":"` + strings.Repeat("x", 10<<10) + `"}}]}`,
		"a mode that there isn't": `{"locks":[{"name":"aa"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := "/api/v2/secrets/" + *s.ID + "/locks_bulk"
			if strings.HasPrefix(name, "a mode") {
				path += "?mode=remove"
			}
			if r, out := w.raw("POST", path, body, "Authorization", "Bearer "+w.ownerToken()); r.StatusCode != 400 {
				t.Errorf("%d %v", r.StatusCode, out)
			}
		})
	}
	var many []sm.SecretLockPrototype
	for n := range 1001 {
		many = append(many, sm.SecretLockPrototype{Name: ptr(fmt.Sprint("lock-", n))})
	}
	_, _, err := api.CreateSecretLocksBulk(api.NewCreateSecretLocksBulkOptions(*s.ID, many))
	refused(t, err, 400, "bad_request")
	done(api.CreateSecretLocksBulk(api.NewCreateSecretLocksBulkOptions(*s.ID, many[:1000])))(t)
	_, _, err = api.ListSecretLocks(api.NewListSecretLocksOptions(*s.ID).SetSort("description"))
	refused(t, err, 400, "bad_request")
	_, _, err = api.ListSecretVersionLocks(api.NewListSecretVersionLocksOptions(*s.ID, "previous"))
	refused(t, err, 404, "not_found")
	done(api.DeleteSecretLocksBulk(api.NewDeleteSecretLocksBulkOptions(*s.ID)))(t)
	rotate(t, api, *s.ID, "two")
	rotate(t, api, *s.ID, "three")
	first := done(api.ListSecretVersions(api.NewListSecretVersionsOptions(*s.ID)))(t).Versions[0].(*sm.ArbitrarySecretVersionMetadata)
	_, _, err = api.CreateSecretVersionLocksBulk(api.NewCreateSecretVersionLocksBulkOptions(*s.ID, *first.ID, many[:1]))
	refused(t, err, 400, "bad_request")
}

// expiring makes a secret that expires that many days and some minutes from now.
func expiring(t *testing.T, api *sm.SecretsManagerV2, name string, days int) *sm.ArbitrarySecret {
	t.Helper()
	until := strfmt.DateTime(start.Add(time.Duration(days)*day + time.Hour).Truncate(time.Second))
	return arbitrary(t, api, name, func(n *sm.ArbitrarySecretPrototype) { n.ExpirationDate = &until })
}

func TestSecretsExpire(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	free, locked := expiring(t, api, "free", 2), expiring(t, api, "locked", 2)
	lockOn(t, api, *locked.ID, "current", "", "in-use")
	w.Advance(3 * day)
	api = w.sm("") // the token has expired, too
	got := done(api.GetSecret(api.NewGetSecretOptions(*free.ID)))(t).(*sm.ArbitrarySecret)
	if *got.State != 5 || *got.StateDescription != "destroyed" || got.Payload != nil {
		t.Errorf("an expired secret: %+v", got)
	}
	_, _, err := api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*free.ID, &sm.ArbitrarySecretVersionPrototype{Payload: ptr("x")}))
	refused(t, err, 412, "destroyed")
	_, _, err = api.UpdateSecretMetadata(api.NewUpdateSecretMetadataOptions(*free.ID, map[string]any{"expiration_date": "2030-01-01T00:00:00Z"}))
	refused(t, err, 412, "destroyed")
	if got := done(api.GetSecret(api.NewGetSecretOptions(*locked.ID)))(t).(*sm.ArbitrarySecret); *got.State != 1 || got.Payload == nil {
		t.Errorf("an expired secret that is locked: %+v", got)
	}
	done(api.DeleteSecretLocksBulk(api.NewDeleteSecretLocksBulkOptions(*locked.ID)))(t)
	w.Advance(day)
	api = w.sm("")
	if got := done(api.GetSecret(api.NewGetSecretOptions(*locked.ID)))(t).(*sm.ArbitrarySecret); *got.State != 5 || got.Payload != nil {
		t.Errorf("an expired secret that was locked: %+v", got)
	}
}

func TestSecretsManagerSendsEvents(t *testing.T) {
	w := newWorld(t)
	u, events := receiver(t, 0)
	if _, err := w.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindSecrets}); err != nil {
		t.Fatal(err)
	}
	want := func(kind, name string) map[string]any {
		t.Helper()
		e := next(t, events)
		data := e.data["data"].(map[string]any)
		about := data["secrets"].([]any)[0].(map[string]any)
		if e.data["type"] != "com.ibm.cloud.secrets-manager."+kind || about["secret_name"] != name {
			t.Fatalf("event %v about %v, want %s about %s", e.data["type"], about["secret_name"], kind, name)
		}
		if e.header.Get("Ce-Id") != "" || e.header.Get("Content-Type") != "application/json" || e.data["notification_id"] == "" || e.data["ibmensourceid"] != e.data["source"] {
			t.Errorf("envelope %v %v", e.header, e.data)
		}
		return e.data
	}
	api := w.sm("")
	s := expiring(t, api, "key", 61)
	e := want("secret_created", "key")
	data := e["data"].(map[string]any)
	about := data["secrets"].([]any)[0].(map[string]any)
	if about["secret_id"] != *s.Crn || about["event_triggered_by"] != cloud.OwnerIAMID || about["secret_expiration"] != "2027-01-24T11:00:30Z" ||
		data["secret_type"] != "arbitrary" || data["event_type"] != "secret_created" ||
		data["source_instance_api_public_url"] != "https://"+cloud.SecretsInstanceID+".eu-de.secrets-manager.appdomain.cloud/api" {
		t.Errorf("data %v", data)
	}
	rotate(t, api, *s.ID, "two")
	want("secret_rotated", "key")
	lockOn(t, api, *s.ID, "previous", "", "lock")
	_, _, err := api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.ArbitrarySecretVersionPrototype{Payload: ptr("three")}))
	refused(t, err, 412, "precondition_failed")
	want("secret_rotation_blocked", "key")
	done(api.DeleteSecretLocksBulk(api.NewDeleteSecretLocksBulkOptions(*s.ID)))(t)
	w.Advance(day + time.Hour) // in the 60th day before
	e = want("secret_about_to_expire:in_60_days", "key")
	if e["data"].(map[string]any)["event_sub_type"] != "in_60_days" || e["ibmenseverity"] != "high" ||
		e["data"].(map[string]any)["secrets"].([]any)[0].(map[string]any)["event_triggered_by"] != "SecretsManager" {
		t.Errorf("event %v", e)
	}
	w.Advance(50 * day)
	want("secret_about_to_expire:in_30_days", "key")
	want("secret_about_to_expire:in_10_days", "key")
	w.Advance(8*day + time.Hour)
	want("secret_about_to_expire:in_1_day", "key")
	w.Advance(day)
	want("secret_about_to_expire:in_0_days", "key")
	w.Advance(day)
	want("secret_expired", "key")
	w.Advance(day)
	want("secret_expired", "key")
	api = w.sm("")
	if _, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Fatal(err)
	}
	want("secret_deleted", "key")
	done(api.CreateSecret(api.NewCreateSecretOptions(&sm.KVSecretPrototype{SecretType: ptr("kv"), Name: ptr("pair"), Data: map[string]any{"a": "b"}})))(t)
	want("secret_created", "pair")
	moved := expiring(t, api, "moved", 400)
	want("secret_created", "moved")
	done(api.UpdateSecretMetadata(api.NewUpdateSecretMetadataOptions(*moved.ID, map[string]any{"expiration_date": w.Now().Add(30 * day).UTC().Format(time.RFC3339)})))(t)
	w.Advance(20 * day) // it is not warned of the days that it was nearer than from the start
	want("secret_about_to_expire:in_10_days", "moved")
}

func TestIAMCredentials(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	id := w.newServiceID("shipper")
	create := func(change func(*sm.IAMCredentialsSecretPrototype)) (*sm.IAMCredentialsSecret, error) {
		n := &sm.IAMCredentialsSecretPrototype{SecretType: ptr("iam_credentials"), Name: ptr("creds"), TTL: ptr("24h"), ReuseApiKey: ptr(true), ServiceID: id.ID}
		change(n)
		s, _, err := api.CreateSecret(api.NewCreateSecretOptions(n))
		out, _ := s.(*sm.IAMCredentialsSecret)
		return out, err
	}
	for name, change := range map[string]func(*sm.IAMCredentialsSecretPrototype){
		"a TTL under a minute":           func(n *sm.IAMCredentialsSecretPrototype) { n.TTL = ptr("59") },
		"a TTL over 90 days":             func(n *sm.IAMCredentialsSecretPrototype) { n.TTL = ptr("91d") },
		"a TTL that is none":             func(n *sm.IAMCredentialsSecretPrototype) { n.TTL = ptr("soon") },
		"a service ID and access groups": func(n *sm.IAMCredentialsSecretPrototype) { n.AccessGroups = []string{"x"} },
		"neither":                        func(n *sm.IAMCredentialsSecretPrototype) { n.ServiceID = nil },
		"a rotation without reuse": func(n *sm.IAMCredentialsSecretPrototype) {
			n.ReuseApiKey, n.Rotation = ptr(false), &sm.CommonRotationPolicy{AutoRotate: ptr(true), Interval: ptr(int64(1)), Unit: ptr("day")}
		},
		"a rotation of an unknown frequency": func(n *sm.IAMCredentialsSecretPrototype) {
			n.Rotation = &sm.CommonRotationPolicy{AutoRotate: ptr(true), Interval: ptr(int64(1)), Unit: ptr("hour")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := create(change)
			refused(t, err, 400, "bad_request")
		})
	}
	_, err := create(func(n *sm.IAMCredentialsSecretPrototype) { n.ServiceID = ptr("ServiceId-none") })
	refused(t, err, 404, "not_found")

	s, err := create(func(n *sm.IAMCredentialsSecretPrototype) {
		n.Rotation = &sm.CommonRotationPolicy{AutoRotate: ptr(true), Interval: ptr(int64(1)), Unit: ptr("day")}
		n.TTL = ptr("3d")
	})
	if err != nil {
		t.Fatal(err)
	}
	exchanges := func(key string) bool { status, _ := w.exchange("apikey", "apikey", key); return status == 200 }
	if !*s.ServiceIdIsStatic || !exchanges(*s.ApiKey) || time.Time(*s.ExpirationDate) != start.Add(3*day).Truncate(time.Second) || s.NextRotationDate == nil {
		t.Errorf("secret %+v", s)
	}
	if k := done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*s.ApiKeyID)))(t); !*k.Locked {
		t.Error("the key is not locked")
	}
	if again := done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t).(*sm.IAMCredentialsSecret); *again.ApiKey != *s.ApiKey {
		t.Error("the key is not reused")
	}
	v := done(api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.IAMCredentialsSecretVersionPrototype{})))(t).(*sm.IAMCredentialsSecretVersion)
	if *v.ApiKeyID == *s.ApiKeyID || !exchanges(*s.ApiKey) || !exchanges(*v.ApiKey) {
		t.Errorf("after a rotation both keys are good: %+v", v)
	}
	w.Advance(day + time.Minute) // rotated by its own rule
	api = w.sm("")
	list := done(api.ListSecretVersions(api.NewListSecretVersionsOptions(*s.ID)))(t).Versions
	if last := list[len(list)-1].(*sm.IAMCredentialsSecretVersionMetadata); len(list) != 3 || !*last.AutoRotated {
		t.Errorf("versions %+v", list)
	}
	if exchanges(*s.ApiKey) || !exchanges(*v.ApiKey) {
		t.Error("the key of the version before the previous one lives on, or that of the previous one does not")
	}
	back := done(api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.IAMCredentialsSecretRestoreFromVersionPrototype{RestoreFromVersion: ptr("previous")})))(t).(*sm.IAMCredentialsSecretVersion)
	if *back.ApiKeyID != *v.ApiKeyID || !exchanges(*v.ApiKey) {
		t.Errorf("restored %+v", back)
	}
	done(api.UpdateSecretMetadata(api.NewUpdateSecretMetadataOptions(*s.ID, map[string]any{"ttl": 120, "rotation": map[string]any{"auto_rotate": false}})))(t)
	w.Advance(5 * day)
	api = w.sm("")
	if got := done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t).(*sm.IAMCredentialsSecret); *got.State != 5 || got.ApiKey != nil || exchanges(*v.ApiKey) {
		t.Errorf("at the end of its lease: %+v", got)
	}
	if _, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Error(err)
	}
	if _, err := w.Cloud().GetServiceID(cloud.Owner(), *id.ID, false); err != nil {
		t.Errorf("a static service ID goes with the secret: %v", err)
	}
}

func TestIAMCredentialsForOneRead(t *testing.T) {
	w := newWorld(t)
	api := w.sm("")
	g, err := w.Cloud().CreateGroup(cloud.Owner(), cloud.AccountID, "senders", "")
	if err != nil {
		t.Fatal(err)
	}
	s := done(api.CreateSecret(api.NewCreateSecretOptions(&sm.IAMCredentialsSecretPrototype{SecretType: ptr("iam_credentials"), Name: ptr("creds"),
		TTL: ptr("30m"), ReuseApiKey: ptr(false), AccessGroups: []string{g.ID}})))(t).(*sm.IAMCredentialsSecret)
	if *s.ServiceIdIsStatic || s.ApiKey != nil {
		t.Errorf("secret %+v", s)
	}
	if groups, err := w.Cloud().GroupsOf(cloud.Owner(), "iam-"+*s.ServiceID); err != nil || len(groups) != 1 {
		t.Errorf("its service ID is in %v, %v", groups, err)
	}
	one := done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t).(*sm.IAMCredentialsSecret)
	two := done(api.GetSecret(api.NewGetSecretOptions(*s.ID)))(t).(*sm.IAMCredentialsSecret)
	if *one.ApiKey == *two.ApiKey || *one.ApiKeyID == *two.ApiKeyID {
		t.Error("two reads have one key")
	}
	_, _, err = api.CreateSecretVersion(api.NewCreateSecretVersionOptions(*s.ID, &sm.IAMCredentialsSecretVersionPrototype{}))
	refused(t, err, 400, "bad_request")
	lockOn(t, api, *s.ID, "current", "", "lock")
	_, _, err = api.GetSecret(api.NewGetSecretOptions(*s.ID))
	refused(t, err, 412, "precondition_failed")
	done(api.DeleteSecretLocksBulk(api.NewDeleteSecretLocksBulkOptions(*s.ID)))(t)
	w.Advance(31 * time.Minute)
	if status, _ := w.exchange("apikey", "apikey", *one.ApiKey); status != 400 {
		t.Errorf("the key of a read lives longer than its lease: %d", status)
	}
	if _, err := api.DeleteSecret(api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.identity.GetServiceID(&iamidentityv1.GetServiceIDOptions{ID: s.ServiceID})
	refused(t, err, 404, "not_found")
}
