package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/doctor"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC)

// world is everything that the doctor reads. A test harms a part of it.
type world struct {
	cfg         doctor.Config
	credentials []port.Credential
	granted     []access.Policy        // our own, as plain grants
	grants      map[string][]iam.Grant // more, by subject
	groups      []port.Group
	creators    map[string]string // by service ID
	restricted  bool
	projects    []codeengine.Project
	iamClock    time.Time
	keys        port.KeyList
	profiles    []port.Profile
	outcome     result.Outcome
	plan        protocol.Plan

	selfErr, accountErr, findErr, grantedErr, listErr  error
	catalogErr, projectsErr, planErr                   error
	groupsErr, groupGrantsErr, creatorErr, settingsErr error
	profilesErr                                        error

	listed []string   // what List was called with
	roles  []string   // of each service
	mu     sync.Mutex // guards listed
	asked  []reconcile.Request
}

func (w *world) Self(context.Context) (string, error) { return "iam-ServiceId-1", w.selfErr }

func (w *world) MarkedProfiles(context.Context) ([]port.Profile, error) {
	return w.profiles, w.profilesErr
}

func (w *world) Find(context.Context, string) ([]port.ServiceID, time.Time, error) {
	return nil, w.iamClock, w.findErr
}

func (w *world) Grants(_ context.Context, subject string) ([]iam.Grant, error) {
	if subject != "iam-ServiceId-1" {
		return w.grants[subject], w.groupGrantsErr
	}
	all := slices.Clone(w.grants[subject])
	for _, p := range w.granted {
		all = append(all, plain(p))
	}
	return all, w.grantedErr
}

// plain returns a policy as IAM has it.
func plain(p access.Policy) iam.Grant {
	g := iam.Grant{Policy: "policy-1", Roles: p.Roles}
	for _, a := range [][2]string{{"serviceName", p.Service}, {"serviceInstance", p.Instance}, {"resourceGroupId", p.ResourceGroup}} {
		if a[1] != "" {
			g.Attributes = append(g.Attributes, is(a[0], a[1]))
		}
	}
	return g
}

func is(key, value string) iam.Attribute {
	return iam.Attribute{Key: key, Operator: "stringEquals", Values: []string{value}}
}

func (w *world) Groups(_ context.Context, iamID string) ([]port.Group, error) {
	if iamID != "iam-ServiceId-1" {
		return nil, fmt.Errorf("listed the access groups of %s, not our own", iamID)
	}
	return w.groups, w.groupsErr
}

func (w *world) Creator(_ context.Context, iamID string) (string, error) {
	return w.creators[iamID], w.creatorErr
}

func (w *world) Roles(context.Context, string) ([]string, error) { return w.roles, nil }

func (w *world) Restricted(context.Context) (bool, error) { return w.restricted, w.settingsErr }

func (w *world) List(_ context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed = append(w.listed, iamID+" "+strings.Join(credentials, " "))
	return w.keys, w.listErr
}

func (w *world) Credentials(_ context.Context, scope catalog.Scope) ([]port.Credential, error) {
	if len(scope.Names) > 0 || scope.Project != "" {
		return nil, errors.New("the doctor examines every credential")
	}
	return w.credentials, w.catalogErr
}

func (w *world) look(_ context.Context, credentials []port.Credential, ask reconcile.Request) (looked result.Sweep) {
	w.asked = append(w.asked, ask)
	for _, c := range credentials {
		out := w.outcome
		out.Credential = c.Name
		for _, s := range w.plan.Steps {
			out.Steps = append(out.Steps, result.Step{Step: s})
		}
		if w.planErr != nil {
			out.Condition, out.Error = condition.Unknown, w.planErr.Error()
		}
		looked.Outcomes = append(looked.Outcomes, out)
	}
	return looked
}

// store is a store that nothing reads: the look is a fake.
type store struct{ name string }

func (s store) Name() string { return s.name }
func (store) Guarded() bool  { return true }
func (store) Read(context.Context) (port.Entry, error) {
	return port.Entry{}, errors.New("the doctor leaves reading to the planner")
}
func (store) Publish(context.Context, port.Entry, string) error {
	return errors.New("the doctor changes nothing")
}

// locking is a store in an instance of Secrets Manager.
type locking struct {
	store
	instance string
	locks    bool
}

func (s locking) Locks() bool      { return s.locks }
func (s locking) Instance() string { return s.instance }
func (locking) Region() string     { return "eu-de" }
func (locking) Group() string      { return "default" }

// prover is a prover whose endpoint can be reached, or not.
type prover struct {
	host string
	err  error
}

func (prover) Name() string { return "logs" }
func (prover) Prove(context.Context, port.Proof) error {
	return errors.New("the doctor proves nothing")
}
func (p prover) Reach(context.Context) (string, error) { return p.host, p.err }

