package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const crnTeamA = "crn:v1:bluemix:public:codeengine:us-south:a/ACC:0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d::"

// kafka has the headers of a record, with changes.
func kafka(changes ...string) http.Header {
	h := headers("Ce-Id", "partition:0/offset:167", "Ce-Source", "/apis/v1/namespaces/abc123/kafkasources/at-events#audit", "Ce-Type", typeKafka,
		"Ce-Subject", "partition:0#167", "Ce-Time", "2026-11-24T10:00:00.499Z", "Ce-Kafkaheadertype", "audit")
	for i := 0; i+1 < len(changes); i += 2 {
		h.Del(changes[i])
		if changes[i+1] != "" {
			h.Set(changes[i], changes[i+1])
		}
	}
	return h
}

func auditRecord(action, outcome, initiator, target string) string {
	return fmt.Sprintf(`{"action":%q,"outcome":%q,"eventTime":"2026-11-24T10:00:00.32+0000","initiator":{"id":%q},"target":{"id":%q},"requestData":{}}`, action, outcome, initiator, target)
}

func TestAnAuditEventAsksForALookAtItsProjectOnly(t *testing.T) {
	created := auditRecord("codeengine.project.create", "success", "IBMid-1", crnTeamA)
	other := "crn:v1:bluemix:public:codeengine:eu-de:a/ACC:3f8f2b2e-1111-4c0a-8e55-9d2f4b7c6a01::"
	const teamA, teamB = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d", "3f8f2b2e-1111-4c0a-8e55-9d2f4b7c6a01"
	for name, tc := range map[string]struct {
		body     string
		projects []string // nil: not for us
	}{
		"a created project":                            {created, []string{teamA}},
		"a created instance":                           {auditRecord("codeengine.instance.create", "success", "IBMid-1", crnTeamA), []string{teamA}},
		"a restored project":                           {auditRecord("codeengine.project.restore", "success", "IBMid-1", crnTeamA), []string{teamA}},
		"a deleted instance":                           {auditRecord("codeengine.instance.delete", "success", "IBMid-1", crnTeamA), []string{teamA}},
		"a project of IBM Cloud Projects":              {auditRecord("project.project.create", "success", "IBMid-1", strings.Replace(other, "codeengine", "project", 1)), []string{teamB}},
		"one project under both names is one":          {created + auditRecord("codeengine.instance.create", "success", "IBMid-1", crnTeamA), []string{teamA}},
		"an array":                                     {"[" + created + "," + auditRecord("codeengine.project.create", "success", "", other) + "]", []string{teamA, teamB}},
		"lines, with empty ones and a carriage return": {"\r\n" + created + "\r\n\n" + auditRecord("codeengine.project.delete", "success", "x", other) + "\r\n", []string{teamA, teamB}},
		"an action spelt with an escape":               {strings.Replace(created, "codeengine.project", `codeengine\u002eproject`, 1), []string{teamA}},
		"beside records of another shape":              {`["codeengine.project.create",null,7,{"action":7},` + created + `]`, []string{teamA}},
		"one that is pending":                          {auditRecord("codeengine.project.create", "pending", "IBMid-1", crnTeamA), nil},
		"one that failed":                              {auditRecord("codeengine.project.create", "failure", "IBMid-1", crnTeamA), nil},
		"our own work":                                 {auditRecord("codeengine.project.create", "success", us, crnTeamA), nil},
		"a project that was read":                      {auditRecord("codeengine.project.read", "success", "IBMid-1", crnTeamA), nil},
		"a project that was created elsewhere":         {auditRecord("databases.project.create", "success", "IBMid-1", crnTeamA), nil},
		"an action that only begins like one":          {auditRecord("codeengine.project.created", "success", "IBMid-1", crnTeamA), nil},
		"an action that is mentioned in a message":     {`{"action":"iam.login","message":"codeengine.project.create by a@example.com"}`, nil},
		"an action in another case":                    {auditRecord("CodeEngine.Project.Create", "success", "IBMid-1", crnTeamA), nil},
		"no data":                                      {"", nil},
		"text":                                         {"not JSON at all", nil},
		"an empty array":                               {"[]", nil},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Decode(kafka(), []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := here.Interpret(e)
			if tc.projects == nil {
				if !errors.Is(err, ErrNotForUs) {
					t.Errorf("asked %+v, %v", got, err)
				}
				return
			}
			var projects []string
			for _, r := range got {
				projects = append(projects, r.Project)
				if r.NeedsAuth() || r.Sender != SenderAudit {
					t.Errorf("asked %+v", r)
				}
			}
			if diff := cmp.Diff(tc.projects, projects); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestAnAuditEventThatCannotBeReadIsAFault(t *testing.T) {
	for name, tc := range map[string]struct{ body, names string }{
		"a name twice":                {`{"action":"codeengine.project.create","action":"x"}`, "occurs twice"},
		"JSON that ends early":        {`{"action":"codeengine.project.create"`, "ends early"},
		"text that mentions it":       {`codeengine.project.create`, "not JSON"},
		"a target that is no CRN":     {auditRecord("codeengine.project.create", "success", "IBMid-1", "team-a"), "data.target.id"},
		"a target of another service": {auditRecord("project.project.create", "success", "IBMid-1", crnTeamA), "data.target.id"},
		"a target inside a project":   {"[0," + auditRecord("codeengine.project.create", "success", "IBMid-1", strings.TrimSuffix(crnTeamA, ":")+"app:web") + "]", "data[1].target.id"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Decode(kafka(), []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := here.Interpret(e); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tc.names) || got != nil {
				t.Errorf("asked %+v, %v", got, err)
			}
		})
	}
}

func TestManyProjectsAtOnceAreOneLookAtEverything(t *testing.T) {
	var lines strings.Builder
	for i := range maxProjects + 1 {
		lines.WriteString(auditRecord("codeengine.project.create", "success", "IBMid-1", strings.Replace(crnTeamA, "0a6b8a32", fmt.Sprintf("%08x", i), 1)) + "\n")
	}
	e, err := Decode(kafka(), []byte(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := here.Interpret(e)
	if err != nil || len(got) != 1 || got[0].Verb != Look || got[0].Project != "" {
		t.Errorf("%d requests, %v", len(got), err)
	}
}

func TestOurOwnNameIsAskedForOnlyWhenItCounts(t *testing.T) {
	asked := 0
	r := Reader{Self: func() string { asked++; return us }}
	for _, body := range []string{
		auditRecord("iam-identity.serviceid-apikey.create", "success", us, crnTeamA),
		auditRecord("codeengine.project.create", "pending", us, crnTeamA),
	} {
		e, err := Decode(kafka(), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Interpret(e); !errors.Is(err, ErrNotForUs) {
			t.Error(err)
		}
	}
	if asked != 0 {
		t.Errorf("asked %d times", asked)
	}
}

func TestEventsThatAreNotForUsAreRecognizedByAScan(t *testing.T) {
	login := auditRecord("iam-identity.serviceid-apikey.login", "success", us, "crn:v1:x")
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		want   bool
	}{
		"a login":                            {kafka(), login, true},
		"with a content type":                {kafka("Content-Type", "application/json"), login, true},
		"a write to a secret of ours":        {kafka(), auditRecord("codeengine.secret.create", "success", us, crnTeamA), true},
		"a project that was read":            {kafka(), auditRecord("codeengine.project.read", "success", "x", crnTeamA), true},
		"a created project":                  {kafka(), auditRecord("codeengine.project.create", "success", "x", crnTeamA), false},
		"an escape that may hide one":        {kafka(), `{"message":"\u003d"}`, false},
		"an event of an unknown type":        {kafka("Ce-Type", "com.acme.order"), login, true},
		"a created project, of another type": {kafka("Ce-Type", "com.acme.order"), auditRecord("codeengine.project.create", "success", "x", crnTeamA), true},
		"what may be a lifecycle event":      {kafka("Ce-Type", "com.acme.order"), `{"event_type":"resource-controller.x"}`, false},
		"a tick of the timer":                {kafka("Ce-Type", TypeTick), login, false},
		"an event of our own":                {kafka("Ce-Type", TypeRevoke), login, false},
		"a notification about a secret":      {kafka("Ce-Type", typeSecrets+"x"), login, false},
		"an event without a type":            {kafka("Ce-Type", ""), login, false},
		"an event without an id":             {kafka("Ce-Id", ""), login, false},
		"an event of another version":        {kafka("Ce-Specversion", "0.3"), login, false},
		"a time that is none":                {kafka("Ce-Time", "now"), login, false},
		"a structured event":                 {kafka("Content-Type", "application/cloudevents+json"), login, false},
		"a header that has to be decoded":    {kafka("Ce-Subject", "a%20b"), login, false},
		"a header that is illegal":           {kafka("Ce-My-Name", "x"), login, false},
		"a content type as an attribute":     {kafka("Ce-Datacontenttype", "text/plain"), login, false},
		"a source that is no path":           {kafka("Ce-Source", "https://u:p@h/"), login, false},
		"a structured event not for us": {kafka("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/a","type":"com.acme.order","subject":"a","time":"2026-11-24T10:00:00Z","datacontenttype":"application/json","data":[1]}`, true},
		"a structured event of our own": {kafka("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/a","type":"dev.latchkey.rotate","data":{"credential":"a"}}`, false},
		"a structured event with an extension": {kafka("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/a","type":"com.acme.order","ticket":"a"}`, false},
		"a structured event with an escape": {kafka("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/a","type":"com.acme.\u006frder"}`, false},
		"a structured event without an id": {kafka("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","source":"/a","type":"com.acme.order"}`, false},
		"an envelope of Event Notifications": {kafka("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/a","type":"com.acme.order","data":{"notification_id":"1"}}`, false},
		"an attribute in an unusual spelling": {func() http.Header { h := kafka(); h["ce-id"] = []string{"2"}; return h }(), login, false},
		"a content type in another spelling":  {func() http.Header { h := kafka(); h["content-type"] = []string{batchType}; return h }(), login, false},
		"an attribute twice":                  {func() http.Header { h := kafka(); h.Add("Ce-Id", "2"); return h }(), login, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, got := Passing(tc.header, []byte(tc.body)); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// FuzzAudit checks that the requests do not depend on how records are combined.
func FuzzAudit(f *testing.F) {
	for _, name := range goldens(f) {
		if strings.HasPrefix(name, "audit") {
			_, body := golden(f, name)
			f.Add(body)
		}
	}
	f.Add([]byte(`[[{"action":"codeengine.project.create"}]]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Decode(kafka(), body)
		if err != nil {
			t.Fatalf("the headers are legal: %v", err)
		}
		got, err := here.Interpret(e)
		if _, _, passing := Passing(kafka(), body); passing && !errors.Is(err, ErrNotForUs) {
			t.Fatalf("said to ask nothing, and asks %+v, %v", got, err)
		}
		if err != nil {
			if got != nil || (!errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotForUs)) || len(err.Error()) > 600 {
				t.Fatalf("%+v with error %.700q", got, err)
			}
			return
		}
		records, err := split(body)
		if err != nil {
			t.Fatalf("asked something, and cannot be split: %v", err)
		}
		together, err := json.Marshal(records)
		if err != nil {
			t.Fatal(err)
		}
		var apart []byte
		for _, r := range records {
			apart = append(append(apart, r...), '\n')
		}
		for _, form := range [][]byte{together, apart} {
			twin, err := Decode(kafka(), form)
			if err != nil {
				t.Fatal(err)
			}
			again, err := here.Interpret(twin)
			if diff := cmp.Diff(got, again); diff != "" || err != nil {
				t.Fatalf("asked something else when sent as %q: %s %v", form, diff, err)
			}
		}
	})
}

// FuzzPassing checks that Passing is true only for a valid event that requests
// nothing.
func FuzzPassing(f *testing.F) {
	f.Add("Ce-Subject", "partition:0#1", "", "/s", "2026-11-24T10:00:00Z", []byte(`{}`))
	f.Add("ce-id", "x", "application/json", "/a#b", "2026-11-24T10:00:00+01:00", []byte(`{"action":"codeengine.project.create"}`))
	f.Add("Ce-Subject", "x", structuredType+"+json", "/s", "2026-11-24T10:00:00Z", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"com.acme.order","time":"2026-11-24T10:00:00Z","data":{"a":1}}`))
	f.Add("Ce-Subject", "x", structuredType+"+json", "/s", "2026-11-24T10:00:00Z", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.latchkey.revoke","datacontenttype":"application/json","subject":"a"}`))
	f.Add("Ce-Data", "%C0", "text/plain", "//[", "0000-01-01T00:00:00Z", []byte(`{"action":"\u0063odeengine.project.create"}`))
	f.Fuzz(func(t *testing.T, key, value, contentType, source, when string, body []byte) {
		for _, kind := range []string{typeKafka, TypeTick, TypeRevoke, typeSecrets, "com.acme.order"} {
			h := kafka("Ce-Type", kind, "Ce-Source", source, "Ce-Time", when, "Content-Type", contentType)
			h[key] = append(h[key], value)
			passed, data, passing := Passing(h, body)
			if !passing {
				continue
			}
			e, err := Decode(h, body)
			if err != nil {
				t.Fatalf("%s: it is no event: %v", kind, err)
			}
			if passed != e.Type() || !bytes.Equal(data, e.Data()) {
				t.Fatalf("it has the type %s and the data %s, want %s and %s", passed, data, e.Type(), e.Data())
			}
			if got, err := here.Interpret(e); !errors.Is(err, ErrNotForUs) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: it asks %+v, %v", kind, got, err)
			}
		}
	})
}
