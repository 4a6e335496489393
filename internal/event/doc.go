// Package event reads CloudEvents and says what they ask for.
//
// Decode takes an HTTP request's header and body: CloudEvents 1.0 in binary and
// in structured JSON mode, and the envelope of IBM Event Notifications, which
// looks like a structured event and is not a legal one. Batches are refused.
//
// Interpret knows the senders: latchkey's own types, the platform's timer, the
// resource lifecycle events of Code Engine projects, and Secrets Manager's
// notifications of expiring secrets. What it returns is a hint: where to look,
// and what is demanded. Nothing else in an event is believed, and no URL in one
// is ever called.
package event
