package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// streams are the process's standard streams, and what is known of them.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer

	width   int  // of the terminal that out is, in columns; 0: out is no terminal
	colour  bool // out may have colours
	watched bool // err is a terminal: progress is printed
}

// newStreams looks at which of the streams are terminals.
func newStreams(env environment, in io.Reader, out, err io.Writer) streams {
	s := streams{in: in, out: out, err: err}
	if _, is := terminal(err); is {
		s.watched = true
	}
	if f, is := terminal(out); is {
		s.width = 80
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			s.width = columns
		}
		s.colour = env("NO_COLOR") == "" && env("TERM") != "dumb"
	}
	return s
}

// terminal returns the file of a stream that is a terminal.
func terminal(stream any) (*os.File, bool) {
	f, is := stream.(*os.File)
	if !is || f == nil || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return f, true
}

// progress prints a line to stderr if that is a terminal.
func (s streams) progress(format string, args ...any) {
	if s.watched {
		fmt.Fprintf(s.err, format+"\n", args...)
	}
}

// pause waits, and reports whether the context lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
