package codeengine

import "context"

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
	err = pages(ctx, "counting the secrets of project "+project, api, in(project, "secrets"), func(p secretPage) {
		used.Secrets += len(p.Secrets)
	})
	if err != nil {
		return used, err
	}
	apps, err := workloads(ctx, "listing the apps of project "+project, api, in(project, "apps"))
	if err != nil {
		return used, err
	}
	for _, app := range apps {
		revisions, err := workloads(ctx, "counting the revisions of app "+app.Name, api, in(project, "apps", app.Name, "revisions"))
		if err != nil {
			return used, err
		}
		used.Revisions += len(revisions)
	}
	return used, nil
}
