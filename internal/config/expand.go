package config

import (
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
)

// maxSuffix is how many characters may follow the slash in a credential's name.
// They become part of key names, whose length IAM limits.
const maxSuffix = 128

// maxRepeated is how many characters of a value an error repeats. A value from an
// event must not fill the log.
const maxRepeated = 120

// An Entry is one item of credentials, compiled. It is safe for concurrent use.
type Entry struct {
	Name     string
	ForEach  string   // "" (default) or CodeEngineProjects
	Line     int      // line in the config, from 1
	Rotation Rotation // with defaults filled in
	Formerly []string // earlier names of the entry, at most 5
	OnGone   string   // GoneKeep (default), GoneRevoke or GoneRetire
	Keep     bool     // make again what was removed; default true
	// Offboarding has the durations of a deprovisioning, with defaults filled in.
	Offboarding Offboarding
	// OnSameName is SameNameSuffix (default) or SameNameWait.
	OnSameName string

	path           string // credentials[0]
	where          *expression
	reads          []string // parameters of with, sorted
	paused         bool
	overwrite      bool
	adoptKey       string
	given          string // the ID of a service ID that latchkey does not own; the next two are then nil
	serviceID      *template
	description    *template
	keyDescription *template // nil: see described
	owner          *template // nil: none
	policies       []policyTemplate
	narrow         bool
	groups         []string
	keyless        bool
	trust          []linkTemplate
	prove          proveTemplate
	stores         []storeTemplate
}

// The templates below mirror the types in Credential.

type storeTemplate struct {
	at             value
	codeEngine     *codeEngineTemplate
	secretsManager *secretsManagerTemplate
	file           *fileTemplate
	kubernetes     *kubernetesTemplate
	vault          *vaultTemplate
	restart        restartTemplate
	format         formatTemplate
	entries        []furtherTemplate
	readBack       bool
	required       bool
}

type codeEngineTemplate struct {
	at                             value
	project, region, secret, entry *template
}

type fileTemplate struct {
	path *template
}

type restartTemplate struct {
	all      bool
	announce bool
	names    []*template
}

// UsesWith reports whether the entry reads parameters. Its credentials then come
// from provision events and markers.
func (e *Entry) UsesWith() bool { return len(e.reads) > 0 }

// Paused reports whether the entry or the config is paused.
func (e *Entry) Paused() bool { return e.paused }

// Expand evaluates the entry for one input. The error is ErrExcluded if where is
// false. Any other error names the field and the value at fault; the credential
// then has its Name, Entry, With, Rotation, Paused and Formerly, unless the input
// does not give it a name.
func (e *Entry) Expand(in Input) (Credential, error) {
	name, with, vars, err := e.identify(in)
	if err != nil {
		return Credential{}, fmt.Errorf("expanding %s: %w", e.Name, err)
	}
	unexpanded := Credential{Name: name, Entry: e.Name, With: with, Rotation: e.Rotation, Paused: e.paused, Formerly: e.formerNames(name)}
	if e.where != nil {
		switch wanted, err := e.where.evaluate(vars, nil); {
		case err != nil:
			return unexpanded, fmt.Errorf("expanding %s: where: evaluating %q: %w", name, e.where.source, err)
		case wanted != types.True:
			return Credential{}, ErrExcluded
		}
	}
	x := expansion{entry: e, vars: vars}
	unexpanded.Owner = x.owner()
	c := Credential{
		Name:          name,
		Entry:         e.Name,
		With:          with,
		Project:       in.Project,
		ServiceID:     e.given,
		ServiceIDName: x.text(e.serviceID),
		Description:   x.text(e.description),
		Policies:      x.policies(),
		AccessGroups:  append([]string(nil), e.groups...),
		Rotation:      e.Rotation,
		Prove:         x.prove(),
		Stores:        x.stores(in.Project),
		Paused:        e.paused,
		Overwrite:     e.overwrite,
		AdoptKey:      e.adoptKey,
	}
	c.NarrowPolicies = e.narrow
	c.Kept, c.NotAgain = e.Keep && !e.UsesWith() && !e.keyless, !e.Keep
	c.Profile = x.profile(c)
	c.Ends = x.ends()
	c.KeyDescription = x.described(c)
	c.Owner = x.owner()
	c.Formerly = unexpanded.Formerly
	if e.ForEach != "" && e.OnSameName == SameNameSuffix {
		c.OwnName = ownName(c.ServiceIDName, in.Project.ID)
	}
	x.checkProof(c)
	if x.err != nil {
		return unexpanded, fmt.Errorf("expanding %s: %w", name, x.err)
	}
	return c, nil
}

// expiresOn is the parameter that says when a credential is deprovisioned.
const expiresOn = "expiresOn"

