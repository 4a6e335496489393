package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Types and final statuses of tasks:
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-secret-tasks.
const (
	// CreateCredentials is the type of a task that creates credentials.
	CreateCredentials = "create_credentials"
	// DeleteCredentials is the type of a task that deletes credentials.
	DeleteCredentials = "delete_credentials"

	// TaskCreated is the status of a task that has created credentials.
	TaskCreated = "credentials_created"
	// TaskDeleted is the status of a task that has deleted credentials.
	TaskDeleted = "credentials_deleted"
	// TaskFailed is the status of a task that has failed.
	TaskFailed = "failed"
)

// customCredentials is the type of secrets with tasks.
const customCredentials = "custom_credentials"

// TaskConfig names a task of a secret of the type custom_credentials.
type TaskConfig struct {
	Instance string // GUID
	Region   string
	Secret   string // ID
	Task     string // ID
	// Outputs are the outputs that the job declares besides APIKeyOutput:
	// IDOutput and ServiceIDOutput.
	Outputs []string
	// ServiceID is the value of ServiceIDOutput.
	ServiceID string
	// Pause is the time between the first two tries of an update. It doubles with
	// each try. Zero is 1 s.
	Pause time.Duration
}

// The outputs of credentials, which the job's definition declares.
const (
	// APIKeyOutput is SMOUT_APIKEY, the key's value.
	APIKeyOutput = "apikey"
	// IDOutput is SMOUT_ID, the key's ID.
	IDOutput = "id"
	// ServiceIDOutput is SMOUT_SERVICE_ID, the service ID.
	ServiceIDOutput = "service_id"
)

// Task is a task as a store. It is empty until it is final, and never changes
// afterwards. Secrets Manager completes a task once, which guards it against a
// second key.
type Task struct {
	client *Client
	cfg    TaskConfig
}

var _ port.Store = (*Task)(nil)

// Task returns a task. It sends no request.
func (c *Client) Task(cfg TaskConfig) *Task {
	cfg.Pause = cmp.Or(cfg.Pause, time.Second)
	return &Task{client: c, cfg: cfg}
}

// Name returns secretsManager/<region>/<instance>/task/<secret>/<task>.
func (t *Task) Name() string {
	return fmt.Sprintf("secretsManager/%s/%s/task/%s/%s", t.cfg.Region, t.cfg.Instance, t.cfg.Secret, t.cfg.Task)
}

// Guarded returns true: a final task accepts no update.
func (*Task) Guarded() bool { return true }

var instanceHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-fA-F-]{1,64})\.(?:private\.)?([a-z]{2}-[a-z0-9]{2,20})\.secrets-manager\.appdomain\.cloud$`)
})

// ParseInstance returns the GUID and the region in an instance's address. It
// rejects every other URL, since a token and a key are sent to the address.
func ParseInstance(address string) (instance, region string, err error) {
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "https" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && (u.Path == "" || u.Path == "/" || u.Path == "/api") {
		if m := instanceHost().FindStringSubmatch(u.Host); m != nil {
			return strings.ToLower(m[1]), m[2], nil
		}
	}
	return "", "", fmt.Errorf("reading the address of Secrets Manager: %w: it is not https://<instance>.<region>.secrets-manager.appdomain.cloud", port.ErrRefused)
}

// TaskState is the state of a task.
type TaskState struct {
	Type, Status string
	// KeyID is the ID of the credentials that the task created or is to delete.
	// It is empty if Secrets Manager does not name them.
	KeyID string
}

// Final reports whether the task accepts no more updates.
func (s TaskState) Final() bool {
	return slices.Contains([]string{TaskCreated, TaskDeleted, TaskFailed}, s.Status)
}

// forTasks is the role that can update a task.
const forTasks = "role SecretTaskUpdater"

func (t *Task) deed(verb, action, roles string) deed {
	return deed{fmt.Sprintf("%s task %s of secret %s in %s", verb, t.cfg.Task, t.cfg.Secret, t.cfg.Region), action, roles}
}

func (t *Task) path() []string { return secrets(t.cfg.Secret, "tasks", t.cfg.Task) }

// State reads the task. It returns ErrNotFound if the task was cancelled.
func (t *Task) State(ctx context.Context) (TaskState, error) {
	api := t.client.instance(t.cfg.Instance, t.cfg.Region)
	d := t.deed("reading", "secret-task.read", forReading)
	type task struct { // what IBM's documents call SecretTask
		Type    string `json:"type"`
		Status  string `json:"status"`
		Version string `json:"secret_version_id"`
	}
	got, err := send[task](ctx, api, d, upstream.Request{Method: http.MethodGet, Path: t.path()})
	if err != nil {
		return TaskState{}, err
	}
	s := TaskState{Type: got.Type, Status: got.Status}
	if s.Status == "" || s.Type == "" {
		return TaskState{}, upstream.Incomplete(d.doing, "type or status")
	}
	if got.Version != "" {
		if s.KeyID, err = t.credentials(ctx, api, got.Version); errors.Is(err, port.ErrNotFound) {
			err = nil // only the version was deleted
		}
	}
	return s, err
}

// credentials returns the ID of a version's credentials.
func (t *Task) credentials(ctx context.Context, api upstream.Service, id string) (string, error) {
	d := t.deed("reading the version of", "secret-version-metadata.read", forReading)
	v, err := send[version](ctx, api, d, upstream.Request{Method: http.MethodGet, Path: secrets(t.cfg.Secret, "versions", id, "metadata")})
	switch {
	case err != nil:
		return "", err
	case v.Type == "":
		return "", upstream.Incomplete(d.doing, "type of the version")
	case v.Type != customCredentials:
		return "", fmt.Errorf("%s: %w: the version is of another type", d.doing, port.ErrRefused)
	}
	return v.KeyID, nil
}

// Read returns the key that the task created, or ErrNotFound while it has none.
// It returns ErrRefused for a task that is of another type or was completed in
// another way.
func (t *Task) Read(ctx context.Context) (port.Entry, error) {
	s, err := t.State(ctx)
	switch {
	case errors.Is(err, port.ErrNotFound): // not returned: it would mean that the task waits for a key
		return port.Entry{}, fmt.Errorf("%s: %w: it was cancelled", t.Name(), port.ErrRefused)
	case err != nil:
		return port.Entry{}, err
	}
	return t.Entry(s)
}

// Entry returns what Read returns for a task in this state.
func (t *Task) Entry(s TaskState) (port.Entry, error) {
	switch {
	case s.Type != CreateCredentials:
		return port.Entry{}, fmt.Errorf("%s: %w: its type is %s", t.Name(), port.ErrRefused, s.Type)
	case s.Status == TaskCreated && s.KeyID == "":
		return port.Entry{}, fmt.Errorf("%s: %w: it does not name its key", t.Name(), port.ErrUnavailable)
	case s.Status == TaskCreated:
		return port.Entry{KeyID: s.KeyID, Revision: s.Status}, nil
	case s.Final():
		return port.Entry{}, fmt.Errorf("%s: %w: it is %s", t.Name(), port.ErrRefused, s.Status)
	}
	return port.Entry{Revision: "open"}, port.ErrNotFound
}

// taskUpdate is what IBM's documents call SecretTaskPrototype.
type taskUpdate struct {
	Status      string          `json:"status"`
	Credentials *newCredentials `json:"credentials,omitempty"`
	Errors      []taskError     `json:"errors,omitempty"`
}

type newCredentials struct {
	ID      string            `json:"id"`
	Payload map[string]string `json:"payload"` // by output
}

type taskError struct {
	Code        string `json:"code"`
	Description string `json:"description"`
}

// Publish completes the task with the key.
func (t *Task) Publish(ctx context.Context, e port.Entry, _ string) error {
	payload := map[string]string{APIKeyOutput: e.Value.Expose()}
	for name, value := range map[string]string{IDOutput: e.KeyID, ServiceIDOutput: t.cfg.ServiceID} {
		if slices.Contains(t.cfg.Outputs, name) {
			payload[name] = value
		}
	}
	body := taskUpdate{Status: TaskCreated, Credentials: &newCredentials{e.KeyID, payload}}
	done := func(s TaskState) bool { return s.Status == TaskCreated && s.KeyID == e.KeyID }
	err := t.complete(ctx, "publishing to", body, done, e.Value)
	if errors.Is(err, port.ErrRefused) || errors.Is(err, port.ErrNotFound) {
		if s, serr := t.State(ctx); serr == nil && s.Status == TaskCreated && s.KeyID != "" {
			return fmt.Errorf("%s: %w: it has the key %s", t.Name(), port.ErrConflict, s.KeyID)
		}
		if errors.Is(err, port.ErrNotFound) {
			return fmt.Errorf("%w: %w", port.ErrRefused, err)
		}
	}
	return err
}

// Deleted completes a task that deletes credentials.
func (t *Task) Deleted(ctx context.Context) error {
	return t.complete(ctx, "completing", taskUpdate{Status: TaskDeleted}, func(s TaskState) bool { return s.Status == TaskDeleted })
}

// Failed completes a task with an error: a code, and a sentence for the users of
// its secret.
func (t *Task) Failed(ctx context.Context, code, description string) error {
	body := taskUpdate{Status: TaskFailed, Errors: []taskError{{code, description}}}
	return t.complete(ctx, "failing", body, func(s TaskState) bool { return s.Status == TaskFailed })
}

// updates bounds how often an update is tried.
const updates = 4

// complete makes the task final. A final task accepts no update, so an update
// whose answer was lost can be repeated. The task's state then shows whether the
// first one succeeded.
func (t *Task) complete(ctx context.Context, verb string, body taskUpdate, done func(TaskState) bool, hidden ...secret.Value) error {
	api := t.client.instance(t.cfg.Instance, t.cfg.Region)
	d := t.deed(verb, "secret-task.update", forTasks)
	pause := t.cfg.Pause
	for try := 1; ; try++ {
		err := do(ctx, api, d, upstream.Request{Method: http.MethodPut, Path: t.path(), Body: body}, hidden...)
		if err == nil {
			return nil
		}
		denied, unclear := errors.Is(err, port.ErrDenied), errors.Is(err, port.ErrUnavailable)
		if denied {
			return err
		}
		s, serr := t.State(context.WithoutCancel(ctx))
		switch {
		case serr == nil && done(s):
			return nil
		case errors.Is(serr, port.ErrNotFound):
			return fmt.Errorf("%s: %w: it was cancelled", d.doing, port.ErrNotFound)
		case serr == nil && s.Final():
			return fmt.Errorf("%s: %w: it is %s already", d.doing, port.ErrRefused, s.Status)
		case !unclear, try == updates:
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			pause *= 2
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
