package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// providerRules are those of a task's key: it is never replaced, since the next
// task makes another.
func (h *house) providerRules() rotation.Rules {
	life := h.cfg.Provider.Expire
	rules := h.rules(providerEntry, config.Rotation{After: life, Expire: life, Overlap: 24 * time.Hour})
	rules.Jitter = 0
	return rules
}

// unfinished are the credentials of tasks whose run died after the secret had
// the key and before the key had its full life. Nobody starts such a run again,
// so a sweep finishes it. Keys whose task has them not are left to their fuse.
func (h *house) unfinished(ctx context.Context) (found []reconcile.Credential, unknown error) {
	p := h.cfg.Provider
	if p == nil {
		return nil, nil
	}
	var ids []string
	for _, a := range p.Allow {
		ids = append(ids, a.ServiceIDs...)
	}
	slices.Sort(ids)
	rules := h.providerRules()
	for _, id := range slices.Compact(ids) {
		keys, err := h.iam.Marked(ctx, "iam-"+id, providerEntry+"/")
		if errors.Is(err, reconcile.ErrNotFound) {
			continue // there is no such service ID
		}
		unknown = errors.Join(unknown, err)
		for _, k := range keys {
			fused := k.Expires.Sub(k.Created) <= rules.Fuse+rules.ExpiryMargin
			if !fused || !k.Live(k.Date) || k.Date.Sub(k.Created) < rules.Window {
				continue // it has its life, or its run may be at work
			}
			task, ok := h.taskOf(k)
			if !ok {
				continue
			}
			state, err := task.State(ctx)
			switch {
			case errors.Is(err, reconcile.ErrNotFound):
			case err != nil:
				unknown = errors.Join(unknown, fmt.Errorf("looking whether a secret has key %s, whose life is a day: %w", k.ID, err))
			case state.Status == secretsmanager.TaskCreated && state.KeyID == k.ID:
				found = append(found, reconcile.Credential{
					Name: k.Credential, Entry: providerEntry, Given: id, OnLeak: p.OnLeak, Rules: rules, Paused: h.cfg.Paused,
					Stores: []reconcile.Store{task},
				})
			}
		}
	}
	return found, unknown
}

// taskOf is the task that a key was made for: its marker names it as a store.
func (h *house) taskOf(k reconcile.KeyRecord) (*secretsmanager.Task, bool) {
	name := strings.Split(k.Credential, "/")
	if len(name) != 3 || len(k.Stores) != 1 {
		return nil, false
	}
	place := strings.Split(k.Stores[0], "/")
	if len(place) < 3 || !slices.Contains(h.cfg.Provider.Instances, place[2]) {
		return nil, false
	}
	task := h.secrets().Task(secretsmanager.TaskConfig{Instance: place[2], Region: place[1], Secret: name[1], Task: name[2]})
	return task, task.Name() == k.Stores[0]
}
