package cloud

import (
	"maps"
	"regexp"
	"slices"
)

// workloadsPerProject has the quotas. Bindings have none.
var workloadsPerProject = map[Kind]int{ConfigMaps: 100, Jobs: 100, JobRuns: 100, Functions: 20,
	Builds: 100, BuildRuns: 100, DomainMappings: 80}

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
	Builds: buildDefaults,
}

func init() {
	workloadDefaults[JobRuns] = workloadDefaults[Jobs]
	workloadDefaults[BuildRuns] = maps.Clone(buildDefaults)
	workloadDefaults[BuildRuns]["service_account"] = "default"
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
	case Builds, BuildRuns:
		err = checkBuild(kind, spec)
	case Bindings:
		err = checkBinding(spec)
	case DomainMappings:
		err = checkMapping(spec)
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
}{
	ConfigMaps: {resourceName, 253}, Jobs: {jobName, 63}, JobRuns: {jobName, 53}, Functions: {appName, 63},
	Builds: {jobName, 63}, BuildRuns: {jobName, 63}, Bindings: {jobName, 31}, DomainMappings: {domainName, 253},
}

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
