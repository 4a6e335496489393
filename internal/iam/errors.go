package iam

import (
	"context"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// identityRoles let latchkey find and create service IDs, which it then administers with
// their keys, and those of others.
const identityRoles = "the roles Viewer and Service ID creator on iam-identity, or Administrator on a service ID that another identity created"

// fault returns the error of a call about service IDs or keys, sorted by what
// the caller may do next. hidden are values that IAM may quote.
func fault(ctx context.Context, doing string, reply *upstream.Reply, err error, hidden ...secret.Value) error {
	return upstream.IAM.Judge(ctx, doing, identityRoles, reply, err, hidden...)
}

// profileRoles let latchkey create, link and delete trusted profiles.
const profileRoles = "the roles Editor and Operator on iam-identity"

// profileFault is fault for a call about trusted profiles.
func profileFault(ctx context.Context, doing string, reply *upstream.Reply, err error) error {
	return upstream.IAM.Judge(ctx, doing, profileRoles, reply, err)
}

// accessFault is fault for a call about policies, groups or settings. Which role it
// takes depends on the service that is granted.
func accessFault(ctx context.Context, doing string, reply *upstream.Reply, err error) error {
	return upstream.IAM.Judge(ctx, doing, "", reply, err)
}

// dateOf returns the time of IAM's clock in an answer. Decisions depend on it.
func dateOf(doing string, reply *upstream.Reply) (time.Time, error) {
	date, err := http.ParseTime(reply.Header.Get("Date"))
	if err != nil {
		return time.Time{}, upstream.Incomplete(doing, "Date")
	}
	return date, nil
}
