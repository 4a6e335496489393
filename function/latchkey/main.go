// Command latchkey gives IBM Cloud workloads their service ID API keys and
// keeps them fresh.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/latchkey-io/latchkey/internal/config"
)

// Exit codes.
const (
	exitOK       = 0
	exitError    = 1
	exitPending  = 2
	exitBlocked  = 3
	exitTryAgain = 75
)

// process is what the program has of its surroundings: nothing else is read
// from the operating system's globals, so tests can run it in-process.
type process struct {
	args   []string
	env    func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	log    *slog.Logger

	endpoint string // from the command line; else LATCHKEY_ENDPOINT
}

type commands struct {
	Serve    serveCommand    `cmd:"" help:"Take events over HTTP and act on them."`
	Invoke   invokeCommand   `cmd:"" help:"Take calls as JSON lines on stdin: the function's resident child."`
	Job      jobCommand      `cmd:"" help:"Do one job run: the event in the environment, or a sweep."`
	Sweep    sweepCommand    `cmd:"" help:"Look at credentials once and do what is due."`
	Plan     planCommand     `cmd:"" help:"Say what a sweep would do now, and why. Exit 2: changes are pending."`
	Rotate   rotateCommand   `cmd:"" help:"Demand a newer key."`
	Revoke   revokeCommand   `cmd:"" help:"End a key that leaked, as soon as consumers have another."`
	Adopt    adoptCommand    `cmd:"" help:"Take an existing key over where a store holds its value."`
	Status   statusCommand   `cmd:"" help:"Show each credential's key and stores; change nothing."`
	Doctor   doctorCommand   `cmd:"" help:"Check, from here, everything that the config needs; change nothing."`
	Validate validateCommand `cmd:"" help:"Check a config and name every fault with its line."`
	Emulator emulatorCommand `cmd:"" help:"Run IBM Cloud on loopback."`
	Demo     demoCommand     `cmd:"" help:"Show the whole path on the emulator: no account needed."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &process{args: args, env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	p.log = slog.New(slog.NewJSONHandler(stderr, nil))

	left := -1
	parser, err := kong.New(&commands{},
		kong.Name("latchkey"),
		kong.Description("Gives IBM Cloud workloads their service ID API keys and keeps them fresh."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { left = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		fmt.Fprintln(stderr, "latchkey:", err)
		return exitError
	}
	parsed, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if err != nil {
		fmt.Fprintf(stderr, "latchkey: %v\nlatchkey --help names the commands.\n", err)
		return exitError
	}
	return p.exit(parsed.Run())
}

// exit turns a command's error into an exit code, and tells it to people.
func (p *process) exit(err error) int {
	var faults config.Faults
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &faults):
		fmt.Fprintln(p.stderr, faults)
		return exitError
	case errors.Is(err, errPending) && !errors.Is(err, errTryAgain) && !errors.Is(err, errBlocked):
		return exitPending
	case errors.Is(err, errTryAgain):
		fmt.Fprintln(p.stderr, "latchkey:", err)
		return exitTryAgain
	case errors.Is(err, errBlocked):
		fmt.Fprintln(p.stderr, "latchkey:", err)
		return exitBlocked
	}
	fmt.Fprintln(p.stderr, "latchkey:", err)
	return exitError
}

var (
	errTryAgain = errors.New("try again later")
	errBlocked  = errors.New("blocked: a person has to act")
)

type versionCommand struct{}

// Run prints the module's version as the build recorded it.
func (versionCommand) Run(p *process) error {
	fmt.Fprintln(p.stdout, version())
	return nil
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "latchkey (unknown build)"
	}
	v, revision := info.Main.Version, ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = " " + s.Value
		}
	}
	return "latchkey " + v + revision + " " + info.GoVersion
}
