package emulator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	policyv1 "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

const (
	senderRole = "crn:v1:bluemix:public:logs::::serviceRole:Sender"
	iamSender  = "crn:v1:bluemix:public:iam::::serviceRole:Sender"
	viewerRole = "crn:v1:bluemix:public:iam::::role:Viewer"
	editorRole = "crn:v1:bluemix:public:iam::::role:Editor"
	adminRole  = "crn:v1:bluemix:public:iam::::role:Administrator"
)

func grantOf(roles ...string) *policyv1.Control {
	c := &policyv1.Control{Grant: &policyv1.Grant{}}
	for _, r := range roles {
		c.Grant.Roles = append(c.Grant.Roles, policyv1.Roles{RoleID: ptr(r)})
	}
	return c
}

func subjectOf(iamID string) *policyv1.V2PolicySubject {
	return &policyv1.V2PolicySubject{Attributes: []policyv1.V2PolicySubjectAttribute{
		{Key: ptr("iam_id"), Operator: ptr("stringEquals"), Value: iamID}}}
}

func resourceOf(pairs ...string) *policyv1.V2PolicyResource {
	r := &policyv1.V2PolicyResource{}
	for i := 0; i < len(pairs); i += 2 {
		r.Attributes = append(r.Attributes, policyv1.V2PolicyResourceAttribute{
			Key: ptr(pairs[i]), Operator: ptr("stringEquals"), Value: pairs[i+1]})
	}
	return r
}

// senderPolicy lets an identity send logs to the seeded instance.
func (w *world) senderPolicy(iamID string) *policyv1.CreateV2PolicyOptions {
	return w.policies.NewCreateV2PolicyOptions(grantOf(senderRole), "access").SetDescription("sends").SetSubject(subjectOf(iamID)).
		SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs", "serviceInstance", cloud.LogsInstanceID))
}

// stored are the roles that a policy really has.
func (w *world) stored(t *testing.T, id string) string {
	t.Helper()
	p := done(w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(id)))(t)
	var out []string
	for _, r := range p.Control.(*policyv1.ControlResponse).Grant.Roles {
		out = append(out, *r.RoleID)
	}
	return fmt.Sprint(out)
}

func TestPolicyLife(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	o := w.senderPolicy(*sid.IamID)
	o.Resource.Tags = []policyv1.V2PolicyResourceTag{{Key: ptr("env"), Value: ptr("prod"), Operator: ptr("stringEquals")}}
	made, response, err := w.policies.CreateV2Policy(o)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 201 || response.GetHeaders().Get("ETag") == "" {
		t.Errorf("created with status %d, ETag %q", response.StatusCode, response.GetHeaders().Get("ETag"))
	}
	if *made.Description != "sends" || *made.State != "active" || *made.CreatedByID != w.Cloud().Minter().IAMID ||
		made.Resource.Attributes[2].Value != cloud.LogsInstanceID || *made.Resource.Tags[0].Value != "prod" {
		t.Errorf("made %+v", made)
	}
	if got := w.stored(t, *made.ID); got != "["+senderRole+"]" {
		t.Errorf("stored roles %s", got)
	}

	_, _, err = w.policies.CreateV2Policy(o)
	refused(t, err, 409, "policy_conflict_error")
	var p *core.HTTPProblem
	errors.As(err, &p)
	with := p.Response.Result.(map[string]any)["errors"].([]any)[0].(map[string]any)["details"].(map[string]any)["conflicts_with"].(map[string]any)
	if whole, _ := with["policy"].(map[string]any); whole["id"] != *made.ID || whole["state"] != "active" || with["etag"] != response.GetHeaders().Get("ETag") {
		t.Errorf("conflict with %v, want %s", with, *made.ID)
	}

	tag := response.GetHeaders().Get("ETag")
	replace := func(ifMatch string) (*policyv1.V2Policy, *core.DetailedResponse, error) {
		return w.policies.ReplaceV2Policy(w.policies.NewReplaceV2PolicyOptions(*made.ID, ifMatch, grantOf(senderRole, viewerRole), "access").
			SetSubject(subjectOf(*sid.IamID)).SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs")))
	}
	replaced, response, err := replace(tag)
	if err != nil {
		t.Fatal(err)
	}
	if replaced.Description != nil || len(replaced.Resource.Attributes) != 2 || response.GetHeaders().Get("ETag") == tag {
		t.Errorf("replaced by %+v", replaced)
	}
	_, _, err = replace(tag)
	refused(t, err, 409, "policy_conflict_error")

	if _, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID))
	refused(t, err, 404, "policy_not_found")
}

