package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/result"
)

// When and how often the progress of a long command is printed.
const (
	progressAfter     = 2 * time.Second
	progressWatched   = 200 * time.Millisecond
	progressUnwatched = 10 * time.Second
)

// Progress prints how far a command with many credentials is, to stderr. On a terminal
// it is one line that is replaced. Elsewhere it is a line every 10 s. A short command
// prints none.
type Progress struct {
	std Streams

	mu             sync.Mutex
	begun, printed time.Time
	act            int  // credentials that a person must act on
	shown          bool // a line is on the terminal
}

// NewProgress returns the progress of one command.
func NewProgress(std Streams) *Progress { return &Progress{std: std} }

// Step is called after each credential: done of all are done.
func (p *Progress) Step(done, all int, o result.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if done == 1 || p.begun.IsZero() {
		p.begun, p.printed, p.act = now, now, 0
	}
	switch o.Condition {
	case condition.Blocked, condition.Expired, condition.Leaked:
		p.act++
	}
	every := progressUnwatched
	if p.std.Watched {
		every = progressWatched
	}
	took := now.Sub(p.begun)
	switch {
	case done == all:
		if p.shown {
			fmt.Fprintf(p.std.Err, "\r\x1b[K")
		}
		p.begun, p.shown = time.Time{}, false
	case took < progressAfter || now.Sub(p.printed) < every:
	case p.std.Watched:
		p.printed, p.shown = now, true
		fmt.Fprintf(p.std.Err, "\r\x1b[K%s", cut(p.line(done, all, took), max(p.std.Width-1, 40)))
	default:
		p.printed = now
		fmt.Fprintln(p.std.Err, p.line(done, all, took))
	}
}

// line says how far it is, how fast, how long it takes, and how many need a person.
func (p *Progress) line(done, all int, took time.Duration) string {
	rate := float64(done) / took.Seconds()
	left := time.Duration(float64(all-done) / rate * float64(time.Second)).Round(time.Second)
	line := fmt.Sprintf("%d of %d credentials, %.1f a second, about %s left", done, all, rate, left)
	if p.act > 0 {
		line += fmt.Sprintf(", a person must act on %d", p.act)
	}
	return line
}
