package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/verify"
)

// login adds a token of the emulator's latchkey.
type login struct{ server *emulator.Server }

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	ready := l.server.Ready()
	resp, err := http.PostForm(ready.URL+"/identity/token", url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {ready.APIKey}})
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
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
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
	server.Cloud().Grant(minter, "secrets-manager", "crn:v1:bluemix:public:iam::::serviceRole:Manager") // to make groups
	for _, service := range []string{"iam-identity", "iam-groups"} {
		server.Cloud().Grant(minter, service, "crn:v1:bluemix:public:iam::::role:Editor")
	}
	return server, verify.Config{
		HTTP: &http.Client{Transport: login{server}}, Plain: &http.Client{}, IAM: ready.URL, Account: ready.Account,
		Project: verify.Project{Origin: ready.URL, ID: ready.Projects[0].ID}, Logs: verify.Logs{Origin: ready.URL, Instance: ready.Logs},
		Secrets: verify.Secrets{Origin: ready.URL, Host: ready.SecretsManager.ID + "." + ready.SecretsManager.Region + ".secrets-manager.appdomain.cloud"}, Fill: true,
		Now: server.Now, Log: io.Discard,
		Wait: func(ctx context.Context, d time.Duration) error {
			server.Advance(d)
			return ctx.Err()
		},
	}
}

// left returns what a verification made and did not delete.
func left(server *emulator.Server) (names []string) {
	state := server.State(false)
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
		"missingBuildStatus": "404", "vpeNotEnabled": "true",
	}
	for name, turn := range map[string]map[string]string{"the guesses": {}, "the other choices": others} {
		t.Run(name, func(t *testing.T) {
			switches := cloud.DefaultSwitches()
			for name, value := range turn {
				if err := switches.Turn(name, value); err != nil {
					t.Fatal(err)
				}
			}
			server, cfg := account(t, emulator.Options{Switches: &switches, Lag: 5 * time.Second})
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
			for name := range report.Untried {
				if _, known := want[name]; !known {
					t.Errorf("%s is no switch", name)
				}
			}
			for name := range want {
				if _, settled := got[name]; !settled && report.Untried[name] == "" {
					t.Errorf("%s is neither settled nor said to be open", name)
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
			if keys, secrets := limits["keys of a service ID"], limits["secrets of a Code Engine project"]; keys.Accepted != 20 || secrets.Accepted != 100 {
				t.Errorf("limits %+v", report.Limits)
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

func TestNothingIsLeftWhenACallFailsOrTheUserInterrupts(t *testing.T) {
	for after := range 40 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			server, cfg := account(t, emulator.Options{Lag: time.Second})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			inner := cfg.HTTP.Transport
			cfg.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if calls++; calls == after+1 {
					if after%2 == 0 {
						cancel()
					}
					return nil, errors.New("connection reset")
				}
				return inner.RoundTrip(r)
			})}
			if _, err := verify.Run(ctx, cfg); err == nil && after%2 == 0 && after < 30 {
				t.Error("an interrupted verification is no error")
			}
			server.Advance(2 * time.Hour)
			if names := left(server); len(names) > 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatAKilledVerificationLeftIsDeletedByTheNext(t *testing.T) {
	for name, path := range map[string]string{
		"a service ID with a key": "/v1/apikeys", "a secret of Code Engine": "/secrets?version", "a secret of Secrets Manager": "/api/v2/secrets",
	} {
		t.Run(name, func(t *testing.T) {
			server, cfg := account(t, emulator.Options{})
			killed := cfg
			over := false
			killed.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if over {
					return nil, errors.New("killed")
				}
				over = r.Method == http.MethodPost && strings.Contains(r.URL.String(), path)
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

func TestAnAccountThatRefusesAServiceIDEndsTheVerification(t *testing.T) {
	server, cfg := account(t, emulator.Options{})
	server.Inject(emulator.Fault{Path: "/v1/serviceids", Method: "POST", Kind: emulator.FaultStatus, Status: 403})
	if _, err := verify.Run(t.Context(), cfg); !errors.Is(err, verify.ErrSetup) {
		t.Error(err)
	}
}
