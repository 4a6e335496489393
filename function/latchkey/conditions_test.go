package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Every condition is the same in the table, in JSON, in the exit code, over HTTP and
// for doctor.
func TestEveryConditionIsToldAlikeEverywhere(t *testing.T) {
	const day = 24 * time.Hour
	c := static("c", place1)
	paused := strings.Replace(c, "serviceID:", "paused: true\n  serviceID:", 1)
	for name, tc := range map[string]struct {
		after  time.Duration // since the first key was published; negative if none was
		make   func(s *stage)
		config string // the default is c

		want condition.Condition
		why  reason.Reason
		exit int
		next time.Duration // from now; zero is not checked
		// doctor is the start of a line of doctor, which fails if fails is set.
		doctor string
		fails  bool
		says   string // in the table of status
		// swept is the condition in the answer to a sweep over HTTP.
		swept condition.Condition
	}{
		"nothing is due":                              {want: condition.OK, exit: cli.ExitOK, doctor: "ok    c: ok", swept: condition.OK},
		"no key was ever published":                   {after: -1, want: condition.Missing, why: reason.NothingThere, exit: cli.ExitDue, doctor: "ok    c: missing", swept: condition.OK},
		"the key has its age":                         {after: 60 * day, want: condition.Due, why: reason.Aged, exit: cli.ExitDue, doctor: "ok    c: due", swept: condition.OK},
		"the key is overdue and expires soon":         {after: 80 * day, want: condition.Expiring, why: reason.Aged, exit: cli.ExitDue, doctor: "ok    c: expiring", swept: condition.OK},
		"the key has expired":                         {after: 91 * day, want: condition.Expired, why: reason.IsExpired, exit: cli.ExitAct, doctor: "FAIL  c: expired", fails: true, swept: condition.OK},
		"the key has expired, and a person must act":  {after: 91 * day, make: locked, want: condition.Expired, why: reason.IdentityLocked, exit: cli.ExitAct, next: time.Hour, doctor: "FAIL  c: expired", fails: true, swept: condition.Expired},
		"the key has expired while the config paused": {after: 91 * day, config: paused, want: condition.Expired, why: reason.Paused, exit: cli.ExitAct, doctor: "FAIL  c: expired", fails: true, swept: condition.Expired},
		"a leaked key is too young to be replaced": {
			make: func(s *stage) { s.revoke("c", s.publishedKey(), false) },
			want: condition.Leaked, why: reason.TooYoung, exit: cli.ExitAct, doctor: "FAIL  c: leaked", fails: true, swept: condition.Leaked,
		},
		"a person must act":         {make: locked, want: condition.Blocked, why: reason.IdentityLocked, exit: cli.ExitAct, next: time.Hour, doctor: "FAIL  c: blocked", fails: true, swept: condition.Blocked},
		"the config pauses":         {config: paused, want: condition.Blocked, why: reason.Paused, exit: cli.ExitOK, next: time.Hour, doctor: "ok    c: blocked", swept: condition.Blocked},
		"a store does not answer":   {after: time.Hour, make: fails("GET", "/v2/projects/*/secrets/*", 503), want: condition.InProgress, why: reason.StoreUnreachable, exit: cli.ExitTryAgain, next: time.Hour, doctor: "????  c: in-progress", fails: true, swept: condition.InProgress},
		"no config entry yields it": {config: static("d", place2), want: condition.Unconfigured, why: reason.Unconfigured, exit: cli.ExitDue, doctor: "FAIL  c: no config entry yields it", fails: true, swept: condition.Unconfigured},
		"a value was overwritten":   {after: time.Hour, make: overwritten, want: condition.Due, why: reason.ValueAltered, exit: cli.ExitDue, doctor: "ok    c: due", swept: condition.OK, says: "#IAM_API_KEY: altered"},
		"a role is missing":         {make: roleless, want: condition.Blocked, why: reason.IdentityDenied, exit: cli.ExitAct, next: time.Hour, doctor: "FAIL  permission: no role on iam-identity", fails: true, swept: condition.Blocked},
		"IAM does not answer":       {make: fails("GET", "/v1/*", 503), want: condition.Unknown, why: reason.Unobserved, exit: cli.ExitTryAgain, next: time.Hour, doctor: "FAIL  IAM: service IDs can't be listed", fails: true, swept: condition.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := holed(t, c)
			if tc.after >= 0 {
				s.sweep().only(t, result.Published)
				s.cloud.Advance(tc.after)
			}
			config := holesHead + c
			if tc.config != "" {
				config = holesHead + tc.config
				s.url = s.serve(config)
			}
			if tc.make != nil {
				tc.make(s)
			}
			s.told(config, tc.want, tc.why, tc.exit, tc.next)
			if _, table := s.as(s.cloud.Ready().APIKey, config, "status"); !strings.Contains(table, tc.says) {
				t.Errorf("status does not say %q:\n%s", tc.says, table)
			}
			if code, list := s.as(s.cloud.Ready().APIKey, config, "doctor"); !strings.Contains(list, "\n"+tc.doctor) || (code != cli.ExitOK) != tc.fails {
				t.Errorf("doctor: exit %d\n%s", code, list)
			}
			answer := s.sweep()
			i := slices.IndexFunc(answer.outcomes, func(o result.Outcome) bool { return o.Credential == "c" })
			if i < 0 || answer.outcomes[i].Condition != tc.swept {
				t.Errorf("a sweep over HTTP: %s, want %s", answer.body, tc.swept)
			}
		})
	}
}

// locked takes the policy of c away, so that it is due, and locks the service ID.
func locked(s *stage) { s.withoutPolicy(s.serviceID("c"), true) }

// overwritten replaces the value beside the ID of its key.
func overwritten(s *stage) {
	data := s.data("team-b")
	data["IAM_API_KEY"] = "by hand"
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
}

// roleless takes latchkey's role on service IDs away.
func roleless(s *stage) { s.cloud.Cloud().Revoke(s.cloud.Cloud().Minter().IAMID, "iam-identity") }

// told checks status, its JSON and plan.
func (s *stage) told(config string, want condition.Condition, why reason.Reason, exit int, next time.Duration) {
	s.t.Helper()
	key := s.cloud.Ready().APIKey
	code, table := s.as(key, config, "status")
	if !slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool {
		cells := strings.Fields(line)
		return len(cells) > 1 && cells[0] == "c" && cells[1] == string(want)
	}) || code != exit {
		s.t.Errorf("status: exit %d, want %d and %s\n%s", code, exit, want, table)
	}
	if code, text := s.as(key, config, "plan"); code != exit || !strings.Contains("\n"+text, "\nc: "+string(want)) {
		s.t.Errorf("plan: exit %d, want %d and %s\n%s", code, exit, want, text)
	}
	code, text := s.as(key, config, "status", "-o", "json")
	var listed struct{ Outcomes []result.Outcome }
	if err := json.Unmarshal([]byte(text), &listed); err != nil || code != exit {
		s.t.Fatalf("status -o json: exit %d, %v\n%s", code, err, text)
	}
	i := slices.IndexFunc(listed.Outcomes, func(o result.Outcome) bool { return o.Credential == "c" })
	if i < 0 {
		s.t.Fatalf("no c in\n%s", text)
	}
	o := listed.Outcomes[i]
	if o.Condition != want || o.Reason != why || want != condition.OK && o.Message == "" && o.Error == "" {
		s.t.Errorf("%s, want %s for the reason %q", text, want, why)
	}
	if off := o.Next.Sub(s.cloud.Now().Add(next)).Abs(); next != 0 && off > time.Minute {
		s.t.Errorf("next is %s, want in %s", o.Next, next)
	}
}
