package main

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
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// provider makes the credentials of secrets of the type custom_credentials:
// Secrets Manager starts the job with a task, and the task's end is the answer.
// The task is the credential's store, and each task has a credential of its own,
// since Secrets Manager itself keeps the key before and says when it ends.
//
//	SM_ACTION          the task is       and ends as
//	create_credentials a store           credentials_created with a key that was proven,
//	                                     or failed with a sentence: then no key is left
//	delete_credentials an order          credentials_deleted, the key being gone,
//	                                     or failed: Secrets Manager asks again the next day
//
// Whether a key is published is what the task became, for ever: whoever reads
// it knows which keys of the task are nobody's.
type provider struct {
	cfg        *config.Provider
	rules      rotation.Rules
	paused     bool
	identities reconcile.Identities
	keys       reconcile.Keys
	provers    []reconcile.Prover
	reconciler *reconcile.Reconciler
	secrets    *secretsmanager.Client
	reporter   *outcome.Sender
	log        *slog.Logger
	out        io.Writer

	pause    time.Duration // between two looks, while another run is at work or something is down
	patience time.Duration // for the whole
}

const (
	providerPause = 10 * time.Second
	// A run that died has left its key in the way for a window of 15 minutes.
	// Secrets Manager gives a task 50 minutes, unless it was told otherwise.
	providerPatience = 25 * time.Minute
)

// providerEntry starts the names of the credentials that tasks are. No config
// entry's instance has two slashes.
const providerEntry = "custom-credentials"

// order is what Secrets Manager asks of one job run. A hint like any event: the
// task says what is so.
type order struct {
	action, instance, region, group, secret, task string
	serviceID                                     string // create
	key                                           string // delete
	outputs                                       []string
}

func (o order) credential() string { return providerEntry + "/" + o.secret + "/" + o.task }

// provide does one task.
func (p *process) provide(ctx context.Context, file string) error {
	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	o, err := p.order()
	if err != nil {
		return err
	}
	if cfg.Provider == nil || !slices.Contains(cfg.Provider.Instances, o.instance) {
		return fmt.Errorf("taking task %s: provider.instances in the config does not name %s: no key and no token is sent there", o.task, o.instance)
	}
	h, err := p.wire(cfg)
	if err != nil {
		return err
	}
	reporter, err := p.reporter(h)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportInJob)
		defer cancel()
		reporter.Close(end)
	}()
	return p.newProvider(h, reporter).do(ctx, o)
}

func (p *process) newProvider(h *house, reporter *outcome.Sender) *provider {
	c := h.cfg.Provider
	out := &provider{
		cfg: c, paused: h.cfg.Paused, identities: h.iam, keys: h.iam, reconciler: h.reconciler, secrets: h.secrets(),
		reporter: reporter, log: p.log, out: p.stdout, pause: providerPause, patience: providerPatience,
	}
	out.rules = h.providerRules()
	if c.Logs != nil {
		out.provers = append(out.provers, logs.New(logs.Config{
			HTTP: h.http, Endpoint: h.endpoint, Instance: c.Logs.Instance, Region: c.Logs.Region,
			Private: h.cfg.Endpoints == config.Private, Now: h.now,
		}))
	}
	return out
}

// What Secrets Manager's IDs look like: they become parts of paths and markers.
var (
	orderID        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	orderServiceID = regexp.MustCompile(`^ServiceId-[A-Za-z0-9-]{1,64}$`)
)

