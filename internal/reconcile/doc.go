// Package reconcile runs the protocol for one credential: it observes IAM and
// the stores, lets rotation.Decide plan, and applies the plan.
//
// Every trigger takes the same way. Events only trigger a run; the run reads the
// actual state. Each step can be repeated, and the process may stop between and
// within any two steps. The next run needs only what IAM and the stores return,
// including the marks that earlier runs left there (see Marker and KeyMarks).
//
// # How a run works
//
//	credential.go  what a run works on, its request and its outcome
//	flight.go      one run at a time per credential; waiting callers share one
//	reconcile.go   the rounds of a run, and its outcome
//	observe.go     read the service ID, keys, stores and consumers, and IAM's clock
//	trust.go       drop what stores and marks say that can't be true
//	policy.go      compare policies in full
//	drift.go       what a service ID has beyond the config
//	state.go       build the input of rotation.Decide
//	apply.go       take the planned steps in order
//	serviceid.go, mint.go, clearance.go, publish.go, restart.go, keychange.go,
//	keyend.go, adopt.go, lock.go
//	               the calls of each step
//	offboard.go    bring a credential to its end, as package offboard decides
//	storm.go       limit forced rotations
//	rescue.go      a panic is the failure of one run
//	record.go      whether a demand survives the process
//	explain.go     turn an error into a reason to be blocked
//	condition.go   the facts that the condition follows from
//	notes.go       information for the user
//	cause.go       what a run was requested by
//	describe.go    the description of a new key
//	sweep.go       runs over many credentials
//	marker.go      the marker in descriptions, and key names
//
// A run writes through fenced ports only (fencedports.go, fence.go, window.go).
// They refuse a write that comes too late to be safe.
//
// # Ports
//
// The package declares the small interfaces that it uses (ports.go). Each
// outside system has an adapter package. Adapters sort errors by the sentinels in
// errors.go, which say what the caller may do next.
package reconcile
