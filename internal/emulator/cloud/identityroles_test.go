package cloud_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

const (
	operator  = "crn:v1:bluemix:public:iam::::role:Operator"
	editor    = "crn:v1:bluemix:public:iam::::role:Editor"
	idCreator = "crn:v1:bluemix:public:iam-identity::::serviceRole:ServiceIdCreator"
)

func equals(pairs ...string) []cloud.Attribute {
	out := []cloud.Attribute{{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID}}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, cloud.Attribute{Key: pairs[i], Operator: "stringEquals", Value: pairs[i+1]})
	}
	return out
}

func give(t *testing.T, c *cloud.Cloud, subject string, resource []cloud.Attribute, roles ...string) {
	t.Helper()
	key := "iam_id"
	if strings.HasPrefix(subject, "AccessGroupId-") {
		key = "access_group_id"
	}
	_, err := c.CreatePolicy(cloud.Owner(), cloud.PolicySpec{Type: "access", Roles: roles, Resource: resource,
		Subject: []cloud.Attribute{{Key: key, Operator: "stringEquals", Value: subject}}})
	if err != nil {
		t.Fatal(err)
	}
}

// tries performs every action on the service ID of another and on its key, and
// returns those that are allowed.
func tries(c *cloud.Cloud, a cloud.Actor) string {
	s, k := c.AddIdentity("another's")
	name := "renamed"
	logs := cloud.PolicySpec{Type: "access", Roles: []string{viewer}, Resource: equals("serviceName", "logs"),
		Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: s.IAMID}}}
	var allowed []string
	for _, action := range []struct {
		name string
		do   func() error
	}{
		{"view", func() error { _, err := c.GetServiceID(a, s.ID, false); return err }},
		{"view-key", func() error { _, err := c.GetAPIKey(a, k.ID, false); return err }},
		{"create", func() error {
			_, err := c.CreateServiceID(a, cloud.NewServiceID{AccountID: cloud.AccountID, Name: "n"})
			return err
		}},
		{"create-key", func() error { _, err := c.CreateAPIKey(a, cloud.NewAPIKey{Name: "n", IAMID: s.IAMID}); return err }},
		{"update", func() error {
			_, err := c.UpdateServiceID(a, s.ID, "*", cloud.ServiceIDChange{Name: &name})
			return err
		}},
		{"update-key", func() error { _, err := c.UpdateAPIKey(a, k.ID, "*", cloud.APIKeyChange{Name: &name}); return err }},
		{"disable-key", func() error { return c.DisableAPIKey(a, k.ID, false) }},
		{"lock", func() error { return c.LockServiceID(a, s.ID, false) }},
		{"policy", func() error { _, err := c.CreatePolicy(a, logs); return err }},
		{"delete-key", func() error { return c.DeleteAPIKey(a, k.ID) }},
		{"delete", func() error { return c.DeleteServiceID(a, s.ID) }},
	} {
		if action.do() == nil {
			allowed = append(allowed, action.name)
		}
	}
	return strings.Join(allowed, " ")
}

const everything = "view view-key create create-key update update-key disable-key lock delete-key delete"

func TestRolesOnIAMIdentity(t *testing.T) {
	identity := equals("serviceName", "iam-identity")
	for name, test := range map[string]struct {
		roles    []string
		resource []cloud.Attribute
		want     string
	}{
		"a Viewer views":                             {[]string{viewer}, identity, "view view-key"},
		"an Operator creates and deletes":            {[]string{operator}, identity, "view view-key create create-key delete-key delete"},
		"an Editor creates, updates and locks":       {[]string{editor}, identity, "view view-key create create-key update update-key disable-key lock"},
		"Operator and Editor together do all of it":  {[]string{operator, editor}, identity, everything},
		"an Administrator does all of it":            {[]string{admin}, identity, everything},
		"a Service ID creator creates":               {[]string{idCreator}, identity, "create"},
		"a Manager may nothing":                      {[]string{manager}, identity, ""},
		"all account management services include it": {[]string{admin}, equals("serviceType", "platform_service"), everything},
		"the service group IAM includes it":          {[]string{admin}, equals("service_group_id", "IAM"), everything},
		"a role of its own works on the group, too":  {[]string{idCreator}, equals("service_group_id", "IAM"), "create"},
		"all other services do not":                  {[]string{admin}, equals("serviceType", "service"), "policy"},
		"a resource group grants nothing":            {[]string{admin}, equals("serviceName", "iam-identity", "resourceGroupId", cloud.ResourceGroupID), ""},
	} {
		for _, throughGroup := range []bool{false, true} {
			t.Run(fmt.Sprint(name, map[bool]string{true: " through an access group"}[throughGroup]), func(t *testing.T) {
				c := newCloud()
				s, _ := c.AddIdentity("x")
				subject := s.IAMID
				if throughGroup {
					g, err := c.CreateGroup(cloud.Owner(), cloud.AccountID, "g", "")
					if err != nil {
						t.Fatal(err)
					}
					if _, err := c.AddMember(cloud.Owner(), g.ID, s.IAMID, "service"); err != nil {
						t.Fatal(err)
					}
					subject = g.ID
				}
				give(t, c, subject, test.resource, test.roles...)
				if got := tries(c, cloud.Actor{IAMID: s.IAMID}); got != test.want {
					t.Errorf("may %q, want %q", got, test.want)
				}
			})
		}
	}
}

