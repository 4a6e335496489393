package fence

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrDrift means that the local clock and IAM's clock moved apart during the run.
var ErrDrift = errors.New("the clock moved during the run")

// Clock is IAM's time during a run: the local time, corrected by the Date of an answer.
type Clock struct {
	wall    func() time.Time
	started time.Time
	offset  time.Duration // IAM's clock minus the local clock
	dated   bool          // offset is known
	// drifted is set once an answer has shown that the clock moved. Nothing is written then.
	drifted atomic.Bool
	// compared is the local time of the last answer that showed that it has not.
	compared atomic.Int64
}

// NewClock starts the clock of a run. wall returns the local time without the monotonic
// clock, which does not advance while a machine is suspended.
func NewClock(wall func() time.Time) *Clock { return &Clock{wall: wall, started: wall()} }

// Wall returns the local time.
func (c *Clock) Wall() time.Time { return c.wall() }

// Now returns the time by IAM's clock.
func (c *Clock) Now() time.Time { return c.wall().Add(c.offset) }

// Started returns when the run started, by IAM's clock.
func (c *Clock) Started() time.Time { return c.started.Add(c.offset) }

// Age returns how long ago the run started.
func (c *Clock) Age() time.Duration { return c.wall().Sub(c.started) }

// Offset returns IAM's clock minus the local clock.
func (c *Clock) Offset() time.Duration { return c.offset }

// Settle sets the offset from the Date of an answer by IAM that was asked for
// at a time. It is the least one that explains the Date, since the answer may have
// been under way for a while. The Date has whole seconds, so smaller differences are
// ignored. An answer that took minutes shows no offset: the process was suspended, or
// its clock was set.
func (c *Clock) Settle(asked, date time.Time) error {
	date = date.Add(500 * time.Millisecond)
	sent, received := date.Sub(asked), date.Sub(c.wall())
	if took := sent - received; took.Abs() > mostDrift {
		return fmt.Errorf("IAM's answer took %s", took.Round(time.Second))
	}
	offset := max(received, min(sent, 0))
	if offset.Abs() <= 1500*time.Millisecond {
		offset = 0
	}
	c.offset, c.dated = offset, true
	c.compared.Store(c.wall().UnixNano())
	return nil
}

// certain reports whether IAM's time was compared so shortly ago that a write needs no
// other answer before it. A clock that moved since shows another age.
func (c *Clock) certain() bool {
	age := c.wall().Sub(time.Unix(0, c.compared.Load()))
	return age >= 0 && age < 30*time.Second && !c.drifted.Load()
}

// mostDrift is how far the clocks may move apart during a run.
const mostDrift = 2 * time.Minute

// Check compares the clocks again, if they were compared before. If they moved apart,
// the run cannot trust any time.
func (c *Clock) Check(date time.Time) error {
	if d := date.Sub(c.Now()); c.dated && d.Abs() > mostDrift {
		c.drifted.Store(true)
		return fmt.Errorf("%w: by %s", ErrDrift, d.Round(time.Second))
	}
	c.compared.Store(c.wall().UnixNano())
	return nil
}
