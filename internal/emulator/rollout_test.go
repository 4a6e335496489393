package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// TestRollouts plays the steps of each case on the app web, whose first revision
// is ready, and compares the app and its newest revision.
func TestRollouts(t *testing.T) {
	const (
		fail   = `"play":"fail"`
		hold   = `"play":"hold"`
		lag    = `"play":"lag","delay":"90s"`
		evict  = `"play":"evict"`
		now    = `,"now":true`
		update = "update"
	)
	for name, test := range map[string]struct {
		steps    []string // a play, an update with or without an image, or a duration that passes
		app      string   // status, reason, latest created and latest ready revision
		revision string   // status and reason
	}{
		"a revision is ready at once":                    {[]string{update}, "ready ready 2 2", "ready ready"},
		"a failed revision leaves the older one serving": {[]string{fail, update}, "warning ready_but_latest_revision_failed 2 1", "failed container_failed_exit_code_1"},
		"a failure has the reason of the play": {[]string{fail + `,"reason":"image_pull_back_off"`, update},
			"warning ready_but_latest_revision_failed 2 1", "failed image_pull_back_off"},
		"a failure may come late":                      {[]string{fail + `,"delay":"1m"`, update, "59s"}, "deploying deploying 2 1", "loading deploying"},
		"a late failure comes":                         {[]string{fail + `,"delay":"1m"`, update, "1m"}, "warning ready_but_latest_revision_failed 2 1", "failed container_failed_exit_code_1"},
		"a play is for one revision":                   {[]string{fail, update, update}, "ready ready 3 3", "ready ready"},
		"a play changes nothing before the update":     {[]string{fail}, "ready ready 1 1", "ready ready"},
		"the last play before the update counts":       {[]string{fail, hold, update}, "deploying deploying 2 1", "loading deploying"},
		"a held revision stays deploying":              {[]string{hold, update, "59m"}, "deploying deploying 2 1", "loading deploying"},
		"a released revision is ready":                 {[]string{hold, update, `"play":"release"`}, "ready ready 2 2", "ready ready"},
		"a release before the update takes it back":    {[]string{hold, `"play":"release"`, update}, "ready ready 2 2", "ready ready"},
		"a held revision may fail":                     {[]string{hold, update, fail + now}, "warning ready_but_latest_revision_failed 2 1", "failed container_failed_exit_code_1"},
		"two held revisions leave the first serving":   {[]string{hold, update, hold, update}, "deploying deploying 3 1", "loading deploying"},
		"a lagging revision deploys":                   {[]string{lag, update, "89s"}, "deploying deploying 2 1", "loading deploying"},
		"a lagging revision is ready later":            {[]string{lag, update, "90s"}, "ready ready 2 2", "ready ready"},
		"an evicted start waits for resources":         {[]string{evict, update}, "deploying waiting_for_resources 2 1", "loading deploying_waiting_for_resources"},
		"an evicted start comes back after the delay":  {[]string{evict + `,"delay":"1m"`, update, "1m"}, "ready ready 2 2", "ready ready"},
		"an evicted revision was ready":                {[]string{evict + now}, "deploying waiting_for_resources 1 1", "loading deploying_waiting_for_resources"},
		"an evicted revision can be released":          {[]string{evict + now, `"play":"release"`}, "ready ready 1 1", "ready ready"},
		"an eviction during a start makes none ready":  {[]string{hold, update, evict + now}, "deploying waiting_for_resources 2 1", "loading deploying_waiting_for_resources"},
		"a revision that fails in service has failed":  {[]string{fail + now}, "failed no_revision_ready 1 1", "failed container_failed_exit_code_1"},
		"an update repairs an app that failed":         {[]string{fail + now, update}, "ready ready 2 2", "ready ready"},
		"an update after a failure may be held itself": {[]string{fail, update, hold, update}, "deploying deploying 3 1", "loading deploying"},
		"an image of a registry that cannot exist":     {[]string{update + " registry.invalid/team/image"}, "warning ready_but_latest_revision_failed 2 1", "failed fetch_image_failed_registry_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, step := range test.steps {
				if d, err := time.ParseDuration(step); err == nil {
					w.Advance(d)
				} else if image, updated := strings.CutPrefix(step, update); updated {
					patch := map[string]any{"run_arguments": []string{fmt.Sprint(i)}}
					if image != "" {
						patch["image_reference"] = strings.TrimSpace(image)
					}
					done(w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "web", "*", patch)))(t)
				} else if r, body := w.raw("POST", "/emulator/apps", `{"project":"team-a","app":"web",`+step+`}`); r.StatusCode != 200 {
					t.Fatalf("%s: %d %v", step, r.StatusCode, body)
				}
			}
			got := done(w.ce.GetApp(w.ce.NewGetAppOptions(w.teamA(), "web")))(t)
			number := func(name *string) string { return strings.TrimPrefix(*name, "web-0000") }
			text := fmt.Sprint(*got.Status, " ", *got.StatusDetails.Reason, " ", number(got.StatusDetails.LatestCreatedRevision), " ", number(got.StatusDetails.LatestReadyRevision))
			if text != test.app {
				t.Errorf("app: %s, want %s", text, test.app)
			}
			r := done(w.ce.GetAppRevision(w.ce.NewGetAppRevisionOptions(w.teamA(), "web", *got.StatusDetails.LatestCreatedRevision)))(t)
			if text := *r.Status + " " + *r.StatusDetails.Reason; text != test.revision {
				t.Errorf("revision: %s, want %s", text, test.revision)
			}
		})
	}
}

