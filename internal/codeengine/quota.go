package codeengine

import (
	"context"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Limits of a project, from IBM's documents.
const (
	// MaxSecrets is the largest number of secrets.
	MaxSecrets = 100
	// MaxRevisions is the largest number of app revisions.
	MaxRevisions = 120
)

// Used has the numbers of secrets and app revisions of a project.
type Used struct{ Secrets, Revisions int }

// Used counts the secrets and app revisions of the store's project. The list of
// secrets includes their data, which is dropped at once.
func (s *Store) Used(ctx context.Context) (Used, error) {
	var used Used
	api, project, err := s.open(ctx)
	if err != nil {
		return used, err
	}
	secrets := &codeenginev2.ListSecretsOptions{ProjectID: &project, Limit: core.Int64Ptr(100)}
	err = pages(func() (*codeenginev2.ListNextMetadata, error) {
		page, resp, err := api.ListSecretsWithContext(ctx, secrets)
		if err != nil {
			return nil, fault(ctx, "counting the secrets of project "+project, resp, err)
		}
		used.Secrets += len(page.Secrets)
		if page.Next != nil {
			secrets.Start = page.Next.Start
		}
		return page.Next, nil
	})
	if err != nil {
		return used, err
	}
	var apps []string
	list := &codeenginev2.ListAppsOptions{ProjectID: &project, Limit: core.Int64Ptr(100)}
	err = pages(func() (*codeenginev2.ListNextMetadata, error) {
		page, resp, err := api.ListAppsWithContext(ctx, list)
		if err != nil {
			return nil, fault(ctx, "listing the apps of project "+project, resp, err)
		}
		for i := range page.Apps {
			apps = append(apps, core.StringNilMapper(page.Apps[i].Name))
		}
		if page.Next != nil {
			list.Start = page.Next.Start
		}
		return page.Next, nil
	})
	for i := range apps {
		if err != nil {
			break
		}
		revisions := &codeenginev2.ListAppRevisionsOptions{ProjectID: &project, AppName: &apps[i], Limit: core.Int64Ptr(100)}
		err = pages(func() (*codeenginev2.ListNextMetadata, error) {
			page, resp, err := api.ListAppRevisionsWithContext(ctx, revisions)
			if err != nil {
				return nil, fault(ctx, "counting the revisions of app "+apps[i], resp, err)
			}
			used.Revisions += len(page.Revisions)
			if page.Next != nil {
				revisions.Start = page.Next.Start
			}
			return page.Next, nil
		})
	}
	return used, err
}

// pages calls read until it returns no next page.
func pages(read func() (*codeenginev2.ListNextMetadata, error)) error {
	seen := upstream.Pages{Doing: "reading pages", Most: maxPages}
	for {
		after, err := read()
		if err != nil {
			return err
		}
		if more, err := seen.Next(text(next(after))); !more {
			return err
		}
	}
}
