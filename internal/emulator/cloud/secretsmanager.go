package cloud

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The instance of Secrets Manager in every cloud.
const (
	SecretsInstanceID     = "c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546"
	SecretsInstanceRegion = "eu-de"
)

const serviceSecrets = "secrets-manager"

// SecretsInstance is an instance of Secrets Manager.
type SecretsInstance struct {
	ID     string `json:"id"`
	Region string `json:"region"`
}

// CRN returns the instance's CRN, which ends in two empty parts.
func (in SecretsInstance) CRN() string {
	return "crn:v1:bluemix:public:secrets-manager:" + in.Region + ":a/" + AccountID + ":" + in.ID + "::"
}

// SecretGroup is a group of secrets. Policies can name it.
type SecretGroup struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// DefaultGroup is the ID of the group that every instance has.
const DefaultGroup = "default"

// secretsInstance is an instance with its content.
type secretsInstance struct {
	SecretsInstance
	groups     map[string]*SecretGroup
	groupOrder []*SecretGroup
	secrets    map[string]*managedSecret
	order      []*managedSecret
	engines    []*Engine
	events     *Registration // with Event Notifications, or nil
}

// Limits of an instance, from Secrets Manager's page "Known issues and limits".
const (
	groupsPerInstance  = 200
	versionsPerSecret  = 50 // older metadata is dropped
	locksPerSecret     = 1000
	labelsPerSecret    = 30
	mostSecretsPerPage = 1000
	longestMetadata    = 10 << 10
	longestPayload     = 1 << 20
	longestKeyValue    = 512 << 10
)

func smError(status int, code, format string, args ...any) *Error {
	return serviceError(status, code, fmt.Sprintf(format, args...))
}

func smInvalid(format string, args ...any) *Error {
	return smError(400, "bad_request", format, args...)
}

func smNotFound(kind, id string) *Error {
	return smError(404, "not_found", "The %s %s was not found.", kind, id)
}

func smForbidden(action string) *Error {
	return smError(403, "forbidden", "You are not authorized to perform this action: %s.", action)
}

func smLocked() *Error {
	return becauseLocked(smError(412, "precondition_failed", "The requested action can't be completed because the secret version is locked."))
}

// The roles that may perform each action, from
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-iam. That
// page does not have the deletion of a version's data: see
// [Switches.VersionDataDeleteRole].
var (
	secretsReaders  = []string{"Reader", "SecretsReader", "Writer", "Manager"}
	secretsValues   = []string{"SecretsReader", "Writer", "Manager"}
	secretsWriters  = []string{"Writer", "Manager"}
	secretsManagers = []string{"Manager"}

	secretsActions = map[string][]string{
		"secret-group.create": secretsManagers, "secret-group.update": secretsManagers, "secret-group.delete": secretsManagers,
		"secret-group.read": secretsReaders, "secret-groups.list": secretsReaders,
		"secret.create": secretsWriters, "secret.read": secretsValues, "secret.delete": secretsManagers, "secrets.list": secretsReaders,
		"secret-metadata.read": secretsReaders, "secret-metadata.update": secretsWriters, "secret-action.create": secretsWriters,
		"secret-version.create": secretsWriters, "secret-version.read": secretsValues, "secret-versions.list": secretsReaders,
		"secret-version-metadata.read": secretsReaders, "secret-version-metadata.update": secretsWriters,
		"secret-version-action.create": secretsWriters,
		"secret-locks.create":          secretsWriters, "secret-locks.delete": secretsManagers, "secret-locks.list": secretsReaders,
		"secrets-locks.list":          secretsReaders,
		"secret-version-locks.create": secretsWriters, "secret-version-locks.delete": secretsManagers, "secret-version-locks.list": secretsReaders,
		"configuration.create": secretsManagers, "configuration.read": secretsManagers, "configuration.update": secretsManagers,
		"configuration.delete": secretsManagers, "configuration-action.create": secretsManagers,
		"configurations.list":               {"Reader", "Writer", "Manager"},
		"notifications-registration.create": secretsManagers, "notifications-registration.delete": secretsManagers,
		"notifications-registration.read": secretsReaders, "notifications-registration.test": secretsReaders,
		"secret-tasks.list": secretsReaders, "secret-task.read": secretsReaders,
		"secret-task.update": {"SecretTaskUpdater"}, "secret-task.delete": secretsManagers,
	}
)

// versionDataDelete is the action that deletes a version's data. The page of
// audit events has it; the page of roles does not.
const versionDataDelete = "secret-version-data.delete"

