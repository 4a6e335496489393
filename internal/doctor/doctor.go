// Package doctor checks, from where it runs, everything that a config needs: our
// identity, its permissions, endpoints, stores, the clock and quotas. It changes
// nothing. Each failure comes with the command that fixes it.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// IAM is what the doctor reads of IAM; iam.Client is one.
type IAM interface {
	Self(ctx context.Context) (string, error)
	Find(ctx context.Context, name string) ([]reconcile.ServiceID, time.Time, error)
	Granted(ctx context.Context, iamID string) ([]reconcile.Policy, error)
	List(ctx context.Context, iamID string, credentials ...string) (reconcile.KeyList, error)
}

// Catalog finds credentials; catalog.Catalog does.
type Catalog interface {
	Credentials(ctx context.Context, scope catalog.Scope) ([]reconcile.Credential, error)
}

// Planner observes and decides, and changes nothing; reconcile.Reconciler does.
type Planner interface {
	Plan(ctx context.Context, c reconcile.Credential, ask reconcile.Ask) (reconcile.Outcome, rotation.Plan, error)
}

// Config is what the doctor examines.
type Config struct {
	IAM     IAM
	Catalog Catalog
	Planner Planner
	// Account returns the account that the config works in.
	Account func(context.Context) (string, error)
	Now     func() time.Time
	// Profile is the trusted profile that we log in as; empty for an API key.
	Profile string
	// Regions are the regions of Code Engine projects.
	Regions []string
	// Projects lists the Code Engine projects of the regions.
	Projects func(context.Context) ([]codeengine.Project, error)
	// PerProject: an entry has a credential for each project.
	PerProject bool
}

// Examine writes a checklist to out, and returns how many checks passed and
// failed.
func Examine(ctx context.Context, cfg Config, out io.Writer) (ok, failed int) {
	d := &examination{Config: cfg, out: out}
	d.examine(ctx)
	return d.ok, d.failed
}

// examination is one run of the checks.
type examination struct {
	Config
	out        io.Writer
	ok, failed int

	self    string             // our own IAM ID
	granted []reconcile.Policy // our own policies
	unread  bool               // they can't be read

	checkedCodeEngine bool
}

func (d *examination) pass(format string, args ...any) {
	d.ok++
	fmt.Fprintf(d.out, "ok    "+format+"\n", args...)
}

// fail prints what is wrong and the fix.
func (d *examination) fail(fix, format string, args ...any) {
	d.failed++
	fmt.Fprintf(d.out, "FAIL  "+format+"\n", args...)
	if fix != "" {
		fmt.Fprintf(d.out, "      fix: %s\n", fix)
	}
}

