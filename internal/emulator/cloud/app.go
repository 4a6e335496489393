package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// App is a Code Engine application. Spec holds every field that a caller may
// set as JSON values, including fields that the emulator does not know.
type App struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	EntityTag string         `json:"entity_tag"`
	ProjectID string         `json:"project_id"`
	Region    string         `json:"region"`
	CreatedAt time.Time      `json:"created_at"`
	Spec      map[string]any `json:"spec"`
	// Revisions lists the names of all revisions, oldest first.
	Revisions []string `json:"revisions"`
	// Specs has the Spec that each revision was created with.
	Specs map[string]map[string]any `json:"-"`
	// Rollout says which revision serves, and how each one is.
	Rollout Rollout `json:"rollout"`
}

type app struct {
	App
	starts map[string]*start // of the revisions that did not start at once
	next   *Play             // of the next revision, or nil
}

// EnvVar is an entry of run_env_variables.
type EnvVar struct {
	Type      string `json:"type,omitempty"`
	Name      string `json:"name,omitempty"`
	Value     string `json:"value,omitempty"`
	Reference string `json:"reference,omitempty"`
	Key       string `json:"key,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
}

// Env returns the app's environment variables.
func (x App) Env() []EnvVar {
	var env []EnvVar
	b, err := json.Marshal(x.Spec["run_env_variables"])
	if err != nil || json.Unmarshal(b, &env) != nil {
		return nil
	}
	return env
}

// Revision returns the name of the newest revision.
func (x App) Revision() string {
	if len(x.Revisions) == 0 {
		return ""
	}
	return x.Revisions[len(x.Revisions)-1]
}

var appName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// answered lists the fields that Code Engine sets itself. A caller's values are
// ignored.
var answered = []string{"id", "name", "entity_tag", "project_id", "region", "created_at", "href", "resource_type",
	"status", "status_details", "endpoint", "endpoint_internal", "computed_env_variables", "build", "build_run"}

func clean(spec map[string]any) map[string]any {
	out := cloneJSON(spec).(map[string]any)
	for _, k := range answered {
		delete(out, k)
	}
	for k, v := range map[string]any{
		"image_port": float64(8080), "managed_domain_mappings": "local_public",
		"run_arguments": []any{}, "run_commands": []any{}, "run_env_variables": []any{}, "run_volume_mounts": []any{},
		"run_service_account": "default", "scale_concurrency": float64(100), "scale_cpu_limit": "1",
		"scale_ephemeral_storage_limit": "400M", "scale_initial_instances": float64(1), "scale_max_instances": float64(10),
		"scale_memory_limit": "4G", "scale_min_instances": float64(0), "scale_request_timeout": float64(300),
	} {
		if out[k] == nil {
			out[k] = v
		}
	}
	return out
}

func cloneJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = cloneJSON(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = cloneJSON(x)
		}
		return out
	}
	return v
}

// asJSON returns a value as encoding/json would read it.
func asJSON(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("emulated cloud: %v is not JSON: %v", v, err))
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		panic("emulated cloud: " + err.Error())
	}
	return out
}

// mergePatch implements RFC 7396: null removes a member, objects merge, and
// everything else, lists included, replaces.
func mergePatch(to, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return cloneJSON(patch)
	}
	out, ok := to.(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = mergePatch(out[k], v)
		}
	}
	return out
}

// viewApp returns a copy of an app with its roll-out as it is now.
func (c *Cloud) viewApp(x *app) App {
	out := x.App
	out.Spec = cloneJSON(x.Spec).(map[string]any)
	out.Revisions, out.Specs = slices.Clone(x.Revisions), maps.Clone(x.Specs)
	out.Rollout = c.rollout(x)
	return out
}

// CreateApp creates an application with its first revision. spec has the fields
// of the API's body.
func (c *Cloud) CreateApp(a Actor, projectID, name string, spec map[string]any) (App, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, "Writer")
	if err != nil {
		return App{}, err
	}
	if len(name) > 63 || !appName.MatchString(name) {
		return App{}, c.ceRefused(ceInvalid("The app name %q is not valid.", name))
	}
	if err := checkApp(spec); err != nil {
		return App{}, c.ceRefused(err)
	}
	if p.apps[name] != nil {
		return App{}, serviceError(c.switches.ExistingCodeEngineStatus, "resource_already_exists", "An app of this name exists.")
	}
	if len(p.apps) >= appsPerProject {
		return App{}, c.ceQuota("apps in this project", appsPerProject)
	}
	if p.revisions() >= revisionsPerProject {
		return App{}, c.ceQuota("revisions in this project", revisionsPerProject)
	}
	return c.viewApp(c.putApp(p, name, spec)), nil
}

func (p *project) revisions() int {
	n := 0
	for _, x := range p.apps {
		n += len(x.Revisions)
	}
	return n
}

func (c *Cloud) putApp(p *project, name string, spec map[string]any) *app {
	x := &app{App: App{ID: c.uuid(), Name: name, EntityTag: p.nextTag(), ProjectID: p.ID, Region: p.Region,
		CreatedAt: c.now(), Spec: clean(spec)}}
	p.apps[name] = x
	c.addRevision(x)
	return x
}

// ListApps returns one page of a project's apps, sorted by name.
func (c *Cloud) ListApps(a Actor, projectID string, q ListQuery) (Page[App], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, "Reader", "Viewer")
	if err != nil {
		return Page[App]{}, err
	}
	var found []*app
	for _, x := range p.apps {
		found = append(found, x)
	}
	slices.SortFunc(found, func(a, b *app) int { return strings.Compare(a.Name, b.Name) })
	return ceCut(q, found, func(x *app) string { return x.Name }, c.viewApp)
}

func (c *Cloud) findApp(a Actor, projectID, name string, roles ...string) (*project, *app, error) {
	p, err := c.activeProject(a, projectID, roles...)
	if err != nil {
		return nil, nil, err
	}
	x, ok := p.apps[name]
	if !ok {
		return nil, nil, ceNotFound("Resource")
	}
	return p, x, nil
}

// GetApp returns one app.
func (c *Cloud) GetApp(a Actor, projectID, name string) (App, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, x, err := c.findApp(a, projectID, name, "Reader", "Viewer")
	if err != nil {
		return App{}, err
	}
	return c.viewApp(x), nil
}

// ListRevisions returns one page of an app's revisions, oldest first, with the
// app.
func (c *Cloud) ListRevisions(a Actor, projectID, name string, q ListQuery) (App, Page[string], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, x, err := c.findApp(a, projectID, name, "Reader", "Viewer")
	if err != nil {
		return App{}, Page[string]{}, err
	}
	same := func(s string) string { return s }
	page, err := ceCut(q, x.Revisions, same, same)
	return c.viewApp(x), page, err
}

// DeleteRevision deletes a revision of an app, but not the newest one.
func (c *Cloud) DeleteRevision(a Actor, projectID, name, revision string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, x, err := c.findApp(a, projectID, name, "Writer")
	if err != nil {
		return c.deletion(err)
	}
	i := slices.Index(x.Revisions, revision)
	switch {
	case i < 0:
		return ceNotFound("Resource")
	case revision == x.Revision():
		return serviceError(c.switches.NewestRevisionStatus, "resource_conflict", "The newest revision of an app cannot be deleted.")
	}
	x.Revisions = slices.Delete(x.Revisions, i, i+1)
	delete(x.starts, revision)
	delete(x.Specs, revision)
	return nil
}

// UpdateApp applies a merge patch if ifMatch is the app's entity tag or "*". It
// creates a revision.
func (c *Cloud) UpdateApp(a Actor, projectID, name, ifMatch string, patch map[string]any) (App, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, x, err := c.findApp(a, projectID, name, "Writer")
	if err != nil {
		return App{}, err
	}
	if err := c.ceIfMatch(ifMatch, x.EntityTag); err != nil {
		return App{}, err
	}
	merged, _ := mergePatch(cloneJSON(x.Spec), patch).(map[string]any)
	if err := checkApp(merged); err != nil {
		return App{}, c.ceRefused(err)
	}
	if p.revisions() >= revisionsPerProject {
		return App{}, c.ceQuota("revisions in this project", revisionsPerProject)
	}
	x.Spec, x.EntityTag = clean(merged), p.nextTag()
	c.addRevision(x)
	return c.viewApp(x), nil
}

// DeleteApp deletes an app with its bindings and domain mappings.
func (c *Cloud) DeleteApp(a Actor, projectID, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, _, err := c.findApp(a, projectID, name, "Writer")
	if err != nil {
		return c.deletion(err)
	}
	delete(p.apps, name)
	p.unbind("app_v2", name)
	return nil
}
