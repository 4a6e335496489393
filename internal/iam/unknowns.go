package iam

import (
	"cmp"
	"slices"
	"strings"
)

// This file holds our assumptions where IBM's documents are silent. The statuses
// of a stale version and of an exceeded limit are in upstream.IAM.

// The answer to a create with an existing value is not documented; the model
// says "checked for uniqueness". Mint therefore looks the value up after every
// refusal, whatever its status.

// The answer to a change of a locked object is not documented. The object is
// therefore read after a refusal, and its field "locked" decides.

// policyExists is the code of the refusal to create an existing policy.
const policyExists = "policy_conflict_error"

// roleCRN returns the CRN of a role that IAM's list does not have. IBM's pages
// show this form for service roles, and once with "iam" instead of the service.
func roleCRN(service, role string) string {
	if slices.Contains(platformRoles, role) {
		return "crn:v1:bluemix:public:iam::::role:" + role
	}
	return "crn:v1:bluemix:public:" + cmp.Or(service, "iam") + "::::serviceRole:" + strings.ReplaceAll(role, " ", "")
}

var platformRoles = []string{"Viewer", "Operator", "Editor", "Administrator"}
