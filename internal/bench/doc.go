// Package bench measures latchkey, each row against a reference in the same run.
// It has only tests with the build tag bench: make bench runs them.
//
// A row is one line: its name, what was measured, its goal, and ok or SHORT.
// docs/performance.md explains the rows and has the numbers.
package bench