// mute is a prover that has no endpoint to reach.
type mute struct{}

func (mute) Name() string                            { return "mute" }
func (mute) Prove(context.Context, port.Proof) error { return nil }

// healthy is a world in which every check passes.
func healthy() *world {
	w := &world{
		granted: []access.Policy{
			{Service: "iam-identity", Roles: []string{"Administrator"}},
			{Service: "iam-groups", Roles: []string{"Editor"}},
			{Service: "logs", Roles: []string{"Administrator", "Sender"}},
			{Service: "codeengine", Roles: []string{"Operator", "Manager"}},
			{Service: "secrets-manager", Roles: []string{"Manager"}, Instance: "sm-1"},
		},
		projects: []codeengine.Project{{ID: "p1", Region: "eu-de", ResourceGroup: "group-1"}, {ID: "p2", Region: "us-south", ResourceGroup: "group-2"}},
		iamClock: now.Add(-2 * time.Second),
		keys:     port.KeyList{Keys: make([]protocol.Key, 2), Foreign: 1},
		outcome: result.Outcome{Condition: condition.Due, Key: "ApiKey-7", ServiceID: "ServiceId-7", Stores: []result.Store{
			{Name: "codeEngine/eu-de/p1/logs#KEY", Key: "ApiKey-7"},
		}},
		plan: protocol.Plan{Steps: make([]protocol.Step, 3)},
	}
	w.credentials = []port.Credential{{
		Name: "sender", Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}}}, Groups: []string{"senders"},
		Stores:  []port.Store{store{"codeEngine/eu-de/p1/logs#KEY"}, locking{store{"secretsManager/sm"}, "sm-1", true}},
		Provers: []port.Prover{mute{}, prover{host: "logs.example.com"}},
	}}
	w.cfg = doctor.Config{
		IAM: w, Catalog: w, Look: w.look, Now: func() time.Time { return now }, Regions: []string{"eu-de", "us-south"}, PerProject: true,
		Account:  func(context.Context) (string, error) { return "account-1", w.accountErr },
		Projects: func(context.Context) ([]codeengine.Project, error) { return w.projects, w.projectsErr },
	}
	return w
}

func (w *world) examine(t *testing.T) (tally doctor.Tally, list string) {
	t.Helper()
	var out strings.Builder
	tally = doctor.Examine(t.Context(), w.cfg, &out)
	list = out.String()
	count := func(prefix string) int { return strings.Count("\n"+list, "\n"+prefix) }
	if got := (doctor.Tally{OK: count("ok    "), Failed: count("FAIL  "), Unknown: count("????  "), Wide: count("wide  "), Drift: count("drift ")}); got != tally {
		t.Errorf("the list has %+v, and the tally is %+v", got, tally)
	}
	lines := strings.Split(list, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "FAIL  ") && len(strings.TrimPrefix(lines[i+1], "      fix: ")) < 10 {
			t.Errorf("no fix for %s", line)
		}
	}
	return tally, list
}

func TestAConfigThatLacksNothingPassesEveryCheck(t *testing.T) {
	w := healthy()
	tally, list := w.examine(t)
	const want = `ok    identity: iam-ServiceId-1 in account account-1, with an API key (IBMCLOUD_API_KEY); a trusted profile needs no stored key
ok    permissions: 5 policies of our own and 0 of 0 access groups were read
ok    IAM: service IDs can be listed; the clock differs from IAM's by 2s
ok    projects: 2 in eu-de, us-south
ok    config: 1 credential
ok    sender: due: ApiKey-7 is published; 3 steps due
ok    sender: 3 of 20 keys are used
ok    permission: Sender on logs, since only a role that is held can be granted
ok    permission: Administrator on logs, to grant roles on it
ok    permission: Viewer on iam-groups, to see the members of access groups
ok    permission: Editor on iam-groups, to add service IDs to access groups
ok    permission: Manager on secrets-manager, to remove the locks of its stores (instance sm-1) (secret group default)
ok    permission: Viewer on codeengine, to see projects
ok    permission: Writer on codeengine, to write secrets and restart apps
ok    permission: Service ID creator on iam-identity, to create service IDs
ok    logs: logs.example.com answers
`
	if tally.Failed+tally.Unknown != 0 || list != want {
		t.Errorf("%+v:\n%s\nwant\n%s", tally, list, want)
	}
	if want := []string{"iam-ServiceId-7 sender"}; !slices.Equal(w.listed, want) {
		t.Errorf("listed the keys of %q, want %q", w.listed, want)
	}
	if len(w.asked) != 1 || w.asked[0].Trigger != (protocol.Trigger{}) {
		t.Errorf("planned for %+v", w.asked)
	}
}

