package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// fakeIAM has one service ID.
type fakeIAM struct {
	keys    []port.KeyRecord
	granted []access.Policy
	used    map[string]time.Time
	err     error
}

func (f fakeIAM) Marked(context.Context, string, string) ([]port.KeyRecord, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.keys, nil
}

func (f fakeIAM) Granted(context.Context, string) ([]access.Policy, error) {
	return f.granted, f.err
}
func (f fakeIAM) Used(_ context.Context, id string) (time.Time, error) { return f.used[id], f.err }

func record(id, credential, cause string, created time.Time) port.KeyRecord {
	m := marker.Marker{Owner: "prod", Credential: credential}
	return port.KeyRecord{
		Key: protocol.Key{ID: id, Created: created, Expires: created.Add(90 * 24 * time.Hour)}, Creator: "iam-Profile-latchkey",
		Credential: credential, Description: m.Describe(cause),
	}
}

func TestEvidenceIsWhatIAMShowsOfTheCredentialsKeys(t *testing.T) {
	logs := access.Policy{Service: "logs", Roles: []string{"Sender"}, Instance: "7a1c"}
	wide := access.Policy{Service: "cloud-object-storage", Roles: []string{"Manager"}}
	iam := fakeIAM{
		keys: []port.KeyRecord{
			record("ApiKey-2", "logs", "Sends logs; dev.latchkey.rotate subject CHG0031", now.Add(-time.Hour)),
			record("ApiKey-1", "old-logs", "sweep", now.Add(-48*time.Hour)),
			record("ApiKey-3", "other", "sweep", now),
		},
		granted: []access.Policy{logs, wide},
		used:    map[string]time.Time{"ApiKey-1": now.Add(-3 * time.Hour)},
	}
	wanted := port.Credential{Name: "logs", Former: []string{"old-logs"}, KeyDescription: "Sends logs", Policies: []access.Policy{logs}}
	o := result.Outcome{Credential: "logs", ServiceID: "ServiceId-1", Stores: []result.Store{{Name: "file", Key: "ApiKey-2"}}}
	got := Gather(t.Context(), iam, []port.Credential{wanted}, []result.Outcome{o})[0]
	if len(got.Keys) != 2 || got.Keys[0].ID != "ApiKey-1" || got.Keys[1].ID != "ApiKey-2" {
		t.Fatalf("keys %+v, want the credential's own two, the oldest first", got.Keys)
	}
	second := got.Keys[1]
	if second.Cause != "dev.latchkey.rotate subject CHG0031" || second.Creator != "iam-Profile-latchkey" || len(second.Stores) != 1 || !second.UseRead || !second.Used.IsZero() {
		t.Errorf("the second key: %+v", second)
	}
	if len(got.Granted) != 2 || len(got.Wider) != 1 || !strings.Contains(got.Wider[0], "Manager") {
		t.Errorf("granted %q, wider %q", got.Granted, got.Wider)
	}
	iam.err = errors.New("denied")
	got = Gather(t.Context(), iam, nil, []result.Outcome{o})[0]
	if len(got.Unread) != 2 {
		t.Errorf("unread: %q", got.Unread)
	}
}

