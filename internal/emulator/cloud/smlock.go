package cloud

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// SecretLock protects the data of a version. The next rotation still works; the
// second one is blocked until the lock is removed.
type SecretLock struct {
	Name         string         `json:"name"`
	Description  string         `json:"description,omitempty"`
	Attributes   map[string]any `json:"attributes,omitempty"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
	CreatedBy    string         `json:"created_by"`
	GroupID      string         `json:"secret_group_id"`
	SecretID     string         `json:"secret_id"`
	VersionID    string         `json:"secret_version_id"`
	VersionAlias string         `json:"secret_version_alias"`
}

// NewSecretLock is the request for a lock.
type NewSecretLock struct {
	Name        string
	Description string
	Attributes  map[string]any
}

// LockedSecret has the names of a secret's locks, for each version that has
// data or locks.
type LockedSecret struct {
	Secret   ManagedSecret
	Versions []SecretVersion
}

// The modes of CreateSecretLocks.
const (
	RemovePrevious          = "remove_previous"
	RemovePreviousAndDelete = "remove_previous_and_delete"
)

var lockName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)

func (s *managedSecret) locked() LockedSecret {
	out := LockedSecret{Secret: s.copy(), Versions: []SecretVersion{}}
	for _, v := range slices.Backward(s.versions) {
		if v.Alias != "" {
			out.Versions = append(out.Versions, v.copy(false))
		}
	}
	return out
}

// lockAction returns the action on the locks of a version, or of the secret if
// version is empty.
func lockAction(version, verb string) string {
	if version == "" {
		return "secret-locks." + verb
	}
	return "secret-version-locks." + verb
}

// CreateSecretLocks adds locks to a version; an empty version is the current
// one. A lock with the same name is replaced.
func (c *Cloud) CreateSecretLocks(a Actor, instance, secret, version, mode string, locks []NewSecretLock) (LockedSecret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, v, err := c.findVersion(a, instance, secret, cmp.Or(version, "current"), lockAction(version, "create"))
	if err != nil {
		return LockedSecret{}, err
	}
	if slices.ContainsFunc(s.tasks, func(t *SecretTask) bool { return t.Status == TaskProcessing }) {
		return LockedSecret{}, smError(c.switches.BusySecretStatus, "conflict", "A secret can be locked only after all its tasks are done.")
	}
	if err := s.checkLocks(v, mode, locks); err != nil {
		return LockedSecret{}, err
	}
	now := c.now()
	for _, n := range locks {
		l := SecretLock{Name: n.Name, Description: n.Description, Attributes: maps.Clone(n.Attributes), CreatedAt: now, UpdatedAt: now,
			CreatedBy: a.IAMID, GroupID: s.GroupID, SecretID: s.ID, VersionID: v.ID}
		i := slices.IndexFunc(v.locks, func(x SecretLock) bool { return x.Name == n.Name })
		if i < 0 {
			v.locks = append(v.locks, l)
			continue
		}
		l.CreatedAt = v.locks[i].CreatedAt
		v.locks[i] = l
	}
	if before := s.previous(); mode != "" && before != nil && before != v {
		before.unlock(func(name string) bool {
			return slices.ContainsFunc(locks, func(n NewSecretLock) bool { return n.Name == name })
		})
		if mode == RemovePreviousAndDelete && len(before.locks) == 0 && before.Data != nil {
			c.clear(s, before)
			c.announce(a, s, "secret_version_data_deleted", "")
		}
	}
	return s.locked(), nil
}

func (s *managedSecret) checkLocks(v *secretVersion, mode string, locks []NewSecretLock) error {
	switch {
	case mode != "" && mode != RemovePrevious && mode != RemovePreviousAndDelete:
		return smInvalid("mode must be %s or %s.", RemovePrevious, RemovePreviousAndDelete)
	case mode == RemovePreviousAndDelete && s.Custom != nil:
		return smInvalid("The mode %s is not supported for this type.", mode)
	case len(locks) == 0:
		return smInvalid("locks is required.")
	case v.Data == nil:
		return smInvalid("Only a version that has data can be locked.")
	}
	names, total := map[string]bool{}, s.copy().LocksTotal
	for _, n := range locks {
		if err := cmp.Or(checkSize("a lock's name", n.Name, 64), checkDescription(n.Description), checkMetadata("attributes", n.Attributes)); err != nil {
			return err
		}
		if !lockName.MatchString(n.Name) {
			return smInvalid("The lock name %q is not valid.", n.Name)
		}
		if names[n.Name] {
			return smInvalid("The lock name %q is there twice.", n.Name)
		}
		names[n.Name] = true
		if !slices.ContainsFunc(v.locks, func(x SecretLock) bool { return x.Name == n.Name }) {
			total++
		}
	}
	if total > locksPerSecret {
		return smInvalid("A secret has at most %d locks.", locksPerSecret)
	}
	return nil
}

func (v *secretVersion) unlock(named func(string) bool) {
	v.locks = slices.DeleteFunc(v.locks, func(l SecretLock) bool { return named(l.Name) })
}

// DeleteSecretLocks removes the named locks, or all if none is named, from one
// version or, if version is empty, from all. Unknown names are ignored.
func (c *Cloud) DeleteSecretLocks(a Actor, instance, secret, version string, names []string) (LockedSecret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, secret, lockAction(version, "delete"))
	if err != nil {
		return LockedSecret{}, err
	}
	from := s.versions
	if version != "" {
		v := s.version(version)
		if v == nil {
			return LockedSecret{}, smNotFound("version", version)
		}
		from = []*secretVersion{v}
	}
	for _, v := range from {
		v.unlock(func(name string) bool { return len(names) == 0 || slices.Contains(names, name) })
	}
	c.tick() // what the locks protected may have expired
	return s.locked(), nil
}

// LockQuery selects a page of locks.
type LockQuery struct {
	Offset, Limit int // limit 0 = 25
	Sort, Search  string
}

// ListSecretLocks returns one page of the locks of a secret or of one of its
// versions.
func (c *Cloud) ListSecretLocks(a Actor, instance, secret, version string, q LockQuery) (Slice[SecretLock], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, secret, lockAction(version, "list"))
	if err != nil {
		return Slice[SecretLock]{}, err
	}
	from := s.versions
	if version != "" {
		v := s.version(version)
		if v == nil {
			return Slice[SecretLock]{}, smNotFound("version", version)
		}
		from = []*secretVersion{v}
	}
	field, descending := strings.CutPrefix(q.Sort, "-")
	orders := map[string]func(a, b SecretLock) int{
		"":           func(SecretLock, SecretLock) int { return 0 },
		"created_at": func(a, b SecretLock) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"updated_at": func(a, b SecretLock) int { return a.UpdatedAt.Compare(b.UpdatedAt) },
		"name":       func(a, b SecretLock) int { return cmp.Compare(a.Name, b.Name) },
	}
	less, ok := orders[field]
	if !ok {
		return Slice[SecretLock]{}, smInvalid("sort must be created_at, updated_at or name.")
	}
	found := []SecretLock{}
	for _, v := range from {
		for _, l := range v.locks {
			if contains(l.Name, q.Search) {
				l.VersionAlias, l.Attributes = v.Alias, maps.Clone(l.Attributes)
				found = append(found, l)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b SecretLock) int {
		if descending {
			a, b = b, a
		}
		return less(a, b)
	})
	return smSliced(found, q.Limit, q.Offset, 25)
}

// ListSecretsLocks returns one page of the secrets with locks that the actor
// may view. search selects by a part of a lock's name.
func (c *Cloud) ListSecretsLocks(a Actor, instance, search string, groups []string, limit, offset int) (Slice[LockedSecret], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.secretsInstanceFor(a, instance)
	if err != nil {
		return Slice[LockedSecret]{}, err
	}
	if !c.anywhere(a, in, "secrets-locks.list") {
		return Slice[LockedSecret]{}, smForbidden("secrets-manager.secrets-locks.list")
	}
	found := []LockedSecret{}
	for _, s := range in.order {
		if len(groups) > 0 && !slices.Contains(groups, s.GroupID) || !c.holds(a, in, s.GroupID, "secrets-locks.list") {
			continue
		}
		l := s.locked()
		if slices.ContainsFunc(l.Versions, func(v SecretVersion) bool {
			return slices.ContainsFunc(v.Locks, func(name string) bool { return contains(name, search) })
		}) {
			found = append(found, l)
		}
	}
	return smSliced(found, limit, offset, 200)
}
