// Package emulator serves IBM Cloud on loopback: the parts that latchkey uses,
// strict enough that the official SDKs work unchanged and that a program which
// works here is likely to work there.
//
// "Sure" below means documented by IBM or recorded from the service; "modelled"
// means taken from the models and tests of the SDKs; "guessed" means that
// nothing public says it. A guess that matters to a program is a switch of
// [cloud.Switches]. `latchkey emulator --help` lists the switches with their
// defaults.
//
// # What is emulated, and how sure it is
//
// Everything is served on one origin, by path. Any other operation gets 501 with
// the code not_emulated.
//
//   - POST /identity/token, GET /identity/keys: the apikey, cr-token and assume
//     grants. Sure: the form, the headers, the claims of a service ID's token and
//     its RS256 signature, BXNIM0415E for an unknown key, BXNIM0109E, BXNIM0106E
//     and BXNIM0060E with their context. Guessed: the answer for a disabled or
//     expired key, for an unknown grant and for a compute resource token that is
//     not valid, and the claims of users and profiles. Every profile accepts every
//     compute resource token that the emulator knows, and any identity may assume
//     it.
//   - /v1/serviceids, /v1/apikeys: every operation, with paging, filters, history,
//     activity, entity tags, locks, values chosen by the caller. Sure: the limits
//     of 20 keys, 2,000 service IDs in a group and 100,000 in an account, names
//     that are not unique, groups that hide their content, deletion of keys 90
//     days after they expired, the 422 with BXNIM0151E for the 21st key, the 403
//     that names action, subject and resource, BXNIM0308E, what Viewer, Operator,
//     Editor and Administrator may, and that a leaked key is disabled by default.
//     Modelled: the bodies and the bounds of fields. Guessed: the names of most
//     actions, and the statuses and codes of the other errors.
//   - /v1/profiles with rules, links and identities: every operation; modelled. Sure:
//     unique names, 2,000 in an account, and the actions that audit names for
//     profiles. Guessed: that the roles are those of service IDs, that a change of
//     rules, links and identities is a change of the profile, the ends of CRNs and
//     the errors. Links and claim rules say which compute resources assume the
//     profile; that the claims have the names of a link's fields is a guess. A
//     profile without any takes the token of a resource that is not described. Rules
//     for federated users and identities have no effect: see the grants above.
//   - /v1/accounts/{id}/settings/identity. Sure: that Operator, Editor and
//     Administrator change it, and that a restriction of service IDs binds even
//     the owner. Modelled: the body. The restrictions and the life of access
//     tokens have an effect; the other settings have none. Guessed: that a
//     program without a role creates no service IDs.
//   - /v1/serviceid_groups, /v1/accounts/{id}/limits/identity: every operation;
//     modelled. Guessed: the IDs and the number of groups.
//   - /v1/activity/accounts/{id}/report: modelled. Guessed: how long one takes.
//   - Keys of users: a user creates only their own. There is no API for users:
//     the account has its owner, and the control API adds more.
//   - /v2/policies, /v1/policies, GET /v2/roles: access policies of identities and
//     access groups. Sure: a creator grants no more than it has and still gets a
//     201, a conflict names the existing policy, 4,020 policies in an account and
//     1,000 of a subject, the placeholders that version 1 shows for version 2, the
//     conflict with the whole policy, policies on all account management services
//     and on the service group IAM, users who are not in the account as subjects.
//     Modelled: the bodies, the operators and patterns, and that a PATCH restores
//     a deleted policy. Guessed: the statuses of limits and of a locked subject.
//     Time windows have their effect. A policy on tags grants nothing, and
//     no policy has a last permit. Authorizations exist only where a template's
//     assignment creates them.
//   - /v2/roles: custom roles. Sure: the form of the name, at least one action of
//     the service, 40 in an account, and that access management's Administrator
//     changes them. Modelled: the bodies. Guessed: the other bounds (those of IBM's
//     Terraform provider), 409 for a role that a policy grants, and that a custom
//     role works as those roles of its service whose actions it has. The actions of
//     the platform roles and of Reader, Writer and Manager are not known: a custom
//     role never works as one of these.
//   - /v1/policy_templates, /v1/role_templates, /v1/action_control_templates and
//     their assignments: every operation. Sure: that no user, not even the owner,
//     has the roles that manage and assign templates by default (here a policy
//     gives them to the owner, and a test may take them), that a committed version
//     cannot change, that only a committed one is assigned, that a name given to
//     one version renames all, that nothing assigned can be deleted, 500 policy
//     templates and 100 versions of each. Modelled: the bodies and states. Guessed:
//     the CRNs of the two roles, the statuses of errors, the lengths of names, that
//     a commit needs complete content, and that a template goes with its last
//     version. An assignment is done at once, to the one child account, which has
//     nothing but what assignments create. There are no account groups. An
//     authorization and an action control have no effect, and the templates of
//     access policies cannot be assigned by themselves.
//   - /v1/profile_templates, /v1/account_settings_templates and their assignments:
//     every operation, with the rules above. Sure: the actions of audit. Modelled:
//     the bodies, 202 and the states. Guessed: the roles on IAM identity, that an
//     update keeps what it does not name, that a change is rejected with 409 in the
//     child account, and the order of settings: a template's goes before that of
//     the account. The policy templates that a profile's template names become
//     policies of the profile. The action controls have no effect.
//   - /v1/idps with consumers, /v2/loginsettings: modelled; no effect. Guessed: the
//     roles, the errors, that private keys are not returned, that an account has
//     one default, and that a provider in use cannot be deleted. SAML metadata and
//     tests of a provider are not emulated.
//   - /v1/mfa: modelled. Guessed: the role, and that no user is enrolled.
//   - /v1/preferences: sure, but for the role that reads; no effect.
//   - /v1/accounts/{id}/effective_settings/identity, of both accounts: modelled.
//   - /v1/accounts/{id}/settings/access_management: modelled; no effect. Guessed:
//     the roles.
//   - /v2/groups: access groups and members; modelled. Guessed: the error codes.
//     No rules, no templates, no Public Access group.
//   - /v2/projects with secrets, config maps, apps and revisions, jobs, job runs,
//     functions, builds, build runs, bindings and domain mappings (Code Engine).
//     Sure: the quotas, the bounds of every field (those of the API definition, as
//     IBM's Terraform provider has them, and of the pages limits and
//     mem-cpu-combo), 10 KiB for a job and a run, secrets in clear text, values
//     that change only with If-Match, a token with or without "Bearer", a softly
//     deleted project that keeps its name for seven days, the forms of the API
//     versions 2024-05-13 and 2025-07-10, how long a build run is kept that
//     succeeded, that a domain is mapped once in a region, to an app or function
//     and until that is deleted, that a binding gives an app a new revision, and
//     that a secret is bound to a component once. Modelled: the bodies, statuses
//     and reasons; those of functions and builds are from the newest SDK. Guessed:
//     that a project's name is free in another resource group (two pages differ),
//     the statuses of errors (412 for a stale tag, 403 for a quota, 400 for a
//     field), lower bounds of counts and times, that the instances of an app at
//     least must not be more than those at most, that deleting a job deletes its
//     runs and bindings but deleting a build keeps its runs, how long a failed
//     build run is kept (two pages differ), the ID and status of a binding, that
//     its deletion changes no app, and 404 for a component or secret that does not
//     exist. Nothing runs: unless a play says otherwise, an app is ready, and a
//     run has ended, at once. An app fails whose image is in a registry below
//     .invalid, which cannot exist. A build whose secrets do not exist is failed, and so
//     are its runs. Certificates are not checked, and domain mappings that Code
//     Engine manages are not shown. Runtimes, outbound destinations, data stores,
//     instances and fleets are not emulated.
//   - The roll-out of an app. Modelled: the statuses and reasons of apps and
//     revisions. Guessed: which status goes with which reason, and that an app
//     whose newest revision fails serves the older one.
//   - /api/v2 (Secrets Manager): secret groups, secrets of the types arbitrary,
//     kv, iam_credentials and custom_credentials with versions, metadata, locks
//     and tasks, configurations, and the registration with Event Notifications.
//     Sure: the role that each action needs, names and limits, locks, expiry, null
//     for expiration_date, which version data can be deleted, force_delete for
//     credentials that a provider still has. Modelled: the rest. Guessed: codes and
//     most statuses of errors, the role that deletes version data, and that
//     force_delete leaves the credentials at the provider. A task creates a run of
//     its Code Engine job, but nothing runs it: the caller updates the task, or it
//     times out. Deletions that failed are not retried. Configurations for IAM and
//     public certificates are stored without effect. Other types of secrets,
//     configurations for private certificates and actions are not emulated.
//   - POST /event-notifications/v1/instances/{id}/notifications: events in binary or
//     structured mode are checked and stored, but not delivered. Sure: the
//     mandatory attributes, the free severity, 64 KB, the roles and the CRN of
//     Event-Notification-Publisher. Modelled: 202, and the structured form sent as
//     application/json. Guessed: the errors, and the CRN of Event-Source-Manager.
//   - GET /v2/resource_instances (the resource controller), with instances of Cloud
//     Logs and Secrets Manager only. Sure: the fields. Guess: which roles show an
//     instance.
//   - POST /logs/v1/singles (Cloud Logs ingestion). Sure: the form, the limit, 403
//     without one of the roles Sender, Writer and Manager, a 200 that reports
//     rejected entries, that an entry older than 24 hours or more than 4 hours
//     ahead is not accepted. Guessed: that a 200 reports those, the bodies of
//     success, and 401 for a bad token.
//   - Uses of data, by the host: a bucket or an object of Cloud Object Storage (GET,
//     PUT), a topic of Event Streams (GET /admin/topics/{topic}, POST
//     /v2/topics/{topic}/records), an image of Container Registry (GET
//     /api/v1/images/{image}/inspect). Sure: hosts, paths, and the roles that each
//     takes. Modelled: every bucket and topic exists, in one instance each, and every
//     image; no data is kept but the names of objects. Guessed: 403 and not 401 for a
//     denial, and the errors.
//
// Unknown fields of a body are ignored. A missing field is rejected in the error
// format of the service. Every rejection has an error.
//
// Access is enforced everywhere: the acting identity needs an effective policy.
// A request to api.<region>.codeengine.cloud.ibm.com, to
// <guid>.<region>.secrets-manager.appdomain.cloud or to
// <guid>.ingress.<region>.logs.cloud.ibm.com (by the Host header, public or
// private) reaches only that region or instance.
//
// Lags make IAM eventually consistent. A new key, service ID or policy becomes
// visible late. A deleted one stays in lists for as long, and a deleted policy or
// key in effect. A changed policy keeps its old effect, and activity shows late.
// Sure: that there are lags. Guessed: their length, and that a GET of something
// deleted gets 404 at once. New members of a group have its access after the
// policy lag, and lose it at once. Rate limits, of all calls, of each service
// and of each identity, answer 429 before a fault counts the call; IBM publishes
// no numbers.
//
// # Events
//
// A subscription gets one of three kinds of events. [KindLifecycle] has the
// lifecycle events of projects. Sure: the data, which IBM documents for another
// service, and the envelope of Event Notifications. Guessed: that they come
// without ce- headers, and the type, source and severity. [KindAudit] has audit
// records as a Kafka subscription of Code Engine delivers them. Sure: the
// actions, and that an attempt on something locked is critical and one without
// authorization has no initiator's name. Guessed: see [KindAudit].
// [KindSecrets] has the events of Secrets Manager, as Event Notifications
// delivers them. Sure: their names, data and severities. Guessed: the headers.
//
// # Leaks
//
// IBM's scanner does with a leaked key what its action_when_leaked says. Sure:
// the three actions, and disable as the default. Guessed: that a lock does not
// stop it, its IAM ID, the audit record, and the mail's receiver and text.
//
// # Size
//
// 100,000 seeded credentials, each a service ID, a key and a policy, take 269 MiB
// and are listed over HTTP at 530 to 820 pages of 100 per second of CPU time, the
// client's included (BenchmarkPages). On two cores that other programs also used
// (load 8 to 12) this was 330 to 910 pages per second in three runs, and 180 to 510
// in three others. Tests check that a credential takes less than 4 kB, and that the
// cost of a page does not depend on its position in the list.
//
// # Control API
//
// Below /emulator/, JSON, without authentication. [Controls] lists the operations,
// `latchkey emulator --help` prints them, and docs/emulator.md has curl lines.
// Bodies are strict: an unknown field is rejected with 400.
package emulator
