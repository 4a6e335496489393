// Package service takes requests and answers them. Every form of the program uses
// it: the application and the function over HTTP, the job with an event from its
// environment.
//
// One event takes this path:
//
//	decode      events.go, hooks.go, batch.go: bytes become a CloudEvent; bodies are bounded first
//	interpret   rules.go: built-in senders and the config's rules make requests of it
//	authorize   authorize.go: the caller may request the verb, or only a look
//	run         run.go: the credentials in scope are reconciled in the background
//	respond     respond.go: outcomes become an answer, within the time that the caller waits
//
// A look only does what is due anyway, and needs no token. Every other request
// needs an authenticated caller. A demand is answered with 2xx only if it was
// met, or is recorded where a later run finds it.
package service
