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
		emulatesAudit := []*family{familyToken, familyIdentity, familyPolicy, familyGroup, familyCodeEngine}
		if !slices.Contains(emulatesAudit, r.family) || r.method == http.MethodGet || r.method == http.MethodHead || slices.Contains(postedReads, r.pattern) {
			continue
		}
		if auditActions[name].action == "" {
			t.Errorf("%s has no action", name)
		}
		delete(left, name)
	}
	for name := range left {
		t.Errorf("the action of %s has no route", name)
	}
}
