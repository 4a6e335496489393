// Package provider makes the credentials of Secrets Manager secrets of the type
// custom_credentials. Secrets Manager starts the job with a task; how the task
// ends is the answer.
//
//	SM_ACTION          the task ends as
//	create_credentials credentials_created with a key that was proven,
//	                   or failed with a sentence: then no key is left
//	delete_credentials credentials_deleted, and the key is deleted,
//	                   or failed: Secrets Manager asks again the next day
//
// A task to create is the store of a credential of its own, named
// custom-credentials/<secret>/<task>: Secrets Manager itself keeps the previous
// key, and says when it is to be deleted. The task's final state says which key
// is published, so any run can tell which keys of the task are not.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// Entry starts the names of the credentials of tasks. No credential of a config
// entry has two slashes.
const Entry = "custom-credentials"

// ErrTryAgain says that the task is not finished and that another run may finish it.
var ErrTryAgain = errors.New("try again later")

// Defaults of Config. A run that died keeps its key from being replaced for a
// window of 15 minutes; Secrets Manager gives a task 50 minutes by default.
const (
	defaultPause  = 10 * time.Second
	defaultWithin = 25 * time.Minute
)

// Allow lets secrets have keys of service IDs.
type Allow struct {
	ServiceIDs []string
	// Groups are the IDs of the secret groups whose secrets may have them; none:
	// all groups.
	Groups []string
	// Policies are what the service ID must already be granted.
	Policies []access.Policy
}

// Keys are the API keys of service IDs; iam.Client has them.
type Keys interface {
	List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error)
	Get(ctx context.Context, keyID string) (port.KeyRecord, error)
	Retire(ctx context.Context, keyID string) error
	// Marked returns our keys whose credential has the prefix.
	Marked(ctx context.Context, iamID, prefix string) ([]port.KeyRecord, error)
	// Granted returns the access policies of an identity.
	Granted(ctx context.Context, iamID string) ([]access.Policy, error)
}

// Reconciler brings a credential to its wanted state; reconcile.Reconciler does.
type Reconciler interface {
	Reconcile(ctx context.Context, c port.Credential, ask reconcile.Request) (result.Outcome, error)
}

// Config is what a Provider uses.
type Config struct {
	// Instances are the GUIDs of the Secrets Manager instances that may ask.
	Instances []string
	Allow     []Allow
	// Rules are those of a task's key, which is never replaced: the next task
	// makes another.
	Rules protocol.Rules
	// OnLeak is IAM's action_when_leaked.
	OnLeak     string
	Paused     bool
	Provers    []port.Prover
	Keys       Keys
	Reconciler Reconciler
	Tasks      func(secretsmanager.TaskConfig) *secretsmanager.Task
	// Done receives the outcome of a task.
	Done func(result.Outcome)
	Log  *slog.Logger
	// Pause is the time between two tries; 0 is 10 s.
	Pause time.Duration
	// Within is the time for a whole task; 0 is 25 min.
	Within time.Duration
}

// Provider works on tasks.
type Provider struct{ cfg Config }

// New returns a Provider. Nothing is called yet.
func New(cfg Config) *Provider {
	if cfg.Pause == 0 {
		cfg.Pause = defaultPause
	}
	if cfg.Within == 0 {
		cfg.Within = defaultWithin
	}
	return &Provider{cfg: cfg}
}

// Print returns a Done that writes each outcome as a line of JSON.
func Print(w io.Writer, log *slog.Logger) func(result.Outcome) {
	return func(out result.Outcome) {
		if err := json.NewEncoder(w).Encode(out); err != nil {
			log.Warn("printing outcome failed", "error", err.Error())
		}
	}
}

// Request is what Secrets Manager requests of one job run. Like any event it is
// a hint: the task's own state decides.
type Request struct {
	Action, Instance, Region, Group, Secret, Task string
	ServiceID                                     string // of create_credentials
	Key                                           string // of delete_credentials
	Outputs                                       []string
}

func (r Request) credential() string { return Entry + "/" + r.Secret + "/" + r.Task }

// IDs of Secrets Manager and IAM become parts of paths and markers.
var (
	smID      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`) })
	serviceID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^ServiceId-[A-Za-z0-9-]{1,64}$`) })
)