// holds reports whether the actor may perform the action in a group, or on the
// whole instance if group is empty.
func (c *Cloud) holds(a Actor, in *secretsInstance, group, action string) bool {
	t := target{service: serviceSecrets, instance: in.ID, region: in.Region, group: ResourceGroupID}
	if group != "" {
		t.kind, t.id = "secret-group", group
	}
	roles := secretsActions[action]
	if action == versionDataDelete {
		roles = []string{c.switches.VersionDataDeleteRole}
	}
	return c.may(a, t, roles...)
}

// secretsInstanceFor finds an instance and rejects an unknown actor.
func (c *Cloud) secretsInstanceFor(a Actor, instance string) (*secretsInstance, error) {
	if !c.alive(a.IAMID) {
		return nil, smError(401, "unauthorized", "The access token is missing, invalid or expired.")
	}
	in, ok := c.secretsInstances[instance]
	if !ok {
		return nil, smNotFound("instance", instance)
	}
	c.tick()
	return in, nil
}

// allowed finds an instance and checks the action on it or, with a group, in
// that group.
func (c *Cloud) allowed(a Actor, instance, group, action string) (*secretsInstance, error) {
	in, err := c.secretsInstanceFor(a, instance)
	if err == nil && !c.holds(a, in, group, action) {
		err = smForbidden(serviceSecrets + "." + action)
	}
	return in, err
}

// anywhere reports whether the actor may perform the action in some group.
func (c *Cloud) anywhere(a Actor, in *secretsInstance, action string) bool {
	return c.holds(a, in, "", action) || slices.ContainsFunc(in.groupOrder, func(g *SecretGroup) bool { return c.holds(a, in, g.ID, action) })
}

// SecretsInstanceIn returns the instance with the ID.
func (c *Cloud) SecretsInstanceIn(id string) (SecretsInstance, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, ok := c.secretsInstances[id]
	if !ok {
		return SecretsInstance{}, false
	}
	return in.SecretsInstance, true
}

func (c *Cloud) putSecretsInstance(id, region string) {
	in := &secretsInstance{SecretsInstance: SecretsInstance{ID: id, Region: region}, groups: map[string]*SecretGroup{}, secrets: map[string]*managedSecret{}}
	in.addGroup(&SecretGroup{ID: DefaultGroup, Name: DefaultGroup, Description: "The default secret group", CreatedAt: c.now(), CreatedBy: OwnerIAMID, UpdatedAt: c.now()})
	if c.secretsInstances == nil {
		c.secretsInstances = map[string]*secretsInstance{}
	}
	c.secretsInstances[id] = in
}

func (in *secretsInstance) addGroup(g *SecretGroup) {
	in.groups[g.ID] = g
	in.groupOrder = append(in.groupOrder, g)
}

// AddSecretsInstance adds an instance of Secrets Manager.
func (c *Cloud) AddSecretsInstance(id, region string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putSecretsInstance(id, region)
}

var groupNameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_ .-]*$`)

// checkSize checks a name or other short text. All have at least two
// characters.
func checkSize(field, s string, most int) error {
	if n := utf8.RuneCountInString(s); n < 2 || n > most {
		return smInvalid("%s must have from 2 to %d characters.", field, most)
	}
	return nil
}

func checkDescription(s string) error {
	if s == "" {
		return nil
	}
	return checkSize("description", s, 1024)
}

func (c *Cloud) checkSecretGroup(in *secretsInstance, name string, except *SecretGroup) error {
	if err := checkSize("name", name, 64); err != nil {
		return err
	}
	if !groupNameForm.MatchString(name) {
		return smInvalid("The name %q is not valid.", name)
	}
	if slices.ContainsFunc(in.groupOrder, func(g *SecretGroup) bool { return g != except && g.Name == name }) {
		return smError(c.switches.ExistingSecretStatus, "conflict", "A secret group of this name exists already.")
	}
	return nil
}

// CreateSecretGroup makes a group.
func (c *Cloud) CreateSecretGroup(a Actor, instance, name, description string) (SecretGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "secret-group.create")
	if err != nil {
		return SecretGroup{}, err
	}
	if err := cmp.Or(c.checkSecretGroup(in, name, nil), checkDescription(description)); err != nil {
		return SecretGroup{}, err
	}
	if len(in.groupOrder) >= groupsPerInstance {
		return SecretGroup{}, smError(c.switches.SecretLimitStatus, "limit_reached", "The limit of %d secret groups is reached.", groupsPerInstance)
	}
	now := c.now()
	g := &SecretGroup{ID: c.uuid(), Name: name, Description: description, CreatedAt: now, CreatedBy: a.IAMID, UpdatedAt: now}
	in.addGroup(g)
	return *g, nil
}

// ListSecretGroups lists the groups that the actor may see.
func (c *Cloud) ListSecretGroups(a Actor, instance string) ([]SecretGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.secretsInstanceFor(a, instance)
	if err != nil {
		return nil, err
	}
	if !c.anywhere(a, in, "secret-groups.list") {
		return nil, smForbidden("secrets-manager.secret-groups.list")
	}
	out := []SecretGroup{}
	for _, g := range in.groupOrder {
		if c.holds(a, in, g.ID, "secret-groups.list") {
			out = append(out, *g)
		}
	}
	return out, nil
}

func (c *Cloud) secretGroup(a Actor, instance, id, action string) (*secretsInstance, *SecretGroup, error) {
	in, err := c.allowed(a, instance, id, action)
	if err != nil {
		return nil, nil, err
	}
	g, ok := in.groups[id]
	if !ok {
		return nil, nil, smNotFound("secret group", id)
	}
	return in, g, nil
}

// GetSecretGroup returns one group.
func (c *Cloud) GetSecretGroup(a Actor, instance, id string) (SecretGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, g, err := c.secretGroup(a, instance, id, "secret-group.read")
	if err != nil {
		return SecretGroup{}, err
	}
	return *g, nil
}

// UpdateSecretGroup sets the fields that are not nil. Guess: the default group
// cannot be changed.
func (c *Cloud) UpdateSecretGroup(a Actor, instance, id string, name, description *string) (SecretGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, g, err := c.secretGroup(a, instance, id, "secret-group.update")
	if err != nil {
		return SecretGroup{}, err
	}
	if id == DefaultGroup {
		return SecretGroup{}, smInvalid("The default secret group can't be changed.")
	}
	if name != nil {
		if err := c.checkSecretGroup(in, *name, g); err != nil {
			return SecretGroup{}, err
		}
	}
	if description != nil {
		if err := checkDescription(*description); err != nil {
			return SecretGroup{}, err
		}
		g.Description = *description
	}
	if name != nil {
		g.Name = *name
	}
	g.UpdatedAt = c.now()
	return *g, nil
}

// DeleteSecretGroup deletes a group without secrets.
func (c *Cloud) DeleteSecretGroup(a Actor, instance, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, g, err := c.secretGroup(a, instance, id, "secret-group.delete")
	if err != nil {
		return err
	}
	if id == DefaultGroup {
		return smInvalid("The default secret group can't be deleted.")
	}
	if slices.ContainsFunc(in.order, func(s *managedSecret) bool { return s.GroupID == id }) {
		return smError(c.switches.GroupWithSecretsStatus, "conflict", "The secret group has secrets.")
	}
	delete(in.groups, id)
	in.groupOrder = slices.DeleteFunc(in.groupOrder, func(x *SecretGroup) bool { return x == g })
	return nil
}

// contains ignores case. Guess: so does the search of Secrets Manager.
func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// SecretsState is an instance of Secrets Manager with its content.
type SecretsState struct {
	SecretsInstance
	Groups         []SecretGroup `json:"secret_groups"`
	Secrets        []SecretState `json:"secrets"`
	Configurations []Engine      `json:"configurations"`
}

// SecretState is a secret with its versions, oldest first, their locks and its
// tasks.
type SecretState struct {
	ManagedSecret
	Versions []SecretVersion `json:"versions"`
	Locks    []SecretLock    `json:"locks"`
	Tasks    []SecretTask    `json:"tasks"`
}

func (c *Cloud) secretsState(values bool) []SecretsState {
	out := []SecretsState{}
	for _, id := range slices.Sorted(maps.Keys(c.secretsInstances)) {
		in := c.secretsInstances[id]
		s := SecretsState{SecretsInstance: in.SecretsInstance, Secrets: []SecretState{}, Configurations: []Engine{}}
		for _, g := range in.groupOrder {
			s.Groups = append(s.Groups, *g)
		}
		for _, x := range in.order {
			s.Secrets = append(s.Secrets, x.state(values))
		}
		for _, e := range in.engines {
			s.Configurations = append(s.Configurations, *e)
		}
		out = append(out, s)
	}
	return out
}

func (s *managedSecret) state(values bool) SecretState {
	out := SecretState{ManagedSecret: s.copy(), Versions: []SecretVersion{}, Locks: []SecretLock{}, Tasks: []SecretTask{}}
	for _, v := range s.versions {
		out.Versions = append(out.Versions, v.copy(values))
		for _, l := range v.locks {
			l.VersionAlias = v.Alias
			out.Locks = append(out.Locks, l)
		}
	}
	for _, t := range s.tasks {
		out.Tasks = append(out.Tasks, *t)
	}
	return out
}

// ManagedSecret finds a secret of an instance by type and name.
func (s State) ManagedSecret(instance, kind, name string) (SecretState, bool) {
	for _, in := range s.SecretsManager {
		for _, x := range in.Secrets {
			if in.ID == instance && x.Type == kind && x.Name == name {
				return x, true
			}
		}
	}
	return SecretState{}, false
}
