package emulator

import (
	"net/http"
	"slices"
	"testing"
)

// TestEveryChangeHasAnAuditAction fails for a route without an action and for an
// action without a route.
func TestEveryChangeHasAnAuditAction(t *testing.T) {
	left := map[string]bool{}
	for route := range auditActions {
		left[route] = true
	}
	for _, r := range routes {
		name := r.method + " " + r.pattern
		emulatesAudit := []*family{familyToken, familyIdentity, familyPolicy, familyGroup, familyCodeEngine, familySecrets}
		if auditActions[name].action != "" {
			delete(left, name)
			continue
		}
		reads := r.family != familySecrets && r.method == http.MethodGet
		if !slices.Contains(emulatesAudit, r.family) || reads || r.method == http.MethodHead || slices.Contains(postedReads, r.pattern) {
			continue
		}
		t.Errorf("%s has no action", name)
	}
	for name := range left {
		t.Errorf("the action of %s has no route", name)
	}
}
