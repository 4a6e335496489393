package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

type doctorCommand struct {
	Config   string `help:"The config file." placeholder:"FILE"`
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
}

// errUnwell is what a checklist with failures ends with.
var errUnwell = errors.New("something is missing: see above")

// Run looks, from where it runs, at everything that the config needs, and
// changes nothing. Each failure comes with what mends it.
func (c doctorCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c.Config)
	if err != nil {
		return err
	}
	p.endpoint = c.Endpoint
	h, err := p.wire(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	d := &doctor{p: p, h: h}
	d.examine(ctx)
	fmt.Fprintf(p.stdout, "%d ok, %d failed\n", d.ok, d.failed)
	if d.failed > 0 {
		return errUnwell
	}
	return nil
}

// doctor is one examination.
type doctor struct {
	p          *process
	h          *house
	ok, failed int

	self    string // our own IAM ID
	granted []reconcile.Policy

	askedCodeEngine bool
}

func (d *doctor) good(format string, args ...any) {
	d.ok++
	fmt.Fprintf(d.p.stdout, "ok    "+format+"\n", args...)
}

// bad names what is wrong and what mends it.
func (d *doctor) bad(mend, format string, args ...any) {
	d.failed++
	fmt.Fprintf(d.p.stdout, "FAIL  "+format+"\n", args...)
	if mend != "" {
		fmt.Fprintf(d.p.stdout, "      mend: %s\n", mend)
	}
}

func (d *doctor) examine(ctx context.Context) {
	if !d.identity(ctx) {
		return // nothing else can be asked
	}
	d.clock(ctx)
	d.own(ctx)
	d.need("iam-identity", "Administrator", "to make service IDs and keys", reconcile.Policy{})
	if slices.ContainsFunc(d.h.cfg.Entries, func(e *config.Entry) bool { return e.ForEach == config.CodeEngineProjects }) {
		d.codeEngine()
	}
	credentials := d.expand(ctx)
	d.roles(credentials)
	for _, c := range credentials {
		d.credential(ctx, c)
	}
	d.logs(ctx, credentials)
}

func (d *doctor) identity(ctx context.Context) bool {
	how := "an API key (IBMCLOUD_API_KEY); a trusted profile needs no stored key"
	mend := "set IBMCLOUD_API_KEY to a key that is enabled, or name a trusted profile in identity.profile"
	if profile := d.h.cfg.Identity.Profile; profile != "" {
		how = "the trusted profile " + profile + " by the compute resource token"
		mend = "enable trusted profiles (--trusted-profiles-enabled) for this function, app or job, and let profile " + profile + " trust it"
	}
	self, err := d.h.iam.Self(ctx)
	if err != nil {
		d.bad(mend, "identity: no token with %s: %v", how, err)
		return false
	}
	account, err := d.h.account(ctx)
	if err != nil {
		d.bad(mend, "identity: %v", err)
		return false
	}
	d.self = self
	d.good("identity: %s in account %s, with %s", self, account, how)
	return true
}

func (d *doctor) clock(ctx context.Context) {
	_, date, err := d.h.iam.Find(ctx, "latchkey-doctor-looks-for-nothing")
	if err != nil {
		d.bad(d.grant("Administrator", "iam-identity"), "IAM: service IDs can't be listed: %v", err)
		return
	}
	skew := d.h.now().Sub(date).Round(time.Second)
	if limit := rotation.Standard().MaxSkew; skew.Abs() > limit {
		d.bad("set this machine's clock right", "clock: %s away from IAM's; more than %s blocks everything", skew, limit)
		return
	}
	d.good("IAM: reachable; the clock is %s away from its", skew.Abs())
}

// own reads our own policies. Those of access groups are not among them.
func (d *doctor) own(ctx context.Context) {
	granted, err := d.h.iam.Granted(ctx, d.self)
	if err != nil {
		d.bad("", "permissions: our own policies can't be read: %v", err)
		return
	}
	d.granted = granted
	d.good("permissions: %d policies of our own were read; those of access groups are not seen", len(granted))
}

// grant is the command that gives us a role.
func (d *doctor) grant(role, service string) string {
	who := fmt.Sprintf("service-policy-create %s", strings.TrimPrefix(d.self, "iam-"))
	if d.h.cfg.Identity.Profile != "" {
		who = "trusted-profile-policy-create " + d.h.cfg.Identity.Profile
	}
	return fmt.Sprintf("ibmcloud iam %s --roles %s --service-name %s", who, role, service)
}

// need checks that we hold one of the roles, a higher one counts too, on at
// least the place.
func (d *doctor) need(service, role, why string, place reconcile.Policy) {
	enough := map[string][]string{
		"Writer": {"Writer", "Manager"},
		"Viewer": {"Viewer", "Operator", "Editor", "Administrator"},
		"Editor": {"Editor", "Administrator"},
	}[role]
	if enough == nil {
		enough = []string{role}
	}
	for _, p := range d.granted {
		covers := p.Service == service && (p.Instance == "" || p.Instance == place.Instance) &&
			(p.ResourceGroup == "" || p.ResourceGroup == place.ResourceGroup)
		if covers && slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(enough, r) }) {
			d.good("permission: %s on %s, %s", role, service, why)
			return
		}
	}
	d.bad(d.grant(role, service), "permission: %s on %s is missing, %s", role, service, why)
}

