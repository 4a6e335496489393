package emulator_test

import (
	"testing"

	policyv1 "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// authorization is the policy of a template that lets one service use another.
func authorization(role string) *policyv1.TemplatePolicy {
	equals := ptr("stringEquals")
	return &policyv1.TemplatePolicy{
		Type:     ptr("authorization"),
		Subject:  &policyv1.V2PolicySubject{Attributes: []policyv1.V2PolicySubjectAttribute{{Key: ptr("serviceName"), Operator: equals, Value: "codeengine"}}},
		Resource: &policyv1.V2PolicyResource{Attributes: []policyv1.V2PolicyResourceAttribute{{Key: ptr("serviceName"), Operator: equals, Value: "logs"}}},
		Control:  &policyv1.TemplateControl{Grant: &policyv1.TemplateGrant{Roles: []policyv1.Roles{{RoleID: &role}}}},
	}
}

func child() *policyv1.AssignmentTargetDetails {
	return &policyv1.AssignmentTargetDetails{Type: ptr("Account"), ID: ptr(cloud.ChildAccountID)}
}

// TestATemplateOfAPolicy takes a template from its draft to its assignment, a new
// version and its end.
func TestATemplateOfAPolicy(t *testing.T) {
	w := newWorld(t).owner()
	p := w.policies
	template, response, err := p.CreatePolicyTemplate(p.NewCreatePolicyTemplateOptions("send", cloud.AccountID, &policyv1.TemplatePolicy{Type: ptr("authorization")}))
	if err != nil {
		t.Fatal(err)
	}
	id, tag := *template.ID, response.GetHeaders().Get("ETag")
	commit := func(version string) error {
		_, err := p.CommitPolicyTemplate(p.NewCommitPolicyTemplateOptions(id, version))
		return err
	}
	assign := func(version string) (*policyv1.PolicyAssignmentV1Collection, error) {
		out, _, err := p.CreatePolicyTemplateAssignment(p.NewCreatePolicyTemplateAssignmentOptions("1.0", child(),
			[]policyv1.AssignmentTemplateDetails{{ID: &id, Version: &version}}))
		return out, err
	}
	refused(t, commit("1"), 400, "invalid_body") // it has no resource yet

	replace := p.NewReplacePolicyTemplateOptions(id, "1", "1-stale", authorization(senderRole))
	_, _, err = p.ReplacePolicyTemplate(replace)
	refused(t, err, 409, "policy_conflict_error")
	done(p.ReplacePolicyTemplate(replace.SetIfMatch(tag)))(t)
	_, err = assign("1")
	refused(t, err, 400, "invalid_body") // not committed
	if err := commit("1"); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.ReplacePolicyTemplate(replace.SetIfMatch("*"))
	refused(t, err, 409, "policy_template_conflict_error")

	made, err := assign("1")
	if err != nil {
		t.Fatal(err)
	}
	assignment := *made.Assignments[0].ID
	created := *made.Assignments[0].Resources[0].Policy.ResourceCreated.ID
	_, err = assign("1")
	refused(t, err, 409, "policy_assignment_conflict_error")
	role := func() string {
		got := done(p.GetV2Policy(p.NewGetV2PolicyOptions(created)))(t)
		if *got.Template.AssignmentID != assignment || got.Resource.Attributes[0].Value != cloud.ChildAccountID {
			t.Errorf("policy %+v", got)
		}
		return *got.Control.(*policyv1.ControlResponse).Grant.Roles[0].RoleID
	}
	if got := role(); got != senderRole {
		t.Errorf("the assigned policy grants %s", got)
	}
	_, err = p.DeleteV2Policy(p.NewDeleteV2PolicyOptions(created))
	refused(t, err, 403, "insufficent_permissions")
	_, err = p.DeletePolicyTemplate(p.NewDeletePolicyTemplateOptions(id))
	refused(t, err, 409, "policy_template_conflict_error")

	second := done(p.CreatePolicyTemplateVersion(p.NewCreatePolicyTemplateVersionOptions(id, authorization(viewerRole)).SetCommitted(true).SetName("renamed")))(t)
	if got := done(p.GetPolicyTemplateVersion(p.NewGetPolicyTemplateVersionOptions(id, "1")))(t); *got.Name != "renamed" || *second.Version != "2" {
		t.Errorf("names %s, version %s", *got.Name, *second.Version)
	}
	done(p.UpdatePolicyAssignment(p.NewUpdatePolicyAssignmentOptions(assignment, "1.0", "*", "2")))(t)
	if got := role(); got != viewerRole {
		t.Errorf("the updated policy grants %s", got)
	}
	if _, err := p.DeletePolicyTemplateVersion(p.NewDeletePolicyTemplateVersionOptions(id, "1")); err != nil {
		t.Errorf("deleting the version that is no longer assigned: %v", err)
	}
	if _, err := p.DeletePolicyAssignment(p.NewDeletePolicyAssignmentOptions(assignment)); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.GetV2Policy(p.NewGetV2PolicyOptions(created))
	refused(t, err, 404, "policy_not_found")
	if _, err := p.DeletePolicyTemplate(p.NewDeletePolicyTemplateOptions(id)); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.GetPolicyTemplate(p.NewGetPolicyTemplateOptions(id))
	refused(t, err, 404, "policy_template_not_found")
	if s := w.State(false); len(s.Templates)+len(s.Assignments)+len(s.ChildPolicies) != 0 {
		t.Errorf("left: %+v", s)
	}
}

// TestTheOwnerNeedsTheRolesOfTemplates takes the roles that IBM gives to no user
// by default.
func TestTheOwnerNeedsTheRolesOfTemplates(t *testing.T) {
	w := newWorld(t).owner()
	p := w.policies
	template := done(p.CreatePolicyTemplate(p.NewCreatePolicyTemplateOptions("send", cloud.AccountID, authorization(senderRole)).SetCommitted(true)))(t)
	take := func(role string) {
		if r, out := w.raw("POST", "/emulator/revoke", `{"from":"`+cloud.OwnerIAMID+`","role":"`+role+`"}`); r.StatusCode != 200 {
			t.Fatalf("revoking: %v", out)
		}
	}
	take("Template Assignment Administrator")
	_, _, err := p.CreatePolicyTemplateAssignment(p.NewCreatePolicyTemplateAssignmentOptions("1.0", child(),
		[]policyv1.AssignmentTemplateDetails{{ID: template.ID, Version: ptr("1")}}))
	refused(t, err, 403, "insufficent_permissions")
	done(p.ListPolicyTemplates(p.NewListPolicyTemplatesOptions(cloud.AccountID)))(t)
	take("Template Administrator")
	_, _, err = p.ListPolicyTemplates(p.NewListPolicyTemplatesOptions(cloud.AccountID))
	refused(t, err, 403, "insufficent_permissions")
}

// TestOtherTemplates assigns a role and an action control.
func TestOtherTemplates(t *testing.T) {
	w := newWorld(t).owner()
	p := w.policies
	role := done(p.CreateRoleTemplate(p.NewCreateRoleTemplateOptions("sends", cloud.AccountID).SetDescription("d").SetCommitted(true).SetRole(
		&policyv1.RoleTemplatePrototypeRole{Name: ptr("Sends"), DisplayName: ptr("Sends"), ServiceName: ptr("logs"), Actions: []string{"logs.data-ingress.send"}})))(t)
	assigned := done(p.CreateRoleTemplateAssignment(p.NewCreateRoleTemplateAssignmentOptions(child(),
		[]policyv1.RoleAssignmentTemplate{{ID: role.ID, Version: role.Version}})))(t)
	roles := func() int {
		return len(done(p.ListRoles(p.NewListRolesOptions().SetAccountID(cloud.ChildAccountID)))(t).CustomRoles)
	}
	if n := roles(); n != 1 {
		t.Errorf("the child account has %d roles", n)
	}
	if _, err := p.DeleteRoleAssignment(p.NewDeleteRoleAssignmentOptions(*assigned.Assignments[0].ID)); err != nil {
		t.Fatal(err)
	}
	if n := roles(); n != 0 {
		t.Errorf("the child account has %d roles", n)
	}

	control := done(p.CreateActionControlTemplate(p.NewCreateActionControlTemplateOptions("never", cloud.AccountID).SetCommitted(true).SetActionControl(
		&policyv1.TemplateActionControl{ServiceName: ptr("logs"), Actions: []string{"logs.data-ingress.send"}})))(t)
	one := policyv1.ActionControlAssignmentTemplate{ID: control.ID, Version: control.Version}
	for name, target := range map[string]*policyv1.AssignmentTargetDetails{
		"an account group":   {Type: ptr("AccountGroup"), ID: ptr(cloud.ChildAccountID)},
		"an unknown account": {Type: ptr("Account"), ID: ptr("unknown")},
		"the enterprise":     {Type: ptr("Account"), ID: ptr(cloud.AccountID)},
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			_, _, err := p.CreateActionControlTemplateAssignment(p.NewCreateActionControlTemplateAssignmentOptions(target, []policyv1.ActionControlAssignmentTemplate{one}))
			refused(t, err, 400, "invalid_body")
		})
	}
	done(p.CreateActionControlTemplateAssignment(p.NewCreateActionControlTemplateAssignmentOptions(child(), []policyv1.ActionControlAssignmentTemplate{one})))(t)
}

