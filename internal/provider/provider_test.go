package provider_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	serviceID = "ServiceId-0f6d4c7a"
	canary    = "canary-7f3e9d-hunter2-kT5uW9xQ2mZ7rB4nC8vL1p"

	taskPath    = "*/tasks/*"
	versionPath = "*/versions/*/metadata"
)

var start = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

// world is an emulated Secrets Manager with a secret of the type
// custom_credentials, and fakes of IAM's keys and of the reconciler. A test
// changes cfg before it runs a task.
type world struct {
	*emulator.Server
	t      *testing.T
	keys   *keys
	cfg    provider.Config
	secret cloud.ManagedSecret
	log    bytes.Buffer
	done   []result.Outcome

	began      func() // if set, is called when a run begins
	reconcile  func(ctx context.Context, c port.Credential) (result.Outcome, error)
	reconciled []port.Credential
	asked      []reconcile.Request
	tasks      []secretsmanager.TaskConfig // that were made
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := emulator.Start(emulator.Options{Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	w := &world{Server: s, t: t, keys: newKeys()}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.log.String(), canary) {
			t.Error("the log has the key's value")
		}
	})
	project := s.Ready().Projects[0].ID
	literal := func(name, value string) any { return map[string]any{"type": "literal", "name": name, "value": value} }
	if _, err := s.Cloud().CreateWorkload(cloud.Owner(), project, cloud.Jobs, "latchkey", map[string]any{
		"image_reference": "icr.io/latchkey/latchkey",
		"run_env_variables": []any{
			literal("SMIN_SERVICE_ID", "type:string, required:true"), literal("SMOUT_APIKEY", "type:string, required:true"), literal("SMOUT_ID", "type:string"),
		},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cloud().CreateEngine(cloud.Owner(), cloud.SecretsInstanceID, cloud.Engine{
		Type: "custom_credentials_configuration", Name: "latchkey", JobName: "latchkey", ProjectID: project, Region: "eu-de", TaskTimeout: "50m",
	}); err != nil {
		t.Fatal(err)
	}
	if w.secret, _, err = s.Cloud().CreateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, cloud.NewManagedSecret{
		Type: cloud.CustomCredentials, Name: "billing", Configuration: "latchkey", Parameters: map[string]any{"service_id": serviceID},
	}); err != nil {
		t.Fatal(err)
	}
	s.Cloud().Grant(s.Cloud().Minter().IAMID, "secrets-manager", "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretTaskUpdater")

	own, err := iam.New(iam.Config{URL: s.URL(), Owner: "prod", HTTP: &http.Client{Transport: transport}, APIKey: secret.New(s.Ready().APIKey), Now: s.Now})
	if err != nil {
		t.Fatal(err)
	}
	sm := secretsmanager.New(secretsmanager.Config{Endpoint: s.URL(), HTTP: own.HTTP()})
	w.cfg = provider.Config{
		Instances: []string{cloud.SecretsInstanceID}, Allow: []provider.Allow{{ServiceIDs: []string{serviceID}}},
		Rules: protocol.Standard(), OnLeak: "disable", Keys: w.keys, Reconciler: w, Pause: time.Millisecond,
		Tasks: func(c secretsmanager.TaskConfig) *secretsmanager.Task {
			w.tasks = append(w.tasks, c)
			return sm.Task(c)
		},
		Done: func(out result.Outcome) { w.done = append(w.done, out) },
		Log:  slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	w.reconcile = w.publish
	return w
}

// Reconcile reads the store first and does nothing if it can't be read, as
// reconcile.Reconciler does.
func (w *world) Reconcile(ctx context.Context, c port.Credential, ask reconcile.Request) (result.Outcome, error) {
	if w.began != nil {
		w.began()
	}
	if _, err := c.Stores[0].Read(ctx); err != nil && !errors.Is(err, port.ErrNotFound) {
		if ctx.Err() == nil {
			w.t.Errorf("the run may still write, although its store can't be read: %v", err)
		}
		return result.Outcome{Credential: c.Name, Result: result.Blocked, Reason: reason.StoreRefused}, nil
	}
	w.reconciled, w.asked = append(w.reconciled, c), append(w.asked, ask)
	out, err := w.reconcile(ctx, c)
	out.Credential = c.Name
	return out, err
}

// publish gives a task its key, as a reconciler does.
func (w *world) publish(ctx context.Context, c port.Credential) (result.Outcome, error) {
	if err := c.Stores[0].Publish(ctx, port.Entry{KeyID: "ApiKey-1", Value: secret.New(canary)}, ""); err != nil {
		w.t.Errorf("publishing: %v", err)
	}
	return result.Outcome{Result: result.Published, Key: "ApiKey-1"}, nil
}

// minted is the step of a run that made a key.
func minted(id string) []result.Step {
	return []result.Step{{Step: protocol.Step{Action: protocol.Mint, Key: id}}}
}

// blocked is a run that made a key and then could not go on.
func blocked(context.Context, port.Credential) (result.Outcome, error) {
	return result.Outcome{Result: result.Blocked, Reason: reason.ProofDenied, Message: "the proof was denied", Steps: minted("ApiKey-8")}, nil
}

// task returns the newest task of the secret.
func (w *world) task() cloud.SecretTask {
	w.t.Helper()
	tasks, err := w.Cloud().ListSecretTasks(cloud.Owner(), cloud.SecretsInstanceID, w.secret.ID)
	if err != nil || len(tasks) == 0 {
		w.t.Fatal(tasks, err)
	}
	return tasks[len(tasks)-1]
}

// request returns what Secrets Manager requests for the newest task.
func (w *world) request() provider.Request {
	return provider.Request{
		Action: w.task().Type, Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Group: "default",
		Secret: w.secret.ID, Task: w.task().ID, ServiceID: serviceID, Outputs: []string{secretsmanager.IDOutput},
	}
}

func (w *world) run() error {
	w.t.Helper()
	return provider.New(w.cfg).Run(w.t.Context(), w.request())
}

// mustRun fails on an error.
func (w *world) mustRun() {
	w.t.Helper()
	if err := w.run(); err != nil {
		w.t.Fatal(err)
	}
}

// complete completes the newest task by hand.
func (w *world) complete(u cloud.TaskUpdate) {
	w.t.Helper()
	if _, err := w.Cloud().ReplaceSecretTask(cloud.Owner(), cloud.SecretsInstanceID, w.secret.ID, w.task().ID, u); err != nil {
		w.t.Fatal(err)
	}
}

// created is the update that completes a task with a key.
func created(id string) cloud.TaskUpdate {
	return cloud.TaskUpdate{Status: cloud.TaskCredentialsCreated, CredentialsID: id, Payload: map[string]any{"apikey": canary, "id": id}}
}

// replaced rotates the secret until its newest task deletes the key ApiKey-1.
func (w *world) replaced() provider.Request {
	w.t.Helper()
	for _, id := range []string{"ApiKey-1", "ApiKey-2", "ApiKey-3"} {
		if id != "ApiKey-1" {
			if _, err := w.Cloud().CreateSecretVersion(cloud.Owner(), cloud.SecretsInstanceID, w.secret.ID, cloud.NewSecretVersion{}); err != nil {
				w.t.Fatal(err)
			}
		}
		w.complete(created(id))
	}
	if w.task().Type != secretsmanager.DeleteCredentials {
		w.t.Fatalf("the newest task is %+v", w.task())
	}
	w.keys.add(w.key("ApiKey-1"))
	r := w.request()
	r.Key, r.ServiceID = "ApiKey-1", ""
	return r
}

// key returns a key that was made for the secret.
func (w *world) key(id string) port.KeyRecord {
	return port.KeyRecord{
		Key: protocol.Key{ID: id}, IAMID: "iam-" + serviceID, Ours: true, Credential: provider.Entry + "/" + w.secret.ID + "/task-1",
	}
}

// cancel deletes the newest task.
func (w *world) cancel() {
	w.t.Helper()
	if err := w.Cloud().DeleteSecretTask(cloud.Owner(), cloud.SecretsInstanceID, w.secret.ID, w.task().ID); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fault(method, path string, status int) {
	w.Inject(emulator.Fault{Method: method, Path: path, Kind: emulator.FaultStatus, Status: status})
}

// wantStatus checks the newest task, and the code and text of a failed one.
func (w *world) wantStatus(status, code, text string) {
	w.t.Helper()
	task := w.task()
	if task.Status != status {
		w.t.Errorf("the task is %s, want %s", task.Status, status)
	}
	if code == "" {
		return
	}
	if len(task.Errors) != 1 || task.Errors[0].Code != code || !strings.Contains(task.Errors[0].Description, text) {
		w.t.Errorf("the task has the errors %+v, want %s: %s", task.Errors, code, text)
	}
}

// wantRetired checks which keys were deleted.
func (w *world) wantRetired(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.keys.retired, want) {
		w.t.Errorf("deleted the keys %q, want %q", w.keys.retired, want)
	}
}

// keys is a fake of IAM's keys. An error in errs, by operation, is returned
// times[operation] times, or always if that is 0.
type keys struct {
	records map[string]port.KeyRecord
	listed  []string // IDs that List returns
	granted []access.Policy
	// onGranted, if set, is called by Granted.
	onGranted func()
	errs      map[string]error
	times     map[string]int
	calls     []string
	retired   []string
}

var _ provider.Keys = (*keys)(nil)

func newKeys() *keys {
	return &keys{records: map[string]port.KeyRecord{}, errs: map[string]error{}, times: map[string]int{}}
}

func (k *keys) add(records ...port.KeyRecord) {
	for _, r := range records {
		k.records[r.ID] = r
	}
}

func (k *keys) count(operation string) (n int) {
	for _, call := range k.calls {
		if name, _, _ := strings.Cut(call, " "); name == operation {
			n++
		}
	}
	return n
}

func (k *keys) call(operation string, args ...string) error {
	k.calls = append(k.calls, strings.Join(append([]string{operation}, args...), " "))
	if n := k.times[operation]; n > 0 && k.count(operation) > n {
		return nil
	}
	return k.errs[operation]
}

func (k *keys) List(_ context.Context, iamID string, credentials ...string) (l port.KeyList, err error) {
	if err := k.call("list", append([]string{iamID}, credentials...)...); err != nil {
		return l, err
	}
	for _, id := range k.listed {
		l.Keys = append(l.Keys, protocol.Key{ID: id})
	}
	return l, nil
}

func (k *keys) Get(_ context.Context, id string) (port.KeyRecord, error) {
	if err := k.call("get", id); err != nil {
		return port.KeyRecord{}, err
	}
	rec, ok := k.records[id]
	if !ok {
		return rec, fmt.Errorf("reading key %s: %w", id, port.ErrNotFound)
	}
	return rec, nil
}

func (k *keys) Retire(_ context.Context, id string) error {
	if err := k.call("retire", id); err != nil {
		return err
	}
	k.retired = append(k.retired, id)
	return nil
}

func (k *keys) Marked(_ context.Context, iamID, prefix string) (found []port.KeyRecord, err error) {
	if err := k.call("marked", iamID, prefix); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(k.records)) {
		if k.records[id].IAMID == iamID {
			found = append(found, k.records[id])
		}
	}
	return found, nil
}

