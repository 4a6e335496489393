package emulator_test

import (
	"encoding/json"
	"testing"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
)

func ref(name, resourceType string) *codeenginev2.ComponentRef {
	return &codeenginev2.ComponentRef{Name: ptr(name), ResourceType: ptr(resourceType)}
}

// bindable adds an app, a job, and secrets of the formats that a binding and a
// domain mapping need.
func (w *world) bindable(t *testing.T) {
	t.Helper()
	p := w.teamA()
	done(w.ce.CreateApp(w.ce.NewCreateAppOptions(p, "icr.io/codeengine/helloworld", "site")))(t)
	done(w.ce.CreateJob(w.ce.NewCreateJobOptions(p, "icr.io/codeengine/helloworld", "night")))(t)
	for _, body := range []string{
		`{"name":"cos","format":"service_access","service_access":{}}`,
		`{"name":"cert","format":"tls","data":{"tls_cert":"c","tls_key":"k"}}`,
	} {
		if r, out := w.raw("POST", "/v2/projects/"+p+"/secrets", body, "Authorization", w.bearer()); r.StatusCode != 201 {
			t.Fatal(out)
		}
	}
}

func TestBindingLife(t *testing.T) {
	w := newWorld(t)
	p := w.teamA()
	w.bindable(t)
	create := func(to *codeenginev2.ComponentRef, prefix, secret string) (*codeenginev2.Binding, error) {
		b, r, err := w.ce.CreateBinding(w.ce.NewCreateBindingOptions(p, to, prefix, secret))
		return b, problem(b, r, err)
	}
	b, err := create(ref("site", "app_v2"), "MY_COS", "cos")
	if err != nil {
		t.Fatal(err)
	}
	if (*b.ID)[:8] != "a172ced-" || len(*b.ID) != 31 || *b.Status != "active" || *b.ResourceType != "binding_v2" || *b.SecretName != "cos" {
		t.Errorf("made %+v", b)
	}
	if _, out := w.raw("GET", "/v2/projects/"+p+"/bindings/"+*b.ID, "", "Authorization", w.bearer()); out["name"] != nil || out["entity_tag"] != nil {
		t.Errorf("a binding has neither name nor entity tag: %v", out)
	}
	if app := done(w.ce.GetApp(w.ce.NewGetAppOptions(p, "site")))(t); *app.StatusDetails.LatestCreatedRevision != "site-00002" {
		t.Errorf("the bound app's newest revision is %q", *app.StatusDetails.LatestCreatedRevision)
	}
	for name, test := range map[string]struct {
		to             *codeenginev2.ComponentRef
		prefix, secret string
		status         int
		code           string
	}{
		"a secret that the component has":  {ref("site", "app_v2"), "OTHER", "cos", 409, "resource_already_exists"},
		"an app that does not exist":       {ref("none", "app_v2"), "A", "cos", 404, "resource_not_found"},
		"a secret that does not exist":     {ref("night", "job_v2"), "A", "none", 404, "resource_not_found"},
		"a secret of another format":       {ref("night", "job_v2"), "A", "cert", 400, "bad_request"},
		"a component of an unknown type":   {ref("night", "build_v2"), "A", "cos", 400, "bad_request"},
		"a prefix in lower case":           {ref("night", "job_v2"), "a", "cos", 400, "bad_request"},
		"a prefix of 32 characters":        {ref("night", "job_v2"), "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", "cos", 400, "bad_request"},
		"a prefix that ends in underscore": {ref("night", "job_v2"), "A_", "cos", 400, "bad_request"},
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			_, err := create(test.to, test.prefix, test.secret)
			refused(t, err, test.status, test.code)
		})
	}
	if _, err := create(ref("night", "job_v2"), "A", "cos"); err != nil {
		t.Errorf("binding the secret to a job, too: %v", err)
	}
	if got := done(w.ce.GetBinding(w.ce.NewGetBindingOptions(p, *b.ID)))(t); *got.Component.Name != "site" {
		t.Errorf("got %+v", got)
	}
	if r, err := w.ce.DeleteBinding(w.ce.NewDeleteBindingOptions(p, *b.ID)); err != nil || r.StatusCode != 202 {
		t.Errorf("deleting: %v", err)
	}
	if _, err := w.ce.DeleteJob(w.ce.NewDeleteJobOptions(p, "night")); err != nil {
		t.Fatal(err)
	}
	if left := done(w.ce.ListBindings(w.ce.NewListBindingsOptions(p)))(t).Bindings; len(left) != 0 {
		t.Errorf("after the job's deletion: %d bindings", len(left))
	}
}

