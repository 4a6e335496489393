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
	"github.com/latchkey-io/latchkey/internal/plural"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// A RoleLister lists the roles of services; iam.Client is one.
type RoleLister interface {
	// Roles returns the names of a service's roles: none if we may not list them.
	Roles(ctx context.Context, service string) ([]string, error)
}

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
	RoleLister
	// Restricted reports whether the account restricts the creation of service IDs.
	Restricted(ctx context.Context) (bool, error)
	// MarkedProfiles returns the trusted profiles that are ours.
	MarkedProfiles(ctx context.Context) ([]port.Profile, error)
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

// fix resolves a failed check. The zero fix is that of a call without a clear answer,
// so that every failure has one.
type fix string

// String returns the command or the change.
func (f fix) String() string {
	return cmp.Or(string(f), "run latchkey doctor again; if this stays, check the network and the proxy from here, and the server; IBM Cloud's status is at https://cloud.ibm.com/status")
}

// fail prints what is wrong and the fix.
func (d *examination) fail(f fix, format string, args ...any) {
	d.tally.Failed++
	fmt.Fprintf(d.out, "FAIL  "+format+"\n", args...)
	fmt.Fprintf(d.out, "      fix: %s\n", f)
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
	if mayFind && d.listed {
		d.leftProfiles(ctx, credentials)
	}
	d.logs(ctx, credentials)
}

func (d *examination) identity(ctx context.Context) bool {
	how := "an API key (IBMCLOUD_API_KEY); a trusted profile needs no stored key"
	resolve := fix("set IBMCLOUD_API_KEY to a key that is enabled, or name a trusted profile in identity.profile")
	if d.Profile != "" {
		how = "the trusted profile " + d.Profile + " by the compute resource token"
		resolve = fix("enable trusted profiles (--trusted-profiles-enabled) for this function, app or job, and let profile " + d.Profile + " trust it")
	}
	self, err := d.IAM.Self(ctx)
	switch {
	case errors.Is(err, iam.ErrAccount):
		resolve = "log in with an identity of the account that the config names, or correct account in the config"
	case errors.Is(err, port.ErrUnavailable):
		resolve = ""
	}
	if err != nil {
		d.fail(resolve, "identity: no token with %s: %v", how, err)
		return false
	}
	account, err := d.Account(ctx)
	if err != nil {
		d.fail(resolve, "identity: %v", err)
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
		var resolve fix
		switch {
		case errors.Is(perr, port.ErrDenied):
			resolve = d.grant("Viewer", resource{service: "codeengine"})
		case errors.Is(err, port.ErrDenied): // the markers of service IDs could not be read
			resolve = d.grant(serviceIDRoles, everywhere)
		}
		d.fail(resolve, "config: some credentials could not be listed: %v", err)
	}
	d.listed = err == nil
	if perr == nil && len(d.Regions) > 0 {
		d.pass("projects: %d in %s", len(d.known), strings.Join(d.Regions, ", "))
	}
	if len(credentials) == 0 {
		d.fail("check where, forEach and regions in the config", "config: it yields no credential now")
		return nil
	}
	d.pass("config: %s", plural.Count(len(credentials), "credential"))
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
		d.fail(fix("restore the entry (formerly, if it was renamed), or: ibmcloud iam service-id-delete "+c.Unconfigured.ID),
			"%s: no config entry yields it any more, so the keys of %s are not rotated", c.Name, c.Unconfigured.ID)
		return f
	}
	if out.Condition == condition.Unknown {
		d.fail("", "%s: %s", result.Label(c.Name, c.Project), cmp.Or(out.Error, out.Message))
		return f
	}
	f.id = out.ServiceID
	for _, step := range out.Steps {
		f.create = f.create || step.Action == protocol.CreateIdentity
		f.grants = f.grants || step.Action == protocol.GrantPolicy
	}
	d.ownership(out)
	d.drift(c, out)
	for _, st := range out.Stores {
		if st.Fault != "" {
			d.fail(fix(st.Fault.Fix()), "%s: store %s: %s", result.Label(c.Name, c.Project), st.Name, cmp.Or(st.Error, st.Fault.Text()))
		}
	}
	d.condition(c, out)
	for _, st := range c.Stores {
		d.quotas(ctx, result.Label(c.Name, c.Project), st)
	}
	if out.ServiceID != "" {
		const limit = 20 // of IAM, per identity
		if list, lerr := d.IAM.List(ctx, "iam-"+out.ServiceID, c.Name); lerr == nil {
			used := len(list.Keys) + list.Foreign
			if used >= protocol.Standard().KeyLimit {
				d.fail(fix("delete keys that are not needed: ibmcloud iam service-api-keys "+out.ServiceID), "%s: %d of %d keys are used", result.Label(c.Name, c.Project), used, limit)
			} else {
				d.pass("%s: %d of %d keys are used", result.Label(c.Name, c.Project), used, limit)
			}
		}
	}
	return f
}

// condition prints how the credential is. What a sweep does about it is no failure,
// unless consumers are down or a leaked key works.
func (d *examination) condition(c port.Credential, out result.Outcome) {
	text := fmt.Sprintf("%s: %s", result.Label(c.Name, c.Project), out.Condition)
	if out.Key != "" {
		text += ": " + out.Key + " is published"
	}
	why := out.Message
	if words, is := strings.CutPrefix(why, out.Reason.Sentence()); is { // the fix has a line of its own
		why = out.Reason.Text() + words
	}
	if why != "" {
		text += ": " + why
	}
	if steps := len(out.Steps); steps > 0 {
		text += "; " + plural.Count(steps, "step") + " due"
	}
	switch {
	case out.Condition == condition.Blocked && out.Reason == reason.Paused: // the config asks for that
		d.pass("%s", text)
	case out.Condition == condition.Expired, out.Condition == condition.Leaked, out.Condition == condition.Blocked:
		d.fail(resolving(out), "%s", text)
	case out.Condition == condition.InProgress:
		d.unsure("", "%s", text)
	default:
		d.pass("%s", text)
	}
}

// resolving returns what resolves a condition that a person must act on.
func resolving(out result.Outcome) fix {
	switch {
	case out.Reason.Fix() != "":
		return fix(out.Reason.Fix())
	case out.Condition == condition.Leaked:
		return fix("latchkey sweep " + out.Credential + "; latchkey revoke --containment ends the key before its consumers have another")
	}
	return fix("latchkey sweep " + out.Credential)
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
