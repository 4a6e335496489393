package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Restart selects the workloads to restart when the entry changes.
type Restart struct {
	All   bool     // every workload of the namespace that reads the entry only at start
	Names []string // daemonset/NAME, deployment/NAME or statefulset/NAME
}

// Consumers returns the workloads of the Secret's namespace that read the entry
// only at start: from the environment or through a mount with subPath. Other
// mounts follow the Secret by themselves. The result is nil if no restart is
// configured.
func (s *Store) Consumers() port.Consumers {
	if !s.cfg.Restart.All && len(s.cfg.Restart.Names) == 0 {
		return nil
	}
	return &workloads{store: s}
}

type workloads struct{ store *Store }

var _ port.Consumers = (*workloads)(nil)

// label returns a workload's name as a consumer. It contains the namespace,
// because a credential may have stores in several.
func (w *workloads) label(kind, name string) string {
	return kind + "/" + w.store.cfg.Namespace + "/" + name
}

// kinds are the kinds of workloads. Each is the name of its resource without the s.
var kinds = []string{"daemonset", "deployment", "statefulset"}

// objects has the kinds as the objects name them.
var objects = map[string]string{"daemonset": "DaemonSet", "deployment": "Deployment", "statefulset": "StatefulSet"}

// open returns the workloads of a kind in the namespace.
func (w *workloads) open(ctx context.Context, kind string) (resource, error) {
	if !slices.Contains(kinds, kind) {
		return resource{}, fmt.Errorf("%w: %q is not daemonset, deployment or statefulset", port.ErrRefused, kind)
	}
	namespace := w.store.cfg.Namespace
	what := fmt.Sprintf("%ss of apps in namespace %s", kind, namespace)
	return w.store.client.resource(ctx, objects[kind], what, upstream.Path("/apis/apps/v1/namespaces", namespace, kind+"s"))
}

// Consumers lists the workloads with the key that each was started with: the one
// that the last restart wrote, once no older pod is left.
func (w *workloads) Consumers(ctx context.Context) ([]protocol.Consumer, error) {
	var found []protocol.Consumer
	add := func(kind string, got object) {
		c := protocol.Consumer{Name: w.label(kind, got.name()), Store: w.store.Name()}
		switch r := progress(kind, got); {
		case !r.outdated:
			c.Key = w.startedWith(got)
		case r.blocked == "":
			c.Next = w.startedWith(got)
		}
		if !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	for _, name := range w.store.cfg.Restart.Names {
		if err := entry.Check(port.ErrRefused, entry.Name{What: "workload", Text: name, Rule: entry.CheckWorkload}); err != nil {
			return nil, err
		}
		kind, name, _ := strings.Cut(name, "/")
		doing := fmt.Sprintf("reading %s of namespace %s in %s", kind+"/"+name, w.store.cfg.Namespace, w.store.client.cfg.Cluster)
		api, err := w.open(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		got, err := api.get(ctx, doing, name)
		switch {
		case errors.Is(err, port.ErrNotFound): // its key is unknown
			found = append(found, protocol.Consumer{Name: w.label(kind, name), Store: w.store.Name(), Unknown: true})
		case err != nil:
			return nil, err
		default:
			add(kind, got)
		}
	}
	if !w.store.cfg.Restart.All {
		return found, nil
	}
	err := w.every(ctx, func(kind string, got object) {
		if w.refers(got) {
			add(kind, got)
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// every visits the workloads of every kind.
func (w *workloads) every(ctx context.Context, visit func(kind string, got object)) error {
	for _, kind := range kinds {
		all, err := w.all(ctx, kind)
		if err != nil {
			return err
		}
		for _, got := range all {
			visit(kind, got)
		}
	}
	return nil
}

// all returns the workloads of a kind. The looks of a sweep share the list.
func (w *workloads) all(ctx context.Context, kind string) ([]object, error) {
	read := func() (all []object, err error) {
		doing := fmt.Sprintf("listing the %ss of namespace %s in %s", kind, w.store.cfg.Namespace, w.store.client.cfg.Cluster)
		api, err := w.open(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		err = api.each(ctx, doing, nil, func(got object) { all = append(all, got) })
		return all, err
	}
	if all, ok := listing.Of(ctx, w.store.Place(), kind, read); ok {
		return all, nil
	}
	return read()
}

// annotation returns the name of the annotation that a restart writes to the pod
// template.
func (w *workloads) annotation() string {
	return entry.TemplateAnnotation(w.store.cfg.Secret, w.store.cfg.Entry)
}

// startedWith returns the key ID that the last restart wrote.
func (w *workloads) startedWith(got object) string {
	return got.text("spec", "template", "metadata", "annotations", w.annotation())
}

// Restart writes the key's ID to the workload's pod template, which replaces its
// pods, and waits for the rollout. If the template already has the ID, Restart
// only waits. If the annotation was removed too often, the error is
// port.ErrRefused.
func (w *workloads) Restart(ctx context.Context, name, keyID string) error {
	doing := fmt.Sprintf("restarting %s in %s", name, w.store.client.cfg.Cluster)
	kind, rest, _ := strings.Cut(name, "/")
	workload, ours := strings.CutPrefix(rest, w.store.cfg.Namespace+"/")
	if !ours {
		return fmt.Errorf("%s: %w: the workload is no consumer of %s", doing, port.ErrRefused, w.store.Name())
	}
	api, err := w.open(ctx, kind)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	got, err := api.get(ctx, doing, workload)
	if err != nil {
		return err
	}
	if w.startedWith(got) != keyID {
		record, err := w.recorded(got).next(keyID, w.store.client.cfg.Now().UTC())
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		patch, err := w.patch(record)
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		if got, err = api.patch(ctx, doing, workload, patch, nil); err != nil {
			return err
		}
	}
	return w.wait(ctx, doing, kind, api, got)
}

// wait polls until the rollout is complete.
func (w *workloads) wait(ctx context.Context, doing, kind string, api resource, got object) error {
	const shortest, longest = 50 * time.Millisecond, 2 * time.Second
	enough := time.NewTimer(w.store.client.cfg.Patience)
	defer enough.Stop()
	for pause := shortest; ; pause = min(2*pause, longest) {
		r := progress(kind, got)
		switch {
		case r.missing == "":
			return nil
		case r.blocked != "":
			return fmt.Errorf("%s: %w: %s; %s", doing, port.ErrRefused, r.missing, r.blocked)
		}
		next := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			next.Stop()
			return fmt.Errorf("%s: the rollout is not complete (%s): %w: %w", doing, r.missing, port.ErrUnavailable, ctx.Err())
		case <-enough.C:
			next.Stop()
			return fmt.Errorf("%s: the rollout is not complete after %s (%s): %w", doing, w.store.client.cfg.Patience, r.missing, port.ErrUnavailable)
		case <-next.C:
		}
		again, err := api.get(ctx, doing, got.name())
		if err != nil {
			return err
		}
		got = again
	}
}
