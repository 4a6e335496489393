package secretsmanager_test

import (
	"errors"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

func TestOnlyAnInstancesAddressIsParsed(t *testing.T) {
	const guid = "c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546"
	for address, want := range map[string]string{
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud":            "eu-de",
		"https://" + guid + ".private.us-south.secrets-manager.appdomain.cloud": "us-south",
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud/api":        "eu-de",
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud/":           "eu-de",

		"http://" + guid + ".eu-de.secrets-manager.appdomain.cloud":               "",
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud:8443":         "",
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud.example.com":  "",
		"https://example.com/" + guid + ".eu-de.secrets-manager.appdomain.cloud":  "",
		"https://example.com#" + guid + ".eu-de.secrets-manager.appdomain.cloud":  "",
		"https://u:p@" + guid + ".eu-de.secrets-manager.appdomain.cloud":          "",
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud?x=y":          "",
		"https://" + guid + ".x.eu-de.secrets-manager.appdomain.cloud":            "",
		"https://" + guid + ".eu-de.secrets-manager.appdomain.cloud/api/v2/extra": "",
		"https://not/an/address": "", "": "", "\x00": "",
	} {
		instance, region, err := secretsmanager.ParseInstance(address)
		if region != want || (err == nil) != (want != "") || (err == nil && instance != guid) || (err != nil && !errors.Is(err, port.ErrRefused)) {
			t.Errorf("%q: %q in %q, %v", address, instance, region, err)
		}
	}
}
