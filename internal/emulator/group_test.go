package emulator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	groupsv2 "github.com/IBM/platform-services-go-sdk/iamaccessgroupsv2"
	policyv1 "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// groups is the client for access groups, with the token.
func (w *world) groups(token string) *groupsv2.IamAccessGroupsV2 {
	w.t.Helper()
	var auth core.Authenticator = &core.NoAuthAuthenticator{}
	if token != "" {
		auth = &core.BearerTokenAuthenticator{BearerToken: token}
	}
	g, err := groupsv2.NewIamAccessGroupsV2(&groupsv2.IamAccessGroupsV2Options{Authenticator: auth, URL: w.URL()})
	if err != nil {
		w.t.Fatal(err)
	}
	g.Service.SetHTTPClient(w.http)
	return g
}

func member(iamID, kind string) groupsv2.AddGroupMembersRequestMembersItem {
	return groupsv2.AddGroupMembersRequestMembersItem{IamID: ptr(iamID), Type: ptr(kind)}
}

func TestAccessGroupLife(t *testing.T) {
	w := newWorld(t)
	g := w.groups(w.ownerToken())
	made, response, err := g.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, "Senders").SetDescription("send logs"))
	if err != nil {
		t.Fatal(err)
	}
	tag := response.GetHeaders().Get("ETag")
	if response.StatusCode != 201 || tag == "" || *made.Name != "Senders" || *made.AccountID != cloud.AccountID {
		t.Errorf("status %d, ETag %q: %+v", response.StatusCode, tag, made)
	}
	_, _, err = g.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, "SENDERS"))
	refused(t, err, 409, "conflict_error")
	_, _, err = g.CreateAccessGroup(g.NewCreateAccessGroupOptions("other", "x"))
	refused(t, err, 403, "insufficient_permissions")
	stranger := w.groups(w.strangersToken())
	_, _, err = stranger.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, "x"))
	refused(t, err, 403, "insufficient_permissions")
	_, _, err = w.groups("").ListAccessGroups(g.NewListAccessGroupsOptions(cloud.AccountID))
	refused(t, err, 401, "invalid_token")

	update := func(ifMatch string) error {
		_, _, err := g.UpdateAccessGroup(g.NewUpdateAccessGroupOptions(*made.ID, ifMatch).SetName("Writers"))
		return err
	}
	if err := update(tag); err != nil {
		t.Fatal(err)
	}
	refused(t, update(tag), 409, "conflict_error")
	if got := done(g.GetAccessGroup(g.NewGetAccessGroupOptions(*made.ID).SetShowCRN(true)))(t); *got.Name != "Writers" || *got.Description != "send logs" || got.CRN == nil {
		t.Errorf("got %+v", got)
	}

	sid, _ := w.Cloud().AddIdentity("s")
	done(g.AddMembersToAccessGroup(g.NewAddMembersToAccessGroupOptions(*made.ID).SetMembers([]groupsv2.AddGroupMembersRequestMembersItem{member(sid.IAMID, "service")})))(t)
	_, err = g.DeleteAccessGroup(g.NewDeleteAccessGroupOptions(*made.ID))
	refused(t, err, 409, "conflict_error")
	if _, err = g.DeleteAccessGroup(g.NewDeleteAccessGroupOptions(*made.ID).SetForce(true)); err != nil {
		t.Fatal(err)
	}
	_, _, err = g.GetAccessGroup(g.NewGetAccessGroupOptions(*made.ID))
	refused(t, err, 404, "not_found_error")
}

