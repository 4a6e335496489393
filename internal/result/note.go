package result

import (
	"time"
)

// String returns the note on one line: what it is about, sentence and time.
func (n Note) String() string {
	line := n.Message
	if n.Store != "" {
		line = n.Store + ": " + line
	}
	if n.Key != "" {
		line = n.Key + ": " + line
	}
	if n.By != "" {
		line += " (by " + n.By + ")"
	}
	if n.Thing != "" {
		thing := n.Thing
		if n.Creator != "" {
			thing += " (made by " + n.Creator + ")"
		}
		line = thing + ": " + line
	}
	if !n.At.IsZero() {
		line += " (" + n.At.UTC().Format(time.DateTime) + ")"
	}
	return line
}