func TestDomainMappingLife(t *testing.T) {
	w := newWorld(t)
	p := w.teamA()
	w.bindable(t)
	create := func(project, name string, to *codeenginev2.ComponentRef, secret string) (*codeenginev2.DomainMapping, error) {
		m, r, err := w.ce.CreateDomainMapping(w.ce.NewCreateDomainMappingOptions(project, to, name, secret))
		return m, problem(m, r, err)
	}
	app := ref("site", "app_v2")
	m, err := create(p, "www.example.com", app, "cert")
	if err != nil {
		t.Fatal(err)
	}
	if *m.Status != "ready" || *m.StatusDetails.Reason != "ready" || !*m.UserManaged || *m.Visibility != "custom" || *m.ResourceType != "domain_mapping_v2" {
		t.Errorf("made %+v", m)
	}
	if want := "custom." + p[:8] + p[9:12] + "." + *m.Region + ".codeengine.appdomain.cloud"; *m.CnameTarget != want {
		t.Errorf("CNAME %q, want %q", *m.CnameTarget, want)
	}
	for name, test := range map[string]struct {
		name   string
		to     *codeenginev2.ComponentRef
		secret string
		status int
		code   string
	}{
		"a domain that is mapped":         {"www.example.com", app, "cert", 409, "resource_already_exists"},
		"a name without a dot":            {"example", app, "cert", 400, "bad_request"},
		"a job":                           {"a.example.com", ref("night", "job_v2"), "cert", 400, "bad_request"},
		"an app that does not exist":      {"a.example.com", ref("none", "app_v2"), "cert", 404, "resource_not_found"},
		"a secret that holds no key pair": {"a.example.com", app, "cos", 400, "bad_request"},
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			_, err := create(p, test.name, test.to, test.secret)
			refused(t, err, test.status, test.code)
		})
	}
	update := func(tag string, patch map[string]any) error {
		return problem(w.ce.UpdateDomainMapping(w.ce.NewUpdateDomainMappingOptions(p, "www.example.com", tag, patch)))
	}
	if err := update(*m.EntityTag, map[string]any{"tls_secret": "cert"}); err != nil {
		t.Fatal(err)
	}
	refused(t, update(*m.EntityTag, map[string]any{}), 412, "resource_conflict")
	refused(t, update("*", map[string]any{"component": map[string]any{"name": "none"}}), 404, "resource_not_found")

	if r, err := w.ce.DeleteApp(w.ce.NewDeleteAppOptions(p, "site")); err != nil || r.StatusCode != 202 {
		t.Fatal(err)
	}
	refused(t, problem(w.ce.GetDomainMapping(w.ce.NewGetDomainMappingOptions(p, "www.example.com"))), 404, "resource_not_found")
}

func TestADomainIsMappedOnceInARegion(t *testing.T) {
	w := newWorld(t)
	owner := w.as(w.ownerToken())
	for i, test := range []struct {
		region string
		status int
	}{{"eu-gb", 201}, {"eu-gb", 409}, {"us-east", 201}} {
		_, made := w.raw("POST", "/emulator/projects", `{"name":"suite`+string(rune('0'+i))+`","region":"`+test.region+`","example":true}`)
		if i > 0 { // the content has a domain mapping of its own
			owner.ce.DeleteDomainMapping(owner.ce.NewDeleteDomainMappingOptions(made["id"].(string), "shop.example.com"))
		}
		_, r, err := owner.ce.CreateDomainMapping(owner.ce.NewCreateDomainMappingOptions(made["id"].(string), ref("my-app-1", "app_v2"), "www.example.com", "my-tls-secret"))
		if r == nil || r.StatusCode != test.status {
			t.Errorf("in %s: %v", test.region, err)
		}
	}
}

// TestTheContentOfIBMsExamples is what IBM's generated suite needs to run.
func TestTheContentOfIBMsExamples(t *testing.T) {
	w := newWorld(t)
	_, made := w.raw("POST", "/emulator/projects", `{"name":"suite","example":true}`)
	p := "/v2/projects/" + made["id"].(string)
	auth := []string{"Authorization", "Bearer " + w.ownerToken()}
	for _, path := range []string{"/bindings/a172ced-b5f21bc-71ba50c-1638604", "/build_runs/my-build-run", "/apps/my-app-1"} {
		if r, out := w.raw("GET", p+path, "", auth...); r.StatusCode != 200 {
			t.Errorf("%s: %v", path, out)
		}
	}
	for _, list := range []string{"apps", "bindings", "build_runs?build_name=my-build", "builds", "config_maps", "domain_mappings", "job_runs?job_name=my-job", "jobs", "secrets"} {
		r, out := w.raw("GET", p+"/"+list, "", auth...)
		if b, _ := json.Marshal(out); r.StatusCode != 200 || len(b) < 300 {
			t.Errorf("%s: %s", list, b)
		}
	}
}

// TestPlaceholdersOfIBMsSuite compares the service with and without the switch.
func TestPlaceholdersOfIBMsSuite(t *testing.T) {
	for _, on := range []bool{false, true} {
		w := newWorld(t)
		n := w.Settings()
		n.Switches.SuitePlaceholders = on
		w.Set(n)
		_, made := w.raw("POST", "/emulator/projects", `{"name":"suite","example":true}`)
		p := "/v2/projects/" + made["id"].(string)
		auth := []string{"Authorization", "Bearer " + w.ownerToken()}
		for _, test := range []struct {
			method, path, body string
			strict, lenient    int
		}{
			{"PATCH", "/jobs/my-job-1", `{"run_mode":"task"}`, 412, 200},
			{"POST", "/build_runs", `{"name":"testString","build_name":"testString","source_secret":"testString"}`, 400, 202},
			{"POST", "/build_runs", `{"name":"Another_Name","build_name":"my-build"}`, 400, 400},
			{"DELETE", "/jobs/gone", ``, 404, 202},
			{"DELETE", "", ``, 202, 202},
			{"DELETE", "/apps/my-app-1", ``, 409, 202},
			{"GET", "/apps/my-app-1", ``, 409, 409},
		} {
			want := test.strict
			if on {
				want = test.lenient
			}
			if r, out := w.raw(test.method, p+test.path, test.body, append(auth, "If-Match", "testString")...); r.StatusCode != want {
				t.Errorf("switch %t: %s %s: %d, want %d: %v", on, test.method, test.path, r.StatusCode, want, out)
			}
		}
	}
}
