package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
)

// role returns the CRN of a role on a service.
func role(t *testing.T, name, service string) string {
	t.Helper()
	for _, crn := range []string{
		"crn:v1:bluemix:public:iam::::role:" + name, "crn:v1:bluemix:public:iam::::serviceRole:" + name,
		"crn:v1:bluemix:public:" + service + "::::serviceRole:" + name,
	} {
		if _, ok := cloud.RoleOf(crn, service); ok {
			return crn
		}
	}
	t.Fatalf("there is no role %s on %s", name, service)
	return ""
}

// policy is "Role+Role key=value key=value"; a key without a dot is an attribute
// of the resource.
func (s *stage) policy(subject, text string) {
	s.t.Helper()
	names, attributes, _ := strings.Cut(text, " ")
	spec := cloud.PolicySpec{Type: "access", Resource: []cloud.Attribute{{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID}}}
	service := ""
	for _, pair := range strings.Fields(attributes) {
		key, value, _ := strings.Cut(pair, "=")
		if key == "serviceName" || value == "IAM" {
			service = strings.Replace(value, "IAM", "iam-identity", 1)
		}
		spec.Resource = append(spec.Resource, cloud.Attribute{Key: key, Operator: "stringEquals", Value: value})
	}
	for _, name := range strings.Split(names, "+") {
		spec.Roles = append(spec.Roles, role(s.t, name, service))
	}
	key := "iam_id"
	if strings.HasPrefix(subject, "AccessGroupId-") {
		key = "access_group_id"
	}
	spec.Subject = []cloud.Attribute{{Key: key, Operator: "stringEquals", Value: subject}}
	if _, err := s.cloud.Cloud().CreatePolicy(cloud.Owner(), spec); err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
}

// minter adds a service ID with these policies, and returns its key. Policies
// after "group" are those of an access group that it is a member of.
func (s *stage) minter(policies ...string) (iamID, key string) {
	s.t.Helper()
	c := s.cloud.Cloud()
	id, k := c.AddIdentity("another-minter")
	subject := id.IAMID
	for _, p := range policies {
		if p == "group" {
			g, err := c.CreateGroup(cloud.Owner(), cloud.AccountID, "minters", "")
			if err != nil {
				s.t.Fatal(err)
			}
			if _, err := c.AddMember(cloud.Owner(), g.ID, id.IAMID, "service"); err != nil {
				s.t.Fatal(err)
			}
			subject = g.ID
			continue
		}
		s.policy(subject, p)
	}
	for _, one := range s.cloud.State(true).APIKeys {
		if one.ID == k.ID {
			return id.IAMID, one.Value
		}
	}
	s.t.Fatal("the key has no value")
	return "", ""
}

// as runs latchkey with a key, and returns its exit code and output.
func (s *stage) as(key, config string, args ...string) (int, string) {
	s.t.Helper()
	all := map[string]string{"LATCHKEY_ENDPOINT": s.cloud.URL(), "IBMCLOUD_API_KEY": key, "LATCHKEY_CONFIG": config, "EVENTS_TOKEN": testToken}
	var out bytes.Buffer
	code := run(context.Background(), args, func(name string) string { return all[name] }, nil, io.MultiWriter(&out, s.said), s.said)
	return code, out.String()
}

// sweepsAs sweeps until a first key was published, replaced and deleted. It returns
// the exit code and output of the last sweep: the first that fails.
func (s *stage) sweepsAs(key, config string) (code int, outcomes string) {
	s.t.Helper()
	for _, later := range []time.Duration{0, 61 * 24 * time.Hour, 25 * time.Hour, time.Hour} {
		s.cloud.Advance(later)
		if code, outcomes = s.as(key, config, "sweep"); code != cli.ExitOK {
			break
		}
	}
	return code, outcomes
}

// What a minter of the example needs besides roles on IAM Identity.
const (
	grantsLogs  = "Administrator+Sender serviceName=logs"
	writesCode  = "Viewer+Writer serviceName=codeengine"
	seesGroups  = "Viewer serviceName=iam-groups"
	seesAccess  = "Viewer serviceName=iam-access-management"
	logsForOne  = "Administrator+Sender serviceName=logs serviceInstance=" + cloud.LogsInstanceID
	allIdentity = "Administrator serviceName=iam-identity"
)

