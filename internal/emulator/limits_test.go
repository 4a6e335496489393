package emulator_test

import (
	"fmt"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestLimitsOfAnAccount(t *testing.T) {
	// What is seeded leaves the room of an empty account.
	w := newWorldWith(t, emulator.Options{SeedCredentials: 50})
	for i := range 1_999 { // the minter is one
		w.Cloud().AddServiceID(cloud.NewServiceID{Name: fmt.Sprint(i)})
	}
	create := func(group string) error {
		o := w.identity.NewCreateServiceIDOptions(cloud.AccountID, "one more")
		if group != "" {
			o.SetGroupID(group)
		}
		_, _, err := w.identity.CreateServiceID(o)
		return err
	}
	refused(t, create(""), 409, "limit_exceeded")
	group := done(w.identity.CreateServiceIDGroup(w.identity.NewCreateServiceIDGroupOptions(cloud.AccountID, "others")))(t)
	if err := create(*group.ID); err != nil {
		t.Errorf("another group has room: %v", err)
	}
	list := done(w.identity.ListServiceIds(w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetName("7")))(t)
	if _, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*list.Serviceids[0].ID)); err != nil {
		t.Fatal(err)
	}
	if err := create(""); err != nil {
		t.Errorf("after a deletion there is room: %v", err)
	}
	refused(t, create(""), 409, "limit_exceeded")
}

func TestLimitsOfPolicies(t *testing.T) {
	for name, test := range map[string]struct{ ofSubject, ofOthers int }{
		"4,020 in an account":   {0, 4_019 - 22}, // 22 are the minter's and the owner's
		"1,000 of each subject": {999, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, emulator.Options{SeedCredentials: 5})
			sid := w.newServiceID("subject")
			fill := func(subject string, n int) {
				for range n {
					w.Cloud().Grant(subject, "logs", senderRole)
				}
			}
			fill(*sid.IamID, test.ofSubject)
			for left := test.ofOthers; left > 0; left -= 1_000 {
				fill(*w.newServiceID("other").IamID, min(left, 1_000))
			}
			last := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
			o := w.senderPolicy(*sid.IamID)
			o.Resource = resourceOf("accountId", cloud.AccountID, "serviceName", "logs", "serviceInstance", "another")
			_, _, err := w.policies.CreateV2Policy(o)
			refused(t, err, 409, "request_not_processed")
			if _, _, err = w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)); err == nil {
				t.Error("the same policy is made twice")
			}
			refused(t, err, 409, "policy_conflict_error") // the conflict is told first
			if _, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*last.ID)); err != nil {
				t.Fatal(err)
			}
			done(w.policies.CreateV2Policy(o))(t)
		})
	}
}
