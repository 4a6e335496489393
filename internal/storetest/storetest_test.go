package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

// server is a store's server in memory. A flaw makes its client wrong in one
// way.
type server struct {
	flaw string

	mu      sync.Mutex // guards what follows
	version int
	entry   *port.Entry
	others  map[string]string
	trouble string // what happens to the next write, or to all calls
}

// longest is what the server takes.
const longest = 1000

// memory is a client of the server.
type memory struct{ *server }

// nameless is a client with a name that no server takes.
type nameless struct{ memory }

func (n nameless) Read(context.Context) (port.Entry, error) {
	if n.flaw == "takes any name" {
		return port.Entry{}, fmt.Errorf("reading memory: %w", port.ErrNotFound)
	}
	return port.Entry{}, fmt.Errorf("reading memory: %w: it has no name", port.ErrRefused)
}

func (n nameless) Publish(ctx context.Context, _ port.Entry, _ string) error {
	_, err := n.Read(ctx)
	return err
}

// blind is a client that may not read values.
type blind struct{ memory }

func (c blind) Read(ctx context.Context) (port.Entry, error) {
	e, err := c.memory.Read(ctx)
	e.Value = nil
	if c.flaw == "forgets the key when it can't read the value" {
		e.KeyID = ""
	}
	return e, err
}

func (m memory) Name() string {
	if m.flaw == "changes its name" {
		return fmt.Sprint("memory-", m.version)
	}
	return "memory"
}

func (m memory) Guarded() bool { return m.flaw != "does not guard" }

func (m memory) exists() bool { return m.entry != nil || len(m.others) > 0 }

func (m memory) revision() string {
	if !m.exists() {
		return ""
	}
	if m.flaw == "keeps its revision" {
		return "1"
	}
	return fmt.Sprint(m.version)
}

func (m memory) Read(ctx context.Context) (port.Entry, error) {
	if err := m.ready(ctx); err != nil {
		return port.Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entry == nil {
		if m.flaw == "has no error for nothing" {
			return port.Entry{Revision: m.revision()}, nil
		}
		return port.Entry{Revision: m.revision()}, fmt.Errorf("reading memory: %w", port.ErrNotFound)
	}
	e := *m.entry
	e.Revision = m.revision()
	if m.flaw == "forgets the identity" {
		e.IAMID = ""
	}
	if m.flaw == "makes up a key ID" {
		e.KeyID = cmp.Or(e.KeyID, "ApiKey-unknown")
	}
	return e, nil
}

// ready waits for a server that hangs, and fails when there is none.
func (m memory) ready(ctx context.Context) error {
	if m.flaw == "ignores the context" {
		ctx = context.Background()
	}
	m.mu.Lock()
	hangs, gone := m.trouble == "hangs", m.trouble == "is down"
	m.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("calling memory: %w: %w", port.ErrUnavailable, err)
	}
	if gone && m.flaw == "takes an outage for absence" {
		return fmt.Errorf("calling memory: %w", port.ErrNotFound)
	}
	if gone {
		return fmt.Errorf("calling memory: %w", port.ErrUnavailable)
	}
	return nil
}

