package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	policyv1 "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func (w *world) owner() *world { return w.as(w.token(w.Ready().AdminKey)) }

func (w *world) role(name string, actions ...string) *policyv1.CreateRoleOptions {
	return w.policies.NewCreateRoleOptions("Role "+name, actions, name, cloud.AccountID, "logs")
}

// TestACustomRoleGrantsItsActions creates, grants, changes and deletes a role.
func TestACustomRoleGrantsItsActions(t *testing.T) {
	w := newWorld(t).owner()
	p := w.policies
	made, response, err := p.CreateRole(w.role("LogSender", "logs.data-ingress.send", "iam.policy.read"))
	if err != nil {
		t.Fatal(err)
	}
	tag := response.GetHeaders().Get("ETag")
	crn := "crn:v1:bluemix:public:logs::a/" + cloud.AccountID + "::customRole:LogSender"
	if *made.CRN != crn || *made.CreatedByID != cloud.OwnerIAMID || response.StatusCode != 201 {
		t.Errorf("role %+v", made)
	}
	sid, key := w.Cloud().AddIdentity("sender")
	o := w.senderPolicy(sid.IAMID)
	o.Control.Grant.Roles[0].RoleID = &crn
	policy := done(p.CreateV2Policy(o))(t)
	sender := w.as(w.token(key.Value))
	if status := sender.sendLog(oneLine); status != 200 {
		t.Errorf("a holder of the role sends with status %d", status)
	}
	_, shown := w.raw("GET", "/v2/policies/"+*policy.ID+"?format=display", "", "Authorization", "Bearer "+w.token(w.Ready().AdminKey))
	if text := fmt.Sprint(shown["control"]); !strings.Contains(text, "display_name:Role LogSender") {
		t.Errorf("the policy shows %s", text)
	}
	_, err = p.DeleteRole(p.NewDeleteRoleOptions(*made.ID))
	refused(t, err, 409, "role_conflict_error")

	replace := p.NewReplaceRoleOptions(*made.ID, "1-stale", "Reads", []string{"logs.data-api-low.read"})
	_, _, err = p.ReplaceRole(replace)
	refused(t, err, 409, "policy_conflict_error")
	done(p.ReplaceRole(replace.SetIfMatch(tag)))(t)
	if status := sender.sendLog(oneLine); status != 403 {
		t.Errorf("without the action: status %d", status)
	}
	if _, err := p.DeleteV2Policy(p.NewDeleteV2PolicyOptions(*policy.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DeleteRole(p.NewDeleteRoleOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.GetRole(p.NewGetRoleOptions(*made.ID))
	refused(t, err, 404, "role_not_found")
}

func TestBoundsOfCustomRoles(t *testing.T) {
	w := newWorld(t).owner()
	for name, change := range map[string]func(*policyv1.CreateRoleOptions){
		"a name in lower case":              func(o *policyv1.CreateRoleOptions) { o.SetName("sender") },
		"a name with a space":               func(o *policyv1.CreateRoleOptions) { o.SetName("Log sender") },
		"a name of 31 letters":              func(o *policyv1.CreateRoleOptions) { o.SetName(strings.Repeat("A", 31)) },
		"a display name of 51 characters":   func(o *policyv1.CreateRoleOptions) { o.SetDisplayName(strings.Repeat("é", 51)) },
		"a description of 251 characters":   func(o *policyv1.CreateRoleOptions) { o.SetDescription(strings.Repeat("d", 251)) },
		"no actions":                        func(o *policyv1.CreateRoleOptions) { o.SetActions([]string{}) },
		"an action in two parts":            func(o *policyv1.CreateRoleOptions) { o.SetActions([]string{"logs.send"}) },
		"actions of another service only":   func(o *policyv1.CreateRoleOptions) { o.SetActions([]string{"kms.secrets.read"}) },
		"a service that is part of another": func(o *policyv1.CreateRoleOptions) { o.SetServiceName("log") },
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			o := w.role("Sender", "logs.data-ingress.send")
			change(o)
			_, _, err := w.policies.CreateRole(o)
			refused(t, err, 400, "invalid_body")
		})
	}
	for i := range 40 {
		done(w.policies.CreateRole(w.role(fmt.Sprint("R", i), "logs.data-ingress.send")))(t)
	}
	_, _, err := w.policies.CreateRole(w.role("R7", "logs.data-ingress.send"))
	refused(t, err, 409, "role_conflict_error")
	_, _, err = w.policies.CreateRole(w.role("R40", "logs.data-ingress.send"))
	refused(t, err, 409, "request_not_processed")
}

// TestAccessToCustomRoles uses role management as a Viewer of access management
// and as a stranger, who gets an empty list.
func TestAccessToCustomRoles(t *testing.T) {
	w := newWorld(t).owner()
	made := done(w.policies.CreateRole(w.role("Sender", "logs.data-ingress.send")))(t)
	viewer, key := w.Cloud().AddIdentity("viewer")
	w.Cloud().Grant(viewer.IAMID, "iam-access-management", viewerRole)
	for name, test := range map[string]struct {
		world *world
		roles int
	}{"a viewer": {w.as(w.token(key.Value)), 1}, "a stranger": {w.stranger(), 0}} {
		t.Run(name, func(t *testing.T) {
			p := test.world.policies
			list := done(p.ListRoles(p.NewListRolesOptions().SetAccountID(cloud.AccountID)))(t)
			if len(list.CustomRoles) != test.roles {
				t.Errorf("%d roles", len(list.CustomRoles))
			}
			_, err := p.DeleteRole(p.NewDeleteRoleOptions(*made.ID))
			refused(t, err, 403, "insufficent_permissions")
			_, _, err = p.CreateRole(test.world.role("Other", "logs.data-ingress.send"))
			refused(t, err, 403, "insufficent_permissions")
		})
	}
}
