package verify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// version asks for the version of the Code Engine API that latchkey uses.
const version = "?version=2025-07-10"

const errNoProject = impossibleError("no project was given: pass --project")

func (b *bench) codeEngine(ctx context.Context) error {
	if b.Project.ID == "" {
		return errNoProject
	}
	b.removeFromProject(ctx)
	at := b.inProject("secrets")
	create := func(name string) (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, at+version, map[string]any{"name": name, "format": "generic", "data": map[string]string{"A": "none"}})
	}
	made, err := b.making("secret "+b.name, func() (answer, error) {
		return create(b.name)
	}, func(ctx context.Context, _ answer) error { return b.remove(ctx, at+"/"+b.name+version) })
	if err != nil {
		return err
	}
	if made.status >= 300 {
		return impossible("making a secret was answered %d", made.status)
	}
	a, err := create(b.name)
	if err != nil {
		return err
	}
	b.settle("existingCodeEngineStatus", a.status)
	if _, err := b.beyond(ctx, "reading a secret of the project", http.MethodGet, at+"/"+b.name+version, nil); err != nil {
		return err
	}
	if a, err = create("Not_A_Name"); err != nil {
		return err
	}
	b.settle("invalidCodeEngineStatus", a.status)
	put := func(tag, value string) (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPut, at+"/"+b.name+version, map[string]any{"format": "generic", "data": map[string]string{"A": value}}, "If-Match", tag)
	}
	if _, err := put(made.thing().ETag, "one"); err != nil {
		return err
	}
	if a, err = put(made.thing().ETag, "two"); err != nil {
		return err
	}
	b.settle("staleCodeEngineStatus", a.status)
	if a, err = put("testString", "three"); err != nil { // which IBM's generated suite sends
		return err
	}
	b.settle("suitePlaceholders", a.status < 300)
	return nil
}

// workloads tries what nothing but IBM Cloud can say of jobs, functions and build runs.
// All but the last are refused by the documents. What is accepted is deleted.
func (b *bench) workloads(ctx context.Context) error {
	if b.Project.ID == "" {
		return errNoProject
	}
	post := func(kind string, body map[string]any) (answer, error) {
		body["name"] = b.name
		return b.making(kind+" "+b.name, func() (answer, error) {
			return b.call(ctx, b.HTTP, http.MethodPost, b.inProject(kind)+version, body)
		}, func(ctx context.Context, _ answer) error { return b.remove(ctx, b.inProject(kind)+"/"+b.name+version) })
	}
	argument := strings.Repeat("a", 1000)
	a, err := post("jobs", map[string]any{"image_reference": image, "run_arguments": slices.Repeat([]string{argument}, 11)})
	if err != nil {
		return err
	}
	b.settleRefusal("oversizedJobStatus", "making a job", a.status)
	if a, err = post("functions", map[string]any{
		"runtime": "nodejs-24", "code_reference": "data:text/javascript;base64,ZnVuY3Rpb24gbWFpbigpIHt9", "scale_cpu_limit": "1", "scale_memory_limit": "1G",
	}); err != nil {
		return err
	}
	switch {
	case a.status < 300, a.status == http.StatusBadRequest, a.status == http.StatusUnprocessableEntity:
		b.settle("anyFunctionMemory", a.status < 300)
	default:
		b.skip("anyFunctionMemory", fmt.Sprintf("making a function was answered %d", a.status))
	}
	if a, err = post("build_runs", map[string]any{"build_name": b.name}); err != nil {
		return err
	}
	if a.status < 300 {
		a.status = 0 // as the switch has it
	}
	b.settleRefusal("missingBuildStatus", "making a build run", a.status)
	if a, err = b.call(ctx, b.HTTP, http.MethodGet, b.inProject("status_details")+version, nil); err != nil {
		return err
	}
	if a.status != http.StatusOK {
		b.skip("vpeNotEnabled", fmt.Sprintf("the project's status was answered %d", a.status))
		return nil
	}
	b.settle("vpeNotEnabled", a.body["vpe_not_enabled"] == true)
	return b.versionless(ctx)
}

// versionless compares a job, which is never run, in an old version of the API, in the
// version that latchkey uses, and without one.
func (b *bench) versionless(ctx context.Context) error {
	name := b.name + "-job"
	at := b.inProject("jobs")
	made, err := b.making("job "+name, func() (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, at+version, map[string]any{"name": name, "image_reference": image})
	}, func(ctx context.Context, _ answer) error { return b.remove(ctx, at+"/"+name+version) })
	if err != nil {
		return err
	}
	if made.status >= 300 {
		return impossible("making a job was answered %d", made.status)
	}
	shows := func(query string) (own bool, err error) {
		a, err := b.call(ctx, b.HTTP, http.MethodGet, at+"/"+name+query, nil)
		variables, _ := a.body["run_env_variables"].([]any)
		return slices.ContainsFunc(variables, func(v any) bool { return strings.HasPrefix(answer{body: asMap(v)}.text("name"), "CE_") }), err
	}
	old, err := shows("?version=2024-01-01")
	if err != nil {
		return err
	}
	present, err := shows(version)
	if err != nil {
		return err
	}
	none, err := shows("")
	if err != nil {
		return err
	}
	if !old || present {
		return impossible("jobs show the variables of Code Engine in no other way before 2024-05-13")
	}
	b.settle("versionlessIsOldest", none)
	return nil
}

// inProject returns the address of a kind of things in the project.
func (b *bench) inProject(kind string) string {
	return b.Project.Origin + "/v2/projects/" + url.PathEscape(b.Project.ID) + "/" + kind
}

// removeFromProject deletes what a verification left in the project that was killed.
func (b *bench) removeFromProject(ctx context.Context) {
	for _, kind := range []string{"secrets", "jobs", "functions", "build_runs"} {
		list, err := b.call(ctx, b.HTTP, http.MethodGet, b.inProject(kind)+version+"&limit=100", nil)
		if err != nil {
			return
		}
		b.removeOld(list, kind, func(answer) bool { return true }, func(a answer) error {
			return b.remove(ctx, b.inProject(kind)+"/"+url.PathEscape(a.text("name"))+version)
		})
	}
}
