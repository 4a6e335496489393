package cloud

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is the kind of a Code Engine resource, as in paths.
type Kind string

// The kinds that one implementation serves. Secrets and apps differ.
const (
	ConfigMaps     Kind = "config_maps"
	Jobs           Kind = "jobs"
	JobRuns        Kind = "job_runs"
	Functions      Kind = "functions"
	Builds         Kind = "builds"
	BuildRuns      Kind = "build_runs"
	Bindings       Kind = "bindings"
	DomainMappings Kind = "domain_mappings"
)

// Workload is a resource of one of the kinds. Spec holds every field that a
// caller may set as JSON values, including fields that the emulator does not
// know.
type Workload struct {
	Kind      Kind           `json:"kind"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	EntityTag string         `json:"entity_tag"`
	ProjectID string         `json:"project_id"`
	Region    string         `json:"region"`
	CreatedAt time.Time      `json:"created_at"`
	Spec      map[string]any `json:"spec"`
	// Status and Reason are those of the SDK's models, or empty.
	Status string `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

type workloadKey struct {
	kind Kind
	name string
}

// viewWorkload returns a copy with the status as it is now.
func (p *project) viewWorkload(x *Workload) Workload {
	out := *x
	out.Spec, _ = cloneJSON(x.Spec).(map[string]any)
	switch x.Kind {
	case Functions, DomainMappings:
		out.Status, out.Reason = "ready", "ready"
	case JobRuns:
		out.Status = "completed"
	case Bindings:
		out.Status = "active"
	case Builds:
		out.Status, out.Reason = p.buildStatus(x.Spec)
	}
	return out
}

// CreateWorkload creates a workload. spec has the fields of the API's body. A run
// takes missing fields, and its name, from its job or build. A binding has an ID
// instead of a name.
func (c *Cloud) CreateWorkload(a Actor, projectID string, kind Kind, name string, spec map[string]any) (Workload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, "Writer")
	if err != nil {
		return Workload{}, err
	}
	sent := spec
	switch kind {
	case JobRuns:
		if spec, err = p.runOf(spec); err != nil {
			return Workload{}, c.ceRefused(err)
		}
		if name == "" {
			job, _ := spec["job_name"].(string)
			name = c.runName(job)
		}
	case BuildRuns:
		spec = p.buildRunOf(spec)
		if name == "" {
			name = c.buildRunName(spec)
		}
	case Bindings:
		name = bindingID(spec)
	}
	if n := nameForms[kind]; len(name) > n.longest || !n.form.MatchString(checked(c, name)) {
		return Workload{}, c.ceRefused(ceInvalid("The name %q is not valid.", name))
	}
	if err := daemonized(spec, sent); err != nil {
		return Workload{}, c.ceRefused(err)
	}
	if err := c.checkWorkload(kind, name, checked(c, spec)); err != nil {
		return Workload{}, err
	}
	if err := c.checkReferences(p, kind, spec); err != nil {
		return Workload{}, err
	}
	if c.taken(p, kind, name) {
		return Workload{}, serviceError(c.switches.ExistingCodeEngineStatus, "resource_already_exists", "A resource of this name exists.")
	}
	if limit := workloadsPerProject[kind]; limit > 0 && p.count(kind) >= limit {
		return Workload{}, c.ceQuota(strings.ReplaceAll(string(kind), "_", " ")+" in this project", limit)
	}
	if kind == Bindings {
		if err := c.bind(p, spec); err != nil {
			return Workload{}, err
		}
	}
	return p.viewWorkload(c.putWorkload(p, kind, name, spec)), nil
}

func (c *Cloud) putWorkload(p *project, kind Kind, name string, spec map[string]any) *Workload {
	x := &Workload{Kind: kind, ID: c.uuid(), Name: name, EntityTag: p.nextTag(), ProjectID: p.ID, Region: p.Region,
		CreatedAt: c.now(), Spec: cleanWorkload(kind, spec)}
	switch kind {
	case BuildRuns:
		x.Status, x.Reason = p.buildRunStatus(x.Spec)
	case Bindings:
		x.ID = name
	}
	if p.workloads == nil {
		p.workloads = map[workloadKey]*Workload{}
	}
	p.workloads[workloadKey{kind, name}] = x
	return x
}

// taken reports whether a name exists: that of a domain mapping in the region,
// any other in the project.
func (c *Cloud) taken(p *project, kind Kind, name string) bool {
	return slices.ContainsFunc(c.projectOrder, func(other *project) bool {
		near := other == p || kind == DomainMappings && !other.deleted && other.Region == p.Region
		return near && other.workloads[workloadKey{kind, name}] != nil
	})
}

// runName returns a name for a run of a job, or for one without a job.
func (c *Cloud) runName(job string) string {
	name := "jobrun-" + c.uuid()[:5]
	if job != "" {
		name = strings.TrimRight(job[:min(len(job), 39)], "-") + "-" + name
	}
	return name
}

