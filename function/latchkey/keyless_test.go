package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

const agentCluster = "crn:v1:bluemix:public:containers-kubernetes:eu-de:a/" + cloud.AccountID + ":c0d19dnd0uii3pk7po40::"

// agents is the config of a Logs agent. mode is empty or a line.
func agents(mode string) string {
	return "- name: agent\n" + mode +
		"  trust: [{type: IKS_SA, crn: \"" + agentCluster + "\", namespace: ibm-observe, serviceAccount: logs-agent}]\n" +
		"  serviceID: {name: agent, policies: [{service: logs, roles: [Sender]}]}\n" +
		"  deprovision: {quiet: 7d, wait: 24h}\n" +
		"  stores: [{codeEngine: {project: team-a, region: eu-de, secret: agent, entry: IAM_API_KEY}}]\n"
}

const keylessMode = "  mode: keyless\n"

// agent is the consumer: it authenticates with a key, or with a trusted profile.
type agent struct {
	*stage
	byProfile bool
}

// sends returns why the agent can't send a log line.
func (a agent) sends() error {
	c := a.cloud.Cloud()
	if !a.byProfile {
		return a.authenticates("team-a", "agent", "IAM_API_KEY")
	}
	token, err := c.IssueCRTokenFor(cloud.ComputeResource{
		CRType: "IKS_SA", LinkedResource: cloud.LinkedResource{CRN: agentCluster, Namespace: "ibm-observe", Name: "logs-agent"},
	})
	if err != nil {
		return err
	}
	access, err := c.ExchangeCRToken(token, "agent", "")
	if err != nil {
		return err
	}
	actor, err := c.Authenticate(access.AccessToken)
	if err != nil {
		return err
	}
	_, err = c.Ingest(actor, cloud.LogsInstanceID, []cloud.LogEntry{{ApplicationName: "a", SubsystemName: "b", Severity: 3, Text: []byte(`"x"`)}})
	return err
}

// days lets days pass. On each the agent sends, and a sweep runs. It returns the last
// outcome.
func (a agent) days(n int) (out result.Outcome) {
	a.t.Helper()
	for range n {
		a.cloud.Advance(24 * time.Hour)
		if err := a.sends(); err != nil {
			a.t.Fatalf("%s: the agent can't send: %v", a.cloud.Now(), err)
		}
		r := a.sweep()
		if len(r.outcomes) != 1 {
			a.t.Fatalf("%d %s", r.status, r.body)
		}
		out = r.outcomes[0]
	}
	return out
}

// has returns the IDs of the agent's service ID, keys and profile.
func (a agent) has() (things []string) {
	state := a.cloud.State(true)
	ours := func(description string) bool { return strings.Contains(description, "credential=agent") }
	for _, x := range state.ServiceIDs {
		if ours(x.Description) {
			things = append(things, "service ID")
		}
	}
	for _, x := range state.APIKeys {
		if ours(x.Description) {
			things = append(things, "key")
		}
	}
	for _, x := range state.Profiles {
		if ours(x.Description) {
			things = append(things, "profile")
		}
	}
	return things
}

func TestALogsConsumerGoesKeylessAndBackAndNeverFailsToAuthenticate(t *testing.T) {
	a := agent{stage: holed(t, agents(""))}
	a.sweep().only(t, result.Published)
	a.days(10)

	a.url = a.serve(holesHead + agents(keylessMode))
	if got := took(a.sweep().only(t, result.Changed)); !slices.Equal(got, []string{"create-profile", "grant-profile", "link-profile"}) {
		t.Errorf("the first sweep took %v", got)
	}
	if got := noted(a.days(9)); !slices.Contains(got, reason.ProfileReady) {
		t.Errorf("while the agent uses the key: %v", got)
	}
	a.byProfile = true
	if got := noted(a.days(6)); !slices.Contains(got, reason.ProfileAssumed) || !slices.Contains(a.has(), "key") {
		t.Errorf("six days after the agent has changed: %v, %v", got, a.has())
	}
	if out := a.days(1); out.Reason != reason.Deprovisioning {
		t.Errorf("after the quiet time: %s %s", out.Result, out.Reason)
	}
	if out := a.days(3); !slices.Equal(a.has(), []string{"profile"}) || out.Result != result.Unchanged {
		t.Errorf("after the wait there are %v, and the outcome is %s %s", a.has(), out.Result, out.Message)
	}
	if _, value := a.entry("team-a", "agent", "IAM_API_KEY"); value != "" {
		t.Error("the store has an entry")
	}

	if out := a.one(sample.Rotate("agent", a.cloud.Now()), testToken, result.Blocked); out.Reason != reason.KeyUnwanted {
		t.Errorf("a demand for a key: %s %s", out.Reason, out.Message)
	}
	a.days(1)

	a.url = a.serve(holesHead + agents(""))
	a.sweep().only(t, result.Published)
	if got := noted(a.days(2)); !slices.Contains(got, reason.ProfileUsed) {
		t.Errorf("back, while the agent uses the profile: %v", got)
	}
	a.byProfile = false
	a.days(9)
	if got := a.has(); slices.Contains(got, "profile") || !slices.Contains(got, "key") {
		t.Errorf("at the end there are %v", got)
	}
}

