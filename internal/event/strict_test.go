package event

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const legal = `"specversion":"1.0","id":"1","source":"/me","type":"t"`

func structuredHeader() http.Header {
	return http.Header{"Content-Type": {"application/cloudevents+json"}}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func TestDecodeReadsToTheLetter(t *testing.T) {
	type seen struct {
		Subject, Data string
		Extensions    map[string]any
	}
	binaryHeader := func(changes ...string) http.Header { return headers(changes...) }
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		want   seen
	}{
		"lower-case hex and needless escapes":                 {binaryHeader("Ce-Subject", "%c3%a9%41"), "", seen{Subject: "éA"}},
		"percent-decoding is done once":                       {binaryHeader("Ce-Subject", "%2541"), "", seen{Subject: "%41"}},
		"a time with a small t and z":                         {binaryHeader("Ce-Time", "2026-11-24t09:00:00z"), "", seen{}},
		"quotes are undone before percent-encoding":           {binaryHeader("Ce-Subject", `"a\%41 b"`), "", seen{Subject: "aA b"}},
		"an encoded quote is text, not a quoted string":       {binaryHeader("Ce-Subject", "%22a%22"), "", seen{Subject: `"a"`}},
		"a plus stays a plus":                                 {binaryHeader("Ce-Subject", "a+b"), "", seen{Subject: "a+b"}},
		"an extension with a lone percent sign is left out":   {binaryHeader("Ce-Key", "100%", "Ce-Other", "a"), "", seen{Extensions: map[string]any{"other": "a"}}},
		"an extension in Latin-1 is left out":                 {binaryHeader("Ce-Key", "caf\xe9"), "", seen{}},
		"an extension with an open quote is left out":         {binaryHeader("Ce-Key", `"open`), "", seen{}},
		"an extension with a control character is left out":   {binaryHeader("Ce-Key", "a%07"), "", seen{}},
		"a data schema of # is none":                          {structuredHeader(), `{` + legal + `,"dataschema":"#"}`, seen{}},
		"a data schema of # in a header is none":              {binaryHeader("Ce-Dataschema", "#"), "", seen{}},
		"a relative data schema is none":                      {binaryHeader("Ce-Dataschema", "schemas/x.json"), "", seen{}},
		"an empty data schema is none":                        {structuredHeader(), `{` + legal + `,"dataschema":""}`, seen{}},
		"a data schema that is no URI is none":                {structuredHeader(), `{` + legal + `,"dataschema":"1.0 beta"}`, seen{}},
		"an empty subject is none":                            {structuredHeader(), `{` + legal + `,"subject":""}`, seen{}},
		"an empty subject in a header is none":                {binaryHeader("Ce-Subject", `""`), "", seen{}},
		"a subject that is not encoded is taken as it is":     {binaryHeader("Ce-Subject", "100%"), "", seen{Subject: "100%"}},
		"an extension may be empty":                           {binaryHeader("Ce-Key", "\"\""), "", seen{Extensions: map[string]any{"key": ""}}},
		"data in binary mode is the body, JSON or not":        {binaryHeader("Content-Type", "application/xml"), "<a/>", seen{Data: "<a/>"}},
		"header names in any case":                            {http.Header{"ce-ID": {"1"}, "CE-Source": {"/me"}, "ce-type": {"t"}, "ce-specversion": {"1.0"}, "ce-subject": {"s"}}, "", seen{Subject: "s"}},
		"structured: headers beside the body do not count":    {http.Header{"Content-Type": {"application/cloudevents+json"}, "Ce-Subject": {"header"}}, `{` + legal + `,"subject":"body"}`, seen{Subject: "body"}},
		"structured: nor do illegal headers beside it":        {http.Header{"Content-Type": {"application/cloudevents+json"}, "Ce-A-B": {"%zz"}, "Ce-Id": {"1", "2"}}, `{` + legal + `}`, seen{}},
		"structured: text is without its quotes":              {structuredHeader(), `{` + legal + `,"datacontenttype":"text/plain","data":"h\u0069"}`, seen{Data: "hi"}},
		"structured: a string of JSON stays a string":         {structuredHeader(), `{` + legal + `,"datacontenttype":"application/json","data":"{\"a\":1}"}`, seen{Data: `"{\"a\":1}"`}},
		"structured: JSON by suffix":                          {structuredHeader(), `{` + legal + `,"datacontenttype":"application/vnd.acme+json; v=1","data":{"a":1}}`, seen{Data: `{"a":1}`}},
		"structured: null data is none":                       {structuredHeader(), `{` + legal + `,"data":null}`, seen{}},
		"structured: a null extension is unset":               {structuredHeader(), `{` + legal + `,"x":null,"y":-7,"z":false}`, seen{Extensions: map[string]any{"y": int32(-7), "z": false}}},
		"a notification without specversion, id and source":   {jsonHeader(), `{"notification_id":"n","ibmensourceid":"crn:v1:x","type":"t"}`, seen{Extensions: map[string]any{"ibmensourceid": "crn:v1:x"}}},
		"a notification with a content type that is none":     {http.Header{}, `{"notification_id":"n","source":"/s","type":"t","datacontenttype":"json","time":"now","data":{}}`, seen{Data: "{}", Extensions: map[string]any{"ibmensourceid": "unknown"}}},
		"a notification's unknown and odd attributes are let": {jsonHeader(), `{"notification_id":"n","source":"/s","type":"t","Odd_Name":{"a":1},"subject":7}`, seen{Extensions: map[string]any{"ibmensourceid": "unknown"}}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Decode(tc.header, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, seen{e.Subject(), string(e.Data()), e.Extensions()}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefusesTheUnusual(t *testing.T) {
	with := func(member string) string { return `{` + legal + `,` + member + `}` }
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		names  string
	}{
		"one attribute in two spellings":             {http.Header{"Ce-Id": {"1"}, "ce-id": {"2"}}, "", "ce-id occurs more than once"},
		"a structured event labelled as plain JSON":  {jsonHeader(), `{` + legal + `}`, "application/cloudevents+json"},
		"a batch labelled as plain JSON":             {jsonHeader(), `[{` + legal + `}]`, "application/cloudevents-batch+json"},
		"a structured event without a label":         {http.Header{}, `{` + legal + `}`, "application/cloudevents+json"},
		"two content types":                          {http.Header{"Content-Type": {"application/json", "text/plain"}, "Ce-Id": {"1"}}, "", "Content-Type occurs 2 times"},
		"a quoted string without an end":             {headers("Ce-Subject", `"open`), "", "does not end"},
		"a quoted string whose end is escaped":       {headers("Ce-Subject", `"open\"`), "", "does not end"},
		"text behind a quoted string":                {headers("Ce-Subject", `"a"b`), "", "text follows"},
		"an extension called data":                   {headers("Ce-Data", "x"), "", `"data"`},
		"a time with a one-digit hour":               {headers("Ce-Time", "2026-11-24T9:00:00Z"), "", "RFC 3339"},
		"a time with a comma":                        {headers("Ce-Time", "2026-11-24T09:00:00,5Z"), "", "RFC 3339"},
		"a time in the year 10000 of UTC":            {headers("Ce-Time", "9999-12-31T23:59:59-01:00"), "", "RFC 3339"},
		"a blank id":                                 {headers("Ce-Id", "%20"), "", "id is empty"},
		"a source that is an empty reference":        {headers("Ce-Source", "#"), "", "URI reference"},
		"a content type without a slash":             {headers("Content-Type", "rubbish"), "", "media type"},
		"structured: bytes that are not UTF-8":       {structuredHeader(), with("\"subject\":\"\xff\""), "UTF-8"},
		"structured: the name of a null attribute":   {structuredHeader(), with(`"No_Name":null`), "No_Name"},
		"structured: base64 as an array of bytes":    {structuredHeader(), with(`"data_base64":[104,105]`), "base64"},
		"structured: base64 with a line break":       {structuredHeader(), with(`"data_base64":"aG\nk="`), "base64"},
		"structured: an object for text":             {structuredHeader(), with(`"datacontenttype":"text/plain","data":{}`), "string"},
		"structured: a fraction":                     {structuredHeader(), with(`"x":1.5`), "32-bit"},
		"structured: null":                           {structuredHeader(), `null`, "object"},
		"structured: nothing":                        {structuredHeader(), ``, "object"},
		"a notification with a name twice":           {jsonHeader(), `{"notification_id":"1","notification_id":"2","type":"t"}`, "occurs twice"},
		"a notification of another specversion":      {jsonHeader(), `{"notification_id":"1","source":"/s","type":"t","specversion":"2.0"}`, `specversion "2.0"`},
		"unknown JSON names what would make it ours": {jsonHeader(), `{"id":"1"}`, "neither ibmensourceid nor notification_id"},
		"unknown JSON names the header":              {jsonHeader(), `{"id":"1"}`, "ce-specversion is missing"},
		"a body that is no JSON names the header":    {http.Header{}, `hello`, "ce-specversion is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Decode(tc.header, []byte(tc.body))
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("err = %v, want one that names %q", err, tc.names)
			}
			if e.Context != nil {
				t.Error("an event comes with the error")
			}
		})
	}
}

func TestInterpretTakesFieldsToTheLetter(t *testing.T) {
	const at = "2026-11-24T09:59:00Z"
	for name, tc := range map[string]struct{ kind, data, names string }{
		"a field in another case":             {typeRotate, `{"Credential":"a"}`, `unknown field "Credential"`},
		"a second field in another case":      {typeRotate, `{"credential":"a","CREDENTIAL":"b"}`, "unknown field"},
		"a field twice":                       {typeRotate, `{"credential":"a","credential":"b"}`, "twice"},
		"something behind the data":           {typeRotate, `{"credential":"a"}{"credential":"b"}`, "object"},
		"data that is an array":               {typeRotate, `[]`, "object"},
		"a credential that is a number":       {typeRotate, `{"credential":7}`, "data.credential is not a string"},
		"a credential with a control code":    {typeRotate, `{"credential":"a\u0007"}`, "is not a name"},
		"a lax newerThan":                     {typeRotate, `{"credential":"a","newerThan":"2026-11-24T9:00:00Z"}`, "RFC 3339"},
		"a notKey that is no ID":              {typeRotate, `{"credential":"a","notKey":"../x"}`, "data.notKey"},
		"a null credential":                   {TypeRevoke, `{"credential":null,"keyID":"ApiKey-1"}`, "data.credential is missing"},
		"a keyID that is a path":              {TypeRevoke, `{"credential":"a","keyID":"../serviceids/x"}`, "data.keyID"},
		"containment as text":                 {TypeRevoke, `{"credential":"a","keyID":"ApiKey-1","containment":"yes"}`, "data.containment is not true or false"},
		"a parameter that is null":            {typeProvision, `{"credential":"a","with":{"p":null}}`, `"p" is null`},
		"a parameter that is a number":        {typeProvision, `{"credential":"a","with":{"p":1}}`, "data.with is not an object of strings"},
		"an empty name in a list":             {typeSweep, `{"credentials":["a",""]}`, "credentials[1] is missing"},
		"a secret that is a number":           {typeSecrets + "secret_expired", `{"secrets":[{"secret_name":"a"},7]}`, "secrets[1]"},
		"secrets that are no list":            {typeSecrets + "secret_expired", `{"secrets":{}}`, "not a list"},
		"a notification without data":         {typeSecrets + "secret_expired", ``, "object"},
		"a project without a name in its CRN": {"x", `{"event_type":"resource-controller.instance.create","event_properties":{"crn":"crn:v1:bluemix:public:codeengine:us-south:a/1:::","last_operation":{"state":"succeeded"}}}`, "do not identify a project"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ask(t, tc.kind, at, tc.data); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tc.names) || got != nil {
				t.Errorf("%+v, err = %v, want one that names %q", got, err, tc.names)
			}
		})
	}
}

