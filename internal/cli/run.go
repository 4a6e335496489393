package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/evidence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Catalog lists credentials.
type Catalog interface {
	Credentials(ctx context.Context, scope catalog.Scope) ([]port.Credential, error)
	Unknown(names []string, found []port.Credential) []string
}

// Look observes credentials and decides, and changes nothing. The steps of an outcome
// are those that a run would take.
type Look func(ctx context.Context, credentials []port.Credential, ask reconcile.Request) result.Sweep

// Keys reads keys in IAM.
type Keys interface {
	Get(ctx context.Context, keyID string) (port.KeyRecord, error)
}

// Sweep reconciles credentials. unlisted is what kept others from being listed.
type Sweep func(ctx context.Context, credentials []port.Credential, unlisted error, ask reconcile.Request, cause result.Cause) result.Sweep

// Runner runs the commands that a person uses on credentials. An error that it
// returns names the exit code; see Exit.
type Runner struct {
	Std     Streams
	Format  Format
	Catalog Catalog
	Look    Look
	// Foresee is a Look that leaves to later sweeps what the next one leaves to them.
	Foresee Look
	Keys    Keys
	IAM     evidence.IAM // for the history and the report
	// Account returns all API keys of the account, and Own the ID of latchkey's account.
	Account func(context.Context) ([]port.AccountKey, error)
	Own     func(context.Context) (string, error)
	Sweeper Sweep
	Every   time.Duration              // the interval of sweeps
	Days    func(time.Duration) string // formats durations as the config has them
	Now     func() time.Time
	User    string // in the cause of what is done
}

// User returns the name of the user who runs the process.
func User(env func(string) string) string {
	return cmp.Or(env("SUDO_USER"), env("USER"), env("LOGNAME"), "an unknown user")
}

// Sweep looks at the credentials once and does what is due.
func (r Runner) Sweep(ctx context.Context, names []string) error {
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return err
	}
	return r.print(ctx, r.sweep(ctx, credentials, unlisted, reconcile.Request{}, "sweep"), names, true)
}

// Status prints the state of the credentials, and changes nothing.
func (r Runner) Status(ctx context.Context, names []string) error {
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return err
	}
	swept := r.plan(ctx, credentials, unlisted, reconcile.Request{Cause: "plan"})
	return r.print(ctx, swept, names, false)
}

// Plan prints what a sweep would do now, and why, and does none of it.
func (r Runner) Plan(ctx context.Context, names []string) error {
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return err
	}
	ahead := r
	ahead.Look = r.Foresee
	return ahead.printPlanned(ctx, credentials, unlisted, reconcile.Request{Cause: "plan"}, names)
}

// Rotate demands a newer key, or one other than notKey, and waits for it.
func (r Runner) Rotate(ctx context.Context, d Demand, name, notKey string) error {
	demand := protocol.Trigger{NewerThan: r.Now()}
	if notKey != "" {
		if err := checkKeyID("--not-key", notKey); err != nil {
			return err
		}
		demand = protocol.Trigger{NotKey: notKey}
	}
	names := []string{name}
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return err
	}
	if notKey != "" {
		if err := r.checkKey(ctx, notKey, credentials); err != nil {
			return err
		}
	}
	ask := reconcile.Request{Trigger: demand, Force: d.Force}
	if d.DryRun {
		return r.dryRun(ctx, credentials, unlisted, ask)
	}
	if len(credentials) > 1 {
		question := fmt.Sprintf("Rotate the keys of %d credentials: %s?", len(credentials), credentialNames(credentials, withProject))
		if err := r.Std.Confirm(d.Yes, question); err != nil {
			return err
		}
	}
	swept := r.untilDone(ctx, d, credentials, func(some []port.Credential) result.Sweep {
		return r.sweep(ctx, some, unlisted, ask, "rotate")
	})
	return r.printDemanded(ctx, swept, names)
}

func withProject(c port.Credential) string { return result.Label(c.Name, c.Project) }

func withoutProject(c port.Credential) string { return c.Name }

// credentialNames lists the first few names.
func credentialNames(credentials []port.Credential, name func(port.Credential) string) string {
	const shown = 5
	var names []string
	for i, c := range credentials {
		if i == shown {
			names = append(names, "…")
			break
		}
		names = append(names, name(c))
	}
	return strings.Join(names, ", ")
}

