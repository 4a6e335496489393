package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// The life of a key, from birth to retirement, through the whole program.

func (s *stage) revoke(credential, key string, contain bool) reply {
	s.t.Helper()
	return s.post(s.url, sample.Binary("dev.latchkey.revoke", "/t", s.cloud.Now(), map[string]any{
		"credential": credential, "keyID": key, "containment": contain,
	}), testToken)
}

func (s *stage) sweep() reply {
	s.t.Helper()
	return s.post(s.url, sample.Tick(s.cloud.Now()), testToken)
}

// only is the one outcome of an answer.
func (r reply) only(t *testing.T, want result.Result) result.Outcome {
	t.Helper()
	if len(r.outcomes) != 1 || r.outcomes[0].Result != want {
		t.Fatalf("answer %d %s, want one outcome %q", r.status, r.body, want)
	}
	return r.outcomes[0]
}

func noted(out result.Outcome) (reasons []reason.Reason) {
	for _, n := range out.Notes {
		reasons = append(reasons, n.Reason)
	}
	return reasons
}

func took(out result.Outcome) (steps []string) {
	for _, st := range out.Steps {
		steps = append(steps, string(st.Action))
	}
	return steps
}

// value is what consumers of c read in a place.
func (s *stage) entry(project, secret, entry string) (key, value string) {
	s.t.Helper()
	for _, sec := range s.project(project).Secrets {
		if sec.Name == secret {
			return sec.Data[entry+"_ID"], sec.Data[entry]
		}
	}
	return "", ""
}

func TestALeakedKeyIsReplacedFirstAndThenEndsAtOnce(t *testing.T) {
	s := holed(t, static("c", place1, place2))
	first := s.sweep().only(t, result.Published)
	s.cloud.Advance(time.Hour)
	r := s.revoke("c", first.Key, false)
	out := r.only(t, result.Published)
	if r.status != http.StatusOK || out.Leaked != result.LeakedRevoked || out.Replaced != first.Key {
		t.Errorf("answered %d %+v", r.status, out)
	}
	want := []string{"condemn", "mint", "prove", "publish", "unfuse", "publish", "disable", "retire"}
	if diff := cmp.Diff(want, took(out)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if !slices.Equal(noted(out), []reason.Reason{reason.TokensLive}) {
		t.Errorf("notes %v: the note that issued tokens live on is missing", out.Notes)
	}
	if keys := s.keys("c"); len(keys) != 1 || keys[out.Key].ID == "" {
		t.Errorf("%d keys are left", len(keys))
	}
	if again := s.revoke("c", first.Key, false).only(t, result.Unchanged); again.Leaked != result.LeakedGone {
		t.Errorf("the same again says %+v", again)
	}
}

func TestContainmentEndsTheKeyBeforeAnythingElse(t *testing.T) {
	s := holed(t, static("c", place1))
	first := s.sweep().only(t, result.Published)
	// Minutes old, and its store is down: neither keeps it alive.
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 500})
	out := s.revoke("c", first.Key, true).only(t, result.InProgress)
	if out.Leaked != result.LeakedRevoked || !s.keys("c")[first.Key].Disabled {
		t.Fatalf("outcome %+v, key disabled: %t", out, s.keys("c")[first.Key].Disabled)
	}
	// Any look replaces a contained key.
	s.cloud.ClearFaults()
	next := s.sweep().only(t, result.Published)
	if _, value := s.entry("team-b", "logs-sender", "IAM_API_KEY"); value != s.keys("c")[next.Key].Value || len(s.keys("c")) != 1 {
		t.Errorf("outcome %+v, keys %d", next, len(s.keys("c")))
	}
}

