// Package event reads CloudEvents and says what they ask for.
//
// # Modes
//
// Batched, Decode and DecodeBatch take an HTTP request's header and body. The
// Content-Type says what they are, tested in this order:
//
//	application/cloudevents-batch…   a JSON array of events, each with its own fault
//	application/cloudevents+json     structured: everything in one JSON object
//	application/cloudevents…         refused: of the formats only JSON is read
//	anything, with ce- headers       binary: attributes in headers, data in the body
//	JSON or none, without them       the envelope of IBM Event Notifications, which
//	                                 looks like structured mode and is not legal
//
// The SDK's types are used and its receiver is not: it does not undo the
// encoding of header values, takes names twice, and knows a batch only by the
// exact Content-Type.
//
// # Senders
//
// A Reader says what an event asks. Each sender has a file of its own:
//
//	own.go               latchkey's types: provision, rotate, revoke, sweep
//	interpret.go         the platform's timer
//	secretsmanager.go    secrets that are about to expire, or have
//	lifecycle.go         Code Engine projects that came, came back or went
//	audit.go             the same, and IBM Cloud Projects, from an audit topic of Kafka
//
// Everything else is not for us, and is told so without its data being parsed.
// Passing does that for the flood of audit events before anything is decoded.
//
// # Trust
//
// What a Reader returns is a hint: where to look, and what is demanded.
// Anybody may ask for a look; the other verbs need a caller that is known and
// allowed. Nothing else in an event is believed, and no URL in one is ever
// called. Errors name the attribute, and show its value only where that cannot
// be a credential.
package event
