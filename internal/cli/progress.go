package cli

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

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
// it is a bar, which is removed at the end. Elsewhere it is a line every 10 s. A short
// command prints none.
type Progress struct{ std Streams }

// NewProgress returns the progress of one command.
func NewProgress(std Streams) Progress { return Progress{std} }

// Begin begins a sweep over so many credentials. step is called after each of them, and
// end after the last call of step. Their calls do not overlap.
func (p Progress) Begin(all int) (step func(result.Outcome), end func()) {
	now := time.Now()
	s := &progress{std: p.std, all: all, begun: now, printed: now}
	if p.std.Watched {
		s.timer = time.AfterFunc(progressAfter, s.draw)
	}
	return s.step, s.end
}

// progress is that of one sweep.
type progress struct {
	std            Streams
	all            int
	begun, printed time.Time
	timer          *time.Timer  // draws the bar
	act            atomic.Int64 // credentials that a person must act on

	mu    sync.Mutex // guards the fields below
	done  int
	ended bool
	bars  *mpb.Progress // nil if no bar is drawn
	bar   *mpb.Bar
}

func (p *progress) step(o result.Outcome) {
	switch o.Condition {
	case condition.Blocked, condition.Expired, condition.Leaked:
		p.act.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	now := time.Now()
	switch {
	case p.bar != nil:
		p.bar.Increment()
	case p.std.Watched, p.done == p.all, now.Sub(p.printed) < progressUnwatched:
	default:
		p.printed = now
		fmt.Fprintln(p.std.Err, p.line(p.done))
	}
}

// draw draws the bar from now on. What else is printed to stderr comes above it.
func (p *progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	to, width := p.std.Err, p.std.Width
	if o, is := to.(*output); is {
		to = o.to
	}
	if f, is := terminal(to); is {
		width = columns(f)
	}
	// A plain writer: mpb would draw nothing on a terminal without a size.
	p.bars = mpb.New(mpb.WithOutput(struct{ io.Writer }{to}), mpb.ForceTTY(), mpb.WithAutoRefresh(), mpb.WithWidth(width), mpb.WithRefreshRate(progressWatched))
	text := func(s decor.Statistics) string { return p.line(int(s.Current)) }
	p.bar = p.bars.AddBar(int64(p.all), mpb.AppendDecorators(decor.Any(text)), mpb.BarRemoveOnComplete())
	p.bar.SetCurrent(int64(p.done))
	p.above(p.bars)
}

// above lets other lines on stderr pass through w. If w is nil, they are written as they
// come.
func (p *progress) above(w io.Writer) {
	if o, is := p.std.Err.(*output); is {
		o.divert(w)
	}
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.bar != nil {
		p.bar.Abort(true) // if it is not complete
		p.bars.Wait()
		p.above(nil)
	}
}

// line says how far it is, how fast, how long it takes, and how many need a person.
func (p *progress) line(done int) string {
	line := fmt.Sprintf("%d of %d credentials", done, p.all)
	if took := time.Since(p.begun); done > 0 {
		rate := float64(done) / took.Seconds()
		left := time.Duration(float64(p.all-done) / rate * float64(time.Second)).Round(time.Second)
		line += fmt.Sprintf(", %.1f a second, about %s left", rate, left)
	}
	if act := p.act.Load(); act > 0 {
		line += fmt.Sprintf(", a person must act on %d", act)
	}
	return line
}
