// Command latchkey creates, rotates and revokes IBM Cloud service ID API keys,
// automatically and without downtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/secret"
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
	Doctor      doctorCommand      `cmd:"" help:"Check, from here, everything that the config needs; change nothing."`
	Init        initCommand        `cmd:"" help:"Write a first config, from flags or questions."`
	Validate    validateCommand    `cmd:"" help:"Check a config and print every fault with its line."`
	Schema      schemaCommand      `cmd:"" help:"Print the JSON Schema of the config, for editors."`
	Version     versionCommand     `cmd:"" help:"Print version, commit and date."`
	Help        helpCommand        `cmd:"" help:"Print help on a command."`

	Completion completionCommand `cmd:"" help:"Print the script that completes commands in a shell."`

	development
}

// unattended are the commands that a platform starts. They are parsed without the others,
// since the description of all commands takes a twelfth of the start.
type unattended struct {
	PrintVersion kong.VersionFlag `name:"version" help:"Print version, commit and date."`

	Serve  serveCommand  `cmd:"" help:"Take events over HTTP and act on them."`
	Invoke invokeCommand `cmd:"" help:"Take calls as JSON lines on stdin: the function's resident child."`
	Job    jobCommand    `cmd:"" help:"Do one job run: the event in the environment, or a sweep."`
}

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
	return std.Verdict(command(ctx, args, env, std))
}

// command parses the arguments, runs the command and returns its exit code.
func command(ctx context.Context, args []string, env func(string) string, std cli.Streams) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	}
	left := -1
	parser, err := kong.New(grammar(args[0]),
		kong.Name("latchkey"),
		kong.Description("Creates, rotates and revokes IBM Cloud service ID API keys, automatically and without downtime."),
		kong.Writers(std.Out, std.Err),
		kong.Vars{"version": buildVersion()},
		kong.Help(cli.HelpPrinter(emulatorHelp)),
		kong.Exit(func(code int) { left = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(environment(env), std),
	)
	if err != nil {
		fmt.Fprintln(std.Err, "latchkey:", err)
		return cli.ExitError
	}
	if args[0] == cli.Completing {
		complete := cli.Completer{Model: parser.Model, Credentials: func(file string) []string { return entryNames(env, file) }}
		for _, word := range complete.Complete(args[1:]) {
			fmt.Fprintln(std.Out, word)
		}
		return cli.ExitOK
	}
	parsed, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if std.Unwritten() {
		return cli.ExitOK // the verdict on the streams is another
	}
	if err != nil {
		fmt.Fprintf(std.Err, "latchkey: %v\nlatchkey --help lists the commands.\n", err)
		return cli.ExitError
	}
	log := slog.New(slog.DiscardHandler)
	if command, logs := parsed.Selected().Target.Interface().(cli.Logger); logs {
		if log, err = command.Logger(env, std); err != nil {
			return exit(err, std.Err)
		}
	}
	err = parsed.Run(log)
	switch {
	case err == nil || ctx.Err() == nil:
	case errors.Is(context.Cause(ctx), syscall.EPIPE):
		return cli.ExitError
	default:
		fmt.Fprintln(std.Err, "latchkey: interrupted")
		return cli.ExitTryAgain
	}
	return exit(err, std.Err)
}

// grammar returns the commands among which the first argument is looked up.
func grammar(first string) any {
	switch first {
	case "serve", "invoke", "job":
		return &unattended{}
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
