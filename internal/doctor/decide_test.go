package doctor

import (
	"testing"

	"github.com/latchkey-io/latchkey/internal/iam"
)

func attribute(key, operator string, values ...string) iam.Attribute {
	return iam.Attribute{Key: key, Operator: operator, Values: values}
}

func on(key, value string) iam.Attribute { return attribute(key, "stringEquals", value) }

func grant(roles []string, attributes ...iam.Attribute) granted {
	return granted{Grant: iam.Grant{Policy: "p", Roles: roles, Attributes: attributes}}
}

func TestWhatPoliciesSayAboutANeed(t *testing.T) {
	admin, sender := []string{"Administrator"}, []string{"Sender"}
	identity := need{role: "Operator", on: resource{service: identityService}}
	instance := need{role: "Sender", on: resource{service: "logs", instance: "logs-1", region: unseen, resourceGroup: unseen}}
	whole := need{role: "Sender", on: resource{service: "logs"}}
	project := need{role: "Writer", on: resource{service: "codeengine", instance: "p1", region: "eu-de", resourceGroup: "group-1"}}
	inGroup := need{role: "Writer", on: resource{service: "codeengine", resourceGroup: "group-1"}}
	oneID := need{role: "Editor", on: resource{service: identityService, kind: "serviceid", id: "ServiceId-1"}}
	secrets := need{role: "Writer", on: resource{service: "secrets-manager", instance: "sm-1", region: "eu-de", resourceGroup: unseen, kind: "secret-group", id: "default"}}
	projects := need{role: "Viewer", on: resource{service: "codeengine"}, anywhere: true}
	conditional := grant(sender, on("serviceName", "logs"))
	conditional.Conditional = true
	custom := grant([]string{"LogShipper"}, on("serviceName", "logs"))
	custom.Custom = true
	group := grant(sender, on("serviceName", "logs"))
	group.group = "senders"

	for name, tc := range map[string]struct {
		need     need
		policies []granted
		unread   string
		want     finding
	}{
		"no policy at all":                      {identity, nil, "", finding{missing, ""}},
		"no policy that we may see":             {identity, nil, "groups are hidden", finding{unknown, "groups are hidden"}},
		"a role in spite of hidden policies":    {whole, []granted{conditional, group}, "groups are hidden", finding{held, "senders"}},
		"a role in an access group":             {whole, []granted{group}, "", finding{held, "senders"}},
		"the service by its name":               {identity, []granted{grant(admin, on("serviceName", identityService))}, "", finding{held, ""}},
		"all account management services":       {identity, []granted{grant(admin, on("serviceType", "platform_service"))}, "", finding{held, ""}},
		"all IAM services":                      {identity, []granted{grant(admin, on("service_group_id", "IAM"))}, "", finding{held, ""}},
		"all services that are not account's":   {identity, []granted{grant(admin, on("serviceType", "service"))}, "", finding{missing, ""}},
		"all services hold no Sender":           {whole, []granted{grant(admin, on("serviceType", "service"))}, "", finding{missing, ""}},
		"account management holds no logs":      {whole, []granted{grant(sender, on("serviceType", "platform_service"))}, "", finding{missing, ""}},
		"IAM services hold no logs":             {whole, []granted{grant(sender, on("service_group_id", "IAM"))}, "", finding{missing, ""}},
		"a resource group has no service IDs":   {identity, []granted{grant(admin, on("serviceName", identityService), on("resourceGroupId", "group-1"))}, "", finding{missing, ""}},
		"an Editor deletes no service IDs":      {identity, []granted{grant([]string{"Editor"}, on("serviceName", identityService))}, "", finding{missing, ""}},
		"an Operator updates no service IDs":    {oneID, []granted{grant([]string{"Operator"}, on("serviceName", identityService))}, "", finding{missing, ""}},
		"a role on this service ID":             {oneID, []granted{grant([]string{"Editor"}, on("serviceName", identityService), on("resourceType", "serviceid"), on("resource", "ServiceId-1"))}, "", finding{held, ""}},
		"a role on another service ID":          {oneID, []granted{grant([]string{"Editor"}, on("serviceName", identityService), on("resourceType", "serviceid"), on("resource", "ServiceId-2"))}, "", finding{missing, ""}},
		"a role on one of all service IDs":      {identity, []granted{grant(admin, on("serviceName", identityService), on("resource", "ServiceId-1"))}, "", finding{missing, ""}},
		"the instance":                          {instance, []granted{grant(sender, on("serviceName", "logs"), on("serviceInstance", "logs-1"))}, "", finding{held, ""}},
		"another instance":                      {instance, []granted{grant(sender, on("serviceName", "logs"), on("serviceInstance", "logs-2"))}, "", finding{missing, ""}},
		"one instance of all":                   {whole, []granted{grant(sender, on("serviceName", "logs"), on("serviceInstance", "logs-1"))}, "", finding{missing, ""}},
		"a region that may be the instance's":   {instance, []granted{grant(sender, on("serviceName", "logs"), on("region", "eu-de"))}, "", finding{unknown, "policy p is limited by region eu-de"}},
		"a group that may be the instance's":    {instance, []granted{grant(sender, on("serviceName", "logs"), on("resourceGroupId", "group-1"))}, "", finding{unknown, "policy p is limited by resourceGroupId group-1"}},
		"the project's region and group":        {project, []granted{grant([]string{"Writer"}, on("serviceName", "codeengine"), on("region", "eu-de"), on("resourceGroupId", "group-1"))}, "", finding{held, ""}},
		"another region than the project's":     {project, []granted{grant([]string{"Writer"}, on("serviceName", "codeengine"), on("region", "us-south"))}, "", finding{missing, ""}},
		"everything in a resource group":        {inGroup, []granted{grant([]string{"Manager"}, on("resourceGroupId", "group-1"))}, "", finding{held, ""}},
		"everything in another resource group":  {inGroup, []granted{grant([]string{"Manager"}, on("resourceGroupId", "group-2"))}, "", finding{missing, ""}},
		"the secret group":                      {secrets, []granted{grant([]string{"Writer"}, on("serviceName", "secrets-manager"), on("resourceType", "secret-group"), on("resource", "default"))}, "", finding{held, ""}},
		"another secret group":                  {secrets, []granted{grant([]string{"Writer"}, on("serviceName", "secrets-manager"), on("resourceType", "secret-group"), on("resource", "g2"))}, "", finding{missing, ""}},
		"one project is somewhere":              {projects, []granted{grant([]string{"Viewer"}, on("serviceName", "codeengine"), on("serviceInstance", "p9"))}, "", finding{held, ""}},
		"a resource group itself is no service": {projects, []granted{grant([]string{"Viewer"}, on("resourceType", "resource-group"), on("resource", "group-1"))}, "", finding{missing, ""}},
		"a pattern that fits":                   {project, []granted{grant([]string{"Writer"}, on("serviceName", "codeengine"), attribute("serviceInstance", "stringMatch", "p?"))}, "", finding{held, ""}},
		"a pattern that does not fit":           {project, []granted{grant([]string{"Writer"}, on("serviceName", "codeengine"), attribute("serviceInstance", "stringMatch", "q*"))}, "", finding{missing, ""}},
		"one pattern of several that fits":      {project, []granted{grant([]string{"Writer"}, on("serviceName", "codeengine"), attribute("region", "stringMatchAnyOf", "us-*", "eu-*"))}, "", finding{held, ""}},
		"any region":                            {instance, []granted{grant(sender, on("serviceName", "logs"), attribute("region", "stringMatch", "*"))}, "", finding{held, ""}},
		"one value of several":                  {project, []granted{grant([]string{"Writer"}, on("serviceName", "codeengine"), attribute("serviceInstance", "stringEqualsAnyOf", "p0", "p1"))}, "", finding{held, ""}},
		"every instance exists":                 {instance, []granted{grant(sender, on("serviceName", "logs"), attribute("serviceInstance", "stringExists", "true"))}, "", finding{held, ""}},
		"no instance may exist":                 {instance, []granted{grant(sender, on("serviceName", "logs"), attribute("serviceInstance", "stringExists", "false"))}, "", finding{missing, ""}},
		"an operator that is not known":         {instance, []granted{grant(sender, on("serviceName", "logs"), attribute("serviceInstance", "stringLike", "x"))}, "", finding{unknown, "policy p is limited by serviceInstance x"}},
		"an attribute that is not known":        {instance, []granted{grant(sender, on("serviceName", "logs"), on("logGroup", "x"))}, "", finding{missing, ""}},
		"a condition":                           {whole, []granted{conditional}, "", finding{unknown, "policy p has a condition"}},
		"a custom role":                         {whole, []granted{custom}, "", finding{unknown, "policy p grants a custom role"}},
		"a display name with spaces":            {need{role: "Secrets Reader", on: resource{service: "secrets-manager"}}, []granted{grant([]string{"SecretsReader"}, on("serviceName", "secrets-manager"))}, "", finding{held, ""}},
		"a display name in another case":        {need{role: "Service ID creator", on: resource{service: identityService}}, []granted{grant([]string{"ServiceIdCreator"}, on("serviceName", identityService))}, "", finding{held, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			d := examination{policies: tc.policies, unread: tc.unread}
			if got := d.decide(tc.need); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestAWildcardIsAnyText(t *testing.T) {
	for pattern, tc := range map[string]struct {
		text string
		want bool
	}{
		"*": {"", true}, "?": {"", false}, "a*c": {"abbc", true}, "a*d": {"abbc", false}, "*b*": {"abc", true}, "a?c": {"abc", true},
		"a*b*c": {"axbxbxc", true}, "[a]": {"a", false}, "a": {"ab", false}, "ab": {"a", false}, "a**": {"a", true},
	} {
		if got := wild(pattern, tc.text); got != tc.want {
			t.Errorf("%q matches %q: %t", pattern, tc.text, got)
		}
	}
}

func TestAFixIsAsNarrowAsTheNeed(t *testing.T) {
	for name, tc := range map[string]struct {
		self, profile string
		role          string
		on            resource
		want          string
	}{
		"a service ID":       {"iam-ServiceId-1", "", "Sender", resource{service: "logs"}, "ibmcloud iam service-policy-create ServiceId-1 --roles Sender --service-name logs"},
		"a trusted profile":  {"iam-Profile-1", "", "Sender", resource{service: "logs"}, "ibmcloud iam trusted-profile-policy-create Profile-1 --roles Sender --service-name logs"},
		"the config's one":   {"iam-Profile-1", "latchkey", "Sender", resource{service: "logs"}, "ibmcloud iam trusted-profile-policy-create latchkey --roles Sender --service-name logs"},
		"a user":             {"IBMid-1", "", "Sender", resource{service: "logs"}, "ibmcloud iam user-policy-create IBMid-1 --roles Sender --service-name logs"},
		"a name with spaces": {"iam-ServiceId-1", "", "Secrets Reader", resource{service: "secrets-manager"}, `ibmcloud iam service-policy-create ServiceId-1 --roles "Secrets Reader" --service-name secrets-manager`},
		"an instance": {"iam-ServiceId-1", "", "Sender", resource{service: "logs", instance: "logs-1", region: unseen, resourceGroup: unseen},
			"ibmcloud iam service-policy-create ServiceId-1 --roles Sender --service-name logs --service-instance logs-1"},
		"a resource group": {"iam-ServiceId-1", "", "Writer", resource{service: "codeengine", resourceGroup: "group-1"},
			"ibmcloud iam service-policy-create ServiceId-1 --roles Writer --service-name codeengine --resource-group-id group-1"},
		"a secret group that is not known": {"iam-ServiceId-1", "", "Writer", resource{service: "secrets-manager", instance: "sm-1", kind: "secret-group", id: unseen},
			"ibmcloud iam service-policy-create ServiceId-1 --roles Writer --service-name secrets-manager --service-instance sm-1"},
		"one service ID": {"iam-ServiceId-1", "", "Editor", resource{service: identityService, kind: "serviceid", id: "ServiceId-2"},
			"ibmcloud iam service-policy-create ServiceId-1 --roles Editor --service-name iam-identity --resource-type serviceid --resource ServiceId-2"},
	} {
		t.Run(name, func(t *testing.T) {
			d := examination{Config: Config{Profile: tc.profile}, self: tc.self}
			if got := d.grant(tc.role, tc.on); string(got) != tc.want {
				t.Errorf("%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
