// Package webhook accepts deliveries from systems that do not send CloudEvents, such
// as ticketing systems, code hosts and notification services. It authenticates the
// sender and makes an event from the body.
//
// # Authentication
//
// A hook has one Verifier, configured for one scheme. A request never selects the
// scheme, so a caller cannot choose a weaker one by omitting a header.
//
//	scheme            header                                              signs the body
//	github            X-Hub-Signature-256: sha256=<hex HMAC-SHA256>       yes
//	jira              X-Hub-Signature: sha256=<hex HMAC-SHA256>           yes
//	standardWebhooks  webhook-id, -timestamp, -signature: v1,<base64>     yes, with ID and time
//	bearer            Authorization: Bearer <token>                       no
//	header            a configured header                                 no
//	basic             Authorization: Basic <user and password>            no
//
// Verification has two steps. Claim checks only the header, so that an invalid
// request is rejected without reading its body. Holds checks the raw body. Comparisons
// take constant time, and each of a hook's one or two secrets is tried. A signature
// has exactly one accepted spelling. Senders on Svix name the three headers of
// standardWebhooks svix-id, svix-timestamp and svix-signature.
//
// GitHub: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
// Jira: https://developer.atlassian.com/cloud/jira/platform/webhooks/.
// Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
//
// # Mapping
//
// The body is parsed only after verification: as JSON of bounded length, depth and
// number of values, without repeated names. The hook's Map makes the parts of
// an event from it. The event's ID is the signed ID or a digest of the body, so
// a repeated delivery is the same event. Its time is Map's, a signed time or
// absent.
//
// The value of a leaked key is returned beside the event as a secret.Value and
// is never part of the event.
package webhook
