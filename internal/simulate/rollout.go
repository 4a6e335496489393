package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// app is a program that reads its store only when it starts. Its newest revision may
// run later, or never; until then the one before runs with its key.
type app struct {
	name  string
	place *place
	mark  string // the key ID that the running revision bears, or the last one before it
	next  *revision
	// newest is the key ID that the newest revision bears.
	newest   string
	deployed time.Time // zero if that was before the history
	late     time.Time // when a restart arrived that was in transit for minutes
	reader
}

// revision is the newest one of an app, as long as it does not run.
type revision struct {
	mark   string
	failed bool
}

// revise makes a revision of an app, which runs at once unless the history has
// roll-outs.
func (s *sim) revise(a *app, mark string) error {
	if mark != "" && a.newest == mark {
		s.violate("P10", "restarts %s with %s, which its newest revision has", a.name, s.nick(mark))
	}
	next := &revision{mark: mark}
	a.newest, a.next = mark, next
	ready := func() {
		if a.next == next {
			s.note("revision %s of %s is ready", s.nick(mark), a.name)
			s.disturb(nil)
			s.takeOver(a)
		}
	}
	r := s.twists[rollOuts]
	if r == nil || s.healing {
		s.takeOver(a)
		return nil
	}
	switch r.IntN(4) {
	case 0:
		s.after(time.Second+upTo(r, 3*time.Hour), ready)
		return fmt.Errorf("%w: the revision of %s is not ready", port.ErrNotActive, a.name)
	case 1:
		next.failed = true
		s.after(time.Hour+upTo(r, 20*time.Hour), ready) // a person repairs it
		return fmt.Errorf("%w: the revision of %s fails", port.ErrRefused, a.name)
	}
	s.takeOver(a)
	return nil
}

// takeOver lets the newest revision of an app run. It reads the store.
func (s *sim) takeOver(a *app) {
	if a.next != nil {
		a.mark, a.next = cmp.Or(a.next.mark, a.mark), nil
		s.reread(&a.reader)
	}
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// crew is the port of the apps of one store.
type crew struct {
	*sim
	of *place
}

var _ port.Consumers = crew{}

func (c crew) Consumers(ctx ctx) ([]protocol.Consumer, error) {
	var out []protocol.Consumer
	err := c.yield(ctx, consumers, c.of.name, func() error {
		if c.of.down != "" {
			return fmt.Errorf("%w: %s is down", port.ErrUnavailable, c.of.name)
		}
		for _, a := range c.apps {
			if a.place == c.of && !a.away {
				out = append(out, protocol.Consumer{Name: a.name, Store: c.of.name, Key: a.mark})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c crew) Restart(ctx ctx, name, keyID string) error {
	return c.yield(ctx, restart, name+" "+c.nick(keyID), func() error {
		if c.of.down != "" {
			return fmt.Errorf("%w: %s is down", port.ErrUnavailable, c.of.name)
		}
		i := slices.IndexFunc(c.apps, func(a *app) bool { return a.name == name && !a.away })
		switch {
		case i < 0:
			return fmt.Errorf("%w: there is no app %s", port.ErrNotFound, name)
		case c.apps[i].newest != keyID: // as the adapters do
			c.mutated("restart", keyID)
			c.checkRestart(c.apps[i], keyID)
			if c.now.Sub(c.issued) > 2*time.Minute {
				c.apps[i].late = c.now
			}
			return c.revise(c.apps[i], keyID)
		case c.apps[i].next == nil:
			return nil
		case c.apps[i].next.failed:
			return fmt.Errorf("%w: the revision of %s fails", port.ErrRefused, name)
		}
		return fmt.Errorf("%w: the revision of %s is not ready", port.ErrNotActive, name)
	})
}

// deploying is what happens to apps without latchkey.
var deploying = []hand{
	{"starts an app again", func(s *sim) (func(), bool) {
		a := s.anyApp()
		if a == nil {
			return nil, false
		}
		s.reread(&a.reader)
		return nil, true
	}},
	{"takes the mark off an app", func(s *sim) (func(), bool) {
		a := s.anyApp()
		if a == nil {
			return nil, false
		}
		a.newest, a.next = "", &revision{}
		s.takeOver(a)
		return nil, true
	}},
	{"deletes an app", func(s *sim) (func(), bool) {
		a := s.anyApp()
		if a == nil {
			return nil, false
		}
		a.away, a.next = true, nil
		return func() { s.comeBack(a) }, true
	}},
	{"deploys another app", func(s *sim) (func(), bool) {
		p := s.anyPlace()
		if s.twists[configs] != nil {
			p = s.places[0]
		}
		name := fmt.Sprintf("app-%d", len(s.apps))
		a := &app{name: name, place: p, deployed: s.now, reader: reader{name: name, place: p}}
		s.apps = append(s.apps, a)
		s.reread(&a.reader)
		s.serve(&a.reader, s.now.Add(48*time.Hour))
		return nil, true
	}},
}

// comeBack deploys an app again that was deleted.
func (s *sim) comeBack(a *app) {
	if a.away {
		a.away, a.mark, a.newest, a.next, a.deployed = false, "", "", nil, s.now
		s.reread(&a.reader)
	}
}

// anyApp returns an app that exists, or nil.
func (s *sim) anyApp() *app {
	there := slices.DeleteFunc(slices.Clone(s.apps), func(a *app) bool { return a.away })
	if len(there) == 0 {
		return nil
	}
	return there[s.rnd.IntN(len(there))]
}
