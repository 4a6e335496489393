package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAnEventIsReadAsItsSenderWouldSendIt(t *testing.T) {
	for name, tc := range map[string]struct{ file, text, kind, body string }{
		"a CloudEvent":              {"a.json", `{"specversion":"1.0"}`, "application/cloudevents+json", `{"specversion":"1.0"}`},
		"a batch":                   {"a.json", ` [{"specversion":"1.0"}]`, "application/cloudevents-batch+json", ` [{"specversion":"1.0"}]`},
		"a notification":            {"a.json", `{"specversion":"1.0","notification_id":"1"}`, "application/json", `{"specversion":"1.0","notification_id":"1"}`},
		"JSON without specversion":  {"a.json", `{}`, "application/json", `{}`},
		"a whole request in a file": {"a.http", "POST / HTTP/1.1\nHost: x\nContent-Type: text/plain\nContent-Length: 2\n\nhi", "text/plain", "hi"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), tc.file)
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			header, body, err := readEvent(t.Context(), file)
			if err != nil || header.Get("Content-Type") != tc.kind || string(body) != tc.body {
				t.Errorf("%q %q, %v", header.Get("Content-Type"), body, err)
			}
		})
	}
}
