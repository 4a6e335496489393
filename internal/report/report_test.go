package report

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/evidence"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func ago(days int) time.Time { return now.Add(-time.Duration(days) * 24 * time.Hour) }

func of(keys ...evidence.Key) evidence.Credential {
	return evidence.Credential{Outcome: result.Outcome{Credential: "logs", Condition: condition.OK, ServiceID: "ServiceId-1", Key: "ApiKey-1"}, Keys: keys}
}

func key(age int) evidence.Key {
	return evidence.Key{Key: protocol.Key{ID: "ApiKey-1", Created: ago(age), Expires: ago(age - 366)}, Used: ago(1), UseRead: true}
}

func TestWhatEachControlAsks(t *testing.T) {
	with := func(k evidence.Key, change func(*evidence.Key)) evidence.Key {
		change(&k)
		return k
	}
	wide, unread, unconfigured := of(key(10)), of(key(10)), of(key(10))
	wide.Wider = []string{"Manager on all"}
	unread.Unread = []string{"policies: denied"}
	unconfigured.Condition = condition.Unconfigured
	for name, tc := range map[string]struct {
		credential evidence.Credential
		control    string
		want       Verdict
	}{
		"a young key is rotated":                       {of(key(90)), "rotated", Met},
		"an old key is not":                            {of(key(91)), "rotated", NotMet},
		"a key that ended needs no rotation":           {of(with(key(400), func(k *evidence.Key) { k.Expires = ago(1) })), "rotated", NoKey},
		"a credential without a key needs none":        {of(), "rotated", NoKey},
		"a key that is used":                           {of(key(300)), "used", Met},
		"a key that was not used for long":             {of(with(key(300), func(k *evidence.Key) { k.Used = ago(181) })), "used", NotMet},
		"a young key that was never used":              {of(with(key(30), func(k *evidence.Key) { k.Used = time.Time{} })), "used", Met},
		"an old key whose use could not be read":       {of(with(key(300), func(k *evidence.Key) { k.Used, k.UseRead = time.Time{}, false })), "used", Unknown},
		"a key with an expiry":                         {of(key(1)), "expires", Met},
		"a key without one":                            {of(with(key(1), func(k *evidence.Key) { k.Expires = time.Time{} })), "expires", NotMet},
		"the policies of the config":                   {of(key(1)), "least-privilege", Met},
		"a wider policy":                               {wide, "least-privilege", NotMet},
		"policies that could not be read":              {unread, "least-privilege", Unknown},
		"a leaked key that works":                      {of(with(key(1), func(k *evidence.Key) { k.Leaked = ago(0) })), "not-leaked", NotMet},
		"a leaked key that is disabled":                {of(with(key(1), func(k *evidence.Key) { k.Leaked, k.Disabled = ago(0), true })), "not-leaked", Met},
		"a credential of the config is owned":          {of(key(1)), "owned", Met},
		"a service ID without an entry is not":         {unconfigured, "owned", NotMet},
		"a credential without a key is owned all same": {of(), "owned", Met},
	} {
		t.Run(name, func(t *testing.T) {
			r := Of("prod", "latchkey v1", []evidence.Credential{tc.credential}, nil, 90*24*time.Hour, now)
			if got := r.Rows[0].Verdicts[tc.control]; got != tc.want {
				t.Errorf("%s is %s, want %s", tc.control, got, tc.want)
			}
		})
	}
}

func TestRotationsAreCountedInThePeriod(t *testing.T) {
	c := of(key(200), key(70), key(10))
	for i := range c.Keys {
		c.Keys[i].ID += strings.Repeat("x", i)
	}
	gone := evidence.Record{At: ago(40), Verb: "create", Key: "ApiKey-gone", Name: "logs.20261019T100000.000Z.0a1b2c3d"}
	for name, tc := range map[string]struct {
		days    int
		records []evidence.Record
		want    int
	}{
		"the keys that IAM shows":           {90, nil, 2},
		"and those of audit records":        {90, []evidence.Record{gone, gone}, 3},
		"in a shorter period":               {30, []evidence.Record{gone}, 1},
		"the first key replaces no other":   {400, nil, 2},
		"a record of another credential is": {90, []evidence.Record{{At: ago(40), Verb: "create", Key: "ApiKey-other", Name: "audit.20261019T100000.000Z.0a1b2c3d"}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := Of("prod", "", []evidence.Credential{c}, tc.records, time.Duration(tc.days)*24*time.Hour, now)
			if got := r.Rows[0].Rotations; got != tc.want {
				t.Errorf("%d rotations, want %d", got, tc.want)
			}
		})
	}
}

func TestTheReportIsWrittenForProgramsAndSpreadsheets(t *testing.T) {
	c := of(key(10))
	c.Keys[0].Cause = "=HYPERLINK(\"https://evil.example\")"
	c.Keys[0].Stores = []string{"file", "vault"}
	r := Of("prod", "latchkey v1", []evidence.Credential{c}, nil, 90*24*time.Hour, now)
	var table, object, text strings.Builder
	if err := r.WriteCSV(&table); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(table.String())).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	cells := map[string]string{}
	for i, name := range rows[0] {
		cells[name] = rows[1][i]
	}
	if cells["cause"] != "'"+c.Keys[0].Cause || cells["stores"] != "file; vault" || cells["rotated (CIS IBM Cloud Foundations 1.0.0: 1.3; NIST SP 800-53: IA-5)"] != "met" {
		t.Errorf("cells %v", cells)
	}
	if err := r.WriteJSON(&object); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Owner    string
		Keys     []Row
		Controls []Control
	}
	if err := json.Unmarshal([]byte(object.String()), &back); err != nil || back.Owner != "prod" || len(back.Keys) != 1 || len(back.Controls) != len(Controls) {
		t.Errorf("%v: %+v", err, back)
	}
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "rotated: 1 met, 0 not met, 0 unknown: a key that works is at most 90 days old (") {
		t.Errorf("%v: %s", err, text.String())
	}
}
