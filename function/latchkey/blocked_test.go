package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// trouble is one way to be blocked: what a person or IBM Cloud did, and what a
// person does to fix it.
type trouble struct {
	config string // the credentials; the default is one static credential c
	first  bool   // c is provisioned before
	cause  func(s *stage)
	ask    func(s *stage) reply // the default is a sweep
	fix    func(s *stage)
	// after is how the next sweep of c ends.
	after result.Result
}

func (s *stage) publishedKey() string {
	key, _ := s.entry("team-b", "logs-sender", "IAM_API_KEY")
	if key == "" {
		s.t.Fatal("nothing is published")
	}
	return key
}

func (s *stage) serviceID(name string) string {
	for _, id := range s.cloud.State(false).ServiceIDs {
		if id.Name == name {
			return id.ID
		}
	}
	s.t.Fatalf("no service ID %s", name)
	return ""
}

// keyIdentity returns the service ID that a key is on.
func (s *stage) keyIdentity(key string) string {
	for _, k := range s.cloud.State(false).APIKeys {
		if k.ID == key {
			return strings.TrimPrefix(k.IAMID, "iam-")
		}
	}
	s.t.Fatalf("no key %s", key)
	return ""
}

// withoutPolicy takes the policy off a service ID and locks it, or unlocks it.
func (s *stage) withoutPolicy(id string, locked bool) {
	if locked {
		s.cloud.Cloud().Revoke("iam-"+id, "logs")
	}
	s.cloud.Cloud().SetServiceIDLocked(id, locked)
}

// fail plays what happens to an app's revision.
func (s *stage) fail(project, app string, p cloud.Play) {
	if _, err := s.cloud.Cloud().PlayApp(project, app, p); err != nil {
		s.t.Fatal(err)
	}
}

func fails(method, path string, status int) func(*stage) {
	return func(s *stage) {
		s.cloud.Inject(emulator.Fault{Method: method, Path: path, Kind: emulator.FaultStatus, Status: status})
	}
}

func clears(s *stage) { s.cloud.ClearFaults() }

// untold are the blocks that status does not tell, and why.
var untold = map[reason.Reason]string{
	reason.ClockSkew:      "it is the clock of another process",
	reason.Storm:          "it is the limit of another process",
	reason.KeyForeign:     "it is about a demand that was not recorded",
	reason.InUse:          "it is about a demand that was not recorded",
	reason.EndRefused:     "it is about a demand that was not recorded",
	reason.KeyUnwanted:    "it is about a demand that was not recorded",
	reason.IdentityDenied: "there is no service ID to keep it on",
}

// status checks that a look tells a block, with an exit code for a person.
func (s *stage) status(why reason.Reason) {
	s.t.Helper()
	code, text := s.as(s.cloud.Ready().APIKey, s.config, "status", "c", "-o", "json")
	var listed struct{ Outcomes []result.Outcome }
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&listed); err != nil || len(listed.Outcomes) != 1 {
		s.t.Fatalf("%v in\n%s", err, text)
	}
	want := cli.ExitAct
	if why == reason.Paused {
		want = cli.ExitOK
	}
	if o := listed.Outcomes[0]; o.Reason != why || code != want || o.Next.IsZero() {
		s.t.Errorf("status: exit %d, %s (%s), next %s: %s", code, o.Condition, o.Reason, o.Next, o.Message)
	}
}

