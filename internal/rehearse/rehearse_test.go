package rehearse_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/rehearse"
	"github.com/latchkey-io/latchkey/internal/result"
)

type named string

func (n named) Name() string  { return string(n) }
func (n named) Guarded() bool { return true }
func (n named) Read(context.Context) (port.Entry, error) {
	return port.Entry{}, port.ErrNotFound
}
func (n named) Publish(context.Context, port.Entry, string) error { return port.ErrRefused }

var now = time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// seen returns a credential whose published key has an age.
func seen(name string, age time.Duration, running ...protocol.Consumer) rehearse.Seen {
	rules := protocol.Standard()
	rules.After, rules.Expire, rules.Overlap, rules.SweepEvery = 60*day, 90*day, day, time.Hour
	key := protocol.Key{ID: "ApiKey-" + name, Created: now.Add(-age), Expires: now.Add(90*day - age)}
	return rehearse.Seen{
		Credential: port.Credential{Name: name, Entry: name, ServiceIDName: name, Rules: rules, Stores: []port.Store{named("store " + name)}, OnLeak: "disable"},
		Outcome: result.Outcome{
			Credential: name, ServiceID: "ServiceId-" + name, Keys: []protocol.Key{key}, Stores: []result.Store{{Name: "store " + name, Key: key.ID}},
		},
		Running: running,
	}
}

func TestWhatBreaksIsFoundWithItsTime(t *testing.T) {
	a := rehearse.Account{
		Owner: "example", Now: now,
		Seen: []rehearse.Seen{
			seen("restarted", 40*day, protocol.Consumer{Name: "app/web", Store: "store restarted", Key: "ApiKey-restarted"}),
			seen("left-alone", 50*day),
		},
	}
	results, err := rehearse.Run(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	date := func(t time.Time) string { return t.Format(time.DateOnly) }
	found := map[string][]string{}
	for _, r := range results {
		for _, b := range r.Breaks {
			found[r.Scenario] = append(found[r.Scenario], fmt.Sprintf("%s %s %s", date(b.At), b.Credential, b.Severity))
		}
		if rotates := r.Scenario == "as it is" || strings.Contains(r.Scenario, "locks") || strings.Contains(r.Scenario, "no write"); rotates != (r.Rotated >= 2) {
			t.Errorf("%s: %d keys were replaced", r.Scenario, r.Rotated)
		}
	}
	// A key of 50 days expires in 40, and one of 40 days in 50.
	expires := []string{date(now.Add(40*day)) + " left-alone outage", date(now.Add(50*day)) + " restarted outage"}
	for scenario, want := range map[string][]string{
		// A locked key can't be ended early: its consumer keeps it until it expires.
		"another identity locks each published key":                                         {expires[0]},
		"no sweep runs any more":                                                            expires,
		"other software fills each service ID with keys":                                    expires,
		"latchkey loses its rights on the service after a week, and each policy is removed": append(expires, date(now.Add(7*day))+" left-alone blocked"),
	} {
		for _, w := range want {
			if !slices.Contains(found[scenario], w) {
				t.Errorf("%s: found %v, want %s", scenario, found[scenario], w)
			}
		}
	}
	// The key of left-alone is due after 60 days, and works for one more.
	is := found["as it is"]
	if len(is) != 1 || !strings.Contains(is[0], "left-alone outage") || is[0] > date(now.Add(14*day)) {
		t.Errorf("as it is: %v, want the consumer of left-alone that never reads again", is)
	}
	for _, r := range results {
		for _, b := range r.Breaks {
			if b.Credential == "restarted" && strings.Contains(b.What, "never reads again") {
				t.Errorf("%s: %+v, but latchkey restarts it", r.Scenario, b)
			}
		}
	}
}