// order reads the environment of the job run. The names are those of
// https://github.com/IBM/secrets-manager-custom-credentials-providers, where a
// parameter is SM_X_VALUE in the code and SMIN_X_VALUE in the text.
func (p *process) order() (order, error) {
	o := order{
		action: p.env("SM_ACTION"), group: p.env("SM_SECRET_GROUP_ID"), secret: p.env("SM_SECRET_ID"), task: p.env("SM_SECRET_TASK_ID"),
		key: p.env("SM_CREDENTIALS_ID"), serviceID: p.env("SM_SERVICE_ID_VALUE"),
	}
	if o.serviceID == "" {
		o.serviceID = p.env("SMIN_SERVICE_ID_VALUE")
	}
	for _, name := range []string{secretsmanager.IDOutput, secretsmanager.ServiceIDOutput} {
		if p.env("SMOUT_"+strings.ToUpper(name)) != "" {
			o.outputs = append(o.outputs, name)
		}
	}
	if o.action != secretsmanager.CreateCredentials && o.action != secretsmanager.DeleteCredentials {
		return o, fmt.Errorf("reading SM_ACTION %q: neither %s nor %s", o.action, secretsmanager.CreateCredentials, secretsmanager.DeleteCredentials)
	}
	for name, id := range map[string]string{"SM_SECRET_ID": o.secret, "SM_SECRET_TASK_ID": o.task} {
		if !orderID.MatchString(id) {
			return o, fmt.Errorf("reading %s %q: not an ID of Secrets Manager", name, id)
		}
	}
	var err error
	if o.instance, o.region, err = secretsmanager.ParseInstance(p.env("SM_INSTANCE_URL")); err != nil {
		return o, fmt.Errorf("reading SM_INSTANCE_URL: %w", err)
	}
	return o, nil
}

func (pr *provider) do(ctx context.Context, o order) error {
	ctx, cancel := context.WithTimeout(ctx, pr.patience)
	defer cancel()
	task := pr.secrets.Task(secretsmanager.TaskConfig{
		Instance: o.instance, Region: o.region, Secret: o.secret, Task: o.task, Outputs: o.outputs, ServiceID: o.serviceID,
		Pause: pr.pause / 10,
	})
	var state secretsmanager.TaskState
	err := pr.patiently(ctx, func() (err error) {
		state, err = task.State(ctx)
		return err
	})
	switch {
	case errors.Is(err, reconcile.ErrNotFound):
		pr.log.Info("the task was cancelled", "task", o.task)
		return nil
	case errors.Is(err, reconcile.ErrUnavailable):
		return fmt.Errorf("%w: %w", errTryAgain, err)
	case errors.Is(err, reconcile.ErrDenied):
		pr.log.Warn("reading the task", "error", err.Error())
		return pr.fail(context.WithoutCancel(ctx), o, task, refusal{"task-denied", "latchkey's identity may not read the task: give it SecretsReader beside SecretTaskUpdater"}, nil)
	case err != nil:
		return err
	case state.Type != o.action:
		return fmt.Errorf("taking task %s: it is of the type %s, and SM_ACTION says %s", o.task, state.Type, o.action)
	}
	pr.log.Info("task", "task", o.task, "type", state.Type, "status", state.Status, "secret", o.secret)
	if o.action == secretsmanager.DeleteCredentials {
		return pr.remove(ctx, o, task, state)
	}
	return pr.create(ctx, o, task, state)
}

// refusal ends a task with a code, and a sentence for the secret's users.
type refusal struct{ code, text string }

