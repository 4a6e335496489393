package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
)

// A secret that people keep has the name of a service ID, and no rotation moves its
// date. Secrets Manager announces the date up to six times, and then says each day
// that the secret has expired.
func TestAnExpiryDateIsServedByOneKey(t *testing.T) {
	const day = 24 * time.Hour
	s := newStage(t, emulator.Options{})
	e, _ := s.created("team-a")
	s.one(e, testToken, result.Published)
	published := func() string { return s.data("team-a")["IAM_API_KEY_ID"] }
	start := s.cloud.Now()
	to := func(days time.Duration) {
		s.cloud.Advance(start.Add(days * day).Sub(s.cloud.Now()))
		if tick := s.post(s.url, sample.Tick(s.cloud.Now()), ""); tick.status != http.StatusOK {
			t.Fatalf("day %d: the tick was answered %d %s", days, tick.status, tick.body)
		}
	}
	notice := func(kind string, date time.Time) string {
		t.Helper()
		e := sample.SecretExpiring(s.cloud.Ready().Account, "logs-sender-team-a", s.cloud.Now())
		var body map[string]any
		if err := json.Unmarshal(e.Body, &body); err != nil {
			t.Fatal(err)
		}
		body["type"] = "com.ibm.cloud.secrets-manager." + kind
		body["data"].(map[string]any)["secrets"].([]any)[0].(map[string]any)["secret_expiration"] = date.Format(time.RFC3339)
		e.Body = sample.Encode(body)
		if r := s.post(s.url, e, testToken); r.status != http.StatusOK || len(r.outcomes) != 1 {
			t.Fatalf("the notice was answered %d %s", r.status, r.body)
		}
		return published()
	}
	date := start.Add(91 * day)
	rotated := 0
	for _, n := range []struct {
		day  time.Duration
		kind string
	}{
		{1, "secret_about_to_expire:in_90_days"}, {31, "secret_about_to_expire:in_60_days"}, {61, "secret_about_to_expire:in_30_days"},
		{81, "secret_about_to_expire:in_10_days"}, {90, "secret_about_to_expire:in_1_day"}, {91, "secret_about_to_expire:in_0_days"},
		{92, "secret_expired"}, {93, "secret_expired"}, {94, "secret_expired"},
	} {
		to(n.day)
		before := published() // the tick has rotated by age
		if notice(n.kind, date) != before {
			rotated++
		}
	}
	if rotated != 1 {
		t.Errorf("%d keys for one date, want 1", rotated)
	}
	to(95)
	key := published()
	moved := start.Add(180 * day)
	second := notice("secret_about_to_expire:in_90_days", moved)
	if second == key {
		t.Error("a date that was moved demands a key of its own")
	}
	to(96)
	if again := notice("secret_about_to_expire:in_90_days", moved); again != second {
		t.Error("a second notice about the moved date made another key")
	}
}
