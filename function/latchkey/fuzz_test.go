package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/service"
)

// FuzzJobEvent: an event that the platform puts into the environment is the one
// that was sent, and asks what it asks over HTTP.
func FuzzJobEvent(f *testing.F) {
	f.Add("dev.knative.kafka.event", "partition:0/offset:46", "/apis/v1/namespaces/abc/kafkasources/at-job#audit", "partition:0#46", "2026-11-24T10:00:00Z", `{"action":"x"}`)
	f.Add("dev.knative.sources.ping", "1", "/s", `"quoted" 100%`, "", "")
	f.Add("dev.latchkey.sweep", "é", "/s", "", "", "eyJjcmVkZW50aWFscyI6WyJhIl19")
	f.Fuzz(func(t *testing.T, kind, id, source, subject, at, data string) {
		env := map[string]string{"CE_SPECVERSION": "1.0", "CE_TYPE": kind, "CE_ID": id, "CE_SOURCE": source, "CE_SUBJECT": subject, "CE_TIME": at, "CE_DATA": data}
		sent, triggered := readJobEvent(func(name string) string { return env[name] })
		if triggered != (kind != "" && id != "") {
			t.Fatalf("an event: %v", triggered)
		}
		if !triggered || sent.known {
			if sent.known {
				t.Fatal("a job's event is trusted")
			}
			return
		}
		e, err := event.Decode(sent.header, sent.body)
		if err != nil {
			return
		}
		if e.Type() != kind || e.ID() != id || e.Subject() != subject {
			t.Fatalf("%q %q %q became %q %q %q", kind, id, subject, e.Type(), e.ID(), e.Subject())
		}
		members := map[string]any{"specversion": "1.0", "type": kind, "id": id, "source": source, "data_base64": sent.body}
		for name, value := range map[string]string{"subject": subject, "time": at} {
			if value != "" {
				members[name] = value
			}
		}
		body, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := event.Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, body)
		if err != nil {
			t.Fatalf("not read when sent over HTTP: %v", err)
		}
		in := service.Interpreter{Reader: event.Reader{Now: func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }}}
		first, _, ferr := in.Interpret(e)
		second, _, serr := in.Interpret(twin)
		if len(first) != len(second) || (ferr == nil) != (serr == nil) {
			t.Fatalf("asks %+v, %v, and over HTTP %+v, %v", first, ferr, second, serr)
		}
	})
}

// FuzzValidate: what is said of an event is one line, and nothing of the config
// is needed for that but its rules.
func FuzzValidate(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.latchkey.provision","data":{"credential":"a/b","with":{"x":"y"}}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.latchkey.rotate","time":"2026-11-24T10:00:00Z","data":{"credential":"a"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := event.Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, body)
		said, ok := explained(&config.Config{}, &service.Interpreter{}, event.Item{Event: e, Err: err})
		if said == "" || strings.ContainsAny(said, "\n\r") {
			t.Fatalf("said %q", said)
		}
		if err != nil && ok {
			t.Fatalf("said %q of what is no event: %v", said, err)
		}
	})
}
