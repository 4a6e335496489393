package emulator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

func TestProjects(t *testing.T) {
	w := newWorld(t)
	names := func(headers ...string) string {
		t.Helper()
		_, body := w.raw("GET", "/v2/projects", "", append([]string{"Authorization", w.bearer()}, headers...)...)
		var out []string
		for _, p := range body["projects"].([]any) {
			out = append(out, p.(map[string]any)["name"].(string))
		}
		return strings.Join(out, " ")
	}
	for _, test := range []struct{ host, want string }{
		{"127.0.0.1", "team-a team-b sandbox"},
		{"api.eu-de.codeengine.cloud.ibm.com", "team-a sandbox"},
		{"api.private.us-south.codeengine.cloud.ibm.com", "team-b"},
		{"api.jp-tok.codeengine.cloud.ibm.com", ""},
	} {
		if got := names("Host", test.host); got != test.want {
			t.Errorf("projects at %s: %q, want %q", test.host, got, test.want)
		}
	}
	r, _ := w.raw("GET", "/v2/projects/"+w.teamA(), "", "Authorization", w.bearer(), "Host", "api.us-south.codeengine.cloud.ibm.com")
	if r.StatusCode != 404 {
		t.Errorf("a project in another region: status %d", r.StatusCode)
	}

	got := done(w.ce.GetProject(w.ce.NewGetProjectOptions(w.teamA())))(t)
	if *got.Name != "team-a" || *got.Region != "eu-de" || *got.Status != "active" || len(*got.ID) != 36 {
		t.Errorf("project %+v", got)
	}
	list := done(w.ce.ListProjects(w.ce.NewListProjectsOptions().SetLimit(2)))(t)
	if len(list.Projects) != 2 || list.Next == nil {
		t.Fatalf("first page %+v", list)
	}
	list = done(w.ce.ListProjects(w.ce.NewListProjectsOptions().SetLimit(2).SetStart(*list.Next.Start)))(t)
	if len(list.Projects) != 1 || list.Next != nil || *list.Projects[0].Name != "sandbox" {
		t.Errorf("last page %+v", list)
	}
}

func TestProjectBecomesActive(t *testing.T) {
	w := newWorldWith(t, emulator.Options{ProjectDelay: emulator.UsualProjectDelay})
	made, response, err := w.ce.CreateProject(w.ce.NewCreateProjectOptions("team-c"))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 202 || *made.Status != "creating" {
		t.Errorf("created with %d, %s", response.StatusCode, *made.Status)
	}
	err = problem(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(*made.ID, "generic", "s")))
	refused(t, err, 409, "project_not_active")
	details := done(w.ce.GetProjectStatusDetails(w.ce.NewGetProjectStatusDetailsOptions(*made.ID)))(t)
	if *details.Project != "disabled" {
		t.Errorf("details %+v", details)
	}
	w.Advance(20 * time.Second)
	if got := done(w.ce.GetProject(w.ce.NewGetProjectOptions(*made.ID)))(t); *got.Status != "active" {
		t.Errorf("status %s after the delay", *got.Status)
	}
	details = done(w.ce.GetProjectStatusDetails(w.ce.NewGetProjectStatusDetailsOptions(*made.ID)))(t)
	if *details.Project != "enabled" || *details.Domain != "ready" {
		t.Errorf("details %+v", details)
	}
	err = problem(w.ce.CreateProject(w.ce.NewCreateProjectOptions("team-c")))
	refused(t, err, 409, "resource_already_exists")

	response, err = w.ce.DeleteProject(w.ce.NewDeleteProjectOptions(*made.ID))
	if err != nil || response.StatusCode != 202 {
		t.Fatalf("deleting: %v", err)
	}
	if list := done(w.ce.ListProjects(w.ce.NewListProjectsOptions()))(t); len(list.Projects) != 3 {
		t.Errorf("%d projects after the deletion", len(list.Projects))
	}
	w.Cloud().RestoreProject(*made.ID)
	if list := done(w.ce.ListProjects(w.ce.NewListProjectsOptions()))(t); len(list.Projects) != 4 {
		t.Errorf("%d projects after the restoration", len(list.Projects))
	}
}