// ReadRequest reads the environment of a job run. The names are those of
// https://github.com/IBM/secrets-manager-custom-credentials-providers, where a
// parameter is SM_X_VALUE in the code and SMIN_X_VALUE in the text.
func ReadRequest(env func(string) string) (Request, error) {
	r := Request{
		Action: env("SM_ACTION"), Group: env("SM_SECRET_GROUP_ID"), Secret: env("SM_SECRET_ID"), Task: env("SM_SECRET_TASK_ID"),
		Key: env("SM_CREDENTIALS_ID"), ServiceID: env("SM_SERVICE_ID_VALUE"),
	}
	if r.ServiceID == "" {
		r.ServiceID = env("SMIN_SERVICE_ID_VALUE")
	}
	for _, name := range []string{secretsmanager.IDOutput, secretsmanager.ServiceIDOutput} {
		if env("SMOUT_"+strings.ToUpper(name)) != "" {
			r.Outputs = append(r.Outputs, name)
		}
	}
	if r.Action != secretsmanager.CreateCredentials && r.Action != secretsmanager.DeleteCredentials {
		return r, fmt.Errorf("reading SM_ACTION %q: neither %s nor %s", r.Action, secretsmanager.CreateCredentials, secretsmanager.DeleteCredentials)
	}
	for name, id := range map[string]string{"SM_SECRET_ID": r.Secret, "SM_SECRET_TASK_ID": r.Task} {
		if !smID().MatchString(id) {
			return r, fmt.Errorf("reading %s %q: not an ID of Secrets Manager", name, id)
		}
	}
	var err error
	if r.Instance, r.Region, err = secretsmanager.ParseInstance(env("SM_INSTANCE_URL")); err != nil {
		return r, fmt.Errorf("reading SM_INSTANCE_URL: %w", err)
	}
	return r, nil
}

// Serves reports whether the config lets the instance ask. No key and no token
// is sent to any other.
func (p *Provider) Serves(instance string) bool { return slices.Contains(p.cfg.Instances, instance) }

// permits returns what the config allows the secret, or why it allows nothing.
func (p *Provider) permits(r Request) (Allow, *failure) {
	if !serviceID().MatchString(r.ServiceID) {
		return Allow{}, &failure{"bad-service-id", "the parameter service_id must be the ID of a service ID: ServiceId-…"}
	}
	i := slices.IndexFunc(p.cfg.Allow, func(a Allow) bool {
		return slices.Contains(a.ServiceIDs, r.ServiceID) && (len(a.Groups) == 0 || slices.Contains(a.Groups, r.Group))
	})
	if i < 0 {
		return Allow{}, &failure{"not-allowed", "latchkey's config does not allow keys of " + r.ServiceID + " in secrets of this group (provider.allow)"}
	}
	return p.cfg.Allow[i], nil
}

// Run works on one task. ErrTryAgain says that the task is not finished.
func (p *Provider) Run(ctx context.Context, r Request) error {
	if !p.Serves(r.Instance) {
		return fmt.Errorf("taking task %s: provider.instances in the config does not name %s: no key and no token is sent there", r.Task, r.Instance)
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Within)
	defer cancel()
	task := p.cfg.Tasks(secretsmanager.TaskConfig{
		Instance: r.Instance, Region: r.Region, Secret: r.Secret, Task: r.Task, Outputs: r.Outputs, ServiceID: r.ServiceID,
		Pause: p.cfg.Pause / 10,
	})
	if r.Action == secretsmanager.CreateCredentials {
		return p.create(ctx, r, task)
	}
	state, err := p.state(ctx, task)
	if open, err := p.opened(ctx, r, task, state, err); !open {
		return err
	}
	return p.remove(ctx, r, task, state)
}

// state reads a task.
func (p *Provider) state(ctx context.Context, task *secretsmanager.Task) (state secretsmanager.TaskState, err error) {
	err = p.retry(ctx, func() (err error) {
		state, err = task.State(ctx)
		return err
	})
	if err == nil {
		p.cfg.Log.Info("task", "task", task.Name(), "type", state.Type, "status", state.Status)
	}
	return state, err
}

