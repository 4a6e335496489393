package emulator_test

import (
	"fmt"
	"testing"
	"time"

	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// provider is a secret of the type custom_credentials. The test plays the job
// that creates its credentials.
type provider struct {
	*world
	api     *sm.SecretsManagerV2
	project string
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	w := newWorld(t)
	p := &provider{world: w, api: w.sm(""), project: w.teamA()}
	if _, err := w.Cloud().CreateWorkload(cloud.Owner(), p.project, cloud.Jobs, "provider", map[string]any{
		"image_reference": "icr.io/codeengine/helloworld",
		"run_env_variables": []any{
			map[string]any{"type": "literal", "name": "SMIN_SERVICE_ID", "value": "type:string, required:true"},
			map[string]any{"type": "literal", "name": "SMIN_ON_LEAK", "value": "type:enum[none|disable], required:false"},
			map[string]any{"type": "literal", "name": "SMOUT_APIKEY", "value": "type:string, required:true"},
			map[string]any{"type": "literal", "name": "SMOUT_USES", "value": "type:integer, required:false"},
		},
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *provider) configuration(name string) *sm.CustomCredentialsConfigurationPrototype {
	return &sm.CustomCredentialsConfigurationPrototype{Name: &name, ConfigType: ptr("custom_credentials_configuration"), TaskTimeout: ptr("20m"),
		CodeEngine: &sm.CustomCredentialsConfigurationCodeEngine{JobName: ptr("provider"), ProjectID: &p.project, Region: ptr("eu-de")}}
}

func (p *provider) configure(t *testing.T) *sm.CustomCredentialsConfiguration {
	t.Helper()
	return done(p.api.CreateConfiguration(p.api.NewCreateConfigurationOptions(p.configuration("keys"))))(t).(*sm.CustomCredentialsConfiguration)
}

func (p *provider) secret(t *testing.T) *sm.CustomCredentialsSecret {
	t.Helper()
	return done(p.api.CreateSecret(p.api.NewCreateSecretOptions(&sm.CustomCredentialsSecretPrototype{SecretType: ptr("custom_credentials"),
		Name: ptr("creds"), Configuration: ptr("keys"), Parameters: map[string]any{"service_id": "ServiceId-1"}})))(t).(*sm.CustomCredentialsSecret)
}

// task is the newest of a secret.
func (p *provider) task(t *testing.T, secret string) sm.SecretTask {
	t.Helper()
	list := done(p.api.ListSecretTasks(p.api.NewListSecretTasksOptions(secret)))(t).Tasks
	return list[len(list)-1]
}

func (p *provider) report(secret, task string, body sm.SecretTaskPrototypeIntf) error {
	_, _, err := p.api.ReplaceSecretTask(p.api.NewReplaceSecretTaskOptions(secret, task, body))
	return err
}

func created(id, key string) *sm.SecretTaskPrototypeUpdateSecretTaskCredentialsCreated {
	return &sm.SecretTaskPrototypeUpdateSecretTaskCredentialsCreated{Status: ptr("credentials_created"),
		Credentials: &sm.CustomCredentialsNewCredentials{ID: &id, Payload: map[string]any{"apikey": key}}}
}

var credentialsDeleted = &sm.SecretTaskPrototypeUpdateSecretTaskCredentialsDeleted{Status: ptr("credentials_deleted")}

func TestConfigurations(t *testing.T) {
	p := newProvider(t)
	c := p.configure(t)
	if *c.Schema.Parameters[0].Name != "service_id" || *c.Schema.Parameters[0].EnvVariableName != "SM_SERVICE_ID_VALUE" ||
		*c.Schema.Credentials[0].Format != "type:string, required:true" || *c.TaskTimeout != "20m" || *c.CodeEngine.JobName != "provider" {
		t.Errorf("configuration %+v", c)
	}
	if got := done(p.api.GetConfiguration(p.api.NewGetConfigurationOptions("keys")))(t).(*sm.CustomCredentialsConfiguration); *got.Name != "keys" {
		t.Errorf("configuration %+v", got)
	}
	if list := done(p.api.ListConfigurations(p.api.NewListConfigurationsOptions()))(t); *list.TotalCount != 1 {
		t.Errorf("configurations %+v", list)
	}
	fails := func(change func(*sm.CustomCredentialsConfigurationPrototype)) error {
		n := p.configuration("more")
		change(n)
		_, _, err := p.api.CreateConfiguration(p.api.NewCreateConfigurationOptions(n))
		return err
	}
	refused(t, fails(func(n *sm.CustomCredentialsConfigurationPrototype) { n.Name = ptr("keys") }), 409, "conflict")
	refused(t, fails(func(*sm.CustomCredentialsConfigurationPrototype) {}), 409, "conflict") // the job has one
	refused(t, fails(func(n *sm.CustomCredentialsConfigurationPrototype) { n.CodeEngine.JobName = ptr("none") }), 400, "bad_request")
	refused(t, fails(func(n *sm.CustomCredentialsConfigurationPrototype) { n.TaskTimeout = ptr("1m") }), 400, "bad_request")
	refused(t, fails(func(n *sm.CustomCredentialsConfigurationPrototype) { n.ApiKeyRef = ptr("none") }), 409, "conflict")
	p.secret(t)
	_, err := p.api.DeleteConfiguration(p.api.NewDeleteConfigurationOptions("keys"))
	refused(t, err, 409, "conflict")
	_, _, err = p.api.GetConfiguration(p.api.NewGetConfigurationOptions("none"))
	refused(t, err, 404, "not_found")
}

func TestTasksMakeCustomCredentials(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	u, events := receiver(t, 0)
	if _, err := p.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindSecrets}); err != nil {
		t.Fatal(err)
	}
	heard := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := next(t, events).data["data"].(map[string]any)["event_type"]; got != w {
				t.Fatalf("event %v, want %s", got, w)
			}
		}
	}
	s := p.secret(t)
	if *s.State != 0 || *s.StateDescription != "pre_activation" || *s.TaskCount != 1 || len(s.CredentialsContent) != 0 {
		t.Errorf("secret %+v", s)
	}
	task := p.task(t, *s.ID)
	if *task.Type != "create_credentials" || *task.Status != "processing" || *task.Trigger != "secret_creation" || *s.ProcessingTaskID != *task.ID {
		t.Errorf("task %+v", task)
	}
	heard("secret_task_created")
	run, err := p.Cloud().GetWorkload(cloud.Owner(), p.project, cloud.JobRuns, *task.ID)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]any{}
	for _, v := range run.Spec["run_env_variables"].([]any) {
		v := v.(map[string]any)
		env[v["name"].(string)] = v["value"]
	}
	for name, want := range map[string]string{"SM_ACTION": "create_credentials", "SM_TRIGGER": "secret_creation", "SM_SECRET_ID": *s.ID,
		"SM_SECRET_TASK_ID": *task.ID, "SM_SERVICE_ID_VALUE": "ServiceId-1", "SMIN_SERVICE_ID": "type:string, required:true",
		"SM_INSTANCE_URL": "https://" + cloud.SecretsInstanceID + ".eu-de.secrets-manager.appdomain.cloud"} {
		if env[name] != want {
			t.Errorf("%s is %v, want %s", name, env[name], want)
		}
	}
	busy := p.api.NewCreateSecretVersionOptions(*s.ID, &sm.CustomCredentialsSecretVersionPrototype{})
	_, _, err = p.api.CreateSecretVersion(busy)
	refused(t, err, 409, "conflict")
	for name, body := range map[string]sm.SecretTaskPrototypeIntf{
		"no credentials ID":            created("", "value"),
		"credentials of another shape": &sm.SecretTaskPrototypeUpdateSecretTaskCredentialsCreated{Status: ptr("credentials_created"), Credentials: &sm.CustomCredentialsNewCredentials{ID: ptr("1"), Payload: map[string]any{"apikey": 1}}},
		"credentials not declared":     &sm.SecretTaskPrototypeUpdateSecretTaskCredentialsCreated{Status: ptr("credentials_created"), Credentials: &sm.CustomCredentialsNewCredentials{ID: ptr("1"), Payload: map[string]any{"apikey": "x", "more": "y"}}},
		"the end of another task":      credentialsDeleted,
		"a failure without errors":     &sm.SecretTaskPrototypeUpdateSecretTaskFailed{Status: ptr("failed"), Errors: []sm.SecretTaskError{}},
	} {
		t.Run(name, func(t *testing.T) { refused(t, p.report(*s.ID, *task.ID, body), 400, "bad_request") })
	}
	refused(t, p.report(*s.ID, "sm-task-none", created("ApiKey-1", "one")), 404, "not_found")
	if err := p.report(*s.ID, *task.ID, created("ApiKey-1", "one")); err != nil {
		t.Fatal(err)
	}
	refused(t, p.report(*s.ID, *task.ID, created("ApiKey-1", "one")), 400, "bad_request")
	heard("secret_task_succeeded", "secret_created")
	got := done(p.api.GetSecret(p.api.NewGetSecretOptions(*s.ID)))(t).(*sm.CustomCredentialsSecret)
	if *got.State != 1 || got.CredentialsContent["apikey"] != "one" || got.ProcessingTaskID != nil {
		t.Errorf("secret %+v", got)
	}
	for n, key := range []string{"two", "three"} {
		done(p.api.CreateSecretVersion(busy))(t)
		if err := p.report(*s.ID, *p.task(t, *s.ID).ID, created(fmt.Sprint("ApiKey-", n+2), key)); err != nil {
			t.Fatal(err)
		}
	}
	heard("secret_task_created", "secret_task_succeeded", "secret_rotated", "secret_task_created", "secret_task_created", "secret_task_succeeded", "secret_rotated")
	gone := p.task(t, *s.ID) // the first credentials are behind the previous ones
	if *gone.Type != "delete_credentials" || *gone.Trigger != "secret_version_data_deletion" {
		t.Errorf("task %+v", gone)
	}
	refused(t, p.report(*s.ID, *gone.ID, created("x", "y")), 400, "bad_request")
	if err := p.report(*s.ID, *gone.ID, credentialsDeleted); err != nil {
		t.Fatal(err)
	}
	heard("secret_task_succeeded")
	if v := done(p.api.GetSecretVersion(p.api.NewGetSecretVersionOptions(*s.ID, "previous")))(t).(*sm.CustomCredentialsSecretVersion); *v.CredentialsID != "ApiKey-2" || v.CredentialsContent["apikey"] != "two" {
		t.Errorf("version %+v", v)
	}

	done(p.api.CreateSecretVersion(busy))(t)
	if err := p.report(*s.ID, *p.task(t, *s.ID).ID, &sm.SecretTaskPrototypeUpdateSecretTaskFailed{Status: ptr("failed"),
		Errors: []sm.SecretTaskError{{Code: ptr("E1"), Description: ptr("no luck")}}}); err != nil {
		t.Fatal(err)
	}
	failed := done(p.api.GetSecretTask(p.api.NewGetSecretTaskOptions(*s.ID, *p.task(t, *s.ID).ID)))(t)
	m := done(p.api.GetSecretMetadata(p.api.NewGetSecretMetadataOptions(*s.ID)))(t).(*sm.CustomCredentialsSecretMetadata)
	if *failed.Errors[0].Description != "no luck" || !*m.LastRotationFailed || *m.LastFailedTaskID != *failed.ID || *m.State != 1 {
		t.Errorf("task %+v, secret %+v", failed, m)
	}
	heard("secret_task_created", "secret_task_failed", "secret_rotation_failed")

	_, err = p.api.DeleteSecret(p.api.NewDeleteSecretOptions(*s.ID))
	refused(t, err, 409, "conflict") // its provider has credentials of two versions
	for _, alias := range []string{"previous", "current"} {
		if _, err := p.api.DeleteSecretVersionData(p.api.NewDeleteSecretVersionDataOptions(*s.ID, alias)); err != nil {
			t.Fatal(err)
		}
		_, err = p.api.DeleteSecret(p.api.NewDeleteSecretOptions(*s.ID).SetForceDelete(false))
		refused(t, err, 409, "conflict")
		if err := p.report(*s.ID, *p.task(t, *s.ID).ID, credentialsDeleted); err != nil {
			t.Fatal(err)
		}
		heard("secret_task_created", "secret_version_data_deleted", "secret_task_succeeded")
	}
	if _, err := p.api.DeleteSecret(p.api.NewDeleteSecretOptions(*s.ID)); err != nil {
		t.Fatal(err)
	}
	heard("secret_deleted")
	_, _, err = p.api.GetSecret(p.api.NewGetSecretOptions(*s.ID))
	refused(t, err, 404, "not_found")
}

