// Package reconcile brings one credential from what is to what should be:
// observe IAM and the stores, let rotation.Decide plan, apply the plan.
//
// Every trigger takes the same way. An event says where to look and what is
// demanded, never what is. Each step may be repeated, and the process may die
// between and inside any two: the next run needs nothing but what IAM and the
// stores say, and what earlier runs left there as marks (see Marker and
// KeyMarks).
//
// The package declares the small interfaces that it consumes; the adapters
// implement them, one package per outside system. Errors of the outside are
// sorted by the sentinels in errors.go, which say what a caller may do next.
package reconcile
