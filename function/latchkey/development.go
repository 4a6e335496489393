//go:build !production

package main

// cloudFlag is the flag that names IBM Cloud.
type cloudFlag struct {
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
}

// emulatorHelp is the part of the help about the emulator.
const emulatorHelp = "  LATCHKEY_ENDPOINT       the emulator's URL, without --endpoint\n"

// development are the commands that a production build leaves out: the emulator
// is a third of the program.
type development struct {
	Emulator emulatorCommand `cmd:"" help:"Run IBM Cloud on loopback."`
	Verify   verifyCommand   `cmd:"" help:"Find out on an account what IBM's documents leave open, and delete everything again."`
	Rehearse rehearseCommand `cmd:"" help:"Play the account's next 90 days on the emulator, and print what would break and when; change nothing."`
	Demo     demoCommand     `cmd:"" help:"Show the whole path on the emulator: no account needed."`
}
