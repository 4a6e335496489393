// Command latchkey creates, rotates and revokes IBM Cloud service ID API keys,
// automatically and without downtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/secret"
	_ "github.com/latchkey-io/latchkey/internal/start" // first
)

// commands are those of every build. A build with the tag production has no
// others.
type commands struct {
	unattended

	Sweep       sweepCommand       `cmd:"" help:"Look at credentials once and do what is due."`
	Plan        planCommand        `cmd:"" help:"Print what a sweep would do now, and why."`
	Rotate      rotateCommand      `cmd:"" help:"Demand a newer key."`
	Revoke      revokeCommand      `cmd:"" help:"Replace and delete a key that leaked."`
	Deprovision deprovisionCommand `cmd:"" help:"Bring a credential to its end: keys, service ID and store entries."`
	Adopt       adoptCommand       `cmd:"" help:"Take over an existing key whose value a store holds."`
	Claim       claimCommand       `cmd:"" help:"Let latchkey manage a service ID or key that IAM does not show to be its own."`
	Status      statusCommand      `cmd:"" help:"Print each credential's condition, key and stores; change nothing."`
	History     historyCommand     `cmd:"" help:"Print the life of a credential's keys; change nothing."`
	Report      reportCommand      `cmd:"" help:"Print the evidence about every key; change nothing."`
	Keyless     keylessCommand     `cmd:"" help:"Print which consumers could use a trusted profile instead of a key; change nothing."`
	Prove       proveCommand       `cmd:"" help:"Prove, where a consumer runs, that its trusted profile is enough for its job."`
	Doctor      doctorCommand      `cmd:"" help:"Check, from here, everything that the config needs; change nothing."`
	Init        initCommand        `cmd:"" help:"Write a first config, from flags or questions."`
	Validate    validateCommand    `cmd:"" help:"Check a config and print every fault with its line."`
	Schema      schemaCommand      `cmd:"" help:"Print the JSON Schema of the config, for editors."`
	Version     versionCommand     `cmd:"" help:"Print version, commit and date."`
	Help        helpCommand        `cmd:"" help:"Print help on a command."`

	Completion completionCommand `cmd:"" help:"Print the script that completes commands in a shell."`

	development
}

// unattended are the commands that a platform starts. Each is parsed without all others, since
// the description of a command takes a tenth of a millisecond of the start.
type unattended struct {
	versionFlag
	serve
	invoke
	job
}

type (
	versionFlag struct {
		PrintVersion kong.VersionFlag `name:"version" help:"Print version, commit and date."`
	}
	serve struct {
		Serve serveCommand `cmd:"" help:"Take events over HTTP and act on them."`
	}
	invoke struct {
		Invoke invokeCommand `cmd:"" help:"Take calls as JSON lines on stdin: the function's resident child."`
	}
	job struct {
		Job jobCommand `cmd:"" help:"Do one job run: the event in the environment, or a sweep."`
	}
)

func main() {
	os.Exit(execute())
}

// execute runs the program on the process's streams and signals.
func execute() int {
	if err := forbidDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "latchkey: forbidding core dumps:", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	// A write to a pipe without a reader returns EPIPE then, and the command ends in
	// order. The signal would leave the demo's program behind.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return run(ctx, os.Args[1:], secret.TakeVariables("IBMCLOUD_API_KEY", "SM_ACCESS_APIKEY"), os.Stdin, os.Stdout, os.Stderr)
}

// run is the whole program: it returns the exit code. It reads nothing of the
// operating system's globals, so tests can run it in-process.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	std := cli.NewStreams(env, stdin, stdout, stderr, func() { cancel(syscall.EPIPE) })
	return std.Verdict(cli.Run(ctx, cli.Program{
		Name:        "latchkey",
		Description: "Creates, rotates and revokes IBM Cloud service ID API keys, automatically and without downtime.",
		Version:     buildVersion(), Environment: emulatorHelp, Commands: grammar, Exit: exit,
		Names: func(file string) []string { return entryNames(ctx, env, file) },
	}, args, environment(env), std))
}

// grammar returns the commands among which the first argument is looked up.
func grammar(first string) any {
	switch first {
	case "serve":
		return &struct {
			versionFlag
			serve
		}{}
	case "invoke":
		return &struct {
			versionFlag
			invoke
		}{}
	case "job":
		return &struct {
			versionFlag
			job
		}{}
	}
	return &commands{}
}

// exit prints a command's error and returns its exit code.
func exit(err error, stderr io.Writer) int {
	var faults config.Faults
	if errors.As(err, &faults) {
		fmt.Fprintln(stderr, faults)
		return cli.ExitError
	}
	return cli.Exit(err, stderr)
}

type versionCommand struct{}

// Run prints version, commit and date of the build.
func (versionCommand) Run(std cli.Streams) error {
	_, err := fmt.Fprintln(std.Out, buildVersion())
	return err
}

// helpCommand is in the list of commands. The arguments become those of --help
// before they are parsed.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command; none means all."`
}

// Run is never called.
func (helpCommand) Run() error { return nil }
