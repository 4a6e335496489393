package emulator_test

import (
	"testing"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
)

// TestAProjectWithAGivenID is for suites that name their project by a fixed ID.
func TestAProjectWithAGivenID(t *testing.T) {
	w := newWorld(t)
	const id = "15314cc3-85b4-4338-903f-c28cdee6d005"
	if r, out := w.raw("POST", "/emulator/projects", `{"id":"`+id+`","name":"suite","region":"us-south"}`); r.StatusCode != 200 || out["id"] != id {
		t.Fatalf("%d %v", r.StatusCode, out)
	}
	got := done(w.ce.GetProject(&codeenginev2.GetProjectOptions{ID: ptr(id)}))(t)
	if *got.Name != "suite" || *got.Region != "us-south" || *got.Status != "active" {
		t.Errorf("project %+v", got)
	}
	if r, out := w.raw("POST", "/emulator/projects", `{"name":"any"}`); r.StatusCode != 200 || out["id"] == "" || out["region"] != "eu-de" {
		t.Errorf("%d %v", r.StatusCode, out)
	}
	for name, body := range map[string]string{
		"an ID that exists":          `{"id":"` + id + `","name":"second"}`,
		"a name in the same region":  `{"name":"suite","region":"us-south"}`,
		"an ID in upper case":        `{"id":"15314CC3-85B4-4338-903F-C28CDEE6D005","name":"x"}`,
		"a project without a name":   `{}`,
		"a field that is not known":  `{"name":"x","owner":"y"}`,
		"an ID that is not complete": `{"id":"15314cc3","name":"x"}`,
	} {
		t.Run(name+" is rejected", func(t *testing.T) {
			if r, out := w.raw("POST", "/emulator/projects", body); r.StatusCode != 400 {
				t.Errorf("%d %v", r.StatusCode, out)
			}
		})
	}
}
