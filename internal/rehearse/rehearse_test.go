package rehearse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
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
func seen(name string, age time.Duration, running ...protocol.Consumer) Seen {
	rules := protocol.Standard()
	rules.After, rules.Expire, rules.Overlap, rules.SweepEvery = 60*day, 90*day, day, time.Hour
	key := protocol.Key{ID: "ApiKey-" + name, Created: now.Add(-age), Expires: now.Add(90*day - age)}
	return Seen{
		Credential: port.Credential{Name: name, Entry: name, ServiceIDName: name, Rules: rules, Stores: []port.Store{named("store " + name)}, OnLeak: "disable"},
		Outcome: result.Outcome{
			Credential: name, ServiceID: "ServiceId-" + name, Keys: []protocol.Key{key}, Stores: []result.Store{{Name: "store " + name, Key: key.ID}},
		},
		Running: running,
	}
}

func TestWhatBreaksIsFoundWithItsTime(t *testing.T) {
	a := Account{
		Owner: "example", Now: now,
		Seen: []Seen{
			seen("restarted", 40*day, protocol.Consumer{Name: "app/web", Store: "store restarted", Key: "ApiKey-restarted"}),
			seen("left-alone", 50*day),
		},
	}
	results, err := Run(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, r := range results {
		found[r.Scenario] = []string{}
		for _, b := range r.Breaks {
			found[r.Scenario] = append(found[r.Scenario], fmt.Sprintf("%d %s %s: %s", b.At.Sub(now).Round(time.Hour)/day, b.Credential, b.Severity, b.What))
		}
		if rotates := r.Scenario == "as it is" || strings.Contains(r.Scenario, "locks") || strings.Contains(r.Scenario, "no write"); rotates != (r.Rotated >= 2) {
			t.Errorf("%s: %d keys were replaced", r.Scenario, r.Rotated)
		}
	}
	const (
		stops = "the published key stops working"
		stuck = "a consumer that read today's key, and never reads again, stops working: latchkey restarts none"
		lock  = ": a key that is to change or end is locked: unlock it (ibmcloud iam service-api-key-unlock)"
		full  = "the service ID has too many keys: 15 of IAM's 20, or as many live ones as latchkey makes, and none of them ends by itself: delete unused keys"
		gone  = "the policy is gone: consumers log in, and the service refuses them"
	)
	// The key of left-alone is due in 10 days and expires in 40, that of restarted in 20
	// and 50. A replaced key works for one more day.
	want := map[string][]string{
		"as it is": {"11 left-alone outage: " + stuck},
		// A locked key can't be ended early: its consumer keeps it until it expires.
		"another identity locks each published key": {
			"10 left-alone blocked: ApiKey-left-alone" + lock, "20 restarted blocked: ApiKey-restarted" + lock, "40 left-alone outage: " + stuck,
		},
		"other software fills each service ID with keys": {
			"10 left-alone blocked: " + full, "20 restarted blocked: " + full, "40 left-alone outage: " + stops, "50 restarted outage: " + stops,
		},
		"latchkey loses its rights on the service after a week, and each policy is removed": {
			"7 left-alone outage: " + gone, "7 left-alone blocked: IAM denied the policy", "7 restarted outage: " + gone, "7 restarted blocked: IAM denied the policy",
			"40 left-alone outage: " + stops, "50 restarted outage: " + stops,
		},
		"IAM accepts no write for a week, from the day on which a key is due": {"18 left-alone outage: " + stuck},
		"no sweep runs any more": {"40 left-alone outage: " + stops, "50 restarted outage: " + stops},
	}
	sameStart := cmp.Comparer(func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) })
	if diff := cmp.Diff(want, found, sameStart); diff != "" {
		t.Errorf("breaks (-want +got):\n%s", diff)
	}
}

func TestKeysThatAreDueAtOnceAreReplacedInTheirShareOfEachSweep(t *testing.T) {
	// Sweeps look at 6,003 credentials that are replaced over a tenth of 60 days: 42 an
	// hour. Of these three it is one in 48 hours.
	a := Account{Owner: "example", Now: now, Seen: []Seen{seen("a", 61*day), seen("b", 61*day), seen("c", 61*day)}}
	for range 6000 {
		a.Others = append(a.Others, a.Seen[0].Rules)
	}
	asItIs, err := play(t.Context(), a, scenarios()[0])
	if err != nil {
		t.Fatal(err)
	}
	var ends []string // of the keys that were replaced
	for _, b := range asItIs.Breaks {
		ends = append(ends, fmt.Sprint(b.Credential, " ", b.At.Sub(now).Round(time.Hour)))
	}
	if want := []string{"a 24h0m0s", "b 72h0m0s", "c 120h0m0s"}; !slices.Equal(ends, want) {
		t.Errorf("the replaced keys end after %v, want %v", ends, want)
	}
}

func TestACredentialThatIsNotRehearsedHasItsShareOfSweeps(t *testing.T) {
	var all []port.Credential
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, seen(name, 0).Credential)
	}
	all = append(all[:1], append([]port.Credential{{Name: "no entry", Unconfigured: &port.ServiceID{}}}, all[1:]...)...)
	var looked []string
	a, err := See(t.Context(), "example", now, all, 2, func(_ context.Context, some []port.Credential, _ reconcile.Request) (swept result.Sweep) {
		for _, c := range some {
			looked = append(looked, c.Name)
		}
		return swept
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b"}; !slices.Equal(looked, want) || len(a.Seen) != 2 || len(a.Others) != 1 || a.Others[0] != all[3].Rules {
		t.Errorf("looked at %v; %d credentials are rehearsed, beside %v", looked, len(a.Seen), a.Others)
	}
	var out strings.Builder
	Print(&out, a, nil)
	if want := "2 of 3 credentials were rehearsed\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}
