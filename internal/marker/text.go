package marker

import "strings"

// Printable returns what another party wrote as printable text of at most that many
// bytes. Brackets are replaced, since they delimit a marker.
func Printable(text string, most int) string {
	text = strings.Map(printable, text)
	return strings.TrimSpace(text[:min(len(text), most)])
}

func printable(r rune) rune {
	if r < 0x20 || r > 0x7e || r == '[' || r == ']' {
		return '_'
	}
	return r
}

// recordedMost bounds, in bytes, what the mark of a recorded demand keeps of its
// cause.
const recordedMost = 100

// Recordable returns the end of a cause, which has the ticket and the caller, for a
// mark.
func Recordable(cause string) string {
	return Printable(cause[max(0, len(cause)-recordedMost):], recordedMost)
}