func (k *keys) Granted(_ context.Context, iamID string) ([]access.Policy, error) {
	if k.onGranted != nil {
		k.onGranted()
	}
	return k.granted, k.call("granted", iamID)
}

func TestATaskGetsAKeyAndItsOutcomeIsReturned(t *testing.T) {
	w := newWorld(t)
	w.mustRun()
	task := w.task()
	w.wantStatus(cloud.TaskCredentialsCreated, "", "")
	w.wantRetired()
	name := provider.Entry + "/" + w.secret.ID + "/" + task.ID
	if len(w.done) != 1 || w.done[0].Credential != name || w.done[0].Key != "ApiKey-1" {
		t.Errorf("outcomes %+v", w.done)
	}
	if len(w.reconciled) != 1 {
		t.Fatalf("%d credentials were reconciled", len(w.reconciled))
	}
	c := w.reconciled[0]
	if c.Name != name || c.Entry != provider.Entry || c.Given != serviceID || c.OnLeak != "disable" || c.Rules != w.cfg.Rules || c.Paused ||
		len(c.Stores) != 1 || !strings.HasSuffix(c.Stores[0].Name(), "/task/"+w.secret.ID+"/"+task.ID) {
		t.Errorf("the credential is %+v", c)
	}
	if ask := w.asked[0]; !strings.Contains(ask.Cause, task.ID) || ask.Trigger != (protocol.Trigger{}) {
		t.Errorf("asked for %+v", ask)
	}
	v, _, err := w.Cloud().GetManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, w.secret.ID)
	if err != nil || v.State != cloud.StateActive {
		t.Errorf("the secret is %+v, %v", v, err)
	}
}