// A trusted profile that the config does not ask for is named, with the command that
// deletes it.
func TestATrustedProfileThatIsLeftOverIsNamed(t *testing.T) {
	of := func(credential string) port.Profile {
		return port.Profile{ID: "Profile-" + credential, Ours: true, Marker: marker.Marker{Owner: "o", Credential: credential}}
	}
	errDown := errors.New("no clear answer")
	for sentence, tc := range map[string]struct {
		change func(*world)
		want   []string
	}{
		"the one of a credential with trust is not": {func(w *world) { w.credentials[0].Profile = &port.TrustedProfile{Name: "sender"} }, []string{"Profile-gone"}},
		"that of an entry without trust is":         {func(*world) {}, []string{"Profile-gone", "Profile-sender"}},
		"none is if credentials are not listed":     {func(w *world) { w.catalogErr = errDown }, nil},
		"what can't be read is unknown":             {func(w *world) { w.profiles, w.profilesErr = nil, errDown }, nil},
	} {
		w := healthy()
		w.profiles = []port.Profile{of("gone"), of("sender")}
		tc.change(w)
		tally, list := w.examine(t)
		var named []string
		for line := range strings.Lines(list) {
			if _, id, ok := strings.Cut(strings.TrimSpace(line), "ibmcloud iam trusted-profile-delete "); ok {
				named = append(named, id)
			}
		}
		if !slices.Equal(named, tc.want) || w.profilesErr != nil && tally.Unknown != 1 {
			t.Errorf("%s: named %v, want %v:\n%s", sentence, named, tc.want, list)
		}
	}
}

// without takes the policies on a service away.
func without(service string) func(*world) {
	return func(w *world) {
		w.granted = slices.DeleteFunc(w.granted, func(p access.Policy) bool { return p.Service == service })
	}
}

