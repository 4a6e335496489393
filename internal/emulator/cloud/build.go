package cloud

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
)

// The bounds of builds are those of the API definition, as IBM's Terraform
// provider repeats them.
var (
	noBlanks  = regexp.MustCompile(`^\S*$`)
	sourceURL = regexp.MustCompile(`^(https://[a-z0-9]([-.]?[a-z0-9])+(:\d{1,5})?|(ssh://)?git@[a-z0-9]([-.]?[a-z0-9])+(:[a-zA-Z0-9/][-\w.]*)?)(/([-\w.]|%20)+)*$`)

	buildRules = rules{
		"build_name":         text(1, 63, jobName),
		"output_image":       text(1, 256, imageName),
		"output_secret":      text(1, 253, resourceName),
		"run_build_params":   listOf(envVariable),
		"service_account":    oneOf("default", "manager", "none", "reader", "writer"),
		"source_context_dir": text(0, 253, nil),
		"source_revision":    text(0, 253, noBlanks),
		"source_secret":      text(1, 253, resourceName),
		"source_type":        oneOf("git", "local"),
		"source_url":         text(1, 253, sourceURL),
		"strategy_size":      oneOf("small", "medium", "large", "xlarge", "xxlarge"),
		"strategy_spec_file": text(1, 253, noBlanks),
		"strategy_type":      oneOf("buildpacks", "dockerfile"),
		"timeout":            between(1, 3600),
	}

	buildDefaults = map[string]any{
		"run_build_params": []any{}, "source_type": "git", "strategy_size": "medium", "timeout": float64(600),
	}
)

// localOnly lists the fields that a build from local sources does not have.
var localOnly = []string{"source_revision", "source_secret", "source_url"}

// checkBuild checks a build, or a build run with the fields of its build. A run
// of a build that does not exist may lack all fields.
func checkBuild(kind Kind, spec map[string]any) error {
	if err := buildRules.check(spec); err != nil {
		return err
	}
	if kind == BuildRuns && spec["build_name"] != nil {
		return nil
	}
	need := []string{"output_image", "output_secret", "strategy_type"}
	if spec["source_type"] == "local" {
		for _, field := range localOnly {
			if spec[field] != nil {
				return ceInvalid("%s is not allowed if source_type is local.", field)
			}
		}
	} else {
		need = append(need, "source_url")
	}
	for _, field := range need {
		if spec[field] == nil {
			return ceInvalid("%s is required.", field)
		}
	}
	return nil
}

// hasBuildSecret reports whether a secret exists that a build names. Code Engine
// creates those for its own registry access when they are needed.
func (p *project) hasBuildSecret(spec map[string]any, field string) bool {
	name, _ := spec[field].(string)
	return name == "" || strings.HasPrefix(name, "ce-auto-icr-") || p.secrets[name] != nil
}

func (p *project) buildStatus(spec map[string]any) (status, reason string) {
	output, source := p.hasBuildSecret(spec, "output_secret"), p.hasBuildSecret(spec, "source_secret")
	switch {
	case !output && !source:
		return "failed", "multiple_secret_ref_not_found"
	case !output:
		return "failed", "spec_output_secret_ref_not_found"
	case !source:
		return "failed", "spec_source_secret_not_found"
	}
	return "ready", "registered"
}

// buildRunOf completes the spec of a build run with the fields of its build.
func (p *project) buildRunOf(spec map[string]any) map[string]any {
	name, _ := spec["build_name"].(string)
	build := p.workloads[workloadKey{Builds, name}]
	if build == nil {
		return spec
	}
	full, _ := cloneJSON(build.Spec).(map[string]any)
	maps.Copy(full, spec)
	return full
}

// buildRunName returns a name of the form that IBM's Terraform provider
// documents for the runs of a build.
func (c *Cloud) buildRunName(spec map[string]any) string {
	build, _ := spec["build_name"].(string)
	if build == "" {
		return "buildrun-" + c.uuid()[:5]
	}
	return strings.TrimRight(build[:min(len(build), 45)], "-") + "-run-" + c.now().UTC().Format("060102-150405")
}

// buildRunStatus returns how a new run ends. Nothing is built.
func (p *project) buildRunStatus(spec map[string]any) (status, reason string) {
	if name, _ := spec["build_name"].(string); name != "" && p.workloads[workloadKey{Builds, name}] == nil {
		return "failed", "build_not_found"
	}
	if status, _ := p.buildStatus(spec); status == "failed" {
		return "failed", "missing_secrets"
	}
	return "succeeded", "succeeded"
}

// keptFor returns how long Code Engine keeps a completed build run.
func keptFor(run *Workload) time.Duration {
	build, _ := run.Spec["build_name"].(string)
	switch {
	case run.Status == "failed" && build == "":
		return 24 * time.Hour
	case run.Status == "failed":
		return 7 * 24 * time.Hour
	case build == "":
		return time.Hour
	}
	return 3 * time.Hour
}

// purgeBuildRuns deletes the runs whose time is over.
func (c *Cloud) purgeBuildRuns(p *project) {
	now := c.now()
	maps.DeleteFunc(p.workloads, func(k workloadKey, x *Workload) bool {
		return k.kind == BuildRuns && !now.Before(x.CreatedAt.Add(keptFor(x)))
	})
}

// checkReferences checks that what a new workload refers to exists.
func (c *Cloud) checkReferences(p *project, kind Kind, spec map[string]any) error {
	switch kind {
	case BuildRuns:
		name, _ := spec["build_name"].(string)
		if status := c.switches.MissingBuildStatus; status != 0 && name != "" && p.workloads[workloadKey{Builds, name}] == nil {
			return serviceError(status, "resource_not_found", fmt.Sprintf("The build %q does not exist.", name))
		}
	case Bindings:
		return c.checkComponent(p, spec, "secret_name", "service_access", "app_v2", "function_v2", "job_v2")
	case DomainMappings:
		return c.checkComponent(p, spec, "tls_secret", "tls", "app_v2", "function_v2")
	}
	return nil
}