func TestTasksEndWithoutTheirJob(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := p.secret(t)
	p.Advance(21 * time.Minute)
	task := p.task(t, *s.ID)
	if *task.Status != "failed" || *task.Errors[0].Code != "task_timeout" {
		t.Errorf("task %+v", task)
	}
	done(p.api.CreateSecretVersion(p.api.NewCreateSecretVersionOptions(*s.ID, &sm.CustomCredentialsSecretVersionPrototype{})))(t)
	task = p.task(t, *s.ID)
	r, err := p.api.DeleteSecretTask(p.api.NewDeleteSecretTaskOptions(*s.ID, *task.ID))
	if err != nil || r.StatusCode != 204 {
		t.Fatal(err)
	}
	refused(t, p.report(*s.ID, *task.ID, created("1", "x")), 404, "not_found")
}

func TestForceDeletesWhatItsProviderStillHas(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := p.secret(t)
	if err := p.report(*s.ID, *p.task(t, *s.ID).ID, created("ApiKey-1", "one")); err != nil {
		t.Fatal(err)
	}
	_, err := p.api.DeleteSecret(p.api.NewDeleteSecretOptions(*s.ID))
	refused(t, err, 409, "conflict")
	if _, err := p.api.DeleteSecret(p.api.NewDeleteSecretOptions(*s.ID).SetForceDelete(true)); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.api.GetSecret(p.api.NewGetSecretOptions(*s.ID))
	refused(t, err, 404, "not_found")
}

