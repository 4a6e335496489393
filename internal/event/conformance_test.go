package event

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests in this file follow the CloudEvents specification 1.0.2, its HTTP protocol
// binding, JSON format and Kafka protocol binding. They include the cases of the
// conformance suite.
//
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
// https://github.com/cloudevents/conformance/tree/main/features

// wire parses a raw HTTP request.
func wire(t testing.TB, request string) (Event, error) {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	raw := strings.ReplaceAll(head, "\n", "\r\n") + fmt.Sprintf("\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body)) + body
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Decode(r.Header, b)
}

func TestTheHTTPBinding(t *testing.T) {
	type seen struct {
		ID, Source, Type, Subject, DataContentType, Data string
		Time                                             time.Time
		Extensions                                       map[string]any
	}
	full := seen{
		ID: "A234-1234-1234", Source: "/mycontext/subcontext", Type: "com.example.someevent",
		Time: time.Date(2018, 4, 5, 3, 56, 24, 0, time.UTC), DataContentType: "application/json", Data: `{"message":"Hello World!"}`,
	}
	with := func(change func(*seen)) seen {
		s := full
		change(&s)
		return s
	}
	const attributes = "ce-specversion: 1.0\nce-type: com.example.someevent\nce-time: 2018-04-05T03:56:24Z\nce-id: A234-1234-1234\nce-source: /mycontext/subcontext\n"
	const members = `"specversion":"1.0","type":"com.example.someevent","time":"2018-04-05T03:56:24Z","id":"A234-1234-1234","source":"/mycontext/subcontext"`
	for name, tc := range map[string]struct {
		request string
		want    seen
	}{
		// From the suite's http-protocol-binding.feature.
		"binary": {"POST / HTTP/1.1\n" + attributes + "Content-Type: application/json\n\n" + full.Data, full},
		"binary with a charset": {"POST / HTTP/1.1\n" + attributes + "Content-Type: application/json; charset=utf-8\n\n" + full.Data,
			with(func(s *seen) { s.DataContentType = "application/json; charset=utf-8" })},
		"structured": {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"datacontenttype":"application/json","data":{"message":"Hello World!"}}`, full},
		"structured with a charset": {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json; charset=utf-8\n\n{" + members + `,"datacontenttype":"application/json","data":{"message":"Hello World!"}}`,
			full},
		// HTTP binding 3.1: data of any type is the unchanged body.
		"binary with XML":               {"POST / HTTP/1.1\n" + attributes + "Content-Type: application/xml\n\n<much wow=\"xml\"/>", with(func(s *seen) { s.DataContentType, s.Data = "application/xml", `<much wow="xml"/>` })},
		"binary without data":           {"POST / HTTP/1.1\n" + attributes + "\n", with(func(s *seen) { s.DataContentType, s.Data = "", "" })},
		"binary with data of no type":   {"POST / HTTP/1.1\n" + attributes + "\nhello", with(func(s *seen) { s.DataContentType, s.Data = "", "hello" })},
		"header names have no case":     {"POST / HTTP/1.1\n" + strings.ToUpper(attributes[:14]) + attributes[14:] + "content-type: application/json\n\n" + full.Data, full},
		"an extension":                  {"POST / HTTP/1.1\n" + attributes + "ce-sampledrate: 5\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Extensions = map[string]any{"sampledrate": "5"} })},
		"a header that is no attribute": {"POST / HTTP/1.1\n" + attributes + "X-Extension: 1\nContent-Type: application/json\n\n" + full.Data, full},
		// HTTP binding 3.1.3.2: header values.
		"percent-encoding, the specification's example": {"POST / HTTP/1.1\n" + attributes + "ce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = "Euro € 😀" })},
		"lower-case hex":              {"POST / HTTP/1.1\n" + attributes + "ce-subject: Euro%20%e2%82%ac\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = "Euro €" })},
		"encoded without need":        {"POST / HTTP/1.1\n" + attributes + "ce-subject: %61%62c\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = "abc" })},
		"decoded once":                {"POST / HTTP/1.1\n" + attributes + "ce-subject: 100%2525\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = "100%25" })},
		"a quoted string":             {"POST / HTTP/1.1\n" + attributes + "ce-subject: \"a \\\"b\\\" %22c%22\"\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = `a "b" "c"` })},
		"a space that is not encoded": {"POST / HTTP/1.1\n" + attributes + "ce-subject: a b\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = "a b" })},
		"UTF-8 that is not encoded":   {"POST / HTTP/1.1\n" + attributes + "ce-subject: €\nContent-Type: application/json\n\n" + full.Data, with(func(s *seen) { s.Subject = "€" })},
		// HTTP binding 3.2.2: headers that repeat attributes do not count.
		"structured, beside headers": {"POST / HTTP/1.1\nce-id: other\nContent-Type: application/cloudevents+json\n\n{" + members + `,"datacontenttype":"application/json","data":{"message":"Hello World!"}}`, full},
		// JSON format 2.2, 2.4, 3.1: attributes and data.
		"null is absent":                      {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"subject":null,"comexampleextension":null,"datacontenttype":"application/json","data":{"message":"Hello World!"}}`, full},
		"extensions have types":               {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"a":true,"b":-2147483648,"c":"x","datacontenttype":"application/json","data":{"message":"Hello World!"}}`, with(func(s *seen) { s.Extensions = map[string]any{"a": true, "b": int32(-2147483648), "c": "x"} })},
		"binary data in JSON":                 {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"datacontenttype":"application/vnd.apache.thrift.binary","data_base64":"aGk="}`, with(func(s *seen) { s.DataContentType, s.Data = "application/vnd.apache.thrift.binary", "hi" })},
		"text in JSON":                        {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"datacontenttype":"text/xml","data":"<a/>"}`, with(func(s *seen) { s.DataContentType, s.Data = "text/xml", "<a/>" })},
		"data without a type is JSON":         {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"data":{"message":"Hello World!"}}`, with(func(s *seen) { s.DataContentType = "" })},
		"JSON that is a string":               {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + `,"datacontenttype":"application/json","data":"[1]"}`, with(func(s *seen) { s.Data = `"[1]"` })},
		"attributes in any order, after data": {"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + `"data":{"message":"Hello World!"},"datacontenttype":"application/json",` + members + "}", full},
		// Kafka binding 3.2, as Code Engine's subscription turns a record into a request.
		"a record of Kafka": {"POST / HTTP/1.1\nCe-Id: partition:0/offset:46\nCe-Source: /apis/v1/namespaces/abc/kafkasources/at#audit\nCe-Specversion: 1.0\nCe-Subject: partition:0#46\n" +
			"Ce-Time: 2026-11-24T10:00:00.499Z\nCe-Type: dev.knative.kafka.event\nCe-Key: team-a\nCe-Kafkaheadertype: audit\n\n{\"action\":\"x\"}",
			seen{ID: "partition:0/offset:46", Source: "/apis/v1/namespaces/abc/kafkasources/at#audit", Type: typeKafka, Subject: "partition:0#46",
				Time: time.Date(2026, 11, 24, 10, 0, 0, 499e6, time.UTC), Data: `{"action":"x"}`, Extensions: map[string]any{"key": "team-a", "kafkaheadertype": "audit"}}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := wire(t, tc.request)
			if err != nil {
				t.Fatal(err)
			}
			got := seen{e.ID(), e.Source(), e.Type(), e.Subject(), e.DataContentType(), string(e.Data()), e.Time().UTC(), e.Extensions()}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheBindingsNegatives(t *testing.T) {
	binary := func(line string) string {
		return "POST / HTTP/1.1\nce-specversion: 1.0\nce-type: t\nce-id: 1\nce-source: /s\n" + line + "\n\nx"
	}
	structured := func(members string) string {
		return "POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{" + members + "}"
	}
	const required = `"specversion":"1.0","type":"t","id":"1","source":"/s"`
	for name, tc := range map[string]struct {
		request string
		want    error
	}{
		"datacontenttype as a header":            {binary("ce-datacontenttype: text/plain"), ErrMalformed},
		"bytes that are no UTF-8":                {binary("ce-subject: %C0%A0"), ErrMalformed},
		"a surrogate in UTF-8":                   {binary("ce-subject: %ED%A0%80"), ErrMalformed},
		"a quote that does not end":              {binary(`ce-subject: "a`), ErrMalformed},
		"a control character by an escape":       {binary("ce-subject: a%0Ab"), ErrMalformed},
		"a C1 control character":                 {binary("ce-subject: a%C2%85b"), ErrMalformed},
		"a subject given twice":                  {binary("ce-subject: a\nce-subject: b"), ErrMalformed},
		"a time with a space":                    {binary("ce-time: 2018-04-05 03:56:24Z"), ErrMalformed},
		"a time without a zone":                  {binary("ce-time: 2018-04-05T03:56:24"), ErrMalformed},
		"a time with an offset as in audits":     {binary("ce-time: 2026-11-24T10:00:00.32+0000"), ErrMalformed},
		"a source with a space":                  {"POST / HTTP/1.1\nce-specversion: 1.0\nce-type: t\nce-id: 1\nce-source: http://a b/\n\n", ErrMalformed},
		"a format that is not JSON":              {"POST / HTTP/1.1\nContent-Type: application/cloudevents+xml\n\n<event/>", ErrUnsupported},
		"protobuf":                               {"POST / HTTP/1.1\nContent-Type: application/cloudevents+protobuf\n\nx", ErrUnsupported},
		"a name with capitals":                   {structured(required + `,"Subject":"a"`), ErrMalformed},
		"a name with a dash":                     {structured(required + `,"my-name":"a"`), ErrMalformed},
		"data beside data_base64":                {structured(required + `,"data":null,"data_base64":"aGk="`), ErrMalformed},
		"a number beyond 32 bits":                {structured(required + `,"n":2147483648`), ErrMalformed},
		"a number with an exponent":              {structured(required + `,"n":1e2`), ErrMalformed},
		"an attribute that is an array":          {structured(required + `,"n":[]`), ErrMalformed},
		"a name twice":                           {structured(required + `,"id":"1"`), ErrMalformed},
		"a name twice, once by an escape":        {structured(required + `,"\u0069d":"1"`), ErrMalformed},
		"a name twice in the data":               {structured(required + `,"data":{"a":1,"a":1}`), ErrMalformed},
		"specversion as a number":                {structured(`"specversion":1.0,"type":"t","id":"1","source":"/s"`), ErrMalformed},
		"base64 of the URL alphabet":             {structured(required + `,"data_base64":"-_-_"`), ErrMalformed},
		"base64 without padding":                 {structured(required + `,"data_base64":"aGk"`), ErrMalformed},
		"JSON with a comment":                    {structured(required + `/* */`), ErrMalformed},
		"a batch where one event is expected":    {"POST / HTTP/1.1\nContent-Type: application/cloudevents-batch+json\n\n[]", ErrUnsupported},
		"a required attribute that is null":      {structured(`"specversion":"1.0","type":null,"id":"1","source":"/s"`), ErrMalformed},
		"an event as text":                       {"POST / HTTP/1.1\nContent-Type: text/plain\n\n{" + required + "}", ErrMalformed},
		"an event as JSON, without its own type": {"POST / HTTP/1.1\nContent-Type: application/json\n\n{" + required + "}", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := wire(t, tc.request); !errors.Is(err, tc.want) || e.Context != nil {
				t.Errorf("%v, %v", e.Context, err)
			}
		})
	}
}

