package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// world reconciles each credential by some reads and then some writes.
type world struct {
	rt            http.RoundTripper
	reads, writes int
	fail          map[string]error
	out           map[string]result.Outcome

	mu              sync.Mutex
	began, ended    []string
	running, atOnce int
}

func (w *world) Reconcile(ctx context.Context, c port.Credential, _ reconcile.Request) (result.Outcome, error) {
	w.mu.Lock()
	w.began = append(w.began, c.Name)
	w.running++
	w.atOnce = max(w.atOnce, w.running)
	w.mu.Unlock()
	for i := range w.reads + w.writes {
		method := http.MethodGet
		if i >= w.reads {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(ctx, method, "https://iam.example/"+c.Name, http.NoBody)
		if err != nil {
			return result.Outcome{Credential: c.Name}, err
		}
		resp, err := w.rt.RoundTrip(req)
		if err != nil {
			return result.Outcome{Credential: c.Name}, err
		}
		_ = resp.Body.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	w.ended = append(w.ended, c.Name)
	out := w.out[c.Name]
	out.Credential = c.Name
	return out, w.fail[c.Name]
}

type answers struct {
	latency time.Duration
	limit   *rate.Limiter // nil refuses none
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	refused := a.limit != nil && !a.limit.AllowN(time.Now(), 1)
	time.Sleep(a.latency) // virtual
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req}
	if refused {
		resp.StatusCode = http.StatusTooManyRequests
		resp.Header.Set("Retry-After", "1")
	}
	return resp, nil
}

func named(names ...string) (all []port.Credential) {
	for _, name := range names {
		all = append(all, port.Credential{Name: name})
	}
	return all
}

func many(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("c%03d", i))
	}
	return names
}

func TestOutcomesAreInTheOrderOfTheCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(nil)
		w := &world{rt: p.Transport(&answers{latency: time.Millisecond}, errors.New), reads: 2, fail: map[string]error{"b": observe.ErrFailed}}
		swept := New(Config{Reconciler: w, Pace: p}).Sweep(t.Context(), named("a", "b", "c"), reconcile.Request{})
		var got []string
		for _, o := range swept.Outcomes {
			got = append(got, o.Credential+" "+string(o.Result))
		}
		if want := []string{"a ", "b failed", "c "}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if !errors.Is(swept.Unknown, observe.ErrFailed) || errors.Is(swept.Unknown, ErrPartial) {
			t.Errorf("unknown: %v", swept.Unknown)
		}
	})
}

func TestACredentialThatHasBegunEndsBeforeOthersBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(nil)
		w := &world{rt: p.Transport(&answers{latency: 40 * time.Millisecond, limit: rate.NewLimiter(10, 10)}, errors.New), reads: 4, writes: 6}
		New(Config{Reconciler: w, Pace: p}).Sweep(t.Context(), named(many(20)...), reconcile.Request{})
		// All 20 would be, if each began at once. It is 5 to 8, by the order in which the
		// first answers come.
		if w.atOnce > 10 {
			t.Errorf("%d credentials were worked on at once", w.atOnce)
		}
	})
}

func TestAtMost32CredentialsRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(nil)
		w := &world{rt: p.Transport(&answers{latency: 40 * time.Millisecond}, errors.New), reads: 1}
		New(Config{Reconciler: w, Pace: p}).Sweep(t.Context(), named(many(400)...), reconcile.Request{Trigger: protocol.Trigger{NotKey: "ApiKey-1"}})
		if w.atOnce != 32 {
			t.Errorf("%d at once", w.atOnce)
		}
	})
}

func TestASweepWithoutTimeSaysHowFarItCameAndTheNextGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(nil)
		w := &world{rt: p.Transport(&answers{latency: time.Second}, errors.New), reads: 4}
		s := New(Config{Reconciler: w, Pace: p, Every: time.Minute})
		all := named(many(300)...)
		seen := map[string]int{}
		for n := 1; len(seen) < len(all); n++ {
			w.began = nil
			swept := s.Sweep(t.Context(), all, reconcile.Request{})
			want := fmt.Sprintf("looked at %d of 300 credentials in ", len(swept.Outcomes))
			if len(w.began) < len(all) && (!errors.Is(swept.Unknown, ErrPartial) || !strings.HasPrefix(swept.Unknown.Error(), want)) {
				t.Errorf("after %d outcomes: %v", len(swept.Outcomes), swept.Unknown)
			}
			if len(w.began) == 0 {
				t.Fatal("nothing was looked at")
			}
			for i, name := range w.began {
				if seen[name] == n-1 && n > 1 && i < len(all)-len(seen) && seen[name] > 0 {
					t.Errorf("sweep %d began with %s, which sweep %d had looked at", n, name, seen[name])
				}
				seen[name] = n
			}
			if n > 20 {
				t.Fatalf("after %d sweeps %d of %d were looked at", n, len(seen), len(all))
			}
		}
	})
}

func TestADemandIsNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(nil)
		w := &world{rt: p.Transport(&answers{latency: 30 * time.Second}, errors.New), reads: 2}
		s := New(Config{Reconciler: w, Pace: p, Every: time.Minute})
		swept := s.Sweep(t.Context(), named(many(100)...), reconcile.Request{Trigger: protocol.Trigger{NewerThan: time.Now()}})
		if len(swept.Outcomes) != 100 || swept.Unknown != nil {
			t.Errorf("%d outcomes, %v", len(swept.Outcomes), swept.Unknown)
		}
	})
}

func TestASweepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(nil)
		w := &world{rt: p.Transport(&answers{latency: time.Second}, errors.New), reads: 4}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		swept := New(Config{Reconciler: w, Pace: p}).Sweep(ctx, named(many(300)...), reconcile.Request{})
		if !errors.Is(swept.Unknown, ErrPartial) || len(swept.Outcomes) == 0 {
			t.Errorf("%d outcomes, %v", len(swept.Outcomes), swept.Unknown)
		}
	})
}

func TestTheOrderOfASweep(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	seen := map[string]hint{
		"rest, seen an hour ago":   {looked: ago(time.Hour), expires: now.Add(1000 * time.Hour), next: now.Add(time.Hour)},
		"rest, seen two hours ago": {looked: ago(2 * time.Hour), expires: now.Add(1000 * time.Hour), next: now.Add(time.Hour)},
		"due":                      {looked: ago(time.Hour), expires: now.Add(1000 * time.Hour), next: ago(time.Minute)},
		"in progress":              {looked: ago(time.Hour), waits: true},
		"expires in ten days":      {looked: ago(time.Hour), expires: now.Add(240 * time.Hour)},
		"expires in a day":         {looked: ago(time.Minute), expires: now.Add(24 * time.Hour)},
		"expired":                  {looked: ago(time.Minute), expires: ago(time.Hour)},
		"leaked":                   {looked: ago(time.Minute), leaked: true},
	}
	names := []string{
		"rest, seen an hour ago", "due", "expires in ten days", "never seen", "rest, seen two hours ago", "expired", "in progress", "leaked", "expires in a day",
	}
	var got []string
	for _, i := range order(names, seen, now, time.Hour) {
		got = append(got, names[i])
	}
	want := []string{
		"leaked", "expired", "expires in a day", "expires in ten days", "in progress", "never seen", "due", "rest, seen two hours ago", "rest, seen an hour ago",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestWhatAnOutcomeHints(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for sentence, row := range map[string]struct {
		out  result.Outcome
		want int
	}{
		"a leaked key that still works":      {result.Outcome{Leaked: result.LeakedAlive}, rankLeaked},
		"a leaked key that was revoked":      {result.Outcome{Leaked: result.LeakedRevoked}, rankRest},
		"a key that expires in a week":       {result.Outcome{KeyExpires: now.Add(7 * 24 * time.Hour)}, rankExpiring},
		"a key that expires in three weeks":  {result.Outcome{KeyExpires: now.Add(21 * 24 * time.Hour)}, rankRest},
		"a run in progress":                  {result.Outcome{Result: result.InProgress}, rankWaits},
		"a run that failed":                  {result.Outcome{Result: result.Failed}, rankWaits},
		"a rotation that is due now":         {result.Outcome{Next: now}, rankDue},
		"a rotation that is due in a minute": {result.Outcome{Next: now.Add(time.Minute)}, rankRest},
		"a blocked credential":               {result.Outcome{Result: result.Blocked}, rankRest},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := hintOf(row.out, now.Add(-time.Hour)).rank(now); got != row.want {
				t.Errorf("rank %d, want %d", got, row.want)
			}
		})
	}
}

func TestProcessesThatForgetComeToAllCredentials(t *testing.T) {
	names := many(1000)
	const each = 100 // a tenth in one sweep
	looked := map[int]bool{}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	sweeps := 0
	for ; len(looked) < len(names); sweeps++ {
		for _, i := range order(names, nil, now, time.Hour)[:each] {
			looked[i] = true
		}
		now = now.Add(time.Hour)
	}
	if sweeps > 25 { // 10 at best
		t.Errorf("all were looked at after %d sweeps", sweeps)
	}
}

func TestHintsAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	s := New(Config{Now: func() time.Time { now = now.Add(time.Second); return now }})
	for i := range mostHints + 10 {
		s.remember(result.Outcome{Credential: fmt.Sprint(i)})
	}
	if len(s.seen) > mostHints {
		t.Errorf("%d hints", len(s.seen))
	}
	if _, ok := s.seen[fmt.Sprint(mostHints+9)]; !ok {
		t.Error("the newest is forgotten")
	}
}

func BenchmarkOrder100000(b *testing.B) {
	names := many(100_000)
	for b.Loop() {
		order(names, nil, time.Unix(0, 0), time.Hour)
	}
}