func TestASweepWorksExactlyWhenTheDoctorFindsNoFailure(t *testing.T) {
	team := func(s *stage, name string) string {
		for _, p := range s.cloud.Ready().Projects {
			if p.Name == name {
				return p.ID
			}
		}
		return ""
	}
	// The service IDs of both projects, which latchkey created when it logged in as
	// the owner.
	earlier := examples.Emulator + "\nidentity: {formerly: [" + cloud.OwnerIAMID + "]}\n"
	foreign := func(s *stage) {
		for _, name := range []string{"team-a", "team-b"} {
			m := marker.Marker{Owner: "example", Credential: "logs-sender/" + team(s, name)}
			s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "logs-sender-" + name, AccountID: cloud.AccountID, Description: m.Text()})
		}
	}
	inSecretsManager := strings.Replace(holesHead, "regions: [eu-de, us-south]\n", "", 1) + "- name: c\n  serviceID: {name: c, policies: [{service: logs, roles: [Sender]}]}\n  stores:\n" +
		"  - secretsManager: {instance: " + cloud.SecretsInstanceID + ", region: " + cloud.SecretsInstanceRegion + ", name: sender, type: arbitrary}\n"
	inAGroup := holesHead + strings.Replace(static("c", place1), "policies: [{service: logs, roles: [Sender]}]", "accessGroups: [senders]", 1)
	senders := func(s *stage) {
		if _, err := s.cloud.Cloud().CreateGroup(cloud.Owner(), cloud.AccountID, "senders", ""); err != nil {
			s.t.Fatal(err)
		}
	}
	restrict := func(s *stage) {
		restricted := cloud.Restricted
		if _, err := s.cloud.Cloud().ChangeAccount(cloud.AccountSettingsChange{RestrictCreateServiceID: &restricted}); err != nil {
			s.t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		config   string // the example, if empty
		before   func(s *stage)
		policies []string
		works    bool
		fix      []string // each of a FAIL line
		unknown  bool     // the doctor can't see everything
	}{
		"an access group": {
			policies: []string{"group", allIdentity, grantsLogs, writesCode, seesGroups, seesAccess}, works: true,
		},
		"an access group whose policies are hidden": {
			policies: []string{"group", "Operator+Editor serviceName=iam-identity", grantsLogs, writesCode}, works: true, unknown: true,
		},
		"all account management services": {
			policies: []string{"Administrator serviceType=platform_service", grantsLogs, writesCode}, works: true,
		},
		"all IAM account management services": {
			policies: []string{"Administrator service_group_id=IAM", grantsLogs, writesCode}, works: true,
		},
		"Operator and Editor on IAM Identity": {
			policies: []string{"Operator+Editor serviceName=iam-identity", grantsLogs, writesCode, seesGroups}, works: true,
		},
		"Operator on IAM Identity": {
			policies: []string{"Operator serviceName=iam-identity", grantsLogs, writesCode, seesGroups}, works: true,
		},
		"Editor on IAM Identity": {
			policies: []string{"Editor serviceName=iam-identity", grantsLogs, writesCode, seesGroups}, works: true,
		},
		"a Viewer who may create service IDs": {
			policies: []string{"Viewer+ServiceIdCreator serviceName=iam-identity", grantsLogs, writesCode, seesGroups}, works: true,
		},
		"an Administrator who may not create service IDs, since the account restricts it": {
			before:   restrict,
			policies: []string{allIdentity, grantsLogs, writesCode, seesGroups},
			fix:      []string{`--roles "Service ID creator" --service-name iam-identity`},
		},
		"a creator of service IDs, which the account restricts": {
			before:   restrict,
			policies: []string{"Viewer+ServiceIdCreator serviceName=iam-identity", grantsLogs, writesCode, seesGroups}, works: true,
		},
		"a Viewer": {
			policies: []string{"Viewer serviceName=iam-identity", grantsLogs, writesCode, seesGroups},
			fix:      []string{`--roles "Service ID creator" --service-name iam-identity`},
		},
		"no role on IAM Identity": {
			policies: []string{grantsLogs, writesCode, seesGroups},
			fix:      []string{`--roles "Viewer,Service ID creator" --service-name iam-identity`},
		},
		"a resource group of IAM Identity, which has none": {
			policies: []string{"Administrator serviceName=iam-identity resourceGroupId=" + cloud.ResourceGroupID, grantsLogs, writesCode, seesGroups},
			fix:      []string{`--roles "Viewer,Service ID creator" --service-name iam-identity`},
		},
		"Operator and Editor for the service IDs of others": {
			config:   earlier,
			before:   foreign,
			policies: []string{"Operator+Editor serviceName=iam-identity", "Administrator serviceName=iam-access-management", grantsLogs, writesCode, seesGroups},
			works:    true,
		},
		"Operator without Editor for the service IDs of others": {
			config:   earlier,
			before:   foreign,
			policies: []string{"Operator serviceName=iam-identity", "Administrator serviceName=iam-access-management", grantsLogs, writesCode, seesGroups},
			fix:      []string{"--roles Editor --service-name iam-identity --resource-type serviceid --resource ServiceId-"},
		},
		"Editor without Operator for the service IDs of others": {
			config:   earlier,
			before:   foreign,
			policies: []string{"Editor serviceName=iam-identity", "Administrator serviceName=iam-access-management", grantsLogs, writesCode, seesGroups},
			fix:      []string{"--roles Operator --service-name iam-identity --resource-type serviceid --resource ServiceId-"},
		},
		"Operator and Editor who grant to the service IDs of others": {
			config:   earlier,
			before:   foreign,
			policies: []string{"Operator+Editor serviceName=iam-identity", grantsLogs, writesCode, seesGroups}, works: true, unknown: true,
		},
		"the one instance that is granted": {
			policies: []string{allIdentity, logsForOne, writesCode, seesGroups}, works: true,
		},
		"all other services, without the role to be granted": {
			policies: []string{allIdentity, "Administrator+Manager serviceType=service", seesGroups},
			fix:      []string{"--roles Sender --service-name logs --service-instance " + cloud.LogsInstanceID},
		},
		"Administrator missing to grant": {
			policies: []string{allIdentity, "Sender serviceName=logs", writesCode, seesGroups},
			fix:      []string{"--roles Administrator --service-name logs --service-instance " + cloud.LogsInstanceID},
		},
		"the role to be granted on another instance": {
			policies: []string{allIdentity, "Administrator serviceName=logs", "Sender serviceName=logs serviceInstance=another", writesCode, seesGroups},
			fix:      []string{"--roles Sender --service-name logs --service-instance " + cloud.LogsInstanceID},
		},
		"the role to be granted missing in the access group": {
			policies: []string{"group", allIdentity, "Administrator serviceName=logs", writesCode, seesGroups, seesAccess},
			fix:      []string{"--roles Sender --service-name logs --service-instance " + cloud.LogsInstanceID},
		},
		"Writer on Code Engine, which sees projects": {
			policies: []string{allIdentity, grantsLogs, "Writer serviceName=codeengine", seesGroups}, works: true,
		},
		"Viewer on Code Engine": {
			policies: []string{allIdentity, grantsLogs, "Viewer serviceName=codeengine", seesGroups}, unknown: true, // the quotas
			fix: []string{"--roles Writer --service-name codeengine"},
		},
		"Writer on the projects of one region": {
			policies: []string{allIdentity, grantsLogs, "Viewer serviceName=codeengine", "Writer serviceName=codeengine region=eu-de", seesGroups}, unknown: true,
			fix: []string{"--roles Writer --service-name codeengine --service-instance "},
		},
		"Writer on Secrets Manager": {
			config:   inSecretsManager,
			policies: []string{allIdentity, grantsLogs, "Writer serviceName=secrets-manager serviceInstance=" + cloud.SecretsInstanceID, seesGroups}, works: true,
		},
		"Writer on the secret group": {
			config:   inSecretsManager,
			policies: []string{allIdentity, grantsLogs, "Writer serviceName=secrets-manager resourceType=secret-group resource=default", seesGroups}, works: true,
		},
		"Writer on another secret group": {
			config:   inSecretsManager,
			policies: []string{allIdentity, grantsLogs, "Writer serviceName=secrets-manager resourceType=secret-group resource=another", seesGroups},
			fix: []string{"--roles Writer --service-name secrets-manager --service-instance " + cloud.SecretsInstanceID +
				" --resource-type secret-group --resource default"},
		},
		"SecretsReader on Secrets Manager": {
			config:   inSecretsManager,
			policies: []string{allIdentity, grantsLogs, "SecretsReader serviceName=secrets-manager", seesGroups},
			fix:      []string{"--roles Writer --service-name secrets-manager --service-instance " + cloud.SecretsInstanceID},
		},
		"Editor on access groups": {
			config: inAGroup, before: senders,
			policies: []string{allIdentity, writesCode, "Editor serviceName=iam-groups"}, works: true,
		},
		"Viewer on access groups": {
			config: inAGroup, before: senders,
			policies: []string{allIdentity, writesCode, seesGroups},
			fix:      []string{"--roles Editor --service-name iam-groups"},
		},
		"everything in the resource group": {
			policies: []string{allIdentity, grantsLogs, "Viewer+Writer resourceGroupId=" + cloud.ResourceGroupID, seesGroups}, works: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, emulator.Options{})
			if tc.before != nil {
				tc.before(s)
			}
			config := cmp.Or(tc.config, examples.Emulator)
			_, key := s.minter(tc.policies...)
			doctored, list := s.as(key, config, "doctor")
			swept, outcomes := s.sweepsAs(key, config)
			if (swept == cli.ExitOK) != tc.works {
				t.Errorf("the sweep exits with %d:\n%s", swept, outcomes)
			}
			if (doctored == cli.ExitOK) != tc.works || strings.Contains(list, "FAIL") == tc.works {
				t.Errorf("the doctor exits with %d", doctored)
			}
			if strings.Contains(list, "????") != tc.unknown {
				t.Errorf("something is unknown, want %t", tc.unknown)
			}
			for _, fix := range tc.fix {
				if !strings.Contains(list, "      fix: ibmcloud iam service-policy-create ServiceId-") || !strings.Contains(list, fix) {
					t.Errorf("the list has no fix with %s", fix)
				}
			}
			if t.Failed() {
				t.Log(list)
			}
		})
	}
}