func TestAFailedCheckSaysWhatToDo(t *testing.T) {
	errDown := errors.New("no clear answer")
	for name, tc := range map[string]struct {
		harm func(w *world)
		want []string // the failed checks, each with its fix
	}{
		"no token": {
			harm: func(w *world) { w.selfErr = errDown },
			want: []string{"FAIL  identity: no token with an API key (IBMCLOUD_API_KEY); a trusted profile needs no stored key: no clear answer\n" +
				"      fix: set IBMCLOUD_API_KEY to a key that is enabled, or name a trusted profile in identity.profile\n"},
		},
		"no token for a trusted profile": {
			harm: func(w *world) { w.selfErr, w.cfg.Profile = errDown, "latchkey" },
			want: []string{"FAIL  identity: no token with the trusted profile latchkey by the compute resource token: no clear answer\n" +
				"      fix: enable trusted profiles (--trusted-profiles-enabled) for this function, app or job, and let profile latchkey trust it\n"},
		},
		"no account": {
			harm: func(w *world) { w.accountErr = errDown },
			want: []string{"FAIL  identity: no clear answer\n      fix: set IBMCLOUD_API_KEY"},
		},
		"IAM does not list service IDs": {
			harm: func(w *world) { w.findErr = errDown },
			want: []string{"FAIL  IAM: service IDs can't be listed: no clear answer\n      fix: run latchkey doctor again"},
		},
		"a clock that is ahead of IAM's": {
			harm: func(w *world) { w.iamClock = now.Add(-6 * time.Minute) },
			want: []string{"FAIL  clock: it differs from IAM's by 6m0s; more than 5m0s blocks every credential\n      fix: set this machine's clock\n"},
		},
		"a clock that is behind IAM's": {
			harm: func(w *world) { w.iamClock = now.Add(6 * time.Minute) },
			want: []string{"FAIL  clock: it differs from IAM's by -6m0s"},
		},
		"no role on IAM Identity": {
			harm: func(w *world) {
				without("iam-identity")(w)
				w.findErr = fmt.Errorf("no: %w", port.ErrDenied)
			},
			want: []string{"FAIL  permission: no role on iam-identity, to find service IDs: no: access denied\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles \"Viewer,Service ID creator\" --service-name iam-identity\n"},
		},
		"no right to create service IDs": {
			harm: func(w *world) {
				w.granted[0].Roles = []string{"Viewer"}
				w.creators = map[string]string{"iam-ServiceId-7": "iam-ServiceId-1"}
			},
			want: []string{"FAIL  permission: Service ID creator on iam-identity is missing, to create service IDs\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles \"Service ID creator\" --service-name iam-identity\n"},
		},
		"no right to create service IDs, as a trusted profile": {
			harm: func(w *world) {
				w.granted[0].Roles, w.cfg.Profile = []string{"Viewer"}, "latchkey"
				w.creators = map[string]string{"iam-ServiceId-7": "iam-ServiceId-1"}
			},
			want: []string{"      fix: ibmcloud iam trusted-profile-policy-create latchkey --roles \"Service ID creator\" --service-name iam-identity\n"},
		},
		"an account that restricts the creation of service IDs": {
			harm: func(w *world) { w.restricted = true },
			want: []string{"FAIL  permission: Service ID creator on iam-identity is missing, since the account restricts the creation of service IDs\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles \"Service ID creator\" --service-name iam-identity\n"},
		},
		"an Operator without Editor, for a service ID that another identity created": {
			harm: func(w *world) {
				w.granted[0].Roles = []string{"Operator"}
				w.creators = map[string]string{"iam-ServiceId-7": "IBMid-1"}
			},
			want: []string{"FAIL  permission: Editor on iam-identity is missing, to create and update keys of service IDs that others created (serviceid ServiceId-7)\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Editor --service-name iam-identity --resource-type serviceid --resource ServiceId-7\n"},
		},
		"an Editor without Operator, for a service ID that another identity created": {
			harm: func(w *world) {
				w.granted[0].Roles = []string{"Editor"}
				w.creators = map[string]string{"iam-ServiceId-7": "IBMid-1"}
			},
			want: []string{"FAIL  permission: Operator on iam-identity is missing, to delete keys of service IDs that others created (serviceid ServiceId-7)\n"},
		},
		"no role on Code Engine": {
			harm: without("codeengine"),
			want: []string{
				"FAIL  permission: Viewer on codeengine is missing, to see projects\n" +
					"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Viewer --service-name codeengine\n",
				"FAIL  permission: Writer on codeengine is missing, to write secrets and restart apps\n" +
					"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Writer --service-name codeengine\n",
			},
		},
		"no role on Code Engine, which only a store needs": {
			harm: func(w *world) { without("codeengine")(w); w.cfg.PerProject = false },
			want: []string{"FAIL  permission: Viewer on codeengine", "FAIL  permission: Writer on codeengine is missing, to write secrets and restart apps (instance p1)\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Writer --service-name codeengine --service-instance p1\n"},
		},
		"a role that is to be granted": {
			harm: func(w *world) { w.granted[2].Roles = []string{"Administrator", "Reader"} },
			want: []string{"FAIL  permission: Sender on logs is missing, since only a role that is held can be granted\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Sender --service-name logs\n"},
		},
		"a role to grant with": {
			harm: func(w *world) { w.granted[2].Roles = []string{"Sender"} },
			want: []string{"FAIL  permission: Administrator on logs is missing, to grant roles on it\n"},
		},
		"a role on another instance only": {
			harm: func(w *world) { w.granted[2].Instance = "logs-2" },
			want: []string{"FAIL  permission: Sender on logs is missing", "FAIL  permission: Administrator on logs is missing"},
		},
		"a role on one resource group only": {
			harm: func(w *world) { w.granted[2].ResourceGroup = "group-1" },
			want: []string{"FAIL  permission: Sender on logs is missing", "FAIL  permission: Administrator on logs is missing"},
		},
		"no role on access groups, which IAM does not list": {
			harm: func(w *world) { without("iam-groups")(w); w.groupsErr = fmt.Errorf("no: %w", port.ErrDenied) },
			want: []string{
				"FAIL  permission: Viewer on iam-groups is missing, to see the members of access groups\n" +
					"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Viewer --service-name iam-groups\n",
				"FAIL  permission: Editor on iam-groups is missing, to add service IDs to access groups\n" +
					"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Editor --service-name iam-groups\n",
			},
		},
		"no role on an instance whose secrets are locked": {
			harm: func(w *world) { w.granted[4].Instance = "sm-2" },
			want: []string{"FAIL  permission: Manager on secrets-manager is missing, to remove the locks of its stores (instance sm-1) (secret group default)\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Manager --service-name secrets-manager --service-instance sm-1 " +
				"--resource-type secret-group --resource default\n"},
		},
		"some credentials that can't be listed": {
			harm: func(w *world) { w.catalogErr = errDown },
			want: []string{"FAIL  config: some credentials could not be listed: no clear answer\n      fix: run latchkey doctor again"},
		},
		"service IDs that may not be listed": {
			harm: func(w *world) { w.catalogErr = port.ErrDenied },
			want: []string{"FAIL  config: some credentials could not be listed: access denied\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles \"Viewer,Service ID creator\" --service-name iam-identity\n"},
		},
		"a role that does not exist": {
			harm: func(w *world) { without("logs")(w); w.roles = []string{"Administrator", "Writer"} }, // no role on it is offered
			want: []string{"FAIL  config: logs has no role \"Sender\"\n      fix: correct the service or the role in the config: the roles are Administrator, Writer\n"},
		},
		"projects that may not be listed": {
			harm: func(w *world) { w.catalogErr, w.projectsErr = port.ErrDenied, port.ErrDenied },
			want: []string{"FAIL  config: some credentials could not be listed: access denied\n" +
				"      fix: ibmcloud iam service-policy-create ServiceId-1 --roles Viewer --service-name codeengine\n"},
		},
		"a config that yields nothing": {
			harm: func(w *world) { w.credentials = nil },
			want: []string{"FAIL  config: it yields no credential now\n      fix: check where, forEach and regions in the config\n"},
		},
		"a service ID that no entry yields": {
			harm: func(w *world) {
				w.credentials = append(w.credentials, port.Credential{Name: "left", Unconfigured: &port.ServiceID{ID: "ServiceId-9"}})
			},
			want: []string{"FAIL  left: no config entry yields it any more, so the keys of ServiceId-9 are not rotated\n" +
				"      fix: restore the entry (formerly, if it was renamed), or: ibmcloud iam service-id-delete ServiceId-9\n"},
		},
		"a credential that can't be observed": {
			harm: func(w *world) { w.planErr = fmt.Errorf("%w: %w", observe.ErrFailed, errDown) },
			want: []string{"FAIL  sender: " + observe.ErrFailed.Error() + ": no clear answer\n"},
		},
		"a credential that is blocked": {
			harm: func(w *world) {
				w.outcome.Condition, w.outcome.Reason = condition.Blocked, reason.NameTaken
				w.outcome.Message = reason.NameTaken.Sentence() + ": IAM's words"
			},
			want: []string{"FAIL  sender: blocked: ApiKey-7 is published: " + reason.NameTaken.Text() + ": IAM's words; 3 steps due\n" +
				"      fix: " + reason.NameTaken.Fix() + "\n"},
		},
		"a key that has expired": {
			harm: func(w *world) { w.outcome.Condition, w.outcome.Message = condition.Expired, "the key has expired" },
			want: []string{"FAIL  sender: expired: ApiKey-7 is published: the key has expired; 3 steps due\n      fix: latchkey sweep sender\n"},
		},
		"a leaked key that works": {
			harm: func(w *world) { w.outcome.Condition, w.outcome.Message = condition.Leaked, "the key leaked" },
			want: []string{"FAIL  sender: leaked: ApiKey-7 is published: the key leaked; 3 steps due\n      fix: latchkey sweep sender; latchkey revoke --containment ends the key before its consumers have another\n"},
		},
		"a store that answers with an error": {
			harm: func(w *world) {
				w.outcome.Stores[0].Fault, w.outcome.Stores[0].Error = reason.StoreDenied, "reading secret logs: access denied"
			},
			want: []string{"FAIL  sender: store codeEngine/eu-de/p1/logs#KEY: reading secret logs: access denied\n      fix: " + reason.StoreDenied.Fix() + "\n"},
		},
		"a store with a fault that has no error": {
			harm: func(w *world) { w.outcome.Stores[0].Fault = reason.EntryForeign },
			want: []string{"FAIL  sender: store codeEngine/eu-de/p1/logs#KEY: " + reason.EntryForeign.Text() + "\n      fix: " + reason.EntryForeign.Fix() + "\n"},
		},
		"too many keys, ours and foreign ones": {
			harm: func(w *world) { w.keys.Foreign = 13 },
			want: []string{"FAIL  sender: 15 of 20 keys are used\n      fix: delete keys that are not needed: ibmcloud iam service-api-keys ServiceId-7\n"},
		},
		"an endpoint that does not answer": {
			harm: func(w *world) { w.credentials[0].Provers[1] = prover{"logs.example.com", errDown} },
			want: []string{"FAIL  logs: logs.example.com: no clear answer\n      fix: check endpoints in the config, and the network from here\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			tc.harm(w)
			tally, list := w.examine(t)
			if tally.Failed != len(tc.want) || tally.Unknown != 0 {
				t.Errorf("%+v, want %d failed", tally, len(tc.want))
			}
			for _, want := range tc.want {
				if !strings.Contains(list, want) {
					t.Errorf("the list does not have\n%s", want)
				}
			}
			if t.Failed() {
				t.Log(list)
			}
		})
	}
}

