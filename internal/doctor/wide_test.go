package doctor

import "testing"

func TestWhichRolesAreWiderThanNeeded(t *testing.T) {
	config := []Need{
		{Service: identityService, Role: "Viewer"}, {Service: identityService, Role: "Service ID creator"},
		{Service: "logs", Role: "Sender", Attribute: "serviceInstance", Value: "logs-1"},
		{Service: "logs", Role: "Administrator", Attribute: "serviceInstance", Value: "logs-1"},
		{Service: groupsService, Role: "Viewer"},
		{Service: groupsService, Role: "Editor", Attribute: "resource", Value: "AccessGroupId-1"},
		{Service: "codeengine", Role: "Viewer"}, {Service: "codeengine", Role: "Writer"},
		{Service: "secrets-manager", Role: "Writer", Attribute: "serviceInstance", Value: "sm-1"},
	}
	keys := append([]Need{{Service: identityService, Role: "Administrator", Attribute: "resource", Value: "ServiceId-1"}}, config...)
	part := on("serviceInstance", "logs-1")
	for name, tc := range map[string]struct {
		needs  []Need
		role   string
		policy granted
		want   string
	}{
		"a Viewer of IAM Identity":                        {config, "Viewer", grant(nil, on("serviceName", identityService)), ""},
		"a creator of service IDs":                        {config, "ServiceIdCreator", grant(nil, on("serviceName", identityService)), ""},
		"an Operator of IAM Identity":                     {config, "Operator", grant(nil, on("serviceName", identityService)), "less is enough: Service ID creator, Viewer"},
		"an Administrator of IAM Identity":                {config, "Administrator", grant(nil, on("serviceName", identityService)), "less is enough: Service ID creator, Viewer"},
		"an Administrator of every account service":       {config, "Administrator", grant(nil, on("serviceType", "platform_service")), "less is enough: Editor, Service ID creator, Viewer"},
		"an Administrator, where one service ID needs it": {keys, "Administrator", grant(nil, on("serviceName", identityService)), "it is needed on a part only: (serviceid ServiceId-1)"},
		"an Administrator of that service ID":             {keys, "Administrator", grant(nil, on("serviceName", identityService), on("resource", "ServiceId-1")), ""},
		"an Administrator of another service ID":          {keys, "Administrator", grant(nil, on("serviceName", identityService), on("resourceType", "serviceid"), on("resource", "ServiceId-2")), "less is enough: Service ID creator, Viewer"},
		"a granted role on its instance":                  {config, "Sender", grant(nil, on("serviceName", "logs"), part), ""},
		"a granted role on all instances":                 {config, "Sender", grant(nil, on("serviceName", "logs")), "it is needed on a part only: (instance logs-1)"},
		"a granted role on another instance":              {config, "Sender", grant(nil, on("serviceName", "logs"), on("serviceInstance", "logs-2")), "the config does not need it"},
		"a granted role in a region":                      {config, "Sender", grant(nil, on("serviceName", "logs"), on("region", "eu-de")), ""},
		"an Editor of the access group":                   {config, "Editor", grant(nil, on("serviceName", groupsService), on("resource", "AccessGroupId-1")), ""},
		"an Editor of every access group":                 {config, "Editor", grant(nil, on("serviceName", groupsService)), "it is needed on a part only: (AccessGroupId-1)"},
		"a Writer of Code Engine in a resource group":     {config, "Writer", grant(nil, on("serviceName", "codeengine"), on("resourceGroupId", "r1")), ""},
		"a Manager of Code Engine":                        {config, "Manager", grant(nil, on("serviceName", "codeengine")), "less is enough: Writer"},
		"a Manager of Secrets Manager":                    {config, "Manager", grant(nil, on("serviceName", "secrets-manager"), on("serviceInstance", "sm-1")), "less is enough: Writer"},
		"a service that the config does not name":         {config, "Writer", grant(nil, on("serviceName", "cloudantnosqldb")), "the config does not need it"},
		"a Viewer of access management":                   {config, "Viewer", grant(nil, on("serviceName", accessService)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var needs []need
			for _, n := range tc.needs {
				needs = append(needs, n.need())
			}
			if got := wider(tc.policy, tc.role, needs); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