func TestRefusedPolicies(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	locked := w.newServiceID("locked")
	w.Cloud().SetServiceIDLocked(*locked.ID, true)
	for name, test := range map[string]struct {
		change func(*policyv1.CreateV2PolicyOptions)
		status int
		code   string
	}{
		"a locked subject is refused": {func(o *policyv1.CreateV2PolicyOptions) { o.SetSubject(subjectOf(*locked.IamID)) }, 409, "request_not_processed"},
		"a subject that is not there": {func(o *policyv1.CreateV2PolicyOptions) { o.SetSubject(subjectOf("iam-ServiceId-0")) }, 400, "invalid_body"},
		"a role that is not there":    {func(o *policyv1.CreateV2PolicyOptions) { o.SetControl(grantOf("crn:made:up")) }, 400, "invalid_body"},
		"a role of another service": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "codeengine"))
		}, 400, "invalid_body"},
		"a resource without an account":    {func(o *policyv1.CreateV2PolicyOptions) { o.SetResource(resourceOf("serviceName", "logs")) }, 400, "invalid_body"},
		"a resource that names no service": {func(o *policyv1.CreateV2PolicyOptions) { o.SetResource(resourceOf("accountId", cloud.AccountID)) }, 400, "invalid_body"},
		"an attribute that is there twice": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs", "serviceName", "logs"))
		}, 400, "invalid_body"},
		"an empty attribute": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs", "region", ""))
		}, 400, "invalid_body"},
		"another account": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetResource(resourceOf("accountId", "other", "serviceName", "logs"))
		}, 403, "insufficent_permissions"},
		"a service where it is no admin": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetControl(grantOf(viewerRole)).SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "codeengine"))
		}, 403, "insufficent_permissions"},
		"a resource operator that is unknown": {func(o *policyv1.CreateV2PolicyOptions) {
			o.Resource.Attributes[1].Operator = ptr("soundsLike")
		}, 400, "invalid_body"},
		"a subject operator that is one of resources only": {func(o *policyv1.CreateV2PolicyOptions) {
			o.Subject.Attributes[0].Operator = ptr("stringMatch")
		}, 400, "invalid_body"},
		"a tag operator that is one of attributes only": {func(o *policyv1.CreateV2PolicyOptions) {
			o.Resource.Tags = []policyv1.V2PolicyResourceTag{{Key: ptr("env"), Value: ptr("prod"), Operator: ptr("stringExists")}}
		}, 400, "invalid_body"},
		"a list of values for an operator that takes one": {func(o *policyv1.CreateV2PolicyOptions) {
			o.Resource.Attributes[1].Value = []string{"logs"}
		}, 400, "invalid_body"},
		"a value of 1,001 characters": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs", "resource", strings.Repeat("x", 1_001)))
		}, 400, "invalid_body"},
		"a rule without the pattern that matches it": {func(o *policyv1.CreateV2PolicyOptions) { o.SetRule(mondays()) }, 400, "invalid_body"},
		"a pattern that is unknown": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetRule(mondays()).SetPattern("time-based-conditions:yearly")
		}, 400, "invalid_body"},
		"a condition with an operator of another pattern": {func(o *policyv1.CreateV2PolicyOptions) {
			o.SetRule(mondays()).SetPattern("attribute-based-condition:resource:literal-and-wildcard")
		}, 400, "invalid_body"},
		"an unknown type": {func(o *policyv1.CreateV2PolicyOptions) { o.SetType("wish") }, 400, "invalid_body"},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.senderPolicy(*sid.IamID)
			test.change(o)
			_, _, err := w.policies.CreateV2Policy(o)
			refused(t, err, test.status, test.code)
		})
	}
}

func mondays() *policyv1.V2PolicyRuleRuleAttribute {
	return &policyv1.V2PolicyRuleRuleAttribute{Key: ptr("{{environment.attributes.day_of_week}}"), Operator: ptr("dayOfWeekEquals"), Value: "1+00:00"}
}

