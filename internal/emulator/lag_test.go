package emulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestANewKeyArrivesWithTheLag(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	w.SetLag(10 * time.Second)
	value := strings.Repeat("x", 40)
	made := done(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetApikey(value)))(t)

	check := func(visible bool) {
		t.Helper()
		status, body := w.exchange("apikey", "apikey", value)
		if visible != (status == 200) || !visible && body["errorCode"] != "BXNIM0415E" {
			t.Errorf("token: %d %v, want visible %v", status, body["errorCode"], visible)
		}
		list := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t)
		if visible != (len(list.Apikeys) == 1) {
			t.Errorf("list has %d keys, want visible %v", len(list.Apikeys), visible)
		}
		_, _, errGet := w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*made.ID))
		_, _, errDetails := w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(value))
		for _, err := range []error{errGet, errDetails} {
			if visible && err != nil {
				t.Error(err)
			}
			if !visible {
				refused(t, err, 404, "not_found")
			}
		}
	}
	check(false)
	_, _, err := w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetApikey(value))
	refused(t, err, 409, "conflict")
	w.Advance(9 * time.Second)
	check(false)
	w.Advance(time.Second)
	check(true)
}

func TestLagsAreSeparate(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	set := func(change func(*emulator.Settings)) {
		n := w.Settings()
		change(&n)
		w.Set(n)
	}
	set(func(n *emulator.Settings) { n.ListLag = emulator.Duration{Duration: time.Minute} })
	key := w.newKey(*sid.IamID, "k")
	w.token(*key.Apikey)
	if list := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t); len(list.Apikeys) != 0 {
		t.Error("the list lag hides nothing")
	}
	set(func(n *emulator.Settings) {
		n.ListLag, n.KeyLag = emulator.Duration{}, emulator.Duration{Duration: time.Minute}
	})
	key = w.newKey(*sid.IamID, "k2")
	if status, _ := w.exchange("apikey", "apikey", *key.Apikey); status != 400 {
		t.Errorf("within the key lag: status %d", status)
	}
	if list := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t); len(list.Apikeys) != 2 {
		t.Errorf("list has %d keys without a list lag", len(list.Apikeys))
	}
}

func TestANewServiceIDIsListedWithTheLag(t *testing.T) {
	w := newWorld(t)
	w.SetLag(time.Minute)
	sid := w.newServiceID("s")
	count := func() int {
		o := w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetName("s")
		return len(done(w.identity.ListServiceIds(o))(t).Serviceids)
	}
	if count() != 0 {
		t.Error("the service ID is listed at once")
	}
	done(w.identity.GetServiceID(w.identity.NewGetServiceIDOptions(*sid.ID)))(t)
	w.Advance(time.Minute)
	if count() != 1 {
		t.Error("the service ID is not listed after the lag")
	}
}

func TestADeletedKeyAuthenticatesForTheLag(t *testing.T) {
	w := newWorld(t)
	_, key := w.Cloud().AddIdentity("consumer")
	w.SetLag(10 * time.Second)
	w.Advance(time.Hour)
	w.Cloud().RemoveKey(key.ID)
	w.token(key.Value)
	w.Advance(10 * time.Second)
	if status, _ := w.exchange("apikey", "apikey", key.Value); status != 400 {
		t.Errorf("after the lag: status %d", status)
	}

	_, key = w.Cloud().AddIdentity("another")
	w.Advance(time.Hour)
	n := w.Settings()
	n.Switches.DeletedKeysLive = false
	w.Set(n)
	w.Cloud().RemoveKey(key.ID)
	if status, _ := w.exchange("apikey", "apikey", key.Value); status != 400 {
		t.Errorf("with the switch off: status %d", status)
	}
}

func TestANewPolicyWorksAfterTheLag(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("sender")
	w.SetLag(10 * time.Second)
	w.Advance(time.Minute) // the key has arrived
	w = w.as(w.token(w.Ready().APIKey))
	made := done(w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID)))(t)
	sender := w.as(w.token(key.Value))

	_, _, err := w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID))
	refused(t, err, 404, "policy_not_found")
	list := done(w.policies.ListV2Policies(w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetIamID(sid.IAMID)))(t)
	if len(list.Policies) != 0 {
		t.Error("the policy is listed at once")
	}
	if status := sender.sendLog(oneLine); status != 403 {
		t.Errorf("sending within the lag: status %d", status)
	}
	_, _, err = w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID))
	refused(t, err, 409, "policy_conflict_error")

	w.Advance(10 * time.Second)
	done(w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID)))(t)
	if status := sender.sendLog(oneLine); status != 200 {
		t.Errorf("sending after the lag: status %d", status)
	}
}

