package codeengine

import (
	"context"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/port"
)

var _ port.Site = (*Store)(nil)

// Readers lists the apps and jobs of the project that read the entry. It lists no
// functions. The project is in our account, since Code Engine shows no others.
func (s *Store) Readers(ctx context.Context) (keyless.Readers, error) {
	r := keyless.Readers{Platform: keyless.CodeEngine, PullsImages: s.cfg.Registry != nil}
	if s.client.cfg.Account != nil {
		account, err := s.client.cfg.Account(ctx)
		if err != nil {
			return r, err
		}
		r.Account = account
	}
	doing := fmt.Sprintf("listing the apps and jobs of project %s in %s", s.cfg.Project, s.cfg.Region)
	api, project, err := s.open(ctx)
	if err != nil {
		return r, fmt.Errorf("%s: %w", doing, err)
	}
	for _, of := range []struct{ list, kind string }{{"apps", kind}, {"jobs", "job/"}} {
		all, err := workloads(ctx, doing, api, in(project, of.list))
		if err != nil {
			return r, err
		}
		for i := range all {
			if w := &all[i]; s.read(w) {
				r.Names = append(r.Names, of.kind+s.cfg.Project+"/"+w.Name)
			}
		}
	}
	return r, nil
}

// read reports whether an app or a job reads the entry: from its environment, as a file,
// or to pull its image.
func (s *Store) read(w *workload) bool {
	return s.refers(w.Env) || w.ImageSecret == s.cfg.Secret || slices.ContainsFunc(w.Mounts, func(m mount) bool {
		return m.Type == "secret" && m.Reference == s.cfg.Secret
	})
}
