package result

import (
	"strings"

	"github.com/latchkey-io/latchkey/internal/marker"
)

// Cause is what a run was requested by. Commands and the service set it in the
// outcomes of their runs.
type Cause struct {
	// Caller is who requested it: the bearer, a hook, the platform's trigger, or a
	// person by hand.
	Caller string `json:"caller,omitempty"`
	// Type, Source and Event are the event's type, source and ID.
	Type   string `json:"type,omitempty"`
	Source string `json:"source,omitempty"`
	Event  string `json:"event,omitempty"`
	// Subject is the event's subject.
	Subject string `json:"subject,omitempty"`
	// Ticket is the reference of the ticket that asks, as the sender names it.
	Ticket string `json:"ticket,omitempty"`
}

// Limits of a cause, in bytes. A description in IAM has room for the marker too.
const (
	causeMost = 200
	partMost  = 60
)

// Clean returns the cause as printable text of bounded length. Brackets are
// replaced, since they delimit a marker.
func (c Cause) Clean() Cause {
	for _, part := range []*string{&c.Caller, &c.Type, &c.Source, &c.Event, &c.Subject, &c.Ticket} {
		*part = marker.Printable(*part, causeMost)
	}
	c.Caller, c.Subject, c.Ticket = clip(c.Caller, partMost), clip(c.Subject, partMost), clip(c.Ticket, partMost)
	return c
}

// String returns the cause on one line of at most 200 bytes, for logs and the
// description of a key.
func (c Cause) String() string {
	c = c.Clean()
	tail := ""
	if c.Subject != "" {
		tail += " subject " + c.Subject
	}
	if c.Ticket != "" && c.Ticket != c.Subject {
		tail += " ticket " + c.Ticket
	}
	if c.Caller != "" {
		tail += " by " + c.Caller
	}
	head := strings.Join(strings.Fields(c.Type+" "+c.Source+" "+c.Event), " ")
	return strings.TrimSpace(clip(head, causeMost-len(tail)) + tail)
}

func clip(s string, most int) string { return s[:min(len(s), most)] }