func TestAcceptedPolicies(t *testing.T) {
	w := newWorld(t)
	w = w.as(w.token(w.Ready().AdminKey))
	sid := w.newServiceID("s")
	for name, change := range map[string]func(*policyv1.CreateV2PolicyOptions){
		"a user who is not in the account": func(o *policyv1.CreateV2PolicyOptions) { o.SetSubject(subjectOf("IBMid-GoSDK1234")) },
		"one time condition": func(o *policyv1.CreateV2PolicyOptions) {
			o.SetRule(mondays()).SetPattern("time-based-conditions:weekly")
		},
		"nested conditions on attributes": func(o *policyv1.CreateV2PolicyOptions) {
			o.SetPattern("attribute-based-condition:resource:literal-and-wildcard")
			o.SetRule(&policyv1.V2PolicyRuleRuleWithNestedConditions{Operator: ptr("or"), Conditions: []policyv1.NestedConditionIntf{
				&policyv1.NestedCondition{Operator: ptr("and"), Conditions: []policyv1.RuleAttribute{
					{Key: ptr("{{resource.attributes.prefix}}"), Operator: ptr("stringEquals"), Value: "home"},
					{Key: ptr("{{environment.attributes.delimiter}}"), Operator: ptr("stringEquals"), Value: "/"},
				}},
				&policyv1.NestedConditionRuleAttribute{Key: ptr("{{resource.attributes.path}}"), Operator: ptr("stringMatch"), Value: "home/*"},
			}})
		},
		"a role of one of the IAM services on all of them": func(o *policyv1.CreateV2PolicyOptions) {
			o.SetControl(grantOf("crn:v1:bluemix:public:iam-identity::::serviceRole:ServiceIdCreator")).
				SetResource(resourceOf("accountId", cloud.AccountID, "service_group_id", "IAM"))
		},
		"several values": func(o *policyv1.CreateV2PolicyOptions) {
			o.Resource.Attributes[2] = policyv1.V2PolicyResourceAttribute{Key: ptr("region"), Operator: ptr("stringEqualsAnyOf"), Value: []string{"eu-de", "eu-gb"}}
		},
	} {
		t.Run(name+" is accepted", func(t *testing.T) {
			o := w.senderPolicy(*sid.IamID)
			change(o)
			done(w.policies.CreateV2Policy(o))(t)
		})
	}
}

func TestQueriesOfPolicies(t *testing.T) {
	w := newWorld(t)
	list := func() *policyv1.ListV2PoliciesOptions { return w.policies.NewListV2PoliciesOptions(cloud.AccountID) }
	for _, sort := range []string{"last_permit_at", "-last_permit_at", "last_permit_frequency"} {
		if all := done(w.policies.ListV2Policies(list().SetSort(sort).SetFormat("include_last_permit")))(t); len(all.Policies) != 22 {
			t.Errorf("sorted by %s: %d policies", sort, len(all.Policies))
		}
	}
	for name, o := range map[string]*policyv1.ListV2PoliciesOptions{
		"a service with a group of services": list().SetServiceName("iam-identity").SetServiceGroupID("IAM"),
		"an unknown state":                   list().SetState("lost"),
		"an unknown type":                    list().SetType("wish"),
		"an unknown format":                  list().SetFormat("poem"),
		"an unknown type of service":         list().SetServiceType("platform"),
		"an unknown sort":                    list().SetSort("colour"),
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			_, _, err := w.policies.ListV2Policies(o)
			refused(t, err, 400, "invalid_body")
		})
	}
	_, _, err := w.policies.ListRoles(w.policies.NewListRolesOptions().SetServiceName("iam-identity").SetServiceGroupID("IAM"))
	refused(t, err, 400, "invalid_body")
}

func TestCreatorsGrantNoMoreThanTheyHold(t *testing.T) {
	w := newWorld(t)
	weak, key := w.Cloud().AddIdentity("weak minter")
	w.Cloud().Grant(weak.IAMID, "logs", adminRole)
	minter := w.as(w.token(key.Value))
	consumer := w.newServiceID("consumer")
	for name, test := range map[string]struct {
		ask    []string
		stored string
	}{
		"a role that it lacks leaves Viewer":    {[]string{senderRole}, "[" + viewerRole + "]"},
		"of two roles the one it holds is left": {[]string{senderRole, editorRole}, "[" + editorRole + "]"},
		"a role that it holds is granted":       {[]string{adminRole}, "[" + adminRole + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := minter.senderPolicy(*consumer.IamID).SetControl(grantOf(test.ask...))
			made, response, err := minter.policies.CreateV2Policy(o)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(made.Control.(*policyv1.ControlResponse).Grant.Roles); response.StatusCode != 201 || n != len(test.ask) {
				t.Errorf("status %d with %d roles: the answer must hide what is missing", response.StatusCode, n)
			}
			if got := minter.stored(t, *made.ID); got != test.stored {
				t.Errorf("stored %s, want %s", got, test.stored)
			}
		})
	}
}

