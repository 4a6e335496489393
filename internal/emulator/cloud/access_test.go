package cloud_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

const (
	reader  = "crn:v1:bluemix:public:iam::::serviceRole:Reader"
	writer  = "crn:v1:bluemix:public:iam::::serviceRole:Writer"
	manager = "crn:v1:bluemix:public:iam::::serviceRole:Manager"
	viewer  = "crn:v1:bluemix:public:iam::::role:Viewer"
	admin   = "crn:v1:bluemix:public:iam::::role:Administrator"
)

func status(err error) int {
	var e *cloud.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// TestScopeOfAPolicy tries each policy on the secrets of team-a (eu-de) and
// team-b (us-south).
func TestScopeOfAPolicy(t *testing.T) {
	where := func(pairs ...any) []cloud.Attribute {
		out := []cloud.Attribute{{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID}}
		for i := 0; i < len(pairs); i += 3 {
			out = append(out, cloud.Attribute{Key: pairs[i].(string), Operator: pairs[i+1].(string), Value: pairs[i+2]})
		}
		return out
	}
	probe := newCloud()
	teamA := probe.State(false).Projects[0].ID
	service := []any{"serviceName", "stringEquals", "codeengine"}
	for name, test := range map[string]struct {
		role     string
		resource []cloud.Attribute
		want     string // statuses of reading in team-a, writing in team-a, reading in team-b
	}{
		"a reader reads everywhere":                  {reader, where(service...), "0 403 0"},
		"a writer reads, too":                        {writer, where(service...), "0 0 0"},
		"a manager writes, too":                      {manager, where(service...), "0 0 0"},
		"a viewer sees no secrets":                   {viewer, where(service...), "403 403 403"},
		"an administrator is no reader":              {admin, where(service...), "403 403 403"},
		"an instance is one project":                 {writer, where(append(service, "serviceInstance", "stringEquals", teamA)...), "0 0 403"},
		"a region is that of the project":            {writer, where(append(service, "region", "stringEquals", "us-south")...), "403 403 0"},
		"the resource group is the default one":      {reader, where("resourceGroupId", "stringEquals", cloud.ResourceGroupID), "0 403 0"},
		"another resource group does not apply":      {reader, where("resourceGroupId", "stringEquals", "other"), "403 403 403"},
		"all services that take policies are meant":  {reader, where("serviceType", "stringEquals", "service"), "0 403 0"},
		"account management is something else":       {reader, where("serviceType", "stringEquals", "platform_service"), "403 403 403"},
		"a pattern matches":                          {reader, where("serviceName", "stringMatch", "code*"), "0 403 0"},
		"one of several values matches":              {reader, where(append(service, "region", "stringEqualsAnyOf", []any{"eu-de", "eu-gb"})...), "0 403 403"},
		"an attribute that is unknown never applies": {reader, where(append(service, "moonPhase", "stringEquals", "full")...), "403 403 403"},
		"one of several patterns matches":            {reader, where("serviceName", "stringMatchAnyOf", []any{"c?de*", "logs"}), "0 403 0"},
		"a project must exist for an attribute":      {reader, where(append(service, "region", "stringExists", true)...), "0 403 0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud()
			projects := c.State(false).Projects
			for _, p := range projects {
				c.PutSecret(p.ID, "s", nil)
			}
			sid, _ := c.AddIdentity("x")
			_, err := c.CreatePolicy(cloud.Owner(), cloud.PolicySpec{Type: "access", Roles: []string{test.role}, Resource: test.resource,
				Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: sid.IAMID}}})
			if err != nil {
				t.Fatal(err)
			}
			a := cloud.Actor{IAMID: sid.IAMID}
			_, read := c.GetSecret(a, projects[0].ID, "s")
			_, write := c.ReplaceSecret(a, projects[0].ID, "s", "*", cloud.NewSecret{Format: "generic"})
			_, other := c.GetSecret(a, projects[1].ID, "s")
			if got := fmt.Sprint(status(read), status(write), status(other)); got != test.want {
				t.Errorf("statuses %s, want %s", got, test.want)
			}
		})
	}
}

