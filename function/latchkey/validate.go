package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/service"
)

type validateCommand struct {
	Config string   `help:"The config file." placeholder:"FILE"`
	Event  []string `help:"Print what this event would request: JSON of a CloudEvent, a batch or a notification, or a whole request in .http. Repeatable." placeholder:"FILE" sep:"none"`
	Events []string `arg:"" optional:"" name:"event" help:"Files with events, as --event takes them."`
}

// errBadEvent: an event would be rejected as malformed.
var errBadEvent = errors.New("an event would be rejected")

// Run prints what the config yields, or every fault of it; with events, what each
// of them would request. It calls nothing.
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
	x := service.Explainer{
		Interpreter: service.Interpreter{Rules: newRuleset(cfg.Rules)},
		Known:       cfg.Events.Auth != config.Auth{}, Allow: allows(cfg.Events.Allow),
	}
	for _, e := range cfg.Entries {
		x.Entries = append(x.Entries, e.Name)
	}
	rejected := false
	for _, file := range files {
		header, body, err := readEvent(file)
		if err != nil {
			return err
		}
		for i, explained := range x.Explain(header, body) {
			name := file
			if event.Batched(header) {
				name = fmt.Sprintf("%s[%d]", file, i)
			}
			rejected = rejected || explained.Rejected
			fmt.Fprintf(std.out, "%s: %s\n", name, explained.Text)
		}
	}
	if rejected {
		return errBadEvent
	}
	return nil
}

// readEvent reads an event from a file as its sender would send it.
func readEvent(file string) (http.Header, []byte, error) {
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