// Each reason to be blocked is caused here through the emulator, and goes away when
// a person does what its fix says.
func TestEveryBlockIsCausedAndFixed(t *testing.T) {
	const secrets = "/v2/projects/*/secrets"
	due := func(s *stage) { s.cloud.Advance(60 * 24 * time.Hour) }
	given := func(id string) string {
		return strings.Replace(static("c", place1), "serviceID: {name: c, policies: [{service: logs, roles: [Sender]}]}", "serviceID: {id: "+id+", manage: keys}", 1)
	}
	adopting := func(key string) string {
		return strings.Replace(static("c", place1), "serviceID:", "adopt: "+key+"\n  serviceID:", 1)
	}
	grouped := strings.Replace(static("c", place1), "policies: [{service: logs, roles: [Sender]}]", "accessGroups: [senders]", 1)
	unkept := strings.Replace(static("c", place1), "serviceID:", "keep: false\n  serviceID:", 1)
	ends := func(s *stage) reply {
		return s.post(s.url, sample.Binary("dev.latchkey.deprovision", "/desk", s.cloud.Now(), map[string]any{"credential": "c"}), testToken)
	}
	var many, locked string
	for i := range 11 {
		many += static(fmt.Sprintf("c%d", i), fmt.Sprintf("us-south/team-b/many#K%d", i))
	}

	troubles := map[reason.Reason]trouble{
		reason.Paused: {
			cause: func(s *stage) {
				s.url = s.serve(holesHead + strings.Replace(static("c", place1), "serviceID:", "paused: true\n  serviceID:", 1))
			},
			fix:   func(s *stage) { s.url = s.serve(holesHead + static("c", place1)) },
			after: result.Published,
		},
		reason.ClockSkew: {
			first: true,
			cause: func(s *stage) {
				right := s.parts.reconciler.Now
				s.parts.reconciler.Now = func() time.Time { return right().Add(6 * time.Minute) }
				s.fix = func() { s.parts.reconciler.Now = right }
			},
			fix: func(s *stage) { s.fix() }, after: result.Unchanged,
		},
		reason.NewerVersion: {
			cause: func(s *stage) {
				newer := strings.Replace(marker.Marker{Owner: "example", Credential: "c"}.Text(), "v=1", "v=2", 1)
				ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "c", Description: newer})
			},
			fix:   func(s *stage) { s.cloud.Cloud().RemoveServiceID(s.serviceID("c")) }, // as the newer version would
			after: result.Published,
		},
		reason.NameTaken: {
			cause: func(s *stage) {
				s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "c", AccountID: s.cloud.Ready().Account, Description: "foreign"})
			},
			fix:   func(s *stage) { s.cloud.Cloud().RemoveServiceID(s.serviceID("c")) },
			after: result.Published,
		},
		reason.NameCollision: {
			cause: func(s *stage) {
				m := marker.Marker{Owner: "example", Credential: "other"}
				ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "c", Description: m.Text()})
			},
			fix:   func(s *stage) { s.cloud.Cloud().RemoveServiceID(s.serviceID("c")) },
			after: result.Published,
		},
		reason.IdentityLocked: {
			first: true,
			cause: func(s *stage) {
				s.cloud.Cloud().Revoke("iam-"+s.serviceID("c"), "logs")
				s.cloud.Cloud().SetServiceIDLocked(s.serviceID("c"), true)
			},
			fix:   func(s *stage) { s.cloud.Cloud().SetServiceIDLocked(s.serviceID("c"), false) },
			after: result.Changed,
		},
		reason.IdentityGone: {
			first: true,
			cause: func(s *stage) { s.cloud.Cloud().RemoveServiceID(s.serviceID("c")); s.cloud.Advance(time.Hour) },
			fix:   func(s *stage) { s.cloud.Cloud().RemoveSecret(s.project("team-b").ID, "logs-sender") },
			after: result.Published,
		},
		reason.KeyDisabled: {
			config: strings.Replace(static("c", place1), "  stores:", "  rotation: {onDisabled: block}\n  stores:", 1), first: true,
			cause: func(s *stage) { s.cloud.Cloud().SetKeyDisabled(s.publishedKey(), true) },
			fix:   func(s *stage) { s.cloud.Cloud().SetKeyDisabled(s.publishedKey(), false) },
			after: result.Unchanged,
		},
		reason.KeyLocked: {
			first: true,
			cause: func(s *stage) {
				s.cloud.Advance(time.Hour)
				fails(http.MethodPut, secrets+"/*", 503)(s)
				locked = s.publishedKey()
				s.revoke("c", locked, false) // it is recorded, and waits for the store
				s.cloud.Cloud().SetKeyLocked(locked, true)
				clears(s)
				s.cloud.Advance(time.Hour)
				s.sweep().only(s.t, result.Published) // consumers get another key
			},
			fix:   func(s *stage) { s.cloud.Cloud().SetKeyLocked(locked, false) },
			after: result.Changed,
		},
		reason.KeyCap: {
			first: true,
			cause: func(s *stage) {
				for i := range 14 {
					s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: "iam-" + s.serviceID("c"), AccountID: s.cloud.Ready().Account, Name: fmt.Sprintf("foreign%d", i)})
				}
				due(s)
			},
			fix: func(s *stage) {
				for _, k := range s.cloud.State(false).APIKeys {
					if k.Name == "foreign0" {
						s.cloud.Cloud().RemoveKey(k.ID)
					}
				}
			},
			after: result.Published,
		},
		reason.PolicyDenied:   {cause: fails(http.MethodPost, "/v2/policies", 403), fix: clears, after: result.Published},
		reason.IdentityDenied: {cause: fails(http.MethodPost, "/v1/serviceids", 403), fix: clears, after: result.Published},
		reason.PolicyWeaker: {
			cause: func(s *stage) {
				s.cloud.Cloud().Revoke(s.cloud.Cloud().Minter().IAMID, "logs")
				s.cloud.Cloud().Grant(s.cloud.Cloud().Minter().IAMID, "logs", "crn:v1:bluemix:public:iam::::role:Administrator")
			},
			fix: func(s *stage) {
				s.cloud.Cloud().Grant(s.cloud.Cloud().Minter().IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
			},
			after: result.Published,
		},
		reason.PolicyRefused: {
			config: strings.Replace(static("c", place1), "Sender", "Sendr", 1), cause: func(*stage) {},
			fix: func(s *stage) { s.url = s.serve(holesHead + static("c", place1)) }, after: result.Published,
		},
		reason.StoreDenied: {cause: fails(http.MethodGet, secrets+"/*", 403), fix: clears, after: result.Published},
		reason.StoreRefused: {
			cause: fails(http.MethodPost, secrets, 400), after: result.Published,
			fix: func(s *stage) { clears(s); s.cloud.Advance(9 * time.Hour) },
		},
		reason.StoreSilent: {
			first: true,
			cause: func(s *stage) { s.cloud.Advance(77 * 24 * time.Hour); fails(http.MethodGet, secrets+"/*", 500)(s) },
			fix:   clears, after: result.Published,
		},
		reason.ConsumerSilent: {
			config: strings.TrimSuffix(static("c", place1), "\n") + "\n    restart: [app/absent]\n",
			cause:  func(s *stage) { s.sweep(); s.cloud.Advance(16 * 24 * time.Hour) },
			fix:    func(s *stage) { s.url = s.serve(holesHead + static("c", place1)) },
			after:  result.Unchanged,
		},
		reason.StoreQuota: {
			cause: func(s *stage) {
				for i := range 100 {
					s.cloud.Cloud().PutSecret(s.project("team-b").ID, fmt.Sprintf("other%d", i), map[string]string{"a": "b"})
				}
			},
			fix: func(s *stage) {
				for i := range 10 {
					s.cloud.Cloud().RemoveSecret(s.project("team-b").ID, fmt.Sprintf("other%d", i))
				}
				s.cloud.Advance(9 * time.Hour)
			},
			after: result.Published,
		},
		reason.EntryUnmarked: {
			cause: func(s *stage) {
				s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", map[string]string{"IAM_API_KEY": "by hand"})
			},
			fix:   func(s *stage) { s.cloud.Cloud().RemoveSecret(s.project("team-b").ID, "logs-sender") },
			after: result.Published,
		},
		reason.EntryForeign: {
			cause: func(s *stage) {
				s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", map[string]string{
					"IAM_API_KEY": "theirs", "IAM_API_KEY_ID": "ApiKey-theirs", "IAM_API_KEY_LATCHKEY": `{"owner":"other","created":"2026-01-01T00:00:00Z","iam_id":"iam-ServiceId-theirs"}`,
				})
			},
			fix:   func(s *stage) { s.cloud.Cloud().RemoveSecret(s.project("team-b").ID, "logs-sender") },
			after: result.Published,
		},
		reason.EntryAltered: {
			config: static("c", place1, place2), first: true,
			cause: func(s *stage) { // the key's name has the print of another service ID's value
				theirs := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "theirs", AccountID: s.cloud.Ready().Account})
				value := s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: theirs.IAMID, AccountID: s.cloud.Ready().Account, Name: "theirs"}).Value
				forged := ownKey(s.cloud.Cloud(), cloud.NewAPIKey{
					IAMID: "iam-" + s.serviceID("c"), Name: marker.KeyName("c", s.cloud.Now(), marker.Print(secret.New(value))),
					Description: marker.Marker{Owner: "example", Credential: "c"}.Text(), ExpiresAt: cloud.FormatTime(s.cloud.Now().Add(90 * 24 * time.Hour)),
				})
				data := s.data("team-b")
				data["IAM_API_KEY"], data["IAM_API_KEY_ID"] = value, forged.ID
				s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
				s.cloud.Cloud().RemoveSecret(s.project("team-a").ID, "logs-sender")
				s.cloud.Advance(time.Hour)
			},
			fix:   func(s *stage) { s.cloud.Cloud().RemoveSecret(s.project("team-b").ID, "logs-sender") },
			after: result.Published,
		},
		reason.EntryRewritten: {
			first: true,
			cause: func(s *stage) { // a pipeline puts its own value there after each sweep
				overwritten := func() {
					data := s.data("team-b")
					data["IAM_API_KEY"] = "the-value-of-a-pipeline"
					s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
					s.cloud.Advance(20 * time.Minute)
				}
				for range 5 {
					overwritten()
					s.sweep()
				}
				overwritten()
			},
			fix:   func(s *stage) { s.cloud.Advance(36 * time.Hour) },
			after: result.Published,
		},
		reason.ValueRefused: {cause: fails(http.MethodPost, "/v1/apikeys", 400), fix: clears, after: result.Published},
		reason.ProofDenied: {
			config: strings.Replace(static("c", place1), "  stores:", "  prove: {logs: {instance: "+cloud.LogsInstanceID+", region: eu-de}}\n  stores:", 1),
			cause:  fails(http.MethodPost, "/logs/v1/singles", 400),
			fix:    func(s *stage) { clears(s); s.cloud.Advance(9 * time.Hour) },
			after:  result.Published,
		},
		reason.Storm: {
			config: many + static("c", place1), first: true,
			cause: func(s *stage) {
				s.cloud.Advance(time.Hour)
				for i := range 10 {
					s.post(s.url, sample.Rotate(fmt.Sprintf("c%d", i), s.cloud.Now()), testToken)
				}
			},
			ask:   func(s *stage) reply { return s.post(s.url, sample.Rotate("c", s.cloud.Now()), testToken) },
			fix:   func(s *stage) { s.cloud.Advance(61 * time.Minute) },
			after: result.Published,
		},
		reason.KeyForeign: {
			first: true,
			cause: func(s *stage) {
				s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: "iam-" + s.serviceID("c"), AccountID: s.cloud.Ready().Account, Name: "theirs"})
			},
			ask: func(s *stage) reply {
				for _, k := range s.cloud.State(false).APIKeys {
					if k.Name == "theirs" {
						return s.revoke("c", k.ID, true)
					}
				}
				return reply{}
			},
			fix:   func(*stage) {}, // a demand that could never be met is not remembered
			after: result.Unchanged,
		},
		reason.ForgedMarker: {
			cause: func(s *stage) {
				m := marker.Marker{Owner: "example", Credential: "c"}
				s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "c", AccountID: s.cloud.Ready().Account, Description: m.Text()})
			},
			fix: func(s *stage) {
				var out strings.Builder
				env := s.environment()
				run := func(args ...string) int {
					out.Reset()
					return run(s.t.Context(), args, func(name string) string {
						if name == "LATCHKEY_CONFIG" {
							return holesHead + static("c", place1)
						}
						return env(name)
					}, nil, &out, &out)
				}
				if code := run("claim", s.serviceID("c")); code != cli.ExitError || !strings.Contains(out.String(), "--yes") {
					s.t.Errorf("without a terminal: exit %d: %s", code, out.String())
				}
				code := run("claim", s.serviceID("c"), "--yes")
				if code != cli.ExitOK || !strings.Contains(out.String(), cloud.OwnerIAMID) {
					s.t.Errorf("claim: exit %d: %s", code, out.String())
				}
			},
			after: result.Published,
		},
		reason.IdentityShared: {
			first: true,
			cause: func(s *stage) {
				s.cloud.Cloud().Revoke("iam-"+s.serviceID("c"), "logs")
				theirs := s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: "iam-" + s.serviceID("c"), AccountID: s.cloud.Ready().Account, Name: "theirs"})
				s.fix = func() { s.cloud.Cloud().RemoveKey(theirs.ID) }
			},
			fix: func(s *stage) { s.fix() }, after: result.Changed,
		},
		reason.IdentityTwice: {
			first: true,
			cause: func(s *stage) {
				m := marker.Marker{Owner: "example", Credential: "c"}
				other := ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "earlier", Description: m.Text()})
				key := ownKey(s.cloud.Cloud(), cloud.NewAPIKey{
					IAMID: other.IAMID, Name: marker.KeyName("c", s.cloud.Now(), "0a1b"), Description: m.Text(),
					ExpiresAt: cloud.FormatTime(s.cloud.Now().Add(90 * 24 * time.Hour)),
				})
				data := s.data("team-b")
				data["IAM_API_KEY"], data["IAM_API_KEY_ID"] = key.Value, key.ID
				s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
				s.fix = func() { s.cloud.Cloud().RemoveServiceID(other.ID); s.cloud.Advance(time.Hour) }
			},
			fix: func(s *stage) { s.fix() }, after: result.Published,
		},
		reason.IdentityAbsent: {
			cause: func(s *stage) { s.url = s.serve(holesHead + given("ServiceId-00000000-0000-4000-8000-000000000000")) },
			fix: func(s *stage) {
				made := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "theirs", AccountID: s.cloud.Ready().Account})
				s.cloud.Cloud().Grant(made.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
				s.url = s.serve(holesHead + given(made.ID))
			},
			after: result.Published,
		},
		reason.GroupDenied: {
			config: grouped, cause: func(*stage) {},
			fix: func(s *stage) {
				createGroup(s.t, s.cloud.Ready().URL, s.admin(), s.cloud.Ready().Account, "senders")
			},
			after: result.Published,
		},
		reason.ConsumerFailed: {
			config: strings.Replace(static("c", place1), "entry: IAM_API_KEY}", "entry: IAM_API_KEY}\n    restart: true", 1), first: true,
			cause: func(s *stage) {
				id := s.project("team-b").ID
				s.cloud.Cloud().AddApp(id, "theirs", map[string]any{"run_env_variables": []any{
					map[string]any{"type": "secret_full_reference", "reference": "logs-sender"},
				}})
				s.sweep()
				s.fail(id, "theirs", cloud.Play{Kind: cloud.PlayFail})
				s.cloud.Advance(60 * 24 * time.Hour)
				s.fix = func() { s.fail(id, "theirs", cloud.Play{Kind: cloud.PlayRelease}) }
			},
			fix: func(s *stage) { s.fix() }, after: result.Changed,
		},
		reason.OwnLogin: {
			cause: func(s *stage) {
				s.url = s.serve(holesHead + given(strings.TrimPrefix(s.cloud.Cloud().Minter().IAMID, "iam-")))
			},
			fix:   func(s *stage) { s.url = s.serve(holesHead + static("c", place1)) },
			after: result.Published,
		},
		reason.ExpansionFailed: {
			cause: func(s *stage) {
				s.url = s.serve(holesHead + strings.Replace(static("c", place1), "serviceID: {name: c,", `serviceID: {name: 'c${["x"][1]}',`, 1))
			},
			fix:   func(s *stage) { s.url = s.serve(holesHead + static("c", place1)) },
			after: result.Published,
		},
		reason.InUse: {
			first: true, cause: func(s *stage) { s.url = s.serve(holesHead + unkept) }, ask: ends,
			fix: func(s *stage) { s.cloud.Advance(8 * 24 * time.Hour); ends(s) }, after: result.InProgress,
		},
		reason.EndRefused: {
			first: true, cause: func(*stage) {}, ask: ends,
			fix: func(s *stage) {
				s.url = s.serve(holesHead + unkept)
				s.cloud.Advance(8 * 24 * time.Hour)
				ends(s)
			}, after: result.InProgress,
		},
		reason.KeyUnwanted: {
			cause: func(s *stage) {
				s.url = s.serve(holesHead + strings.Replace(static("c", place1), "  serviceID:",
					"  mode: keyless\n  trust: [{type: CE, crn: \""+s.project("team-a").CRN+"\"}]\n  serviceID:", 1))
			},
			ask: func(s *stage) reply { return s.post(s.url, sample.Rotate("c", s.cloud.Now()), testToken) },
			fix: func(s *stage) { s.url = s.serve(holesHead + static("c", place1)) }, after: result.Published,
		},
		reason.EntryRemoved: {
			first: true,
			cause: func(s *stage) {
				s.url = s.serve(holesHead + unkept)
				s.cloud.Cloud().RemoveSecret(s.project("team-b").ID, "logs-sender")
			},
			fix: func(s *stage) {
				s.cloud.Advance(time.Hour)
				s.url = s.serve(holesHead + static("c", place1))
			},
			after: result.Published,
		},
		reason.AdoptionFailed: {
			cause: func(s *stage) {
				made := ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{
					Name: "c", AccountID: s.cloud.Ready().Account, Description: marker.Marker{Owner: "example", Credential: "c"}.Text(),
				})
				s.cloud.Cloud().Grant(made.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
				key := s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: made.IAMID, AccountID: s.cloud.Ready().Account, Name: "old"})
				s.url = s.serve(holesHead + adopting(key.ID))
				s.fix = func() {
					s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", map[string]string{"IAM_API_KEY": key.Value})
				}
			},
			fix: func(s *stage) { s.fix() }, after: result.Changed,
		},
	}

	for _, reason := range blockedReasons(t) {
		tc, ok := troubles[reason]
		if !ok {
			t.Errorf("nothing here causes %q", reason)
			continue
		}
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			credentials := tc.config
			if credentials == "" {
				credentials = static("c", place1)
			}
			s := holed(t, credentials)
			if tc.first {
				s.sweep()
				s.publishedKey()
			}
			tc.cause(s)
			ask := tc.ask
			if ask == nil {
				ask = (*stage).sweep
			}
			r := ask(s)
			out := find(r.outcomes, "c")
			if out == nil || out.Result != result.Blocked || out.Reason != reason || out.Message == "" || r.status != http.StatusAccepted {
				t.Fatalf("answered %d %s", r.status, r.body)
			}
			texts := []string{out.Message, out.Error}
			for _, step := range out.Steps {
				texts = append(texts, step.Error)
			}
			for _, note := range out.Notes {
				texts = append(texts, note.Message)
			}
			for _, text := range texts {
				if phrase := repeated(text); phrase != "" {
					t.Errorf("%q twice in %s", phrase, text)
				}
			}
			if why, is := untold[reason]; !is {
				s.status(reason)
			} else if why == "" {
				t.Error("no reason why status does not tell it")
			}
			tc.fix(s)
			if out := find(s.sweep().outcomes, "c"); out == nil || out.Result != tc.after {
				t.Errorf("after it was mended: %+v, want %s", out, tc.after)
			}
		})
	}
}

