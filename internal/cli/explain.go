package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/service"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// errBadEvent: an event would be rejected as malformed.
var errBadEvent = errors.New("an event would be rejected")

// Explain prints a line for each event in the files.
func Explain(ctx context.Context, std Streams, x service.Explainer, files []string) error {
	rejected := false
	for _, file := range files {
		header, body, err := readEvent(ctx, file)
		if err != nil {
			return err
		}
		for i, explained := range x.Explain(header, body) {
			name := file
			if event.Batched(header) {
				name = fmt.Sprintf("%s[%d]", file, i)
			}
			rejected = rejected || explained.Rejected
			fmt.Fprintf(std.Out, "%s: %s\n", name, explained.Text)
		}
	}
	if rejected {
		return errBadEvent
	}
	return nil
}

// readEvent reads an event from a file as its sender would send it.
func readEvent(ctx context.Context, file string) (http.Header, []byte, error) {
	raw, err := userfile.Read(ctx, file)
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
