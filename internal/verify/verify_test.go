package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/verify"
)

// login adds a token of a key, which it renews after ten minutes.
type login struct {
	server *emulator.Server
	key    string
	last   *http.Header
	at     *time.Time
}

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	if now := l.server.Now(); l.last.Get("Authorization") == "" || now.Sub(*l.at) > 10*time.Minute {
		resp, err := http.PostForm(l.server.URL()+"/identity/token", url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {l.key}})
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		var token struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
			return nil, err
		}
		l.last.Set("Authorization", "Bearer "+token.AccessToken)
		*l.at = now
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", l.last.Get("Authorization"))
	return http.DefaultTransport.RoundTrip(r)
}

func account(t *testing.T, opts emulator.Options) (*emulator.Server, verify.Config) {
	t.Helper()
	server, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ready := server.Ready()
	minter := server.Cloud().Minter().IAMID
	server.Cloud().Grant(minter, "secrets-manager", "crn:v1:bluemix:public:iam::::serviceRole:Manager", "crn:v1:bluemix:public:iam::::role:Administrator",
		"crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader", "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretTaskUpdater")
	server.Cloud().Grant(minter, "codeengine", "crn:v1:bluemix:public:iam::::role:Administrator") // to let a key start jobs
	for _, service := range []string{"iam-identity", "iam-groups"} {
		server.Cloud().Grant(minter, service, "crn:v1:bluemix:public:iam::::role:Editor")
	}
	pod := cloud.ComputeResource{CRType: "IKS_SA", LinkedResource: cloud.LinkedResource{
		CRN: "crn:v1:bluemix:public:containers-kubernetes:eu-de:a/" + ready.Account + ":c0d19dnd0uii3pk7po40::", Namespace: "agents", Name: "agent",
	}}
	token, err := server.Cloud().IssueCRTokenFor(pod)
	if err != nil {
		t.Fatal(err)
	}
	return server, verify.Config{
		Pod: verify.Pod{Type: pod.CRType, Cluster: pod.CRN, Namespace: pod.Namespace, Owner: pod.Name, Token: token},
		Notifications: verify.Notifications{
			Origin: ready.URL, Instance: ready.Notifications, Source: "source",
			CRN: "crn:v1:bluemix:public:event-notifications:eu-de:a/" + ready.Account + ":" + ready.Notifications + "::",
		},
		HTTP: &http.Client{Transport: login{server, ready.APIKey, &http.Header{}, new(time.Time)}}, Plain: &http.Client{}, IAM: ready.URL, Account: ready.Account,
		Project: verify.Project{Origin: ready.URL, ID: ready.Projects[0].ID}, Logs: verify.Logs{Origin: ready.URL, Instance: ready.Logs},
		Secrets: verify.Secrets{Origin: ready.URL, Instance: ready.SecretsManager.ID, Host: ready.SecretsManager.ID + "." + ready.SecretsManager.Region + ".secrets-manager.appdomain.cloud"}, Fill: true,
		NewProject: verify.NewProject{Origin: ready.URL, Host: "api.eu-gb.codeengine.cloud.ibm.com", Region: "eu-gb", Groups: []string{"", "0e1"}},
		Now:        server.Now, Log: io.Discard,
		Wait: func(ctx context.Context, d time.Duration) error {
			server.Advance(d)
			return ctx.Err()
		},
	}
}

// left returns what a verification made and did not delete.
func left(server *emulator.Server) (names []string) {
	state := server.State(false)
	state.Projects = slices.DeleteFunc(state.Projects, func(p cloud.ProjectState) bool { return p.Status == "soft_deleted" })
	data, _ := json.Marshal(state)
	for _, s := range state.ServiceIDs {
		if strings.HasPrefix(s.Name, "latchkey-verify-") {
			names = append(names, s.Name)
		}
	}
	for _, k := range state.APIKeys {
		if strings.HasPrefix(k.Name, "latchkey-verify-") {
			names = append(names, k.ID)
		}
	}
	if strings.Contains(string(data), "latchkey-verify-") && names == nil {
		names = append(names, "something else")
	}
	return names
}

