//go:build production

package main

// cloudFlag is the flag that names IBM Cloud. Help does not list it.
type cloudFlag struct {
	Endpoint string `hidden:""`
}

// emulatorHelp is empty: a production build has no emulator.
const emulatorHelp = ""

// development has no commands in a production build.
type development struct{}