// Consumers must accept events of 64 KiB. This package accepts a body of 1 MiB.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 64 << 10, MaxBody} {
		if e, err := Decode(headers("Content-Type", "application/octet-stream"), make([]byte, n)); err != nil || len(e.Data()) != n {
			t.Errorf("%d bytes of data: %d, %v", n, len(e.Data()), err)
		}
	}
	const around = `{` + legal + `,"data":""}`
	whole := strings.Replace(around, `""`, `"`+strings.Repeat("x", 64<<10-len(around))+`"`, 1)
	if e, err := Decode(structuredHeader(), []byte(whole)); err != nil || len(whole) != 64<<10 || len(e.Data()) < 65_000 {
		t.Errorf("a structured event of 64 KiB: %v", err)
	}
	h := headers()
	for i := range 60 {
		h.Set(fmt.Sprintf("Ce-Ext%d", i), strings.Repeat("x", 1000))
	}
	if e, err := Decode(h, nil); err != nil || len(e.Extensions()) != 60 {
		t.Errorf("60 KB of extensions: %v", err)
	}
	for _, header := range []http.Header{headers(), structuredHeader(), jsonHeader(), batchHeader()} {
		if _, err := Decode(header, make([]byte, MaxBody+1)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: %v", header, err)
		}
	}
}

