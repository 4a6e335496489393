// Package event reads CloudEvents and says what they ask for.
//
// # Modes
//
// Decode takes an HTTP request's header and body. The Content-Type says what
// they are, tested in this order:
//
//	application/cloudevents-batch…   refused: batches were not asked for
//	application/cloudevents+json     structured: everything in one JSON object
//	application/cloudevents…         refused: of the formats only JSON is read
//	anything, with ce- headers       binary: attributes in headers, data in the body
//	JSON or none, without them       the envelope of IBM Event Notifications, which
//	                                 looks like structured mode and is not legal
//
// The SDK's types are used and its receiver is not: it does not undo the
// encoding of header values, and takes names twice.
//
// # Senders
//
// Interpret knows latchkey's own types, the platform's timer, the resource
// lifecycle events of Code Engine projects, and Secrets Manager's notifications
// of expiring secrets. Everything else is not for us, and is told so without
// its data being parsed.
//
// # Trust
//
// What Interpret returns is a hint: where to look, and what is demanded.
// Anybody may ask for a look; the other verbs need a caller that is known and
// allowed. Nothing else in an event is believed, and no URL in one is ever
// called. Errors name the attribute, and show its value only where that cannot
// be a credential.
package event