func TestALeakOutlivesWhateverStandsInTheWay(t *testing.T) {
	s := holed(t, static("c", place1, place2))
	first := s.sweep().only(t, result.Published)
	s.cloud.Advance(time.Hour)
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects/" + s.project("team-a").ID + "/secrets/*", Kind: emulator.FaultStatus, Status: 500})
	r := s.revoke("c", first.Key, false)
	out := r.only(t, result.InProgress)
	if r.status != http.StatusAccepted || out.Leaked != result.LeakedAlive || !slices.Contains(noted(out), reason.LeakedAlive) {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	s.cloud.ClearFaults()
	s.cloud.Advance(time.Hour)
	healed := s.sweep().only(t, result.Published)
	if _, alive := s.keys("c")[first.Key]; alive || healed.Key == first.Key {
		t.Errorf("the leaked key is still there: %+v", healed)
	}
}

func TestARevocationOfAKeyThatIsNotTheCredentialsChangesNothing(t *testing.T) {
	s := holed(t, static("c", place1)+static("d", place2))
	s.sweep()
	s.cloud.Advance(time.Hour)
	var ofD string
	for id := range s.keys("d") {
		ofD = id
	}
	admin, foreign := s.cloud.Cloud().AddIdentity("foreign")
	_ = admin
	changes := len(s.cloud.Events())
	if r := s.revoke("c", ofD, true); r.status != http.StatusBadRequest {
		t.Errorf("another credential's key: answered %d %s", r.status, r.body)
	}
	if r := s.revoke("c", foreign.ID, true); r.status != http.StatusAccepted || r.only(t, result.Blocked).Reason != reason.KeyForeign {
		t.Errorf("a foreign key: answered %d %s", r.status, r.body)
	}
	if got := len(s.cloud.Events()); got != changes {
		t.Errorf("changes were made: %+v", s.cloud.Events()[changes:])
	}
}

func TestAKeyThatIsStillUsedLivesThreeOverlapsAtMost(t *testing.T) {
	s := holed(t, static("c", place1))
	first := s.sweep().only(t, result.Published)
	value := s.keys("c")[first.Key].Value
	s.cloud.Advance(time.Hour)
	s.one(sample.Rotate("c", s.cloud.Now()), testToken, result.Published)
	superseded := s.cloud.Now()

	use := func() bool {
		_, err := s.cloud.Cloud().ExchangeAPIKey(value)
		s.post(s.url, loginEvent("iam-"+first.ServiceID, "kafka-client/3.1", "192.0.2.7", s.cloud.Now()), "") // at once, IAM's record of use later
		return err == nil
	}
	var reasons []reason.Reason
	lived, extended := time.Duration(0), false
	for range 100 {
		s.cloud.Advance(time.Hour)
		if !use() {
			break
		}
		lived = s.cloud.Now().Sub(superseded)
		for _, out := range s.sweep().outcomes {
			extended = extended || slices.Contains(took(out), "extend")
			if extended && len(out.Notes) == 0 {
				t.Errorf("%s after it was replaced, no note says that it is used", lived)
			}
			for _, n := range out.Notes {
				if n.Key != first.Key || n.By != "kafka-client/3.1 at 192.0.2.7" {
					t.Errorf("note %+v", n)
				}
				reasons = append(reasons, n.Reason)
			}
		}
	}
	if lived < 70*time.Hour || lived > 73*time.Hour {
		t.Errorf("a key that is used all the time lived %s after it was replaced, want three overlaps of 24h", lived)
	}
	if n := len(slices.Compact(slices.Clone(reasons))); !slices.Contains(reasons, reason.StillUsed) || reasons[len(reasons)-1] != reason.UsedToTheEnd {
		t.Errorf("noted %v (%d)", reasons, n)
	}
}

func TestAnUnusedKeyEndsWithItsOverlap(t *testing.T) {
	s := holed(t, static("c", place1))
	first := s.sweep().only(t, result.Published)
	value := s.keys("c")[first.Key].Value
	s.cloud.Advance(time.Hour)
	s.one(sample.Rotate("c", s.cloud.Now()), testToken, result.Published)
	s.cloud.Advance(3 * time.Hour)
	if _, err := s.cloud.Cloud().ExchangeAPIKey(value); err != nil {
		t.Fatal(err) // a consumer that has not read its store again yet
	}
	s.sweeps(23)
	if _, alive := s.keys("c")[first.Key]; alive {
		t.Errorf("it is still there after 26 hours")
	}
}

func TestAStoreThatIsAddedIsFilledWithoutARotation(t *testing.T) {
	s := holed(t, static("c", place1))
	first := s.sweep().only(t, result.Published)
	s.url = s.serve(holesHead + static("c", place1, place2))
	out := s.sweep().only(t, result.Changed)
	key, value := s.entry("team-a", "logs-sender", "IAM_API_KEY")
	if out.Key != first.Key || key != first.Key || value != s.keys("c")[first.Key].Value {
		t.Errorf("outcome %+v, the added store names %q", out, key)
	}
	// And one that is removed keeps what it has.
	s.sweeps(1)
	second := s.one(sample.Rotate("c", s.cloud.Now()), testToken, result.Published)
	s.url = s.serve(holesHead + static("c", place1))
	left := s.sweep().only(t, result.Unchanged)
	if len(left.Notes) != 1 || left.Notes[0].Reason != reason.StoreDropped || !strings.Contains(left.Notes[0].Store, "team-a") || left.Notes[0].At.IsZero() {
		t.Errorf("notes %+v: the note that consumers of the removed store lose the key is missing", left.Notes)
	}
	first.Key = second.Key
	if key, _ := s.entry("team-a", "logs-sender", "IAM_API_KEY"); key != first.Key {
		t.Errorf("the removed store names %q", key)
	}
}

func TestAStoreThatIsDownForADayMakesNoKeysAndHealsByItself(t *testing.T) {
	s := holed(t, static("c", place1, place2))
	s.sweep()
	s.cloud.Advance(60 * 24 * time.Hour)
	s.cloud.Inject(emulator.Fault{Path: "/v2/projects/" + s.project("team-a").ID + "/secrets/*", Kind: emulator.FaultStatus, Status: 503})
	for range 24 {
		s.sweeps(1)
		if n := len(s.keys("c")); n != 1 {
			t.Fatalf("%d keys while a store is down", n)
		}
	}
	s.cloud.ClearFaults()
	s.sweep().only(t, result.Published)
	s.sweep().only(t, result.Unchanged)
}

func TestTooManyForcedRotationsAreAStorm(t *testing.T) {
	var entries string
	for i := range 12 {
		entries += static(fmt.Sprintf("c%d", i), fmt.Sprintf("us-south/team-b/logs-sender#K%d", i))
	}
	s := holed(t, entries)
	s.sweep()
	s.cloud.Advance(time.Hour)
	rotated, held := 0, []string{}
	for i := range 12 {
		r := s.post(s.url, sample.Rotate(fmt.Sprintf("c%d", i), s.cloud.Now()), testToken)
		switch out := r.outcomes[0]; out.Result {
		case result.Published:
			rotated++
		case result.Blocked:
			if out.Reason != reason.Storm || r.status != http.StatusAccepted {
				t.Errorf("answered %d %s", r.status, r.body)
			}
			held = append(held, out.Credential)
		}
	}
	if rotated != 10 || len(held) != 2 {
		t.Fatalf("%d rotated, %v held back; want 10 and 2", rotated, held)
	}
	// What was asked is not forgotten.
	s.cloud.Advance(61 * time.Minute)
	for _, out := range s.sweep().outcomes {
		if slices.Contains(held, out.Credential) && out.Result != result.Published {
			t.Errorf("%s: %s after the storm", out.Credential, out.Result)
		}
	}
}

func TestWhatIsMarkedAndYieldedByNothingIsReported(t *testing.T) {
	s := holed(t, static("c", place1)+static("d", place2))
	s.sweep()
	before := s.cloud.State(true)
	s.url = s.serve(holesHead + static("c", place1))
	r := s.sweep()
	i := slices.IndexFunc(r.outcomes, func(o result.Outcome) bool { return o.Credential == "d" })
	if r.status != http.StatusOK || len(r.outcomes) != 2 || i < 0 || r.outcomes[i].Result != result.Unconfigured || r.outcomes[i].Reason != reason.Unconfigured {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	if diff := cmp.Diff(before.APIKeys, s.cloud.State(true).APIKeys, ignoreUse); diff != "" {
		t.Errorf("its keys were changed:\n%s", diff)
	}
	// Brought back under another name it goes on where it was.
	s.url = s.serve(holesHead + static("c", place1) + strings.Replace(static("e", place2), "serviceID: {name: e,", "formerly: [d]\n  serviceID: {name: d,", 1))
	r = s.sweep()
	i = slices.IndexFunc(r.outcomes, func(o result.Outcome) bool { return o.Credential == "e" })
	if i < 0 || r.outcomes[i].Result != result.Changed || !slices.Equal(took(r.outcomes[i]), []string{"rename"}) {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	r = s.sweep()
	if len(r.outcomes) != 2 || r.outcomes[0].Result != result.Unchanged || r.outcomes[1].Result != result.Unchanged {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

const perProject = `
- name: logs-sender
  forEach: codeengine.projects
  where: project.name.startsWith("team-")
  onGone: %s
  serviceID: {name: "logs-sender-${project.name}", policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: "${project.id}", secret: logs-sender, entry: IAM_API_KEY}
`

func TestTheKeysOfAProjectThatIsGone(t *testing.T) {
	for what, tc := range map[string]struct {
		onGone           string
		forGood          bool
		left, serviceIDs int
	}{
		"are kept and reported, unless the config says more":             {"keep", true, 1, 1},
		"end after an overlap, and the service ID too, with revoke":      {"revoke", true, 0, 0},
		"are kept even with revoke as long as the project can come back": {"revoke", false, 1, 1},
	} {
		t.Run(what, func(t *testing.T) {
			what := tc.onGone
			s := holed(t, fmt.Sprintf(perProject, what))
			s.cloud.Cloud().AddProject("team-shop", "eu-de")
			s.sweep()
			id := s.project("team-shop").ID
			credential := "logs-sender/" + id
			if len(s.keys(credential)) != 1 {
				t.Fatal("the project got no key")
			}
			others := len(s.cloud.State(false).ServiceIDs) - 1
			s.cloud.Cloud().RemoveProject(id)
			if tc.forGood {
				s.cloud.Cloud().PurgeProject(id)
			}
			if out := find(s.sweep().outcomes, credential); what == "keep" && (out == nil || out.Reason != reason.Unconfigured) {
				t.Errorf("the sweep says %+v", out)
			}
			s.sweeps(30)
			if n := len(s.keys(credential)); n != tc.left {
				t.Errorf("%d keys are left, want %d", n, tc.left)
			}
			if n := len(s.cloud.State(false).ServiceIDs) - others; n != tc.serviceIDs {
				t.Errorf("%d service IDs are left, want %d", n, tc.serviceIDs)
			}
		})
	}
}

func TestAProjectWhoseRegionDoesNotAnswerIsNotGone(t *testing.T) {
	s := holed(t, fmt.Sprintf(perProject, "revoke"))
	s.sweep()
	before := s.cloud.State(true).APIKeys
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects", Kind: emulator.FaultStatus, Status: 403})
	s.sweeps(2)
	s.cloud.ClearFaults()
	s.url = s.serve(strings.Replace(holesHead, "[eu-de, us-south]", "[eu-de]", 1) + fmt.Sprintf(perProject, "revoke"))
	s.sweeps(2)
	if diff := cmp.Diff(before, s.cloud.State(true).APIKeys, ignoreUse); diff != "" {
		t.Errorf("keys were changed:\n%s", diff)
	}
}

func find(outcomes []result.Outcome, credential string) *result.Outcome {
	for i := range outcomes {
		if outcomes[i].Credential == credential {
			return &outcomes[i]
		}
	}
	return nil
}

// ignoreUse leaves out of a comparison what looking at a key leaves on it.
var ignoreUse = cmp.FilterPath(func(p cmp.Path) bool {
	last := p.Last().String()
	return last == ".LastAuthn" || last == ".AuthnCount"
}, cmp.Ignore())

func TestAForeignServiceIDGetsKeysAndNothingElse(t *testing.T) {
	s := holed(t, static("c", place1))
	given := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "terraformed", AccountID: s.cloud.Ready().Account, Description: "by Terraform"})
	s.cloud.Cloud().Grant(given.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	theirs := s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: given.IAMID, AccountID: s.cloud.Ready().Account, Name: "theirs"})
	before := s.cloud.State(true)
	theirs = before.APIKeys[slices.IndexFunc(before.APIKeys, func(k cloud.APIKey) bool { return k.ID == theirs.ID })]
	s.url = s.serve(holesHead + strings.Replace(static("g", place2), "serviceID: {name: g, policies: [{service: logs, roles: [Sender]}]}",
		fmt.Sprintf("serviceID: {id: %s, manage: keys}", given.ID), 1))
	first := s.sweep().only(t, result.Published)
	if first.ServiceID != given.ID {
		t.Errorf("outcome %+v", first)
	}
	s.cloud.Advance(61 * 24 * time.Hour)
	s.sweep().only(t, result.Published)
	s.sweeps(26)
	after := s.cloud.State(true)
	if diff := cmp.Diff(before.ServiceIDs, after.ServiceIDs, ignoreUse); diff != "" {
		t.Errorf("service IDs were changed:\n%s", diff)
	}
	if diff := cmp.Diff(before.Policies, after.Policies); diff != "" {
		t.Errorf("policies were changed:\n%s", diff)
	}
	if len(s.keys("g")) != 1 {
		t.Errorf("%d keys of ours", len(s.keys("g")))
	}
	i := slices.IndexFunc(after.APIKeys, func(k cloud.APIKey) bool { return k.ID == theirs.ID })
	if i < 0 {
		t.Fatal("their key is gone")
	}
	if diff := cmp.Diff(theirs, after.APIKeys[i], ignoreUse); diff != "" {
		t.Errorf("their key was changed:\n%s", diff)
	}
}

func TestAServiceIDIsMadeAMemberOfAccessGroups(t *testing.T) {
	s := holed(t, static("c", place1))
	admin := s.cloud.Ready()
	group := createGroup(t, admin.URL, s.admin(), admin.Account, "log senders")
	s.cloud.Cloud().Grant(group, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	for name, want := range map[string]string{"by ID": group, "by name": "log senders"} {
		t.Run(name, func(t *testing.T) {
			entry := "g" + strings.TrimPrefix(name, "by ")
			entry = strings.ToLower(entry)
			s.url = s.serve(holesHead + strings.Replace(static(entry, "eu-de/team-a/"+entry+"#KEY"), "policies: [{service: logs, roles: [Sender]}]",
				fmt.Sprintf("accessGroups: [%s]", want), 1))
			r := s.post(s.url, sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{entry}}), testToken)
			out := r.only(t, result.Published)
			if diff := cmp.Diff([]string{"create-service-id", "grant-policy", "mint", "prove", "publish", "unfuse"}, took(out)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
	s.url = s.serve(holesHead + strings.Replace(static("n", "eu-de/team-a/n#KEY"), "policies: [{service: logs, roles: [Sender]}]", "accessGroups: [unknown]", 1))
	r := s.post(s.url, sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{"n"}}), testToken)
	if out := r.only(t, result.Blocked); out.Reason != reason.GroupDenied || len(s.keys("n")) > 0 {
		t.Errorf("outcome %+v", out)
	}
}

func TestAnExistingKeyIsTakenOverWhereItsValueIs(t *testing.T) {
	s := holed(t, static("c", place1))
	given := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "old", AccountID: s.cloud.Ready().Account})
	s.cloud.Cloud().Grant(given.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	key := s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: given.IAMID, AccountID: s.cloud.Ready().Account, Name: "by hand", Description: "made in 2024"})
	s.cloud.Cloud().PutSecret(s.project("team-a").ID, "old", map[string]string{"KEY": key.Value, "OTHER": "kept"})
	adopting := func(adopt string) string {
		return strings.Replace(static("a", "eu-de/team-a/old#KEY", "us-south/team-b/old#KEY"), "serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}",
			fmt.Sprintf("adopt: %s\n  serviceID: {id: %s, manage: keys}", adopt, given.ID), 1)
	}

	s.url = s.serve(holesHead + adopting("false"))
	if out := s.sweep().only(t, result.Blocked); out.Reason != reason.EntryUnmarked {
		t.Errorf("unasked: %+v", out)
	}
	s.url = s.serve(holesHead + adopting("ApiKey-00000000-0000-4000-8000-000000000000"))
	if out := s.sweep().only(t, result.Blocked); out.Reason != reason.AdoptionFailed {
		t.Errorf("another key: %+v", out)
	}
	s.url = s.serve(holesHead + adopting(key.ID))
	if out := s.sweep().only(t, result.Changed); !slices.Equal(took(out), []string{"adopt"}) || out.Key != key.ID {
		t.Fatalf("outcome %+v", out)
	}
	if out := s.sweep().only(t, result.Changed); !slices.Equal(took(out), []string{"copy"}) {
		t.Errorf("outcome %+v", out)
	}
	if id, value := s.entry("team-b", "old", "KEY"); id != key.ID || value != key.Value {
		t.Errorf("the other store names %q", id)
	}
	s.sweep().only(t, result.Unchanged)
	s.cloud.Advance(61 * 24 * time.Hour)
	out := s.sweep().only(t, result.Published)
	if out.Replaced != key.ID || out.ReplacedEnds.IsZero() {
		t.Errorf("outcome %+v", out)
	}
	s.sweeps(26)
	for _, k := range s.cloud.State(false).APIKeys {
		if k.ID == key.ID {
			t.Errorf("the adopted key was not ended: %+v", k)
		}
	}
}

// admin is an identity that may do everything.
func (s *stage) admin() string {
	s.t.Helper()
	token, err := s.cloud.Cloud().ExchangeAPIKey(s.cloud.Ready().APIKey)
	if err != nil {
		s.t.Fatal(err)
	}
	return token.AccessToken
}

func createGroup(t *testing.T, url, token, account, name string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+"/v2/groups?account_id="+account, strings.NewReader(fmt.Sprintf(`{"name":%q}`, name)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var group struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&group); err != nil || group.ID == "" {
		t.Fatalf("creating a group: %d %v", resp.StatusCode, err)
	}
	return group.ID
}

func TestAPublicationIsReadBackWhereTheConfigAsks(t *testing.T) {
	s := holed(t, strings.Replace(static("c", place1), "entry: IAM_API_KEY}", "entry: IAM_API_KEY}\n    readBack: true", 1))
	first := s.sweep().only(t, result.Published)
	s.cloud.Advance(60 * 24 * time.Hour)
	// The look's read is let through, the one that follows the write is not.
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 500, After: 1, Count: 1})
	out := s.sweep().only(t, result.Failed)
	if out.Key == first.Key || slices.Contains(took(out), "supersede") || !strings.Contains(out.Error, "back from") {
		t.Errorf("outcome %+v: it is unknown what consumers read, and yet the old key ends", out)
	}
	s.cloud.ClearFaults()
	if out := s.sweep().only(t, result.Changed); !slices.Equal(took(out), []string{"supersede"}) {
		t.Errorf("outcome %+v", out)
	}
}