// jobOnly lists the fields in which a run must not differ from its job.
var jobOnly = []string{"image_reference", "image_secret", "run_service_account"}

// runOf completes the spec of a job run with the fields of its job.
func (p *project) runOf(spec map[string]any) (map[string]any, error) {
	name, _ := spec["job_name"].(string)
	if name == "" {
		return spec, nil
	}
	job := p.workloads[workloadKey{Jobs, name}]
	if job == nil {
		return nil, ceNotFound("Job")
	}
	for _, field := range jobOnly {
		if v := spec[field]; v != nil && v != job.Spec[field] {
			return nil, ceInvalid("%s must not differ from that of the job.", field)
		}
	}
	full, _ := cloneJSON(job.Spec).(map[string]any)
	maps.Copy(full, spec)
	return full, nil
}

func (p *project) count(kind Kind) int {
	n := 0
	for k := range p.workloads {
		if k.kind == kind {
			n++
		}
	}
	return n
}

func (p *project) sorted(keep func(*Workload) bool) []*Workload {
	var found []*Workload
	for _, x := range p.workloads {
		if keep(x) {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, func(a, b *Workload) int {
		return strings.Compare(string(a.Kind)+"/"+a.Name, string(b.Kind)+"/"+b.Name)
	})
	return found
}

// originFields name the job or build of a run.
var originFields = map[Kind]string{JobRuns: "job_name", BuildRuns: "build_name"}

// ListWorkloads returns one page of the workloads of a kind, sorted by name.
// origin selects the runs of one job or build.
func (c *Cloud) ListWorkloads(a Actor, projectID string, kind Kind, origin string, q ListQuery) (Page[Workload], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, readers(kind)...)
	if err != nil {
		return Page[Workload]{}, err
	}
	found := p.sorted(func(x *Workload) bool {
		return x.Kind == kind && (origin == "" || x.Spec[originFields[kind]] == origin)
	})
	return ceCut(q, found, func(x *Workload) string { return x.Name }, p.viewWorkload)
}

// readers returns the roles that may read a kind. A Viewer may not see the
// content of a config map.
func readers(kind Kind) []string {
	if kind == ConfigMaps {
		return []string{"Reader"}
	}
	return []string{"Reader", "Viewer"}
}

func (c *Cloud) findWorkload(a Actor, projectID string, kind Kind, name string, roles ...string) (*project, *Workload, error) {
	p, err := c.activeProject(a, projectID, roles...)
	if err != nil {
		return nil, nil, err
	}
	x, ok := p.workloads[workloadKey{kind, name}]
	if !ok {
		return nil, nil, ceNotFound("Resource")
	}
	return p, x, nil
}

// GetWorkload returns one workload.
func (c *Cloud) GetWorkload(a Actor, projectID string, kind Kind, name string) (Workload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, x, err := c.findWorkload(a, projectID, kind, name, readers(kind)...)
	if err != nil {
		return Workload{}, err
	}
	return p.viewWorkload(x), nil
}

// UpdateWorkload applies a merge patch if ifMatch is the entity tag or "*". The
// data of a config map is replaced. Runs and bindings have no update.
func (c *Cloud) UpdateWorkload(a Actor, projectID string, kind Kind, name, ifMatch string, patch map[string]any) (Workload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, x, err := c.findWorkload(a, projectID, kind, name, "Writer")
	if err != nil {
		return Workload{}, err
	}
	if err := c.ceIfMatch(ifMatch, x.EntityTag); err != nil {
		return Workload{}, err
	}
	next := patch
	if kind != ConfigMaps {
		next, _ = mergePatch(cloneJSON(x.Spec), patch).(map[string]any)
	}
	if err := daemonized(next, patch); err != nil {
		return Workload{}, c.ceRefused(err)
	}
	if err := c.checkWorkload(kind, name, checked(c, next)); err != nil {
		return Workload{}, err
	}
	if err := c.checkReferences(p, kind, next); err != nil {
		return Workload{}, err
	}
	x.Spec, x.EntityTag = cleanWorkload(kind, next), p.nextTag()
	return p.viewWorkload(x), nil
}

// DeleteWorkload deletes one workload. The runs of a job are deleted with it,
// and so are the bindings and domain mappings of a job or function.
func (c *Cloud) DeleteWorkload(a Actor, projectID string, kind Kind, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, x, err := c.findWorkload(a, projectID, kind, name, "Writer")
	if err != nil {
		return c.deletion(err)
	}
	delete(p.workloads, workloadKey{kind, name})
	p.unbind(x.ResourceType(), name)
	if kind == Jobs {
		maps.DeleteFunc(p.workloads, func(k workloadKey, x *Workload) bool {
			return k.kind == JobRuns && x.Spec["job_name"] == name
		})
	}
	return nil
}

// ResourceType returns the type that Code Engine shows.
func (x Workload) ResourceType() string {
	return fmt.Sprintf("%s_v2", strings.TrimSuffix(string(x.Kind), "s"))
}
