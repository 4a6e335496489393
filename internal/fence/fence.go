// Package fence stands between a run and its ports. It refuses a write that comes too
// late to be safe, or after the clock moved. From answers it drops what can't be true,
// and it makes an error of a panic.
package fence

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrTooLate means that the run is too old to write.
var ErrTooLate = errors.New("this run is too old to write")

// Fence is what the writes of one run pass.
type Fence struct {
	*Clock
	window time.Duration // the longest time that the run may act on what it observed
	fresh  string        // the key that the run has minted
	born   time.Time
}

// New returns the fence of a run, which may write for a window from the clock's start.
func New(clock *Clock, window time.Duration) *Fence { return &Fence{Clock: clock, window: window} }

// Minted says which key the run has minted, and when. Its writes have less time.
func (f *Fence) Minted(keyID string, created time.Time) { f.fresh, f.born = keyID, created }

// underWay is how long a write may take to arrive. Other replicas may end the
// key a window after its birth, so the last write leaves that much earlier.
const underWay = 2 * time.Minute

// MayWrite returns ErrTooLate once the run is older than a window. It reads the wall
// clock, so a process that was suspended notices. A step may be under way when another
// one shows that the clock moved.
func (f *Fence) MayWrite(ctx context.Context) error { return f.mayWrite(ctx, time.Time{}) }

// mayWrite is MayWrite for a write about a key that was born at a time, if that is not
// zero.
func (f *Fence) mayWrite(ctx context.Context, born time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrTooLate, err)
	}
	if f.drifted.Load() {
		return ErrDrift
	}
	age := f.Age()
	if !born.IsZero() {
		age = max(age, f.Now().Sub(born)+underWay)
	}
	if age < 0 || age >= f.window {
		return fmt.Errorf("%w: %s old", ErrTooLate, age.Round(time.Second))
	}
	return nil
}

// Within returns a context with which adapters ask whether the run may still write.
// Some adapters read before they write.
func (f *Fence) Within(ctx context.Context) context.Context {
	return WithCheck(ctx, func() error { return f.MayWrite(ctx) })
}

// write makes one call that changes something, unless the run is too old.
func (f *Fence) write(ctx context.Context, born time.Time, call func() error) error {
	if err := f.mayWrite(ctx, born); err != nil {
		return err
	}
	return Answered(call())
}

// birth returns the birth of a key that the run minted, and zero for others.
func (f *Fence) birth(keyID string) time.Time {
	if f.fresh != "" && f.fresh == keyID {
		return f.born
	}
	return time.Time{}
}

// answer is an error as a port returned it.
type answer struct{ error }

// Unwrap returns what the adapter wrapped.
func (a answer) Unwrap() error { return a.error }

// Answered keeps the text of a port's error apart from the context that the steps add.
func Answered(err error) error {
	if err == nil {
		return nil
	}
	return answer{err}
}

// Words returns the text of an adapter's error without the steps' context.
func Words(err error) string {
	if a := (answer{}); errors.As(err, &a) {
		return a.Error()
	}
	return err.Error()
}