func TestForceDoesNotDeleteALockedSecret(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := p.secret(t)
	if err := p.report(*s.ID, *p.task(t, *s.ID).ID, created("ApiKey-1", "one")); err != nil {
		t.Fatal(err)
	}
	lockOn(t, p.api, *s.ID, "current", "", "one")
	_, err := p.api.DeleteSecret(p.api.NewDeleteSecretOptions(*s.ID).SetForceDelete(true))
	refused(t, err, 412, "precondition_failed")
	_, err = p.api.DeleteSecretVersionData(p.api.NewDeleteSecretVersionDataOptions(*s.ID, "current"))
	refused(t, err, 412, "precondition_failed")
}

func TestASecretIsLockedOnlyAfterItsTasks(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := p.secret(t)
	if err := p.report(*s.ID, *p.task(t, *s.ID).ID, created("ApiKey-1", "one")); err != nil {
		t.Fatal(err)
	}
	done(p.api.CreateSecretVersion(p.api.NewCreateSecretVersionOptions(*s.ID, &sm.CustomCredentialsSecretVersionPrototype{})))(t)
	lock := p.api.NewCreateSecretLocksBulkOptions(*s.ID, []sm.SecretLockPrototype{{Name: ptr("one")}})
	_, _, err := p.api.CreateSecretLocksBulk(lock)
	refused(t, err, 409, "conflict")
	if err := p.report(*s.ID, *p.task(t, *s.ID).ID, created("ApiKey-2", "two")); err != nil {
		t.Fatal(err)
	}
	done(p.api.CreateSecretLocksBulk(lock))(t)
}

