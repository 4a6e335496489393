package main

import (
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/outcome"
)

// How long the end of a process waits for outcome events to be delivered.
const (
	closeService = 4 * time.Second // of the 30 s after SIGTERM, work may use 25
	closeJob     = 20 * time.Second
)

// sinks builds the receivers of outcome events. Nil when the config has none.
func sinks(env environment, p *parts) (*outcome.Sender, error) {
	if len(p.cfg.Outcomes) == 0 {
		return nil, nil //nolint:nilnil // a nil sender sends nothing
	}
	var built []outcome.Sink
	for i, s := range p.cfg.Outcomes {
		if n := s.Notifications; n != nil {
			built = append(built, outcome.NewNotifications(outcome.NotificationsConfig{
				Instance: n.Instance, Region: n.Region, Source: n.Source,
				Private: p.cloud.private, Endpoint: p.cloud.endpoint, HTTP: p.iam.HTTP(),
			}))
			continue
		}
		sink := outcome.HTTPConfig{URL: s.URL, HTTP: p.cloud.http}
		if s.BearerEnv != "" {
			token, err := readSecret(env, s.BearerEnv, "")
			if err != nil {
				return nil, fmt.Errorf("reading outcomes[%d].bearerEnv: %w", i, err)
			}
			sink.Bearer = token
		}
		built = append(built, outcome.NewHTTP(sink))
	}
	return outcome.New(outcome.Config{Owner: p.cfg.Owner, Sinks: built, Now: p.cloud.now, Log: p.log}), nil
}
