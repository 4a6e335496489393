package main

import (
	"errors"
	"io"
)

// environment reads a variable of the process; unset is "".
type environment func(string) string

// streams are the process's standard input and output.
type streams struct {
	in  io.Reader
	out io.Writer
}

// Errors with an exit code of their own; see exit.
var (
	errPending  = errors.New("changes are pending")
	errTryAgain = errors.New("try again later")
	errBlocked  = errors.New("blocked: a person has to act")
)