func TestListsOfTemplatesComeInPages(t *testing.T) {
	w := newWorld(t).owner()
	p := w.policies
	for _, name := range []string{"a", "b", "c"} {
		done(p.CreatePolicyTemplate(p.NewCreatePolicyTemplateOptions(name, cloud.AccountID, authorization(senderRole))))(t)
	}
	pager, err := p.NewPolicyTemplatesPager(p.NewListPolicyTemplatesOptions(cloud.AccountID).SetLimit(2).SetPolicyServiceName("logs"))
	if err != nil {
		t.Fatal(err)
	}
	if all := pages(pager.GetAll())(t); len(all) != 3 || *all[2].Name != "c" {
		t.Errorf("%d templates", len(all))
	}
	for name, o := range map[string]*policyv1.ListPolicyTemplatesOptions{
		"two services": p.NewListPolicyTemplatesOptions(cloud.AccountID).SetPolicyServiceName("logs").SetPolicyServiceType("service"),
		"a state":      p.NewListPolicyTemplatesOptions(cloud.AccountID).SetState("unknown"),
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			_, _, err := p.ListPolicyTemplates(o)
			refused(t, err, 400, "invalid_body")
		})
	}
}

func TestSettingsOfAccessManagement(t *testing.T) {
	w := newWorld(t).owner()
	p := w.policies
	_, response, err := p.GetSettings(p.NewGetSettingsOptions(cloud.AccountID))
	if err != nil {
		t.Fatal(err)
	}
	change := func(state string, accounts ...string) *policyv1.UpdateSettingsOptions {
		rule := &policyv1.IdentityTypesBase{State: &state, ExternalAllowedAccounts: accounts}
		return p.NewUpdateSettingsOptions(cloud.AccountID, response.GetHeaders().Get("ETag")).SetExternalAccountIdentityInteraction(
			&policyv1.ExternalAccountIdentityInteractionPatch{IdentityTypes: &policyv1.IdentityTypesPatch{ServiceID: rule}})
	}
	for name, o := range map[string]*policyv1.UpdateSettingsOptions{
		"enabled with accounts": change("enabled", "other"), "an unknown state": change("closed", "other"),
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			_, _, err := p.UpdateSettings(o)
			refused(t, err, 400, "invalid_body")
		})
	}
	got := done(p.UpdateSettings(change("limited", "other")))(t).ExternalAccountIdentityInteraction.IdentityTypes
	if *got.ServiceID.State != "limited" || *got.User.State != "enabled" {
		t.Errorf("%+v", got)
	}
	_, _, err = p.UpdateSettings(change("monitor", "other"))
	refused(t, err, 409, "policy_conflict_error")
}

func pages[T any](x T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}
