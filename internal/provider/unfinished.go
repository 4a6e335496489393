package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// Unfinished returns the credentials of tasks whose run died after the secret
// had the key and before the key had its full life. Secrets Manager does not
// start such a run again, so a sweep finishes it. Where the task does not have
// the key, the fuse ends it.
func (p *Provider) Unfinished(ctx context.Context) (found []port.Credential, unknown error) {
	var ids []string
	for _, a := range p.cfg.Allow {
		ids = append(ids, a.ServiceIDs...)
	}
	slices.Sort(ids)
	rules := p.cfg.Rules
	for _, id := range slices.Compact(ids) {
		keys, err := p.cfg.Keys.Marked(ctx, "iam-"+id, Entry+"/")
		if errors.Is(err, port.ErrNotFound) {
			continue // there is no such service ID
		}
		unknown = errors.Join(unknown, err)
		for _, k := range keys {
			fused := k.Expires.Sub(k.Created) <= rules.Fuse+rules.ExpiryMargin
			if !fused || !k.Live(k.Date) || k.Date.Sub(k.Created) < rules.Window {
				continue // it has its full life, or its run may be at work
			}
			task, ok := p.taskOf(k)
			if !ok {
				continue
			}
			state, err := task.State(ctx)
			switch {
			case errors.Is(err, port.ErrNotFound):
			case err != nil:
				unknown = errors.Join(unknown, fmt.Errorf("checking whether a secret has key %s, which expires within a day: %w", k.ID, err))
			case state.Status == secretsmanager.TaskCreated && state.KeyID == k.ID:
				found = append(found, port.Credential{
					Name: k.Credential, Entry: Entry, Given: id, OnLeak: p.cfg.OnLeak, Rules: rules, Paused: p.cfg.Paused,
					Stores: []port.Store{task},
				})
			}
		}
	}
	return found, unknown
}

// taskOf returns the task that a key was made for: its marker names it as a
// store.
func (p *Provider) taskOf(k port.KeyRecord) (*secretsmanager.Task, bool) {
	name := strings.Split(k.Credential, "/")
	if len(name) != 3 || len(k.Stores) != 1 {
		return nil, false
	}
	location := strings.Split(k.Stores[0], "/")
	if len(location) < 3 || !p.Serves(location[2]) {
		return nil, false
	}
	task := p.cfg.Tasks(secretsmanager.TaskConfig{Instance: location[2], Region: location[1], Secret: name[1], Task: name[2]})
	return task, task.Name() == k.Stores[0]
}