func TestTheConfigReachesTheCredential(t *testing.T) {
	w := newWorld(t)
	w.cfg.Paused, w.cfg.Provers = true, []port.Prover{nil, nil}
	w.reconcile = func(context.Context, port.Credential) (result.Outcome, error) {
		return result.Outcome{Result: result.Blocked, Reason: reason.Paused, Message: reason.Paused.Sentence()}, nil
	}
	w.mustRun()
	if c := w.reconciled[0]; !c.Paused || len(c.Provers) != 2 {
		t.Errorf("the credential is %+v", c)
	}
	w.wantStatus(cloud.TaskFailed, string(reason.Paused), reason.Paused.Sentence())
}

func TestATaskIsReadWithTheRequestsValuesAndTheDefaultPause(t *testing.T) {
	w := newWorld(t)
	w.cfg.Pause = 0
	w.mustRun()
	want := secretsmanager.TaskConfig{
		Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Secret: w.secret.ID, Task: w.task().ID,
		ServiceID: serviceID, Outputs: []string{secretsmanager.IDOutput}, Pause: time.Second, // a tenth of the default
	}
	if len(w.tasks) != 1 || !reflect.DeepEqual(w.tasks[0], want) {
		t.Errorf("tasks %+v, want %+v", w.tasks, want)
	}
}

