package main

import "errors"

// environment reads a variable of the process; unset is "".
type environment func(string) string

// Errors with an exit code of their own; see exit.
var (
	errPending  = errors.New("changes are pending")
	errTryAgain = errors.New("try again later")
	errBlocked  = errors.New("blocked: a person has to act")
)