// opened reports whether a task that was read is the one to work on. Otherwise it returns
// how the run ends.
func (p *Provider) opened(ctx context.Context, r Request, task *secretsmanager.Task, state secretsmanager.TaskState, err error) (bool, error) {
	switch {
	case errors.Is(err, port.ErrNotFound):
		p.cfg.Log.Info("the task was cancelled", "task", r.Task)
		return false, nil
	case errors.Is(err, port.ErrUnavailable):
		return false, fmt.Errorf("%w: %w", ErrTryAgain, err)
	case errors.Is(err, port.ErrDenied):
		p.cfg.Log.Warn("reading the task failed", "task", r.Task, "error", err.Error())
		return false, p.fail(context.WithoutCancel(ctx), r, task, failure{"task-denied", "latchkey's identity may not read the task: grant it SecretsReader beside SecretTaskUpdater"}, nil)
	case err != nil:
		return false, err
	case state.Type != r.Action:
		return false, fmt.Errorf("taking task %s: it is of the type %s, and SM_ACTION is %s", r.Task, state.Type, r.Action)
	}
	return true, nil
}

// failure ends a task with a code, and with a sentence for the secret's users.
type failure struct{ code, text string }

// create gives the task a key, unless it is refused. The first run reads IAM while the
// task is judged.
func (p *Provider) create(ctx context.Context, r Request, task *secretsmanager.Task) error {
	within, stop := context.WithCancel(ctx)
	defer stop()
	allow, why := p.permits(r)
	st := &judgedTask{Task: task, judged: make(chan struct{})}
	go func() {
		defer close(st.judged)
		if st.verdict = p.judge(ctx, r, task, allow, why); !st.admits() {
			stop() // so the run writes nothing
		}
	}()
	if why != nil {
		<-st.judged // IAM is not asked about what the config does not allow
	}
	c := port.Credential{
		Name: r.credential(), Entry: Entry, Given: r.ServiceID, OnLeak: p.cfg.OnLeak, Rules: p.cfg.Rules, Paused: p.cfg.Paused,
		Stores: []port.Store{st}, Provers: p.cfg.Provers,
	}
	var minted []string
	for {
		out, err := result.Outcome{Credential: c.Name}, within.Err()
		if err == nil {
			out, err = p.cfg.Reconciler.Reconcile(within, c, reconcile.Request{Cause: "Secrets Manager task " + r.Task})
		}
		if <-st.judged; !st.admits() {
			return p.turnAway(ctx, r, task, st.verdict)
		}
		if err != nil {
			out.Result, out.Error = result.Failed, err.Error()
		}
		for _, s := range out.Steps {
			if s.Action == protocol.Mint && s.Error == "" {
				minted = append(minted, s.Key)
			}
		}
		switch {
		case out.Result == result.Blocked:
			p.cfg.Done(out)
			return p.fail(context.WithoutCancel(ctx), r, task, failure{string(out.Reason), out.Message}, minted)
		case out.Result != result.Failed && out.Result != result.InProgress && out.Key != "":
			p.cfg.Done(out)
			return nil
		}
		if !p.pause(ctx) {
			p.cfg.Done(out)
			return p.fail(context.WithoutCancel(ctx), r, task, failure{"try-again", "no key could be made in time; try again later"}, minted)
		}
	}
}

// fail ends the task without a key, and then deletes the keys that were made for
// it: a task that is final takes none of them any more. Without a clear answer
// the keys are left to their fuse.
func (p *Provider) fail(ctx context.Context, r Request, task *secretsmanager.Task, why failure, minted []string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p.cfg.Log.Warn("failing the task", "task", r.Task, "code", why.code, "why", why.text)
	err := task.Failed(ctx, why.code, why.text)
	named := ""
	if err != nil {
		state, serr := task.State(ctx)
		switch {
		case errors.Is(serr, port.ErrNotFound): // cancelled
		case serr != nil || !state.Final():
			return fmt.Errorf("%w: the state of task %s is unknown, so its key expires within a day: %w", ErrTryAgain, r.Task, err)
		case state.Status == secretsmanager.TaskCreated && state.KeyID == "":
			return fmt.Errorf("%w: task %s does not name its key: %w", ErrTryAgain, r.Task, err)
		default:
			named = state.KeyID
		}
	}
	if r.Action == secretsmanager.CreateCredentials {
		p.rollBack(ctx, r, named, minted)
	}
	return nil
}

