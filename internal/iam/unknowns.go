package iam

import (
	"net/http"
	"slices"
	"strings"
)

// What no document answers, in one place. Each has the documented guess.

// isStale reports whether a status means that the entity tag is no longer
// right, or that the thing exists already. IBM's documents name 409 for service
// IDs; 412 is what HTTP asks for.
func isStale(status int) bool {
	return status == http.StatusConflict || status == http.StatusPreconditionFailed
}

// isQuota reports whether an error's code is about a limit: 20 keys, 2,000
// service IDs. The documents call it "an exception", and tell neither status
// nor code.
func isQuota(code string) bool {
	return strings.Contains(code, "limit") || strings.Contains(code, "quota")
}

// The answer to a create with a value that IAM has is not known either: the
// model says "checked for uniqueness". Mint therefore looks the value up after
// every refusal, whatever its status.

// Nor is the answer to a change of something locked. So what was refused is
// read, and its field "locked" tells.

// policyExists is the code of a refusal to create a policy that is there.
const policyExists = "policy_conflict_error"

// roleCRN is a role's CRN where IAM's list of roles does not have it. IBM's
// pages show this form for service roles, and once one with "iam" in the
// service's place.
func roleCRN(service, role string) string {
	if slices.Contains(platformRoles, role) {
		return "crn:v1:bluemix:public:iam::::role:" + role
	}
	return "crn:v1:bluemix:public:" + service + "::::serviceRole:" + strings.ReplaceAll(role, " ", "")
}

var platformRoles = []string{"Viewer", "Operator", "Editor", "Administrator"}
