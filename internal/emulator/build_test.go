package emulator_test

import (
	"testing"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
)

const outputImage = "private.de.icr.io/ns/image"

func (w *world) build(name string) *codeenginev2.CreateBuildOptions {
	return w.ce.NewCreateBuildOptions(w.teamA(), name, outputImage, "ce-auto-icr-private-eu-de", "dockerfile").
		SetSourceURL("https://github.com/IBM/CodeEngine")
}

func TestBuildLife(t *testing.T) {
	w := newWorld(t)
	p := w.teamA()
	b := done(w.ce.CreateBuild(w.build("web")))(t)
	if *b.Status != "ready" || *b.StatusDetails.Reason != "registered" || *b.StrategySize != "medium" || *b.Timeout != 600 ||
		*b.SourceType != "git" || *b.ResourceType != "build_v2" {
		t.Errorf("made %+v", b)
	}
	refused(t, problem(w.ce.CreateBuild(w.build("web"))), 409, "resource_already_exists")

	update := func(tag string, patch map[string]any) error {
		return problem(w.ce.UpdateBuild(w.ce.NewUpdateBuildOptions(p, "web", tag, patch)))
	}
	if err := update(*b.EntityTag, map[string]any{"output_secret": "push"}); err != nil {
		t.Fatal(err)
	}
	refused(t, update(*b.EntityTag, map[string]any{}), 412, "resource_conflict")
	refused(t, update("*", map[string]any{"timeout": 0}), 400, "bad_request")
	get := func() *codeenginev2.Build { return done(w.ce.GetBuild(w.ce.NewGetBuildOptions(p, "web")))(t) }
	if got := get(); *got.Status != "failed" || *got.StatusDetails.Reason != "spec_output_secret_ref_not_found" {
		t.Errorf("without its output secret: %+v", got)
	}
	if err := update("*", map[string]any{"source_secret": "clone"}); err != nil {
		t.Fatal(err)
	}
	if got := get(); *got.StatusDetails.Reason != "multiple_secret_ref_not_found" {
		t.Errorf("without both secrets: %+v", got.StatusDetails)
	}
	done(w.ce.CreateSecret(w.ce.NewCreateSecretOptions(p, "generic", "push")))(t)
	if got := get(); *got.StatusDetails.Reason != "spec_source_secret_not_found" {
		t.Errorf("without its source secret: %+v", got.StatusDetails)
	}
	if list := done(w.ce.ListBuilds(w.ce.NewListBuildsOptions(p)))(t); len(list.Builds) != 1 {
		t.Errorf("%d builds", len(list.Builds))
	}
	if r, err := w.ce.DeleteBuild(w.ce.NewDeleteBuildOptions(p, "web")); err != nil || r.StatusCode != 202 {
		t.Errorf("deleting: %v", err)
	}
	refused(t, deletion(w.ce.DeleteBuild(w.ce.NewDeleteBuildOptions(p, "web"))), 404, "resource_not_found")
}

func TestBuildBounds(t *testing.T) {
	w := newWorld(t)
	base := `"output_image":"` + outputImage + `","output_secret":"push","strategy_type":"dockerfile","source_url":"https://github.com/IBM/CodeEngine",`
	w.bounds(t, "builds", base, 201, map[string]bound{
		"what is needed":                           {``, 200},
		"a build without a source":                 {`"source_url":null`, 400},
		"a build without an output image":          {`"output_image":null`, 400},
		"an output secret that is no name":         {`"output_secret":"A_B"`, 400},
		"a local build":                            {`"source_type":"local","source_url":null`, 200},
		"a local build with a URL":                 {`"source_type":"local"`, 400},
		"an unknown source type":                   {`"source_type":"svn"`, 400},
		"a source with SSH":                        {`"source_url":"git@github.com:IBM/CodeEngine.git","source_secret":"clone"`, 200},
		"a source over HTTP":                       {`"source_url":"http://github.com/IBM/CodeEngine"`, 400},
		"a revision with a blank":                  {`"source_revision":"a b"`, 400},
		"an unknown strategy":                      {`"strategy_type":"make"`, 400},
		"an unknown size":                          {`"strategy_size":"tiny"`, 400},
		"an hour":                                  {`"timeout":3600`, 200},
		"more than an hour":                        {`"timeout":3601`, 400},
		"a build parameter":                        {`"run_build_params":[{"type":"literal","name":"A","value":"1"}]`, 200},
		"a name in capitals":                       {`"name":"Web"`, 400},
		"the placeholder of IBM's suite is a name": {`"name":"testString"`, 400},
	})
}

func TestBuildRunLife(t *testing.T) {
	w := newWorld(t)
	p := w.teamA()
	done(w.ce.CreateBuild(w.build("web").SetTimeout(900)))(t)
	run, response, err := w.ce.CreateBuildRun(w.ce.NewCreateBuildRunOptions(p).SetBuildName("web"))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 202 || *run.Name != "web-run-261124-100030" || *run.OutputImage != outputImage || *run.Timeout != 900 {
		t.Errorf("made %+v", run)
	}
	if *run.Status != "succeeded" || *run.StatusDetails.Reason != "succeeded" || run.StatusDetails.OutputDigest == nil {
		t.Errorf("status %q, details %+v", *run.Status, run.StatusDetails)
	}
	alone := w.ce.NewCreateBuildRunOptions(p).SetName("alone")
	refused(t, problem(w.ce.CreateBuildRun(alone)), 400, "bad_request")
	done(w.ce.CreateBuildRun(alone.SetOutputImage(outputImage).SetOutputSecret("push").SetStrategyType("buildpacks").SetSourceURL("https://github.com/x/y")))(t)
	lost := done(w.ce.CreateBuildRun(w.ce.NewCreateBuildRunOptions(p).SetName("lost").SetBuildName("other")))(t)
	if *lost.Status != "failed" || *lost.StatusDetails.Reason != "build_not_found" {
		t.Errorf("the run of no build is %q, %+v", *lost.Status, lost.StatusDetails)
	}
	names := func(build string) (out []string) {
		o := w.ce.NewListBuildRunsOptions(p)
		if build != "" {
			o.SetBuildName(build)
		}
		for _, x := range done(w.ce.ListBuildRuns(o))(t).BuildRuns {
			out = append(out, *x.Name)
		}
		return out
	}
	if all, of := names(""), names("web"); len(all) != 3 || len(of) != 1 {
		t.Errorf("runs %v, of web %v", all, of)
	}
	// Build runs go by themselves.
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{3*time.Hour - time.Second, 3}, {time.Second, 2}, {21 * time.Hour, 1}, {6 * 24 * time.Hour, 0}} {
		w.Advance(step.after)
		o := w.as(w.token(w.Ready().APIKey)) // tokens end after an hour
		if left := done(o.ce.ListBuildRuns(o.ce.NewListBuildRunsOptions(p)))(t).BuildRuns; len(left) != step.left {
			t.Errorf("%v later %d runs are left, want %d", step.after, len(left), step.left)
		}
	}
}

func TestARunOfNoBuildIsRejectedIfTheSwitchSaysSo(t *testing.T) {
	w := newWorld(t)
	if r, out := w.raw("POST", "/emulator/settings", `{"switches":{"missingBuildStatus":404}}`); r.StatusCode != 200 {
		t.Fatal(out)
	}
	refused(t, problem(w.ce.CreateBuildRun(w.ce.NewCreateBuildRunOptions(w.teamA()).SetBuildName("other"))), 404, "resource_not_found")
}
