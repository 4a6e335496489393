package rehearse

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// See returns what a look sees of credentials, at most so many. look observes and decides,
// and changes nothing.
func See(
	ctx context.Context, owner string, now time.Time, credentials []port.Credential, most int,
	look func(context.Context, []port.Credential, reconcile.Request) result.Sweep,
) (Account, error) {
	a := Account{Owner: owner, Now: now}
	credentials = slices.DeleteFunc(slices.Clone(credentials), func(c port.Credential) bool { return c.Unconfigured != nil || c.Invalid != nil })
	seen := credentials[:min(most, len(credentials))]
	for _, c := range credentials[len(seen):] {
		a.Others = append(a.Others, c.Rules)
	}
	outcomes := map[string]result.Outcome{}
	for _, o := range look(ctx, seen, reconcile.Request{}).Outcomes {
		outcomes[o.Credential] = o
	}
	for _, c := range seen {
		s := Seen{Credential: c, Outcome: outcomes[c.Name]}
		for _, of := range c.Consumers {
			running, err := of.Consumers(ctx)
			if err != nil {
				return a, fmt.Errorf("looking at the consumers of %s: %w", c.Name, err)
			}
			s.Running = append(s.Running, running...)
		}
		a.Seen = append(a.Seen, s)
	}
	return a, nil
}

// Print writes what the scenarios showed of an account.
func Print(out io.Writer, a Account, results []Result) {
	for _, r := range results {
		fmt.Fprintf(out, "If %s: %d keys replaced in %d days\n", r.Scenario, r.Rotated, Days)
		if len(r.Breaks) == 0 {
			fmt.Fprintln(out, "  nothing breaks")
		}
		for _, b := range r.Breaks {
			fmt.Fprintf(out, "  %s (day %d) %s, %s: %s\n", b.At.Format(time.DateOnly), int(b.At.Sub(a.Now)/(24*time.Hour)), b.Severity, b.Credential, b.What)
		}
	}
	of := ""
	if len(a.Others) > 0 {
		of = fmt.Sprintf(" of %d", len(a.Seen)+len(a.Others))
	}
	fmt.Fprintf(out, "%d%s credentials were rehearsed\n", len(a.Seen), of)
}
