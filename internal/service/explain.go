package service

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
)

// Explainer describes what events would request. It calls nothing.
type Explainer struct {
	Interpreter Interpreter
	// Entries has the name of the config's entry for each name that it has or had.
	Entries map[string]string
	// Known is true if the config names a caller of /events.
	Known bool
	// Allow lists what any caller with a token may request.
	Allow []Allow
}

// Explanation describes one event.
type Explanation struct {
	// Text is one line.
	Text string
	// Rejected: the event would be answered as malformed.
	Rejected bool
}

// Explain explains each event of a request.
func (x *Explainer) Explain(header http.Header, body []byte) (out []Explanation) {
	items := []event.Item{{}}
	var err error
	if event.Batched(header) {
		items, err = event.DecodeBatch(header, body)
	} else {
		items[0].Event, items[0].Err = event.Decode(header, body)
	}
	if err != nil {
		items = []event.Item{{Err: err}}
	}
	for _, item := range items {
		text, ok := x.one(item)
		out = append(out, Explanation{Text: text, Rejected: !ok})
	}
	return out
}

// one explains one event; ok is false when it would be rejected.
func (x *Explainer) one(item event.Item) (text string, ok bool) {
	if item.Err != nil {
		return "rejected: " + item.Err.Error(), false
	}
	// The event is read as if it had just been sent, since an example may be old.
	in := x.Interpreter
	in.Reader.Now = func() time.Time {
		if now := time.Now(); now.After(item.Event.Time()) {
			return now
		}
		return item.Event.Time()
	}
	requests, notes, err := in.Interpret(item.Event)
	var parts []string
	switch {
	case errors.Is(err, event.ErrNotForUs):
		parts = append(parts, err.Error())
	case err != nil:
		return "rejected: " + err.Error(), false
	}
	for _, req := range requests {
		if name := x.unknown(req); name != "" {
			return "rejected: the config has no credential " + name, false
		}
	}
	const shown = 3
	for i, req := range requests {
		if i == shown && len(requests) > shown+1 {
			parts = append(parts, fmt.Sprintf("and %d more", len(requests)-shown))
			break
		}
		parts = append(parts, req.Sender+": "+x.request(req))
	}
	return strings.Join(append(parts, notes...), "; "), true
}

// request describes a request and what prevents it.
func (x *Explainer) request(req event.Request) string {
	var b strings.Builder
	b.WriteString(string(req.Verb))
	switch names := strings.Join(req.Credentials, ", "); {
	case names != "" && req.Verb == event.Look:
		b.WriteString(" at " + names)
	case names != "":
		b.WriteString(" " + names)
	case req.Project != "":
		b.WriteString(" at what belongs to project " + req.Project)
	case req.Secret != "" && req.Verb == event.Look:
		b.WriteString(" at what the secret " + req.Secret + " holds")
	case req.Secret != "":
		b.WriteString(" what the secret " + req.Secret + " holds")
	case req.Verb == event.Look:
		b.WriteString(" at everything")
	}
	separator := " with "
	for _, name := range slices.Sorted(maps.Keys(req.With)) {
		b.WriteString(separator + name + "=" + req.With[name])
		separator = ", "
	}
	if req.Undated {
		b.WriteString(", since it tells no expiry date that a key could serve")
	}
	if req.KeyID != "" {
		b.WriteString(" key " + req.KeyID)
	}
	if req.Contain {
		b.WriteString(", disabling it first")
	}
	if !req.Trigger.NewerThan.IsZero() {
		b.WriteString(", newer than " + req.Trigger.NewerThan.UTC().Format(time.RFC3339))
	}
	if !req.Trigger.Expiry.IsZero() {
		b.WriteString(", once for the date " + req.Trigger.Expiry.UTC().Format(time.RFC3339))
	}
	if req.Trigger.NotKey != "" {
		b.WriteString(", not key " + req.Trigger.NotKey)
	}
	if condition := x.condition(req); condition != "" {
		b.WriteString(" (" + condition + ")")
	}
	return b.String()
}

// unknown returns the entry that a request of latchkey's own types names and the config
// lacks, or nothing. A rule may name what no longer exists.
func (x *Explainer) unknown(req event.Request) string {
	if req.Sender != event.SenderOwn {
		return ""
	}
	for _, name := range req.Credentials {
		if head, _, _ := strings.Cut(name, "/"); x.Entries[head] == "" {
			return head
		}
	}
	return ""
}

// condition returns which caller may make the request, or what the config lacks for it.
func (x *Explainer) condition(req event.Request) string {
	for _, name := range req.Credentials {
		head, _, single := strings.Cut(name, "/")
		entry := x.Entries[head]
		if entry == "" {
			return "the config has no credential " + head
		}
		name = entry + strings.TrimPrefix(name, head)
		permitted := slices.ContainsFunc(x.Allow, func(a Allow) bool {
			return a.Permits(string(req.Verb), entry, name) || !single && a.PermitsSome(string(req.Verb), entry)
		})
		if req.NeedsAuth() && !permitted {
			return "the config permits it to no caller"
		}
	}
	switch {
	case !req.NeedsAuth():
		return ""
	case !x.Known:
		return "events.auth names no caller"
	case req.Secret != "":
		return "without the token: only a look"
	}
	return "with the token"
}