// create gives the task a key.
func (pr *provider) create(ctx context.Context, o order, task *secretsmanager.Task, state secretsmanager.TaskState) error {
	switch state.Status {
	case secretsmanager.TaskFailed:
		return nil // it was told why
	case secretsmanager.TaskCreated:
		// What is left is to see that the key has its full life, if it still is.
		if _, err := pr.keys.Get(ctx, state.KeyID); state.KeyID == "" || errors.Is(err, reconcile.ErrNotFound) {
			return nil
		}
	}
	c := reconcile.Credential{
		Name: o.credential(), Entry: providerEntry, Given: o.serviceID, OnLeak: pr.cfg.OnLeak, Rules: pr.rules, Paused: pr.paused,
		Stores: []reconcile.Store{task}, Provers: pr.provers,
	}
	if !state.Final() {
		no, err := pr.refuses(ctx, o)
		if err != nil {
			no = &refusal{"try-again", "IAM did not say what the service ID may do; try again later"}
			pr.log.Warn("reading the policies", "service ID", o.serviceID, "error", err.Error())
		}
		if no != nil {
			return pr.fail(context.WithoutCancel(ctx), o, task, *no, nil)
		}
	}
	var minted []string
	for {
		out, err := pr.reconciler.Reconcile(ctx, c, reconcile.Ask{Cause: "Secrets Manager task " + o.task})
		if err != nil {
			out.Result, out.Error = reconcile.ResultFailed, err.Error()
		}
		for _, s := range out.Steps {
			if s.Action == rotation.Mint && s.Error == "" {
				minted = append(minted, s.Key)
			}
		}
		switch {
		case out.Result == reconcile.ResultBlocked:
			pr.tell(out)
			return pr.fail(context.WithoutCancel(ctx), o, task, refusal{string(out.Reason), out.Message}, minted)
		case out.Result != reconcile.ResultFailed && out.Result != reconcile.ResultInProgress && out.Key != "":
			pr.tell(out)
			return nil
		}
		if !pr.wait(ctx) {
			pr.tell(out)
			return pr.fail(context.WithoutCancel(ctx), o, task, refusal{"try-again", "no key could be made in time; try again later"}, minted)
		}
	}
}