func TestListsOfPolicies(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	first := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	second := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID).SetControl(grantOf(viewerRole))))(t)
	w.Cloud().Grant(*sid.IamID, "codeengine", viewerRole)
	ids := func(o *policyv1.ListV2PoliciesOptions) []string {
		t.Helper()
		var out []string
		for _, p := range done(w.policies.ListV2Policies(o))(t).Policies {
			out = append(out, *p.ID)
		}
		return out
	}
	list := func() *policyv1.ListV2PoliciesOptions {
		return w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetIamID(*sid.IamID)
	}
	for _, test := range []struct {
		what string
		got  int
		want int
	}{
		{"of the identity", len(ids(list())), 3},
		{"on logs", len(ids(list().SetServiceName("logs"))), 2},
		{"of type authorization", len(ids(list().SetType("authorization"))), 0},
		{"that are deleted", len(ids(list().SetState("deleted"))), 0},
		{"in the account", len(ids(w.policies.NewListV2PoliciesOptions(cloud.AccountID))), 25},
	} {
		if test.got != test.want {
			t.Errorf("policies %s: %d, want %d", test.what, test.got, test.want)
		}
	}
	page := done(w.policies.ListV2Policies(list().SetLimit(1)))(t)
	if *page.Policies[0].ID != *first.ID || page.Next == nil {
		t.Fatalf("first page %+v", page)
	}
	page = done(w.policies.ListV2Policies(w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetStart(*page.Next.Start)))(t)
	if *page.Policies[0].ID != *second.ID || page.Next == nil {
		t.Errorf("second page %+v", page)
	}
	all := ids(list().SetSort("-id"))
	if len(all) != 3 || all[0] < all[1] || all[1] < all[2] {
		t.Errorf("sorted by -id: %v", all)
	}
	r, body := w.raw("GET", "/v2/policies", "", "Authorization", w.bearer())
	if r.StatusCode != 400 || body["errors"].([]any)[0].(map[string]any)["code"] != "missing_required_query_parameter" {
		t.Errorf("without account_id: %d %v", r.StatusCode, body)
	}
}

func TestPolicyAccess(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	calls := map[string]func(w *world) error{
		"create": func(w *world) error { _, _, err := w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)); return err },
		"get": func(w *world) error {
			_, _, err := w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID))
			return err
		},
		"replace": func(w *world) error {
			_, _, err := w.policies.ReplaceV2Policy(w.policies.NewReplaceV2PolicyOptions(*made.ID, "*", grantOf(senderRole), "access").
				SetSubject(subjectOf(*sid.IamID)).SetResource(w.senderPolicy(*sid.IamID).Resource))
			return err
		},
		"delete": func(w *world) error {
			_, err := w.policies.DeleteV2Policy(w.policies.NewDeleteV2PolicyOptions(*made.ID))
			return err
		},
	}
	stranger, anonymous := w.stranger(), w.as("")
	for name, call := range calls {
		t.Run("a stranger may not "+name, func(t *testing.T) { refused(t, call(stranger), 403, "insufficent_permissions") })
		t.Run("a call without a token may not "+name, func(t *testing.T) { refused(t, call(anonymous), 401, "invalid_token") })
	}
	if list := done(stranger.policies.ListV2Policies(stranger.policies.NewListV2PoliciesOptions(cloud.AccountID)))(t); len(list.Policies) != 0 {
		t.Errorf("a stranger sees %d policies", len(list.Policies))
	}
}

func TestPoliciesGoWithTheirServiceID(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	if _, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID)); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID))
	refused(t, err, 404, "policy_not_found")
}

func TestRolesOfAService(t *testing.T) {
	w := newWorld(t)
	roles := done(w.policies.ListRoles(w.policies.NewListRolesOptions().SetAccountID(cloud.AccountID).SetServiceName("logs").SetPolicyType("access")))(t)
	found := ""
	for _, r := range roles.ServiceRoles {
		if *r.DisplayName == "Sender" {
			found = *r.CRN
		}
	}
	if found != senderRole || len(roles.SystemRoles) != 4 {
		t.Errorf("Sender is %q beside %d system roles", found, len(roles.SystemRoles))
	}
}

func TestConflictMayShowTheIDAlone(t *testing.T) {
	w := newWorld(t)
	n := w.Settings()
	n.Switches.ConflictShowsPolicy = false
	w.Set(n)
	sid := w.newServiceID("s")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	_, _, err := w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID))
	var p *core.HTTPProblem
	if !errors.As(err, &p) {
		t.Fatal(err)
	}
	with := p.Response.Result.(map[string]any)["errors"].([]any)[0].(map[string]any)["details"].(map[string]any)["conflicts_with"].(map[string]any)
	if with["policy"] != *made.ID {
		t.Errorf("conflict with %v", with)
	}
}

