package cloud

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind is the kind of a Code Engine resource, as in paths.
type Kind string

// The kinds that one implementation serves. Secrets and apps differ.
const (
	ConfigMaps Kind = "config_maps"
	Jobs       Kind = "jobs"
	JobRuns    Kind = "job_runs"
	Functions  Kind = "functions"
)

// Workload is a config map, job, job run or function. Spec holds every field
// that a caller may set as JSON values, including fields that the emulator does
// not know.
type Workload struct {
	Kind      Kind           `json:"kind"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	EntityTag string         `json:"entity_tag"`
	ProjectID string         `json:"project_id"`
	Region    string         `json:"region"`
	CreatedAt time.Time      `json:"created_at"`
	Spec      map[string]any `json:"spec"`
}

type workloadKey struct {
	kind Kind
	name string
}

var workloadsPerProject = map[Kind]int{ConfigMaps: 100, Jobs: 100, JobRuns: 100, Functions: 20}

// workloadDefaults has the values that Code Engine fills in.
var workloadDefaults = map[Kind]map[string]any{
	ConfigMaps: {"data": map[string]any{}},
	Jobs: {
		"run_arguments": []any{}, "run_commands": []any{}, "run_env_variables": []any{}, "run_volume_mounts": []any{},
		"run_mode": "task", "run_service_account": "default", "scale_array_spec": "0", "scale_cpu_limit": "1",
		"scale_ephemeral_storage_limit": "400M", "scale_max_execution_time": float64(7200), "scale_memory_limit": "4G",
		"scale_retry_limit": float64(3),
	},
	Functions: {
		"code_binary": false, "code_main": "main", "managed_domain_mappings": "local_public", "run_env_variables": []any{},
		"scale_concurrency": float64(1), "scale_cpu_limit": "1", "scale_down_delay": float64(1),
		"scale_max_execution_time": float64(60), "scale_memory_limit": "4G",
	},
}

func init() { workloadDefaults[JobRuns] = workloadDefaults[Jobs] }

func (x *Workload) copy() Workload {
	out := *x
	out.Spec, _ = cloneJSON(x.Spec).(map[string]any)
	return out
}

func (c *Cloud) checkWorkload(kind Kind, name string, spec map[string]any) error {
	var err error
	switch kind {
	case ConfigMaps:
		err = checkConfigMap(spec)
	case Functions:
		err = c.checkFunction(spec)
	case Jobs, JobRuns:
		err = checkJob(spec)
	}
	if err != nil {
		return c.ceRefused(err)
	}
	return c.checkSize(kind, name, spec)
}

func checkConfigMap(spec map[string]any) error {
	data, ok := spec["data"].(map[string]any)
	if !ok && spec["data"] != nil {
		return ceInvalid("data must be an object.")
	}
	for k, v := range data {
		if s, ok := v.(string); !ok || !dataKey.MatchString(k) || len(s) > longestValue {
			return ceInvalid("The data %q is not valid.", k)
		}
	}
	return nil
}

// nameForms has the form and the longest name of each kind.
var nameForms = map[Kind]struct {
	form    *regexp.Regexp
	longest int
}{ConfigMaps: {resourceName, 253}, Jobs: {jobName, 63}, JobRuns: {jobName, 53}, Functions: {appName, 63}}

func cleanWorkload(kind Kind, spec map[string]any) map[string]any {
	out, _ := cloneJSON(spec).(map[string]any)
	if out == nil {
		out = map[string]any{}
	}
	for _, k := range answered {
		delete(out, k)
	}
	for k, v := range workloadDefaults[kind] {
		if out[k] == nil && (out["run_mode"] != "daemon" || !slices.Contains(taskOnly, k)) {
			out[k] = cloneJSON(v)
		}
	}
	if code, _ := out["code_reference"].(string); kind == Functions && !isInline(code) {
		out["code_binary"] = true
	}
	return out
}

// CreateWorkload creates a workload. spec has the fields of the API's body. A
// job run takes missing fields, and its name, from its job.
func (c *Cloud) CreateWorkload(a Actor, projectID string, kind Kind, name string, spec map[string]any) (Workload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, "Writer")
	if err != nil {
		return Workload{}, err
	}
	sent := spec
	if kind == JobRuns {
		if spec, err = p.runOf(spec); err != nil {
			return Workload{}, c.ceRefused(err)
		}
		if name == "" {
			job, _ := spec["job_name"].(string)
			name = c.runName(job)
		}
	}
	if n := nameForms[kind]; len(name) > n.longest || !n.form.MatchString(name) {
		return Workload{}, c.ceRefused(ceInvalid("The name %q is not valid.", name))
	}
	if err := daemonized(spec, sent); err != nil {
		return Workload{}, c.ceRefused(err)
	}
	if err := c.checkWorkload(kind, name, spec); err != nil {
		return Workload{}, err
	}
	if p.workloads[workloadKey{kind, name}] != nil {
		return Workload{}, serviceError(c.switches.ExistingCodeEngineStatus, "resource_already_exists", "A resource of this name exists.")
	}
	if limit := workloadsPerProject[kind]; p.count(kind) >= limit {
		return Workload{}, c.ceQuota(strings.ReplaceAll(string(kind), "_", " ")+" in this project", limit)
	}
	x := &Workload{Kind: kind, ID: c.uuid(), Name: name, EntityTag: p.nextTag(), ProjectID: p.ID, Region: p.Region,
		CreatedAt: c.now(), Spec: cleanWorkload(kind, spec)}
	if p.workloads == nil {
		p.workloads = map[workloadKey]*Workload{}
	}
	p.workloads[workloadKey{kind, name}] = x
	return x.copy(), nil
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

// ListWorkloads returns one page of the workloads of a kind, sorted by name.
// job selects the runs of one job.
func (c *Cloud) ListWorkloads(a Actor, projectID string, kind Kind, job string, q ListQuery) (Page[Workload], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.activeProject(a, projectID, readers(kind)...)
	if err != nil {
		return Page[Workload]{}, err
	}
	found := p.sorted(func(x *Workload) bool { return x.Kind == kind && (job == "" || x.Spec["job_name"] == job) })
	return ceCut(q, found, func(x *Workload) string { return x.Name }, (*Workload).copy)
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
	_, x, err := c.findWorkload(a, projectID, kind, name, readers(kind)...)
	if err != nil {
		return Workload{}, err
	}
	return x.copy(), nil
}

// UpdateWorkload applies a merge patch if ifMatch is the entity tag or "*". The
// data of a config map is replaced. Job runs have no update.
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
	if err := c.checkWorkload(kind, name, next); err != nil {
		return Workload{}, err
	}
	x.Spec, x.EntityTag = cleanWorkload(kind, next), p.nextTag()
	return x.copy(), nil
}

// DeleteWorkload deletes one workload. The runs of a job are deleted with it.
func (c *Cloud) DeleteWorkload(a Actor, projectID string, kind Kind, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, _, err := c.findWorkload(a, projectID, kind, name, "Writer")
	if err != nil {
		return err
	}
	delete(p.workloads, workloadKey{kind, name})
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
