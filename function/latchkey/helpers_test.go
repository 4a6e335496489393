package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/result"
)

// ownServiceID adds a service ID that latchkey's identity made.
func ownServiceID(c *cloud.Cloud, n cloud.NewServiceID) cloud.ServiceID {
	n.AccountID = cloud.AccountID
	id, err := c.CreateServiceID(c.Minter().Actor(), n)
	if err != nil {
		panic(err)
	}
	return id
}

// ownKey adds a key that latchkey's identity made.
func ownKey(c *cloud.Cloud, n cloud.NewAPIKey) cloud.APIKey {
	k, err := c.CreateAPIKey(c.Minter().Actor(), n)
	if err != nil {
		panic(err)
	}
	return k
}

// until polls a condition of another process.
func until(ctx context.Context, within time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// readOutcomes reads the body of an answer.
func readOutcomes(body []byte) ([]result.Outcome, error) {
	var many struct{ Outcomes []result.Outcome }
	if err := json.Unmarshal(body, &many); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(many.Outcomes) > 0 {
		return many.Outcomes, nil
	}
	var one result.Outcome
	if err := json.Unmarshal(body, &one); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return []result.Outcome{one}, nil
}