func TestAKeyThatIsDisabledForAProfileComesBackWithTheMode(t *testing.T) {
	a := agent{stage: holed(t, agents(""))}
	a.sweep().only(t, result.Published)
	a.url = a.serve(holesHead + agents(keylessMode))
	a.sweep()
	a.byProfile = true
	a.untilItEnds()
	if a.authenticates("team-a", "agent", "IAM_API_KEY") == nil {
		t.Error("the key works during the wait")
	}
	a.url = a.serve(holesHead + agents(""))
	a.sweep().only(t, result.Changed)
	if err := a.authenticates("team-a", "agent", "IAM_API_KEY"); err != nil {
		t.Error(err)
	}
}

// A service ID with keys of others does not end, and its own key is rotated meanwhile.
func TestAServiceIDWithKeysOfOthersOutlivesTheChangeToAProfile(t *testing.T) {
	a := agent{stage: holed(t, agents(""))}
	first := a.sweep().only(t, result.Published)
	a.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "by hand", IAMID: "iam-" + first.ServiceID})
	a.url = a.serve(holesHead + agents(keylessMode))
	a.sweep()
	a.byProfile = true
	out := a.days(20)
	if got := noted(out); out.Condition != "ok" || !slices.Contains(got, reason.KeysForeign) || !slices.Contains(got, reason.ProfileAssumed) {
		t.Errorf("it is %s: %s, noted %v", out.Condition, out.Message, got)
	}
	if out := a.days(45); out.Key == first.Key || out.Condition != "ok" {
		t.Errorf("after 65 days key %s is published, and it is %s: %s", out.Key, out.Condition, out.Message)
	}
}

// An undo brings the key back for the quiet time, so that its user has time to change the
// mode, and not until the next sweep.
func TestAnUndoOfAKeyThatIsDisabledForAProfileLastsForTheQuietTime(t *testing.T) {
	a := agent{stage: holed(t, agents(""))}
	a.sweep().only(t, result.Published)
	a.url = a.serve(holesHead + agents(keylessMode))
	a.sweep()
	a.byProfile = true
	a.untilItEnds()
	undo := map[string]any{"credential": "agent", "undo": true}
	a.post(a.url, sample.Binary("dev.latchkey.deprovision", "/desk", a.cloud.Now(), undo), testToken).only(t, result.Changed)
	a.days(6)
	if err := a.authenticates("team-a", "agent", "IAM_API_KEY"); err != nil {
		t.Errorf("six days after the undo: %v", err)
	}
}

// untilItEnds sweeps day by day until the end of the key begins.
func (a agent) untilItEnds() {
	a.t.Helper()
	for range 10 {
		if a.days(1).Reason == reason.Deprovisioning {
			return
		}
	}
	a.t.Fatal("the key does not end within 10 days")
}

func TestAForeignTrustedProfileIsGrantedNothing(t *testing.T) {
	for sentence, description := range map[string]string{
		"of another's making":          "mine",
		"with a copy of our marker":    "mine [latchkey v=1 owner=example credential=agent]",
		"with another's marker beside": "[latchkey v=1 owner=other credential=agent]",
	} {
		t.Run(sentence, func(t *testing.T) {
			a := agent{stage: holed(t, agents(""))}
			a.sweep().only(t, result.Published)
			foreign, err := a.cloud.Cloud().CreateProfile(cloud.Owner(), cloud.NewProfile{Name: "agent", AccountID: cloud.AccountID, Description: description})
			if err != nil {
				t.Fatal(err)
			}
			a.url = a.serve(holesHead + agents(keylessMode))
			if got := noted(a.days(12)); !slices.Contains(got, reason.ProfileForeign) {
				t.Errorf("noted %v", got)
			}
			for _, p := range a.cloud.State(false).Policies {
				if strings.Contains(fmt.Sprint(p.Subject), foreign.IAMID) {
					t.Errorf("the foreign profile has %+v", p)
				}
			}
			for _, p := range a.cloud.State(false).Profiles {
				if p.ID == foreign.ID && len(p.Links) > 0 {
					t.Errorf("the foreign profile has links %+v", p.Links)
				}
			}
			a.url = a.serve(holesHead + agents(""))
			a.days(9)
			if !slices.ContainsFunc(a.cloud.State(false).Profiles, func(p cloud.ProfileState) bool { return p.ID == foreign.ID }) {
				t.Error("the foreign profile is deleted")
			}
		})
	}
}