func asJSON(t *testing.T, v any) (m map[string]any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEachSwitchOfAnEmulatorIsFoundAndNothingIsLeft(t *testing.T) {
	others := map[string]string{
		"duplicateKeyValueStatus": "422", "staleIdentityStatus": "412", "stalePolicyStatus": "412", "staleCodeEngineStatus": "409",
		"missingIfMatchStatus": "428", "lockedStatus": "423", "lockedTakesKeys": "false", "lockedSubjectStatus": "423", "keyLimitCode": "limit_exceeded",
		"updateKeepsLeakAction": "false", "programsCreateServiceIDs": "true", "missingIDGroupStatus": "400", "unusableKeyCode": "BXNIM0410E",
		"unusableKeyStatus": "401", "pastExpiryRefused": "false", "deletedKeysLive": "false", "lagHidesServiceIDs": "false", "deletedListed": "false",
		"askedRolesEchoed": "false", "nothingGrantedRole": "crn:v1:bluemix:public:iam::::role:Operator", "conflictComparesRoles": "false",
		"conflictShowsPolicy": "false", "existingCodeEngineStatus": "400", "invalidCodeEngineStatus": "422", "logsTokenStatus": "403",
		"logsSuccessBody": `{"status":"ok"}`, "logsAgeStatus": "400",
		"existingSecretStatus": "400", "groupWithSecretsStatus": "400", "secretNamesPerGroup": "true", "underscoresInSecretNames": "true", "quotaStatus": "429",
		"policyPageSize": "20", "groupConflictStatus": "422", "idGroupConflictStatus": "400", "oversizedJobStatus": "413", "anyFunctionMemory": "true",
		"missingBuildStatus": "404", "vpeNotEnabled": "true", "suitePlaceholders": "true", "versionlessIsOldest": "true",
		"keysNeedAdministrator": "true", "subjectNeedsAdministrator": "true", "versionDataDeleteRole": "Writer", "destroyedSecretStatus": "410",
		"busySecretStatus": "423", "undeletedCredentialsStatus": "412", "inactiveProjectStatus": "404", "projectNamesPerRegion": "true",
		"newestRevisionStatus": "400", "failedRolloutStatus": "failed",
		"usedRegistrationStatus": "400", "notificationTimeChecked": "false", "linkNameChecked": "false", "identityLimitStatus": "422", "secretLimitStatus": "429",
	}
	for name, turn := range map[string]map[string]string{"the guesses": {}, "the other choices": others} {
		t.Run(name, func(t *testing.T) {
			switches := cloud.DefaultSwitches()
			for name, value := range turn {
				if err := switches.Turn(name, value); err != nil {
					t.Fatal(err)
				}
			}
			server, cfg := account(t, emulator.Options{Switches: &switches, Lag: 5 * time.Second, ProjectDelay: emulator.UsualProjectDelay})
			report, err := verify.Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			want := asJSON(t, switches)
			got := asJSON(t, report.Switches)
			for name := range others {
				if !reflect.DeepEqual(got[name], want[name]) {
					t.Errorf("%s: found %v, want %v (%s)", name, got[name], want[name], report.Untried[name])
				}
			}
			for name := range got {
				if _, known := want[name]; !known {
					t.Errorf("%s is no switch", name)
				}
			}
			for name := range want {
				if _, settled := got[name]; !settled && (name != "leakIgnoresLock" || report.Untried[name] == "") {
					t.Errorf("%s is open: %s", name, report.Untried[name])
				}
			}
			for _, l := range report.Lags {
				if !l.Seen {
					t.Errorf("%s was not seen", l.Of)
				}
			}
			limits := map[string]verify.Limit{}
			for _, l := range report.Limits {
				limits[l.Of] = l
			}
			for of, most := range map[string]int{
				"keys of a service ID": 20, "secrets of a Code Engine project": 100, "groups of a Secrets Manager instance": 200, "policies of a service ID": 1000,
			} {
				if limits[of].Accepted != most {
					t.Errorf("%s: %+v, want %d", of, limits[of], most)
				}
			}
			for _, of := range []string{"service IDs of the account", "policies of the account"} {
				if l := limits[of]; l.Used == 0 || l.Documented == 0 {
					t.Errorf("%s: %+v", of, l)
				}
			}
			for _, r := range report.Rights {
				if !r.Refused && turn["programsCreateServiceIDs"] == "" {
					t.Errorf("a key may do what nothing allows: %s", r.Tried)
				}
			}
			server.Advance(time.Hour) // what is deleted leaves the lists
			if names := left(server); len(names) > 0 || len(report.Left) > 0 {
				t.Errorf("left behind: %v, %v", names, report.Left)
			}
		})
	}
}

// The three ways in which a call can fail: the user interrupts, the call does not arrive,
// and the answer does not arrive. Each is tried at a sample of the calls.
func TestNothingIsLeftWhenACallFailsOrTheUserInterrupts(t *testing.T) {
	const every = 7
	run := func(t *testing.T, fail func(call int, cancel func(), send func() (*http.Response, error)) (*http.Response, error)) (calls int, err error) {
		server, cfg := account(t, emulator.Options{Lag: time.Second, ProjectDelay: emulator.UsualProjectDelay})
		cfg.Fill = false
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		inner := cfg.HTTP.Transport
		cfg.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			calls++
			return fail(calls, cancel, func() (*http.Response, error) { return inner.RoundTrip(r) })
		})}
		_, err = verify.Run(ctx, cfg)
		server.Advance(2 * time.Hour)
		if names := left(server); len(names) > 0 {
			t.Errorf("left behind: %v", names)
		}
		return calls, err
	}
	all, err := run(t, func(_ int, _ func(), send func() (*http.Response, error)) (*http.Response, error) { return send() })
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= all; at += every {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			interrupted := false
			_, err := run(t, func(call int, cancel func(), send func() (*http.Response, error)) (*http.Response, error) {
				switch {
				case call != at:
					return send()
				case at%3 == 0:
					interrupted = true
					cancel()
				case at%3 == 1:
					resp, err := send()
					if err != nil {
						return nil, err
					}
					resp.Body.Close()
				}
				return nil, errors.New("connection reset")
			})
			if interrupted && err == nil && at < all/2 { // the last calls delete
				t.Error("an interrupted verification is no error")
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatAKilledVerificationLeftIsDeletedByTheNext(t *testing.T) {
	for name, path := range map[string]string{
		"a service ID with a key": "/v1/apikeys", "a secret of Code Engine": "/secrets?version", "a secret of Secrets Manager": "/api/v2/secrets",
		"a project": "/v2/projects?", "a configuration": "/configurations", "custom credentials that their provider has": "/versions",
		"a trusted profile": "/v1/profiles", "a registration with Event Notifications": "/registration", "a policy of a full service ID": "66666666",
	} {
		t.Run(name, func(t *testing.T) {
			server, cfg := account(t, emulator.Options{})
			cfg.Fill = path == "66666666"
			killed := cfg
			over := false
			killed.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if over {
					return nil, errors.New("killed")
				}
				var sent []byte
				if r.Body != nil {
					sent, _ = io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(sent))
				}
				over = r.Method == http.MethodPost && strings.Contains(r.URL.String()+string(sent), path)
				return cfg.HTTP.Transport.RoundTrip(r)
			})}
			if _, err := verify.Run(t.Context(), killed); !errors.Is(err, verify.ErrLeft) {
				t.Errorf("what is left is not an error: %v", err)
			}
			if len(left(server)) == 0 {
				t.Fatal("the killed verification left nothing")
			}
			server.Advance(2 * time.Hour)
			if _, err := verify.Run(t.Context(), cfg); err != nil {
				t.Error(err)
			}
			server.Advance(time.Hour)
			if names := left(server); len(names) > 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

func TestWhatNoFlagAllowsNamesTheFlag(t *testing.T) {
	_, cfg := account(t, emulator.Options{})
	report, err := verify.Run(t.Context(), verify.Config{
		HTTP: cfg.HTTP, Plain: cfg.Plain, IAM: cfg.IAM, Account: cfg.Account, Now: cfg.Now, Wait: cfg.Wait, Log: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	flagless := []string{"leakIgnoresLock", "lagHidesServiceIDs", "deletedKeysLive", "deletedListed"} // no lag is to be seen
	for name := range asJSON(t, cloud.DefaultSwitches()) {
		_, settled := report.Switches[name]
		why := report.Untried[name]
		if !settled && !strings.Contains(why, "--") && (why == "" || !slices.Contains(flagless, name)) {
			t.Errorf("%s: %q names no flag", name, why)
		}
	}
}

// latchkey's login has the roles that an installation needs at least. What that does not
// settle has a reason.
func TestAnAccountWithFewRightsSaysWhatWasNotPossible(t *testing.T) {
	server, cfg := account(t, emulator.Options{ProjectDelay: emulator.UsualProjectDelay})
	c := server.Cloud()
	few := c.AddServiceID(cloud.NewServiceID{Name: "few", AccountID: cfg.Account})
	key := c.AddAPIKey(cloud.NewAPIKey{IAMID: few.IAMID, AccountID: cfg.Account, Name: "few"})
	c.Grant(few.IAMID, "iam-identity", "crn:v1:bluemix:public:iam::::role:Viewer", "crn:v1:bluemix:public:iam-identity::::serviceRole:ServiceIdCreator")
	c.Grant(few.IAMID, "logs", "crn:v1:bluemix:public:iam::::role:Administrator", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	c.Grant(few.IAMID, "codeengine", "crn:v1:bluemix:public:iam::::role:Viewer")
	c.Grant(few.IAMID, "secrets-manager", "crn:v1:bluemix:public:iam::::serviceRole:Writer")
	cfg.Fill = false
	cfg.HTTP = &http.Client{Transport: login{server, key.Value, &http.Header{}, new(time.Time)}}
	report, err := verify.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		"keysNeedAdministrator":    "granting Operator and Editor on iam-identity was answered 403",
		"existingCodeEngineStatus": "making a secret was answered 403", "versionlessIsOldest": "making a job was answered 403",
		"inactiveProjectStatus": "making a project was answered 403", "failedRolloutStatus": "no project was made",
		"existingSecretStatus": "making a secret group was answered 403", "versionDataDeleteRole": "no secret group could be made",
		"busySecretStatus": "no secret group could be made", "leakIgnoresLock": "scanner",
	} {
		if _, settled := report.Switches[name]; settled || !strings.Contains(report.Untried[name], why) {
			t.Errorf("%s: %q, want %q", name, report.Untried[name], why)
		}
	}
	truth := asJSON(t, cloud.DefaultSwitches())
	for name, value := range asJSON(t, report.Switches) {
		if !reflect.DeepEqual(value, truth[name]) {
			t.Errorf("%s is %v, not %v", name, truth[name], value)
		}
	}
	if report.Switches["subjectNeedsAdministrator"] != false {
		t.Errorf("subjectNeedsAdministrator: %v (%s)", report.Switches["subjectNeedsAdministrator"], report.Untried["subjectNeedsAdministrator"])
	}
	server.Advance(time.Hour)
	if names := left(server); len(names) > 0 || len(report.Left) > 0 {
		t.Errorf("left behind: %v, %v", names, report.Left)
	}
}

func TestAnAnswerThatTellsOfAFaultSettlesNothing(t *testing.T) {
	server, cfg := account(t, emulator.Options{})
	cfg.Fill = false
	server.Inject(emulator.Fault{Path: "/v1/serviceid_groups", Method: "POST", Kind: emulator.FaultStatus, Status: 503, After: 1})
	report, err := verify.Run(t.Context(), cfg)
	if _, settled := report.Switches["idGroupConflictStatus"]; err != nil || settled || !strings.Contains(report.Untried["idGroupConflictStatus"], "answered 503") {
		t.Errorf("%v, %q", err, report.Untried["idGroupConflictStatus"])
	}
}

func TestAnAccountThatRefusesAServiceIDEndsTheVerification(t *testing.T) {
	server, cfg := account(t, emulator.Options{})
	server.Inject(emulator.Fault{Path: "/v1/serviceids", Method: "POST", Kind: emulator.FaultStatus, Status: 403})
	if _, err := verify.Run(t.Context(), cfg); !errors.Is(err, verify.ErrSetup) {
		t.Error(err)
	}
}

// A call that comes too soon, one that meets a fault, and one whose answer is lost. Each is
// tried at a sample of the calls. What is settled nevertheless is what the account does.
func TestOneCallThatFailsSettlesNothingWrongAndLeavesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for name, tc := range map[string]struct {
		every  int
		counts func(*http.Request) bool
		status int
		body   string
	}{
		"a rate limit":                {29, func(*http.Request) bool { return true }, http.StatusTooManyRequests, `{"errors":[{"code":"too_many_requests"}]}`},
		"a fault":                     {29, func(*http.Request) bool { return true }, http.StatusServiceUnavailable, `{}`},
		"a lost answer":               {11, func(r *http.Request) bool { return r.Method == http.MethodPost }, 0, ""},
		"a rate limit without a body": {97, func(*http.Request) bool { return true }, http.StatusTooManyRequests, ""},
	} {
		run := func(t *testing.T, at int) (calls int) {
			t.Helper()
			server, cfg := account(t, emulator.Options{Lag: 2 * time.Second, ProjectDelay: emulator.UsualProjectDelay})
			defer server.Close()
			cfg.Fill = false
			failed := ""
			through := func(inner http.RoundTripper) *http.Client {
				return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if tc.counts(r) {
						calls++
					}
					if !tc.counts(r) || calls != at {
						return inner.RoundTrip(r)
					}
					failed = r.Method + " " + r.URL.Path
					if tc.status != 0 {
						return &http.Response{StatusCode: tc.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tc.body)), Request: r}, nil
					}
					if resp, err := inner.RoundTrip(r); err == nil {
						resp.Body.Close()
					}
					return nil, errors.New("connection reset")
				})}
			}
			cfg.HTTP, cfg.Plain = through(cfg.HTTP.Transport), through(http.DefaultTransport)
			report, err := verify.Run(t.Context(), cfg)
			if err != nil && tc.status == http.StatusTooManyRequests {
				t.Errorf("call %d, %s: %v", at, failed, err)
			}
			truth := asJSON(t, cloud.DefaultSwitches())
			for name, value := range asJSON(t, report.Switches) {
				if !reflect.DeepEqual(value, truth[name]) {
					t.Errorf("call %d, %s: %s is %v, not %v", at, failed, name, truth[name], value)
				}
			}
			for _, l := range report.Limits {
				if l.Accepted > 0 && l.Accepted != 20 {
					t.Errorf("call %d, %s: %s", at, failed, l)
				}
			}
			server.Advance(time.Hour + time.Minute) // what is deleted leaves the lists
			if names := left(server); len(names) > 0 {
				t.Errorf("call %d, %s: left behind: %v", at, failed, names)
			}
			return calls
		}
		t.Run(name, func(t *testing.T) {
			all := run(t, 0)
			for at := 1 + int(seed%uint64(tc.every)); at <= all; at += tc.every {
				run(t, at)
			}
		})
	}
}

func TestWhatCouldNotBeDeletedIsNamedAlsoWhenTheTimeIsOver(t *testing.T) {
	server, cfg := account(t, emulator.Options{})
	cfg.Fill = false
	wait := cfg.Wait
	ended := false
	cfg.Wait = func(ctx context.Context, d time.Duration) error {
		if ended {
			return context.DeadlineExceeded
		}
		return wait(ctx, d)
	}
	inner := cfg.HTTP.Transport
	cfg.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/v1/serviceids/") && !strings.HasSuffix(r.URL.Path, "/lock") {
			ended = true
			return nil, errors.New("connection reset")
		}
		return inner.RoundTrip(r)
	})}
	report, err := verify.Run(t.Context(), cfg)
	if len(left(server)) == 0 {
		t.Fatal("nothing is left")
	}
	if !errors.Is(err, verify.ErrLeft) || len(report.Left) == 0 {
		t.Errorf("%v, %v", err, report.Left)
	}
}
