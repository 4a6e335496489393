package main

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// providing is a stage with a secret of the type custom_credentials whose job
// is latchkey, and a service ID whose keys it may make.
type providing struct {
	*stage
	serviceID cloud.ServiceID
	project   string
	secret    cloud.ManagedSecret
	yaml      string
}

func newProviding(t *testing.T) *providing {
	t.Helper()
	p := &providing{stage: newStage(t, emulator.Options{})}
	p.serviceID, _ = p.cloud.Cloud().AddIdentity("billing")
	p.project = p.stage.project("team-a").ID
	p.cloud.Cloud().Grant(p.ownKey().IAMID, "secrets-manager", "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretTaskUpdater")
	literal := func(name, value string) any { return map[string]any{"type": "literal", "name": name, "value": value} }
	c := p.cloud.Cloud()
	if _, err := c.CreateWorkload(cloud.Owner(), p.project, cloud.Jobs, "latchkey", map[string]any{
		"image_reference": "icr.io/latchkey/latchkey",
		"run_env_variables": []any{
			literal("SMIN_SERVICE_ID", "type:string, required:true"),
			literal("SMOUT_APIKEY", "type:string, required:true"),
			literal("SMOUT_ID", "type:string, required:true"),
		},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateEngine(cloud.Owner(), cloud.SecretsInstanceID, cloud.Engine{
		Type: "custom_credentials_configuration", Name: "latchkey", JobName: "latchkey", ProjectID: p.project, Region: "eu-de", TaskTimeout: "50m",
	}); err != nil {
		t.Fatal(err)
	}
	p.yaml = examples.Emulator + fmt.Sprintf(`
provider:
  instances: [%s]
  allow:
  - {serviceIDs: [%s], groups: [default]}
`, cloud.SecretsInstanceID, p.serviceID.ID)
	return p
}

// ownKey is the one that latchkey logs in with.
func (p *providing) ownKey() cloud.APIKey {
	for _, k := range p.cloud.State(true).APIKeys {
		if k.Value == p.cloud.Ready().APIKey {
			return k
		}
	}
	p.t.Fatal("latchkey has no key")
	return cloud.APIKey{}
}

// create makes the secret, which starts its first task.
func (p *providing) create(serviceID string) {
	p.t.Helper()
	var err error
	p.secret, _, err = p.cloud.Cloud().CreateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, cloud.NewManagedSecret{
		Type: cloud.CustomCredentials, Name: "billing", Configuration: "latchkey", Parameters: map[string]any{"service_id": serviceID},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *providing) rotate() {
	p.t.Helper()
	if _, err := p.cloud.Cloud().CreateSecretVersion(cloud.Owner(), cloud.SecretsInstanceID, p.secret.ID, cloud.NewSecretVersion{}); err != nil {
		p.t.Fatal(err)
	}
}

// task is the newest of the secret.
func (p *providing) task() cloud.SecretTask {
	p.t.Helper()
	tasks, err := p.cloud.Cloud().ListSecretTasks(cloud.Owner(), cloud.SecretsInstanceID, p.secret.ID)
	if err != nil || len(tasks) == 0 {
		p.t.Fatal(tasks, err)
	}
	return tasks[len(tasks)-1]
}

// environment is what Secrets Manager starts the task's job run with.
func (p *providing) environment(task string) map[string]string {
	p.t.Helper()
	run, err := p.cloud.Cloud().GetWorkload(cloud.Owner(), p.project, cloud.JobRuns, task)
	if err != nil {
		p.t.Fatal(err)
	}
	env := map[string]string{"LATCHKEY_CONFIG": p.yaml}
	for _, v := range run.Spec["run_env_variables"].([]any) {
		v := v.(map[string]any)
		env[v["name"].(string)] = v["value"].(string)
	}
	return env
}

// run is the job run of the newest task.
func (p *providing) run(change ...func(env map[string]string)) (int, string) {
	p.t.Helper()
	env := p.environment(p.task().ID)
	for _, f := range change {
		f(env)
	}
	return p.job(env)
}

// made are the live keys that latchkey made for the secret, by ID.
func (p *providing) made() map[string]cloud.APIKey {
	return p.keys(provider.Entry + "/" + p.secret.ID + "/" + p.taskOf())
}

func (p *providing) taskOf() string { return p.task().ID }

// all are the keys of the service ID that latchkey made for any task.
func (p *providing) all() (ids []string) {
	for _, k := range p.cloud.State(true).APIKeys {
		if strings.HasPrefix(k.Name, provider.Entry+"/") {
			ids = append(ids, k.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// held is what the secret's current version has.
func (p *providing) held() (id, value string) {
	p.t.Helper()
	s, ok := p.cloud.State(true).ManagedSecret(cloud.SecretsInstanceID, cloud.CustomCredentials, "billing")
	if !ok {
		p.t.Fatal("no secret")
	}
	if len(s.Versions) == 0 {
		return "", ""
	}
	content, _ := s.Versions[len(s.Versions)-1].Data["credentials_content"].(map[string]any)
	id, _ = content["id"].(string)
	value, _ = content["apikey"].(string)
	return id, value
}

// works reports whether a value gives a token.
func (p *providing) works(value string) bool {
	resp, err := http.PostForm(p.cloud.URL()+"/identity/token", map[string][]string{
		"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {value},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// delivered checks that the task is done with one key that works and has its
// full life.
func (p *providing) delivered() string {
	p.t.Helper()
	return p.deliveredBeside(0)
}

// deliveredBeside is delivered where that many refused keys are left to their fuse.
func (p *providing) deliveredBeside(refused int) string {
	p.t.Helper()
	task := p.task()
	id, value := p.held()
	key, ok := p.made()[id]
	if task.Status != cloud.TaskCredentialsCreated || !ok || key.Value != value || !p.works(value) || len(p.made()) != 1+refused {
		p.t.Fatalf("task %s %v, key %q of %d", task.Status, task.Errors, id, len(p.made()))
	}
	for other, k := range p.made() {
		if life := k.ExpiresAt.Sub(k.CreatedAt); other != id && life > 25*time.Hour {
			p.t.Errorf("the refused key %s lives %s", other, life)
		}
	}
	if life := key.ExpiresAt.Sub(key.CreatedAt); (life - 90*24*time.Hour).Abs() > time.Minute {
		p.t.Errorf("the key lives %s", life)
	}
	return id
}

func (p *providing) failed(code string) {
	p.t.Helper()
	task := p.task()
	if task.Status != cloud.TaskFailed || len(task.Errors) != 1 || task.Errors[0].Code != code {
		p.t.Errorf("task %s %v, want %s", task.Status, task.Errors, code)
	}
}

func TestSecretsManagerGetsAKeyAndHasTheOldOneDeleted(t *testing.T) {
	p := newProviding(t)
	p.create(p.serviceID.ID)
	if code, out := p.run(); code != cli.ExitOK || !strings.Contains(out, `"result":"published"`) {
		t.Fatalf("exit %d, %s", code, out)
	}
	first := p.delivered()
	if code, out := p.run(); code != cli.ExitOK || !slices.Equal(p.all(), []string{first}) {
		t.Fatalf("the same task again: exit %d, %s, keys %v", code, out, p.all())
	}
	p.cloud.Advance(30 * 24 * time.Hour)
	p.rotate()
	if code, out := p.run(); code != cli.ExitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	second := p.delivered()
	if len(p.all()) != 2 {
		t.Errorf("keys %v: the one before is Secrets Manager's to end", p.all())
	}
	// With the third version the first one's data are deleted.
	p.cloud.Advance(30 * 24 * time.Hour)
	p.rotate()
	if code, out := p.run(); code != cli.ExitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	last := p.task()
	if last.Type != "delete_credentials" {
		t.Fatalf("the newest task is %+v", last)
	}
	for _, want := range []string{`"action":"retire"`, ""} { // a repetition has nothing left
		code, out := p.run()
		if code != cli.ExitOK || (want == "") != (out == "") || !strings.Contains(out, want) {
			t.Errorf("exit %d, %s", code, out)
		}
	}
	if got := p.task(); got.Status != cloud.TaskCredentialsDeleted || len(p.all()) != 2 || slices.Contains(p.all(), first) || !slices.Contains(p.all(), second) {
		t.Errorf("task %s %v, keys %v", got.Status, got.Errors, p.all())
	}
}

func TestTheInputIsReadInBothSpellings(t *testing.T) {
	p := newProviding(t)
	p.create(p.serviceID.ID)
	code, out := p.run(func(env map[string]string) {
		env["SMIN_SERVICE_ID_VALUE"] = env["SM_SERVICE_ID_VALUE"]
		delete(env, "SM_SERVICE_ID_VALUE")
	})
	if code != cli.ExitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	p.delivered()
}

func TestWhatIsNotAllowedMakesNoKeyAndSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		yaml func(p *providing) string
		id   func(p *providing) string
		code string
		says string
	}{
		"a service ID that the config does not name": {
			id: func(p *providing) string { return p.serviceIDOf("other") }, code: "not-allowed", says: "provider.allow",
		},
		"a secret in another group": {
			yaml: func(p *providing) string {
				return strings.Replace(p.yaml, "groups: [default]", "groups: [0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d]", 1)
			},
			code: "not-allowed", says: "provider.allow",
		},
		"no ID of a service ID": {
			id: func(*providing) string { return "billing" }, code: "bad-service-id", says: "ServiceId-",
		},
		"a service ID that lacks a policy": {
			yaml: func(p *providing) string {
				return strings.Replace(p.yaml, "groups: [default]", "policies: [{service: logs, roles: [Sender]}]", 1)
			},
			code: "policy-missing", says: "Sender on logs",
		},
		"latchkey is paused": {
			yaml: func(p *providing) string { return p.yaml + "paused: true\n" }, code: "paused", says: "paused in the config",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProviding(t)
			if tc.yaml != nil {
				p.yaml = tc.yaml(p)
			}
			id := p.serviceID.ID
			if tc.id != nil {
				id = tc.id(p)
			}
			p.create(id)
			if code, out := p.run(); code != cli.ExitOK {
				t.Fatalf("exit %d, %s", code, out)
			}
			p.failed(tc.code)
			if text := p.task().Errors[0].Description; !strings.Contains(text, tc.says) {
				t.Errorf("it says %q", text)
			}
			if keys := p.all(); len(keys) != 0 {
				t.Errorf("keys %v", keys)
			}
		})
	}
}

func (p *providing) serviceIDOf(name string) string {
	id, _ := p.cloud.Cloud().AddIdentity(name)
	return id.ID
}

func TestAPolicyThatIsThereLetsAKeyBeMade(t *testing.T) {
	p := newProviding(t)
	p.cloud.Cloud().Grant(p.serviceID.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	p.yaml = strings.Replace(p.yaml, "groups: [default]", "policies: [{service: logs, roles: [Sender]}]", 1)
	p.yaml += fmt.Sprintf("  prove: {logs: {instance: %s, region: eu-de}}\n  expire: 90d\n", cloud.LogsInstanceID)
	p.create(p.serviceID.ID)
	if code, out := p.run(); code != cli.ExitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	p.delivered()
	if p.cloud.Counter("POST", "/logs/v1/singles") == 0 {
		t.Error("the proof left no line")
	}
}

func TestAnInstanceThatTheConfigDoesNotNameIsSentNothing(t *testing.T) {
	p := newProviding(t)
	p.create(p.serviceID.ID)
	for name, url := range map[string]string{
		"another instance":   "https://0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d.eu-de.secrets-manager.appdomain.cloud",
		"another host":       "https://" + cloud.SecretsInstanceID + ".eu-de.secrets-manager.appdomain.cloud.example.com",
		"a host with a port": "https://" + cloud.SecretsInstanceID + ".eu-de.secrets-manager.appdomain.cloud:8443",
		"plain http":         "http://" + cloud.SecretsInstanceID + ".eu-de.secrets-manager.appdomain.cloud",
		"a user":             "https://a@" + cloud.SecretsInstanceID + ".eu-de.secrets-manager.appdomain.cloud",
		"nothing":            "",
	} {
		before := len(p.cloud.Events())
		code, out := p.run(func(env map[string]string) { env["SM_INSTANCE_URL"] = url })
		if code != cli.ExitError || out != "" || len(p.cloud.Events()) != before || p.task().Status != cloud.TaskProcessing {
			t.Errorf("%s: exit %d, %s, task %s", name, code, out, p.task().Status)
		}
	}
	p.yaml = examples.Emulator
	if code, _ := p.run(); code != cli.ExitError || p.task().Status != cloud.TaskProcessing {
		t.Errorf("without a provider in the config: exit %d", code)
	}
	p.post(p.url, sample.Tick(p.cloud.Now()), "") // some value for the canaries' sake
}

const taskPath = "*/tasks/*"

func TestATaskThatTakesNoKeyHasNone(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(p *providing)
		status  string
	}{
		"the update is refused once": {func(p *providing) {
			p.cloud.Inject(emulator.Fault{Method: "PUT", Path: taskPath, Kind: emulator.FaultStatus, Status: 400, Count: 1})
		}, cloud.TaskFailed},
		"every update is refused": {func(p *providing) {
			p.cloud.Inject(emulator.Fault{Method: "PUT", Path: taskPath, Kind: emulator.FaultStatus, Status: 400})
		}, cloud.TaskProcessing},
		"every update is denied": {func(p *providing) {
			p.cloud.Inject(emulator.Fault{Method: "PUT", Path: taskPath, Kind: emulator.FaultStatus, Status: 403})
		}, cloud.TaskProcessing},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProviding(t)
			p.create(p.serviceID.ID)
			tc.prepare(p)
			code, out := p.run()
			task := p.task()
			if task.Status != tc.status {
				t.Errorf("exit %d, %s, task %s", code, out, task.Status)
			}
			switch tc.status {
			case cloud.TaskFailed:
				if code != cli.ExitOK || len(p.all()) != 0 {
					t.Errorf("exit %d, keys %v", code, p.all())
				}
			default: // who knows: the key has its fuse
				if code != cli.ExitTryAgain {
					t.Errorf("exit %d", code)
				}
				for _, k := range p.made() {
					if k.ExpiresAt.Sub(k.CreatedAt) > 25*time.Hour {
						t.Errorf("key %s has its fuse off", k.ID)
					}
				}
			}
		})
	}
}

func TestATaskThatIsCancelledWhileAKeyIsMadeHasNone(t *testing.T) {
	p := newProviding(t)
	p.create(p.serviceID.ID)
	task := p.task().ID
	env := p.environment(task)
	p.cloud.Inject(emulator.Fault{Method: "PUT", Path: taskPath, Kind: emulator.FaultHang})
	var done sync.WaitGroup
	code := -1
	done.Go(func() { code, _ = p.job(env) })
	for range time.Tick(5 * time.Millisecond) {
		if p.cloud.Counter("PUT", taskPath) > 0 {
			break
		}
	}
	if err := p.cloud.Cloud().DeleteSecretTask(cloud.Owner(), cloud.SecretsInstanceID, p.secret.ID, task); err != nil {
		t.Fatal(err)
	}
	p.cloud.ClearFaults()
	done.Wait()
	if keys := p.all(); code != cli.ExitOK || len(keys) != 0 {
		t.Errorf("exit %d, keys %v", code, keys)
	}
	p.post(p.url, sample.Tick(p.cloud.Now()), "") // some value for the canaries' sake
	if code, out := p.job(env); code != cli.ExitOK || out != "" {
		t.Errorf("a run of a task that is gone: exit %d, %s", code, out)
	}
}

func TestLostAnswersEndAsIfTheyHadArrived(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"the task's update":      {Method: "PUT", Path: taskPath, Kind: emulator.FaultLost, Count: 1},
		"the update, truncated":  {Method: "PUT", Path: taskPath, Kind: emulator.FaultTruncate, Count: 1},
		"the update, down twice": {Method: "PUT", Path: taskPath, Kind: emulator.FaultStatus, Status: 503, Count: 2},
		"the key's creation":     {Method: "POST", Path: "/v1/apikeys", Kind: emulator.FaultLost, Count: 1},
		"the key's full life":    {Method: "PUT", Path: "/v1/apikeys/{id}", Kind: emulator.FaultLost, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProviding(t)
			p.create(p.serviceID.ID)
			p.cloud.Inject(fault)
			if out, err := p.inHaste(t); err != nil {
				t.Fatalf("%v, %s", err, out)
			}
			p.delivered()
		})
	}
}

// inHaste is a run that does not pause long between its looks.
func (p *providing) inHaste(t *testing.T) (string, error) {
	t.Helper()
	return p.within(t, time.Minute)
}

func (p *providing) within(t *testing.T, patience time.Duration) (string, error) {
	t.Helper()
	env := p.environment(p.task().ID)
	var out strings.Builder
	r, err := provider.ReadRequest(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	pr := p.wired(p.yaml).newProvider(provider.Print(&out, slog.New(slog.DiscardHandler)), func(c *provider.Config) {
		c.Pause, c.Within = 20*time.Millisecond, patience
	})
	err = pr.Run(t.Context(), r)
	return out.String(), err
}

func TestManyRunsOfOneTaskMakeOneKey(t *testing.T) {
	p := newProviding(t)
	p.create(p.serviceID.ID)
	var runs sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			if out, err := p.inHaste(t); err != nil {
				t.Errorf("%v, %s", err, out)
			}
		})
	}
	runs.Wait()
	p.delivered()
	if keys := p.all(); len(keys) != 1 {
		t.Errorf("keys %v", keys)
	}
}

func TestARunThatDiedInTheMiddleIsFinishedByTheNext(t *testing.T) {
	t.Run("before the key had its full life", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		p.cloud.Inject(emulator.Fault{Method: "PUT", Path: "/v1/apikeys/{id}", Kind: emulator.FaultStatus, Status: 403})
		if out, err := p.inHaste(t); err != nil {
			t.Fatalf("%v, %s", err, out)
		}
		p.cloud.ClearFaults()
		p.cloud.Advance(time.Hour)
		if out, err := p.inHaste(t); err != nil || !strings.Contains(out, `"action":"unfuse"`) {
			t.Fatalf("%v, %s", err, out)
		}
		p.delivered()
	})
	t.Run("before the key had its full life, and only a sweep comes by", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		p.cloud.Inject(emulator.Fault{Method: "PUT", Path: "/v1/apikeys/{id}", Kind: emulator.FaultStatus, Status: 403})
		if out, err := p.inHaste(t); err != nil {
			t.Fatalf("%v, %s", err, out)
		}
		p.cloud.ClearFaults()
		url := p.serve(p.yaml)
		for step, want := range []bool{false, true, false} { // too young, due, done
			r := p.post(url, sample.Tick(p.cloud.Now()), testToken)
			if got := strings.Contains(r.body, p.task().ID) && strings.Contains(r.body, "unfuse"); r.status != http.StatusOK || got != want {
				t.Errorf("sweep %d: %d %s", step, r.status, r.body)
			}
			p.cloud.Advance(16 * time.Minute)
		}
		p.delivered()
	})
	t.Run("before the task had its key", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		p.cloud.Inject(emulator.Fault{Method: "PUT", Path: taskPath, Kind: emulator.FaultStatus, Status: 503})
		if out, err := p.within(t, time.Second); err == nil {
			t.Fatalf("the state of the task is unknown, and yet: %s", out)
		}
		p.cloud.ClearFaults()
		p.cloud.Advance(16 * time.Minute)
		if out, err := p.inHaste(t); err != nil {
			t.Fatalf("%v, %s", err, out)
		}
		p.deliveredBeside(1)
	})
}