func TestAnInstanceThatTheConfigDoesNotNameIsSentNothing(t *testing.T) {
	w := newWorld(t)
	w.cfg.Instances = []string{"0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"}
	err := w.run()
	if err == nil || errors.Is(err, provider.ErrTryAgain) || !strings.Contains(err.Error(), "provider.instances") || !strings.Contains(err.Error(), cloud.SecretsInstanceID) {
		t.Errorf("error %v", err)
	}
	if len(w.tasks) != 0 || len(w.reconciled) != 0 || len(w.keys.calls) != 0 {
		t.Errorf("tasks %v, calls %v", w.tasks, w.keys.calls)
	}
	p := provider.New(w.cfg)
	if p.Serves(cloud.SecretsInstanceID) || !p.Serves(w.cfg.Instances[0]) {
		t.Error("Serves is wrong")
	}
}

func TestATaskThatNeedsNoKeyIsLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(w *world)
		fails   bool // with an error that no retry helps
	}{
		"it was cancelled": {prepare: func(w *world) {
			w.fault(http.MethodGet, taskPath, http.StatusNotFound)
		}},
		"it has failed": {prepare: func(w *world) {
			w.complete(cloud.TaskUpdate{Status: cloud.TaskFailed, Errors: []cloud.TaskError{{Code: "x", Description: "y"}}})
		}},
		"it has a key, which was deleted since": {prepare: func(w *world) { w.complete(created("ApiKey-1")) }},
		"it has a key, and its version was deleted": {prepare: func(w *world) {
			w.complete(created("ApiKey-1"))
			w.fault(http.MethodGet, versionPath, http.StatusNotFound)
		}},
		"it is of another type than the action": {fails: true, prepare: func(w *world) { w.replaced() }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.prepare(w)
			before := w.task()
			r := w.request()
			r.Action = secretsmanager.CreateCredentials
			err := provider.New(w.cfg).Run(t.Context(), r)
			if (err != nil) != tc.fails || errors.Is(err, provider.ErrTryAgain) {
				t.Errorf("error %v", err)
			}
			if len(w.reconciled) != 0 || len(w.done) != 0 {
				t.Errorf("reconciled %v, outcomes %v", w.reconciled, w.done)
			}
			w.wantRetired()
			w.wantStatus(before.Status, "", "")
		})
	}
}

func TestATaskThatHasAKeyStillGivesItItsFullLife(t *testing.T) {
	w := newWorld(t)
	w.complete(created("ApiKey-1"))
	w.keys.add(w.key("ApiKey-1"))
	w.cfg.Allow = nil // the key was allowed when it was made
	w.reconcile = func(context.Context, port.Credential) (result.Outcome, error) {
		return result.Outcome{Result: result.Changed, Key: "ApiKey-1"}, nil
	}
	w.mustRun()
	if len(w.reconciled) != 1 || len(w.done) != 1 {
		t.Errorf("reconciled %d times, %d outcomes", len(w.reconciled), len(w.done))
	}
	w.wantStatus(cloud.TaskCredentialsCreated, "", "")
}