func TestWhatIsNotForUsIsNeverAFault(t *testing.T) {
	for name, tc := range map[string]struct{ kind, data string }{
		"text that mentions a lifecycle":        {"com.acme.text", `see "resource-controller.instance.create"`},
		"data that mentions one deep inside":    {"com.acme.json", `{"list":["resource-controller.a"],"list":1}`},
		"an event_type that is an object":       {"com.acme.json", `{"event_type":{"a":"resource-controller.a"}}`},
		"a resource that is a key":              {"x", `{"event_type":"resource-controller.key.create"}`},
		"another service's odd resource":        {"x", `{"event_type":"resource-controller.instance.create","event_properties":{"crn":"crn:v1:bluemix:public:kms:us-south:a/1:2:key:3:4"}}`},
		"one of our outcomes":                   {typePrefix + "credential.rotated", `not even JSON`},
		"another event of Secrets Manager, odd": {typeSecrets + "secret_created", `not even JSON`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ask(t, tc.kind, "", tc.data); !errors.Is(err, ErrNotForUs) || got != nil {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestTheTimeOfASecretCountsOnlyWithoutOneOfTheEvent(t *testing.T) {
	const kind, odd = typeSecrets + "secret_expired", `{"secrets":[{"secret_name":"a","secret_expiration":"2026-11-24","event_time":"2026-11-24 09:00:00 +0000 UTC"}]}`
	if got, err := ask(t, kind, "2026-11-24T09:59:00Z", odd); err != nil || !got[0].Trigger.NewerThan.Equal(now.Add(-time.Minute)) {
		t.Errorf("with a time: %+v, %v", got, err)
	}
	if _, err := ask(t, kind, "", odd); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "secrets[0].event_time") {
		t.Errorf("without one: %v", err)
	}
	if _, err := ask(t, kind, "2026-11-24T10:06:00Z", odd); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "future") {
		t.Errorf("in the future: %v", err)
	}
}

func TestErrorsAreShortPrintableAndTellNoSecret(t *testing.T) {
	long := strings.Repeat("é", 5000)
	quoted, err := json.Marshal(long)
	if err != nil {
		t.Fatal(err)
	}
	var got []error
	decode := func(h http.Header, body string) {
		e, err := Decode(h, []byte(body))
		if err == nil {
			_, err = here.Interpret(e)
		}
		got = append(got, err)
	}
	decode(headers("Ce-Token-", "Bearer%07hunter2"), "")
	decode(headers("Ce-Token-", "hunter2%zz"), "")
	decode(headers("Ce-Source", "https://u:hunter2@%25zz"), "")
	decode(headers("Ce-Source", "https://u:hunter2%zz"), "")
	decode(headers("Ce-Time", strings.Repeat("x", 5000)), "")
	decode(headers("Ce-Type", typeRotate), `{`+string(quoted)+`:1}`)
	decode(headers("Ce-Type", typeRotate), `{"credential":"a","newerThan":`+string(quoted)+`}`)
	decode(headers("Ce-Type", strings.Repeat("t", 5000)), "")
	decode(headers("Ce-"+strings.Repeat("a", 5000)+"-", "x"), "")
	decode(structuredHeader(), `{`+legal+`,`+string(quoted)+`:1}`)
	decode(structuredHeader(), `{`+legal+`,`+string(quoted)+`:1,`+string(quoted)+`:2}`)
	decode(structuredHeader(), `{"specversion":`+string(quoted)+`}`)
	for i, err := range got {
		if err == nil {
			t.Errorf("%d: no error", i)
			continue
		}
		s := err.Error()
		unprintable := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
		if len(s) > 400 || unprintable || strings.Contains(s, "hunter2") {
			t.Errorf("%d: %d bytes: %.400q", i, len(s), s)
		}
	}
}

func TestOneFaultIsNamedTheSameWayEveryTime(t *testing.T) {
	h := headers("Ce-A", "%zz", "Ce-B", "%zz", "Ce-Time", "x", "Ce-Id", "")
	_, first := Decode(h, nil)
	for range 50 {
		if _, err := Decode(h, nil); err.Error() != first.Error() {
			t.Fatalf("%v, then %v", first, err)
		}
	}
}

func TestACauseTellsNoCredentialOfASource(t *testing.T) {
	e, err := Decode(headers("Ce-Source", "https://u:hunter2@host/path?access_token=hunter2#topic"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Cause(e), typeSweep+" https://host/path#topic e-1"; got != want {
		t.Errorf("cause %q, want %q", got, want)
	}
}

// again decodes an accepted event again in structured mode.
func again(t *testing.T, e Event) (http.Header, []byte) {
	t.Helper()
	members := map[string]any{"specversion": "1.0", "id": e.ID(), "source": e.Source(), "type": e.Type()}
	for name, value := range map[string]string{"subject": e.Subject(), "dataschema": e.DataSchema(), "datacontenttype": e.DataContentType()} {
		if value != "" {
			members[name] = value
		}
	}
	if !e.Time().IsZero() {
		members["time"] = e.Time().UTC().Format(time.RFC3339Nano)
	}
	for name, value := range e.Extensions() {
		members[name] = value
	}
	if e.Data() != nil {
		members["data_base64"] = e.Data()
	}
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return structuredHeader(), body
}

// same fails unless two events are equal, whatever their modes.
func same(t *testing.T, a, b Event) {
	t.Helper()
	parts := func(e Event) []any {
		return []any{e.ID(), e.Source(), e.Type(), e.Subject(), e.DataSchema(), e.DataContentType(), e.Time().UTC(), e.Extensions(), string(e.Data())}
	}
	if diff := cmp.Diff(parts(a), parts(b)); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzStructured(f *testing.F) {
	for _, name := range goldens(f) {
		if _, body := golden(f, name); strings.HasSuffix(name, ".json") && len(body) < 4096 {
			f.Add(body)
		}
	}
	f.Add([]byte(`{` + legal + `,"datacontenttype":"text/plain","data":"x","y":-7,"z":true}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, h := range []http.Header{structuredHeader(), jsonHeader()} {
			e, err := Decode(h, body)
			if err != nil {
				if e.Context != nil || !errors.Is(err, ErrMalformed) || len(err.Error()) > 600 {
					t.Fatalf("event %v with error %.700q", e.Context, err)
				}
				continue
			}
			if err := e.Validate(); err != nil {
				t.Fatalf("the SDK finds it illegal: %v", err)
			}
			twin, err := Decode(again(t, e))
			if err != nil {
				t.Fatalf("accepted, but not when sent again: %v", err)
			}
			same(t, e, twin)
		}
	})
}

func FuzzInterpret(f *testing.F) {
	f.Add("x", "2026-11-24T10:00:00Z", file(f, "lifecycle.json"))
	for _, name := range goldens(f) {
		e, err := Decode(golden(f, name))
		if err != nil {
			f.Fatal(err)
		}
		if len(e.Data()) < 4096 {
			f.Add(e.Type(), "2026-11-24T10:00:00Z", e.Data())
		}
	}
	f.Fuzz(func(t *testing.T, kind, at string, data []byte) {
		e, err := Decode(headers("Ce-Type", kind, "Ce-Time", at), data)
		if err != nil {
			return
		}
		got, err := here.Interpret(e)
		repeated, rerr := here.Interpret(e.Clone())
		if diff := cmp.Diff(got, repeated); diff != "" || (err == nil) != (rerr == nil) || (err != nil && err.Error() != rerr.Error()) {
			t.Fatalf("asked twice: %s %v, %v", diff, err, rerr)
		}
		switch {
		case err != nil && (got != nil || (!errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotForUs)) || len(err.Error()) > 600):
			t.Fatalf("%+v with error %.700q", got, err)
		case err == nil && (len(got) == 0 || len(got) > maxSecrets):
			t.Fatalf("%d requests", len(got))
		}
		for _, r := range got {
			if r.NeedsAuth() == (r.Verb == Look) || !slices.Contains([]Verb{Look, Provision, Rotate, Revoke}, r.Verb) {
				t.Fatalf("who may ask for it: %+v", r)
			}
			if r.Trigger.NewerThan.After(now.Add(ahead)) || len(r.Cause) > 200 {
				t.Fatalf("a demand that cannot be met, or a long cause: %+v", r)
			}
			if r.Verb == Rotate && r.Trigger.NewerThan.IsZero() && r.Trigger.NotKey == "" {
				t.Fatalf("a rotation that demands nothing: %+v", r)
			}
		}
	})
}
