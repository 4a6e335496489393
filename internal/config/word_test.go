package config

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// The pattern of a word is published in the schema, and the check is written beside it.
func TestAWordIsWhatItsPatternSays(t *testing.T) {
	for name, check := range map[string]func(string) error{
		"name": checkName, "resource group": checkResourceGroup, "account": checkAccount, "service": checkService,
		"parameter": checkParameter, "identifier": checkIdentifier, "variable": checkEnv,
	} {
		var says *entry.RuleError
		if !errors.As(check("\x00"), &says) {
			t.Fatalf("%s takes anything", name)
		}
		pattern := regexp.MustCompile(`^(?:` + says.Pattern + `)$`)
		same := func(text string) {
			if got, want := check(text) == nil, pattern.MatchString(text); got != want {
				t.Errorf("%s: %q: %v, and the pattern %s says %v", name, text, got, says.Pattern, want)
			}
		}
		for n := range 140 {
			for _, end := range []string{"", "a", "A", "0", "-", "_", ".", "ä", "\n"} {
				same(strings.Repeat("a", n) + end)
				same(strings.Repeat("A", n) + end)
				same(end + strings.Repeat("0", n))
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			same(rapid.StringMatching(says.Pattern).Draw(t, "a match"))
			same(rapid.StringOfN(rapid.SampledFrom([]rune("azAZ09-_.~ äß\n\x00")), 0, 140, -1).Draw(t, "text"))
		})
	}
}