// blockedReasons reads the reasons from where they are declared, so that a new
// one without a test is found.
func blockedReasons(t *testing.T) (reasons []reason.Reason) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../internal/reason/reason.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range f.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST || !strings.HasPrefix(group.Doc.Text(), "Reasons to be blocked") {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
			reasons = append(reasons, reason.Reason(strings.Trim(value, `"`)))
		}
	}
	if len(reasons) < 20 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	return reasons
}

// Whether a locked service ID takes keys is not documented: either way is
// understood.
func TestALockedServiceIDThatRefusesKeysIsNamed(t *testing.T) {
	t.Parallel() // it waits
	s := holed(t, static("c", place1))
	s.sweep()
	switches := s.cloud.Cloud().Switches()
	switches.LockedTakesKeys = false
	s.cloud.Cloud().SetSwitches(switches)
	s.cloud.Cloud().SetServiceIDLocked(s.serviceID("c"), true)
	s.cloud.Advance(60 * 24 * time.Hour)
	if out := s.sweep().only(t, result.Blocked); out.Reason != reason.IdentityLocked {
		t.Errorf("outcome %+v", out)
	}
	s.cloud.Cloud().SetServiceIDLocked(s.serviceID("c"), false)
	s.sweep().only(t, result.Published)
}

// A person needs to know which consumer it is, and what the upstream said about it.
func TestASilentConsumerIsNamed(t *testing.T) {
	config := holesHead + strings.TrimSuffix(static("c", place1), "\n") + "\n    restart: [app/absent]\n"
	for name, tc := range map[string]struct {
		fail  func(*stage)
		words string
	}{
		"an app that does not exist":  {func(*stage) {}, "app/team-b/absent"},
		"apps that can't be listed":   {fails(http.MethodGet, "/v2/projects/*/apps", 403), "listing the apps of project"},
		"an error of the app's cloud": {fails(http.MethodGet, "/v2/projects/*/apps", 503), "503"},
	} {
		t.Run(name, func(t *testing.T) {
			s := holed(t, static("c", place1))
			s.sweep()
			s.cloud.Advance(16 * 24 * time.Hour)
			tc.fail(s)
			_, text := s.as(s.cloud.Ready().APIKey, config, "status", "c", "-o", "json")
			if !strings.Contains(text, string(reason.ConsumerSilent)) || !strings.Contains(text, tc.words) {
				t.Errorf("want %s and %q in\n%s", reason.ConsumerSilent, tc.words, text)
			}
		})
	}
}