func TestListsOfAccessGroups(t *testing.T) {
	w := newWorld(t)
	g := w.groups(w.ownerToken())
	sid, _ := w.Cloud().AddIdentity("s")
	for i := range 3 {
		made := done(g.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, fmt.Sprint("group ", i))))(t)
		if i == 1 {
			done(g.AddMembersToAccessGroup(g.NewAddMembersToAccessGroupOptions(*made.ID).SetMembers([]groupsv2.AddGroupMembersRequestMembersItem{member(sid.IAMID, "service")})))(t)
		}
	}
	for name, test := range map[string]struct {
		change func(*groupsv2.ListAccessGroupsOptions)
		want   string
	}{
		"all of them are listed":            {func(*groupsv2.ListAccessGroupsOptions) {}, "[group 0 group 1 group 2]"},
		"those of a member are listed":      {func(o *groupsv2.ListAccessGroupsOptions) { o.SetIamID(sid.IAMID) }, "[group 1]"},
		"those with a name are listed":      {func(o *groupsv2.ListAccessGroupsOptions) { o.SetSearch("name:P 2") }, "[group 2]"},
		"the order may be the other way":    {func(o *groupsv2.ListAccessGroupsOptions) { o.SetSort("-name") }, "[group 2 group 1 group 0]"},
		"a page starts at its offset":       {func(o *groupsv2.ListAccessGroupsOptions) { o.SetLimit(2).SetOffset(2) }, "[group 2]"},
		"behind the end there is nothing":   {func(o *groupsv2.ListAccessGroupsOptions) { o.SetOffset(7) }, "[]"},
		"a page is no longer than its size": {func(o *groupsv2.ListAccessGroupsOptions) { o.SetLimit(1) }, "[group 0]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := g.NewListAccessGroupsOptions(cloud.AccountID)
			test.change(o)
			names := []string{}
			for _, x := range done(g.ListAccessGroups(o))(t).Groups {
				names = append(names, *x.Name)
			}
			if got := fmt.Sprint(names); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	pager, err := g.NewAccessGroupsPager(g.NewListAccessGroupsOptions(cloud.AccountID).SetLimit(2))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := pager.GetAll(); err != nil || len(all) != 3 {
		t.Errorf("the pager finds %d groups: %v", len(all), err)
	}
	_, _, err = g.ListAccessGroups(g.NewListAccessGroupsOptions(cloud.AccountID).SetSearch("colour:red"))
	refused(t, err, 400, "invalid_body")
	_, _, err = g.ListAccessGroups(g.NewListAccessGroupsOptions(cloud.AccountID).SetLimit(101))
	refused(t, err, 400, "invalid_body")
}

func TestMembersOfAGroupHaveItsAccess(t *testing.T) {
	w := newWorld(t)
	g := w.groups(w.ownerToken())
	sid, key := w.Cloud().AddIdentity("sender")
	sender := w.as(w.token(key.Value))
	made := done(g.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, "senders")))(t)
	o := w.senderPolicy("")
	o.SetSubject(&policyv1.V2PolicySubject{Attributes: []policyv1.V2PolicySubjectAttribute{
		{Key: ptr("access_group_id"), Operator: ptr("stringEquals"), Value: *made.ID}}})
	policy := done(w.policies.CreateV2Policy(o))(t)
	list := done(w.policies.ListV2Policies(w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetAccessGroupID(*made.ID)))(t)
	if len(list.Policies) != 1 || *list.Policies[0].ID != *policy.ID {
		t.Errorf("policies of the group %+v", list.Policies)
	}
	sends := func(what string, want int) {
		t.Helper()
		if status := sender.sendLog(oneLine); status != want {
			t.Errorf("%s: status %d, want %d", what, status, want)
		}
	}
	sends("no member", 403)

	_, err := g.IsMemberOfAccessGroup(g.NewIsMemberOfAccessGroupOptions(*made.ID, sid.IAMID))
	if status := status(err); status != 404 {
		t.Errorf("no member yet: status %d", status)
	}
	n := w.Settings()
	n.PolicyLag.Duration = 10 * time.Second
	w.Set(n)
	w.Advance(time.Minute)
	added, response, err := g.AddMembersToAccessGroup(g.NewAddMembersToAccessGroupOptions(*made.ID).SetMembers([]groupsv2.AddGroupMembersRequestMembersItem{
		member(sid.IAMID, "service"), member("iam-ServiceId-0", "service"), member(sid.IAMID, "user")}))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 207 || *added.Members[0].StatusCode != 200 || *added.Members[1].StatusCode != 404 || *added.Members[2].StatusCode != 400 {
		t.Errorf("added with status %d: %+v", response.StatusCode, added.Members)
	}
	sends("within the lag", 403)
	w.Advance(10 * time.Second)
	sends("after the lag", 200)

	if response, err := g.IsMemberOfAccessGroup(g.NewIsMemberOfAccessGroupOptions(*made.ID, sid.IAMID)); err != nil || response.StatusCode != 204 {
		t.Errorf("membership: %v", err)
	}
	members := done(g.ListAccessGroupMembers(g.NewListAccessGroupMembersOptions(*made.ID)))(t)
	if len(members.Members) != 1 || *members.Members[0].IamID != sid.IAMID || *members.TotalCount != 1 {
		t.Errorf("members %+v", members)
	}
	if _, err := g.RemoveMemberFromAccessGroup(g.NewRemoveMemberFromAccessGroupOptions(*made.ID, sid.IAMID)); err != nil {
		t.Fatal(err)
	}
	_, err = g.RemoveMemberFromAccessGroup(g.NewRemoveMemberFromAccessGroupOptions(*made.ID, sid.IAMID))
	refused(t, err, 404, "not_found_error")
	sends("removed", 403)

	many := done(g.AddMemberToMultipleAccessGroups(g.NewAddMemberToMultipleAccessGroupsOptions(cloud.AccountID, sid.IAMID).SetType("service").SetGroups([]string{*made.ID, "none"})))(t)
	if *many.Groups[0].StatusCode != 200 || *many.Groups[1].StatusCode != 404 {
		t.Errorf("joined %+v", many.Groups)
	}
	bulk := done(g.RemoveMembersFromAccessGroup(g.NewRemoveMembersFromAccessGroupOptions(*made.ID).SetMembers([]string{sid.IAMID, "x"})))(t)
	if *bulk.Members[0].StatusCode != 204 || *bulk.Members[1].StatusCode != 404 {
		t.Errorf("removed %+v", bulk.Members)
	}
	done(g.AddMemberToMultipleAccessGroups(g.NewAddMemberToMultipleAccessGroupsOptions(cloud.AccountID, sid.IAMID).SetType("service").SetGroups([]string{*made.ID})))(t)
	if all := done(g.RemoveMemberFromAllAccessGroups(g.NewRemoveMemberFromAllAccessGroupsOptions(cloud.AccountID, sid.IAMID)))(t); len(all.Groups) != 1 {
		t.Errorf("left %+v", all.Groups)
	}

	if _, err := g.DeleteAccessGroup(g.NewDeleteAccessGroupOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*policy.ID))
	refused(t, err, 404, "policy_not_found")
	_, _, err = w.policies.CreateV2Policy(o)
	refused(t, err, 400, "invalid_body")
}

