package cloud

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// CustomSecret has the fields of the type custom_credentials.
type CustomSecret struct {
	Lease
	Configuration      string         `json:"configuration"`
	Parameters         map[string]any `json:"parameters,omitempty"`
	TaskCount          int            `json:"task_count"`
	QueuedTaskCount    int            `json:"queued_task_count"`
	ProcessingTaskID   string         `json:"processing_task_id,omitempty"`
	LastFailedTaskID   string         `json:"last_failed_task_id,omitempty"`
	LastRotationFailed bool           `json:"last_rotation_failed"`
}

func (x *CustomSecret) count(tasks []*SecretTask) {
	x.TaskCount, x.QueuedTaskCount, x.ProcessingTaskID = len(tasks), 0, ""
	for _, t := range tasks {
		switch t.Status {
		case TaskProcessing:
			x.ProcessingTaskID = t.ID
		case TaskFailed:
			x.LastFailedTaskID = t.ID
		}
	}
}

// Statuses of a task; the last three are final.
const (
	TaskProcessing         = "processing"
	TaskCredentialsCreated = "credentials_created"
	TaskCredentialsDeleted = "credentials_deleted"
	TaskFailed             = "failed"
)

// tasksPerSecret is how many tasks a secret shows: older ones are dropped.
const tasksPerSecret = 100

const (
	createCredentials = "create_credentials"
	deleteCredentials = "delete_credentials"
)

// TaskError is an error that a job sends.
type TaskError struct {
	Code        string `json:"code"`
	Description string `json:"description"`
}

// SecretTask is one run of the job that creates or deletes a secret's
// credentials.
type SecretTask struct {
	ID             string      `json:"id"`
	Type           string      `json:"type"`
	Status         string      `json:"status"`
	Trigger        string      `json:"trigger"`
	SecretID       string      `json:"secret_id"`
	VersionID      string      `json:"secret_version_id,omitempty"`
	CreationDate   time.Time   `json:"creation_date"`
	CreatedBy      string      `json:"created_by"`
	LastUpdateDate time.Time   `json:"last_update_date"`
	UpdatedBy      string      `json:"updated_by"`
	Errors         []TaskError `json:"errors,omitempty"`

	metadata map[string]any // of the next version
	deadline time.Time
}

func (c *Cloud) newCustomSecret(a Actor, s *managedSecret, n NewManagedSecret) error {
	own := CustomSecret{Lease: Lease{TTL: n.TTL, Rotation: n.Rotation}, Configuration: n.Configuration, Parameters: n.Parameters}
	if own.TTL != "" {
		if _, err := own.TTL.parse(24 * time.Hour); err != nil {
			return err
		}
	}
	if err := cmp.Or(checkRotation(own.Rotation), s.in.checkParameters(own)); err != nil {
		return err
	}
	own.plan(c.now())
	c.wake(own.NextRotation)
	s.Custom, s.State = &own, StatePreActivation
	c.startTask(a, s, createCredentials, "secret_creation", nil, n.VersionCustomMetadata)
	return nil
}

// rotateCustom starts the task that creates the next version. It returns the
// version that is current until then.
func (c *Cloud) rotateCustom(a Actor, s *managedSecret, trigger string, metadata map[string]any) (*secretVersion, error) {
	if slices.ContainsFunc(s.tasks, func(t *SecretTask) bool { return t.Type == createCredentials && t.Status == TaskProcessing }) {
		return nil, smError(c.switches.BusySecretStatus, "conflict", "A task makes credentials for this secret already.")
	}
	s.Custom.plan(c.now())
	c.startTask(a, s, createCredentials, trigger, nil, metadata)
	if v := s.current(); v != nil {
		return v, nil
	}
	return &secretVersion{SecretVersion: SecretVersion{SecretID: s.ID, SecretName: s.Name, SecretType: s.Type, GroupID: s.GroupID}}, nil
}

// deleteCredentials starts a task for each version with credentials.
func (c *Cloud) deleteCredentials(a Actor, s *managedSecret, trigger string, versions ...*secretVersion) {
	for _, v := range versions {
		if v.Data != nil && v.atProvider {
			c.startTask(a, s, deleteCredentials, trigger, v, nil)
		}
	}
}

