package event

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// FuzzFromEnvironment: an event from the environment is the one that was sent, and
// requests what it requests over HTTP.
func FuzzFromEnvironment(f *testing.F) {
	f.Add("dev.knative.kafka.event", "partition:0/offset:46", "/apis/v1/namespaces/abc/kafkasources/at-job#audit", "partition:0#46", "2026-11-24T10:00:00Z", `{"action":"x"}`)
	f.Add("dev.knative.sources.ping", "1", "/s", `"quoted" 100%`, "", "")
	f.Add("dev.latchkey.sweep", "é", "/s", "", "", "eyJjcmVkZW50aWFscyI6WyJhIl19")
	f.Fuzz(func(t *testing.T, kind, id, source, subject, at, data string) {
		env := map[string]string{"CE_SPECVERSION": "1.0", "CE_TYPE": kind, "CE_ID": id, "CE_SOURCE": source, "CE_SUBJECT": subject, "CE_TIME": at, "CE_DATA": data}
		sent, triggered := FromEnvironment(func(name string) string { return env[name] })
		if triggered != (kind != "" && id != "") {
			t.Fatalf("an event: %v", triggered)
		}
		if !triggered || sent.Known {
			if sent.Known {
				t.Fatal("a job's event is trusted")
			}
			return
		}
		e, err := Decode(sent.Header, sent.Body)
		if err != nil {
			return
		}
		if e.Type() != kind || e.ID() != id || e.Subject() != subject {
			t.Fatalf("%q %q %q became %q %q %q", kind, id, subject, e.Type(), e.ID(), e.Subject())
		}
		members := map[string]any{"specversion": "1.0", "type": kind, "id": id, "source": source, "data_base64": sent.Body}
		for name, value := range map[string]string{"subject": subject, "time": at} {
			if value != "" {
				members[name] = value
			}
		}
		body, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, body)
		if err != nil {
			t.Fatalf("not read when sent over HTTP: %v", err)
		}
		in := Reader{Now: func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }}
		first, ferr := in.Interpret(e)
		second, serr := in.Interpret(twin)
		if len(first) != len(second) || (ferr == nil) != (serr == nil) {
			t.Fatalf("asks %+v, %v, and over HTTP %+v, %v", first, ferr, second, serr)
		}
	})
}

func TestAJobsEventHasItsTicketAndItsTrace(t *testing.T) {
	env := map[string]string{
		"CE_SPECVERSION": "1.0", "CE_TYPE": "dev.latchkey.look", "CE_ID": "1", "CE_SOURCE": "/s",
		"CE_TICKET": "CHG0031", "CE_TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	sent, _ := FromEnvironment(func(name string) string { return env[name] })
	e, err := Decode(sent.Header, sent.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := sent.Header.Get("Ce-Traceparent"); Ticket(e) != "CHG0031" || got != env["CE_TRACEPARENT"] {
		t.Errorf("the ticket is %q, the traceparent %q", Ticket(e), got)
	}
}