func TestRevisionsCanBeDeleted(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		done(w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "web", "*", map[string]any{"image_port": i})))(t)
	}
	del := func(name string) error {
		return deletion(w.ce.DeleteAppRevision(w.ce.NewDeleteAppRevisionOptions(w.teamA(), "web", name)))
	}
	refused(t, deletion(w.stranger().ce.DeleteAppRevision(w.ce.NewDeleteAppRevisionOptions(w.teamA(), "web", "web-00002"))), 403, "forbidden")
	if err := del("web-00002"); err != nil {
		t.Error(err)
	}
	refused(t, del("web-00002"), 404, "resource_not_found")
	refused(t, del("web-00003"), 409, "resource_conflict")
	got := done(w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "web", "*", map[string]any{"image_port": 9})))(t)
	if *got.StatusDetails.LatestReadyRevision != "web-00004" {
		t.Errorf("the next one is %s", *got.StatusDetails.LatestReadyRevision)
	}
}

func TestTheFailedRolloutHasTheStatusOfTheSwitch(t *testing.T) {
	w := newWorld(t)
	w.raw("POST", "/emulator/settings", `{"switches":{"failedRolloutStatus":"failed"}}`)
	w.raw("POST", "/emulator/apps", `{"project":"`+w.teamA()+`","app":"web","play":"fail"}`)
	got := done(w.ce.UpdateApp(w.ce.NewUpdateAppOptions(w.teamA(), "web", "*", map[string]any{"image_port": 1})))(t)
	if *got.Status != codeenginev2.App_Status_Failed || *got.StatusDetails.Reason != codeenginev2.AppStatus_Reason_ReadyButLatestRevisionFailed {
		t.Errorf("status %s, %s", *got.Status, *got.StatusDetails.Reason)
	}
}

func TestThePlayOfTheNextRevisionIsShown(t *testing.T) {
	w := newWorld(t)
	if _, body := w.raw("POST", "/emulator/apps", `{"project":"team-a","app":"web","play":"fail","reason":"image_pull_back_off"}`); fmt.Sprint(body["next"]) != "map[play:fail reason:image_pull_back_off]" {
		t.Errorf("next %v", body["next"])
	}
	if _, body := w.raw("POST", "/emulator/apps", `{"project":"team-a","app":"web","play":"release"}`); body["next"] != nil {
		t.Errorf("next %v after the release", body["next"])
	}
}

func TestPlaysAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"an unknown play":             `{"project":"team-a","app":"web","play":"explode"}`,
		"no play":                     `{"project":"team-a","app":"web"}`,
		"an unknown app":              `{"project":"team-a","app":"none","play":"fail"}`,
		"an unknown project":          `{"project":"none","app":"web","play":"fail"}`,
		"an unknown field":            `{"project":"team-a","app":"web","play":"fail","why":"x"}`,
		"an unknown reason":           `{"project":"team-a","app":"web","play":"fail","reason":"bad_luck"}`,
		"the reason of a ready one":   `{"project":"team-a","app":"web","play":"fail","reason":"ready"}`,
		"a reason that does not fail": `{"project":"team-a","app":"web","play":"hold","reason":"image_pull_back_off"}`,
		"a lag without a delay":       `{"project":"team-a","app":"web","play":"lag"}`,
		"a negative delay":            `{"project":"team-a","app":"web","play":"lag","delay":"-1s"}`,
		"a hold with a delay":         `{"project":"team-a","app":"web","play":"hold","delay":"1s"}`,
	} {
		if r, answer := w.raw("POST", "/emulator/apps", body); r.StatusCode != 400 || answer["error"] == nil {
			t.Errorf("%s: %d %v", name, r.StatusCode, answer)
		}
	}
}

// TestEveryFailReasonIsTheSDKs checks the spelling against the SDK's constants.
func TestEveryFailReasonIsTheSDKs(t *testing.T) {
	known := []string{
		codeenginev2.AppRevisionStatus_Reason_ContainerFailedExitCode0, codeenginev2.AppRevisionStatus_Reason_ContainerFailedExitCode1,
		codeenginev2.AppRevisionStatus_Reason_ContainerFailedExitCode24, codeenginev2.AppRevisionStatus_Reason_ContainerFailedExitCode139,
		codeenginev2.AppRevisionStatus_Reason_FetchImageFailedMissingPullCredentials, codeenginev2.AppRevisionStatus_Reason_FetchImageFailedMissingPullSecret,
		codeenginev2.AppRevisionStatus_Reason_FetchImageFailedRegistryNotFound, codeenginev2.AppRevisionStatus_Reason_FetchImageFailedUnknownManifest,
		codeenginev2.AppRevisionStatus_Reason_FetchImageFailedUnknownRepository, codeenginev2.AppRevisionStatus_Reason_FetchImageFailedWrongPullCredentials,
		codeenginev2.AppRevisionStatus_Reason_ImagePullBackOff, codeenginev2.AppRevisionStatus_Reason_InitialScaleNeverAchieved,
		codeenginev2.AppRevisionStatus_Reason_InvalidTarHeaderImagePullErr,
	}
	if fmt.Sprint(known) != fmt.Sprint(cloud.FailReasons) {
		t.Errorf("reasons %v, want %v", cloud.FailReasons, known)
	}
}
