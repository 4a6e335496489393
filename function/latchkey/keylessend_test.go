package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// ends demands the end of the agent's credential.
func (a agent) ends(more map[string]any, want result.Result) result.Outcome {
	a.t.Helper()
	data := map[string]any{"credential": "agent"}
	maps.Copy(data, more)
	return a.post(a.url, sample.Binary("dev.latchkey.deprovision", "/desk", a.cloud.Now(), data), testToken).only(a.t, want)
}

const unkeptMode = keylessMode + "  keep: false\n"

// Nothing of ours stays, in the state that a keyless credential is in for most of its life,
// and the profile of others with our marker does.
func TestADeprovisionedKeylessCredentialLeavesNothing(t *testing.T) {
	a := agent{stage: holed(t, agents(""))}
	before := len(a.cloud.State(true).Policies)
	foreign, err := a.cloud.Cloud().CreateProfile(cloud.Owner(), cloud.NewProfile{Name: "other", AccountID: cloud.AccountID, Description: "mine [latchkey v=1 owner=example credential=other]"})
	if err != nil {
		t.Fatal(err)
	}
	a.sweep().only(t, result.Published)
	a.url = a.serve(holesHead + agents(keylessMode))
	a.sweep()
	a.byProfile = true
	if a.days(12); !slices.Equal(a.has(), []string{"profile"}) {
		t.Fatalf("before the end there are %v", a.has())
	}
	if out := a.ends(nil, result.Blocked); out.Reason != reason.EndRefused {
		t.Errorf("with keep: true: %s %s", out.Reason, out.Message)
	}
	a.url = a.serve(holesHead + agents(unkeptMode))
	if out := a.ends(nil, result.Blocked); out.Reason != reason.InUse || !strings.Contains(out.Message, "Profile-") {
		t.Errorf("while the agent uses the profile: %s %s", out.Reason, out.Message)
	}
	a.days(1)
	a.cloud.Advance(8 * 24 * time.Hour)
	if got := took(a.ends(nil, result.Changed)); !slices.Equal(got, []string{"remove-profile"}) {
		t.Errorf("the end took %v", got)
	}
	a.ends(nil, result.Unchanged)
	for range 3 {
		a.cloud.Advance(24 * time.Hour)
		if out := a.sweep().only(t, result.Unchanged); out.Condition != "ok" {
			t.Errorf("after the end it is %s: %s", out.Condition, out.Message)
		}
	}
	if got, policies := a.has(), len(a.cloud.State(true).Policies); len(got) > 0 || policies != before {
		t.Errorf("left: %v, and %d policies, of %d before", got, policies, before)
	}
	if !slices.ContainsFunc(a.cloud.State(true).Profiles, func(p cloud.ProfileState) bool { return p.ID == foreign.ID }) {
		t.Error("the profile of others is deleted")
	}
}

// Where the projects of a keyless credential are gone, only their profiles show that they
// were there.
func TestTheProfileOfAProjectThatIsGoneEndsWithOnGoneRetire(t *testing.T) {
	for onGone, left := range map[string]int{"retire": 0, "keep": 1} {
		t.Run(onGone, func(t *testing.T) {
			a := agent{stage: holed(t, `- name: agent
  forEach: codeengine.projects
  where: project.name == "team-a"
  onGone: `+onGone+`
  mode: keyless
  trust: [{type: CE, crn: "${project.crn}"}]
  serviceID: {name: "agent-${project.name}", policies: [{service: logs, roles: [Sender]}]}
  stores: [{codeEngine: {project: "${project.id}", secret: logs, entry: IAM_API_KEY}}]
`)}
			team := a.project("team-a").ID
			if a.sweep().only(t, result.Changed); !slices.Equal(a.has(), []string{"profile"}) {
				t.Fatalf("there are %v", a.has())
			}
			if err := a.cloud.Cloud().DeleteProject(cloud.Owner(), team, ""); err != nil {
				t.Fatal(err)
			}
			a.sweep()
			if len(a.has()) != 1 {
				t.Error("it ends while the project can come back")
			}
			a.cloud.Advance(8 * 24 * time.Hour)
			if a.sweep(); len(a.has()) != left {
				t.Errorf("there are %v", a.has())
			}
			if r := a.sweep(); len(r.outcomes) > 0 {
				t.Errorf("after the end: %s", r.body)
			}
		})
	}
}

// A forced end takes the profile at once, and the keys after the wait. An undo brings the
// keys back, and a sweep makes another profile.
func TestAForcedEndTakesTheProfileWithTheKeys(t *testing.T) {
	for sentence, undone := range map[string]bool{"to its end": false, "undone within the wait": true} {
		t.Run(sentence, func(t *testing.T) {
			a := agent{stage: holed(t, agents(""))}
			a.sweep().only(t, result.Published)
			a.url = a.serve(holesHead + agents(unkeptMode))
			a.sweep()
			a.byProfile = true
			a.days(1)
			a.ends(map[string]any{"force": true}, result.InProgress)
			if got := a.has(); slices.Contains(got, "profile") || !slices.Contains(got, "key") {
				t.Errorf("in the wait there are %v", got)
			}
			a.cloud.Advance(12 * time.Hour)
			if a.sweep().only(t, result.InProgress); slices.Contains(a.has(), "profile") {
				t.Error("a sweep makes the profile again")
			}
			if undone {
				a.ends(map[string]any{"undo": true}, result.Changed)
				if err := a.authenticates("team-a", "agent", "IAM_API_KEY"); err != nil {
					t.Error(err)
				}
				if a.sweep().only(t, result.Changed); !slices.Contains(a.has(), "profile") {
					t.Errorf("after the undo there are %v", a.has())
				}
				return
			}
			a.cloud.Advance(13 * time.Hour)
			a.sweep().only(t, result.Changed)
			if _, value := a.entry("team-a", "agent", "IAM_API_KEY"); len(a.has()) > 0 || value != "" {
				t.Errorf("left: %v", a.has())
			}
			a.cloud.Advance(24 * time.Hour)
			a.sweep().only(t, result.Unchanged)
		})
	}
}
