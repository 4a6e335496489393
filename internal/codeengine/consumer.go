package codeengine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Restart selects the apps to restart when the entry changes.
type Restart struct {
	All   bool     // every app that reads the entry from its environment
	Names []string // these apps, as app/NAME
}

// Consumers returns the apps that read the entry from their environment, which
// see a change only in a new revision. An app that mounts the secret as a volume
// needs no restart. It returns nil if no restart is configured.
func (s *Store) Consumers() port.Consumers {
	if !s.cfg.Restart.All && len(s.cfg.Restart.Names) == 0 {
		return nil
	}
	return &apps{store: s, left: s.client.cfg.Patience}
}

type apps struct {
	store *Store

	mu   sync.Mutex
	left time.Duration // the rest of the time to wait for revisions
}

var _ port.Consumers = (*apps)(nil)

// kind comes before an app's name in the config: app/NAME.
const kind = "app/"

// label returns the name of a consumer. It includes the project, since a
// credential may have stores in several projects with apps of the same name.
func (a *apps) label(app string) string { return kind + a.store.cfg.Project + "/" + app }

// Consumers lists the apps, each with the key that its running revision has.
func (a *apps) Consumers(ctx context.Context) ([]protocol.Consumer, error) {
	doing := fmt.Sprintf("listing the apps of project %s in %s", a.store.cfg.Project, a.store.cfg.Region)
	api, project, err := a.store.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	all, ok := listing.Of(ctx, a.store.Place(), "apps", func() ([]codeenginev2.App, error) {
		return appsOf(ctx, doing, api, project)
	})
	if !ok {
		if all, err = appsOf(ctx, doing, api, project); err != nil {
			return nil, err
		}
	}
	var found []protocol.Consumer
	for i := range all {
		if app := &all[i]; a.wanted(app) {
			key, err := a.running(ctx, api, project, app)
			if err != nil {
				return nil, err
			}
			found = append(found, protocol.Consumer{Name: a.label(text(app.Name)), Store: a.store.Name(), Key: key, Next: a.starting(app, key)})
		}
	}
	return append(found, a.missing(found)...), nil
}

// appsOf returns the apps of a project.
func appsOf(ctx context.Context, doing string, api *codeenginev2.CodeEngineV2, project string) (all []codeenginev2.App, err error) {
	opts := &codeenginev2.ListAppsOptions{ProjectID: &project, Limit: core.Int64Ptr(pageSize)}
	seen := upstream.Pages{Doing: doing, Most: maxPages}
	for {
		page, resp, err := api.ListAppsWithContext(ctx, opts)
		if err = fault(ctx, doing, resp, err); err != nil {
			return nil, err
		}
		if page == nil {
			return nil, upstream.Incomplete(doing, "body")
		}
		all = append(all, page.Apps...)
		opts.Start = next(page.Next)
		if more, err := seen.Next(text(opts.Start)); err != nil {
			return nil, err
		} else if !more {
			return all, nil
		}
	}
}

func (a *apps) wanted(app *codeenginev2.App) bool {
	return a.store.cfg.Restart.All && a.store.refers(app.RunEnvVariables) || slices.Contains(a.store.cfg.Restart.Names, kind+text(app.Name))
}

// refers reports whether one of the entries is in an environment.
func (s *Store) refers(env []codeenginev2.EnvVar) bool {
	return slices.ContainsFunc(env, func(v codeenginev2.EnvVar) bool {
		if text(v.Reference) != s.cfg.Secret {
			return false
		}
		switch text(v.Type) {
		case codeenginev2.EnvVar_Type_SecretFullReference:
			return true
		case codeenginev2.EnvVar_Type_SecretKeyReference:
			return slices.Contains(s.cfg.Form.Names(s.cfg.Entry), text(v.Key))
		}
		return false
	})
}

// missing returns the apps that the config names but the project does not have.
// Their keys are unknown.
func (a *apps) missing(found []protocol.Consumer) (unknown []protocol.Consumer) {
	for _, name := range a.store.cfg.Restart.Names {
		label := a.label(strings.TrimPrefix(name, kind))
		if !slices.ContainsFunc(found, func(c protocol.Consumer) bool { return c.Name == label }) {
			unknown = append(unknown, protocol.Consumer{Name: label, Store: a.store.Name(), Unknown: true})
		}
	}
	return unknown
}