// Revoke replaces and deletes a leaked key. If contain is true the key is disabled
// first. Revoke succeeds only if the key no longer works.
func (r Runner) Revoke(ctx context.Context, d Demand, name, keyID string, contain bool) error {
	if err := checkKeyID("--key", keyID); err != nil {
		return err
	}
	names := []string{name}
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return err
	}
	if err := r.checkKey(ctx, keyID, credentials); err != nil {
		return err
	}
	ask := reconcile.Request{Trigger: protocol.Trigger{Leaked: keyID, Contain: contain}, Force: d.Force}
	if d.DryRun {
		return r.dryRun(ctx, credentials, unlisted, ask)
	}
	question := fmt.Sprintf("Replace and delete key %s of %s?", keyID, credentialNames(credentials, withProject))
	if contain {
		question = fmt.Sprintf("Disable key %s of %s now, before its consumers have another?", keyID, credentialNames(credentials, withProject))
	}
	if err := r.Std.Confirm(d.Yes, question); err != nil {
		return err
	}
	here := false
	swept := r.untilDone(ctx, d, credentials, func(some []port.Credential) result.Sweep {
		swept, is := result.WhereLeaked(r.sweep(ctx, some, unlisted, ask, "revoke"))
		here = here || is
		return swept
	})
	if !here && swept.Unknown == nil {
		return fmt.Errorf("revoking key %s: it is not a key of %s", keyID, name)
	}
	err = r.printDemanded(ctx, swept, names)
	if errors.Is(err, ErrDue) && onlyRemains(swept, keyID) {
		return nil
	}
	return err
}

// onlyRemains reports whether nothing is due but the deletion of a key that has ended.
// IAM refused it, and a note has its words.
func onlyRemains(swept result.Sweep, keyID string) bool {
	others := func(s protocol.Step) bool { return s.Action != protocol.Retire || s.Key != keyID }
	return !slices.ContainsFunc(swept.Outcomes, func(o result.Outcome) bool {
		return exitOf(o) != nil && (o.Condition != condition.Due || slices.ContainsFunc(o.Facts.Due, others))
	})
}

// errManyToAdopt: a key can belong to one credential only.
var errManyToAdopt = errors.New("one key can't be adopted by several credentials: name a single one")

// Adopt takes over an existing key whose value a store holds, as adopt in the config
// does.
func (r Runner) Adopt(ctx context.Context, d Demand, name, keyID string) error {
	if err := checkKeyID("--key", keyID); err != nil {
		return err
	}
	names := []string{name}
	credentials, unlisted, err := r.find(ctx, names)
	switch {
	case err != nil:
		return err
	case len(credentials) > 1:
		return errors.Join(unlisted, errManyToAdopt)
	}
	if err := r.checkKey(ctx, keyID, nil); err != nil {
		return err
	}
	for i := range credentials {
		credentials[i].AdoptKey = keyID
	}
	ask := reconcile.Request{Force: d.Force}
	if d.DryRun {
		return r.dryRun(ctx, credentials, unlisted, ask)
	}
	swept := r.untilDone(ctx, d, credentials, func(some []port.Credential) result.Sweep {
		// The first run adopts the key; the second does what is due for it.
		swept := r.sweep(ctx, some, unlisted, ask, "adopt")
		if len(swept.Outcomes) == 1 && swept.Outcomes[0].Result == result.Changed {
			swept = merge(swept, r.sweep(ctx, some, unlisted, ask, "adopt"))
		}
		return swept
	})
	return r.printDemanded(ctx, swept, names)
}

// find returns the credentials with these names. A project's name may stand for its
// ID. A name that the config does not yield is an error, and nothing is done.
func (r Runner) find(ctx context.Context, names []string) (found []port.Credential, unlisted, unknown error) {
	found, unlisted = r.Catalog.Credentials(ctx, catalog.Scope{Names: names})
	var wrong []string
	for _, name := range r.Catalog.Unknown(names, found) {
		entry, project, single := strings.Cut(name, "/")
		if !single {
			wrong = append(wrong, name)
			continue
		}
		named, err := r.ofProject(ctx, entry, project)
		if err != nil {
			return nil, unlisted, err
		}
		found = append(found, named...)
		if len(named) == 0 && unlisted == nil { // else it may be there
			wrong = append(wrong, name)
		}
	}
	if len(wrong) > 0 {
		return nil, unlisted, fmt.Errorf("finding %s: the config yields no such credential", strings.Join(wrong, ", "))
	}
	return found, unlisted, nil
}