// startTask creates a task and a job run with its name. Nothing runs the job:
// the caller updates the task, or it times out. Simplification: no task is ever
// queued.
func (c *Cloud) startTask(a Actor, s *managedSecret, kind, trigger string, v *secretVersion, metadata map[string]any) {
	now := c.now()
	t := &SecretTask{ID: "sm-task-" + c.uuid(), Type: kind, Status: TaskProcessing, Trigger: trigger, SecretID: s.ID,
		CreationDate: now, CreatedBy: a.IAMID, LastUpdateDate: now, UpdatedBy: a.IAMID, metadata: metadata}
	env := map[string]string{
		"SM_ACTION": kind, "SM_TRIGGER": trigger, "SM_SECRET_TASK_ID": t.ID, "SM_SECRET_ID": s.ID, "SM_SECRET_NAME": s.Name,
		"SM_SECRET_GROUP_ID": s.GroupID, "SM_INSTANCE_URL": s.in.url(),
	}
	if v != nil {
		t.VersionID = v.ID
		env["SM_SECRET_VERSION_ID"], env["SM_CREDENTIALS_ID"] = v.ID, v.CredentialsID
	}
	s.tasks = append(s.tasks, t)
	if more := len(s.tasks) - tasksPerSecret; more > 0 {
		s.tasks = slices.Delete(s.tasks, 0, more)
	}
	e := s.in.engine(s.Custom.Configuration)
	for _, f := range e.Parameters {
		if x, ok := s.Custom.Parameters[f.Name]; ok {
			env[f.EnvName] = fmt.Sprint(x)
		}
	}
	limit, err := taskTimeout(e.TaskTimeout)
	if err != nil {
		limit = usualTaskTimeout // checked on creation
	}
	t.deadline = now.Add(limit)
	c.wake(t.deadline)
	c.runJob(e, t.ID, env)
	c.announceTask(a, s, t, "secret_task_created")
}

func (in SecretsInstance) url() string {
	return "https://" + in.ID + "." + in.Region + ".secrets-manager.appdomain.cloud"
}

// runJob adds a run of the engine's job if the job still exists.
func (c *Cloud) runJob(e *Engine, name string, env map[string]string) {
	p := c.projects[e.ProjectID]
	if p == nil {
		return
	}
	spec, err := p.runOf(map[string]any{"job_name": e.JobName})
	if err != nil {
		return
	}
	list, _ := spec["run_env_variables"].([]any)
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, map[string]any{"type": "literal", "name": k, "value": env[k]})
	}
	spec["run_env_variables"] = list
	p.workloads[workloadKey{JobRuns, name}] = &Workload{Kind: JobRuns, ID: c.uuid(), Name: name, EntityTag: p.nextTag(),
		ProjectID: p.ID, Region: p.Region, CreatedAt: c.now(), Spec: cleanWorkload(JobRuns, spec)}
}

func (c *Cloud) announceTask(a Actor, s *managedSecret, t *SecretTask, kind string) {
	if c.notifySecret == nil {
		return
	}
	own := *t
	e := SecretEvent{Instance: s.in.SecretsInstance, Type: kind, At: c.now(), By: a.IAMID, Secret: s.copy(), Task: &own}
	if len(t.Errors) > 0 {
		e.Reason = t.Errors[0].Description
	}
	c.notifySecret(e)
}

func (c *Cloud) findTask(a Actor, instance, secret, id, action string) (*managedSecret, *SecretTask, error) {
	s, err := c.secret(a, instance, secret, action)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(s.tasks, func(t *SecretTask) bool { return t.ID == id })
	if i < 0 {
		return nil, nil, smNotFound("task", id)
	}
	return s, s.tasks[i], nil
}

// ListSecretTasks returns the tasks of a secret, oldest first.
func (c *Cloud) ListSecretTasks(a Actor, instance, secret string) ([]SecretTask, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, secret, "secret-tasks.list")
	if err != nil {
		return nil, err
	}
	if s.Custom == nil {
		return nil, smInvalid("A secret of the type %s has no tasks.", s.Type)
	}
	out := []SecretTask{}
	for _, t := range s.tasks {
		out = append(out, *t)
	}
	return out, nil
}

// GetSecretTask returns one task.
func (c *Cloud) GetSecretTask(a Actor, instance, secret, id string) (SecretTask, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, t, err := c.findTask(a, instance, secret, id, "secret-task.read")
	if err != nil {
		return SecretTask{}, err
	}
	return *t, nil
}

