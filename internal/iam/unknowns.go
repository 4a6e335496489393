package iam

import (
	"net/http"
	"slices"
)

// What no document answers, in one place. Each has the documented guess.

// staleStatus are the answers that mean: the entity tag is no longer right.
// IBM's documents name 409 for service IDs; 412 is what HTTP asks for.
var staleStatus = []int{http.StatusConflict, http.StatusPreconditionFailed}

// valueTakenStatus is the answer to a create with a value that IAM has. The
// model says "checked for uniqueness", not with which status it refuses; so
// any conflict is looked into by value.
const valueTakenStatus = http.StatusConflict

// roleCRN is a service role's CRN where IAM's list of roles does not have it.
// IBM's pages show this form, and once one with "iam" in the service's place.
func roleCRN(service, role string) string {
	if slices.Contains(platformRoles, role) {
		return "crn:v1:bluemix:public:iam::::role:" + role
	}
	return "crn:v1:bluemix:public:" + service + "::::serviceRole:" + role
}

var platformRoles = []string{"Viewer", "Operator", "Editor", "Administrator"}
