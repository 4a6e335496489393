package cloud

import (
	"cmp"
	"fmt"
)

// Error is a rejection by the service. Every operation of [Cloud] returns its
// errors as *Error; the HTTP layer writes them in the format of that service.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is the machine-readable code of the service, such as "not_found".
	Code string
	// MessageCode is IAM's number of the message, such as "BXNIM0102E", or
	// empty if it is not known.
	MessageCode string
	Message     string
	Details     string
	// Conflict names the existing policy that prevents a new one.
	Conflict *Conflict
	// Locked is set if the operation is rejected because something is locked.
	Locked bool
}

// becauseLocked marks an error as that of something locked.
func becauseLocked(e *Error) *Error {
	e.Locked = true
	return e
}

// Conflict describes an existing policy.
type Conflict struct {
	ETag     string
	PolicyID string
	// Policy is set if [Switches.ConflictShowsPolicy] is.
	Policy *Policy
}

// Error returns the status, code and message.
func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
}

func identityError(status int, code, messageCode, message, details string) *Error {
	return &Error{Status: status, Code: code, MessageCode: messageCode, Message: message, Details: details}
}

func identityNotFound(kind, id string) *Error {
	return identityError(404, "not_found", "BXNIM0102E", "Unable to find object",
		fmt.Sprintf("Object type %q, id %q", kind, id))
}

func identityInvalid(message string) *Error {
	return identityError(400, "validation_error", "", "Validation error", message)
}

func (c *Cloud) identityStale(tag string) *Error {
	return identityError(c.switches.StaleIdentityStatus, "conflict", "",
		"The object has changed", "If-Match does not name the current revision "+tag)
}

// identityForbidden is IAM's 403 as recorded in
// https://github.com/IBM-Cloud/terraform-provider-ibm/issues/4797.
func identityForbidden(a Actor, action string) *Error {
	return identityError(403, "forbidden", "", "You are not authorized to use this API.",
		fmt.Sprintf("Reason: Access check for action '%s' for subject '%s' for resource 'a/%s' was denied due to lack of access policy.",
			action, a.IAMID, AccountID))
}

// firstError returns the first error that is not nil.
func firstError(err error, more ...error) error { return cmp.Or(append([]error{err}, more...)...) }

func unauthenticated() *Error {
	return identityError(401, "invalid_access_token", "",
		"Provided access token is missing, invalid or expired", "")
}

func serviceError(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}