func (d *examination) examine(ctx context.Context) {
	if !d.identity(ctx) {
		return // no other check can work
	}
	d.clock(ctx)
	d.ownPolicies(ctx)
	d.need("iam-identity", "Administrator", "to make service IDs and keys", reconcile.Policy{})
	if d.PerProject {
		d.codeEngine()
	}
	credentials := d.expand(ctx)
	d.roles(credentials)
	for _, c := range credentials {
		d.credential(ctx, c)
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

func (d *examination) clock(ctx context.Context) {
	_, date, err := d.IAM.Find(ctx, "latchkey-doctor-looks-for-nothing")
	if err != nil {
		d.fail(d.grant("Administrator", "iam-identity"), "IAM: service IDs can't be listed: %v", err)
		return
	}
	skew := d.Now().Sub(date).Round(time.Second)
	if limit := rotation.Standard().MaxSkew; skew.Abs() > limit {
		d.fail("set this machine's clock", "clock: it differs from IAM's by %s; more than %s blocks every credential", skew, limit)
		return
	}
	d.pass("IAM: reachable; the clock differs from IAM's by %s", skew.Abs())
}

// ownPolicies reads our own policies. Those of access groups are not among them.
func (d *examination) ownPolicies(ctx context.Context) {
	granted, err := d.IAM.Granted(ctx, d.self)
	if err != nil {
		d.unread = true
		d.fail("", "permissions: our own policies can't be read: %v", err)
		return
	}
	d.granted = granted
	d.pass("permissions: %d policies of our own were read; those of access groups are not visible here", len(granted))
}

// grant is the command that grants us a role.
func (d *examination) grant(role, service string) string {
	who := fmt.Sprintf("service-policy-create %s", strings.TrimPrefix(d.self, "iam-"))
	if d.Profile != "" {
		who = "trusted-profile-policy-create " + d.Profile
	}
	if strings.Contains(role, " ") {
		role = strconv.Quote(role)
	}
	return fmt.Sprintf("ibmcloud iam %s --roles %s --service-name %s", who, role, service)
}

// need checks that we hold the role or a higher one on at least the scope of the
// policy. It checks nothing if our policies can't be read.
func (d *examination) need(service, role, why string, scope reconcile.Policy) {
	if d.unread {
		return
	}
	enough := map[string][]string{
		"Writer": {"Writer", "Manager"},
		"Viewer": {"Viewer", "Operator", "Editor", "Administrator"},
		"Editor": {"Editor", "Administrator"},
	}[role]
	if enough == nil {
		enough = []string{role}
	}
	for _, r := range enough {
		wanted := reconcile.Policy{Service: service, Roles: []string{r}, Instance: scope.Instance, ResourceGroup: scope.ResourceGroup}
		if len(reconcile.Missing([]reconcile.Policy{wanted}, d.granted)) == 0 {
			d.pass("permission: %s on %s, %s", role, service, why)
			return
		}
	}
	d.fail(d.grant(role, service), "permission: %s on %s is missing, %s", role, service, why)
}

func (d *examination) expand(ctx context.Context) []reconcile.Credential {
	credentials, err := d.Catalog.Credentials(ctx, catalog.Scope{})
	if err != nil {
		d.fail(d.grant("Viewer", "codeengine"), "config: some credentials could not be listed: %v", err)
	}
	if projects, perr := d.Projects(ctx); perr == nil && len(d.Regions) > 0 {
		d.pass("projects: %d in %s", len(projects), strings.Join(d.Regions, ", "))
	}
	if len(credentials) == 0 {
		d.fail("check where, forEach and regions in the config", "config: it yields no credential now")
		return nil
	}
	d.pass("config: %d credentials", len(credentials))
	return credentials
}

// lockingStore is a store that locks what it publishes.
type lockingStore interface {
	Locks() bool
	Instance() string
}

// roles checks IAM's rule that an identity can only grant roles that it holds.
func (d *examination) roles(credentials []reconcile.Credential) {
	seen := map[string]bool{}
	writes, groups, locked := false, false, map[string]bool{}
	for _, c := range credentials {
		for _, p := range c.Policies {
			for _, role := range append(slices.Clone(p.Roles), "Administrator") {
				one := p
				one.Roles = []string{role}
				if seen[one.Label()] {
					continue
				}
				seen[one.Label()] = true
				why := "since who grants a role must hold it"
				if role == "Administrator" {
					why = "to grant roles on it"
				}
				d.need(p.Service, role, why, p)
			}
		}
		if len(c.Groups) > 0 && !groups {
			groups = true
			d.need("iam-groups", "Editor", "to add service IDs to access groups", reconcile.Policy{})
		}
		for _, st := range c.Stores {
			writes = writes || strings.HasPrefix(st.Name(), "codeEngine/")
			if sm, ok := st.(lockingStore); ok && sm.Locks() && !locked[sm.Instance()] {
				locked[sm.Instance()] = true
				d.need("secrets-manager", "Manager", "to remove the locks of its stores (a role on one secret group is not visible here)",
					reconcile.Policy{Instance: sm.Instance()})
			}
		}
	}
	if writes {
		d.codeEngine()
	}
}

// codeEngine checks once what projects and their secrets need.
func (d *examination) codeEngine() {
	if d.checkedCodeEngine {
		return
	}
	d.checkedCodeEngine = true
	d.need("codeengine", "Viewer", "to see projects", reconcile.Policy{})
	d.need("codeengine", "Writer", "to write secrets and restart apps", reconcile.Policy{})
}

// credential checks one credential as a sweep would, and its quotas.
func (d *examination) credential(ctx context.Context, c reconcile.Credential) {
	if c.Unconfigured != nil {
		d.fail("restore the entry (formerly, if it was renamed), or: ibmcloud iam service-id-delete "+c.Unconfigured.ID,
			"%s: no config entry yields it any more, so the keys of %s are not rotated", c.Name, c.Unconfigured.ID)
		return
	}
	out, plan, err := d.Planner.Plan(ctx, c, reconcile.Ask{Cause: "doctor"})
	if err != nil {
		d.fail("", "%s: %v", c.Name, err)
		return
	}
	for _, st := range out.Stores {
		if st.Fault != "" {
			d.fail("", "%s: store %s: %s", c.Name, st.Name, cmp.Or(st.Error, st.Fault.Sentence()))
		}
	}
	switch {
	case plan.Blocked != "":
		d.fail("", "%s: blocked: %s", c.Name, out.Message)
	case out.Key != "":
		d.pass("%s: %s is published; %d steps are due", c.Name, out.Key, len(plan.Steps))
	default:
		d.pass("%s: its stores answer; nothing is published yet", c.Name)
	}
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
}

// quotas says what is left of a project's limits.
func (d *examination) quotas(ctx context.Context, credential string, st reconcile.Store) {
	ce, ok := st.(*codeengine.Store)
	if !ok {
		return
	}
	used, err := ce.Used(ctx)
	if err != nil {
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
func (d *examination) logs(ctx context.Context, credentials []reconcile.Credential) {
	seen := map[string]bool{}
	for _, c := range credentials {
		for _, prover := range c.Provers {
			reachable, ok := prover.(interface {
				Reach(ctx context.Context) (string, error)
			})
			if !ok {
				continue
			}
			host, err := reachable.Reach(ctx)
			if seen[host] {
				continue
			}
			seen[host] = true
			if err != nil {
				d.fail("check endpoints in the config, and the network from here", "logs: %s: %v", host, err)
			} else {
				d.pass("logs: %s answers", host)
			}
		}
	}
}