// rollBack deletes every key of the task but the one that it names.
func (p *Provider) rollBack(ctx context.Context, r Request, named string, keys []string) {
	if serviceID().MatchString(r.ServiceID) {
		l, err := p.cfg.Keys.List(ctx, "iam-"+r.ServiceID, r.credential())
		if err != nil {
			p.cfg.Log.Warn("listing the keys of the task failed", "task", r.Task, "error", err.Error())
		}
		for _, k := range l.Keys {
			keys = append(keys, k.ID)
		}
	}
	slices.Sort(keys)
	for _, id := range slices.Compact(keys) {
		if id == named {
			continue
		}
		err := p.retry(ctx, func() error { return p.cfg.Keys.Retire(ctx, id) })
		if err != nil {
			p.cfg.Log.Warn("deleting an unpublished key failed: it expires within a day", "key", id, "task", r.Task, "error", err.Error())
			continue
		}
		p.cfg.Log.Info("unpublished key deleted", "key", id, "task", r.Task)
	}
}

// remove deletes a key that Secrets Manager no longer wants.
func (p *Provider) remove(ctx context.Context, r Request, task *secretsmanager.Task, state secretsmanager.TaskState) error {
	no := func(code, text string) error {
		return p.fail(context.WithoutCancel(ctx), r, task, failure{code, text}, nil)
	}
	switch {
	case state.Final():
		return nil
	case p.cfg.Paused:
		return no(string(reason.Paused), reason.Paused.Sentence())
	case !smID().MatchString(r.Key), state.KeyID != "" && state.KeyID != r.Key:
		return no("not-this-key", "the key to be deleted is not the key of the version")
	}
	var rec port.KeyRecord
	err := p.retry(ctx, func() (err error) {
		rec, err = p.cfg.Keys.Get(ctx, r.Key)
		return err
	})
	switch {
	case errors.Is(err, port.ErrNotFound):
		return p.removed(ctx, r, task)
	case err == nil && (!rec.Ours || !strings.HasPrefix(rec.Credential, Entry+"/"+r.Secret+"/")):
		return no(string(reason.KeyForeign), "key "+r.Key+" was not made for this secret by this installation of latchkey: delete it where it was made")
	case err == nil:
		err = p.retry(ctx, func() error { return p.cfg.Keys.Retire(ctx, r.Key) })
	}
	switch {
	case err == nil:
	case errors.Is(err, port.ErrDenied):
		return no(string(reason.IdentityDenied), "IAM refused to delete key "+r.Key+", or it is locked: unlock it, or grant latchkey's identity Administrator on its service ID")
	default:
		p.cfg.Log.Warn("deleting key failed", "key", r.Key, "error", err.Error())
		return no("try-again", "IAM did not delete key "+r.Key+" in time; Secrets Manager tries again")
	}
	p.cfg.Done(result.Outcome{
		Credential: rec.Credential, Result: result.Changed, ServiceID: strings.TrimPrefix(rec.IAMID, "iam-"),
		Steps: []result.Step{{Step: protocol.Step{Action: protocol.Retire, Key: r.Key, Reason: reason.Replaced}}},
	})
	return p.removed(ctx, r, task)
}

func (p *Provider) removed(ctx context.Context, r Request, task *secretsmanager.Task) error {
	err := task.Deleted(ctx)
	if errors.Is(err, port.ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrTryAgain, err)
	}
	if err != nil {
		p.cfg.Log.Warn("the key is deleted, but the task could not be updated", "task", r.Task, "error", err.Error())
	}
	return nil
}

// retry repeats a call that gives no clear answer, up to four tries.
func (p *Provider) retry(ctx context.Context, try func() error) error {
	const tries = 4
	for n := 1; ; n++ {
		err := try()
		if err == nil || !errors.Is(err, port.ErrUnavailable) || n == tries || !p.pause(ctx) {
			return err
		}
	}
}

// pause reports whether there is time for another try.
func (p *Provider) pause(ctx context.Context) bool {
	timer := time.NewTimer(p.cfg.Pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