// marker returns the name of the variable that a restart writes on an app. It
// includes the entry: if two credentials in one secret shared a variable, each
// would overwrite the other's and restart the app again and again.
func (a *apps) marker() string {
	return "LATCHKEY_KEY_ID_" + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(a.store.cfg.Secret+"_"+a.store.cfg.Entry))
}

// mark returns the key ID that a restart wrote in an environment, or "".
func (a *apps) mark(env []codeenginev2.EnvVar) string {
	for _, v := range env {
		if text(v.Type) == codeenginev2.EnvVar_Type_Literal && text(v.Name) == a.marker() {
			return text(v.Value)
		}
	}
	return ""
}

// restartTries bounds how often a restart starts over after another writer
// changed the app.
const restartTries = 3

// Restart creates a new revision of the app by writing the key's ID on it, and waits
// until the revision runs. If the app has this ID already, Restart only waits.
func (a *apps) Restart(ctx context.Context, name, keyID string) error {
	doing := fmt.Sprintf("restarting %s in %s", name, a.store.cfg.Region)
	app, ours := strings.CutPrefix(name, a.label(""))
	if !ours {
		return fmt.Errorf("%s: %w: it is no consumer of %s", doing, port.ErrRefused, a.store.Name())
	}
	api, project, err := a.store.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	q, err := a.store.client.enter(ctx, appName{a.store.cfg.Region, project, app}, a.marker(), keyID)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	leave := sync.OnceFunc(func() { q.leave(a.marker()) })
	defer leave()
	var last error
	for range restartTries {
		now, before, err := a.roll(ctx, doing, api, project, app, keyID, q)
		if err == nil {
			leave() // others need not wait for the revision
		}
		if err == nil {
			return a.wait(ctx, doing, api, project, now, before)
		}
		if !errors.Is(err, port.ErrConflict) {
			return err
		}
		last = err
		a.store.client.cfg.Log.Debug("retrying the restart: another writer changed the app", "app", name, "region", a.store.cfg.Region)
	}
	return last
}

// roll makes one attempt. It sends the whole environment, since a patch replaces
// the whole list. It returns the app, and the newest revision before the one that it
// makes, or "" if the app has the key's ID already.
func (a *apps) roll(ctx context.Context, doing string, api *codeenginev2.CodeEngineV2, project, app, keyID string, q *queue) (now *codeenginev2.App, before string, err error) {
	got, err := a.read(ctx, doing, api, project, app)
	if err != nil || a.mark(got.RunEnvVariables) == keyID {
		return got, "", err
	}
	marks := a.beside(ctx, got, keyID)
	maps.Copy(marks, q.marks())
	env := environment(got, marks)
	now, resp, err := api.UpdateAppWithContext(ctx, &codeenginev2.UpdateAppOptions{
		ProjectID: &project, Name: &app, IfMatch: got.EntityTag, App: map[string]any{"run_env_variables": env},
	})
	if now == nil || text(now.Name) == "" {
		now = got
	}
	return now, revisions(got).created, fault(ctx, doing, resp, err, literals(env)...)
}

func (a *apps) read(ctx context.Context, doing string, api *codeenginev2.CodeEngineV2, project, app string) (*codeenginev2.App, error) {
	got, resp, err := api.GetAppWithContext(ctx, &codeenginev2.GetAppOptions{ProjectID: &project, Name: &app})
	if err = fault(ctx, doing, resp, err); err != nil {
		return nil, err
	}
	if got == nil || text(got.EntityTag) == "" {
		return nil, upstream.Incomplete(doing, "entity tag")
	}
	return got, nil
}

// environment returns the app's environment with marks, by their names.
func environment(app *codeenginev2.App, marks map[string]string) []codeenginev2.EnvVar {
	env := slices.DeleteFunc(slices.Clone(app.RunEnvVariables), func(v codeenginev2.EnvVar) bool {
		_, marked := marks[text(v.Name)]
		return marked
	})
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		env = append(env, codeenginev2.EnvVar{
			Type: core.StringPtr(codeenginev2.EnvVar_Type_Literal), Name: core.StringPtr(name), Value: core.StringPtr(marks[name]),
		})
	}
	return env
}

// literals returns the literal values of an environment, which may be passwords.
func literals(env []codeenginev2.EnvVar) (values []secret.Value) {
	for _, v := range env {
		if v.Value != nil {
			values = append(values, secret.New(*v.Value))
		}
	}
	return values
}
