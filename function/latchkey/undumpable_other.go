//go:build !linux

package main

// forbidDumps does nothing: the system has no such switch.
func forbidDumps() error { return nil }
