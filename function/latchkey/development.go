//go:build !production

package main

// development are the commands that a production build leaves out: the emulator
// is a third of the program.
type development struct {
	Emulator emulatorCommand `cmd:"" help:"Run IBM Cloud on loopback."`
	Verify   verifyCommand   `cmd:"" help:"Find out on an account what IBM's documents leave open, and delete everything again."`
	Rehearse rehearseCommand `cmd:"" help:"Play the account's next 90 days on the emulator, and print what would break and when; change nothing."`
	Demo     demoCommand     `cmd:"" help:"Show the whole path on the emulator: no account needed."`
}