func TestATaskThatCannotBeReadIsFailedOrTriedAgain(t *testing.T) {
	t.Run("no clear answer: another run may finish it", func(t *testing.T) {
		w := newWorld(t)
		w.fault(http.MethodGet, taskPath, http.StatusServiceUnavailable)
		if err := w.run(); !errors.Is(err, provider.ErrTryAgain) || !errors.Is(err, port.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		w.ClearFaults()
		w.wantStatus(cloud.TaskProcessing, "", "")
	})
	t.Run("one clear answer in four is enough", func(t *testing.T) {
		w := newWorld(t)
		w.Inject(emulator.Fault{Method: http.MethodGet, Path: taskPath, Kind: emulator.FaultStatus, Status: http.StatusServiceUnavailable, Count: 3})
		w.mustRun()
		w.wantStatus(cloud.TaskCredentialsCreated, "", "")
	})
	t.Run("access denied: the task says which role is missing", func(t *testing.T) {
		w := newWorld(t)
		w.fault(http.MethodGet, taskPath, http.StatusForbidden)
		w.mustRun()
		w.wantStatus(cloud.TaskFailed, "task-denied", "SecretsReader")
	})
	t.Run("an error that no retry helps is returned", func(t *testing.T) {
		w := newWorld(t)
		w.fault(http.MethodGet, taskPath, http.StatusBadRequest)
		if err := w.run(); !errors.Is(err, port.ErrRefused) || errors.Is(err, provider.ErrTryAgain) {
			t.Errorf("error %v", err)
		}
	})
}

func TestARequestThatIsNotAllowedMakesNoKey(t *testing.T) {
	sender := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	for name, tc := range map[string]struct {
		prepare func(w *world)
		id      string
		code    string
		text    string
	}{
		"the parameter is no service ID": {id: "billing", code: "bad-service-id", text: "ServiceId-"},
		"there is no parameter":          {id: "-", code: "bad-service-id", text: "service_id"},
		"the parameter is a path":        {id: "ServiceId-1/../2", code: "bad-service-id", text: "service_id"},
		"the config does not name it":    {id: "ServiceId-2", code: "not-allowed", text: "provider.allow"},
		"the secret is in another group": {
			prepare: func(w *world) { w.cfg.Allow[0].Groups = []string{"other"} }, code: "not-allowed", text: "provider.allow",
		},
		"it lacks a policy": {
			prepare: func(w *world) { w.cfg.Allow[0].Policies = []access.Policy{sender} },
			code:    string(reason.NoPolicy), text: sender.Label(),
		},
		"its policies can't be read": {
			prepare: func(w *world) {
				w.cfg.Allow[0].Policies, w.keys.errs["granted"] = []access.Policy{sender}, port.ErrUnavailable
			},
			code: "try-again", text: "try again later",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tc.prepare != nil {
				tc.prepare(w)
			}
			r := w.request()
			switch tc.id {
			case "":
			case "-":
				r.ServiceID = ""
			default:
				r.ServiceID = tc.id
			}
			if err := provider.New(w.cfg).Run(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			w.wantStatus(cloud.TaskFailed, tc.code, tc.text)
			if len(w.reconciled) != 0 || len(w.done) != 0 {
				t.Errorf("reconciled %v, outcomes %v", w.reconciled, w.done)
			}
			w.wantRetired()
		})
	}
}

func TestARequestThatIsAllowedIsServed(t *testing.T) {
	sender := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	for name, prepare := range map[string]func(w *world){
		"in its group": func(w *world) { w.cfg.Allow[0].Groups = []string{"other", "default"} },
		"by the second item": func(w *world) {
			w.cfg.Allow = append([]provider.Allow{{ServiceIDs: []string{"ServiceId-2"}}}, w.cfg.Allow...)
		},
		"with its policy": func(w *world) {
			w.cfg.Allow[0].Policies, w.keys.granted = []access.Policy{sender}, []access.Policy{sender}
		},
		"with its policy, which IAM shows at the third try": func(w *world) {
			w.cfg.Allow[0].Policies, w.keys.granted = []access.Policy{sender}, []access.Policy{sender}
			w.keys.errs["granted"], w.keys.times["granted"] = port.ErrUnavailable, 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			w.mustRun()
			w.wantStatus(cloud.TaskCredentialsCreated, "", "")
		})
	}
}

