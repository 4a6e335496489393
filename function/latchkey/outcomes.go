package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// How long the end of a process waits for outcome events to be delivered.
const (
	closeService = 4 * time.Second // of the 30 s after SIGTERM, work may use 25
	closeJob     = 20 * time.Second
)

// newSinks builds the receivers of outcome events: nil when the config has none.
// ours carries our token.
func newSinks(ctx context.Context, env environment, cfg *config.Config, to target, ours *http.Client, log *slog.Logger) (*outcome.Sender, error) {
	if len(cfg.Outcomes) == 0 {
		return nil, nil //nolint:nilnil // a nil sender sends nothing
	}
	var built []outcome.Sink
	for i, s := range cfg.Outcomes {
		if n := s.Notifications; n != nil {
			built = append(built, outcome.NewNotifications(outcome.NotificationsConfig{
				Instance: n.Instance, Region: n.Region, Source: n.Source,
				Private: to.private, Endpoint: to.endpoint, HTTP: ours,
			}))
			continue
		}
		sink := outcome.HTTPConfig{URL: s.URL, HTTP: to.http}
		if s.BearerEnv != "" {
			token, err := secret.Read(ctx, env, s.BearerEnv, "")
			if err != nil {
				return nil, fmt.Errorf("reading outcomes[%d].bearerEnv: %w", i, err)
			}
			sink.Bearer = token
		}
		built = append(built, outcome.NewHTTP(sink))
	}
	return outcome.New(outcome.Config{Owner: cfg.Owner, Sinks: built, Now: to.now, Log: log}), nil
}
