// Package doctor checks, from where it runs, everything that a config needs: our
// identity, its permissions, endpoints, stores, the clock and quotas. It changes
// nothing. Each failure comes with the command that fixes it.
package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// IAM is what the doctor reads of IAM; iam.Client is one.
type IAM interface {
	Self(ctx context.Context) (string, error)
	Find(ctx context.Context, name string) ([]port.ServiceID, time.Time, error)
	// Grants returns the policies of an identity or of an access group, without
	// those that we may not read.
	Grants(ctx context.Context, subject string) ([]iam.Grant, error)
	// Groups returns the access groups of an identity.
	Groups(ctx context.Context, iamID string) ([]port.Group, error)
	// Creator returns the IAM ID of the creator of a service ID, or "".
	Creator(ctx context.Context, iamID string) (string, error)
	// Roles returns the names of a service's roles: none if we may not list them.
	Roles(ctx context.Context, service string) ([]string, error)
	// Restricted reports whether the account restricts the creation of service IDs.
	Restricted(ctx context.Context) (bool, error)
	List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error)
}

// Catalog finds credentials; catalog.Catalog does.
type Catalog interface {
	Credentials(ctx context.Context, scope catalog.Scope) ([]port.Credential, error)
}

// Config is what the doctor examines.
type Config struct {
	IAM     IAM
	Catalog Catalog
	// Look observes and decides, and changes nothing. The steps of an outcome are those
	// that are due.
	Look func(context.Context, []port.Credential, reconcile.Request) result.Sweep
	// Account returns the account that the config works in.
	Account func(context.Context) (string, error)
	Now     func() time.Time
	// Profile is the trusted profile that we log in as; empty for an API key.
	Profile string
	// Regions are the regions of Code Engine projects.
	Regions []string
	// Projects lists the Code Engine projects of the regions.
	Projects func(context.Context) ([]codeengine.Project, error)
	// Secrets are what the config takes from variables and files.
	Secrets []Secret
	// PerProject: an entry has a credential for each project.
	PerProject bool
	// Needs are the roles that the config needs.
	Needs []Need
}

// Tally counts checks by their result. A check is unknown if it takes something
// that we may not see. Wide counts roles that the config does not need. Drift counts what
// service IDs have beyond the config.
type Tally struct{ OK, Failed, Unknown, Wide, Drift int }

// Examine writes a checklist to out, and counts the checks.
func Examine(ctx context.Context, cfg Config, out io.Writer) Tally {
	d := &examination{Config: cfg, out: out, checked: map[string]bool{}}
	d.examine(ctx)
	return d.tally
}

// examination is one run of the checks.
type examination struct {
	Config
	out   io.Writer
	tally Tally

	self     string    // our own IAM ID
	policies []granted // ours and those of our access groups, as far as we see them
	unread   string    // why there may be more, if there may
	noGroups bool      // IAM denied listing our access groups
	known    []codeengine.Project
	listed   bool            // every credential that exists was listed
	checked  map[string]bool // needs that were checked
}

func (d *examination) pass(format string, args ...any) {
	d.tally.OK++
	fmt.Fprintf(d.out, "ok    "+format+"\n", args...)
}

// fail prints what is wrong and the fix.
func (d *examination) fail(fix, format string, args ...any) {
	d.tally.Failed++
	fmt.Fprintf(d.out, "FAIL  "+format+"\n", args...)
	if fix != "" {
		fmt.Fprintf(d.out, "      fix: %s\n", fix)
	}
}

// unsure prints what can't be seen, and what to do in case it is wrong.
func (d *examination) unsure(fix, format string, args ...any) {
	d.tally.Unknown++
	fmt.Fprintf(d.out, "????  "+format+"\n", args...)
	if fix != "" {
		fmt.Fprintf(d.out, "      fix, if it is missing: %s\n", fix)
	}
}

func (d *examination) examine(ctx context.Context) {
	d.readable()
	if !d.identity(ctx) {
		return // no other check can work
	}
	d.readPolicies(ctx)
	mayFind := d.find(ctx)
	credentials := d.expand(ctx)
	var ids []found
	create := d.PerProject
	outcomes := d.look(ctx, credentials)
	results := make([]found, len(credentials))
	d.each(ctx, len(credentials), func(d *examination, i int) {
		results[i] = d.credential(ctx, credentials[i], outcomes[credentials[i].Name])
	})
	for _, f := range results {
		if f.id != "" {
			ids = append(ids, f)
		}
		create = create || f.create
	}
	d.roles(ctx, credentials)
	if create && mayFind {
		d.creation(ctx)
	}
	if mayFind {
		if foreign := d.others(ctx, ids); d.listed {
			d.wide(foreign)
		}
	}
	d.logs(ctx, credentials)
}

