package codeengine

import (
	"context"
	"fmt"
	"slices"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var _ port.Site = (*Store)(nil)

// Readers lists the apps and jobs of the project that read the entry. IBM's SDK lists no
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
	apps, err := appsOf(ctx, doing, api, project)
	if err != nil {
		return r, err
	}
	for i := range apps {
		if a := &apps[i]; s.read(a.RunEnvVariables, a.RunVolumeMounts, a.ImageSecret) {
			r.Names = append(r.Names, kind+s.cfg.Project+"/"+text(a.Name))
		}
	}
	jobs, err := jobsOf(ctx, doing, api, project)
	if err != nil {
		return r, err
	}
	for i := range jobs {
		if j := &jobs[i]; s.read(j.RunEnvVariables, j.RunVolumeMounts, j.ImageSecret) {
			r.Names = append(r.Names, "job/"+s.cfg.Project+"/"+text(j.Name))
		}
	}
	return r, nil
}

// read reports whether an app or a job reads the entry: from its environment, as a file,
// or to pull its image.
func (s *Store) read(env []codeenginev2.EnvVar, mounts []codeenginev2.VolumeMount, imageSecret *string) bool {
	return s.refers(env) || text(imageSecret) == s.cfg.Secret || slices.ContainsFunc(mounts, func(m codeenginev2.VolumeMount) bool {
		return text(m.Type) == codeenginev2.VolumeMount_Type_Secret && text(m.Reference) == s.cfg.Secret
	})
}

// jobsOf returns the jobs of a project.
func jobsOf(ctx context.Context, doing string, api *codeenginev2.CodeEngineV2, project string) (all []codeenginev2.Job, err error) {
	opts := &codeenginev2.ListJobsOptions{ProjectID: &project, Limit: core.Int64Ptr(pageSize)}
	seen := upstream.Pages{Doing: doing, Most: maxPages}
	for {
		page, resp, err := api.ListJobsWithContext(ctx, opts)
		if err = fault(ctx, doing, resp, err); err != nil {
			return nil, err
		}
		if page == nil {
			return nil, upstream.Incomplete(doing, "body")
		}
		all = append(all, page.Jobs...)
		opts.Start = next(page.Next)
		if more, err := seen.Next(text(opts.Start)); err != nil {
			return nil, err
		} else if !more {
			return all, nil
		}
	}
}
