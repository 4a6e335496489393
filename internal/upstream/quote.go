package upstream

import (
	"fmt"
	"strings"

	"github.com/latchkey-io/latchkey/internal/secret"
)

const (
	// longest is the length in bytes at which a quotation is cut.
	longest = 300
	// shortest is the length in bytes of the shortest secret that leaves the
	// words out: shorter ones, such as "on", occur in any sentence.
	shortest = 4

	leftOut  = "(the message is left out because it quotes a secret)"
	redacted = "[secret]"
)

// Quote returns the status, code and message of an answer on one line, cut
// short and without the hidden values.
func (p API) Quote(a Answer, hidden ...secret.Value) string {
	text := oneLine(a.Code + " " + a.Message)
	for _, v := range hidden {
		plain := oneLine(v.Expose())
		switch {
		case plain == "":
		case p.Redact:
			text = strings.ReplaceAll(text, plain, redacted)
		case len(plain) >= shortest && strings.Contains(text, plain):
			text = leftOut
		}
	}
	text = strings.TrimSpace(fmt.Sprintf("status %d %s", a.Status, text))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// oneLine collapses white space and drops invalid bytes. Values are compared in
// the same form, so a value that spans lines is found.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
}