func (m memory) Publish(ctx context.Context, e port.Entry, revision string) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	if err := fence.MayWrite(ctx); err != nil && m.flaw != "writes when its run is too old" {
		return fmt.Errorf("writing memory: %w: %w", port.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	trouble := m.trouble
	if trouble == "loses the answer" {
		m.trouble = ""
	}
	switch {
	case trouble == "denies" && m.flaw == "does not name the missing permission":
		return fmt.Errorf("writing memory: %w", port.ErrDenied)
	case trouble == "denies" && m.flaw != "reports a conflict for everything":
		return fmt.Errorf("writing memory: %w: it needs the right to write", port.ErrDenied)
	case len(e.Value.Expose()) > longest && m.flaw != "takes values of any length":
		return fmt.Errorf("writing memory: %w: a value has up to %d bytes", port.ErrRefused, longest)
	case trouble == "is full" && !m.exists():
		return fmt.Errorf("writing memory: %w", port.ErrQuota)
	case revision != m.revision() && m.checks(revision) || trouble == "denies":
		if m.flaw == "quotes the value" {
			return fmt.Errorf("writing %s: %w", e.Value.Expose(), port.ErrConflict)
		}
		return fmt.Errorf("writing memory: %w", port.ErrConflict)
	}
	if m.flaw == "drops neighbours" {
		clear(m.others)
	}
	m.version++
	m.entry = &e
	if trouble == "loses the answer" && m.flaw != "reports success for everything" {
		return fmt.Errorf("writing memory: %w", port.ErrUnavailable)
	}
	return nil
}

func (m memory) checks(revision string) bool {
	switch m.flaw {
	case "ignores revisions", "does not guard":
		return false
	case "creates over what exists":
		return revision != ""
	case "replaces what was deleted":
		return m.exists()
	}
	return true
}

func (s *server) set(trouble string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

func newPlace(flaw string) storetest.Location {
	s := &server{flaw: flaw, others: map[string]string{}}
	return storetest.Location{
		Store: memory{s}, Other: memory{s},
		Neighbour: func(*testing.T) func(*testing.T) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.version++
			name := fmt.Sprint("neighbour-", s.version)
			s.others[name] = name
			return func(t *testing.T) {
				t.Helper()
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.others[name] != name {
					t.Errorf("%s is gone", name)
				}
			}
		},
		Handwrite: func(_ *testing.T, value string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.version++
			s.entry = &port.Entry{Value: secret.New(value)}
		},
		Remove: func(*testing.T) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.version++
			s.entry = nil
			clear(s.others)
		},
		Unclear: map[string]func(*testing.T){"the answer is lost": func(*testing.T) { s.set("loses the answer") }},
		Down:    func(*testing.T) func() { s.set("is down"); return func() { s.set("") } },
		Hang:    func(*testing.T) { s.set("hangs") },
		Deny:    func(*testing.T) func() { s.set("denies"); return func() { s.set("") } },
		Fill:    func(*testing.T) { s.set("is full") },
		Longest: longest, Permission: []string{"the right to write"},
		Misnamed:  map[string]port.Store{"the name is empty": nameless{memory{s}}},
		WriteOnly: func(*testing.T) port.Store { return blind{memory{s}} },
	}
}

// flaws are the wrong stores with the sentence that must catch each.
var flaws = map[string]string{
	"changes its name":                     "a store has one name and one kind of guard",
	"has no error for nothing":             "reading an absent entry returns not found",
	"forgets the identity":                 "what was published is read back",
	"keeps its revision":                   "a revision is valid until the next publication",
	"ignores revisions":                    "a stale revision is a conflict and changes nothing",
	"creates over what exists":             "of concurrent first publications exactly one wins",
	"drops neighbours":                     "neighbours survive the creation and the replacement of an entry",
	"makes up a key ID":                    "a value without a key ID is reported and can be replaced",
	"replaces what was deleted":            "a deletion after the read is a conflict",
	"quotes the value":                     "creating what exists is a conflict and changes nothing",
	"ignores the context":                  "a cancelled call gives no clear answer and names the cause",
	"writes when its run is too old":       "a run that is too old to write writes nothing",
	"reports success for everything":       "after a lost answer the next read is right",
	"takes an outage for absence":          "a server that is down gives no clear answer",
	"reports a conflict for everything":    "a missing permission is named and changes nothing",
	"does not name the missing permission": "a missing permission is named and changes nothing",
	"takes values of any length":           "a value that is too long is refused and changes nothing",
	"takes any name":                       "a name that the server rejects is refused",

	"forgets the key when it can't read the value": "a store that may not read values publishes",
}

const flawVariable = "STORETEST_FLAW"

// TestSuite runs the suite on the store with the flaw that the environment
// names; without one on a good store, which passes.
func TestSuite(t *testing.T) {
	flaw := os.Getenv(flawVariable)
	storetest.Run(t, storetest.Harness{New: func(*testing.T) storetest.Location { return newPlace(flaw) }})
}

func TestAStoreWithoutAGuardAndOptionalFieldsPasses(t *testing.T) {
	storetest.Run(t, storetest.Harness{New: func(*testing.T) storetest.Location {
		p := newPlace("does not guard")
		return storetest.Location{Store: p.Store, Other: p.Other}
	}})
}

// TestEveryFlawIsCaught runs this test program once per flaw: only so can a
// suite that fails be observed.
func TestEveryFlawIsCaught(t *testing.T) {
	if os.Getenv(flawVariable) != "" {
		t.Skip("this is such a run")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, flaw := range slices.Sorted(maps.Keys(flaws)) {
		t.Run("a store that "+flaw, func(t *testing.T) {
			sentence := strings.ReplaceAll(flaws[flaw], " ", "_")
			run := exec.CommandContext(t.Context(), program, "-test.run=^TestSuite$/^"+sentence+"$", "-test.timeout=10s")
			run.Env = append(os.Environ(), flawVariable+"="+flaw)
			out, err := run.CombinedOutput()
			var failed *exec.ExitError
			if !errors.As(err, &failed) {
				t.Fatalf("the suite passed (%v):\n%s", err, out)
			}
			if !strings.Contains(string(out), "--- FAIL: TestSuite/"+sentence) {
				t.Errorf("the suite failed otherwise:\n%s", out)
			}
		})
	}
}