func TestASecretShowsItsLast100Tasks(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := p.secret(t)
	for range 105 {
		p.Advance(21 * time.Minute) // the task times out
		if _, err := p.Cloud().CreateSecretVersion(cloud.Owner(), cloud.SecretsInstanceID, *s.ID, cloud.NewSecretVersion{}); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := p.Cloud().ListSecretTasks(cloud.Owner(), cloud.SecretsInstanceID, *s.ID); err != nil || len(list) != 100 {
		t.Errorf("%d tasks, %v", len(list), err)
	}
}

func TestRolesThatMayUpdateTasks(t *testing.T) {
	p := newProvider(t)
	p.configure(t)
	s := p.secret(t)
	task := *p.task(t, *s.ID).ID
	for _, role := range []string{"Writer", "SecretsReader", "Manager"} {
		api := p.keeper(role)
		_, _, err := api.ReplaceSecretTask(api.NewReplaceSecretTaskOptions(*s.ID, task, created("1", "x")))
		refused(t, err, 403, "forbidden")
	}
	api := p.keeper("SecretTaskUpdater")
	done(api.ReplaceSecretTask(api.NewReplaceSecretTaskOptions(*s.ID, task, created("1", "x"))))(t)
	_, _, err := p.api.ListSecretTasks(p.api.NewListSecretTasksOptions(*arbitrary(t, p.api, "plain").ID))
	refused(t, err, 400, "bad_request")
}