func TestPoliciesAreReadBesideTheTask(t *testing.T) {
	w := newWorld(t)
	sender := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	w.cfg.Allow[0].Policies, w.keys.granted = []access.Policy{sender}, []access.Policy{sender}
	// The task is not answered until the policies are read.
	w.Inject(emulator.Fault{Method: http.MethodGet, Path: taskPath, Kind: emulator.FaultHang})
	w.keys.onGranted = w.ClearFaults
	w.mustRun()
	w.wantStatus(cloud.TaskCredentialsCreated, "", "")
}

func TestARunBeginsBeforeItsTaskIsRead(t *testing.T) {
	w := newWorld(t)
	// The task is not answered until the run has begun.
	w.Inject(emulator.Fault{Method: http.MethodGet, Path: taskPath, Kind: emulator.FaultHang})
	w.began = w.ClearFaults
	w.mustRun()
	w.wantStatus(cloud.TaskCredentialsCreated, "", "")
	if n := w.Counter(http.MethodGet, taskPath); n != 1 {
		t.Errorf("the task was read %d times", n)
	}
}

func TestNoRunBeginsForWhatTheConfigDoesNotAllow(t *testing.T) {
	w := newWorld(t)
	w.cfg.Allow = nil
	w.began = func() { t.Error("a run has begun") }
	w.mustRun()
	w.wantStatus(cloud.TaskFailed, "not-allowed", "")
}

func TestATaskIsReconciledUntilItHasAKey(t *testing.T) {
	w := newWorld(t)
	w.reconcile = func(ctx context.Context, c port.Credential) (result.Outcome, error) {
		switch len(w.reconciled) {
		case 1:
			return result.Outcome{}, observe.ErrFailed
		case 2:
			return result.Outcome{Result: result.Failed, Key: "ApiKey-1"}, nil
		case 3:
			return result.Outcome{Result: result.InProgress, Key: "ApiKey-1"}, nil
		case 4:
			return result.Outcome{Result: result.Unchanged}, nil // without a key
		}
		return w.publish(ctx, c)
	}
	w.mustRun()
	if len(w.reconciled) != 5 || len(w.done) != 1 || w.done[0].Result != result.Published {
		t.Errorf("reconciled %d times, outcomes %+v", len(w.reconciled), w.done)
	}
}

func TestABlockedTaskFailsWithTheReasonAndItsKeysAreDeleted(t *testing.T) {
	w := newWorld(t)
	w.reconcile, w.keys.listed = blocked, []string{"ApiKey-9", "ApiKey-8"}
	w.mustRun()
	w.wantStatus(cloud.TaskFailed, string(reason.ProofDenied), "the proof was denied")
	w.wantRetired("ApiKey-8", "ApiKey-9")
	if want := "list iam-" + serviceID + " " + provider.Entry + "/" + w.secret.ID + "/" + w.task().ID; !slices.Contains(w.keys.calls, want) {
		t.Errorf("calls %q, want %q among them", w.keys.calls, want)
	}
	if len(w.done) != 1 || w.done[0].Result != result.Blocked {
		t.Errorf("outcomes %+v", w.done)
	}
}

func TestATaskWithoutAKeyInTimeFailsAndItsKeysAreDeleted(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.reconcile = func(context.Context, port.Credential) (result.Outcome, error) {
		if len(w.reconciled) == 1 {
			failed := minted("ApiKey-7")
			failed[0].Error = "no clear answer"
			return result.Outcome{Result: result.Failed, Steps: append(minted("ApiKey-8"), failed...)}, nil
		}
		cancel() // the time is over
		return result.Outcome{}, observe.ErrFailed
	}
	if err := provider.New(w.cfg).Run(ctx, w.request()); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(cloud.TaskFailed, "try-again", "try again later")
	w.wantRetired("ApiKey-8")
	if len(w.done) != 1 || w.done[0].Result != result.Failed || w.done[0].Error != observe.ErrFailed.Error() {
		t.Errorf("outcomes %+v", w.done)
	}
}

