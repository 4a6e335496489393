package emulator_test

import (
	"strings"
	"testing"

	policyv1 "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func v1Subject(iamID string) []policyv1.PolicySubject {
	return []policyv1.PolicySubject{{Attributes: []policyv1.SubjectAttribute{{Name: ptr("iam_id"), Value: ptr(iamID)}}}}
}

func v1Roles(crns ...string) []policyv1.PolicyRole {
	var out []policyv1.PolicyRole
	for _, crn := range crns {
		out = append(out, policyv1.PolicyRole{RoleID: ptr(crn)})
	}
	return out
}

func v1Resources(pairs ...string) []policyv1.PolicyResource {
	r := policyv1.PolicyResource{}
	for i := 0; i < len(pairs); i += 2 {
		r.Attributes = append(r.Attributes, policyv1.ResourceAttribute{Name: ptr(pairs[i]), Value: ptr(pairs[i+1])})
	}
	return []policyv1.PolicyResource{r}
}

func (w *world) v1Sender(iamID string) *policyv1.CreatePolicyOptions {
	return w.policies.NewCreatePolicyOptions("access", v1Subject(iamID), v1Roles(senderRole),
		v1Resources("accountId", cloud.AccountID, "serviceName", "logs", "serviceInstance", cloud.LogsInstanceID))
}

func TestV1PolicyLife(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("sender")
	o := w.v1Sender(sid.IAMID).SetDescription("sends")
	made, response, err := w.policies.CreatePolicy(o)
	if err != nil {
		t.Fatal(err)
	}
	tag := response.GetHeaders().Get("ETag")
	if response.StatusCode != 201 || tag == "" || *made.Description != "sends" || *made.Roles[0].DisplayName != "Sender" ||
		*made.Resources[0].Attributes[1].Operator != "stringEquals" || *made.State != "active" {
		t.Errorf("status %d, ETag %q: %+v", response.StatusCode, tag, made)
	}
	if status := w.as(w.token(key.Value)).sendLog(oneLine); status != 200 {
		t.Errorf("the policy's subject sends with status %d", status)
	}
	_, _, err = w.policies.CreatePolicy(o)
	refused(t, err, 409, "policy_conflict_error")
	_, _, err = w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID))
	refused(t, err, 409, "policy_conflict_error")

	get := done(w.policies.GetPolicy(w.policies.NewGetPolicyOptions(*made.ID)))(t)
	if *get.Subjects[0].Attributes[0].Value != sid.IAMID || *get.Roles[0].RoleID != senderRole {
		t.Errorf("got %+v", get)
	}
	done(w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID)))(t)

	replace := func(ifMatch string) error {
		_, r, err := w.policies.ReplacePolicy(w.policies.NewReplacePolicyOptions(*made.ID, ifMatch, "access", v1Subject(sid.IAMID),
			v1Roles(viewerRole), v1Resources("accountId", cloud.AccountID, "serviceName", "logs")))
		if err == nil {
			tag = r.GetHeaders().Get("ETag")
		}
		return err
	}
	old := tag
	if err := replace(tag); err != nil {
		t.Fatal(err)
	}
	refused(t, replace(old), 409, "policy_conflict_error")

	if _, err := w.policies.DeletePolicy(w.policies.NewDeletePolicyOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.policies.GetPolicy(w.policies.NewGetPolicyOptions(*made.ID))
	refused(t, err, 404, "policy_not_found")
}

func TestADeletedPolicyCanBeRestored(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("sender")
	sender := w.as(w.token(key.Value))
	made, response, err := w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID))
	if err != nil {
		t.Fatal(err)
	}
	tag := response.GetHeaders().Get("ETag")
	patch := func(w *world, id, ifMatch, state string) error {
		_, _, err := w.policies.UpdatePolicyState(w.policies.NewUpdatePolicyStateOptions(id, ifMatch).SetState(state))
		return err
	}
	deleted := func() int {
		o := w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetState("deleted").SetIamID(sid.IAMID)
		return len(done(w.policies.ListV2Policies(o))(t).Policies)
	}
	remove := func() {
		t.Helper()
		if _, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*made.ID)); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	if status := sender.sendLog(oneLine); status != 403 || deleted() != 1 {
		t.Errorf("deleted: status %d, %d listed as deleted", status, deleted())
	}
	refused(t, patch(w, *made.ID, "1-stale", "active"), 409, "policy_conflict_error")
	refused(t, patch(w, *made.ID, tag, "deleted"), 400, "invalid_body")
	refused(t, patch(w, "no-such-policy", "*", "active"), 404, "policy_not_found")
	refused(t, patch(w.stranger(), *made.ID, tag, "active"), 403, "insufficent_permissions")
	refused(t, patch(w.as(""), *made.ID, tag, "active"), 401, "invalid_token")
	if r, _ := w.raw("PATCH", "/v1/policies/"+*made.ID, `{"state":"active"}`, "Authorization", w.bearer()); r.StatusCode != 400 {
		t.Errorf("without If-Match: status %d", r.StatusCode)
	}
	if err := patch(w, *made.ID, tag, "active"); err != nil {
		t.Fatal(err)
	}
	if status := sender.sendLog(oneLine); status != 200 || deleted() != 0 {
		t.Errorf("restored: status %d, %d listed as deleted", status, deleted())
	}
	if err := patch(w, *made.ID, "*", "active"); err != nil {
		t.Errorf("an active policy: %v", err)
	}

	remove()
	done(w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID)))(t)
	refused(t, patch(w, *made.ID, "*", "active"), 409, "policy_conflict_error")
	w.Cloud().RemoveServiceID(sid.ID)
	refused(t, patch(w, *made.ID, "*", "active"), 400, "invalid_body")
}