func TestProjectsAreNamed(t *testing.T) {
	w := healthy()
	w.credentials[0].Project, w.projects[0].Name = "team-a", "team-a"
	w.granted[3].Instance = "p1"
	_, list := w.examine(t)
	for _, want := range []string{
		"ok    sender (team-a): due: ApiKey-7 is published",
		"ok    sender (team-a): 3 of 20 keys are used\n",
		"(instance p1) (project team-a)\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not have\n%s\nbut\n%s", want, list)
		}
	}
}

func TestWithoutAnIdentityNothingElseIsChecked(t *testing.T) {
	for name, harm := range map[string]func(w *world){
		"no token":   func(w *world) { w.selfErr = errors.New("rejected") },
		"no account": func(w *world) { w.accountErr = errors.New("rejected") },
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			harm(w)
			if tally, list := w.examine(t); tally != (doctor.Tally{Failed: 1}) {
				t.Errorf("%+v:\n%s", tally, list)
			}
		})
	}
}

func TestARoleThatIncludesTheNeededOneIsEnough(t *testing.T) {
	for name, tc := range map[string]struct {
		service string
		roles   []string
		want    bool
	}{
		"Manager is a Writer":            {"codeengine", []string{"Viewer", "Manager"}, true},
		"Administrator is a Viewer":      {"codeengine", []string{"Administrator", "Writer"}, true},
		"Editor is a Viewer":             {"codeengine", []string{"Editor", "Writer"}, true},
		"Writer sees projects":           {"codeengine", []string{"Writer"}, true},
		"Operator creates service IDs":   {"iam-identity", []string{"Operator"}, true},
		"Editor creates service IDs":     {"iam-identity", []string{"Editor"}, true},
		"Viewer creates no service IDs":  {"iam-identity", []string{"Viewer"}, false},
		"Viewer and a creator do":        {"iam-identity", []string{"Viewer", "ServiceIdCreator"}, true},
		"Reader is no Writer":            {"codeengine", []string{"Viewer", "Reader"}, false},
		"Administrator is an Editor":     {"iam-groups", []string{"Administrator"}, true},
		"Operator is no Editor":          {"iam-groups", []string{"Operator"}, false},
		"Writer removes no locks":        {"secrets-manager", []string{"Writer"}, false},
		"a role is held in two policies": {"logs", []string{"Sender", "Administrator"}, true},
		"another role holds no Sender":   {"logs", []string{"Administrator", "Manager"}, false},
		"no role is not enough":          {"logs", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			without(tc.service)(w)
			w.creators = map[string]string{"iam-ServiceId-7": "iam-ServiceId-1"}
			for _, role := range tc.roles {
				w.granted = append(w.granted, access.Policy{Service: tc.service, Roles: []string{role}})
			}
			if tally, list := w.examine(t); (tally.Failed == 0) != tc.want {
				t.Errorf("want %t:\n%s", tc.want, list)
			}
		})
	}
}

