package reconcile

import "time"

// String returns the note on one line: what it is about, sentence and time.
func (n NoteOutcome) String() string {
	line := n.Message
	if n.Store != "" {
		line = n.Store + ": " + line
	}
	if n.Key != "" {
		line = n.Key + ": " + line
	}
	if n.Thing != "" {
		line = n.Thing + " (made by " + n.Creator + "): " + line
	}
	if !n.At.IsZero() {
		line += " (" + n.At.UTC().Format(time.DateTime) + ")"
	}
	return line
}