func TestAServiceIDLeavesItsGroups(t *testing.T) {
	w := newWorld(t)
	g := w.groups(w.ownerToken())
	sid, _ := w.Cloud().AddIdentity("s")
	made := done(g.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, "g")))(t)
	done(g.AddMemberToMultipleAccessGroups(g.NewAddMemberToMultipleAccessGroupsOptions(cloud.AccountID, sid.IAMID).SetType("service").SetGroups([]string{*made.ID})))(t)
	if s := w.State(false); len(s.Groups) != 1 || len(s.Groups[0].Members) != 1 {
		t.Errorf("state %+v", s.Groups)
	}
	w.Cloud().RemoveServiceID(sid.ID)
	if s := w.State(false); len(s.Groups[0].Members) != 0 {
		t.Errorf("members %+v", s.Groups[0].Members)
	}
}

func TestTheMinterMakesAccessGroups(t *testing.T) {
	w := newWorld(t)
	g := w.groups(w.token(w.Ready().APIKey))
	made := done(g.CreateAccessGroup(g.NewCreateAccessGroupOptions(cloud.AccountID, "senders")))(t)
	sid := w.newServiceID("sender")
	added := done(g.AddMembersToAccessGroup(g.NewAddMembersToAccessGroupOptions(*made.ID).SetMembers([]groupsv2.AddGroupMembersRequestMembersItem{member(*sid.IamID, "service")})))(t)
	if *added.Members[0].StatusCode != 200 {
		t.Errorf("adding a member: %+v", added.Members[0])
	}
	o := w.senderPolicy("")
	o.SetSubject(&policyv1.V2PolicySubject{Attributes: []policyv1.V2PolicySubjectAttribute{
		{Key: ptr("access_group_id"), Operator: ptr("stringEquals"), Value: *made.ID}}})
	done(w.policies.CreateV2Policy(o))(t)
	key := w.newKey(*sid.IamID, "k")
	if status := w.as(w.token(*key.Apikey)).sendLog(oneLine); status != 200 {
		t.Errorf("a member sends with status %d", status)
	}
}