func TestSecretLife(t *testing.T) {
	w := newWorld(t)
	made, response, err := w.ce.CreateSecret(w.ce.NewCreateSecretOptions(w.teamA(), "generic", "logs-sender").
		SetData(&codeenginev2.SecretDataGenericSecretData{}))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 201 || *made.ResourceType != "secret_generic_v2" {
		t.Errorf("made %+v", made)
	}
	data := &codeenginev2.SecretData{}
	data.SetProperty("IAM_API_KEY", ptr("v1"))
	data.SetProperty("IAM_API_KEY_ID", ptr("ApiKey-1"))
	replace := func(ifMatch string) (*codeenginev2.Secret, error) {
		s, response, err := w.ce.ReplaceSecret(w.ce.NewReplaceSecretOptions(w.teamA(), "logs-sender", ifMatch, "generic").SetData(data))
		return s, problem(s, response, err)
	}
	replaced, err := replace(*made.EntityTag)
	if err != nil {
		t.Fatal(err)
	}
	if replaced.Data["IAM_API_KEY"] != "v1" || len(replaced.Data) != 2 || *replaced.EntityTag == *made.EntityTag || *replaced.ID != *made.ID {
		t.Errorf("replaced by %+v", replaced)
	}
	_, err = replace(*made.EntityTag)
	refused(t, err, 412, "resource_conflict")
	if _, err := replace("*"); err != nil {
		t.Error(err)
	}
	r, body := w.raw("PUT", "/v2/projects/"+w.teamA()+"/secrets/logs-sender", `{"format":"generic","data":{}}`, "Authorization", w.bearer())
	if r.StatusCode != 400 || !strings.HasPrefix(body["trace"].(string), "codeengine-api-") {
		t.Errorf("PUT without If-Match: %d %v", r.StatusCode, body)
	}
	err = problem(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(w.teamA(), "generic", "logs-sender")))
	refused(t, err, 409, "resource_already_exists")
	got, response, err := w.ce.GetSecret(w.ce.NewGetSecretOptions(w.teamA(), "logs-sender"))
	if err != nil || got.Data["IAM_API_KEY_ID"] != "ApiKey-1" || response.GetHeaders().Get("ETag") != *got.EntityTag {
		t.Errorf("got %+v, %v", got, err)
	}
	list := done(w.ce.ListSecrets(w.ce.NewListSecretsOptions(w.teamA())))(t)
	if len(list.Secrets) != 1 || list.Secrets[0].Data["IAM_API_KEY"] != "v1" {
		t.Errorf("list %+v", list.Secrets)
	}
	response, err = w.ce.DeleteSecret(w.ce.NewDeleteSecretOptions(w.teamA(), "logs-sender"))
	if err != nil || response.StatusCode != 202 {
		t.Errorf("deleting: %v", err)
	}
	err = problem(w.ce.GetSecret(w.ce.NewGetSecretOptions(w.teamA(), "logs-sender")))
	refused(t, err, 404, "resource_not_found")
}

