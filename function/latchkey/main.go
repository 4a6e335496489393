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

	"github.com/latchkey-io/latchkey/internal/config"
)

// commands are those of every build. A build with the tag production has no
// others.
type commands struct {
	PrintVersion kong.VersionFlag `name:"version" help:"Print version, commit and date."`

	Serve    serveCommand    `cmd:"" help:"Take events over HTTP and act on them."`
	Invoke   invokeCommand   `cmd:"" help:"Take calls as JSON lines on stdin: the function's resident child."`
	Job      jobCommand      `cmd:"" help:"Do one job run: the event in the environment, or a sweep."`
	Sweep    sweepCommand    `cmd:"" help:"Look at credentials once and do what is due."`
	Plan     planCommand     `cmd:"" help:"Print what a sweep would do now, and why. Exit 2: changes are pending."`
	Rotate   rotateCommand   `cmd:"" help:"Demand a newer key."`
	Revoke   revokeCommand   `cmd:"" help:"Replace and delete a key that leaked."`
	Adopt    adoptCommand    `cmd:"" help:"Take over an existing key whose value a store holds."`
	Claim    claimCommand    `cmd:"" help:"Let latchkey manage a service ID or key that IAM does not show to be its own."`
	Status   statusCommand   `cmd:"" help:"Print each credential's key and stores; change nothing."`
	Doctor   doctorCommand   `cmd:"" help:"Check, from here, everything that the config needs; change nothing."`
	Validate validateCommand `cmd:"" help:"Check a config and print every fault with its line."`
	Version  versionCommand  `cmd:"" help:"Print version, commit and date."`
	Help     helpCommand     `cmd:"" help:"Print help on a command."`

	development
}

func main() {
	os.Exit(execute())
}

// execute runs the program on the process's streams and signals.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	// A write to a pipe without a reader returns EPIPE then, and the command ends in
	// order. The signal would leave the demo's program behind.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
}

// run is the whole program: it returns the exit code. It reads nothing of the
// operating system's globals, so tests can run it in-process.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	broken := func() { cancel(syscall.EPIPE) }
	std := newStreams(env, stdin, stdout, stderr)
	out, log := &output{to: stdout, broken: broken}, &output{to: stderr, broken: broken}
	std.out, std.err = out, log
	code := command(ctx, args, env, std)
	return out.verdict(code, stderr)
}

// command parses the arguments, runs the command and returns its exit code.
func command(ctx context.Context, args []string, env func(string) string, std streams) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	}
	left := -1
	parser, err := kong.New(&commands{},
		kong.Name("latchkey"),
		kong.Description("Creates, rotates and revokes IBM Cloud service ID API keys, automatically and without downtime."),
		kong.Writers(std.out, std.err),
		kong.Vars{"version": buildVersion()},
		kong.Help(printHelp),
		kong.Exit(func(code int) { left = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(environment(env), std),
	)
	if err != nil {
		fmt.Fprintln(std.err, "latchkey:", err)
		return exitError
	}
	parsed, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if err != nil {
		fmt.Fprintf(std.err, "latchkey: %v\nlatchkey --help lists the commands.\n", err)
		return exitError
	}
	log := slog.New(slog.DiscardHandler)
	if command, logs := parsed.Selected().Target.Interface().(logger); logs {
		if log, err = command.logger(env, std); err != nil {
			return exit(err, std.err)
		}
	}
	err = parsed.Run(log)
	switch {
	case err == nil || ctx.Err() == nil:
	case errors.Is(context.Cause(ctx), syscall.EPIPE):
		return exitError
	default:
		fmt.Fprintln(std.err, "latchkey: interrupted")
		return exitTryAgain
	}
	return exit(err, std.err)
}

// exit prints a command's error and returns its exit code. If several apply,
// exitTryAgain precedes exitBlocked, which precedes exitPending.
func exit(err error, stderr io.Writer) int {
	var faults config.Faults
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &faults):
		fmt.Fprintln(stderr, faults)
		return exitError
	case errors.Is(err, errPending) && !errors.Is(err, errTryAgain) && !errors.Is(err, errBlocked):
		return exitPending
	}
	fmt.Fprintln(stderr, "latchkey:", err)
	switch {
	case errors.Is(err, errTryAgain):
		return exitTryAgain
	case errors.Is(err, errBlocked):
		return exitBlocked
	}
	return exitError
}
