package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// verdict says whether a task gets a key.
type verdict struct {
	state secretsmanager.TaskState
	err   error    // why the task could not be read
	idle  bool     // the task needs nothing
	why   *failure // why no key may be made, or nil
}

func (v verdict) admits() bool {
	return v.err == nil && v.state.Type == secretsmanager.CreateCredentials && !v.idle && v.why == nil
}

// judge reads the task, and the policies of the service ID beside it.
func (p *Provider) judge(ctx context.Context, r Request, task *secretsmanager.Task, allow Allow, why *failure) (v verdict) {
	var beside sync.WaitGroup
	if why == nil {
		beside.Go(func() { why = p.lacks(ctx, r, allow) })
	}
	v.state, v.err = p.state(ctx, task)
	beside.Wait()
	switch {
	case v.err != nil:
	case v.state.Status == secretsmanager.TaskFailed:
		v.idle = true // the task already has its reason
	case v.state.Status == secretsmanager.TaskCreated:
		// The key still needs its full life, if it exists. It was allowed when it was made.
		_, err := p.cfg.Keys.Get(ctx, v.state.KeyID)
		v.idle = v.state.KeyID == "" || errors.Is(err, port.ErrNotFound)
	case !v.state.Final():
		v.why = why
	}
	return v
}

// lacks says which policies the service ID lacks that the config requires first.
func (p *Provider) lacks(ctx context.Context, r Request, allow Allow) *failure {
	if len(allow.Policies) == 0 {
		return nil
	}
	var granted []access.Policy
	err := p.retry(ctx, func() (err error) {
		granted, err = p.cfg.Keys.Granted(ctx, "iam-"+r.ServiceID)
		return err
	})
	if err != nil {
		p.cfg.Log.Warn("reading policies failed", "service_id", r.ServiceID, "error", err.Error())
		return &failure{"try-again", "IAM did not say what the service ID may do; try again later"}
	}
	if lacking := access.Missing(allow.Policies, granted); len(lacking) > 0 {
		return &failure{string(reason.NoPolicy), r.ServiceID + " lacks policies that the config requires first: " + strings.Join(lacking, ", ")}
	}
	return nil
}

// turnAway ends a run whose task gets no key.
func (p *Provider) turnAway(ctx context.Context, r Request, task *secretsmanager.Task, v verdict) error {
	if open, err := p.opened(ctx, r, task, v.state, v.err); !open || v.why == nil {
		return err
	}
	return p.fail(context.WithoutCancel(ctx), r, task, *v.why, nil)
}

// judgedTask is a task as the store of a run that began before the task was judged. The
// first reading waits for the verdict.
type judgedTask struct {
	*secretsmanager.Task
	judged chan struct{} // closed when verdict is set
	verdict
	read atomic.Bool
}

// Read satisfies port.Store. The answer that the task was judged by is the first one.
func (t *judgedTask) Read(ctx context.Context) (port.Entry, error) {
	if t.read.Swap(true) {
		return t.Task.Read(ctx)
	}
	if <-t.judged; !t.admits() {
		return port.Entry{}, fmt.Errorf("%s: %w: it gets no key", t.Name(), port.ErrRefused)
	}
	return t.Entry(t.state)
}
