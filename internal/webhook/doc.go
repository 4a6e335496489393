// Package webhook lets systems in that can't send CloudEvents: ticketing
// systems, code hosts, notification services. It finds out who calls, and makes
// an event of what they sent.
//
// # Who calls
//
// A hook has one Verifier, chosen by the config. What a request carries never
// chooses: a caller can't pick a weaker scheme by leaving a header out.
//
//	scheme            shows                                               signs the body
//	github            X-Hub-Signature-256: sha256=<hex HMAC-SHA256>       yes
//	jira              X-Hub-Signature: sha256=<hex HMAC-SHA256>           yes
//	standardWebhooks  webhook-id, -timestamp, -signature: v1,<base64>     yes, with ID and time
//	bearer            Authorization: Bearer <token>                       no
//	header            a header of the config's choice                     no
//	basic             Authorization: Basic <user and password>            no
//
// Verification has two steps. Claim looks at the header alone, so a call that
// can't be right costs no body; Holds takes the raw bytes. Every comparison is
// in constant time, each of a hook's one or two secrets is tried, and a claim
// has exactly one spelling: a signature in other letters is another signature.
//
// GitHub: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
// Jira: https://developer.atlassian.com/cloud/jira/platform/webhooks/.
// Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
//
// # What they sent
//
// Only after that is anything parsed: JSON of bounded size, depth and number of
// values, without a name that occurs twice. The hook's Map makes the event's
// parts of it. The event's ID is the signed one, or a digest of the body, so a
// delivery that is repeated is the same event, and its time is one that was
// signed or none.
//
// A value that leaked travels beside the event as a secret.Value, never in it.
package webhook
