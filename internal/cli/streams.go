package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/latchkey-io/latchkey/internal/userfile"
)

// Streams are the process's standard streams, and what is known of them.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	// Width is the width of the terminal that Out is, in columns; 0: Out is no
	// terminal.
	Width int
	// Colour is true if Out may have colours.
	Colour bool
	// Watched is true if Err is a terminal: progress is printed.
	Watched bool

	out *output
}

// NewStreams looks at which of the streams are terminals. broken is called when the
// reader of stdout or stderr has gone.
func NewStreams(env func(string) string, stdin io.Reader, stdout, stderr io.Writer, broken func()) Streams {
	out := &output{to: stdout, broken: broken}
	s := Streams{In: stdin, Out: out, Err: &output{to: stderr, broken: broken}, out: out}
	if _, is := terminal(stderr); is {
		s.Watched = true
	}
	if f, is := terminal(stdout); is {
		s.Width = columns(f)
		s.Colour = env("NO_COLOR") == "" && env("TERM") != "dumb"
	}
	return s
}

// Verdict returns the exit code of a command that ended with code. Output that was
// not written is an error.
func (s Streams) Verdict(code int) int { return s.out.verdict(code, s.Err) }

// Unwritten reports whether output could not be written.
func (s Streams) Unwritten() bool { return s.out.failed() != nil }

// terminal returns the file of a stream that is a terminal.
func terminal(stream any) (*os.File, bool) {
	f, is := stream.(*os.File)
	if !is || f == nil || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return f, true
}

// columns returns the width of a terminal.
func columns(terminal *os.File) int {
	if n, _, err := term.GetSize(int(terminal.Fd())); err == nil && n > 0 {
		return n
	}
	return 80 // a terminal may have no size
}

// progress prints a line to stderr if that is a terminal.
func (s Streams) progress(format string, args ...any) {
	if s.Watched {
		fmt.Fprintln(s.Err, visible(fmt.Sprintf(format, args...)))
	}
}

// printLine prints a line. On a terminal it is wrapped between words.
func (s Streams) printLine(format string, args ...any) error {
	text := visible(fmt.Sprintf(format, args...))
	if s.Width > 0 {
		text = wrap(text, s.Width)
	}
	_, err := io.WriteString(s.Out, text+"\n")
	return err
}

// Lines returns a writer of lines to stdout. On a terminal it wraps them between words.
// Each call of Write has whole lines.
func (s Streams) Lines() io.Writer { return lines{s} }

type lines struct{ std Streams }

// Write satisfies io.Writer.
func (l lines) Write(p []byte) (int, error) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(p), "\n"), "\n") {
		if err := l.std.printLine("%s", line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// errNotConfirmed: the answer was not yes.
var errNotConfirmed = errors.New("not confirmed: nothing was done")

// Confirm asks on a terminal. Elsewhere --yes is required.
func (s Streams) Confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if _, is := terminal(s.In); !is {
		return errors.New("stdin is not a terminal: pass --yes to confirm")
	}
	return s.ask(question)
}

// Answer asks for a value that no flag gives, on a terminal.
func (s Streams) Answer(to *string, question, flag string) error {
	if *to != "" {
		return nil
	}
	if _, is := terminal(s.In); !is {
		return fmt.Errorf("stdin is not a terminal: pass %s", flag)
	}
	fmt.Fprintf(s.Out, "%s: ", question)
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	*to = strings.TrimSpace(line)
	return nil
}

func (s Streams) ask(question string) error {
	fmt.Fprintf(s.Out, "%s [y/N] ", visible(question))
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errNotConfirmed
	}
	return nil
}

// WriteFile writes a new file. It asks before it replaces one, unless yes.
func (s Streams) WriteFile(ctx context.Context, name, text string, yes bool) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // another process may create it meanwhile
	switch {
	case errors.Is(err, fs.ErrExist):
		if err := s.Confirm(yes, name+" exists. Replace it?"); err != nil {
			return fmt.Errorf("%s exists: %w", name, err)
		}
		return userfile.Write(ctx, name, []byte(text))
	case err != nil:
		return err
	}
	if err := errors.Join(f.Close(), userfile.Write(ctx, name, []byte(text))); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
