package codeengine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// rollout says which revisions of an app are the newest one and the one that runs.
// Code Engine sends requests to the old revision until a newer one is ready.
type rollout struct {
	created, ready string
	status, reason string
}

func revisions(app *workload) rollout {
	d := app.Details
	return rollout{created: d.Created, ready: d.Ready, status: app.Status, reason: d.Reason}
}

// pending reports whether the app runs an older revision than its newest one. An app
// that was never ready runs none, so its next start reads the store.
func (r rollout) pending() bool { return r.ready != "" && r.ready != r.created }

func (r rollout) failed() bool {
	return r.status == "failed" || r.reason == "no_revision_ready" || r.reason == "ready_but_latest_revision_failed"
}

// running returns the key that the app's running revision has, or "" if it is
// unknown. The mark may be missing, since tools such as Terraform take off what
// they did not write, in a new revision. That revision read the store later than an
// earlier one with the mark, so it has the same key or a newer one.
func (a *apps) running(ctx context.Context, api upstream.Service, project string, app *workload) (string, error) {
	r := revisions(app)
	key := a.mark(app.Env)
	if !r.pending() && (key != "" || r.ready == "") {
		return key, nil
	}
	doing := fmt.Sprintf("listing the revisions of app %s of project %s in %s", app.Name, a.store.cfg.Project, a.store.cfg.Region)
	all, err := workloads(ctx, doing, api, in(project, "apps", app.Name, "revisions"))
	if err != nil {
		return "", err
	}
	key, newest := "", ""
	for _, rev := range all {
		mark := a.mark(rev.Env)
		if mark != "" && !later(rev.Name, r.ready) && !later(newest, rev.Name) {
			key, newest = mark, rev.Name
		}
	}
	return key, nil
}

// starting returns the key that the app's newest revision has, if that may still get
// ready, and another revision runs with another key.
func (a *apps) starting(app *workload, running string) string {
	mark, r := a.mark(app.Env), revisions(app)
	if mark == running || r.failed() {
		return ""
	}
	return mark
}

// later reports whether a revision of an app was created after another one. Names
// end in a number that counts up: shipper-00002. The number grows digits after
// 99999, so a longer name is later.
func later(name, than string) bool {
	if len(name) != len(than) {
		return len(name) > len(than)
	}
	return strings.Compare(name, than) > 0
}

// wait waits until the app runs the revision that follows before, or its newest one
// if before is empty. Without an answer in time the next run looks again: it knows
// the revision by its mark.
func (a *apps) wait(ctx context.Context, doing string, api upstream.Service, project string, app *workload, before string) error {
	const shortest, longest = 100 * time.Millisecond, 2 * time.Second
	for pause := shortest; ; pause = min(2*pause, longest) {
		r := revisions(app)
		fresh := before == "" || r.created != before
		switch {
		case r.created == "", fresh && !r.pending() && r.ready != "":
			return nil
		case fresh && r.failed():
			return fmt.Errorf("%s: revision %s: %w: %s", doing, r.created, port.ErrRefused, a.why(ctx, api, project, app.Name, r))
		}
		if err := a.pause(ctx, pause); err != nil {
			return fmt.Errorf("%s: revision %s is not ready, and %s serves: %w: %w", doing, r.created, r.ready, port.ErrNotActive, err)
		}
		now, err := a.read(ctx, doing, api, project, app.Name)
		if err != nil {
			return err
		}
		app = now
	}
}

// why returns the reason of a failed revision, or that of the app.
func (a *apps) why(ctx context.Context, api upstream.Service, project, app string, r rollout) string {
	rev, _, err := upstream.Send[workload](ctx, api, upstream.Request{Method: http.MethodGet, Path: in(project, "apps", app, "revisions", r.created)})
	if err == nil && rev != nil && rev.Details.Reason != "" {
		r.reason = rev.Details.Reason
	}
	if !reasonForm().MatchString(r.reason) {
		return "its status gives no reason"
	}
	return r.reason
}

// reasonForm is the form of a status's reason. No key has it.
var reasonForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_]{1,64}$`) })

var errPatience = errors.New("the time to wait for revisions is over")

// pause waits for a while, unless the restarts have waited long enough in all.
func (a *apps) pause(ctx context.Context, d time.Duration) error {
	a.mu.Lock()
	d = min(d, a.left)
	a.left -= d
	a.mu.Unlock()
	if d <= 0 {
		return errPatience
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