func TestADeletionIsListedForTheLag(t *testing.T) {
	w := newWorld(t)
	w.SetLag(10 * time.Second)
	before := w.newServiceID("s")
	sid := w.newServiceID("s")
	after := w.newServiceID("s")
	w.Advance(time.Hour)
	w = w.as(w.ownerToken())
	key := w.newKey(*sid.IamID, "k")
	w.Advance(time.Minute)
	keys := func() int {
		return len(done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(*sid.IamID)))(t).Apikeys)
	}
	ids := func() string {
		var out []string
		o := w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetName("s").SetPagesize(2)
		for {
			list := done(w.identity.ListServiceIds(o))(t)
			for _, s := range list.Serviceids {
				out = append(out, *s.ID)
			}
			token, err := core.GetQueryParam(list.Next, "pagetoken")
			if err != nil {
				t.Fatal(err)
			}
			if token == nil {
				return strings.Join(out, " ")
			}
			o.SetPagetoken(*token)
		}
	}

	if _, err := w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(*key.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*key.ID))
	refused(t, err, 404, "not_found")
	if keys() != 1 {
		t.Error("the deleted key is not listed within the lag")
	}
	w.Advance(10 * time.Second)
	if keys() != 0 {
		t.Error("the deleted key is listed after the lag")
	}

	if _, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID)); err != nil {
		t.Fatal(err)
	}
	if got, want := ids(), *before.ID+" "+*sid.ID+" "+*after.ID; got != want {
		t.Errorf("within the lag %s, want %s", got, want)
	}
	w.Advance(10 * time.Second)
	if got, want := ids(), *before.ID+" "+*after.ID; got != want {
		t.Errorf("after the lag %s, want %s", got, want)
	}

	n := w.Settings()
	n.Switches.DeletedListed = false
	w.Set(n)
	if _, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*after.ID)); err != nil {
		t.Fatal(err)
	}
	if got := ids(); got != *before.ID {
		t.Errorf("with the switch off %s", got)
	}
}

func TestAChangedPolicyWorksAfterTheLag(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("sender")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID)))(t)
	w.SetLag(10 * time.Second)
	w.Advance(time.Minute)
	sender := w.as(w.token(key.Value))
	sends := func(what string, want int) {
		t.Helper()
		if status := sender.sendLog(oneLine); status != want {
			t.Errorf("%s: status %d, want %d", what, status, want)
		}
	}
	sends("at first", 200)

	o := w.senderPolicy(sid.IAMID)
	r := w.policies.NewReplaceV2PolicyOptions(*made.ID, "*", grantOf(viewerRole), "access").SetSubject(o.Subject).SetResource(o.Resource)
	done(w.policies.ReplaceV2Policy(r))(t)
	sends("taken away, within the lag", 200)
	w.Advance(10 * time.Second)
	sends("taken away, after the lag", 403)

	r.Control = grantOf(senderRole)
	done(w.policies.ReplaceV2Policy(r))(t)
	sends("given again, within the lag", 403)
	w.Advance(10 * time.Second)
	sends("given again, after the lag", 200)

	if _, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	listed := func() int {
		return len(done(w.policies.ListV2Policies(w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetIamID(sid.IAMID)))(t).Policies)
	}
	_, _, err := w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID))
	refused(t, err, 404, "policy_not_found")
	sends("deleted, within the lag", 200)
	if listed() != 1 {
		t.Error("the deleted policy is not listed within the lag")
	}
	restore := w.policies.NewUpdatePolicyStateOptions(*made.ID, "*").SetState("active")
	done(w.policies.UpdatePolicyState(restore))(t)
	w.Advance(10 * time.Second)
	if _, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	done(w.policies.UpdatePolicyState(restore))(t)
	if n := listed(); n != 1 {
		t.Errorf("a restored policy is listed %d times", n)
	}
	sends("restored, within the lag", 200) // by what it was before
	w.Advance(10 * time.Second)
	sends("restored, after the lag", 200)
	if _, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	w.Advance(10 * time.Second)
	sends("deleted, after the lag", 403)
	if listed() != 0 {
		t.Error("the deleted policy is listed after the lag")
	}
}
