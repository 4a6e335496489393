package iam

import (
	"slices"
	"strings"
)

// What no document answers, in one place. Each has the documented guess.

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