// refuses says why no key is made of the service ID, if so.
func (pr *provider) refuses(ctx context.Context, o order) (*refusal, error) {
	if !orderServiceID.MatchString(o.serviceID) {
		return &refusal{"bad-service-id", "the parameter service_id must be the ID of a service ID: ServiceId-…"}, nil
	}
	allow, ok := pr.cfg.Permits(o.serviceID, o.group)
	if !ok {
		return &refusal{"not-allowed", "latchkey's config does not allow keys of " + o.serviceID + " in secrets of this group (provider.allow)"}, nil
	}
	if len(allow.Policies) == 0 {
		return nil, nil //nolint:nilnil // nothing is refused
	}
	var wanted []reconcile.Policy
	for _, p := range allow.Policies {
		wanted = append(wanted, reconcile.Policy(p))
	}
	var granted []reconcile.Policy
	err := pr.patiently(ctx, func() (err error) {
		granted, err = pr.identities.Granted(ctx, "iam-"+o.serviceID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if lacking := reconcile.Missing(wanted, granted); len(lacking) > 0 {
		return &refusal{string(rotation.NoPolicy), o.serviceID + " lacks what the config wants it to have first: " + strings.Join(lacking, ", ")}, nil
	}
	return nil, nil //nolint:nilnil // nothing is refused
}

// fail ends the task without a key, and then the keys that were made for it:
// a task that is final takes none of them any more. Without a clear answer
// they are left to their fuse.
func (pr *provider) fail(ctx context.Context, o order, task *secretsmanager.Task, why refusal, minted []string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	pr.log.Warn("the task fails", "task", o.task, "code", why.code, "why", why.text)
	err := task.Failed(ctx, why.code, why.text)
	named := ""
	if err != nil {
		state, serr := task.State(ctx)
		switch {
		case errors.Is(serr, reconcile.ErrNotFound): // cancelled
		case serr != nil || !state.Final():
			return fmt.Errorf("%w: nobody knows what became of task %s, so the key of it ends within a day: %w", errTryAgain, o.task, err)
		case state.Status == secretsmanager.TaskCreated && state.KeyID == "":
			return fmt.Errorf("%w: task %s does not say which key it has: %w", errTryAgain, o.task, err)
		default:
			named = state.KeyID
		}
	}
	if o.action == secretsmanager.CreateCredentials {
		pr.rollBack(ctx, o, named, minted)
	}
	return nil
}

// rollBack ends every key of the task but the one that it has.
func (pr *provider) rollBack(ctx context.Context, o order, named string, keys []string) {
	if orderServiceID.MatchString(o.serviceID) {
		l, err := pr.keys.List(ctx, "iam-"+o.serviceID, o.credential())
		if err != nil {
			pr.log.Warn("listing the keys of the task", "task", o.task, "error", err.Error())
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
		err := pr.patiently(ctx, func() error { return pr.keys.Retire(ctx, id) })
		if err != nil {
			pr.log.Warn("a key that nobody has could not be ended: its fuse ends it within a day", "key", id, "error", err.Error())
			continue
		}
		pr.log.Info("a key that nobody has was ended", "key", id, "task", o.task)
	}
}

// remove ends a key that Secrets Manager no longer wants.
func (pr *provider) remove(ctx context.Context, o order, task *secretsmanager.Task, state secretsmanager.TaskState) error {
	no := func(code, text string) error {
		return pr.fail(context.WithoutCancel(ctx), o, task, refusal{code, text}, nil)
	}
	switch {
	case state.Final():
		return nil
	case pr.paused:
		return no(string(rotation.Paused), rotation.Paused.Sentence())
	case !orderID.MatchString(o.key), state.KeyID != "" && state.KeyID != o.key:
		return no("not-this-key", "the key to be deleted is not the one that the version has")
	}
	var rec reconcile.KeyRecord
	err := pr.patiently(ctx, func() (err error) {
		rec, err = pr.keys.Get(ctx, o.key)
		return err
	})
	switch {
	case errors.Is(err, reconcile.ErrNotFound):
		return pr.removed(ctx, o, task)
	case err == nil && (!rec.Ours || !strings.HasPrefix(rec.Credential, providerEntry+"/"+o.secret+"/")):
		return no(string(rotation.KeyForeign), "key "+o.key+" was not made for this secret by this installation of latchkey: end it where it was made")
	case err == nil:
		err = pr.patiently(ctx, func() error { return pr.keys.Retire(ctx, o.key) })
	}
	switch {
	case err == nil:
	case errors.Is(err, reconcile.ErrDenied):
		return no(string(rotation.IdentityDenied), "IAM refused to delete key "+o.key+", or it is locked: unlock it, or give latchkey's identity Administrator on IAM Identity")
	default:
		pr.log.Warn("ending a key", "key", o.key, "error", err.Error())
		return no("try-again", "IAM did not delete key "+o.key+" in time; it is tried again")
	}
	pr.tell(reconcile.Outcome{
		Credential: rec.Credential, Result: reconcile.ResultChanged, ServiceID: strings.TrimPrefix(rec.IAMID, "iam-"),
		Steps: []reconcile.StepOutcome{{Step: rotation.Step{Action: rotation.Retire, Key: o.key, Reason: rotation.Replaced}}},
	})
	return pr.removed(ctx, o, task)
}

func (pr *provider) removed(ctx context.Context, o order, task *secretsmanager.Task) error {
	err := task.Deleted(ctx)
	if errors.Is(err, reconcile.ErrUnavailable) {
		return fmt.Errorf("%w: %w", errTryAgain, err)
	}
	if err != nil {
		pr.log.Warn("the key is gone, but the task takes no answer", "task", o.task, "error", err.Error())
	}
	return nil
}

// tell prints an outcome, and sends it to the sinks.
func (pr *provider) tell(out reconcile.Outcome) {
	pr.reporter.Send(out)
	if err := json.NewEncoder(pr.out).Encode(out); err != nil {
		pr.log.Warn("printing the outcome", "error", err.Error())
	}
}

// patiently repeats what may be repeated while there is no clear answer.
func (pr *provider) patiently(ctx context.Context, try func() error) error {
	const tries = 4
	for n := 1; ; n++ {
		err := try()
		if err == nil || !errors.Is(err, reconcile.ErrUnavailable) || n == tries || !pr.wait(ctx) {
			return err
		}
	}
}

// wait reports whether there is time for another look.
func (pr *provider) wait(ctx context.Context) bool {
	timer := time.NewTimer(pr.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
