package emulator_test

import (
	"strings"
	"testing"
	"time"

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