func TestOnlyKeysThatATaskCannotHaveAreDeleted(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(w *world)
		retired []string
		again   bool
	}{
		"another run has given it a key": {
			prepare: func(w *world) { w.complete(created("ApiKey-9")) }, retired: []string{"ApiKey-8"},
		},
		"it was cancelled": {
			prepare: func(w *world) {
				w.fault(http.MethodPut, taskPath, http.StatusNotFound)
				w.fault(http.MethodGet, taskPath, http.StatusNotFound)
			}, retired: []string{"ApiKey-8", "ApiKey-9"},
		},
		"it has failed": {
			prepare: func(w *world) {
				w.complete(cloud.TaskUpdate{Status: cloud.TaskFailed, Errors: []cloud.TaskError{{Code: "x", Description: "y"}}})
			}, retired: []string{"ApiKey-8", "ApiKey-9"},
		},
		"its update is denied": {
			prepare: func(w *world) { w.fault(http.MethodPut, taskPath, http.StatusForbidden) }, again: true,
		},
		"its update gets no clear answer": {
			prepare: func(w *world) { w.fault(http.MethodPut, taskPath, http.StatusServiceUnavailable) }, again: true,
		},
		"it has a key and does not name it": {
			prepare: func(w *world) {
				w.complete(created("ApiKey-9"))
				w.fault(http.MethodGet, versionPath, http.StatusNotFound)
			}, again: true,
		},
		"its keys can't be listed": {
			prepare: func(w *world) { w.keys.errs["list"] = port.ErrDenied }, retired: []string{"ApiKey-8"},
		},
		"a key is deleted at the third try": {
			prepare: func(w *world) { w.keys.errs["retire"], w.keys.times["retire"] = port.ErrUnavailable, 2 },
			retired: []string{"ApiKey-8", "ApiKey-9"},
		},
		"a key that can't be deleted keeps no other": {
			prepare: func(w *world) { w.keys.errs["retire"], w.keys.times["retire"] = port.ErrDenied, 1 },
			retired: []string{"ApiKey-9"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.keys.listed = []string{"ApiKey-9"}
			w.reconcile = func(ctx context.Context, c port.Credential) (result.Outcome, error) {
				tc.prepare(w) // while the run is at work
				return blocked(ctx, c)
			}
			if err := w.run(); errors.Is(err, provider.ErrTryAgain) != tc.again || (err != nil) != tc.again {
				t.Errorf("error %v", err)
			}
			w.wantRetired(tc.retired...)
		})
	}
}

func TestAKeyThatSecretsManagerNoLongerWantsIsDeleted(t *testing.T) {
	w := newWorld(t)
	if err := provider.New(w.cfg).Run(t.Context(), w.replaced()); err != nil {
		t.Fatal(err)
	}
	w.wantRetired("ApiKey-1")
	w.wantStatus(cloud.TaskCredentialsDeleted, "", "")
	if len(w.done) != 1 || w.done[0].ServiceID != serviceID || w.done[0].Result != result.Changed || len(w.done[0].Steps) != 1 ||
		w.done[0].Steps[0].Key != "ApiKey-1" || w.done[0].Steps[0].Action != protocol.Retire || w.done[0].Credential != w.key("ApiKey-1").Credential {
		t.Errorf("outcomes %+v", w.done)
	}
	if len(w.reconciled) != 0 {
		t.Error("a task that deletes was reconciled")
	}
}

