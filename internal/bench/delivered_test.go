package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/result"
)

// The job of a task waits five times: for its login, for what it reads, for the key, for
// a token of the key, and for the task to take it. So does a job that proves nothing.
func TestTheJobOfATaskMakesFiveCallsThatWaitForEachOther(t *testing.T) {
	for name, job := range map[string]func(*world, *testing.T, task) error{"latchkey": (*world).job, "a job that proves nothing": (*world).bareJob} {
		t.Run(name, func(t *testing.T) {
			if got := delivered(t, job); got != 5 {
				t.Errorf("the task has its key after %g calls, want 5", got)
			}
		})
	}
}

// task is what Secrets Manager starts a job with, and the ID of a secret with the job's API
// key.
type task struct{ serviceID, secret, id, own string }

// newTask makes a secret of the type custom_credentials.
func (w *world) newTask(t *testing.T) task {
	t.Helper()
	c, project := w.cloud.Cloud(), w.cloud.Ready().Projects[0].ID
	id := c.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, Name: "billing"})
	literal := func(name, value string) any { return map[string]any{"type": "literal", "name": name, "value": value} }
	_, err := c.CreateWorkload(cloud.Owner(), project, cloud.Jobs, "latchkey", map[string]any{
		"image_reference": "icr.io/latchkey/latchkey",
		"run_env_variables": []any{
			literal("SMIN_SERVICE_ID", "type:string, required:true"), literal("SMOUT_APIKEY", "type:string, required:true"), literal("SMOUT_ID", "type:string"),
		},
	})
	_, eerr := c.CreateEngine(cloud.Owner(), cloud.SecretsInstanceID, cloud.Engine{
		Type: "custom_credentials_configuration", Name: "latchkey", JobName: "latchkey", ProjectID: project, Region: "eu-de", TaskTimeout: "50m",
	})
	secret, _, serr := c.CreateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, cloud.NewManagedSecret{
		Type: cloud.CustomCredentials, Name: "billing", Configuration: "latchkey", Parameters: map[string]any{"service_id": id.ID},
	})
	c.Grant(c.Minter().IAMID, "secrets-manager", "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretTaskUpdater")
	own, _, oerr := c.CreateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, cloud.NewManagedSecret{Type: cloud.Arbitrary, Name: "own", Payload: w.cloud.Ready().APIKey})
	tasks, terr := c.ListSecretTasks(cloud.Owner(), cloud.SecretsInstanceID, secret.ID)
	if err := errors.Join(err, eerr, serr, oerr, terr); err != nil || len(tasks) != 1 {
		t.Fatal(err, tasks)
	}
	return task{id.ID, secret.ID, tasks[0].ID, own.ID}
}

// delivered returns the latencies until a new process has given a task its key.
func delivered(t *testing.T, job func(*world, *testing.T, task) error) (took float64) {
	t.Helper()
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.now.Store(time.Now().UnixNano())
		todo, start := w.newTask(t), time.Now()
		if err := job(w, t, todo); err != nil {
			t.Error(err)
		}
		took = float64(time.Unix(0, w.published.Load()).Sub(start)) / float64(latency)
	})
	return took
}

// job works on a task as latchkey does.
func (w *world) job(t *testing.T, do task) error {
	p := w.start(t, 0, 0)
	rules := protocol.Standard()
	rules.After, rules.Expire, rules.Overlap = 90*24*time.Hour, 90*24*time.Hour, 24*time.Hour
	var out result.Outcome
	err := provider.New(provider.Config{
		Instances: []string{cloud.SecretsInstanceID}, Allow: []provider.Allow{{ServiceIDs: []string{do.serviceID}}}, Rules: rules, OnLeak: "disable",
		Keys: p.iam, Reconciler: p.reconciler, Tasks: p.secrets.Task, Done: func(o result.Outcome) { out = o }, Log: slog.New(slog.DiscardHandler),
	}).Run(t.Context(), provider.Request{
		Action: "create_credentials", Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Group: "default",
		Secret: do.secret, Task: do.id, ServiceID: do.serviceID, Outputs: []string{"id"},
	})
	if err == nil && out.Result != result.Published {
		err = fmt.Errorf("the task is %s: %s", out.Result, out.Message)
	}
	return err
}

// bareJob works on a task as IBM's provider of API keys does
// (https://github.com/IBM/secrets-manager-custom-credentials-providers): it logs in, reads
// the API key in a secret, logs in with it, creates a key and completes the task. It reads
// no task and proves nothing.
func (w *world) bareJob(t *testing.T, do task) error {
	token := ""
	call := func(method, path string, body any, into any) error {
		var sent io.Reader
		kind := "application/json"
		switch body := body.(type) {
		case nil:
		case url.Values:
			sent, kind = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
		default:
			text, err := json.Marshal(body)
			if err != nil {
				return err
			}
			sent = bytes.NewReader(text)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, w.cloud.URL()+path, sent)
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := w.RoundTrip(req)
		if err != nil {
			return err
		}
		if resp.StatusCode >= 300 {
			return fmt.Errorf("%s %s: status %d", method, path, resp.StatusCode)
		}
		return json.NewDecoder(resp.Body).Decode(into)
	}
	login := func(apikey string) error {
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		err := call(http.MethodPost, "/identity/token", url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {apikey}}, &answer)
		token = answer.AccessToken
		return err
	}
	if err := login(w.cloud.Ready().APIKey); err != nil {
		return err
	}
	var own struct{ Payload string }
	if err := call(http.MethodGet, "/api/v2/secrets/"+do.own, nil, &own); err != nil {
		return err
	}
	if err := login(own.Payload); err != nil {
		return err
	}
	at := "/api/v2/secrets/" + do.secret + "/tasks/" + do.id
	var now struct{ Status string }
	var key struct{ ID, APIKey string }
	if err := call(http.MethodPost, "/v1/apikeys", map[string]any{"name": "billing", "iam_id": "iam-" + do.serviceID, "account_id": cloud.AccountID}, &key); err != nil {
		return err
	}
	return call(http.MethodPut, at, map[string]any{
		"status": "credentials_created", "credentials": map[string]any{"id": key.ID, "payload": map[string]any{"apikey": key.APIKey, "id": key.ID}},
	}, &now)
}