func (d *doctor) expand(ctx context.Context) []reconcile.Credential {
	credentials, err := d.h.Credentials(ctx, reconcile.Scope{})
	if err != nil {
		d.bad(d.grant("Viewer", "codeengine"), "config: not every credential is known: %v", err)
	}
	if projects, perr := d.h.codeengine.Projects(ctx, d.h.cfg.Regions); perr == nil && len(d.h.cfg.Regions) > 0 {
		d.good("projects: %d in %s", len(projects), strings.Join(d.h.cfg.Regions, ", "))
	}
	if len(credentials) == 0 {
		d.bad("check where, forEach and regions in the config", "config: it makes up no credential now")
		return nil
	}
	d.good("config: %d credentials", len(credentials))
	return credentials
}

// roles checks the run-book's rule: who grants a role must hold it.
func (d *doctor) roles(credentials []reconcile.Credential) {
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
			if sm, ok := st.(*secretsmanager.Store); ok && sm.Locks() && !locked[sm.Instance()] {
				locked[sm.Instance()] = true
				d.need("secrets-manager", "Manager", "to take the locks of its stores off again (one on a secret group alone is not seen here)",
					reconcile.Policy{Instance: sm.Instance()})
			}
		}
	}
	if writes {
		d.codeEngine()
	}
}

// codeEngine checks once what projects and their secrets need.
func (d *doctor) codeEngine() {
	if d.askedCodeEngine {
		return
	}
	d.askedCodeEngine = true
	d.need("codeengine", "Viewer", "to see projects", reconcile.Policy{})
	d.need("codeengine", "Writer", "to write secrets and restart apps", reconcile.Policy{})
}

// credential looks at one, as a sweep would, and at what is left of quotas.
func (d *doctor) credential(ctx context.Context, c reconcile.Credential) {
	if c.Unconfigured != nil {
		d.bad("bring the entry back (formerly, if it was renamed), or: ibmcloud iam service-id-delete "+c.Unconfigured.ID,
			"%s: no entry yields it any more, so nobody rotates the keys of %s", c.Name, c.Unconfigured.ID)
		return
	}
	out, plan, err := d.h.reconciler.Plan(ctx, c, reconcile.Ask{Cause: "doctor"})
	if err != nil {
		d.bad("", "%s: %v", c.Name, err)
		return
	}
	for _, st := range out.Stores {
		if st.Fault != "" {
			d.bad("", "%s: store %s: %s", c.Name, st.Name, st.Fault.Sentence())
		}
	}
	switch {
	case plan.Blocked != "":
		d.bad("", "%s: blocked: %s", c.Name, plan.Blocked.Sentence())
	case out.Key != "":
		d.good("%s: %s is published; %d steps are due", c.Name, out.Key, len(plan.Steps))
	default:
		d.good("%s: its stores answer; nothing is published yet", c.Name)
	}
	for _, st := range c.Stores {
		d.quotas(ctx, c.Name, st)
	}
	if out.ServiceID != "" {
		const limit = 20 // of IAM, per identity
		if list, lerr := d.h.iam.List(ctx, "iam-"+out.ServiceID, c.Name); lerr == nil {
			used := len(list.Keys) + list.Foreign
			if used >= rotation.Standard().KeyLimit {
				d.bad("delete keys that nobody needs: ibmcloud iam service-api-keys "+out.ServiceID, "%s: %d of %d keys are used", c.Name, used, limit)
			} else {
				d.good("%s: %d of %d keys are used", c.Name, used, limit)
			}
		}
	}
}

// quotas says what is left of a project's limits.
func (d *doctor) quotas(ctx context.Context, credential string, st reconcile.Store) {
	ce, ok := st.(*codeengine.Store)
	if !ok {
		return
	}
	used, err := ce.Used(ctx)
	if err != nil {
		d.bad("", "%s: %v", credential, err)
		return
	}
	say := d.good
	if used.Secrets >= codeengine.MaxSecrets || used.Revisions >= codeengine.MaxRevisions {
		say = func(format string, args ...any) {
			d.bad("delete secrets or old revisions that nobody needs", format, args...)
		}
	}
	say("%s: its project uses %d of %d secrets and %d of %d revisions", credential, used.Secrets, codeengine.MaxSecrets, used.Revisions, codeengine.MaxRevisions)
}

// logs checks that the ingestion endpoints can be reached: without a token
// the answer is a refusal, which is enough.
func (d *doctor) logs(ctx context.Context, credentials []reconcile.Credential) {
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
				d.bad("check endpoints in the config, and the network from here", "logs: %s: %v", host, err)
			} else {
				d.good("logs: %s answers", host)
			}
		}
	}
}