// ends returns when the credential ends by its parameters, or zero: at the end of that
// day, in UTC.
func (x *expansion) ends() time.Time {
	with, _ := x.vars["with"].(map[string]string)
	text, given := with[expiresOn]
	if !given {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil && x.err == nil {
		x.err = fmt.Errorf("the parameter %s %q must be a date such as 2026-12-31", expiresOn, shortened(text, maxRepeated))
	}
	return day.Add(24 * time.Hour)
}

// Parameters returns the parameters that the name of a credential of the entry has.
func (e *Entry) Parameters(credential string) (with map[string]string, ok bool) {
	_, suffix, _ := strings.Cut(credential, "/")
	values := strings.Split(suffix, ".") // no value has a dot
	if e.ForEach != "" || !e.UsesWith() || len(values) != len(e.reads) {
		return nil, false
	}
	with = map[string]string{}
	for i, parameter := range e.reads {
		with[parameter] = values[i]
	}
	return with, true
}

// formerNames returns the earlier names of a credential.
func (e *Entry) formerNames(name string) (names []string) {
	for _, former := range e.Formerly {
		names = append(names, former+strings.TrimPrefix(name, e.Name))
	}
	return names
}

// identify returns the credential's name and the variables of its expressions.
func (e *Entry) identify(in Input) (name string, with map[string]string, vars map[string]any, err error) {
	if e.ForEach != "" {
		if in.Project == nil {
			return "", nil, nil, fmt.Errorf("an entry with forEach: %s needs a project", e.ForEach)
		}
		project := *in.Project
		if err := checkIdentifier(project.ID); err != nil {
			return "", nil, nil, fmt.Errorf("the project's ID %q %w", project.ID, err)
		}
		return e.Name + "/" + project.ID, map[string]string{"project": project.ID, "region": project.Region}, map[string]any{"project": project}, nil
	}
	if !e.UsesWith() {
		return e.Name, nil, map[string]any{"with": map[string]string{}}, nil
	}
	with = map[string]string{}
	values := make([]string, len(e.reads))
	for i, parameter := range e.reads {
		v, ok := in.With[parameter]
		if !ok {
			return "", nil, nil, fmt.Errorf("the parameter %q is missing; the entry reads %s", parameter, listed(e.reads, "and"))
		}
		if err := checkIdentifier(v); err != nil {
			return "", nil, nil, fmt.Errorf("the parameter %q: the value %q %w", parameter, shortened(v, maxRepeated), err)
		}
		with[parameter], values[i] = v, v
	}
	suffix := strings.Join(values, ".")
	if len(suffix) > maxSuffix {
		return "", nil, nil, fmt.Errorf("the parameters %s have %d characters together; the maximum is %d", listed(e.reads, "and"), len(suffix), maxSuffix)
	}
	return e.Name + "/" + suffix, with, map[string]any{"with": with}, nil
}

// An expansion evaluates one entry's templates and keeps the first error.
type expansion struct {
	entry *Entry
	vars  map[string]any
	err   error
}

func (x *expansion) fail(at value, err error) {
	if x.err == nil {
		x.err = fmt.Errorf("%s: %w", strings.TrimPrefix(at.path, x.entry.path+"."), err)
	}
}

func (x *expansion) text(t *template) string {
	s, err := t.evaluate(x.vars, nil)
	if err != nil {
		x.fail(t.at, err)
	}
	return s
}

// checkProof requires a policy that covers the proof's instance. Otherwise each
// proof would fail, after a key has been created.
func (x *expansion) checkProof(c Credential) {
	if c.Prove.Logs == nil || len(c.Policies) == 0 {
		return // access is granted elsewhere, for example by an access group
	}
	for _, p := range c.Policies {
		if p.Service == logsService && (p.Instance == "" || p.Instance == c.Prove.Logs.Instance) {
			return
		}
	}
	x.fail(x.entry.prove.logs.instance.at, fmt.Errorf("no policy for %s covers %q", logsService, c.Prove.Logs.Instance))
}

func (x *expansion) stores(project *Project) (ss []Store) {
	taken := map[string]int{}
	for i, t := range x.entry.stores {
		s := Store{Required: t.required, ReadBack: t.readBack, Restart: Restart{All: t.restart.all, Announce: t.restart.announce}}
		for _, n := range t.restart.names {
			s.Restart.Names = append(s.Restart.Names, x.text(n))
		}
		switch c := t.codeEngine; {
		case c != nil:
			s.CodeEngine = &CodeEngineStore{
				Project: x.text(c.project), Region: x.text(c.region), Secret: x.text(c.secret), Entry: x.text(c.entry),
			}
		case t.secretsManager != nil:
			s.SecretsManager = t.secretsManager.expand(x)
		case t.kubernetes != nil:
			s.Kubernetes = x.kubernetes(t.kubernetes)
		case t.vault != nil:
			s.Vault = x.vault(t.vault)
		case t.file != nil:
			s.File = &FileStore{Path: x.path(t.file.path)}
		default:
			panic("expanding " + t.at.path + ": a store of a kind that is not known here")
		}
		s.Format = x.format(t)
		for _, where := range locations(s, project) {
			if first, ok := taken[where]; ok && x.err == nil {
				x.fail(t.at, fmt.Errorf("%s is already the location of stores[%d]", where, first))
			}
			taken[where] = i
		}
		ss = append(ss, s)
	}
	return ss
}

// path evaluates a path. An expression must not add a directory.
func (x *expansion) path(t *template) string {
	s := x.text(t)
	slashes := 0
	for _, p := range t.parts {
		slashes += strings.Count(p.literal, "/")
	}
	if x.err == nil && strings.Count(s, "/") != slashes {
		x.fail(t.at, fmt.Errorf("%q has a slash that comes from an expression", s))
	}
	return s
}

// location describes where a store is; two locations have different descriptions.
// A Code Engine project has the same description by ID and by name.
func location(s Store, project *Project) string {
	switch {
	case s.CodeEngine != nil:
		c := *s.CodeEngine
		if project != nil && c.Project == project.Name && c.Region == project.Region {
			c.Project = project.ID
		}
		return fmt.Sprintf("the entry %q of the secret %q in project %q in %s", c.Entry, c.Secret, c.Project, c.Region)
	case s.SecretsManager != nil:
		return s.SecretsManager.location()
	case s.Kubernetes != nil:
		return s.Kubernetes.location()
	case s.Vault != nil:
		return s.Vault.location()
	case s.File != nil:
		return fmt.Sprintf("the file %q", s.File.Path)
	}
	panic("locating a store: its kind is not known here")
}