func (d *examination) identity(ctx context.Context) bool {
	how := "an API key (IBMCLOUD_API_KEY); a trusted profile needs no stored key"
	fix := "set IBMCLOUD_API_KEY to a key that is enabled, or name a trusted profile in identity.profile"
	if d.Profile != "" {
		how = "the trusted profile " + d.Profile + " by the compute resource token"
		fix = "enable trusted profiles (--trusted-profiles-enabled) for this function, app or job, and let profile " + d.Profile + " trust it"
	}
	self, err := d.IAM.Self(ctx)
	if errors.Is(err, iam.ErrAccount) {
		fix = "log in with an identity of the account that the config names, or correct account in the config"
	}
	if err != nil {
		d.fail(fix, "identity: no token with %s: %v", how, err)
		return false
	}
	account, err := d.Account(ctx)
	if err != nil {
		d.fail(fix, "identity: %v", err)
		return false
	}
	d.self = self
	d.pass("identity: %s in account %s, with %s", self, account, how)
	return true
}

func (d *examination) expand(ctx context.Context) []port.Credential {
	credentials, err := d.Catalog.Credentials(ctx, catalog.Scope{})
	var perr error
	d.known, perr = d.Projects(ctx)
	if err != nil {
		fix := ""
		switch {
		case errors.Is(perr, port.ErrDenied):
			fix = d.grant("Viewer", resource{service: "codeengine"})
		case errors.Is(err, port.ErrDenied): // the markers of service IDs could not be read
			fix = d.grant(serviceIDRoles, everywhere)
		}
		d.fail(fix, "config: some credentials could not be listed: %v", err)
	}
	d.listed = err == nil
	if perr == nil && len(d.Regions) > 0 {
		d.pass("projects: %d in %s", len(d.known), strings.Join(d.Regions, ", "))
	}
	if len(credentials) == 0 {
		d.fail("check where, forEach and regions in the config", "config: it yields no credential now")
		return nil
	}
	d.pass("config: %d credentials", len(credentials))
	return credentials
}

// found is what the plan of a credential says about its service ID.
type found struct {
	id     string // empty if it does not exist
	create bool   // it is to be created
	grants bool   // a policy of it is due
}

// look observes the credentials that the config yields, by name.
func (d *examination) look(ctx context.Context, credentials []port.Credential) map[string]result.Outcome {
	configured := slices.DeleteFunc(slices.Clone(credentials), func(c port.Credential) bool { return c.Unconfigured != nil })
	outcomes := map[string]result.Outcome{}
	for _, o := range d.Look(ctx, configured, reconcile.Request{Cause: "doctor"}).Outcomes {
		outcomes[o.Credential] = o
	}
	return outcomes
}

// width is how many checks run at once. It is that of a sweep.
const width = 32

// each runs n checks at once, each with an examination of its own, and prints what
// they found in their order. It begins none after the context has ended.
func (d *examination) each(ctx context.Context, n int, check func(d *examination, i int)) {
	parts, texts := make([]examination, n), make([]bytes.Buffer, n)
	var g errgroup.Group
	g.SetLimit(width)
	for i := range n {
		parts[i] = *d
		parts[i].out, parts[i].tally = &texts[i], Tally{}
		g.Go(func() error {
			if ctx.Err() == nil {
				check(&parts[i], i)
			}
			return nil
		})
	}
	_ = g.Wait() // the checks print their own errors
	for i := range parts {
		_, _ = texts[i].WriteTo(d.out)
		d.tally.OK += parts[i].tally.OK
		d.tally.Failed += parts[i].tally.Failed
		d.tally.Unknown += parts[i].tally.Unknown
		d.tally.Drift += parts[i].tally.Drift
	}
}

