// Package event reads CloudEvents and returns what they request.
//
// # Modes
//
// Batched, Decode and DecodeBatch take the header and body of an HTTP request. The
// mode follows from the Content-Type, tested in this order:
//
//	application/cloudevents-batch…   a JSON array of events, each with its own error
//	application/cloudevents+json     structured: everything in one JSON object
//	application/cloudevents…         rejected: JSON is the only format supported
//	any type, with ce- headers       binary: attributes in headers, data in the body
//	JSON or none, without them       the envelope of IBM Event Notifications, which
//	                                 resembles structured mode but is not legal
//
// The package uses the SDK's types but not its receiver: that does not decode header
// values, accepts repeated names, and recognizes a batch only by the exact
// Content-Type.
//
// # Senders
//
// A Reader interprets an event. Each sender has a file of its own:
//
//	own.go               latchkey's types: provision, rotate, revoke, deprovision, sweep
//	interpret.go         the platform's timer
//	secretsmanager.go    secrets that are about to expire or have expired
//	lifecycle.go         Code Engine projects that were created, restored or deleted
//	audit.go             the same and IBM Cloud Projects, from an audit topic of Kafka
//
// Every other event returns ErrNotForUs, without parsing its data. Passing does this
// for the flood of audit events before they are decoded.
//
// # Trust
//
// Events only trigger a check: latchkey reads the actual state from IAM and the
// stores. Every sender may trigger one; the other verbs need an authenticated and
// permitted caller. A URL in an event is never called. Errors name the attribute and
// repeat its value only if it cannot be a credential.
package event