func TestOnePageGivesKeysToAdministratorsOnly(t *testing.T) {
	c := newCloud()
	n := c.Switches()
	n.KeysNeedAdministrator = true
	c.SetSwitches(n)
	s, _ := c.AddIdentity("x")
	give(t, c, s.IAMID, equals("serviceName", "iam-identity"), operator, editor)
	if got := tries(c, cloud.Actor{IAMID: s.IAMID}); got != "view view-key create update lock delete" {
		t.Errorf("may %q", got)
	}
}

// TestWhoCreatesServiceIDs tries a user and a service ID without a role, the
// owner, the minter and a service ID creator.
func TestWhoCreatesServiceIDs(t *testing.T) {
	for name, test := range map[string]struct {
		setting  string
		programs bool
		want     string
	}{
		"by default every user may":                          {"", false, "user owner minter creator"},
		"without a restriction every user may":               {cloud.NotRestricted, false, "user owner minter creator"},
		"a switch lets every program, too":                   {cloud.NotSet, true, "user program owner minter creator"},
		"with the restriction even the owner needs the role": {cloud.Restricted, true, "creator"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud()
			n := c.Switches()
			n.ProgramsCreateServiceIDs = test.programs
			c.SetSwitches(n)
			if test.setting != "" {
				if _, err := c.UpdateAccountSettings(c.Minter().Actor(), cloud.AccountID, "*", cloud.AccountSettingsChange{RestrictCreateServiceID: &test.setting}); err != nil {
					t.Fatal(err)
				}
			}
			program, _ := c.AddIdentity("program")
			creator, _ := c.AddIdentity("creator")
			give(t, c, creator.IAMID, equals("serviceName", "iam-identity"), idCreator)
			var may []string
			for _, who := range []struct{ name, iamID string }{
				{"user", c.AddUser("u@example.com").IAMID}, {"program", program.IAMID}, {"owner", cloud.OwnerIAMID},
				{"minter", c.Minter().IAMID}, {"creator", creator.IAMID},
			} {
				_, err := c.CreateServiceID(cloud.Actor{IAMID: who.iamID}, cloud.NewServiceID{AccountID: cloud.AccountID, Name: "n"})
				if err == nil {
					may = append(may, who.name)
				} else if status(err) != 403 {
					t.Errorf("%s: %v", who.name, err)
				}
			}
			if got := strings.Join(may, " "); got != test.want {
				t.Errorf("may create: %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheRestrictionOfUsersKeys(t *testing.T) {
	c := newCloud()
	u := cloud.Actor{IAMID: c.AddUser("u@example.com").IAMID}
	restricted := cloud.Restricted
	if _, err := c.ChangeAccount(cloud.AccountSettingsChange{RestrictCreateAPIKey: &restricted}); err != nil {
		t.Fatal(err)
	}
	create := func() error {
		_, err := c.CreateAPIKey(u, cloud.NewAPIKey{Name: "k", IAMID: u.IAMID})
		return err
	}
	var refused *cloud.Error
	if err := create(); status(err) != 403 || !errors.As(err, &refused) || !strings.Contains(refused.Details, "'iam-identity.user-apikey.create' for subject '"+u.IAMID+"'") {
		t.Errorf("without the role: %v", err)
	}
	give(t, c, u.IAMID, equals("serviceName", "iam-identity"), "crn:v1:bluemix:public:iam-identity::::serviceRole:UserApiKeyCreator")
	if err := create(); err != nil {
		t.Errorf("with the role: %v", err)
	}
}

func TestAccountSettingsAreBounded(t *testing.T) {
	c := newCloud()
	s := func(v string) *string { return &v }
	for name, ch := range map[string]cloud.AccountSettingsChange{
		"an unknown restriction":      {RestrictCreateServiceID: s("MAYBE")},
		"an unknown trait of MFA":     {MFA: s("LEVEL9")},
		"an access token of 3,601 s":  {AccessTokenExpiration: s("3601")},
		"a refresh token of 899 s":    {RefreshTokenExpiration: s("899")},
		"a session that is no number": {SessionExpiration: s("long")},
		"no sessions":                 {MaxSessions: s("0")},
	} {
		if _, err := c.UpdateAccountSettings(cloud.Owner(), cloud.AccountID, "*", ch); status(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	before, err := c.AccountSettings(cloud.Owner(), cloud.AccountID, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateAccountSettings(cloud.Owner(), cloud.AccountID, before.EntityTag, cloud.AccountSettingsChange{AccessTokenExpiration: s("900")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateAccountSettings(cloud.Owner(), cloud.AccountID, before.EntityTag, cloud.AccountSettingsChange{}); status(err) != 409 {
		t.Errorf("a stale tag: %v", err)
	}
	token, err := c.TokenFor(cloud.OwnerIAMID)
	if err != nil || token.Expires.Sub(token.IssuedAt).Seconds() != 900 {
		t.Errorf("a token of %v, %v", token.Expires.Sub(token.IssuedAt), err)
	}
	stranger, _ := c.AddIdentity("x")
	if _, err := c.UpdateAccountSettings(cloud.Actor{IAMID: stranger.IAMID}, cloud.AccountID, "*", cloud.AccountSettingsChange{}); status(err) != 403 {
		t.Errorf("a stranger: %v", err)
	}
}

func TestLeakActionOfAKey(t *testing.T) {
	c := newCloud()
	s, _ := c.AddIdentity("x")
	s2 := func(v string) *string { return &v }
	k, err := c.CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "k", IAMID: s.IAMID})
	if err != nil || k.ActionWhenLeaked != "disable" {
		t.Fatalf("by default %q, %v", k.ActionWhenLeaked, err)
	}
	for _, test := range []struct {
		keeps bool
		ask   *string
		want  string
	}{{true, s2("none"), "none"}, {true, nil, "none"}, {false, nil, "disable"}, {true, s2("delete"), "delete"}, {true, s2(""), "disable"}} {
		n := c.Switches()
		n.UpdateKeepsLeakAction = test.keeps
		c.SetSwitches(n)
		k, err := c.UpdateAPIKey(cloud.Owner(), k.ID, "*", cloud.APIKeyChange{ActionWhenLeaked: test.ask, Description: s2("d")})
		if err != nil || k.ActionWhenLeaked != test.want {
			t.Errorf("%+v: %q, %v", test, k.ActionWhenLeaked, err)
		}
	}
}

func TestSessionsAreForKeysOfUsersOnly(t *testing.T) {
	c := newCloud()
	s, k := c.AddIdentity("x")
	yes := true
	if _, err := c.CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "k", IAMID: s.IAMID, SupportSessions: true}); status(err) != 400 {
		t.Errorf("creating: %v", err)
	}
	if _, err := c.UpdateAPIKey(cloud.Owner(), k.ID, "*", cloud.APIKeyChange{SupportSessions: &yes}); status(err) != 400 {
		t.Errorf("updating: %v", err)
	}
	own, err := c.CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "k", IAMID: cloud.OwnerIAMID, SupportSessions: true})
	if err != nil || !own.SupportSessions {
		t.Errorf("the owner's: %+v, %v", own, err)
	}
}

func TestAPolicyMayNeedAnAdministratorOfItsSubject(t *testing.T) {
	c := newCloud()
	grantor, _ := c.AddIdentity("grantor")
	other, _ := c.AddIdentity("other")
	give(t, c, grantor.IAMID, equals("serviceName", "logs"), admin)
	spec := cloud.PolicySpec{Type: "access", Roles: []string{viewer}, Resource: equals("serviceName", "logs"),
		Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: other.IAMID}}}
	for _, needs := range []bool{true, false} {
		n := c.Switches()
		n.SubjectNeedsAdministrator = needs
		c.SetSwitches(n)
		if _, err := c.CreatePolicy(cloud.Actor{IAMID: grantor.IAMID}, spec); (status(err) == 403) != needs {
			t.Errorf("needs %v: %v", needs, err)
		}
	}
}

func TestActorsAndWhatIsPulledFromThem(t *testing.T) {
	c := newCloud()
	add := func(n cloud.NewActor) cloud.AddedActor {
		t.Helper()
		out, err := c.AddActor(n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	sid := add(cloud.NewActor{Kind: "serviceid", Name: "helper", Policies: []cloud.Access{
		{Service: "iam-identity", Roles: []string{"Operator", "Editor"}}, {Service: "logs", Instance: cloud.LogsInstanceID, Roles: []string{"Sender"}}}})
	user := add(cloud.NewActor{Kind: "user", Name: "u@example.com", Policies: []cloud.Access{{ServiceGroup: "IAM", Roles: []string{"Administrator"}}}})
	for _, x := range []cloud.AddedActor{sid, user} {
		token, err := c.ExchangeAPIKey(x.APIKey)
		if err != nil || token.IAMID != x.IAMID {
			t.Errorf("%+v logs in as %q, %v", x, token.IAMID, err)
		}
	}
	if got := tries(c, cloud.Actor{IAMID: user.IAMID}); got != everything {
		t.Errorf("the user may %q", got)
	}
	pull := func(r cloud.Revocation) int {
		t.Helper()
		n, err := c.Pull(r)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := pull(cloud.Revocation{From: "helper", Service: "iam-identity", Role: "Editor"}); n != 1 {
		t.Errorf("%d policies", n)
	}
	if got := tries(c, cloud.Actor{IAMID: sid.IAMID}); got != "view view-key create create-key delete-key delete" {
		t.Errorf("without Editor it may %q", got)
	}
	pull(cloud.Revocation{Policy: sid.Policies[1]})
	if n := pull(cloud.Revocation{From: sid.ID}); n != 1 {
		t.Errorf("%d policies left", n)
	}

	// The minter's roles, through a group alone.
	group := add(cloud.NewActor{Kind: "group", Name: "minters", Members: []string{"latchkey"},
		Policies: []cloud.Access{{ServiceType: "platform_service", Roles: []string{"Administrator"}}}})
	pull(cloud.Revocation{From: "latchkey"})
	if got := tries(c, c.Minter().Actor()); got != everything {
		t.Errorf("the minter may %q", got)
	}
	late := add(cloud.NewActor{Kind: "serviceid", Name: "late", Groups: []string{"minters"}})
	if got := tries(c, cloud.Actor{IAMID: late.IAMID}); got != everything {
		t.Errorf("a later member may %q", got)
	}
	pull(cloud.Revocation{From: group.ID})
	if got := tries(c, c.Minter().Actor()); got != "" {
		t.Errorf("the minter still may %q", got)
	}

	for name, err := range map[string]error{
		"an unknown kind":              second(c.AddActor(cloud.NewActor{Kind: "robot", Name: "r"})),
		"no name":                      second(c.AddActor(cloud.NewActor{Kind: "user"})),
		"an unknown role":              second(c.AddActor(cloud.NewActor{Kind: "user", Name: "u", Policies: []cloud.Access{{Service: "logs", Roles: []string{"King"}}}})),
		"no roles":                     second(c.AddActor(cloud.NewActor{Kind: "user", Name: "u", Policies: []cloud.Access{{Service: "logs"}}})),
		"an unknown group":             second(c.AddActor(cloud.NewActor{Kind: "user", Name: "u", Groups: []string{"none"}})),
		"a group of another kind":      second(c.AddActor(cloud.NewActor{Kind: "user", Name: "u", Groups: []string{"latchkey"}})),
		"a member of a service ID":     second(c.AddActor(cloud.NewActor{Kind: "serviceid", Name: "u", Members: []string{"latchkey"}})),
		"a group of the same name":     second(c.AddActor(cloud.NewActor{Kind: "group", Name: "MINTERS"})),
		"nothing to pull":              second(c.Pull(cloud.Revocation{From: "latchkey", Service: "logs"})),
		"a policy that does not exist": second(c.Pull(cloud.Revocation{Policy: "none"})),
		"neither policy nor subject":   second(c.Pull(cloud.Revocation{})),
		"an unknown subject":           second(c.Pull(cloud.Revocation{From: "unknown"})),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if got := c.State(false).Users; slices.ContainsFunc(got, func(u cloud.User) bool { return u.Email == "u" }) {
		t.Errorf("a refused user was added: %v", got)
	}
}
