package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// repeated returns a phrase of three words that a line has twice, or "". Such a line has
// the same step from two layers.
func repeated(line string) string {
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(` :;,()"`, r) })
	seen := map[string]bool{}
	for i := range max(len(words)-2, 0) {
		phrase := strings.Join(words[i:i+3], " ")
		if seen[phrase] {
			return phrase
		}
		seen[phrase] = true
	}
	return ""
}

func TestARepeatedPhraseIsFound(t *testing.T) {
	for line, want := range map[string]string{
		`finding service ID "c": finding service ID "c": no clear answer`: "finding service ID",
		"marking key ApiKey-1: access denied":                             "",
		"":                                                                "",
	} {
		if got := repeated(line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// The layer that makes a call names the step. Those above it add only what it can't know.
func TestNoMessageNamesAStepTwice(t *testing.T) {
	config := holesHead + static("c", place1)
	for _, path := range []string{"/v1/serviceids*", "/v1/apikeys*", "/v2/policies*", "/v2/projects/*/secrets*", "/v2/projects*", "/identity/token"} {
		t.Run(strings.Trim(path, "/*"), func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				for status, commands := range map[int][]string{400: {"sweep", "status"}, 403: {"sweep", "status"}, 503: {"status", "doctor"}} { // a sweep waits after a 503
					for _, due := range []bool{false, true} {
						s := holed(t, static("c", place1))
						if due {
							s.sweep()
							s.cloud.Advance(61 * 24 * time.Hour)
						}
						fails(method, path, status)(s)
						for _, command := range commands {
							_, text := s.as(s.cloud.Ready().APIKey, config, command)
							for line := range strings.Lines(text) {
								if phrase := repeated(line); phrase != "" {
									t.Errorf("%s %s %d: %q twice in %s", method, path, status, phrase, line)
								}
							}
						}
					}
				}
			}
		})
	}
}
