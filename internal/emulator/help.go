package emulator

import (
	"fmt"
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// Help lists the switches, the kinds of faults and the control API, for the help of
// the command emulator.
func Help() string {
	var b strings.Builder
	b.WriteString("Where no document, SDK or recorded answer shows how IBM Cloud behaves, a switch holds the guess. --switch NAME=VALUE, or a POST of " +
		"{\"switches\": {NAME: VALUE}} to /emulator/settings, replaces it.\n")
	for _, w := range cloud.SwitchList() {
		fmt.Fprintf(&b, "\n%s (%s) %s.\n", w.Name, w.Guess, w.Meaning)
	}
	b.WriteString("\n\nA fault of --faults, or of a POST to /emulator/faults, is a JSON object with a kind. It may have method, path and region, which " +
		"select calls, after, count, effect, status, retryAfter, delay, location and skew. A fault of the kind\n")
	for _, k := range FaultKinds() {
		fmt.Fprintf(&b, "\n%s %s.\n", k.Name, k.Meaning)
	}
	b.WriteString("\n\nThe control API plays what goes wrong and shows what happened; docs/emulator.md has curl lines. Below /emulator/,\n")
	for _, op := range Controls() {
		fmt.Fprintf(&b, "\n%s %s %s.\n", op.Method, op.Path, op.Meaning)
		if op.Body != "" {
			fmt.Fprintf(&b, "Body: %s\n", op.Body)
		}
	}
	return b.String()
}