func TestAdministratorOfOneServiceID(t *testing.T) {
	c := newCloud()
	mine, _ := c.AddIdentity("mine")
	foreign, _ := c.AddIdentity("foreign")
	sid, _ := c.AddIdentity("x")
	a := cloud.Actor{IAMID: sid.IAMID}
	_, err := c.CreatePolicy(cloud.Owner(), cloud.PolicySpec{Type: "access", Roles: []string{admin},
		Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: sid.IAMID}},
		Resource: []cloud.Attribute{
			{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID},
			{Key: "serviceName", Operator: "stringEquals", Value: "iam-identity"},
			{Key: "resourceType", Operator: "stringEquals", Value: "serviceid"},
			{Key: "resource", Operator: "stringEquals", Value: mine.ID},
		}})
	if err != nil {
		t.Fatal(err)
	}
	create := func(s cloud.ServiceID) int {
		_, err := c.CreateAPIKey(a, cloud.NewAPIKey{Name: "k", IAMID: s.IAMID})
		return status(err)
	}
	list := func(s cloud.ServiceID) int {
		_, err := c.ListAPIKeys(a, cloud.APIKeyQuery{IAMID: s.IAMID})
		return status(err)
	}
	_, all := c.ListServiceIDs(a, cloud.ServiceIDQuery{AccountID: cloud.AccountID})
	if got := fmt.Sprint(create(mine), list(mine), create(foreign), list(foreign), status(all)); got != "0 0 403 403 403" {
		t.Errorf("statuses %s", got)
	}
}

func TestKeysOfUsers(t *testing.T) {
	c := newCloud()
	k, err := c.CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "mine", IAMID: cloud.OwnerIAMID})
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.ExchangeAPIKey(k.Value)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := c.Authenticate(token.AccessToken); err != nil || a != cloud.Owner() {
		t.Errorf("acting as %v, %v", a, err)
	}
	_, err = c.CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "stored", IAMID: cloud.OwnerIAMID, StoreValue: true})
	if status(err) != 400 {
		t.Errorf("a stored value of a user: %v", err)
	}
	if err := c.DeleteAPIKey(c.Minter().Actor(), k.ID); status(err) != 403 {
		t.Errorf("a service ID deletes a user's key: %v", err)
	}
	page, err := c.ListAPIKeys(c.Minter().Actor(), cloud.APIKeyQuery{AccountID: cloud.AccountID, Scope: "account", Type: "user"})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != k.ID {
		t.Errorf("keys of users %v, %v", page.Items, err)
	}
}

