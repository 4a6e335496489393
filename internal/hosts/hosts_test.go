package hosts_test

import (
	"testing"

	"github.com/latchkey-io/latchkey/internal/hosts"
)

func TestHostsAreThoseOfIBMsDocuments(t *testing.T) {
	in := func(f func(string, bool) string, region string) func(bool) string {
		return func(private bool) string { return f(region, private) }
	}
	of := func(f func(string, string, bool) string) func(bool) string {
		return func(private bool) string { return f("1b6f", "eu-de", private) }
	}
	for name, tc := range map[string]struct {
		host            func(private bool) string
		public, private string
	}{
		"IAM":                 {hosts.IAM, "iam.cloud.ibm.com", "private.iam.cloud.ibm.com"},
		"Resource Controller": {hosts.ResourceController, "resource-controller.cloud.ibm.com", "private.resource-controller.cloud.ibm.com"},
		"Code Engine":         {in(hosts.CodeEngine, "eu-de"), "api.eu-de.codeengine.cloud.ibm.com", "api.private.eu-de.codeengine.cloud.ibm.com"},
		"Secrets Manager":     {of(hosts.SecretsManager), "1b6f.eu-de.secrets-manager.appdomain.cloud", "1b6f.private.eu-de.secrets-manager.appdomain.cloud"},
		"Cloud Logs":          {of(hosts.CloudLogs), "1b6f.ingress.eu-de.logs.cloud.ibm.com", "1b6f.ingress.private.eu-de.logs.cloud.ibm.com"},
		"Event Notifications": {in(hosts.EventNotifications, "eu-de"), "eu-de.event-notifications.cloud.ibm.com", "private.eu-de.event-notifications.cloud.ibm.com"},
		"Object Storage":      {in(hosts.ObjectStorage, "eu-de"), "s3.eu-de.cloud-object-storage.appdomain.cloud", "s3.private.eu-de.cloud-object-storage.appdomain.cloud"},
		"Container Registry":  {in(hosts.ContainerRegistry, "de.icr.io"), "de.icr.io", "private.de.icr.io"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.host(false); got != tc.public {
				t.Errorf("public: %s, want %s", got, tc.public)
			}
			if got := tc.host(true); got != tc.private {
				t.Errorf("private: %s, want %s", got, tc.private)
			}
		})
	}
}