const unsupportedRole = "crn:v1:bluemix:public:iam::::role:UnsupportedVersion"

func TestV2PoliciesArePlaceholdersInVersion1(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	v2 := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	v1 := done(w.policies.CreatePolicy(w.v1Sender(*sid.IamID).SetRoles(v1Roles(viewerRole))))(t)
	list := done(w.policies.ListPolicies(w.policies.NewListPoliciesOptions(cloud.AccountID).SetIamID(*sid.IamID)))(t)
	if len(list.Policies) != 2 || *list.Policies[0].ID != *v2.ID || *list.Policies[1].ID != *v1.ID {
		t.Fatalf("listed %+v", list.Policies)
	}
	if p := list.Policies[0]; *p.Roles[0].RoleID != unsupportedRole || *p.Roles[0].DisplayName != "Unsupported Version" ||
		*p.Subjects[0].Attributes[0].Value != "unsupported version" || len(p.Resources[0].Attributes) != 1 ||
		*p.Resources[0].Attributes[0].Value != cloud.AccountID || !strings.Contains(*p.Description, "unsupported policy version placeholder") ||
		*p.Href != w.URL()+"/v2/policies/"+*v2.ID {
		t.Errorf("the policy of version 2 is %+v", p)
	}
	if p := list.Policies[1]; *p.Roles[0].RoleID != viewerRole {
		t.Errorf("the policy of version 1 is %+v", p)
	}
	page := done(w.policies.ListPolicies(w.policies.NewListPoliciesOptions(cloud.AccountID).SetIamID(*sid.IamID).SetLimit(1)))(t)
	if len(page.Policies) != 1 || page.Next == nil {
		t.Errorf("page %+v", page)
	}
	_, _, err := w.policies.ReplacePolicy(w.policies.NewReplacePolicyOptions(*v2.ID, "*", "access", v1Subject(*sid.IamID),
		v1Roles(editorRole), v1Resources("accountId", cloud.AccountID, "serviceName", "logs")))
	refused(t, err, 400, "invalid_body")

	o := w.senderPolicy(*sid.IamID)
	done(w.policies.ReplaceV2Policy(w.policies.NewReplaceV2PolicyOptions(*v1.ID, "*", grantOf(editorRole), "access").
		SetSubject(o.Subject).SetResource(o.Resource)))(t)
	if p := done(w.policies.GetPolicy(w.policies.NewGetPolicyOptions(*v1.ID)))(t); *p.Roles[0].RoleID != unsupportedRole {
		t.Errorf("replaced by version 2, it is %+v", p)
	}
}

func TestRefusedV1Policies(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	for name, test := range map[string]struct {
		change func(*policyv1.CreatePolicyOptions)
		status int
		code   string
	}{
		"two subjects are refused": {func(o *policyv1.CreatePolicyOptions) {
			o.SetSubjects(append(v1Subject(*sid.IamID), v1Subject(*sid.IamID)...))
		}, 400, "invalid_body"},
		"no resource is refused":      {func(o *policyv1.CreatePolicyOptions) { o.SetResources([]policyv1.PolicyResource{}) }, 400, "invalid_body"},
		"no role is refused":          {func(o *policyv1.CreatePolicyOptions) { o.SetRoles([]policyv1.PolicyRole{}) }, 400, "invalid_body"},
		"a subject that is not there": {func(o *policyv1.CreatePolicyOptions) { o.SetSubjects(v1Subject("iam-ServiceId-0")) }, 400, "invalid_body"},
		"another account is refused": {func(o *policyv1.CreatePolicyOptions) {
			o.SetResources(v1Resources("accountId", "x", "serviceName", "logs"))
		}, 403, "insufficent_permissions"},
		"an authorization is not emulated": {func(o *policyv1.CreatePolicyOptions) { o.SetType("authorization") }, 501, "not_emulated"},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.v1Sender(*sid.IamID)
			test.change(o)
			_, _, err := w.policies.CreatePolicy(o)
			refused(t, err, test.status, test.code)
		})
	}
	_, _, err := w.stranger().policies.CreatePolicy(w.v1Sender(*sid.IamID))
	refused(t, err, 403, "insufficent_permissions")
}

func TestPoliciesAreListedByTag(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	o := w.v1Sender(*sid.IamID)
	o.Resources[0].Tags = []policyv1.ResourceTag{{Name: ptr("env"), Value: ptr("prod")}}
	done(w.policies.CreatePolicy(o))(t)
	for _, test := range []struct {
		name, value string
		want        int
	}{{"env", "prod", 1}, {"env", "test", 0}, {"team", "prod", 0}} {
		list := w.policies.NewListPoliciesOptions(cloud.AccountID).SetTagName(test.name).SetTagValue(test.value)
		if got := len(done(w.policies.ListPolicies(list))(t).Policies); got != test.want {
			t.Errorf("%s=%s: %d policies, want %d", test.name, test.value, got, test.want)
		}
	}
}