func TestConditionsAndTagsAreKept(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	o := w.senderPolicy(*sid.IamID)
	o.SetPattern("time-based-conditions:weekly:custom-hours")
	o.SetRule(&policyv1.V2PolicyRuleRuleWithNestedConditions{Operator: ptr("and"), Conditions: []policyv1.NestedConditionIntf{
		&policyv1.NestedConditionRuleAttribute{Key: ptr("{{environment.attributes.day_of_week}}"), Operator: ptr("dayOfWeekAnyOf"),
			Value: []any{"1+00:00", "2+00:00"}},
		&policyv1.NestedConditionRuleAttribute{Key: ptr("{{environment.attributes.current_time}}"), Operator: ptr("timeGreaterThanOrEquals"), Value: "09:00:00+00:00"},
	}})
	o.Resource.Tags = []policyv1.V2PolicyResourceTag{{Key: ptr("env"), Value: ptr("prod"), Operator: ptr("stringEquals")}}
	made := done(w.policies.CreateV2Policy(o))(t)
	same := func(what string, pattern *string, rule policyv1.V2PolicyRuleIntf, resource *policyv1.V2PolicyResource) {
		t.Helper()
		got, err := json.Marshal([]any{pattern, rule, resource.Tags})
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal([]any{o.Pattern, o.Rule, o.Resource.Tags})
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	same("the answer", made.Pattern, made.Rule, made.Resource)
	got := done(w.policies.GetV2Policy(w.policies.NewGetV2PolicyOptions(*made.ID)))(t)
	same("a get", got.Pattern, got.Rule, got.Resource)
	list := done(w.policies.ListV2Policies(w.policies.NewListV2PoliciesOptions(cloud.AccountID).SetIamID(*sid.IamID)))(t)
	if len(list.Policies) != 1 {
		t.Fatalf("%d policies", len(list.Policies))
	}
	same("a list", list.Policies[0].Pattern, list.Policies[0].Rule, list.Policies[0].Resource)

	// Other conditions make another policy; the same ones a conflict.
	_, _, err := w.policies.CreateV2Policy(o)
	refused(t, err, 409, "policy_conflict_error")
	o.SetRule(&policyv1.V2PolicyRuleRuleAttribute{Key: ptr("{{environment.attributes.day_of_week}}"), Operator: ptr("dayOfWeekEquals"), Value: "3+00:00"})
	done(w.policies.CreateV2Policy(o))(t)
}

func TestRolesAreShownAsTheFormatAsks(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	token := "Bearer " + w.token(w.Ready().APIKey)
	for format, want := range map[string]string{"": "map[role_id:" + senderRole + "]", "include_last_permit": "map[role_id:" + senderRole + "]",
		"display": "map[actions:[map[description:logs.data-ingress.send display_name:logs.data-ingress.send id:logs.data-ingress.send]] " +
			"description:Send logs, but not query them. display_name:Sender role_id:" + senderRole + "]"} {
		_, body := w.raw("GET", "/v2/policies/"+*made.ID+"?format="+format, "", "Authorization", token)
		got := body["control"].(map[string]any)["grant"].(map[string]any)["roles"].([]any)
		if fmt.Sprint(got) != "["+want+"]" {
			t.Errorf("format %q: %v", format, got)
		}
	}
}

func TestAReplacementIsCheckedBeforeTheAccessToWhatItNames(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	made := done(w.policies.CreateV2Policy(w.senderPolicy(*sid.IamID)))(t)
	replace := func(iamID string, resource ...any) error {
		o := w.policies.NewReplaceV2PolicyOptions(*made.ID, "*", grantOf(senderRole), "access").SetSubject(subjectOf(iamID))
		o.SetResource(resourceOf(resource[0].(string), resource[1].(string)))
		_, _, err := w.policies.ReplaceV2Policy(o)
		return err
	}
	refused(t, replace(*sid.IamID, "accountId", cloud.AccountID), 400, "invalid_body") // names no service
	other := w.newServiceID("other")
	w.Cloud().SetServiceIDLocked(*sid.ID, true)
	o := w.policies.NewReplaceV2PolicyOptions(*made.ID, "*", grantOf(senderRole), "access").SetSubject(subjectOf(*other.IamID)).
		SetResource(resourceOf("accountId", cloud.AccountID, "serviceName", "logs"))
	_, _, err := w.policies.ReplaceV2Policy(o)
	refused(t, err, 409, "request_not_processed") // it would take the policy from one that is locked
}
