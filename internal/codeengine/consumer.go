package codeengine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

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
	all, ok := listing.Of(ctx, a.store.Place(), "apps", func() ([]workload, error) {
		return workloads(ctx, doing, api, in(project, "apps"))
	})
	if !ok {
		if all, err = workloads(ctx, doing, api, in(project, "apps")); err != nil {
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
			found = append(found, protocol.Consumer{Name: a.label(app.Name), Store: a.store.Name(), Key: key, Next: a.starting(app, key)})
		}
	}
	return append(found, a.missing(found)...), nil
}

// workload is an app, a revision of an app or a job in the API's form. Each has some of
// these members.
type workload struct {
	Name        string   `json:"name"`
	EntityTag   string   `json:"entity_tag"`
	Status      string   `json:"status"`
	Env         []envVar `json:"run_env_variables"`
	Mounts      []mount  `json:"run_volume_mounts"`
	ImageSecret string   `json:"image_secret"`
	Details     struct {
		Created string `json:"latest_created_revision"`
		Ready   string `json:"latest_ready_revision"`
		Reason  string `json:"reason"`
	} `json:"status_details"`
}

// envVar is a variable of an environment. A restart sends it back as it was read, so it
// has all members, and an absent one differs from an empty one.
type envVar struct {
	Type      *string `json:"type"`
	Name      *string `json:"name,omitempty"`
	Value     *string `json:"value,omitempty"`
	Reference *string `json:"reference,omitempty"`
	Key       *string `json:"key,omitempty"`
	Prefix    *string `json:"prefix,omitempty"`
}

// literal is the type of a variable that has its value in itself.
const literal = "literal"

// mount is a secret or a config map as files.
type mount struct {
	Type      string `json:"type"`
	Reference string `json:"reference"`
}

// workloadPage is a page of one of these lists.
type workloadPage struct {
	page
	Apps      []workload `json:"apps"`
	Revisions []workload `json:"revisions"`
	Jobs      []workload `json:"jobs"`
}

// workloads returns the apps, revisions or jobs of the list at a path.
func workloads(ctx context.Context, doing string, api upstream.Service, path []string) ([]workload, error) {
	var all []workload
	err := pages(ctx, doing, api, path, func(p workloadPage) {
		all = slices.Concat(all, p.Apps, p.Revisions, p.Jobs)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// text returns the text of a member, or "" if it is absent.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (a *apps) wanted(app *workload) bool {
	return a.store.cfg.Restart.All && a.store.refers(app.Env) || slices.Contains(a.store.cfg.Restart.Names, kind+app.Name)
}

// refers reports whether one of the entries is in an environment.
func (s *Store) refers(env []envVar) bool {
	return slices.ContainsFunc(env, func(v envVar) bool {
		if text(v.Reference) != s.cfg.Secret {
			return false
		}
		switch text(v.Type) {
		case "secret_full_reference":
			return true
		case "secret_key_reference":
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
func (a *apps) mark(env []envVar) string {
	for _, v := range env {
		if text(v.Type) == literal && text(v.Name) == a.marker() {
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
func (a *apps) roll(ctx context.Context, doing string, api upstream.Service, project, app, keyID string, q *queue) (now *workload, before string, err error) {
	got, err := a.read(ctx, doing, api, project, app)
	if err != nil || a.mark(got.Env) == keyID {
		return got, "", err
	}
	marks := a.beside(ctx, got, keyID)
	maps.Copy(marks, q.marks())
	env := environment(got, marks)
	now, reply, err := upstream.Send[workload](ctx, api, upstream.Request{
		Method: http.MethodPatch, Path: in(project, "apps", app), Body: map[string]any{"run_env_variables": env},
		Header: map[string]string{"If-Match": got.EntityTag, "Content-Type": "application/merge-patch+json"},
	})
	if now == nil || now.Name == "" {
		now = got
	}
	return now, revisions(got).created, fault(ctx, doing, reply, err, literals(env)...)
}

func (a *apps) read(ctx context.Context, doing string, api upstream.Service, project, app string) (*workload, error) {
	got, reply, err := upstream.Send[workload](ctx, api, upstream.Request{Method: http.MethodGet, Path: in(project, "apps", app)})
	if err = fault(ctx, doing, reply, err); err != nil {
		return nil, err
	}
	if got == nil || got.EntityTag == "" {
		return nil, upstream.Incomplete(doing, "entity tag")
	}
	return got, nil
}

// environment returns the app's environment with marks, by their names.
func environment(app *workload, marks map[string]string) []envVar {
	env := slices.DeleteFunc(slices.Clone(app.Env), func(v envVar) bool {
		_, marked := marks[text(v.Name)]
		return marked
	})
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		env = append(env, envVar{Type: new(literal), Name: &name, Value: new(marks[name])})
	}
	return env
}

// literals returns the literal values of an environment, which may be passwords.
func literals(env []envVar) (values []secret.Value) {
	for _, v := range env {
		if v.Value != nil {
			values = append(values, secret.New(*v.Value))
		}
	}
	return values
}