func TestARoleOnTheSameScopeIsEnough(t *testing.T) {
	w := healthy()
	w.credentials[0].Policies[0].Instance, w.credentials[0].Policies[0].ResourceGroup = "logs-1", "group-1"
	w.granted[2].Instance, w.granted[2].ResourceGroup = "logs-1", "group-1"
	if tally, list := w.examine(t); tally.Failed+tally.Unknown != 0 {
		t.Error(list)
	}
}

func TestIAMSpellsRolesWithoutSpaces(t *testing.T) {
	// The config has a role's display name, and a policy of IAM its CRN.
	w := healthy()
	w.credentials[0].Policies = []access.Policy{{Service: "secrets-manager", Roles: []string{"Secrets Reader"}}}
	w.granted = append(w.granted, access.Policy{Service: "secrets-manager", Roles: []string{"SecretsReader", "Administrator"}})
	if tally, list := w.examine(t); tally.Failed+tally.Unknown != 0 {
		t.Error(list)
	}
	w.granted = w.granted[:5]
	_, list := w.examine(t)
	if want := `--roles "Secrets Reader" --service-name secrets-manager`; !strings.Contains(list, want) {
		t.Errorf("the list does not have %s:\n%s", want, list)
	}
}

// inGroup moves all policies to an access group, which IAM lets us see as a member
// with these further roles.
func inGroup(more ...access.Policy) func(*world) {
	return func(w *world) {
		w.groups, w.grants = []port.Group{{ID: "AccessGroupId-1", Name: "minters"}}, map[string][]iam.Grant{}
		for _, p := range append(w.granted, more...) {
			w.grants["AccessGroupId-1"] = append(w.grants["AccessGroupId-1"], plain(p))
		}
		w.granted = nil
	}
}

func TestPoliciesOfAccessGroupsCount(t *testing.T) {
	w := healthy()
	inGroup(access.Policy{Service: "iam-access-management", Roles: []string{"Viewer"}})(w)
	tally, list := w.examine(t)
	if tally.Failed+tally.Unknown != 0 {
		t.Errorf("%+v:\n%s", tally, list)
	}
	for _, want := range []string{
		"ok    permissions: 0 policies of our own and 6 of 1 access group were read\n",
		"ok    permission: Sender on logs by access group minters, since only a role that is held can be granted\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not have\n%s\nbut\n%s", want, list)
		}
	}
}

