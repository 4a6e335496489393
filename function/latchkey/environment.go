package main

import "errors"

// environment reads a variable of the process; unset is "".
type environment func(string) string

// Exit codes. The help lists them.
const (
	exitOK       = 0
	exitError    = 1
	exitPending  = 2
	exitBlocked  = 3
	exitTryAgain = 75
)

// Errors with an exit code of their own; see exit.
var (
	errPending  = errors.New("changes are pending")
	errTryAgain = errors.New("try again later")
	errBlocked  = errors.New("blocked: a person has to act")
)
