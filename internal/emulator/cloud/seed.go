package cloud

import (
	"fmt"
	"slices"
	"time"
)

// IDs that are the same in every cloud, so that one configuration works with
// any fresh one. All other IDs come from Options.Seed.
const (
	AccountID       = "5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21"
	OwnerIAMID      = "IBMid-2700000001"
	ownerEmail      = "owner@example.com"
	ResourceGroupID = "0b5a00334eaf9eb9339d2ab48f20d7f5"

	LogsInstanceID     = "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"
	LogsInstanceRegion = "eu-de"
)

// Minter is latchkey's identity in the account.
type Minter struct {
	ServiceID string
	IAMID     string
	APIKeyID  string
	APIKey    string
	ProfileID string // the trusted profile "latchkey", which has the same policies
}

// Owner returns the account's owner. Every action is allowed.
func Owner() Actor { return Actor{IAMID: OwnerIAMID} }

// Minter returns the seeded identity and the value of its key.
func (c *Cloud) Minter() Minter {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.minter
}

// AdminAPIKey returns the value of the owner's key, or "" if there is none.
func (c *Cloud) AdminAPIKey() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.adminKey
}

// Actor returns the minter as an actor.
func (m Minter) Actor() Actor { return Actor{IAMID: m.IAMID} }

// seed fills a new cloud. The seed is 30 days old, so no lag applies to it.
func (c *Cloud) seed(credentials int, admin bool) {
	now := c.now
	settings := c.settings
	defer func() { c.now, c.settings = now, settings }()
	longAgo := now().Add(-30 * 24 * time.Hour)
	c.now, c.settings = func() time.Time { return longAgo }, Settings{}

	c.instances[LogsInstanceID] = LogsInstance{ID: LogsInstanceID, Region: LogsInstanceRegion}
	c.putSecretsInstance(SecretsInstanceID, SecretsInstanceRegion)

	s := c.putServiceID(OwnerIAMID, NewServiceID{Name: "latchkey", Description: "Mints and rotates API keys"})
	k := c.putKey(OwnerIAMID, NewAPIKey{Name: "latchkey", IAMID: s.IAMID})
	profile := c.putProfile(OwnerIAMID, NewProfile{Name: "latchkey"})
	c.minter = Minter{ServiceID: s.ID, IAMID: s.IAMID, APIKeyID: k.ID, APIKey: k.Value, ProfileID: profile.ID}
	for _, iamID := range []string{s.IAMID, profile.IAMID} {
		c.grant(iamID, serviceIdentity, "crn:v1:bluemix:public:iam::::role:Administrator")
		c.grant(iamID, serviceAccess, "crn:v1:bluemix:public:iam::::role:Administrator")
		c.grant(iamID, serviceLogs, "crn:v1:bluemix:public:iam::::role:Administrator", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
		// Editor may create access groups and their members.
		c.grant(iamID, serviceGroups, "crn:v1:bluemix:public:iam::::role:Editor")
		// Editor lets the printed key create a project.
		c.grant(iamID, serviceCodeEngine, "crn:v1:bluemix:public:iam::::role:Editor", "crn:v1:bluemix:public:iam::::serviceRole:Writer")
		c.grant(iamID, serviceSecrets, "crn:v1:bluemix:public:iam::::serviceRole:Writer")
		c.grant(iamID, serviceObjects, "crn:v1:bluemix:public:iam::::role:Administrator", "crn:v1:bluemix:public:iam::::serviceRole:Manager",
			"crn:v1:bluemix:public:cloud-object-storage::::serviceRole:ObjectWriter")
		c.grant(iamID, serviceRegistry, "crn:v1:bluemix:public:iam::::role:Administrator", "crn:v1:bluemix:public:iam::::serviceRole:Manager")
		c.grant(iamID, serviceStreams, "crn:v1:bluemix:public:iam::::role:Administrator", "crn:v1:bluemix:public:iam::::serviceRole:Manager")
		c.grant(iamID, serviceNotifications, "crn:v1:bluemix:public:event-notifications::::serviceRole:Event-Source-Manager")
	}

	teamA := c.putProject(NewProject{Name: "team-a", Region: "eu-de"})
	c.putProject(NewProject{Name: "team-b", Region: "us-south"})
	c.putProject(NewProject{Name: "sandbox", Region: "eu-de"})
	c.putApp(teamA, "shipper", map[string]any{
		"image_reference":   "icr.io/codeengine/helloworld",
		"run_env_variables": []any{map[string]any{"type": "secret_full_reference", "reference": "logs-sender"}},
	})
	c.putApp(teamA, "web", map[string]any{"image_reference": "icr.io/codeengine/helloworld"})
	if admin {
		c.adminKey = c.putKey(OwnerIAMID, NewAPIKey{Name: "admin", IAMID: OwnerIAMID}).Value
		for _, service := range []string{serviceAccess, serviceIdentity} {
			c.grant(OwnerIAMID, service, templateAdministratorOf(service), templateAssignerOf(service))
		}
	}

	c.seeded = credentials
	for i := range credentials {
		c.seedCredential(fmt.Sprintf("seed-%d", i+1))
	}
}

// seedCredential creates what latchkey creates for a credential.
func (c *Cloud) seedCredential(name string) {
	minter := c.minter.Actor()
	s := c.putServiceID(minter.IAMID, NewServiceID{Name: name, Description: "Seeded [latchkey v=1 owner=example credential=" + name + "]"})
	roles := []string{"crn:v1:bluemix:public:logs::::serviceRole:Sender"}
	c.putPolicy(minter, PolicySpec{
		Type: "access", Description: "Seeded [latchkey v=1 owner=example]", Roles: roles,
		Subject: []Attribute{{Key: "iam_id", Operator: "stringEquals", Value: s.IAMID}},
		Resource: []Attribute{
			{Key: "accountId", Operator: "stringEquals", Value: AccountID},
			{Key: "serviceName", Operator: "stringEquals", Value: serviceLogs},
			{Key: "serviceInstance", Operator: "stringEquals", Value: LogsInstanceID},
		},
	}, roles)
	c.putKey(minter.IAMID, NewAPIKey{Name: name, IAMID: s.IAMID, Description: "owner=example credential=" + name})
}

// grant gives roles on all instances of a service without checking policies.
func (c *Cloud) grant(iamID, service string, roles ...string) *policy {
	spec := PolicySpec{
		Type:    "access",
		Subject: []Attribute{{Key: "iam_id", Operator: "stringEquals", Value: iamID}},
		Roles:   roles,
		Resource: []Attribute{
			{Key: "accountId", Operator: "stringEquals", Value: AccountID},
			{Key: "serviceName", Operator: "stringEquals", Value: service},
		},
	}
	return c.putPolicy(Owner(), spec, slices.Sorted(slices.Values(roles)))
}
