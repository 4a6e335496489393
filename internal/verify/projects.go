package verify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// NewProject says where a Code Engine project is made. A region has few: a deleted one
// counts, and keeps its name, for seven days.
type NewProject struct {
	Origin, Host, Region string
	// Groups are the resource groups of the project and of another one with its name. The
	// first may be left out.
	Groups []string
}

const errNoNewProject = impossibleError("no project was made: pass --new-project")

// mostProjects is how many projects a region may show for another one to be made. Twenty
// are documented, with deleted ones, which are not shown.
const mostProjects = 10

// image is a public image, and noImage one that does not exist: nothing is below .invalid.
const (
	image   = "icr.io/codeengine/helloworld"
	noImage = "registry.invalid/latchkey/verify"
)

// newProject makes a project, and tries what its name and its readiness settle.
func (b *bench) newProject(ctx context.Context) error {
	if b.NewProject.Origin == "" {
		return errNoNewProject
	}
	list, err := b.inProjects(ctx, http.MethodGet, "", nil)
	if err != nil {
		return err
	}
	if list.status != http.StatusOK {
		return impossible("listing projects was answered %d", list.status)
	}
	b.removeOld(list, "projects", func(answer) bool { return true }, func(a answer) error { return b.dropProject(ctx, a.text("id")) })
	if shown, _ := list.body["projects"].([]any); len(shown) > mostProjects {
		return impossible("the region has %d projects: with more than %d none is made", len(shown), mostProjects)
	}
	group := ""
	if len(b.NewProject.Groups) > 0 {
		group = b.NewProject.Groups[0]
	}
	made, err := b.makeProject(ctx, group)
	switch {
	case err != nil:
		return err
	case made.status >= 300:
		return impossible("making a project was answered %d", made.status)
	}
	at := "/" + url.PathEscape(made.text("id"))
	early, err := b.inProjects(ctx, http.MethodPost, at+"/secrets", map[string]any{"name": b.name, "format": "generic", "data": map[string]string{"A": "none"}})
	if err != nil {
		return err
	}
	b.settleRefusal("inactiveProjectStatus", "making a secret in a project that is not ready", early.status)
	if err := b.projectNames(ctx, group); err != nil {
		return err
	}
	_, active, err := b.await(ctx, slowly, func() (bool, answer, error) {
		a, err := b.inProjects(ctx, http.MethodGet, at, nil)
		return a.text("status") == "active", a, err
	})
	if err == nil && active {
		b.made = made.text("id")
	}
	return err
}

// projectNames makes a project of the same name in the same resource group, and in
// another one.
func (b *bench) projectNames(ctx context.Context, group string) error {
	if len(b.NewProject.Groups) < 2 {
		b.skip("projectNamesPerRegion", "it needs a second resource group: pass two to --new-project-groups")
		return nil
	}
	same, err := b.makeProject(ctx, group)
	if err != nil {
		return err
	}
	other, err := b.makeProject(ctx, b.NewProject.Groups[1])
	if err != nil {
		return err
	}
	switch {
	case same.status < 300:
		b.skip("projectNamesPerRegion", fmt.Sprintf("a second project of one name was answered %d", same.status))
	case other.status < 300, other.status == same.status:
		b.settle("projectNamesPerRegion", other.status >= 300)
	default:
		b.skip("projectNamesPerRegion", fmt.Sprintf("a project in the second resource group was answered %d", other.status))
	}
	return nil
}

func (b *bench) makeProject(ctx context.Context, group string) (answer, error) {
	body := map[string]any{"name": b.name}
	if group != "" {
		body["resource_group_id"] = group
	}
	return b.making("project "+b.name, func() (answer, error) {
		return b.inProjects(ctx, http.MethodPost, "", body)
	}, func(ctx context.Context, made answer) error {
		if id := made.text("id"); id != "" {
			return b.dropProject(ctx, id)
		}
		list, err := b.inProjects(ctx, http.MethodGet, "", nil)
		if err != nil {
			return err
		}
		return b.removeThese(list, "projects", func(a answer) bool { return a.text("name") == b.name }, func(a answer) error {
			return b.dropProject(ctx, a.text("id"))
		})
	})
}

// dropProject deletes a project. One that is deleted already is deleted, too.
func (b *bench) dropProject(ctx context.Context, id string) error {
	a, err := b.inProjects(ctx, http.MethodDelete, "/"+url.PathEscape(id), nil)
	if err == nil && a.status >= 300 && a.status != http.StatusNotFound {
		return fmt.Errorf("deleting the project %s: status %d", id, a.status)
	}
	return err
}

// inProjects calls Code Engine in the region of new projects.
func (b *bench) inProjects(ctx context.Context, method, path string, body any, header ...string) (answer, error) {
	return b.call(ctx, b.HTTP, method, b.NewProject.Origin+"/v2/projects"+path+version, body, append([]string{"Host", b.NewProject.Host}, header...)...)
}

// inMade calls Code Engine in the project that was made.
func (b *bench) inMade(ctx context.Context, method, path string, body any, header ...string) (answer, error) {
	return b.inProjects(ctx, method, "/"+url.PathEscape(b.made)+path, body, header...)
}

// app makes an app, deletes its only revision, and gives it an image that does not exist.
func (b *bench) app(ctx context.Context) error {
	if b.made == "" {
		return errNoNewProject
	}
	made, err := b.inMade(ctx, http.MethodPost, "/apps", map[string]any{
		"name": b.name, "image_reference": image, "scale_min_instances": 0, "scale_max_instances": 1, "scale_cpu_limit": "0.125", "scale_memory_limit": "250M",
	})
	if err != nil {
		return err
	}
	if made.status >= 300 {
		return impossible("making an app was answered %d", made.status)
	}
	at := "/apps/" + b.name
	revision := ""
	first, ready, err := b.await(ctx, slowly, func() (bool, answer, error) {
		a, err := b.inMade(ctx, http.MethodGet, at, nil)
		revision = a.text("status_details", "latest_ready_revision")
		return revision != "" || a.text("status") == "failed", a, err
	})
	switch {
	case err != nil:
		return err
	case !ready || revision == "":
		return impossible("an app of the image %s is %s, for the reason %s", image, first.text("status"), first.text("status_details", "reason"))
	}
	a, err := b.inMade(ctx, http.MethodDelete, at+"/revisions/"+url.PathEscape(revision), nil)
	if err != nil {
		return err
	}
	b.settle("newestRevisionStatus", a.status)
	return b.failedApp(ctx, at, revision)
}

// failedApp waits until an app has failed to roll out a second revision.
func (b *bench) failedApp(ctx context.Context, at, revision string) error {
	changed, err := b.inMade(ctx, http.MethodPatch, at, map[string]any{"image_reference": noImage}, "If-Match", "*", "Content-Type", "application/merge-patch+json")
	switch {
	case err != nil:
		return err
	case changed.status >= 300:
		b.skip("failedRolloutStatus", fmt.Sprintf("an image that does not exist was answered %d", changed.status))
		return nil
	}
	a, failed, err := b.await(ctx, slowly, func() (bool, answer, error) {
		a, err := b.inMade(ctx, http.MethodGet, at, nil)
		return a.text("status") != "deploying" && a.text("status_details", "latest_created_revision") != revision, a, err
	})
	switch {
	case err != nil:
		return err
	case !failed || a.text("status_details", "latest_ready_revision") != revision:
		b.skip("failedRolloutStatus", fmt.Sprintf("an app whose newest revision has no image is %s, for the reason %s", a.text("status"), a.text("status_details", "reason")))
		return nil
	}
	b.settle("failedRolloutStatus", a.text("status"))
	return nil
}
