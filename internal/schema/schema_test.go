package schema

import "testing"

func TestADescriptionHasNoMarkdown(t *testing.T) {
	for meaning, want := range map[string]string{
		"the config entries ([see below](#credentials))":              "the config entries (default: none)",
		"[when keys are replaced](#rotation)":                         "when keys are replaced (default: none)",
		"what `a` **is** ([protocol.md](protocol.md#whose-it-is)), b": "what a is (docs/protocol.md#whose-it-is), b (default: none)",
		"a [b] c": "a [b] c (default: none)",
	} {
		if got := (Key{Meaning: meaning}).about(); got != want {
			t.Errorf("%q becomes %q, want %q", meaning, got, want)
		}
	}
	if got := (Key{Meaning: "[when](#rotation)", Default: "see below"}).about(); got != "when" {
		t.Errorf("a default that is a link becomes %q", got)
	}
}