func TestSecretFormats(t *testing.T) {
	w := newWorld(t)
	i := 0
	for name, test := range map[string]struct {
		body string
		want int
	}{
		"generic without data":          {`"format":"generic"`, 201},
		"other":                         {`"format":"other","data":{"a.b-c_D":"1"}`, 201},
		"basic_auth":                    {`"format":"basic_auth","data":{"username":"u","password":"p"}`, 201},
		"basic_auth without password":   {`"format":"basic_auth","data":{"username":"u"}`, 400},
		"hmac_auth":                     {`"format":"hmac_auth","data":{"access_key_id":"a","secret_access_key":"s"}`, 201},
		"registry":                      {`"format":"registry","data":{"username":"u","password":"p","server":"icr.io"}`, 201},
		"ssh_auth":                      {`"format":"ssh_auth","data":{"ssh_key":"k"}`, 201},
		"tls":                           {`"format":"tls","data":{"tls_cert":"c","tls_key":"k"}`, 201},
		"service_access":                {`"format":"service_access","service_access":{"resource_key":{"id":"1"}}`, 201},
		"service_operator":              {`"format":"service_operator","service_operator":{"user_managed":true}`, 201},
		"an unknown format":             {`"format":"plain"`, 400},
		"no format":                     {`"data":{}`, 400},
		"a data key with a slash":       {`"format":"generic","data":{"a/b":"1"}`, 400},
		"a value that is not text":      {`"format":"generic","data":{"a":1}`, 400},
		"a value of more than a MiB":    {`"format":"generic","data":{"a":"` + strings.Repeat("x", 1<<20+1) + `"}`, 400},
		"a field that is not known yet": {`"format":"generic","future":true`, 201},
	} {
		i++
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"name":"s%d",%s}`, i, test.body)
			r, answer := w.raw("POST", "/v2/projects/"+w.teamA()+"/secrets?version=2025-07-10", body, "Authorization", w.bearer())
			if r.StatusCode != test.want {
				t.Errorf("status %d, want %d: %v", r.StatusCode, test.want, answer)
			}
			for _, field := range []string{"service_access", "service_operator"} {
				if strings.Contains(test.body, `"`+field+`":`) && answer[field] == nil {
					t.Errorf("%s is not in the answer", field)
				}
			}
		})
	}
	for _, name := range []string{"", "Upper", "-a", "a_b", strings.Repeat("a", 254)} {
		r, _ := w.raw("POST", "/v2/projects/"+w.teamA()+"/secrets", `{"format":"generic","name":"`+name+`"}`, "Authorization", w.bearer())
		if r.StatusCode != 400 {
			t.Errorf("the name %q: status %d", name, r.StatusCode)
		}
	}
}

func TestAHundredSecretsPerProject(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		w.Cloud().PutSecret(w.teamA(), fmt.Sprintf("s%d", i), nil)
	}
	err := problem(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(w.teamA(), "generic", "one-more")))
	refused(t, err, 403, "quota_exceeded")
}

func TestAppLife(t *testing.T) {
	w := newWorld(t)
	shipper := done(w.ce.GetApp(w.ce.NewGetAppOptions(w.teamA(), "shipper")))(t)
	env := shipper.RunEnvVariables
	if len(env) != 1 || *env[0].Type != "secret_full_reference" || *env[0].Reference != "logs-sender" {
		t.Fatalf("shipper's variables %+v", env)
	}
	if web := done(w.ce.GetApp(w.ce.NewGetAppOptions(w.teamA(), "web")))(t); len(web.RunEnvVariables) != 0 {
		t.Errorf("web's variables %+v", web.RunEnvVariables)
	}

	r, body := w.raw("POST", "/v2/projects/"+w.teamA()+"/apps", `{"name":"job-like","image_reference":"icr.io/x","future_field":{"a":[1]},
		"run_volume_mounts":[{"type":"secret","reference":"logs-sender","mount_path":"/etc/key"}]}`, "Authorization", w.bearer())
	if r.StatusCode != 201 || fmt.Sprint(body["future_field"]) != "map[a:[1]]" || len(body["run_volume_mounts"].([]any)) != 1 {
		t.Errorf("created %d %v", r.StatusCode, body)
	}
	patch := func(ifMatch string, fields map[string]any) (*codeenginev2.App, error) {
		app, response, err := w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "job-like", ifMatch, fields))
		return app, problem(app, response, err)
	}
	changed, err := patch(body["entity_tag"].(string), map[string]any{
		"future_field":      nil,
		"run_env_variables": []any{map[string]any{"type": "literal", "name": "LATCHKEY_KEY", "value": "ApiKey-1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *changed.StatusDetails.LatestReadyRevision != "job-like-00002" || *changed.EntityTag == body["entity_tag"] ||
		len(changed.RunVolumeMounts) != 1 || *changed.RunEnvVariables[0].Value != "ApiKey-1" {
		t.Errorf("changed to %+v", changed)
	}
	_, body2 := w.raw("GET", "/v2/projects/"+w.teamA()+"/apps/job-like", "", "Authorization", w.bearer())
	if _, there := body2["future_field"]; there {
		t.Error("null did not take the field away")
	}
	_, err = patch(body["entity_tag"].(string), map[string]any{"scale_min_instances": 1})
	refused(t, err, 412, "resource_conflict")
	r, _ = w.raw("PATCH", "/v2/projects/"+w.teamA()+"/apps/job-like", `{}`, "Authorization", w.bearer(), "Content-Type", "application/merge-patch+json")
	if r.StatusCode != 400 {
		t.Errorf("PATCH without If-Match: status %d", r.StatusCode)
	}
	revisions := done(w.ce.ListAppRevisions(w.ce.NewListAppRevisionsOptions(w.teamA(), "job-like")))(t)
	if len(revisions.Revisions) != 2 || *revisions.Revisions[1].Name != "job-like-00002" {
		t.Errorf("revisions %+v", revisions.Revisions)
	}
	revision := done(w.ce.GetAppRevision(w.ce.NewGetAppRevisionOptions(w.teamA(), "job-like", "job-like-00001")))(t)
	if *revision.AppName != "job-like" {
		t.Errorf("revision %+v", revision)
	}
	refused(t, problem(w.ce.GetAppRevision(w.ce.NewGetAppRevisionOptions(w.teamA(), "job-like", "job-like-00009"))), 404, "resource_not_found")
	list := done(w.ce.ListApps(w.ce.NewListAppsOptions(w.teamA()).SetLimit(2)))(t)
	if len(list.Apps) != 2 || *list.Apps[0].Name != "job-like" || *list.Next.Start != "web" {
		t.Errorf("first page %+v", list)
	}
}

func TestOldAPIVersionsMixInInternalVariables(t *testing.T) {
	w := newWorld(t)
	variables := func(version string) int {
		_, body := w.raw("GET", "/v2/projects/"+w.teamA()+"/apps/shipper"+version, "", "Authorization", w.bearer())
		return len(body["run_env_variables"].([]any))
	}
	for version, want := range map[string]int{"": 1, "?version=2024-05-13": 1, "?version=2024-05-12": 4} {
		if got := variables(version); got != want {
			t.Errorf("%q: %d variables, want %d", version, got, want)
		}
	}
}

func TestAPIVersionsHaveTheirForm(t *testing.T) {
	w := newWorld(t)
	base := "/v2/projects/" + w.teamA()
	auth := []string{"Authorization", w.bearer()}
	const container = `"image_reference":"icr.io/x","run_env_variables":[{"type":"literal","name":"A","value":"1"}],
		"run_volume_mounts":[{"type":"secret","reference":"s","mount_path":"/a","name":"mine"},{"type":"secret","reference":"s","mount_path":"/b"}]`
	w.raw("POST", base+"/apps", `{"name":"x",`+container+`}`, auth...)
	w.raw("POST", base+"/jobs", `{"name":"x",`+container+`}`, auth...)
	w.raw("POST", base+"/job_runs", `{"name":"x","job_name":"x"}`, auth...)
	w.raw("POST", base+"/functions", `{"name":"x","code_reference":"icr.io/x","runtime":"nodejs-22"}`, auth...)
	for _, test := range []struct {
		path, version string
		own, computed int // variables
		mounts, named int
	}{
		{"/apps/x", "2025-07-10", 1, 3, 2, 0},
		{"/apps/x", "2025-07-09", 1, 3, 2, 2},
		{"/apps/x", "2024-05-12", 4, 0, 2, 2},
		{"/jobs/x", "2025-07-10", 1, 3, 2, 0},
		{"/jobs/x", "2024-05-12", 4, 0, 2, 2},
		{"/job_runs/x", "2025-07-10", 1, 4, 2, 0},
		{"/job_runs/x", "2024-05-12", 5, 0, 2, 2},
		{"/functions/x", "2025-07-10", 0, 3, 0, 0},
	} {
		_, body := w.raw("GET", base+test.path+"?version="+test.version, "", auth...)
		own, _ := body["run_env_variables"].([]any)
		computed, _ := body["computed_env_variables"].([]any)
		mounts, _ := body["run_volume_mounts"].([]any)
		named := 0
		for _, m := range mounts {
			if m.(map[string]any)["name"] != nil {
				named++
			}
		}
		if got := fmt.Sprint(len(own), len(computed), len(mounts), named); got != fmt.Sprint(test.own, test.computed, test.mounts, test.named) {
			t.Errorf("%s of %s: %s variables, computed ones, mounts and named mounts", test.path, test.version, got)
		}
	}
}

func TestRevisionsAreLimited(t *testing.T) {
	w := newWorld(t)
	var err error
	n := 0
	for ; n < 200 && err == nil; n++ {
		err = problem(w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "web", "*", map[string]any{"image_port": n})))
	}
	refused(t, err, 403, "quota_exceeded")
	if n != 119 {
		t.Errorf("update %d was refused: with the revisions of two apps the 119th should be", n)
	}
}

func TestCodeEngineAccess(t *testing.T) {
	w := newWorld(t)
	w.Cloud().PutSecret(w.teamA(), "s", map[string]string{"a": "b"})
	reads := map[string]func(w *world) error{
		"get a project": func(w *world) error { return problem(w.ce.GetProject(w.ce.NewGetProjectOptions(w.teamA()))) },
		"list projects": func(w *world) error { return problem(w.ce.ListProjects(w.ce.NewListProjectsOptions())) },
		"get a secret": func(w *world) error {
			return problem(w.ce.GetSecret(w.ce.NewGetSecretOptions(w.teamA(), "s")))
		},
		"list secrets": func(w *world) error { return problem(w.ce.ListSecrets(w.ce.NewListSecretsOptions(w.teamA()))) },
		"get an app":   func(w *world) error { return problem(w.ce.GetApp(w.ce.NewGetAppOptions(w.teamA(), "web"))) },
		"list apps":    func(w *world) error { return problem(w.ce.ListApps(w.ce.NewListAppsOptions(w.teamA()))) },
	}
	writes := map[string]func(w *world) error{
		"create a project": func(w *world) error { return problem(w.ce.CreateProject(w.ce.NewCreateProjectOptions("x"))) },
		"delete a project": func(w *world) error {
			return deletion(w.ce.DeleteProject(w.ce.NewDeleteProjectOptions(w.teamA())))
		},
		"create a secret": func(w *world) error {
			return problem(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(w.teamA(), "generic", "x")))
		},
		"replace a secret": func(w *world) error {
			return problem(w.ce.ReplaceSecret(w.ce.NewReplaceSecretOptions(w.teamA(), "s", "*", "generic")))
		},
		"delete a secret": func(w *world) error {
			return deletion(w.ce.DeleteSecret(w.ce.NewDeleteSecretOptions(w.teamA(), "s")))
		},
		"create an app": func(w *world) error {
			return problem(w.ce.CreateApp(w.ce.NewCreateAppOptions(w.teamA(), "icr.io/x", "x")))
		},
		"update an app": func(w *world) error {
			return problem(w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "web", "*", map[string]any{"image_port": 1})))
		},
		"delete an app": func(w *world) error { return deletion(w.ce.DeleteApp(w.ce.NewDeleteAppOptions(w.teamA(), "web"))) },
	}
	reader, key := w.Cloud().AddIdentity("reader")
	w.Cloud().Grant(reader.IAMID, "codeengine", "crn:v1:bluemix:public:iam::::serviceRole:Reader")
	asReader, stranger, anonymous := w.as(w.token(key.Value)), w.stranger(), w.as("")
	for name, call := range reads {
		t.Run("a reader may "+name, func(t *testing.T) {
			if err := call(asReader); err != nil {
				t.Error(err)
			}
		})
	}
	for name, call := range writes {
		t.Run("a reader may not "+name, func(t *testing.T) { refused(t, call(asReader), 403, "forbidden") })
		reads[name] = call
	}
	for name, call := range reads {
		t.Run("a stranger may not "+name, func(t *testing.T) { refused(t, call(stranger), 403, "forbidden") })
		t.Run("a call without a token may not "+name, func(t *testing.T) { refused(t, call(anonymous), 401, "unauthorized") })
	}
}

func TestReplacingASecretReplacesAllOfIt(t *testing.T) {
	w := newWorld(t)
	token := "Bearer " + w.token(w.Ready().APIKey)
	path := "/v2/projects/" + w.teamA() + "/secrets"
	send := func(method, path, role string) map[string]any {
		t.Helper()
		r, body := w.raw(method, path, `{"name":"access","format":"service_access","service_access":{"role":{"name":"`+role+`"}}}`,
			"Authorization", token, "If-Match", "*")
		if r.StatusCode/100 != 2 {
			t.Fatalf("status %d %v", r.StatusCode, body)
		}
		return body
	}
	send("POST", path, "Reader")
	send("PUT", path+"/access", "Writer")
	_, got := w.raw("GET", path+"/access", "", "Authorization", token)
	if text, _ := json.Marshal(got["service_access"]); string(text) != `{"role":{"name":"Writer"}}` {
		t.Errorf("service_access %s", text)
	}
}

func TestRevisionsComeInPages(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		patch := map[string]any{"run_arguments": []string{fmt.Sprint(i)}}
		if err := problem(w.ce.UpdateApp(&codeenginev2.UpdateAppOptions{ProjectID: ptr(w.teamA()), Name: ptr("web"), IfMatch: ptr("*"), App: patch})); err != nil {
			t.Fatal(err)
		}
	}
	o := w.ce.NewListAppRevisionsOptions(w.teamA(), "web").SetLimit(2)
	var names []string
	pages := 0
	for {
		list := done(w.ce.ListAppRevisions(o))(t)
		pages++
		for _, r := range list.Revisions {
			names = append(names, strings.TrimPrefix(*r.Name, "web-0000"))
		}
		if list.Next == nil {
			break
		}
		o.SetStart(*list.Next.Start)
	}
	if fmt.Sprint(names) != "[1 2 3 4 5]" || pages != 3 {
		t.Errorf("%v on %d pages", names, pages)
	}
}
