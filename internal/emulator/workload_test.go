package emulator_test

import (
	"fmt"
	"testing"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
)

func TestConfigMapLife(t *testing.T) {
	w := newWorld(t)
	p := w.teamA()
	create := func(name string, data map[string]string) error {
		return problem(w.ce.CreateConfigMap(w.ce.NewCreateConfigMapOptions(p, name).SetData(data)))
	}
	if err := create("settings", map[string]string{"A": "1"}); err != nil {
		t.Fatal(err)
	}
	refused(t, create("settings", nil), 409, "resource_already_exists")
	refused(t, create("Settings", nil), 400, "bad_request")
	refused(t, create("other", map[string]string{"a b": "1"}), 400, "bad_request")
	made := done(w.ce.GetConfigMap(w.ce.NewGetConfigMapOptions(p, "settings")))(t)
	if made.Data["A"] != "1" || *made.ResourceType != "config_map_v2" {
		t.Errorf("made %+v", made)
	}
	replace := func(tag string) error {
		return problem(w.ce.ReplaceConfigMap(w.ce.NewReplaceConfigMapOptions(p, "settings", tag).SetData(map[string]string{"B": "2"})))
	}
	if err := replace(*made.EntityTag); err != nil {
		t.Fatal(err)
	}
	refused(t, replace(*made.EntityTag), 412, "resource_conflict")
	if got := done(w.ce.GetConfigMap(w.ce.NewGetConfigMapOptions(p, "settings")))(t); len(got.Data) != 1 || got.Data["B"] != "2" {
		t.Errorf("replaced by %v", got.Data)
	}
	refused(t, problem(w.stranger().ce.GetConfigMap(w.ce.NewGetConfigMapOptions(p, "settings"))), 403, "forbidden")
	refused(t, problem(w.as("").ce.GetConfigMap(w.ce.NewGetConfigMapOptions(p, "settings"))), 401, "unauthorized")
	if r, err := w.ce.DeleteConfigMap(w.ce.NewDeleteConfigMapOptions(p, "settings")); err != nil || r.StatusCode != 202 {
		t.Errorf("deleting: %v", err)
	}
	refused(t, deletion(w.ce.DeleteConfigMap(w.ce.NewDeleteConfigMapOptions(p, "settings"))), 404, "resource_not_found")

	for i := range 100 {
		if err := create(fmt.Sprintf("c%03d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, create("c100", nil), 403, "quota_exceeded")
	page := done(w.ce.ListConfigMaps(w.ce.NewListConfigMapsOptions(p).SetLimit(60)))(t)
	rest := done(w.ce.ListConfigMaps(w.ce.NewListConfigMapsOptions(p).SetLimit(60).SetStart(*page.Next.Start)))(t)
	if len(page.ConfigMaps) != 60 || len(rest.ConfigMaps) != 40 || rest.Next != nil || *rest.ConfigMaps[0].Name != "c060" {
		t.Errorf("pages of %d and %d", len(page.ConfigMaps), len(rest.ConfigMaps))
	}
}

func TestJobLife(t *testing.T) {
	w := newWorld(t)
	p := w.teamA()
	env := []codeenginev2.EnvVarPrototype{{Type: ptr("secret_full_reference"), Reference: ptr("logs-sender")}}
	job := done(w.ce.CreateJob(w.ce.NewCreateJobOptions(p, "icr.io/codeengine/helloworld", "ship").SetRunEnvVariables(env)))(t)
	if *job.RunMode != "task" || *job.ScaleRetryLimit != 3 || *job.RunEnvVariables[0].Reference != "logs-sender" || *job.ResourceType != "job_v2" {
		t.Errorf("made %+v", job)
	}
	refused(t, problem(w.ce.CreateJob(w.ce.NewCreateJobOptions(p, "image", "ship"))), 409, "resource_already_exists")
	refused(t, problem(w.ce.CreateJob(w.ce.NewCreateJobOptions(p, "", "other"))), 400, "bad_request")
	refused(t, problem(w.ce.CreateJob(w.ce.NewCreateJobOptions(p, "image", "Other"))), 400, "bad_request")

	update := func(tag string) error {
		return problem(w.ce.UpdateJob(w.ce.NewUpdateJobOptions(p, "ship", tag, map[string]any{"scale_memory_limit": "2G"})))
	}
	if err := update(*job.EntityTag); err != nil {
		t.Fatal(err)
	}
	refused(t, update(*job.EntityTag), 412, "resource_conflict")

	run, response, err := w.ce.CreateJobRun(w.ce.NewCreateJobRunOptions(p).SetJobName("ship").SetRunArguments([]string{"x"}))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 202 || *run.JobName != "ship" || *run.ScaleMemoryLimit != "2G" || run.RunArguments[0] != "x" ||
		*run.Status != "completed" || *run.StatusDetails.Succeeded != 1 || *run.RunEnvVariables[0].Reference != "logs-sender" {
		t.Errorf("run with status %d: %+v", response.StatusCode, run)
	}
	done(w.ce.CreateJobRun(w.ce.NewCreateJobRunOptions(p).SetName("alone").SetImageReference("image")))(t)
	refused(t, problem(w.ce.CreateJobRun(w.ce.NewCreateJobRunOptions(p).SetJobName("none"))), 404, "resource_not_found")
	refused(t, problem(w.ce.CreateJobRun(w.ce.NewCreateJobRunOptions(p).SetName("nothing"))), 400, "bad_request")
	runs := func(o *codeenginev2.ListJobRunsOptions) int { return len(done(w.ce.ListJobRuns(o))(t).JobRuns) }
	if all, of := runs(w.ce.NewListJobRunsOptions(p)), runs(w.ce.NewListJobRunsOptions(p).SetJobName("ship")); all != 2 || of != 1 {
		t.Errorf("%d runs, %d of the job", all, of)
	}
	done(w.ce.GetJobRun(w.ce.NewGetJobRunOptions(p, *run.Name)))(t)

	refused(t, problem(w.stranger().ce.ListJobs(w.ce.NewListJobsOptions(p))), 403, "forbidden")
	if _, err := w.ce.DeleteJob(w.ce.NewDeleteJobOptions(p, "ship")); err != nil {
		t.Fatal(err)
	}
	refused(t, problem(w.ce.GetJob(w.ce.NewGetJobOptions(p, "ship"))), 404, "resource_not_found")
	if all := runs(w.ce.NewListJobRunsOptions(p)); all != 1 {
		t.Errorf("%d runs are left", all)
	}
	if s, _ := w.State(false).Project("team-a"); len(s.Workloads) != 1 {
		t.Errorf("state %+v", s.Workloads)
	}
}

func TestFunctionLife(t *testing.T) {
	w := newWorld(t)
	path := "/v2/projects/" + w.teamA() + "/functions"
	auth := []string{"Authorization", w.bearer()}
	call := func(want int, method, path, body string, headers ...string) map[string]any {
		t.Helper()
		r, out := w.raw(method, path, body, append(auth, headers...)...)
		if r.StatusCode != want {
			t.Fatalf("%s %s: status %d, want %d: %v", method, path, r.StatusCode, want, out)
		}
		return out
	}
	made := call(201, "POST", path, `{"name":"f","code_reference":"data:text/plain;base64,eA==","runtime":"nodejs-22","run_compute_resource_token_enabled":true}`)
	if made["resource_type"] != "function_v2" || made["status"] != "ready" || made["scale_max_execution_time"] != 60.0 || made["run_compute_resource_token_enabled"] != true {
		t.Errorf("made %v", made)
	}
	call(409, "POST", path, `{"name":"f","code_reference":"icr.io/x","runtime":"nodejs-22"}`)
	call(400, "POST", path, `{"name":"g","runtime":"nodejs-22"}`)
	call(400, "POST", path, `{"name":"g","code_reference":"icr.io/x","runtime":"nodejs-22","scale_max_execution_time":121}`)
	call(400, "PATCH", path+"/f", `{"code_main":"run"}`)
	tag := made["entity_tag"].(string)
	if got := call(200, "PATCH", path+"/f", `{"code_main":"run"}`, "If-Match", tag); got["code_main"] != "run" || got["runtime"] != "nodejs-22" {
		t.Errorf("patched %v", got)
	}
	call(412, "PATCH", path+"/f", `{"code_main":"late"}`, "If-Match", tag)
	if list := call(200, "GET", path, "")["functions"].([]any); len(list) != 1 {
		t.Errorf("list %v", list)
	}
	call(200, "GET", path+"/f", "")
	call(202, "DELETE", path+"/f", "")
	call(404, "GET", path+"/f", "")
	for i := range 20 {
		call(201, "POST", path, fmt.Sprintf(`{"name":"f%d","code_reference":"icr.io/x","runtime":"nodejs-22"}`, i))
	}
	call(403, "POST", path, `{"name":"g","code_reference":"icr.io/x","runtime":"nodejs-22"}`)
}
