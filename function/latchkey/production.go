//go:build production

package main

// development has no commands in a production build.
type development struct{}