func TestAHistoryTellsWhatTheMarksShow(t *testing.T) {
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	first := Key{Key: protocol.Key{ID: "ApiKey-1", Created: at(-100), Expires: at(2), Superseded: at(-10), Renew: at(-11)}, Creator: "iam-1", Cause: "sweep by job", Used: at(-5), UseRead: true}
	second := Key{Key: protocol.Key{ID: "ApiKey-2", Created: at(-10), Refused: at(-9), Refusal: reason.StoreDenied, Leaked: at(-1), Expires: at(-1)}, UseRead: true}
	second.Changes = []port.Change{{At: at(-10), Action: "CREATED", By: "iam-1"}, {At: at(-2), Action: "DISABLED", By: "IBMid-1"}}
	c := Credential{Outcome: result.Outcome{Credential: "logs"}, Keys: []Key{first, second}}
	h := c.Tell(nil, now)
	var lines []string
	for _, m := range h.Moments {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%.0f %s %s %s %s", m.At.Sub(now).Hours(), m.Key, m.What, m.From, m.By)))
	}
	want := []string{
		"-100 ApiKey-1 created for: sweep by job iam iam-1",
		"-11 ApiKey-1 a newer key was demanded mark",
		"-10 ApiKey-1 superseded by a newer key mark",
		"-10 ApiKey-2 created iam",
		"-9 ApiKey-2 could not be published: " + reason.StoreDenied.Sentence() + " mark",
		"-5 ApiKey-1 last authenticated activity",
		"-2 ApiKey-2 disabled iam IBMid-1",
		"-1 ApiKey-2 its revocation was demanded mark",
		"-1 ApiKey-2 expired iam",
		"2 ApiKey-1 expires iam",
	}
	if got, want := strings.Join(lines, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	if ends := strings.Join(h.Ends, " "); !strings.Contains(ends, "Keys that IAM shows: 2, the oldest of 2026-11-24 08:00:00") || !strings.Contains(ends, "No audit record about a key") {
		t.Errorf("it ends with %q", h.Ends)
	}
}

const audits = `[
 {"action":"iam-identity.serviceid-apikey.create","outcome":"success","eventTime":"2026-08-01T10:00:00.00+0000","initiator":{"id":"iam-Profile-l","name":"latchkey"},"target":{"id":"crn:v1:bluemix:public:iam-identity::a/1::apikey:ApiKey-gone","name":"logs.20260801T100000.000Z.0a1b2c3d"}},
 {"action":"iam-identity.serviceid-apikey.delete","outcome":"failure","eventTime":"2026-10-01T10:00:00.00+0000","target":{"id":"x:ApiKey-gone","name":"logs.20260801T100000.000Z.0a1b2c3d"}},
 {"action":"codeengine.project.create","outcome":"success","eventTime":"2026-10-01T10:00:00.00+0000","target":{"id":"p"}}
]
{"action":"iam-identity.serviceid-apikey.delete","outcome":"success","eventTime":"2026-10-02T10:00:00.5+0000","initiator":{"id":"iam-Profile-l"},"target":{"id":"x:ApiKey-gone","name":"logs.20260801T100000.000Z.0a1b2c3d"}}
{"action":"iam-identity.serviceid-apikey.login","outcome":"success","eventTime":"2026-09-02T10:00:00Z","initiator":{"id":"iam-ServiceId-1"},"target":{"id":"x:ApiKey-gone","name":"logs.20260801T100000.000Z.0a1b2c3d"}}
{"action":"iam-identity.serviceid-apikey.login","outcome":"success","eventTime":"2026-09-03T10:00:00Z","initiator":{"id":"iam-ServiceId-1"},"target":{"id":"x:ApiKey-gone","name":"logs.20260801T100000.000Z.0a1b2c3d"}}
{"action":"iam-identity.serviceid-apikey.create","outcome":"success","eventTime":"2026-09-03T10:00:00Z","target":{"id":"x:ApiKey-other","name":"logs-2.20260801T100000.000Z.0a1b2c3d"}}
`

func TestAuditRecordsTellOfDeletedKeys(t *testing.T) {
	records, err := ReadAudit(strings.NewReader(audits))
	if err != nil || len(records) != 5 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	c := Credential{Outcome: result.Outcome{Credential: "logs"}}
	h := c.Tell(records, now)
	var lines []string
	for _, m := range h.Moments {
		lines = append(lines, m.At.UTC().Format(time.DateOnly)+" "+m.Key+" "+m.What+" "+string(m.From)+" "+m.By)
	}
	want := "2026-08-01 ApiKey-gone created audit latchkey iam-Profile-l\n" +
		"2026-09-03 ApiKey-gone authenticated, 2 times in these records audit \n" +
		"2026-10-02 ApiKey-gone deleted audit iam-Profile-l"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	if ends := strings.Join(h.Ends, " "); !strings.Contains(ends, "reach from 2026-08-01 10:00:00 to 2026-10-02 10:00:00; 4 are about this credential") {
		t.Errorf("it ends with %q", h.Ends)
	}
}

func TestAFileThatIsNotAuditRecordsIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"text": "not JSON", "nothing": "", "a line break": "\n", "an empty list": "[]", "an object": "{}", "a list of numbers": "[1,2]",
		"what a server says": `{"error":"unauthorized"}`, "another list": `[{"action":"x"}]`,
	} {
		if records, err := ReadAudit(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %d records and no error", name, len(records))
		}
	}
	if records, err := ReadAudit(strings.NewReader(`{"action":"logs.query.run","outcome":"failure","eventTime":"2026-09-03T10:00:00Z"}`)); err != nil || len(records) > 0 {
		t.Errorf("records of other things: %d, %v", len(records), err)
	}
}

func TestALoginThatNamesNoKeyIsToldOfItsServiceID(t *testing.T) {
	records, err := ReadAudit(strings.NewReader(`
{"action":"iam-identity.serviceid-apikey.login","outcome":"success","eventTime":"2026-09-02T10:00:00Z","initiator":{"id":"iam-ServiceId-1","host":{"agent":"curl/8","address":"192.0.2.7"}},"target":{"id":"crn::serviceid:ServiceId-1"}}
{"action":"iam-identity.serviceid-apikey.login","outcome":"success","eventTime":"2026-09-03T10:00:00Z","initiator":{"id":"iam-ServiceId-1","host":{"agent":"java/21"}},"target":{"id":"crn::serviceid:ServiceId-1"}}
{"action":"iam-identity.serviceid-apikey.login","outcome":"success","eventTime":"2026-09-04T10:00:00Z","initiator":{"id":"iam-ServiceId-2","host":{"agent":"other"}},"target":{"id":"crn::serviceid:ServiceId-2"}}`))
	if err != nil {
		t.Fatal(err)
	}
	h := Credential{Outcome: result.Outcome{Credential: "logs", ServiceID: "ServiceId-1"}}.Tell(records, now)
	if len(h.Moments) != 1 || h.Moments[0].What != "authenticated, 2 times in these records" || h.Moments[0].By != "java/21" || h.Moments[0].Key != "" {
		t.Errorf("told %+v", h.Moments)
	}
}

func TestALeakThatIAMFoundIsIAMsRecord(t *testing.T) {
	const iam = "crn-crn:v1:bluemix:public:iam-identity:::::"
	at := now.Add(-time.Hour)
	found := Key{
		Key:     protocol.Key{ID: "ApiKey-1", Created: now.Add(-48 * time.Hour), Disabled: true, DisabledBy: iam, Leaked: at},
		Changes: []port.Change{{At: at, Action: "DISABLED", By: iam}},
	}
	marked := found
	marked.Leaked = at.Add(-time.Minute)
	for want, k := range map[string]Key{"leaked: IAM itself disabled it": found, "its revocation was demanded": marked} {
		from := map[string]Source{"leaked: IAM itself disabled it": IAMs, "its revocation was demanded": Mark}[want]
		has := slices.ContainsFunc(k.moments(now), func(m Moment) bool { return m.What == want && m.From == from && m.At.Equal(k.Leaked) })
		if !has {
			t.Errorf("no moment %q in %+v", want, k.moments(now))
		}
	}
}
