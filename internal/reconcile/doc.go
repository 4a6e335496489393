// Package reconcile runs the protocol for one credential: it observes IAM and
// the stores, lets rotation.Decide plan, and applies the plan.
//
// Every trigger takes the same way. Events only trigger a run; the run reads the
// actual state. Each step can be repeated, and the process may stop between and
// within any two steps. The next run needs only what IAM and the stores return,
// including the marks that earlier runs left there (see package marker).
//
// # How a run works
//
//	request.go     the request of a run
//	reconcile.go   the rounds of a run, and its outcome
//	run.go         a round: its facts, which package observe reads, and its attempt
//	state.go       let the plan be made, and set what the run has observed
//	apply.go       take the planned steps in order
//	serviceid.go, mint.go, clearance.go, publish.go, keychange.go, keyend.go,
//	adopt.go, lock.go
//	               the calls of each step
//	offboard.go    bring a credential to its end, as package offboard decides
//	keyless.go     plan and make the trusted profile, as package keyless decides
//	record.go      whether a demand survives the process
//	refusal.go     keep the reason of a refusal, for looks to tell
//	explain.go     what blocks or delays the run, and why
//	errors.go      errors of a run
//	condition.go   the facts that the condition follows from
//	notes.go       information for the user
//
// A run reads and writes through package fence, which refuses a write that comes too
// late to be safe. Package port declares the ports, package result the outcome, and
// package fault which reason explains an error.
package reconcile
