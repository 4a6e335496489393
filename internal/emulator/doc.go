// Package emulator is IBM Cloud on loopback: enough of it, and strict enough,
// that the official SDKs cannot tell it from the service and that a program
// which works here has a good chance to work there.
//
// Sure below means documented by IBM or recorded from the service; modelled means
// read in the models and tests of the SDKs; guessed means that nothing public
// says it. What is guessed and matters to a program is a switch of
// [cloud.Switches], which `latchkey emulator --help` lists with its default.
//
// # What is emulated, and how sure we are
//
// Everything is served on one origin, by path. An operation that is not named
// here answers 501 with the code not_emulated.
//
//   - POST /identity/token: the apikey, cr-token and assume grants. Sure: the
//     form, the token's claims, BXNIM0415E for an unknown key. Guessed: the
//     answer for a disabled or expired key. Any compute resource token that the
//     emulator issued or was told of will do for any profile, and any identity
//     may assume one.
//   - /v1/serviceids, /v1/apikeys: every operation, with paging, filters, history,
//     activity, entity tags, locks, values chosen by the caller. Sure: the limits
//     of 20 keys, 2,000 service IDs in a group and 100,000 in an account, names
//     that are not unique, groups that hide what is in them, keys deleted 90 days
//     after they expired. Modelled: the bodies. Guessed: the statuses and codes of
//     most refusals.
//   - /v1/serviceid_groups, /v1/accounts/{id}/limits/identity: every operation;
//     modelled. Guessed: the IDs and the number of groups.
//   - /v1/activity/accounts/{id}/report: modelled. Guessed: how long one takes.
//   - Keys of users: they make their own only. There is no API for users; the
//     owner is one, [cloud.Cloud.AddUser] makes more.
//   - /v2/policies, /v1/policies, GET /v2/roles: access policies of identities and
//     access groups. Sure: a creator grants no more than it has and gets a 201 all
//     the same, a conflict names the existing policy, 4,020 in an account and 1,000
//     of a subject, version 1 shows placeholders for version 2. Modelled: the
//     bodies, and that a PATCH restores what was deleted. Guessed: what the
//     placeholders are. Conditions and tags are kept and answered but have no
//     effect, and no policy has a last permit. Custom roles, templates and
//     authorizations are not emulated.
//   - /v2/groups: access groups and members; modelled. Guessed: the codes of the
//     refusals. No rules, no templates, no Public Access group.
//   - /v2/projects with secrets, config maps, apps and revisions, jobs, job runs
//     and functions (Code Engine). Sure: the limits, secrets in clear, values only
//     under If-Match. Modelled: the bodies; those of functions are from documents.
//     Guessed: stale tags (412), quotas (403), that a job takes its runs along.
//     Nothing runs: an app is ready, and a job run completed, at once. Builds,
//     runtimes and domain mappings are not emulated.
//   - /api/v2 (Secrets Manager): secret groups, secrets of the types arbitrary,
//     kv, iam_credentials and custom_credentials with versions, metadata, locks
//     and tasks, and configurations for custom credentials. Modelled and, for
//     locks and expiry, sure. Guessed: codes and most statuses of refusals. A task
//     starts a run of its Code Engine job, which nothing runs: the caller plays
//     the job and reports, or the task times out. Other types are not emulated.
//   - POST /event-notifications/v1/instances/{id}/notifications: events are checked
//     and kept, and delivered to nobody; modelled.
//   - POST /logs/v1/singles (Cloud Logs ingestion). Sure: the form, the limit, 403
//     without the role, a 200 that tells of rejected entries. Guessed: the bodies
//     of success, and 401 for a bad token.
//
// Unknown fields of a body are ignored, missing ones refused in the form of the
// service, and no refusal is without an error.
//
// Access is enforced everywhere: the acting identity needs an effective policy.
// A request to api.<region>.codeengine.cloud.ibm.com, to
// <guid>.<region>.secrets-manager.appdomain.cloud or to
// <guid>.ingress.<region>.logs.cloud.ibm.com (by the Host header, public or
// private) sees only that region or instance.
//
// Lags make IAM eventually consistent: a new thing arrives late, a deleted one
// stays in lists (and in effect, if it is a policy or a key) for as long, a
// changed policy has its old effect, and activity shows late. Sure: that it is so.
// Guessed: how long, and that a GET of a deleted thing is 404 at once. The members
// of a group have its access after the policy lag, and lose it at once. The rate
// limit answers 429 before any fault sees the call; IBM publishes no numbers.
//
// # Events
//
// Subscriptions get the lifecycle events of projects, in the shape that IBM
// documents for another service, with a guessed type; or audit records as a Kafka
// subscription of Code Engine delivers them ([KindAudit]), for all but Secrets
// Manager; or the events of Secrets Manager as Event Notifications delivers them
// ([KindSecrets]).
//
// # Size
//
// 100,000 seeded credentials, each a service ID, a key and a policy, take 266 MiB
// and are listed at 680 to 1,470 pages of 100 per second, over HTTP on two cores
// (BenchmarkPages; a test holds a credential under 4 kB, and that a page costs its
// own length wherever it is in the list).
//
// # Control API
//
// Below /emulator/, JSON, without authentication:
//
//	GET    state?values=true  everything; key values and secret data only if asked
//	GET    clock              {"now"}
//	POST   clock              {"advance":"1920h"} or {"set":"2027-01-01T00:00:00Z"}
//	GET    faults             the faults with the number of calls each has seen
//	POST   faults             one fault or a list: see [Fault]
//	DELETE faults             takes all away; held calls go on
//	GET    settings           the knobs: see [Settings]
//	POST   settings           changes the knobs that the body names
//	GET    counters           {"POST /v1/apikeys": 3, …}: attempts, faults included
//	DELETE counters
//	GET    events             every change, but for tokens and logs, with its actor
//	DELETE events
//	GET    logs               accepted log entries
//	GET    notifications      events that Event Notifications was sent
//	POST   subscriptions      {"url","kind","duplicates":1,"reorder":true}: see [Subscription]
//	GET    subscriptions      with the number of deliveries
//	DELETE subscriptions      ends all
//	POST   cr-tokens          {"token":"…"} is trusted from now on; {} makes one
//
// Bodies are strict: an unknown field is refused with 400.
package emulator