// replaced rotates the secret until a task deletes its first key.
func (p *providing) replaced() {
	p.t.Helper()
	for range 2 {
		p.cloud.Advance(24 * time.Hour)
		p.rotate()
		if out, err := p.inHaste(p.t); err != nil {
			p.t.Fatalf("%v, %s", err, out)
		}
	}
	if p.task().Type != secretsmanager.DeleteCredentials {
		p.t.Fatalf("the newest task is %+v", p.task())
	}
}

func TestOnlyAKeyOfThisSecretIsDeleted(t *testing.T) {
	t.Run("not another than the version's", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		if code, out := p.run(); code != cli.ExitOK {
			t.Fatalf("exit %d, %s", code, out)
		}
		p.replaced()
		before := len(p.cloud.State(true).APIKeys)
		if code, out := p.run(func(env map[string]string) { env["SM_CREDENTIALS_ID"] = p.ownKey().ID }); code != cli.ExitOK {
			t.Errorf("exit %d, %s", code, out)
		}
		p.failed("not-this-key")
		if after := len(p.cloud.State(true).APIKeys); after != before {
			t.Errorf("%d keys of %d are left", after, before)
		}
	})
	t.Run("not one that latchkey did not make", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		// Another program gave the secret its first credentials.
		foreign := p.ownKey()
		if _, err := p.cloud.Cloud().ReplaceSecretTask(cloud.Owner(), cloud.SecretsInstanceID, p.secret.ID, p.task().ID, cloud.TaskUpdate{
			Status: cloud.TaskCredentialsCreated, CredentialsID: foreign.ID, Payload: map[string]any{"apikey": "theirs", "id": foreign.ID},
		}); err != nil {
			t.Fatal(err)
		}
		p.replaced()
		if code, out := p.run(); code != cli.ExitOK {
			t.Errorf("exit %d, %s", code, out)
		}
		p.failed("key-foreign")
		if p.ownKey().ID != foreign.ID {
			t.Error("the key is gone")
		}
	})
	t.Run("one that was deleted already is done", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		if code, out := p.run(); code != cli.ExitOK {
			t.Fatalf("exit %d, %s", code, out)
		}
		first := p.delivered()
		p.replaced()
		if err := p.cloud.Cloud().DeleteAPIKey(cloud.Owner(), first); err != nil {
			t.Fatal(err)
		}
		if code, out := p.run(); code != cli.ExitOK || p.task().Status != cloud.TaskCredentialsDeleted {
			t.Errorf("exit %d, %s, task %s", code, out, p.task().Status)
		}
	})
	t.Run("one that is locked stays, and is reported", func(t *testing.T) {
		p := newProviding(t)
		p.create(p.serviceID.ID)
		if code, out := p.run(); code != cli.ExitOK {
			t.Fatalf("exit %d, %s", code, out)
		}
		first := p.delivered()
		p.replaced()
		if err := p.cloud.Cloud().LockAPIKey(cloud.Owner(), first, true); err != nil {
			t.Fatal(err)
		}
		if code, out := p.run(); code != cli.ExitOK {
			t.Errorf("exit %d, %s", code, out)
		}
		p.failed("service-id-denied")
	})
}

func TestATaskOfAnotherKindIsNotTaken(t *testing.T) {
	p := newProviding(t)
	p.create(p.serviceID.ID)
	for name, change := range map[string]map[string]string{
		"the action of another task": {"SM_ACTION": "delete_credentials", "SM_CREDENTIALS_ID": "ApiKey-1"},
		"an action that is none":     {"SM_ACTION": "rotate"},
		"a secret that is a path":    {"SM_SECRET_ID": "../secrets"},
		"no task":                    {"SM_SECRET_TASK_ID": ""},
	} {
		if code, out := p.run(func(env map[string]string) { maps.Copy(env, change) }); code != cli.ExitError || p.task().Status != cloud.TaskProcessing {
			t.Errorf("%s: exit %d, %s, task %s", name, code, out, p.task().Status)
		}
	}
	if code, _ := p.run(func(env map[string]string) { env["JOB_INDEX"], env["JOB_ARRAY_SIZE"] = "1", "2" }); code != cli.ExitOK || p.task().Status != cloud.TaskProcessing {
		t.Errorf("index 1 acted: exit %d", code)
	}
	p.post(p.url, sample.Tick(p.cloud.Now()), "") // some value for the canaries' sake
}
