// Package bench measures latchkey, each row against a reference in the same run.
// It has only tests. Those with the build tag bench are the rows: make bench runs them.
// make test runs the others, which count calls.
//
// A row is one line: its name, what was measured, its goal, and ok or SHORT.
// docs/performance.md explains the rows and has the numbers.
package bench
