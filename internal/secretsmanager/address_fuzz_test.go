package secretsmanager

import "testing"

// FuzzParseInstance: what is taken for an instance's address names one host of
// Secrets Manager, and is read the same again.
func FuzzParseInstance(f *testing.F) {
	f.Add("https://11111111-2222-4333-8444-555555555555.eu-de.secrets-manager.appdomain.cloud")
	f.Add("https://11111111-2222-4333-8444-555555555555.eu-de.secrets-manager.appdomain.cloud/api")
	f.Add("https://x@11111111-2222-4333-8444-555555555555.eu-de.secrets-manager.appdomain.cloud")
	f.Add("https://11111111-2222-4333-8444-555555555555.eu-de.secrets-manager.appdomain.cloud.evil.example")
	f.Fuzz(func(t *testing.T, address string) {
		instance, region, err := ParseInstance(address)
		if err != nil {
			return
		}
		again, same, err := ParseInstance("https://" + instance + "." + region + ".secrets-manager.appdomain.cloud")
		if err != nil || again != instance || same != region {
			t.Errorf("%q is %q in %q, then %q in %q: %v", address, instance, region, again, same, err)
		}
	})
}
