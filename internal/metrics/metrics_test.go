package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/latest"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newTest() *Metrics {
	return New(Config{
		Version: "v1", Commit: "c0ffee", Owner: "prod", ConfigHash: "0123456789ab", SweepEvery: time.Hour,
		Latest: &latest.Outcomes{}, Now: func() time.Time { return now },
		Sinks: func() (sent, dropped map[string]int) { return map[string]int{"sink": 3}, map[string]int{"sink": 1} },
	})
}

func scrape(m *Metrics) string {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// timestamp is a time as it is scraped.
func timestamp(t time.Time) string { return strconv.FormatFloat(float64(t.Unix()), 'g', -1, 64) }

// published is an outcome of a credential whose key expires after some days.
func published(name string, days int, c condition.Condition, why reason.Reason) result.Outcome {
	return result.Outcome{
		Credential: name, Condition: c, Reason: why, Result: result.Unchanged,
		Key: "ApiKey-1", KeyCreated: now.Add(-30 * 24 * time.Hour), KeyExpires: now.Add(time.Duration(days) * 24 * time.Hour),
	}
}

func TestWhatIsScraped(t *testing.T) {
	m := newTest()
	rotated := published("logs/a", 90, condition.OK, "")
	rotated.Result, rotated.Replaced = result.Published, "ApiKey-0"
	rotated.Steps = []result.Step{
		{Step: protocol.Step{Action: protocol.Mint}}, {Step: protocol.Step{Action: protocol.Prove}}, {Step: protocol.Step{Action: protocol.RestartConsumer}, Error: "it is down"},
	}
	m.Ran(rotated, 3*time.Second)
	m.Ran(result.Outcome{Credential: "logs/b", Condition: condition.Unknown}, time.Second)
	m.Ran(published("logs/c", 5, condition.Blocked, reason.StoreDenied), time.Second)
	m.Called("iam", 200, 40*time.Millisecond)
	m.Called("iam", 429, time.Millisecond)
	m.Called("vault", 0, time.Second)
	m.Answered("hook github", 401)
	text := scrape(m)
	for _, line := range []string{
		`latchkey_build_info{commit="c0ffee",version="v1"} 1`,
		`latchkey_config_info{hash="0123456789ab",owner="prod"} 1`,
		`latchkey_sweep_interval_seconds 3600`,
		`latchkey_credentials{condition="ok"} 1`,
		`latchkey_credentials{condition="expired"} 0`,
		`latchkey_credential_condition{condition="blocked",credential="logs/c",reason="store-denied"} 1`,
		`latchkey_credential_condition{condition="unknown",credential="logs/b",reason=""} 1`,
		`latchkey_key_expiry_timestamp_seconds{credential="logs/c"} ` + timestamp(now.Add(5*24*time.Hour)),
		`latchkey_key_remaining_seconds_bucket{le="604800"} 1`,
		`latchkey_key_age_seconds_bucket{le="2.592e+06"} 2`,
		`latchkey_reconcile_duration_seconds_count{result="published"} 1`,
		`latchkey_reconcile_duration_seconds_count{result="failed"} 1`,
		`latchkey_outcomes_total{type="rotated"} 1`,
		`latchkey_steps_total{action="prove",result="ok"} 1`,
		`latchkey_steps_total{action="restart",result="failed"} 1`,
		`latchkey_upstream_requests_total{code="429",service="iam"} 1`,
		`latchkey_upstream_requests_total{code="none",service="vault"} 1`,
		`latchkey_upstream_request_duration_seconds_count{result="limited",service="iam"} 1`,
		`latchkey_events_total{code="401",source="hook github"} 1`,
		`latchkey_outcome_events_total{result="sent",sink="sink"} 3`,
		`latchkey_outcome_events_total{result="dropped",sink="sink"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, "latchkey_last_sweep") {
		t.Error("there is a last sweep")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestTheDocumentListsEveryMetricWithItsLabels(t *testing.T) {
	m := newTest()
	text, err := os.ReadFile("../../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `latchkey_") {
			rows[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for name, labels := range m.labels {
		row, listed := rows[name]
		if !listed {
			t.Errorf("the document does not list %s", name)
		}
		delete(rows, name)
		if want := "`" + strings.Join(labels, "`, `") + "`"; row != want && (row != "" || len(labels) > 0) {
			t.Errorf("%s has the labels %s, in the document %s", name, want, row)
		}
	}
	for name := range rows {
		t.Errorf("the document lists %s, which does not exist", name)
	}
}

func TestTheLastSweepIsOneThatLookedAtEveryCredential(t *testing.T) {
	m := newTest()
	m.Swept(result.Sweep{Unknown: errors.New("IAM is down")})
	m.Swept(result.Sweep{Outcomes: []result.Outcome{published("a", 1, condition.OK, "")}})
	if line := "latchkey_last_sweep_timestamp_seconds " + timestamp(now) + "\n"; !strings.Contains(scrape(m), line) {
		t.Errorf("no line %s", line)
	}
}

func TestOnlySoManyCredentialsHaveSeriesOfTheirOwn(t *testing.T) {
	for _, tc := range []struct{ credentials, named int }{{MostNamed, MostNamed}, {5000, Worst}} {
		t.Run(fmt.Sprint(tc.credentials, " credentials"), func(t *testing.T) {
			m := newTest()
			var swept result.Sweep
			for i := range tc.credentials {
				name := fmt.Sprintf("logs-sender/39726e08-8c64-4447-8b0f-%012d", i)
				swept.Outcomes = append(swept.Outcomes, published(name, 1+i%90, condition.Blocked, reason.StoreDenied))
			}
			m.Swept(swept)
			text := scrape(m)
			for _, series := range []string{"latchkey_key_expiry_timestamp_seconds{", "latchkey_key_created_timestamp_seconds{", "latchkey_credential_condition{"} {
				if n := strings.Count(text, series); n != tc.named {
					t.Errorf("%d of %s, want %d", n, series, tc.named)
				}
			}
			if len(text) > 1<<20 {
				t.Errorf("%d bytes, want at most 1 MiB", len(text))
			}
			first := fmt.Sprintf("latchkey_key_expiry_timestamp_seconds{credential=%q}", swept.Outcomes[0].Credential)
			if !strings.Contains(text, first) {
				t.Error("the key that expires first is not named")
			}
			if want := fmt.Sprintf("latchkey_credentials{condition=\"blocked\"} %d\n", tc.credentials); !strings.Contains(text, want) {
				t.Errorf("no line %s", want)
			}
		})
	}
}

func TestASummaryHasWhatARunDid(t *testing.T) {
	m := newTest()
	if numbers, _ := m.Summary(); numbers != nil {
		t.Errorf("of nothing: %v", numbers)
	}
	m.Answered("events", 401)
	m.Answered("events", 401)
	if numbers, _ := m.Summary(); numbers != nil {
		t.Errorf("without a run: %v", numbers)
	}
	m.Called("iam", 200, time.Second)
	m.Ran(published("a", 5, condition.Blocked, reason.StoreDenied), 2*time.Second)
	first, notOK := m.Summary()
	for _, tc := range []struct {
		name, labels string
		want         float64
	}{
		{"events_total", "events 401", 2},
		{"credentials", "blocked", 1},
		{"upstream_requests_total", "iam 200", 1},
		{"reconcile_duration_seconds_sum", "unchanged", 2},
		{"key_remaining_seconds_sum", "", 5 * 24 * 3600},
	} {
		if got := first[tc.name][tc.labels]; got != tc.want {
			t.Errorf("%s{%s} is %g, want %g", tc.name, tc.labels, got, tc.want)
		}
	}
	if len(notOK) != 1 || notOK[0].Credential != "a" || notOK[0].Reason != "store-denied" {
		t.Errorf("not ok: %+v", notOK)
	}
	for i := range 5000 {
		m.Ran(published(fmt.Sprintf("logs-sender/39726e08-8c64-4447-8b0f-%012d", i), 5, condition.Blocked, reason.StoreDenied), time.Second)
	}
	second, notOK := m.Summary()
	line, err := json.Marshal(map[string]any{"numbers": second, "not_ok": notOK})
	if err != nil || second["events_total"] != nil || second["reconcile_duration_seconds_count"]["unchanged"] != 5000 || len(notOK) != mostListed {
		t.Errorf("the second summary: %v, %s", err, line)
	}
	if len(line) > 8<<10 {
		t.Errorf("a line of %d bytes, want at most 8 KiB", len(line))
	}
}

// A rotation counts one run and some twenty requests. Beside their latencies, this is
// nothing.
func TestCountingAllocatesAlmostNothing(t *testing.T) {
	m := newTest()
	o := published("a", 5, condition.OK, "")
	n := testing.AllocsPerRun(100, func() {
		m.Ran(o, time.Second)
		m.Called("iam", 200, time.Millisecond)
		m.Answered("events", 200)
	})
	if n > 8 {
		t.Errorf("%g allocations for a run, a request and an event", n)
	}
}

func BenchmarkRan(b *testing.B) {
	m := newTest()
	o := published("a", 5, condition.OK, "")
	b.ReportAllocs()
	for b.Loop() {
		m.Ran(o, time.Second)
		m.Called("iam", 200, time.Millisecond)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newTest()
	}
}