// credential checks one credential as a sweep would, and its quotas.
func (d *examination) credential(ctx context.Context, c port.Credential, out result.Outcome) (f found) {
	if c.Forged {
		d.foreign("service IDs", c.Unconfigured.ID, c.Unconfigured.Creator)
		return f
	}
	if c.Unconfigured != nil {
		d.fail("restore the entry (formerly, if it was renamed), or: ibmcloud iam service-id-delete "+c.Unconfigured.ID,
			"%s: no config entry yields it any more, so the keys of %s are not rotated", c.Name, c.Unconfigured.ID)
		return f
	}
	if out.Condition == condition.Unknown {
		d.fail("", "%s: %s", c.Name, out.Error)
		return f
	}
	f.id = out.ServiceID
	for _, step := range out.Steps {
		f.create = f.create || step.Action == rotation.CreateIdentity
		f.grants = f.grants || step.Action == rotation.GrantPolicy
	}
	d.ownership(out)
	d.drift(ctx, c, out)
	for _, st := range out.Stores {
		if st.Fault != "" {
			d.fail(st.Fault.Fix(), "%s: store %s: %s", c.Name, st.Name, cmp.Or(st.Error, st.Fault.Sentence()))
		}
	}
	d.condition(c, out)
	for _, st := range c.Stores {
		d.quotas(ctx, c.Name, st)
	}
	if out.ServiceID != "" {
		const limit = 20 // of IAM, per identity
		if list, lerr := d.IAM.List(ctx, "iam-"+out.ServiceID, c.Name); lerr == nil {
			used := len(list.Keys) + list.Foreign
			if used >= rotation.Standard().KeyLimit {
				d.fail("delete keys that are not needed: ibmcloud iam service-api-keys "+out.ServiceID, "%s: %d of %d keys are used", c.Name, used, limit)
			} else {
				d.pass("%s: %d of %d keys are used", c.Name, used, limit)
			}
		}
	}
	return f
}

// condition prints how the credential is. What a sweep does about it is no failure,
// unless consumers are down or a leaked key works.
func (d *examination) condition(c port.Credential, out result.Outcome) {
	text := fmt.Sprintf("%s: %s", c.Name, out.Condition)
	if out.Key != "" {
		text += ": " + out.Key + " is published"
	}
	if out.Message != "" {
		text += ": " + out.Message
	}
	if steps := len(out.Steps); steps > 0 {
		text += fmt.Sprintf("; %d steps are due", steps)
	}
	switch {
	case out.Condition == condition.Blocked && out.Reason == rotation.Paused: // the config asks for that
		d.pass("%s", text)
	case out.Condition == condition.Expired, out.Condition == condition.Leaked, out.Condition == condition.Blocked:
		d.fail("", "%s", text)
	case out.Condition == condition.InProgress:
		d.unsure("", "%s", text)
	default:
		d.pass("%s", text)
	}
}

// quotas says what is left of a project's limits.
func (d *examination) quotas(ctx context.Context, credential string, st port.Store) {
	ce, ok := st.(*codeengine.Store)
	if !ok {
		return
	}
	used, err := ce.Used(ctx)
	switch {
	case errors.Is(err, port.ErrDenied):
		d.unsure("", "%s: %v", credential, err)
		return
	case err != nil:
		d.fail("", "%s: %v", credential, err)
		return
	}
	say := d.pass
	if used.Secrets >= codeengine.MaxSecrets || used.Revisions >= codeengine.MaxRevisions {
		say = func(format string, args ...any) {
			d.fail("delete secrets or old revisions that are not needed", format, args...)
		}
	}
	say("%s: its project uses %d of %d secrets and %d of %d revisions", credential, used.Secrets, codeengine.MaxSecrets, used.Revisions, codeengine.MaxRevisions)
}

// logs checks that the ingestion endpoints answer. A request without a token is
// refused, which is enough.
func (d *examination) logs(ctx context.Context, credentials []port.Credential) {
	type endpoint interface {
		Reach(ctx context.Context) (string, error)
	}
	var endpoints []endpoint
	for _, c := range credentials {
		for _, prover := range c.Provers {
			if e, ok := prover.(endpoint); ok {
				endpoints = append(endpoints, e)
			}
		}
	}
	hosts, errs := make([]string, len(endpoints)), make([]error, len(endpoints))
	d.each(ctx, len(endpoints), func(_ *examination, i int) { hosts[i], errs[i] = endpoints[i].Reach(ctx) })
	seen := map[string]bool{"": true}
	for i, host := range hosts {
		if seen[host] {
			continue
		}
		seen[host] = true
		if errs[i] != nil {
			d.fail("check endpoints in the config, and the network from here", "logs: %s: %v", host, errs[i])
		} else {
			d.pass("logs: %s answers", host)
		}
	}
}