func TestWhatCannotBeSeenIsUnknownAndNotMissing(t *testing.T) {
	errDown := errors.New("no clear answer")
	for name, tc := range map[string]struct {
		harm func(w *world)
		want string
	}{
		"our own policies can't be read": {
			func(w *world) { w.grantedErr = errDown },
			"????  permissions: our own policies can't be read: no clear answer\n",
		},
		"our access groups can't be listed": {
			func(w *world) { without("logs")(w); w.groupsErr = errDown },
			"????  permission: Sender on logs is unknown, since only a role that is held can be granted: our access groups can't be listed\n" +
				"      fix, if it is missing: ibmcloud iam service-policy-create ServiceId-1 --roles Sender --service-name logs\n",
		},
		"our access groups may not be listed": {
			func(w *world) { without("logs")(w); w.groupsErr = fmt.Errorf("no: %w", port.ErrDenied) },
			"????  permission: Sender on logs is unknown, since only a role that is held can be granted: our access groups can't be listed\n",
		},
		"we lack the role that shows access groups": {
			func(w *world) { without("iam-groups")(w); w.credentials[0].Groups = nil; without("logs")(w) },
			"????  permission: Sender on logs is unknown, since only a role that is held can be granted: access groups are visible with Viewer on iam-groups only\n",
		},
		"the policies of an access group can't be read": {
			func(w *world) {
				w.groups, w.groupGrantsErr = []port.Group{{ID: "AccessGroupId-1", Name: "minters"}}, errDown
				without("logs")(w)
			},
			"????  permissions: the policies of access group minters can't be read: no clear answer\n",
		},
		"we lack the role that shows the policies of an access group": {
			func(w *world) { without("logs")(w); inGroup()(w) },
			"????  permission: Sender on logs is unknown, since only a role that is held can be granted: policies of access groups are visible with Viewer on iam-access-management only\n",
		},
		"the history does not tell the creator of a service ID": {
			func(w *world) { w.granted[0].Roles = []string{"Operator"} },
			"????  permission: Editor on iam-identity is unknown, to create and update keys of service IDs that others created (serviceid ServiceId-7): its creator is not in its history\n",
		},
		"a role is due to a service ID of another identity": {
			func(w *world) {
				w.granted[0].Roles, w.creators = []string{"Operator", "Editor"}, map[string]string{"iam-ServiceId-7": "IBMid-1"}
				w.plan.Steps[0].Action = protocol.GrantPolicy
			},
			"????  permission: Administrator on iam-identity is unknown, to grant roles to service IDs that others created (serviceid ServiceId-7): " +
				"IBM does not say whether it takes more than Administrator of the service that the role is on\n",
		},
		"the history can't be read": {
			func(w *world) { w.granted[0].Roles, w.creatorErr = []string{"Operator"}, errDown },
			"????  permission: Editor on iam-identity is unknown, to create and update keys of service IDs that others created (serviceid ServiceId-7): no clear answer\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			tc.harm(w)
			tally, list := w.examine(t)
			if tally.Failed != 0 || tally.Unknown == 0 || !strings.Contains(list, tc.want) {
				t.Errorf("%+v:\n%s\nwant\n%s", tally, list, tc.want)
			}
		})
	}
}

func TestTheCreatorOfAServiceIDAdministersIt(t *testing.T) {
	w := healthy()
	w.granted[0].Roles, w.creators = []string{"Viewer", "ServiceIdCreator"}, map[string]string{"iam-ServiceId-7": "iam-ServiceId-1"}
	w.plan.Steps[0].Action = protocol.GrantPolicy
	tally, list := w.examine(t)
	if tally.Failed+tally.Unknown != 0 || !strings.Contains(list, "ok    permission: we created 1 of the service IDs, and their creator administers them\n") {
		t.Errorf("%+v:\n%s", tally, list)
	}
}

func TestAnAdministratorOfAccessManagementGrantsRolesToServiceIDsOfOthers(t *testing.T) {
	w := healthy()
	w.granted[0].Roles, w.creators = []string{"Operator", "Editor"}, map[string]string{"iam-ServiceId-7": "IBMid-1"}
	w.granted = append(w.granted, access.Policy{Service: "iam-access-management", Roles: []string{"Administrator"}})
	w.plan.Steps[0].Action = protocol.GrantPolicy
	if tally, list := w.examine(t); tally.Failed+tally.Unknown != 0 {
		t.Errorf("%+v:\n%s", tally, list)
	}
}

func TestSettingsThatCannotBeReadAreSaid(t *testing.T) {
	w := healthy()
	w.settingsErr = errors.New("no clear answer")
	tally, list := w.examine(t)
	if tally.Failed+tally.Unknown != 0 || !strings.Contains(list, "to create service IDs (whether the account restricts it can't be seen)\n") {
		t.Errorf("%+v:\n%s", tally, list)
	}
}

