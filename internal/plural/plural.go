// Package plural writes numbers with their nouns.
package plural

import (
	"fmt"
	"strings"
)

// Count returns "1 key" or "2 keys" for the noun key, and "2 policies" for policy.
func Count(n int, noun string) string {
	stem, y := strings.CutSuffix(noun, "y")
	switch {
	case n == 1:
	case y && !strings.ContainsAny(stem[len(stem)-1:], "aeiou"):
		noun = stem + "ies"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