func TestATaskThatDeletesEndsWithACode(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(w *world, r *provider.Request)
		status  string
		code    string
		text    string
		retired []string
		again   bool
	}{
		"the key was deleted earlier": {
			prepare: func(w *world, _ *provider.Request) { delete(w.keys.records, "ApiKey-1") }, status: cloud.TaskCredentialsDeleted,
		},
		"the key is deleted at the third try": {
			prepare: func(w *world, _ *provider.Request) {
				w.keys.errs["retire"], w.keys.times["retire"] = port.ErrUnavailable, 2
			}, status: cloud.TaskCredentialsDeleted, retired: []string{"ApiKey-1"},
		},
		"latchkey is paused": {
			prepare: func(w *world, _ *provider.Request) { w.cfg.Paused = true },
			status:  cloud.TaskFailed, code: string(reason.Paused), text: reason.Paused.Sentence(),
		},
		"the key is not the version's": {
			prepare: func(_ *world, r *provider.Request) { r.Key = "ApiKey-2" }, status: cloud.TaskFailed, code: "not-this-key",
		},
		"the key's ID is a path": {
			prepare: func(_ *world, r *provider.Request) { r.Key = "../ApiKey-1" }, status: cloud.TaskFailed, code: "not-this-key",
		},
		"there is no key": {
			prepare: func(_ *world, r *provider.Request) { r.Key = "" }, status: cloud.TaskFailed, code: "not-this-key",
		},
		"the key is foreign": {
			prepare: func(w *world, _ *provider.Request) {
				k := w.key("ApiKey-1")
				k.Ours = false
				w.keys.add(k)
			}, status: cloud.TaskFailed, code: string(reason.KeyForeign), text: "ApiKey-1",
		},
		"the key is another secret's": {
			prepare: func(w *world, _ *provider.Request) {
				k := w.key("ApiKey-1")
				k.Credential = provider.Entry + "/" + w.secret.ID + "x/task-1"
				w.keys.add(k)
			}, status: cloud.TaskFailed, code: string(reason.KeyForeign),
		},
		"the key is a config entry's": {
			prepare: func(w *world, _ *provider.Request) {
				k := w.key("ApiKey-1")
				k.Credential = "sender"
				w.keys.add(k)
			}, status: cloud.TaskFailed, code: string(reason.KeyForeign),
		},
		"the deletion is denied": {
			prepare: func(w *world, _ *provider.Request) { w.keys.errs["retire"] = port.ErrDenied },
			status:  cloud.TaskFailed, code: string(reason.IdentityDenied), text: "unlock it",
		},
		"the key can't be read": {
			prepare: func(w *world, _ *provider.Request) { w.keys.errs["get"] = port.ErrUnavailable },
			status:  cloud.TaskFailed, code: "try-again", text: "ApiKey-1",
		},
		"the deletion gets no clear answer": {
			prepare: func(w *world, _ *provider.Request) { w.keys.errs["retire"] = port.ErrUnavailable },
			status:  cloud.TaskFailed, code: "try-again", text: "ApiKey-1",
		},
		"the task is final": {
			prepare: func(w *world, _ *provider.Request) {
				w.complete(cloud.TaskUpdate{Status: cloud.TaskCredentialsDeleted})
			},
			status: cloud.TaskCredentialsDeleted,
		},
		"the task can't be completed": {
			prepare: func(w *world, _ *provider.Request) { w.fault(http.MethodPut, taskPath, http.StatusServiceUnavailable) },
			status:  cloud.TaskProcessing, retired: []string{"ApiKey-1"}, again: true,
		},
		"the completion is denied: the key is deleted, and no other run helps": {
			prepare: func(w *world, _ *provider.Request) { w.fault(http.MethodPut, taskPath, http.StatusForbidden) },
			status:  cloud.TaskProcessing, retired: []string{"ApiKey-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.replaced()
			tc.prepare(w, &r)
			if err := provider.New(w.cfg).Run(t.Context(), r); errors.Is(err, provider.ErrTryAgain) != tc.again || (err != nil) != tc.again {
				t.Errorf("error %v", err)
			}
			w.ClearFaults()
			w.wantStatus(tc.status, tc.code, tc.text)
			w.wantRetired(tc.retired...)
			if (len(w.done) == 1) != (len(tc.retired) == 1) {
				t.Errorf("outcomes %+v", w.done)
			}
		})
	}
}

func TestACallWithoutAClearAnswerIsTriedFourTimes(t *testing.T) {
	w := newWorld(t)
	r := w.replaced()
	w.keys.errs["get"] = port.ErrUnavailable
	if err := provider.New(w.cfg).Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := w.keys.count("get"); n != 4 {
		t.Errorf("%d tries, want 4", n)
	}
}

func TestPrintWritesAnOutcomeAsALineOfJSON(t *testing.T) {
	var out, log bytes.Buffer
	write := provider.Print(&out, slog.New(slog.NewTextHandler(&log, nil)))
	write(result.Outcome{Credential: "a", Result: result.Published})
	write(result.Outcome{Credential: "b", Result: result.Failed})
	if got, want := out.String(), `{"credential":"a","result":"published"}`+"\n"+`{"credential":"b","result":"failed"}`+"\n"; got != want || log.Len() != 0 {
		t.Errorf("wrote %s, log %s", got, log.String())
	}
	provider.Print(full{}, slog.New(slog.NewTextHandler(&log, nil)))(result.Outcome{})
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log is %s", log.String())
	}
}

// full is a writer that writes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }
