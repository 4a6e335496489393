package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/config"
)

// A config may come from another team. Text that repeats a fault must not cost
// minutes, or become a message that is longer than the text.
func TestAConfigOfRepeatedFaultsEndsSoon(t *testing.T) {
	const many = 40_000
	parameters := func(name func(int) string) string {
		var b strings.Builder
		b.WriteString("version: 1\nrules:\n- when: 'true'\n  provision: a\n  with: {")
		for i := range many {
			fmt.Fprintf(&b, "%s: b,", name(i))
		}
		return b.String() + "}"
	}
	for name, text := range map[string]string{
		"an unknown key":          strings.Repeat("a: 1\n", many),
		"a known key":             strings.Repeat("version: 1\n", many),
		"a key of a flow mapping": "{" + strings.Repeat("a: 1,", many) + "}",
		"an anchor":               strings.Repeat("a: &a 1\n", many),
		"a hook":                  "version: 1\nhooks: {" + strings.Repeat("a: b,", many) + "}",
		"a parameter":             parameters(func(int) string { return "a" }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load("latchkey.yaml", []byte(text))
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) != 1001 {
				t.Fatalf("%d faults, want 1001", len(faults))
			}
			if !strings.Contains(err.Error(), "there are more than 1000 faults") {
				t.Error("the error does not say that faults are left out")
			}
		})
	}
}
