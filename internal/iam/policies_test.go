package iam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
)

const (
	senderCRN = "crn:v1:bluemix:public:logs::::serviceRole:Sender"
	viewerCRN = "crn:v1:bluemix:public:iam::::role:Viewer"
)

// by makes a policy as a person would.
func (w *world) by(id port.ServiceID, change func(*cloud.PolicySpec)) {
	w.t.Helper()
	spec := cloud.PolicySpec{Type: "access", Roles: []string{senderCRN},
		Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: id.IAMID}},
		Resource: []cloud.Attribute{
			{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID},
			{Key: "serviceName", Operator: "stringEquals", Value: "logs"}}}
	change(&spec)
	if _, err := w.cloud.Cloud().CreatePolicy(cloud.Owner(), spec); err != nil {
		w.t.Fatal(err)
	}
}

// mayGrant lets us grant roles on a service.
func (w *world) mayGrant(service string) {
	w.cloud.Cloud().Grant(w.cloud.Cloud().Minter().IAMID, service, "crn:v1:bluemix:public:iam::::role:Administrator")
}

func (w *world) granted(id port.ServiceID) (labels []string) {
	w.t.Helper()
	granted, err := w.Granted(w.t.Context(), id.IAMID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range granted {
		labels = append(labels, p.Label())
	}
	slices.Sort(labels)
	return labels
}

func (w *world) policiesOf(id port.ServiceID) (found []cloud.Policy) {
	for _, p := range w.cloud.State(false).Policies {
		if p.Subject[0].Value == id.IAMID {
			found = append(found, p)
		}
	}
	return found
}

func TestAPolicyIsReadInFull(t *testing.T) {
	where := func(pairs ...string) func(*cloud.PolicySpec) {
		return func(s *cloud.PolicySpec) {
			for i := 0; i < len(pairs); i += 3 {
				s.Resource = append(s.Resource, cloud.Attribute{Key: pairs[i], Operator: pairs[i+1], Value: pairs[i+2]})
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*cloud.PolicySpec)
		want   string
	}{
		"a whole service":          {where(), "Sender on logs"},
		"one instance":             {where("serviceInstance", "stringEquals", "7a1c"), "Sender on logs (instance 7a1c)"},
		"one resource group":       {where("resourceGroupId", "stringEquals", "rg"), "Sender on logs (resource group rg)"},
		"several roles":            {func(s *cloud.PolicySpec) { s.Roles = []string{senderCRN, viewerCRN} }, "Sender+Viewer on logs"},
		"one region":               {where("region", "stringEquals", "eu-de"), "Sender on logs (region stringEquals eu-de)"},
		"a pattern of instances":   {where("serviceInstance", "stringMatch", "7a*"), "Sender on logs (serviceInstance stringMatch 7a*)"},
		"a kind of resource":       {where("resourceType", "stringEquals", "x"), "Sender on logs (resource type x)"},
		"one resource":             {where("resourceType", "stringEquals", "x", "resource", "stringEquals", "y"), "Sender on logs (x y)"},
		"a condition":              {func(s *cloud.PolicySpec) { s.Rule = rule; s.Pattern = "time-based-conditions:once" }, "Sender on logs (if environment.attributes.current_date_time dateTimeLessThan 2027-01-01T00:00:00Z)"},
		"a pattern without a rule": {func(s *cloud.PolicySpec) { s.Pattern = "time-based-conditions:once" }, "Sender on logs (pattern time-based-conditions:once)"},
		"a tag":                    {func(s *cloud.PolicySpec) { s.Tags = []cloud.Tag{{Key: "env", Value: "x", Operator: "stringEquals"}} }, "Sender on logs (tag env stringEquals x)"},
		"a grant on no service in particular": {func(s *cloud.PolicySpec) {
			s.Roles = []string{viewerCRN}
			s.Resource[1].Key, s.Resource[1].Value = "serviceType", "service"
		}, "Viewer on all of type service"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.identity("a")
			w.by(id, tc.change)
			if got := strings.Join(w.granted(id), "; "); got != tc.want {
				t.Errorf("granted %q, want %q", got, tc.want)
			}
		})
	}
}

var rule = map[string]any{"key": "{{environment.attributes.current_date_time}}", "operator": "dateTimeLessThan", "value": "2027-01-01T00:00:00Z"}

func TestEveryPageOfPoliciesIsRead(t *testing.T) {
	w := newWorld(t, nil)
	w.switches(func(s *emulator.Settings) { s.Switches.PolicyPageSize = 2 })
	id := w.identity("a")
	for i := range 7 {
		w.by(id, func(s *cloud.PolicySpec) {
			s.Resource = append(s.Resource, cloud.Attribute{Key: "serviceInstance", Operator: "stringEquals", Value: fmt.Sprint("i", i)})
		})
	}
	if got := w.granted(id); len(got) != 7 {
		t.Errorf("granted %v", got)
	}
}

func TestAGrantIsAsNarrowAsTheConfig(t *testing.T) {
	for name, p := range map[string]access.Policy{
		"a service":                    {Service: "logs", Roles: []string{"Sender"}},
		"an instance":                  {Service: "logs", Roles: []string{"Sender"}, Instance: cloud.LogsInstanceID},
		"a resource group":             {Service: "codeengine", Roles: []string{"Writer"}, ResourceGroup: cloud.ResourceGroupID},
		"platform and service roles":   {Service: "logs", Roles: []string{"Sender", "Viewer"}},
		"a platform role of that name": {Service: "codeengine", Roles: []string{"Editor"}},
		"one resource of a type":       {Service: "logs", Roles: []string{"Sender"}, Instance: cloud.LogsInstanceID, ResourceType: "topic", Resource: "orders"},
		"all services of a type":       {ServiceType: "service", Roles: []string{"Viewer"}, ResourceGroup: cloud.ResourceGroupID},
		"attributes with operators": {Service: "logs", Roles: []string{"Sender"}, Attributes: []access.Attribute{
			{Name: "region", Operator: "stringEqualsAnyOf", Values: []string{"eu-de", "us-south"}},
			{Name: "resource", Operator: "stringMatch", Values: []string{"team-*"}},
			{Name: "serviceInstance", Operator: "stringExists", Values: []string{"true"}},
		}},
		"tags": {Service: "logs", Roles: []string{"Sender"}, Tags: []access.Attribute{{Name: "env", Operator: "stringEquals", Values: []string{"prod"}}}},
		"one comparison": {Service: "logs", Roles: []string{"Sender"}, Pattern: "time-based-conditions:once", Rule: &access.Condition{
			Key: "{{environment.attributes.current_date_time}}", Operator: "dateTimeLessThan", Values: []string{"2027-01-01T00:00:00Z"},
		}},
		"weekdays in office hours, or Sundays": {Service: "logs", Roles: []string{"Sender"}, Pattern: "time-based-conditions:weekly:custom-hours", Rule: &access.Condition{
			Operator: "or", Conditions: []access.Condition{
				{Operator: "and", Conditions: []access.Condition{
					{Key: "{{environment.attributes.day_of_week}}", Operator: "dayOfWeekAnyOf", Values: []string{"1+00:00", "2+00:00"}},
					{Key: "{{environment.attributes.current_time}}", Operator: "timeGreaterThanOrEquals", Values: []string{"09:00:00+00:00"}},
				}},
				{Key: "{{environment.attributes.day_of_week}}", Operator: "dayOfWeekEquals", Values: []string{"7+00:00"}},
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.mayGrant("codeengine")
			id := w.identity("a")
			w.by(port.ServiceID{IAMID: w.cloud.Cloud().Minter().IAMID}, func(s *cloud.PolicySpec) {
				s.Roles, s.Resource[1].Key, s.Resource[1].Value = []string{"crn:v1:bluemix:public:iam::::role:Administrator"}, "serviceType", "service"
			})
			if err := w.Grant(t.Context(), id.IAMID, p); err != nil {
				t.Fatal(err)
			}
			if got := w.granted(id); len(got) != 1 || got[0] != p.Label() {
				t.Errorf("granted %v, want %s", got, p.Label())
			}
			if got := w.policiesOf(id)[0].Description; got != "Managed by latchkey [latchkey v=1 owner=test]" {
				t.Errorf("description %q", got)
			}
		})
	}
}

func TestRolesAreListedOncePerService(t *testing.T) {
	w := newWorld(t, nil)
	w.mayGrant("codeengine")
	for _, service := range []string{"logs", "logs", "codeengine", "logs"} {
		if err := w.Grant(t.Context(), w.identity("a").IAMID, access.Policy{Service: service, Roles: []string{"Viewer"}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.cloud.Counter("GET", "/v2/roles"); n != 2 {
		t.Errorf("%d lists of roles", n)
	}
}

func TestRolesThatCannotBeListedHaveTheirDocumentedForm(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.Inject(emulator.Fault{Path: "/v2/roles", Kind: emulator.FaultStatus, Status: 403})
	id := w.identity("a")
	if err := w.Grant(t.Context(), id.IAMID, access.Policy{Service: "logs", Roles: []string{"Sender", "Viewer"}}); err != nil {
		t.Fatal(err)
	}
	if got := w.policiesOf(id)[0].Roles; !slices.Equal(got, []string{senderCRN, viewerCRN}) {
		t.Errorf("roles %v", got)
	}
	if got := roleCRN("secrets-manager", "Secrets Reader"); got != "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader" {
		t.Errorf("CRN %s", got)
	}
}

func TestAPolicyThatIsThereIsWidenedOnlyIfItIsOurs(t *testing.T) {
	for _, whole := range []bool{false, true} { // how the conflict names the policy
		w := newWorld(t, nil)
		w.switches(func(s *emulator.Settings) {
			s.Switches.ConflictComparesRoles, s.Switches.ConflictShowsPolicy = false, whole
		})
		ours, theirs := w.identity("ours"), w.identity("theirs")
		w.by(theirs, func(s *cloud.PolicySpec) { s.Roles = []string{viewerCRN} })
		if err := w.Grant(t.Context(), ours.IAMID, access.Policy{Service: "logs", Roles: []string{"Viewer"}}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []port.ServiceID{ours, theirs} {
			for range 2 {
				if err := w.Grant(t.Context(), id.IAMID, access.Policy{Service: "logs", Roles: []string{"Sender"}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		// Both roles stay: another entry of the config may want the first.
		if got := w.granted(ours); !slices.Equal(got, []string{"Viewer+Sender on logs"}) {
			t.Errorf("ours: %v", got)
		}
		if got := w.granted(theirs); !slices.Equal(got, []string{"Viewer on logs"}) {
			t.Errorf("theirs: %v", got)
		}
		if n := w.cloud.Counter("PUT", "/v2/policies/{id}"); n != 1 {
			t.Errorf("%d replacements", n)
		}
	}
}

func TestAGrantIsVisibleAfterTheLagOfPolicies(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	w.cloud.SetLag(1e10)
	for range 2 { // the second conflicts with one that is not shown yet
		if err := w.Grant(t.Context(), id.IAMID, access.Policy{Service: "logs", Roles: []string{"Sender"}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.granted(id); len(got) != 0 {
		t.Errorf("within the lag: %v", got)
	}
	w.cloud.Advance(1e10)
	if got := w.granted(id); len(got) != 1 {
		t.Errorf("after the lag: %v", got)
	}
}

func TestAGrantThatIsNotMadeSaysWhy(t *testing.T) {
	sender := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	fault := func(f emulator.Fault) func(*world, port.ServiceID) {
		return func(w *world, _ port.ServiceID) { w.cloud.Inject(f) }
	}
	for name, tc := range map[string]struct {
		before func(*world, port.ServiceID)
		policy access.Policy
		want   error
	}{
		"a locked service ID": {func(w *world, id port.ServiceID) { w.cloud.Cloud().SetServiceIDLocked(id.ID, true) }, sender, port.ErrDenied},
		"no right to grant": {func(w *world, _ port.ServiceID) {
			w.cloud.Cloud().Revoke(w.cloud.Cloud().Minter().IAMID, "logs")
		}, sender, port.ErrDenied},
		"a role that does not exist": {func(*world, port.ServiceID) {}, access.Policy{Service: "logs", Roles: []string{"Emperor"}}, port.ErrRefused},
		"a server error":             {fault(emulator.Fault{Path: "/v2/policies", Kind: emulator.FaultStatus, Status: 500}), sender, port.ErrUnavailable},
		"a lost answer":              {fault(emulator.Fault{Path: "/v2/policies", Kind: emulator.FaultLost}), sender, port.ErrUnavailable},
		"roles that can't be listed": {fault(emulator.Fault{Path: "/v2/roles", Kind: emulator.FaultStatus, Status: 503}), sender, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.identity("a")
			tc.before(w, id)
			if err := w.Grant(t.Context(), id.IAMID, tc.policy); !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestNarrowingTakesOnlyWhatWasRead(t *testing.T) {
	const instance = "7a1c"
	ours := access.Policy{Service: "logs", Roles: []string{"Sender", "Viewer"}, Instance: instance}
	for name, tc := range map[string]struct {
		before func(*world, port.ServiceID, *access.Policy)
		keep   []string
		left   string
		err    error
	}{
		"a whole policy":       {func(*world, port.ServiceID, *access.Policy) {}, nil, "", nil},
		"one role of a policy": {func(*world, port.ServiceID, *access.Policy) {}, []string{"Sender"}, "Sender on logs (instance 7a1c)", nil},
		"a policy that is gone": {func(w *world, _ port.ServiceID, p *access.Policy) {
			if err := w.cloud.Cloud().DeletePolicy(cloud.Owner(), p.ID); err != nil {
				w.t.Fatal(err)
			}
		}, nil, "", nil},
		"a policy that was changed since":  {func(_ *world, _ port.ServiceID, p *access.Policy) { p.Instance = "other" }, nil, "Sender+Viewer on logs (instance 7a1c)", port.ErrConflict},
		"a policy with other roles by now": {func(_ *world, _ port.ServiceID, p *access.Policy) { p.Roles = p.Roles[:1] }, nil, "Sender+Viewer on logs (instance 7a1c)", port.ErrConflict},
		"a policy of another owner's": {func(w *world, _ port.ServiceID, p *access.Policy) {
			now, err := w.cloud.Cloud().GetPolicy(cloud.Owner(), p.ID)
			if err != nil {
				w.t.Fatal(err)
			}
			now.Description = "Managed by latchkey [latchkey v=1 owner=another]"
			if _, err := w.cloud.Cloud().ReplacePolicy(cloud.Owner(), p.ID, now.ETag, now.PolicySpec); err != nil {
				w.t.Fatal(err)
			}
		}, nil, "Sender+Viewer on logs (instance 7a1c)", port.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.identity("a")
			if err := w.Grant(t.Context(), id.IAMID, ours); err != nil {
				t.Fatal(err)
			}
			granted, err := w.Granted(t.Context(), id.IAMID)
			if err != nil || len(granted) != 1 || !granted[0].Ours {
				t.Fatal(granted, err)
			}
			p := granted[0]
			tc.before(w, id, &p)
			if err := w.Narrow(t.Context(), id.IAMID, p, tc.keep); !errors.Is(err, tc.err) {
				t.Errorf("got %v, want %v", err, tc.err)
			}
			if got := strings.Join(w.granted(id), "; "); got != tc.left {
				t.Errorf("left %q, want %q", got, tc.left)
			}
		})
	}
}

func TestAPolicyIsOursByItsCreatorAndItsMark(t *testing.T) {
	w := newWorld(t, nil)
	id := w.identity("a")
	mark := "Managed by latchkey " + w.policyMarker()
	w.by(id, func(s *cloud.PolicySpec) { s.Description = mark }) // by the account's owner
	spec := cloud.PolicySpec{Type: "access", Roles: []string{viewerCRN}, Description: "by hand, with latchkey's key",
		Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: id.IAMID}},
		Resource: []cloud.Attribute{{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID}, {Key: "serviceName", Operator: "stringEquals", Value: "logs"},
			{Key: "region", Operator: "stringEquals", Value: "eu-de"}}}
	if _, err := w.cloud.Cloud().CreatePolicy(w.cloud.Cloud().Minter().Actor(), spec); err != nil {
		t.Fatal(err)
	}
	granted, err := w.Granted(t.Context(), id.IAMID)
	if err != nil || len(granted) != 2 {
		t.Fatal(granted, err)
	}
	for _, p := range granted {
		if p.Ours || p.Creator == "" || p.ID == "" || p.Since.IsZero() {
			t.Errorf("%s: ours %v, ID %s, creator %s, since %s", p.Label(), p.Ours, p.ID, p.Creator, p.Since)
		}
	}
}
