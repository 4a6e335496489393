package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/service"
)

type validateCommand struct {
	Config string   `help:"The config file." placeholder:"FILE"`
	Event  []string `help:"Say what this event would ask for: JSON of a CloudEvent, a batch or a notification, or a whole request in .http. May be given more than once." placeholder:"FILE" sep:"none"`
	Events []string `arg:"" optional:"" name:"file" help:"More events."`
}

// errBadEvent is an event that would be refused as malformed.
var errBadEvent = errors.New("an event would be refused")

// Run says what the config makes up, or every fault of it; with events, what
// each of them would ask for. Nothing is called.
func (c validateCommand) Run(env environment, std streams) error {
	cfg, err := load(env, c.Config)
	if err != nil {
		return err
	}
	if files := append(c.Event, c.Events...); len(files) > 0 {
		return explain(std, cfg, files)
	}
	for _, e := range cfg.Entries {
		each := "one credential"
		switch {
		case e.ForEach != "":
			each = "one credential for each of " + e.ForEach
		case e.UsesWith():
			each = "one credential for each set of parameters that a provision event gives"
		}
		fmt.Fprintf(std.out, "%s: %s\n", e.Name, each)
	}
	for _, r := range cfg.Rules {
		fmt.Fprintf(std.out, "%s (line %d): %s\n", r.Name, r.Line, r.Verb)
	}
	fmt.Fprintln(std.out, "The config is valid.")
	return nil
}

// explain prints a line for each event.
func explain(std streams, cfg *config.Config, files []string) error {
	in := &service.Interpreter{Rules: newRuleset(cfg.Rules)}
	bad := false
	for _, file := range files {
		header, body, err := sentBy(file)
		if err != nil {
			return err
		}
		items := []event.Item{{}}
		if event.Batched(header) {
			items, err = event.DecodeBatch(header, body)
		} else {
			items[0].Event, items[0].Err = event.Decode(header, body)
		}
		if err != nil {
			items = []event.Item{{Err: err}}
		}
		for i, item := range items {
			name := file
			if event.Batched(header) {
				name = fmt.Sprintf("%s[%d]", file, i)
			}
			said, ok := explained(cfg, in, item)
			bad = bad || !ok
			fmt.Fprintf(std.out, "%s: %s\n", name, said)
		}
	}
	if bad {
		return errBadEvent
	}
	return nil
}

// explained says what one event would ask for; ok is false when it would be
// refused as it is.
func explained(cfg *config.Config, in *service.Interpreter, item event.Item) (said string, ok bool) {
	if item.Err != nil {
		return "refused: " + item.Err.Error(), false
	}
	// An example is as good on any day: it is read as if it had just been sent.
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
		return "refused: " + err.Error(), false
	}
	const shown = 3
	for i, req := range requests {
		if i == shown && len(requests) > shown+1 {
			parts = append(parts, fmt.Sprintf("and %d more", len(requests)-shown))
			break
		}
		parts = append(parts, req.Sender+": "+wish(cfg, req))
	}
	return strings.Join(append(parts, notes...), "; "), true
}

// wish is a request in words, with what stands in its way.
func wish(cfg *config.Config, req event.Request) string {
	var b strings.Builder
	b.WriteString(string(req.Verb))
	switch names := strings.Join(req.Credentials, ", "); {
	case names != "" && req.Verb == event.Look:
		b.WriteString(" at " + names)
	case names != "":
		b.WriteString(" " + names)
	case req.Project != "":
		b.WriteString(" at what belongs to project " + req.Project)
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
	if req.KeyID != "" {
		b.WriteString(" key " + req.KeyID)
	}
	if req.Contain {
		b.WriteString(", disabling it first")
	}
	if !req.Trigger.NewerThan.IsZero() {
		b.WriteString(", newer than " + req.Trigger.NewerThan.UTC().Format(time.RFC3339))
	}
	if req.Trigger.NotKey != "" {
		b.WriteString(", not key " + req.Trigger.NotKey)
	}
	if hindrance := hindered(cfg, req); hindrance != "" {
		b.WriteString(" (" + hindrance + ")")
	}
	return b.String()
}

// hindered says who may ask for it, and what the config lacks.
func hindered(cfg *config.Config, req event.Request) string {
	for _, name := range req.Credentials {
		entry, _, _ := strings.Cut(name, "/")
		if !slices.ContainsFunc(cfg.Entries, func(e *config.Entry) bool { return e.Name == entry }) {
			return "the config has no credential " + entry
		}
		allowed := slices.ContainsFunc(cfg.Events.Allow, func(a config.Allow) bool { return a.Permits(string(req.Verb), entry, name) })
		if req.NeedsAuth() && !allowed && name != entry {
			return "events.allow permits it to nobody"
		}
		// A pattern with a slash may permit some instances of an entry.
		some := slices.ContainsFunc(cfg.Events.Allow, func(a config.Allow) bool {
			return slices.Contains(a.Verbs, string(req.Verb)) && slices.ContainsFunc(a.Credentials, func(pattern string) bool { return strings.HasPrefix(pattern, entry+"/") })
		})
		if req.NeedsAuth() && !allowed && !some {
			return "events.allow permits it to nobody"
		}
	}
	switch {
	case !req.NeedsAuth():
		return ""
	case cfg.Events.Auth == config.Auth{}:
		return "events.auth knows no caller"
	case req.Secret != "":
		return "a caller that is not known: only a look"
	}
	return "for known callers"
}

// sentBy reads an event from a file as its sender would send it.
func sentBy(file string) (http.Header, []byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading an event: %w", err)
	}
	if filepath.Ext(file) == ".http" {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return nil, nil, fmt.Errorf("reading the request in %s: %w", file, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the request in %s: %w", file, err)
		}
		return r.Header, body, nil
	}
	kind := "application/cloudevents+json"
	switch trimmed := bytes.TrimSpace(raw); {
	case bytes.HasPrefix(trimmed, []byte("[")):
		kind = "application/cloudevents-batch+json"
	case bytes.Contains(trimmed, []byte(`"notification_id"`)) || !bytes.Contains(trimmed, []byte(`"specversion"`)):
		kind = "application/json"
	}
	return http.Header{"Content-Type": {kind}}, raw, nil
}
