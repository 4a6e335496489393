// Package service takes requests and answers them. Every form of the program has
// the same service: the application and the function over HTTP, the job with an
// event from its environment.
//
// One event takes this path:
//
//	decode      events.go, hooks.go, batch.go: bytes become a CloudEvent; bodies are bounded first
//	interpret   rules.go: built-in senders and the config's rules say what is requested
//	authorize   authorize.go: the caller may request the verb, or only a look
//	run         run.go: the credentials in scope are reconciled in the background
//	respond     respond.go: outcomes become an answer, within the time that the caller waits
//
// An event only triggers a check. A caller that shows no token can make latchkey
// look, which does what is due anyway; it cannot demand anything. A demand is
// answered with 2xx only when it was met, or is recorded where a later run finds
// it.
package service