// DeleteSecretTask cancels a task or removes a finished one.
func (c *Cloud) DeleteSecretTask(a Actor, instance, secret, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, t, err := c.findTask(a, instance, secret, id, "secret-task.delete")
	if err != nil {
		return err
	}
	s.tasks = slices.DeleteFunc(s.tasks, func(x *SecretTask) bool { return x == t })
	c.announceTask(a, s, t, "secret_task_deleted")
	return nil
}

// TaskUpdate is what a job sends about its task.
type TaskUpdate struct {
	Status        string
	CredentialsID string
	Payload       map[string]any
	Errors        []TaskError
}

// ReplaceSecretTask finishes a task. The statuses 400 and 404 are final: a
// retry gets the same answer.
func (c *Cloud) ReplaceSecretTask(a Actor, instance, secret, id string, u TaskUpdate) (SecretTask, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, t, err := c.findTask(a, instance, secret, id, "secret-task.update")
	if err != nil {
		return SecretTask{}, err
	}
	if t.Status != TaskProcessing {
		return SecretTask{}, smInvalid("The task is %s: it takes no more updates.", t.Status)
	}
	switch {
	case u.Status == TaskFailed:
		if len(u.Errors) == 0 || u.Errors[0].Code == "" || u.Errors[0].Description == "" {
			return SecretTask{}, smInvalid("A task that failed needs errors with code and description.")
		}
	case u.Status == TaskCredentialsCreated && t.Type == createCredentials:
		if u.CredentialsID == "" {
			return SecretTask{}, smInvalid("credentials needs an id.")
		}
		if err := checkFields("payload", s.in.engine(s.Custom.Configuration).Credentials, u.Payload); err != nil {
			return SecretTask{}, err
		}
	case u.Status == TaskCredentialsDeleted && t.Type == deleteCredentials:
	default:
		return SecretTask{}, smInvalid("A task of the type %s can't become %q.", t.Type, u.Status)
	}
	t.Status, t.Errors, t.LastUpdateDate, t.UpdatedBy = u.Status, slices.Clone(u.Errors), c.now(), a.IAMID
	c.finish(a, s, t, u)
	return *t, nil
}

// finish applies the end of a task to its secret.
func (c *Cloud) finish(a Actor, s *managedSecret, t *SecretTask, u TaskUpdate) {
	first := s.current() == nil
	switch {
	case t.Status == TaskCredentialsCreated:
		if v := s.previous(); v != nil {
			c.deleteCredentials(s.in.actor(), s, "secret_version_data_deletion", v)
		}
		s.State, s.Custom.LastRotationFailed = StateActive, false
		v := c.addVersion(s, a, map[string]any{"credentials_content": cloneJSON(u.Payload)}, t.metadata)
		v.CredentialsID, v.AutoRotated, t.VersionID = u.CredentialsID, t.Trigger == "automatic_secret_rotation", v.ID
		v.atProvider = true
		if s.Custom.TTL != "" {
			c.expire(s, c.now().Add(s.Custom.ttl(24*time.Hour)))
		}
		c.announceTask(a, s, t, "secret_task_succeeded")
		c.announce(a, s, map[bool]string{true: "secret_created", false: "secret_rotated"}[first], "")
		return
	case t.Status == TaskFailed && t.Type == createCredentials:
		s.Custom.LastRotationFailed = !first
		c.announceTask(a, s, t, "secret_task_failed")
		c.announce(a, s, map[bool]string{true: "secret_creation_failed", false: "secret_rotation_failed"}[first], "")
		return
	case t.Status == TaskFailed:
		c.announceTask(a, s, t, "secret_task_failed")
	default:
		if v := s.version(t.VersionID); v != nil {
			v.atProvider = false
		}
		c.announceTask(a, s, t, "secret_task_succeeded")
	}
}

// endTasks fails the tasks that have timed out.
func (c *Cloud) endTasks(s *managedSecret, now time.Time) {
	for _, t := range slices.Clone(s.tasks) {
		switch {
		case t.Status != TaskProcessing:
		case now.Before(t.deadline):
			c.wake(t.deadline)
		default:
			t.Status, t.LastUpdateDate, t.UpdatedBy = TaskFailed, now, s.in.actor().IAMID
			t.Errors = []TaskError{{Code: "task_timeout", Description: "The task has run out of time."}}
			c.finish(s.in.actor(), s, t, TaskUpdate{})
		}
	}
}
