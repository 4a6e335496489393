// Package cli holds what the command line is to its user: tables and other formats of
// outcomes, questions, waiting, help, logs and exit codes. Runner runs the commands
// that a person uses on credentials. It knows neither the config nor the adapters.
package cli