func TestChangesInTheConsole(t *testing.T) {
	c := newCloud()
	s, k := c.AddIdentity("consumer")
	p := c.AddProject("team-c", "eu-de")
	usable := func() bool { _, err := c.ExchangeAPIKey(k.Value); return err == nil }
	key := func() cloud.APIKey { out, _ := c.State(true).Key(k.ID); return out }

	c.SetKeyDisabled(k.ID, true)
	if usable() {
		t.Error("disabled, but it authenticates")
	}
	c.SetKeyDisabled(k.ID, false)
	c.SetKeyExpiry(k.ID, start.AddDate(0, 0, -1))
	if usable() {
		t.Error("expired, but it authenticates")
	}
	tag := key().EntityTag
	c.SetKeyExpiry(k.ID, start.AddDate(0, 0, 1))
	c.SetKeyLocked(k.ID, true)
	c.SetKeyDescription(k.ID, "edited")
	if got := key(); !usable() || !got.Locked || got.Description != "edited" || got.EntityTag == tag {
		t.Errorf("key %+v", got)
	}
	if err := c.DeleteAPIKey(cloud.Owner(), k.ID); status(err) != 409 {
		t.Errorf("deleting a locked key: %v", err)
	}
	c.RemoveKey(k.ID)
	if usable() || key().ID != "" {
		t.Error("the removed key is there")
	}

	first := c.PutSecret(p.ID, "s", map[string]string{"a": "1"})
	second := c.PutSecret(p.ID, "s", map[string]string{"a": "2"})
	if first.EntityTag == second.EntityTag || first.ID != second.ID || second.Data["a"] != "2" {
		t.Errorf("secret %+v, then %+v", first, second)
	}
	c.RemoveSecret(p.ID, "s")
	c.RemoveSecret(p.ID, "s")
	if app := c.AddApp(p.ID, "app", map[string]any{"image_port": 1}); app.Revision() != "app-00001" {
		t.Errorf("app %+v", app)
	}
	policy := c.Grant(s.IAMID, "codeengine", reader)
	if _, err := c.GetApp(cloud.Actor{IAMID: s.IAMID}, p.ID, "app"); err != nil {
		t.Error(err)
	}
	c.RemovePolicy(policy.ID)
	if _, err := c.GetApp(cloud.Actor{IAMID: s.IAMID}, p.ID, "app"); status(err) != 403 {
		t.Errorf("without the policy: %v", err)
	}
	c.RemoveProject(p.ID)
	if got, _ := c.GetProject(cloud.Owner(), p.ID, ""); got.Status != "soft_deleted" {
		t.Errorf("status %s", got.Status)
	}
	if other := c.AddProfile("other"); other.IAMID == "" {
		t.Error("a profile without IAM ID")
	} else if _, err := c.ExchangeCRToken(c.IssueCRToken("x"), "other", ""); err != nil {
		t.Error(err)
	}
	c.RemoveServiceID(s.ID)
	if _, err := c.GetServiceID(cloud.Owner(), s.ID, false); status(err) != 404 {
		t.Errorf("the removed service ID: %v", err)
	}
}

func TestOrders(t *testing.T) {
	c := newCloud()
	for _, name := range []string{"b", "c", "a"} {
		s := c.AddServiceID(cloud.NewServiceID{Name: name, Description: name})
		c.AddAPIKey(cloud.NewAPIKey{Name: name, Description: name, IAMID: s.IAMID})
	}
	names := func(sort, order string) string {
		t.Helper()
		q := cloud.ServiceIDQuery{AccountID: cloud.AccountID, Sort: sort, Order: order, Filter: `name ne "latchkey"`}
		sids, err := c.ListServiceIDs(cloud.Owner(), q)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, s := range sids.Items {
			out += s.Name
		}
		return out
	}
	for _, test := range []struct{ sort, order, want string }{
		{"", "", "bca"}, {"", "desc", "acb"}, {"name", "", "abc"}, {"name", "desc", "cba"}, {"description", "", "abc"},
		{"created_at", "", "bca"}, {"modified_at", "asc", "bca"},
	} {
		if got := names(test.sort, test.order); got != test.want {
			t.Errorf("service IDs by %q %q: %s, want %s", test.sort, test.order, got, test.want)
		}
	}
	for _, sort := range []string{"name", "description"} {
		page, err := c.ListAPIKeys(cloud.Owner(), cloud.APIKeyQuery{AccountID: cloud.AccountID, Scope: "account", Sort: sort, Filter: `description sw "a" and name ew "a"`})
		if err != nil || len(page.Items) != 1 || page.Items[0].Name != "a" {
			t.Errorf("keys by %s: %v, %v", sort, page.Items, err)
		}
	}
	for _, sort := range []string{"id", "type", "created_at", "created_by_id", "last_modified_at", "last_modified_by_id", "-state"} {
		if page, err := c.ListPolicies(cloud.Owner(), cloud.PolicyQuery{AccountID: cloud.AccountID, Sort: sort}); err != nil || len(page.Items) != 20 {
			t.Errorf("policies by %s: %d, %v", sort, len(page.Items), err)
		}
	}
	if _, err := c.ListPolicies(cloud.Owner(), cloud.PolicyQuery{AccountID: cloud.AccountID, Sort: "colour"}); status(err) != 400 {
		t.Errorf("policies by colour: %v", err)
	}
}