// ofProject returns the entry's credential for the project with a name, if there is
// one. Projects of several regions may have one name.
func (r Runner) ofProject(ctx context.Context, entry, project string) ([]port.Credential, error) {
	all, _ := r.Catalog.Credentials(ctx, catalog.Scope{Names: []string{entry}}) // find has the error
	all = slices.DeleteFunc(all, func(c port.Credential) bool { return c.Entry != entry || c.Project != project })
	if len(all) > 1 {
		return nil, fmt.Errorf("finding %s/%s: several projects have this name: name one of %s", entry, project, credentialNames(all, withoutProject))
	}
	return all, nil
}

// errNoKey: the ID of a key is wrong, or the key has been deleted.
var errNoKey = errors.New("it was deleted, or the ID is wrong")

// checkKeyID returns an error for text that is not the ID of a key. A value that is
// pasted in its place must not be sent or printed.
func checkKeyID(flag, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%s is empty: it must be the ID of a key", flag)
	case !strings.HasPrefix(id, "ApiKey-"):
		return fmt.Errorf("%s (not repeated here) is not the ID of a key, which begins with ApiKey-", flag)
	}
	return nil
}

// checkKey returns an error for a key that IAM does not have. A key that is so
// young that IAM does not show it yet is named by a store.
func (r Runner) checkKey(ctx context.Context, keyID string, credentials []port.Credential) error {
	if _, err := r.Keys.Get(ctx, keyID); !errors.Is(err, port.ErrNotFound) {
		return nil // the run finds out what is wrong
	}
	looked := r.Look(ctx, credentials, reconcile.Request{})
	for _, o := range looked.Outcomes {
		if slices.ContainsFunc(o.Stores, func(s result.Store) bool { return s.Key == keyID || s.Error != "" }) {
			return nil // as above
		}
	}
	if looked.Unknown != nil {
		return nil //nolint:nilerr // as above
	}
	return fmt.Errorf("IAM has no key %s: %w", keyID, errNoKey)
}

func (r Runner) sweep(ctx context.Context, credentials []port.Credential, unlisted error, ask reconcile.Request, verb string) result.Sweep {
	return r.Sweeper(ctx, credentials, unlisted, ask, result.Cause{Caller: r.User + " by hand", Type: verb})
}

// plan observes and decides for each credential.
func (r Runner) plan(ctx context.Context, credentials []port.Credential, unlisted error, ask reconcile.Request) result.Sweep {
	looked := r.Look(ctx, credentials, ask)
	looked.Unknown = errors.Join(unlisted, looked.Unknown)
	return looked
}

// printPlanned prints the steps that a run would take.
func (r Runner) printPlanned(ctx context.Context, credentials []port.Credential, unlisted error, ask reconcile.Request, names []string) error {
	swept := r.plan(ctx, credentials, unlisted, ask)
	if r.Format.structured() {
		return r.print(ctx, swept, names, false)
	}
	if err := r.printPlan(swept, credentials); err != nil {
		return err
	}
	return verdict(r.Std, swept, names)
}

// dryRun prints the steps that a demand would take. That they are due is no news.
func (r Runner) dryRun(ctx context.Context, credentials []port.Credential, unlisted error, ask reconcile.Request) error {
	err := r.printPlanned(ctx, credentials, unlisted, ask, nil)
	if errors.Is(err, ErrDue) {
		return nil
	}
	return err
}

// printDemanded prints the outcomes of a demand, and returns the error that names the
// exit code. That the demand is not met says more than that a credential is in
// progress.
func (r Runner) printDemanded(ctx context.Context, swept result.Sweep, names []string) error {
	err, unfinished := r.print(ctx, swept, names, true), unfinishedError(swept)
	if unfinished != nil && errors.Is(err, ErrTryAgain) {
		return unfinished
	}
	return errors.Join(err, unfinished)
}

// print prints the outcomes, and returns the error that names the exit code.
func (r Runner) print(ctx context.Context, swept result.Sweep, names []string, ran bool) error {
	if err := r.Format.print(ctx, r.Std, r.Now(), swept.Outcomes, ran); err != nil {
		return fmt.Errorf("printing outcomes: %w", err)
	}
	return verdict(r.Std, swept, names)
}