func TestARoleOnSomeProjectsCountsForThose(t *testing.T) {
	w := healthy()
	w.granted[3].Instance = "p1"
	if tally, list := w.examine(t); tally.Failed+tally.Unknown != 0 || !strings.Contains(list, "ok    permission: Writer on codeengine, to write secrets and restart apps (instance p1)") {
		t.Errorf("%+v:\n%s", tally, list)
	}
	w.credentials = append(w.credentials, w.credentials[0])
	w.credentials[1].Stores = []port.Store{store{"codeEngine/us-south/p2/logs#KEY"}}
	tally, list := w.examine(t)
	if tally.Failed != 1 || !strings.Contains(list, "--roles Writer --service-name codeengine --service-instance p2\n") {
		t.Errorf("%+v:\n%s", tally, list)
	}
}

func TestEachPermissionIsCheckedOnce(t *testing.T) {
	w := healthy()
	w.credentials = append(w.credentials, w.credentials[0], w.credentials[0])
	_, list := w.examine(t)
	seen := map[string]bool{}
	for line := range strings.Lines(list) {
		if seen[line] && (strings.Contains(line, "permission") || strings.Contains(line, "logs:")) {
			t.Errorf("twice: %s", line)
		}
		seen[line] = true
	}
}

func TestOnlyWhatTheConfigNeedsIsChecked(t *testing.T) {
	w := healthy()
	w.credentials = []port.Credential{{Name: "plain", Stores: []port.Store{locking{store{"secretsManager/sm"}, "sm-1", false}}}}
	w.granted, w.cfg.PerProject, w.cfg.Regions = w.granted[4:], false, nil
	w.outcome, w.plan = result.Outcome{Condition: condition.Missing, Message: "no store names a live key"}, protocol.Plan{}
	tally, list := w.examine(t)
	if tally.Failed != 0 || strings.Count(list, "permission:") != 1 || strings.Contains(list, "projects:") ||
		!strings.Contains(list, "ok    permission: Writer on secrets-manager") ||
		!strings.Contains(list, "ok    plain: missing: no store names a live key\n") {
		t.Errorf("%+v:\n%s", tally, list)
	}
	if len(w.listed) != 0 {
		t.Errorf("listed the keys of %q, which has no service ID", w.listed)
	}
}

func TestKeysThatCannotBeCountedAreLeftOut(t *testing.T) {
	w := healthy()
	w.listErr = errors.New("no clear answer")
	if tally, list := w.examine(t); tally.Failed != 0 || strings.Contains(list, "keys are used") {
		t.Errorf("%+v:\n%s", tally, list)
	}
}

func TestAProjectsQuotasAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		harm func(s *emulator.Server, project string)
		want string
	}{
		"there is room": {
			harm: func(*emulator.Server, string) {},
			want: "ok    sender: its project uses 0 of 100 secrets and 2 of 120 revisions\n",
		},
		"it is full": {
			harm: func(s *emulator.Server, project string) {
				for i := range codeengine.MaxSecrets {
					s.Cloud().PutSecret(project, fmt.Sprint("secret-", i), nil)
				}
			},
			want: "FAIL  sender: its project uses 100 of 100 secrets and 2 of 120 revisions\n      fix: delete secrets or old revisions that are not needed\n",
		},
		"it may not be read": {
			harm: func(s *emulator.Server, _ string) {
				s.Inject(emulator.Fault{Method: http.MethodGet, Path: "*/secrets", Kind: emulator.FaultStatus, Status: http.StatusForbidden})
			},
			want: "????  sender: counting the secrets of project ",
		},
		"it can't be read": {
			harm: func(s *emulator.Server, _ string) {
				s.Inject(emulator.Fault{Method: http.MethodGet, Path: "*/secrets", Kind: emulator.FaultStatus, Status: http.StatusServiceUnavailable})
			},
			want: "FAIL  sender: counting the secrets of project ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := emulator.Start(emulator.Options{})
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{}
			t.Cleanup(func() {
				transport.CloseIdleConnections()
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			project := s.Ready().Projects[0]
			tc.harm(s, project.ID)
			client, err := iam.New(iam.Config{URL: s.URL(), Owner: "prod", HTTP: &http.Client{Transport: transport}, APIKey: secret.New(s.Ready().APIKey)})
			if err != nil {
				t.Fatal(err)
			}
			w := healthy()
			w.credentials[0].Stores = []port.Store{codeengine.New(codeengine.Config{
				Endpoint: s.URL(), HTTP: client.HTTP(),
			}).Store(codeengine.StoreConfig{Project: project.ID, Region: project.Region, Secret: "logs", Entry: "KEY", Owner: "prod"})}
			if _, list := w.examine(t); !strings.Contains(list, tc.want) {
				t.Errorf("the list does not have\n%s\nbut\n%s", tc.want, list)
			}
		})
	}
}
