package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// An optional store with another's value is named, and nothing is held back: the
// credential is due and rotates, and the doctor is content.
func TestAnOptionalStoreInTroubleIsNamedAndBlocksNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		entry map[string]string
		why   reason.Reason
	}{
		"a value without an ID": {map[string]string{"IAM_API_KEY": "another's"}, reason.EntryUnmarked},
		"a value with a bad ID": {map[string]string{"IAM_API_KEY": "another's", "IAM_API_KEY_ID": "none"}, reason.EntryUnmarked},
		"a value of another owner": {map[string]string{
			"IAM_API_KEY": "another's", "IAM_API_KEY_ID": "ApiKey-0a6b8a32-0000-4000-8000-000000000001", "IAM_API_KEY_LATCHKEY": `{"owner":"another"}`,
		}, reason.EntryForeign},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			yaml := holesHead + static("c", place1, place2) + "    required: false\n"
			s.cloud.Cloud().PutSecret(s.project("team-a").ID, "logs-sender", tc.entry)
			s.url = s.serve(yaml)
			first := s.post(s.url, sample.Tick(s.cloud.Now()), testToken).outcomes[0]
			if first.Key == "" {
				t.Fatalf("nothing was published: %+v", first)
			}
			r := s.post(s.url, sample.Tick(s.cloud.Now()), testToken)
			if o := r.outcomes[0]; r.status != http.StatusOK || o.Condition != condition.Due || o.Reason != tc.why || o.Result == result.Blocked || !strings.Contains(string(r.body), "team-a") {
				t.Errorf("answered %d %s", r.status, r.body)
			}
			if code, out := s.as(s.cloud.Ready().APIKey, yaml, "status", "-o", "wide"); code != cli.ExitDue || !strings.Contains(out, string(tc.why)) {
				t.Errorf("status: exit %d\n%s", code, out)
			}
			if _, out := s.as(s.cloud.Ready().APIKey, yaml, "doctor"); strings.Contains(out, "fail c:") || strings.Contains(out, "c: blocked") {
				t.Errorf("doctor:\n%s", out)
			}
			s.cloud.Advance(61 * 24 * time.Hour)
			if o := s.post(s.url, sample.Tick(s.cloud.Now()), testToken).outcomes[0]; o.Key == first.Key || o.Result != result.Published {
				t.Errorf("after 61 days: %+v", o)
			}
		})
	}
}