// FuzzHeaderValue checks that a decoded value survives encoding by the binding and
// decoding.
func FuzzHeaderValue(f *testing.F) {
	for _, s := range []string{"plain", "Euro%20%E2%82%AC", `"a\"b"`, "%C0%A0", "%", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := headerValue(s)
		if err != nil {
			if v != "" {
				t.Fatalf("%q with %v", v, err)
			}
			return
		}
		var encoded, quoted strings.Builder
		quoted.WriteByte('"')
		for i := range len(v) {
			c := v[i]
			if c <= ' ' || c == '"' || c == '%' || c > '~' {
				fmt.Fprintf(&encoded, "%%%02X", c)
				fmt.Fprintf(&quoted, "%%%02x", c)
				continue
			}
			encoded.WriteByte(c)
			quoted.WriteString(`\` + string(c))
		}
		quoted.WriteByte('"')
		for _, again := range []string{encoded.String(), quoted.String()} {
			if back, err := headerValue(again); err != nil || back != v {
				t.Fatalf("%q is read as %q, and written as %q as %q, %v", s, v, again, back, err)
			}
		}
	})
}

// FuzzTime compares rfc3339 with the grammar in RFC 3339, and checks that a parsed time
// survives formatting.
func FuzzTime(f *testing.F) {
	grammar := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	for _, s := range []string{"2026-11-24T10:00:00Z", "2026-11-24t10:00:00.123456789123z", "2026-11-24T10:00:00+23:59", "0001-01-01T00:00:00Z", "2026-11-24T10:00:00.32+0000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := rfc3339(s), grammar.MatchString(s); got != want {
			t.Fatalf("%q: %v, by the grammar %v", s, got, want)
		}
		at, err := parseTime(s)
		if err != nil {
			return
		}
		if again, err := parseTime(at.Format(time.RFC3339Nano)); err != nil || !again.Equal(at) {
			t.Fatalf("%q is %v, and then %v, %v", s, at, again, err)
		}
	})
}
