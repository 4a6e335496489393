package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

var here = Reader{Now: func() time.Time { return now }, Self: func() string { return us }}

// headers returns the headers of a legal binary event with changes; "" removes
// a header.
func headers(changes ...string) http.Header {
	h := http.Header{}
	set := func(name, value string) {
		if value == "" {
			h.Del(name)
			return
		}
		h.Set(name, value)
	}
	for _, pair := range [][2]string{{"Ce-Specversion", "1.0"}, {"Ce-Id", "e-1"}, {"Ce-Source", "/me"}, {"Ce-Type", typeSweep}} {
		set(pair[0], pair[1])
	}
	for i := 0; i+1 < len(changes); i += 2 {
		set(changes[i], changes[i+1])
	}
	return h
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeBinary(t *testing.T) {
	e, err := Decode(headers("Ce-Subject", `"with \"quotes\" and %C3%A9"`, "Ce-Time", "2026-11-24T10:00:00.05Z", "Ce-Region", "eu%2Dde",
		"Content-Type", "application/json; charset=utf-8"), []byte(`{"credentials":["a"]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{e.ID(), e.Source(), e.Type(), e.Subject(), e.Time().Format(time.RFC3339Nano), e.DataContentType(), fmt.Sprint(e.Extensions()["region"]), string(e.Data())}
	want := []string{"e-1", "/me", typeSweep, `with "quotes" and é`, "2026-11-24T10:00:00.05Z", "application/json; charset=utf-8", "eu-de", `{"credentials":["a"]}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const legal = `"specversion":"1.0","id":"1","source":"/me","type":"t"`
	structuredJSON := http.Header{"Content-Type": {"application/cloudevents+json; charset=UTF-8"}}
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		want   error
		names  string
	}{
		"a missing id":                          {headers("Ce-Id", ""), "", ErrMalformed, "id is missing"},
		"a missing source":                      {headers("Ce-Source", ""), "", ErrMalformed, "source is missing"},
		"a missing type":                        {headers("Ce-Type", ""), "", ErrMalformed, "type is missing"},
		"a missing specversion":                 {headers("Ce-Specversion", ""), "", ErrMalformed, "specversion is missing"},
		"another specversion":                   {headers("Ce-Specversion", "0.3"), "", ErrMalformed, `specversion "0.3"`},
		"a header twice":                        {http.Header{"Ce-Id": {"1", "2"}}, "", ErrMalformed, "ce-id occurs more than once"},
		"datacontenttype as a header":           {headers("Ce-Datacontenttype", "text/plain"), "", ErrMalformed, "ce-datacontenttype"},
		"a broken percent-encoding":             {headers("Ce-Id", "%zz"), "", ErrMalformed, `"%zz"`},
		"a broken percent-encoding of a source": {headers("Ce-Source", "/%zz"), "", ErrMalformed, "header ce-source: the percent-encoding is invalid"},
		"bytes that are not UTF-8":              {headers("Ce-Subject", "%C0%A0"), "", ErrMalformed, "UTF-8"},
		"a control character":                   {headers("Ce-Subject", "a%07b"), "", ErrMalformed, "control character"},
		"a time that is none":                   {headers("Ce-Time", "yesterday"), "", ErrMalformed, `time "yesterday"`},
		"an attribute name with a dash":         {headers("Ce-My-Name", "x"), "", ErrMalformed, "my-name"},
		"a content type that is none":           {headers("Content-Type", "rubbish;;"), "", ErrMalformed, "datacontenttype"},
		"no event at all":                       {http.Header{"Content-Type": {"text/plain"}}, "hello", ErrMalformed, "ce-specversion is missing"},
		"an event in JSON, sent as plain text":  {http.Header{"Content-Type": {"text/plain"}}, `{` + legal + `}`, ErrMalformed, "send this body with Content-Type application/cloudevents+json"},
		"a batch in JSON, sent as plain text":   {http.Header{"Content-Type": {"text/plain"}}, `[{` + legal + `}]`, ErrMalformed, "send this body with Content-Type application/cloudevents-batch+json"},
		"a compressed body":                     {headers("Content-Encoding", "gzip"), "", ErrUnsupported, "uncompressed"},
		"a compressed structured event":         {http.Header{"Content-Type": {"application/cloudevents+json"}, "content-encoding": {"br"}}, "", ErrUnsupported, "uncompressed"},
		"a batch":                               {http.Header{"Content-Type": {"application/CloudEvents-Batch+json; charset=utf-8"}}, "[]", ErrUnsupported, "batch"},
		"a structured format that is not JSON":  {http.Header{"Content-Type": {"application/cloudevents+avro"}}, "", ErrUnsupported, "avro"},
		"structured, not JSON":                  {structuredJSON, "{", ErrMalformed, "JSON"},
		"structured, an array":                  {structuredJSON, "[]", ErrMalformed, "object"},
		"structured, a name twice":              {structuredJSON, `{` + legal + `,"id":"2"}`, ErrMalformed, `"id" occurs twice`},
		"structured, a name twice deep inside":  {structuredJSON, `{` + legal + `,"data":{"a":[{"b":1,"b":2}]}}`, ErrMalformed, `"b" occurs twice`},
		"structured, data and data_base64":      {structuredJSON, `{` + legal + `,"data":1,"data_base64":"AA=="}`, ErrMalformed, "exclude"},
		"structured, base64 that is none":       {structuredJSON, `{` + legal + `,"data_base64":"%"}`, ErrMalformed, "base64"},
		"structured, an attribute of objects":   {structuredJSON, `{` + legal + `,"x":{}}`, ErrMalformed, `"x"`},
		"structured, a number for the id":       {structuredJSON, `{"specversion":"1.0","id":1,"source":"/me","type":"t"}`, ErrMalformed, "id is not a string"},
		"structured, a number for the version":  {structuredJSON, `{"specversion":1.0,"id":"1","source":"/me","type":"t"}`, ErrMalformed, "specversion is not a string"},
		"structured, an object for the subject": {structuredJSON, `{` + legal + `,"subject":{}}`, ErrMalformed, "subject is not a string"},
		"structured, a number of 33 bits":       {structuredJSON, `{` + legal + `,"x":4294967296}`, ErrMalformed, "32-bit"},
		"structured, an empty type":             {structuredJSON, `{"specversion":"1.0","id":"1","source":"/me","type":""}`, ErrMalformed, "type is empty"},
		"structured, nested without end":        {structuredJSON, `{` + legal + `,"data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, ErrMalformed, "deeper"},
		"structured, something behind it":       {structuredJSON, `{` + legal + `}{}`, ErrMalformed, "JSON object"},
		"a body over 1 MiB":                     {headers(), strings.Repeat("x", MaxBody+1), ErrTooLarge, "1048576"},
		"a notification without its type":       {http.Header{}, `{"notification_id":"1","specversion":"1.0","id":"1","source":"/s"}`, ErrMalformed, "type is missing"},
		"JSON that is neither event nor notice": {http.Header{"Content-Type": {"application/json"}}, `{"hello":1}`, ErrMalformed, "ce-specversion is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(tc.header, []byte(tc.body))
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("err = %v, want %v that names %q", err, tc.want, tc.names)
			}
		})
	}
}

func TestDecodeStructured(t *testing.T) {
	h := http.Header{"Content-Type": {"Application/CloudEvents+JSON; charset=UTF-8"}}
	e, err := Decode(h, []byte(`{"specversion":"1.0","id":"1","source":"/me","type":"t","subject":null,"count":7,"on":true,"data":{"a":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if e.Subject() != "" || string(e.Data()) != `{"a":1}` || fmt.Sprint(e.Extensions()["count"], e.Extensions()["on"]) != "7 true" {
		t.Errorf("event %v", e)
	}
	e, err = Decode(h, []byte(`{"specversion":"1.0","id":"1","source":"/me","type":"t","data_base64":"aGk="}`))
	if err != nil || string(e.Data()) != "hi" {
		t.Errorf("data %q, %v", e.Data(), err)
	}
}

func TestATickWithoutBodyAndContentTypeIsLegal(t *testing.T) {
	e, err := Decode(headers("Ce-Type", TypeTick, "Content-Length", "0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := here.Interpret(e)
	if err != nil || len(got) != 1 || got[0].Verb != Look || got[0].NeedsAuth() {
		t.Errorf("asked %+v, %v", got, err)
	}
}

func ask(t *testing.T, kind, at, data string) ([]Request, error) {
	t.Helper()
	changes := []string{"Ce-Type", kind, "Ce-Time", at}
	if data != "" {
		changes = append(changes, "Content-Type", "application/json")
	}
	e, err := Decode(headers(changes...), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return here.Interpret(e)
}

func TestInterpret(t *testing.T) {
	const at = "2026-11-24T09:59:00Z"
	when := now.Add(-time.Minute)
	created := Request{Verb: Look, Project: "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d", Sender: SenderLifecycle}
	lifecycle := string(file(t, "lifecycle.json"))
	swap := func(old, with string) string {
		if !strings.Contains(lifecycle, old) {
			t.Fatalf("the golden event lacks %q", old)
		}
		return strings.ReplaceAll(lifecycle, old, with)
	}
	for name, tc := range map[string]struct {
		kind, at, data string
		want           Request
		err            error
		names          string
	}{
		"provision":                             {typeProvision, at, `{"credential":"a","with":{"p":"1"}}`, Request{Verb: Provision, Credentials: []string{"a"}, With: map[string]string{"p": "1"}}, nil, ""},
		"provision without a credential":        {typeProvision, at, `{}`, Request{}, ErrMalformed, "data.credential is missing"},
		"provision with an unknown field":       {typeProvision, at, `{"credential":"a","colour":"red"}`, Request{}, ErrMalformed, "colour"},
		"provision without data":                {typeProvision, at, ``, Request{}, ErrMalformed, "no data"},
		"rotate: newer than the event":          {typeRotate, at, `{"credential":"a"}`, Request{Verb: Rotate, Credentials: []string{"a"}, Trigger: protocol.Trigger{NewerThan: when}}, nil, ""},
		"rotate: newer than said":               {typeRotate, at, `{"credential":"a","newerThan":"2026-11-01T00:00:00Z"}`, Request{Verb: Rotate, Credentials: []string{"a"}, Trigger: protocol.Trigger{NewerThan: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}}, nil, ""},
		"rotate: another key":                   {typeRotate, at, `{"credential":"a","notKey":"ApiKey-1"}`, Request{Verb: Rotate, Credentials: []string{"a"}, Trigger: protocol.Trigger{NotKey: "ApiKey-1"}}, nil, ""},
		"rotate without any time":               {typeRotate, "", `{"credential":"a"}`, Request{Verb: Rotate, Credentials: []string{"a"}, Trigger: protocol.Trigger{NewerThan: now}}, nil, ""},
		"rotate: newer than nothing":            {typeRotate, at, `{"credential":"a","newerThan":""}`, Request{}, ErrMalformed, "data.newerThan is empty"},
		"rotate: another key than none":         {typeRotate, at, `{"credential":"a","notKey":""}`, Request{}, ErrMalformed, "data.notKey is empty"},
		"rotate nothing":                        {typeRotate, at, `{"credential":""}`, Request{}, ErrMalformed, "data.credential is empty"},
		"rotate: newer than the future":         {typeRotate, at, `{"credential":"a","newerThan":"2027-11-01T00:00:00Z"}`, Request{}, ErrMalformed, "future"},
		"rotate: a time that is none":           {typeRotate, at, `{"credential":"a","newerThan":"soon"}`, Request{}, ErrMalformed, `"soon"`},
		"revoke":                                {TypeRevoke, at, `{"credential":"a","keyID":"ApiKey-1","containment":true}`, Request{Verb: Revoke, Credentials: []string{"a"}, KeyID: "ApiKey-1", Contain: true}, nil, ""},
		"revoke what":                           {TypeRevoke, at, `{"credential":"a"}`, Request{}, ErrMalformed, "data.keyID is missing"},
		"sweep all":                             {typeSweep, at, ``, Request{Verb: Look}, nil, ""},
		"sweep none":                            {typeSweep, at, `{"credentials":[]}`, Request{}, ErrMalformed, "data.credentials is empty"},
		"sweep some":                            {typeSweep, at, `{"credentials":["a","b/c"]}`, Request{Verb: Look, Credentials: []string{"a", "b/c"}}, nil, ""},
		"another of our types":                  {typePrefix + "credential.rotated", at, `{}`, Request{}, ErrNotForUs, ""},
		"a request in the name of an outcome":   {typePrefix + "credential.rotate", at, `{"credential":"a"}`, Request{}, ErrMalformed, "use dev.latchkey.rotate"},
		"an outcome that does not exist":        {typePrefix + "credential.gone", at, `{}`, Request{}, ErrMalformed, "dev.latchkey.provision, dev.latchkey.rotate"},
		"a type of ours with a slip":            {typePrefix + "rotat", at, `{}`, Request{}, ErrMalformed, "use dev.latchkey.rotate"},
		"a type of ours in capitals":            {typePrefix + "REVOKE", at, `{}`, Request{}, ErrMalformed, "use dev.latchkey.revoke"},
		"our prefix and type in capitals":       {"DEV.LATCHKEY.ROTATE", at, `{}`, Request{}, ErrMalformed, "use dev.latchkey.rotate"},
		"a type of ours that is far from all":   {typePrefix + "something.else", at, `{}`, Request{}, ErrMalformed, "dev.latchkey.provision, dev.latchkey.rotate"},
		"a tick with data":                      {TypeTick, at, `{"mode":"x"}`, Request{Verb: Look}, nil, ""},
		"a foreign event":                       {"com.acme.order", at, `{"credential":"a"}`, Request{}, ErrNotForUs, "com.acme.order"},
		"a created project":                     {"whatever", at, lifecycle, created, nil, ""},
		"a restored project":                    {"whatever", at, swap("controller.instance.create", "controller.instance.restore"), created, nil, ""},
		"a deleted project":                     {"whatever", at, swap("controller.instance.create", "controller.instance.delete"), created, nil, ""},
		"a project that is about to go":         {"whatever", at, swap("controller.instance.create", "controller.instance.schedule_reclaim"), Request{}, ErrNotForUs, "schedule_reclaim"},
		"a project whose creation goes on":      {"whatever", at, swap("succeeded", "in progress"), Request{}, ErrNotForUs, "in progress"},
		"an instance of another service":        {"whatever", at, swap("public:codeengine", "public:databases"), Request{}, ErrNotForUs, "databases"},
		"a project whose CRN is none":           {"whatever", at, swap("crn:v1:bluemix:", "crn:"), Request{}, ErrMalformed, "crn"},
		"a project whose CRN and guid disagree": {"whatever", at, swap(`"guid":"0a6b8a32`, `"guid":"1a6b8a32`), Request{}, ErrMalformed, "guid"},
		"another event of Secrets Manager":      {typeSecrets + "secret_rotated", at, `{}`, Request{}, ErrNotForUs, ""},
		"an expiring secret without a name":     {typeSecrets + "secret_expired", at, `{"secrets":[{"secret_name":"a"},{}]}`, Request{}, ErrMalformed, "secrets[1].secret_name"},
		"no expiring secret":                    {typeSecrets + "secret_expired", at, `{"secrets":[]}`, Request{}, ErrMalformed, "0 secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, tc.kind, tc.at, tc.data)
			if tc.err != nil {
				if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.names) {
					t.Errorf("err = %v, want %v that names %q", err, tc.err, tc.names)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Cause = tc.kind + " /me e-1"
			switch {
			case tc.kind == TypeTick:
				tc.want.Sender = SenderTimer
			case Own(tc.kind):
				tc.want.Sender = SenderOwn
			}
			if diff := cmp.Diff([]Request{tc.want}, got); diff != "" {
				t.Error(diff)
			}
			if got[0].NeedsAuth() != (got[0].Verb != Look) {
				t.Error("only a look needs no permission")
			}
		})
	}
}

func TestANotificationIsReadAlthoughItIsNoLegalEvent(t *testing.T) {
	for name, h := range map[string]http.Header{"with a content type": {"Content-Type": {"application/json"}}, "without one": {}} {
		t.Run(name, func(t *testing.T) {
			e, err := Decode(h, file(t, "expiring.json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := here.Interpret(e)
			if err != nil {
				t.Fatal(err)
			}
			var secrets []string
			for _, r := range got {
				secrets = append(secrets, r.Secret)
				if r.Verb != Rotate || !r.Trigger.NewerThan.Equal(now) {
					t.Errorf("asked %+v", r)
				}
			}
			if diff := cmp.Diff([]string{"svc-a-key", "svc-b-key"}, secrets); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestANotificationCoversAtMostAHundredSecrets(t *testing.T) {
	body := func(n int) string {
		var list []map[string]string
		for i := range n {
			list = append(list, map[string]string{"secret_name": fmt.Sprintf("s-%d", i)})
		}
		b, err := json.Marshal(map[string]any{"secrets": list})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const kind, at = typeSecrets + "secret_about_to_expire:in_1_day", "2026-11-24T09:59:00Z"
	if got, err := ask(t, kind, at, body(100)); err != nil || len(got) != 100 {
		t.Errorf("100 secrets: %d requests, %v", len(got), err)
	}
	if _, err := ask(t, kind, at, body(101)); !errors.Is(err, ErrMalformed) {
		t.Errorf("101 secrets: %v", err)
	}
}

func TestANoticeNamesTheDateThatItIsAbout(t *testing.T) {
	for name, tc := range map[string]struct{ date, want string }{
		"a date in ten days":              {`"2026-12-04T00:00:00Z"`, "2026-12-04T00:00:00Z"},
		"a date in another zone":          {`"2026-12-04T02:00:00+02:00"`, "2026-12-04T00:00:00Z"},
		"a date that has passed":          {`"2026-11-20T00:00:00Z"`, "2026-11-20T00:00:00Z"},
		"a day":                           {`"2026-12-04"`, "2026-12-04T00:00:00Z"},
		"a zone without a colon":          {`"2026-12-04T02:00:00+0200"`, "2026-12-04T00:00:00Z"},
		"UTC without a colon":             {`"2026-12-04T00:00:00+0000"`, "2026-12-04T00:00:00Z"},
		"no zone":                         {`"2026-12-04T00:00:00"`, "2026-12-04T00:00:00Z"},
		"no zone, with a fraction":        {`"2026-12-04T00:00:00.000"`, "2026-12-04T00:00:00Z"},
		"no seconds":                      {`"2026-12-04T00:00Z"`, "2026-12-04T00:00:00Z"},
		"a blank before the hour":         {`"2026-12-04 00:00:00"`, "2026-12-04T00:00:00Z"},
		"no date":                         {`null`, ""},
		"an empty date":                   {`""`, ""},
		"a date that cannot be parsed":    {`"soon"`, ""},
		"a date too far away for notices": {`"2027-11-24T00:00:00Z"`, ""},
		"a day too far away":              {`"2027-11-24"`, ""},
		"a date that means never":         {`"9999-12-31T23:59:59Z"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, typeSecrets+"secret_about_to_expire:in_10_days", "2026-11-24T09:59:00Z",
				`{"secrets":[{"secret_name":"a","secret_expiration":`+tc.date+`}]}`)
			if err != nil || len(got) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			date := ""
			if at := got[0].Trigger.Expiry; !at.IsZero() {
				date = at.UTC().Format(time.RFC3339)
			}
			if date != tc.want {
				t.Errorf("date %q, want %q", date, tc.want)
			}
			if r := got[0]; (r.Verb == Look) != (tc.want == "") || r.Undated != (r.Verb == Look) || r.Secret != "a" {
				t.Errorf("without a date, only a look: %+v", r)
			}
		})
	}
}

func TestACauseIsPrintableBoundedAndNoMarker(t *testing.T) {
	got, err := ask(t, typeSweep, "", "")
	if err != nil {
		t.Fatal(err)
	}
	_ = got
	e, err := Decode(headers("Ce-Id", "%5Blatchkey%20v=1%5D"+strings.Repeat("x", 300), "Ce-Source", "%C3%A9"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cause := Cause(e)
	if len(cause) > 200 || strings.ContainsAny(cause, "[]é") {
		t.Errorf("cause %q", cause)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/cloudevents+json", "", "", []byte(`{"specversion":"1.0","id":"1","source":"/me","type":"t","data":{"a":[1,null]}}`))
	f.Add("application/json", "", "", []byte(`{"notification_id":"1","specversion":"1.0","id":"1","source":"/s","type":"t","data":1}`))
	f.Add("text/plain", "dev.latchkey.sweep", `"a\"b"`, []byte("x"))
	f.Add("", "dev.knative.sources.ping", "%C3%A9", []byte(nil))
	f.Fuzz(func(t *testing.T, contentType, kind, subject string, body []byte) {
		h := http.Header{}
		for name, value := range map[string]string{"Content-Type": contentType, "Ce-Type": kind, "Ce-Subject": subject} {
			if value != "" {
				h.Set(name, value)
			}
		}
		if kind != "" {
			h.Set("Ce-Specversion", "1.0")
			h.Set("Ce-Id", "1")
			h.Set("Ce-Source", "/me")
		}
		e, err := Decode(h, body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		first, ferr := here.Interpret(e)
		again, err := Decode(reencode(e))
		if err != nil {
			t.Fatalf("accepted, but not when sent again: %v", err)
		}
		second, serr := here.Interpret(again)
		if fmt.Sprint(ferr) != fmt.Sprint(serr) || cmp.Diff(first, second) != "" {
			t.Fatalf("asked %+v %v, then %+v %v", first, ferr, second, serr)
		}
	})
}

// reencode decodes an accepted event again in binary mode.
func reencode(e Event) (http.Header, []byte) {
	escape := func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			if c := s[i]; c <= ' ' || c == '"' || c == '%' || c > '~' {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	h := http.Header{}
	set := func(name, value string) {
		if value != "" {
			h.Set("Ce-"+name, escape(value))
		}
	}
	set("Specversion", "1.0")
	set("Id", e.ID())
	set("Source", e.Source())
	set("Type", e.Type())
	set("Subject", e.Subject())
	set("Dataschema", e.DataSchema())
	if !e.Time().IsZero() {
		set("Time", e.Time().Format(time.RFC3339Nano))
	}
	for name, value := range e.Extensions() {
		set(name, fmt.Sprint(value))
	}
	if ct := e.DataContentType(); ct != "" {
		h.Set("Content-Type", ct)
	}
	return h, e.Data()
}
