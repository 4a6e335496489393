package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"
)

// Program is the commands of one program, and what they receive.
type Program struct {
	Name, Description, Version string
	// Environment are further lines of help about the environment.
	Environment string
	// Commands returns the commands among which the first argument is looked up: a
	// pointer to a struct with Kong's tags.
	Commands func(first string) any
	// Names returns the names of a config's entries, for the completion of arguments.
	Names func(file string) []string
	// Exit prints a command's error and returns its exit code.
	Exit func(err error, stderr io.Writer) int
}

// Run parses the arguments, runs the command and returns its exit code. The command's
// Run may take the context, env's type, Streams and *slog.Logger.
func Run[Env ~func(string) string](ctx context.Context, p Program, args []string, env Env, std Streams) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	}
	left := -1
	parser, err := kong.New(p.Commands(args[0]),
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Writers(std.Out, std.Err),
		kong.Vars{"version": p.Version},
		kong.Help(helpPrinter(p.Environment)),
		kong.Exit(func(code int) { left = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(env, std),
	)
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v\n", p.Name, err)
		return ExitError
	}
	if args[0] == completing {
		for _, word := range (Completer{Model: parser.Model, Credentials: p.Names}).Complete(args[1:]) {
			fmt.Fprintln(std.Out, word)
		}
		return ExitOK
	}
	parsed, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if std.Unwritten() {
		return ExitOK // the verdict on the streams is another
	}
	if err == nil {
		err = checkGiven(parsed)
	}
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v\n%[1]s --help lists the commands.\n", p.Name, err)
		return ExitError
	}
	log := slog.New(slog.DiscardHandler)
	if command, logs := parsed.Selected().Target.Interface().(Logger); logs {
		if log, err = command.Logger(env, std); err != nil {
			return p.Exit(err, std.Err)
		}
	}
	err = parsed.Run(log)
	switch {
	case err == nil || ctx.Err() == nil:
	case errors.Is(context.Cause(ctx), syscall.EPIPE):
		return ExitError
	default:
		fmt.Fprintf(std.Err, "%s: interrupted\n", p.Name)
		return ExitTryAgain
	}
	return p.Exit(err, std.Err)
}

// checkGiven returns an error for a flag or an argument that is given without a text. A
// script whose variable is not set must not have done something else than it asks for.
func checkGiven(parsed *kong.Context) error {
	for _, given := range parsed.Path {
		switch {
		case given.Flag != nil && !given.Resolved && hasEmpty(given.Flag.Target):
			return fmt.Errorf("--%s is empty", given.Flag.Name)
		case given.Positional != nil && hasEmpty(given.Positional.Target):
			return fmt.Errorf("<%s> is empty", given.Positional.Name)
		}
	}
	return nil
}

// hasEmpty reports whether a value is an empty text, or a list that has one or is empty.
func hasEmpty(v reflect.Value) bool {
	if v.Kind() != reflect.String && v.Kind() != reflect.Slice {
		return false
	}
	for i := range v.Len() {
		if v.Kind() == reflect.Slice && hasEmpty(v.Index(i)) {
			return true
		}
	}
	return v.Len() == 0
}