func TestManyDeletionsLeaveTheListsWhole(t *testing.T) {
	c := newCloud()
	var keep []string
	for i := range 500 {
		s, _ := c.AddIdentity("x")
		if i%5 == 0 {
			keep = append(keep, s.ID)
		} else {
			c.RemoveServiceID(s.ID)
		}
	}
	s := c.State(false)
	if len(s.ServiceIDs) != 101 || len(s.APIKeys) != 101 || s.ServiceIDs[100].ID != keep[99] {
		t.Errorf("%d service IDs and %d keys", len(s.ServiceIDs), len(s.APIKeys))
	}
	page, err := c.ListServiceIDs(cloud.Owner(), cloud.ServiceIDQuery{AccountID: cloud.AccountID, Name: "x", PageSize: 100})
	if err != nil || len(page.Items) != 100 || page.Next != "" {
		t.Errorf("page of %d, %v", len(page.Items), err)
	}
}

// TestAResourceGroupBoundsAPolicy has one project in the default group and one
// in another.
func TestAResourceGroupBoundsAPolicy(t *testing.T) {
	c := newCloud()
	inside := c.State(false).Projects[0].ID
	made, err := c.CreateProject(cloud.Owner(), cloud.NewProject{Name: "elsewhere", ResourceGroupID: "b91e849cedb04e7e92bd68c040c672dc"})
	if err != nil {
		t.Fatal(err)
	}
	within := func(service, role string) cloud.PolicySpec {
		sid, _ := c.AddIdentity("x")
		spec := cloud.PolicySpec{Type: "access", Roles: []string{role},
			Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: sid.IAMID}},
			Resource: []cloud.Attribute{
				{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID},
				{Key: "resourceGroupId", Operator: "stringEquals", Value: cloud.ResourceGroupID},
			}}
		if service != "" {
			spec.Resource = append(spec.Resource, cloud.Attribute{Key: "serviceName", Operator: "stringEquals", Value: service})
		}
		if _, err := c.CreatePolicy(cloud.Owner(), spec); err != nil {
			t.Fatal(err)
		}
		return spec
	}
	actor := func(spec cloud.PolicySpec) cloud.Actor { return cloud.Actor{IAMID: spec.Subject[0].Value.(string)} }

	look := actor(within("codeengine", viewer))
	if _, err := c.GetProject(look, inside, ""); err != nil {
		t.Errorf("a project of the group: %v", err)
	}
	if _, err := c.GetProject(look, made.ID, ""); status(err) != 403 {
		t.Errorf("a project of another group: %v", err)
	}
	// Identities are in no resource group.
	if _, err := c.ListServiceIDs(actor(within("", admin)), cloud.ServiceIDQuery{AccountID: cloud.AccountID}); status(err) != 403 {
		t.Errorf("service IDs: %v", err)
	}
	// An administrator of a group grants no access beyond it.
	grantor := within("logs", admin)
	grant := cloud.PolicySpec{Type: "access", Roles: []string{viewer}, Subject: grantor.Subject, Resource: []cloud.Attribute{
		grantor.Resource[0], {Key: "serviceName", Operator: "stringEquals", Value: "logs"},
	}}
	if _, err := c.CreatePolicy(actor(grantor), grant); status(err) != 403 {
		t.Errorf("a policy beyond the group: %v", err)
	}
	grant.Resource = append(grant.Resource, cloud.Attribute{Key: "serviceInstance", Operator: "stringEquals", Value: cloud.LogsInstanceID})
	if _, err := c.CreatePolicy(actor(grantor), grant); err != nil {
		t.Errorf("a policy on an instance of the group: %v", err)
	}
}
