package cloud

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// SecretVersion is one version of a secret. Only the current and the previous
// version have data.
type SecretVersion struct {
	ID               string         `json:"id"`
	SecretID         string         `json:"secret_id"`
	SecretName       string         `json:"secret_name"`
	SecretType       string         `json:"secret_type"`
	GroupID          string         `json:"secret_group_id"`
	Alias            string         `json:"alias,omitempty"` // current, previous or ""
	CreatedAt        time.Time      `json:"created_at"`
	CreatedBy        string         `json:"created_by"`
	AutoRotated      bool           `json:"auto_rotated"`
	Downloaded       bool           `json:"downloaded"`
	PayloadAvailable bool           `json:"payload_available"`
	ExpirationDate   time.Time      `json:"expiration_date,omitzero"`
	CustomMetadata   map[string]any `json:"version_custom_metadata"`
	Locks            []string       `json:"locks,omitempty"`
	// APIKeyID and ServiceID belong to iam_credentials, CredentialsID to
	// custom_credentials.
	APIKeyID      string `json:"api_key_id,omitempty"`
	ServiceID     string `json:"service_id,omitempty"`
	CredentialsID string `json:"credentials_id,omitempty"`
	// Data has the API's secret fields: payload, data, api_key or
	// credentials_content.
	Data map[string]any `json:"secret_data,omitempty"`
}

type secretVersion struct {
	SecretVersion
	locks      []SecretLock // oldest first
	atProvider bool         // its credentials exist at the provider of custom credentials
}

func (v *secretVersion) copy(data bool) SecretVersion {
	out := v.SecretVersion
	out.CustomMetadata, _ = cloneJSON(v.CustomMetadata).(map[string]any)
	out.PayloadAvailable = v.Data != nil
	out.Locks = nil
	for _, l := range v.locks {
		out.Locks = append(out.Locks, l.Name)
	}
	out.Data = nil
	if data && v.Data != nil {
		out.Data, _ = cloneJSON(v.Data).(map[string]any)
	}
	return out
}

func (s *managedSecret) current() *secretVersion  { return s.alias("current") }
func (s *managedSecret) previous() *secretVersion { return s.alias("previous") }

func (s *managedSecret) alias(name string) *secretVersion {
	i := slices.IndexFunc(s.versions, func(v *secretVersion) bool { return v.Alias == name })
	if i < 0 {
		return nil
	}
	return s.versions[i]
}

// version finds a version by ID or alias.
func (s *managedSecret) version(id string) *secretVersion {
	i := slices.IndexFunc(s.versions, func(v *secretVersion) bool { return v.ID == id || v.Alias == id })
	if i < 0 {
		return nil
	}
	return s.versions[i]
}

// addVersion adds a version and makes it current. The previous version loses
// its data.
func (c *Cloud) addVersion(s *managedSecret, a Actor, data, metadata map[string]any) *secretVersion {
	if v := s.previous(); v != nil {
		c.clear(s, v)
		v.Alias = ""
	}
	if v := s.current(); v != nil {
		v.Alias = "previous"
	}
	v := &secretVersion{SecretVersion: SecretVersion{
		ID: c.uuid(), SecretID: s.ID, SecretName: s.Name, SecretType: s.Type, GroupID: s.GroupID, Alias: "current",
		CreatedAt: c.now(), CreatedBy: a.IAMID, ExpirationDate: s.ExpirationDate,
		CustomMetadata: maps.Clone(metadata), Data: data,
	}}
	s.versions = append(s.versions, v)
	if more := len(s.versions) - versionsPerSecret; more > 0 {
		s.versions = slices.Delete(s.versions, 0, more)
	}
	s.UpdatedAt = v.CreatedAt
	return v
}

// clear deletes a version's data for good.
func (c *Cloud) clear(s *managedSecret, v *secretVersion) {
	v.Data = nil
	if s.IAM == nil {
		return
	}
	if k, ok := c.keys[v.APIKeyID]; ok {
		c.dropKey(k, true)
	}
}

// NewSecretVersion is the request for a version.
type NewSecretVersion struct {
	Payload               string         `json:"payload"`
	Data                  map[string]any `json:"data"`
	CustomMetadata        map[string]any `json:"custom_metadata"` // of the secret; nil leaves it as it is
	VersionCustomMetadata map[string]any `json:"version_custom_metadata"`
	RestoreFrom           string         `json:"restore_from_version"` // of iam_credentials: a version or alias
	Parameters            map[string]any `json:"parameters"`
}

// CreateSecretVersion rotates a secret. It has no compare-and-set: the last
// call wins, unless the previous version is locked.
func (c *Cloud) CreateSecretVersion(a Actor, instance, id string, n NewSecretVersion) (SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, id, "secret-version.create")
	if err != nil {
		return SecretVersion{}, err
	}
	if err := cmp.Or(checkContent(s.Type, n.Payload, n.Data), checkMetadata("custom_metadata", n.CustomMetadata),
		checkMetadata("version_custom_metadata", n.VersionCustomMetadata)); err != nil {
		return SecretVersion{}, err
	}
	if err := c.rotatable(a, s); err != nil {
		return SecretVersion{}, err
	}
	var v *secretVersion
	switch {
	case s.Custom != nil:
		if n.Parameters != nil {
			next := *s.Custom
			next.Parameters = n.Parameters
			if err := s.in.checkParameters(next); err != nil {
				return SecretVersion{}, err
			}
			s.Custom.Parameters = n.Parameters
		}
		if v, err = c.rotateCustom(a, s, "manual_secret_rotation", n.VersionCustomMetadata); err != nil {
			return SecretVersion{}, err
		}
	case s.IAM != nil:
		if v, err = c.rotateIAM(a, s, n.RestoreFrom, n.VersionCustomMetadata); err != nil {
			return SecretVersion{}, err
		}
	default:
		v = c.addVersion(s, a, content(s.Type, n.Payload, n.Data), n.VersionCustomMetadata)
	}
	if n.CustomMetadata != nil {
		s.CustomMetadata = n.CustomMetadata
	}
	if s.Custom == nil {
		c.announce(a, s, "secret_rotated", "")
	}
	return v.copy(true), nil
}

// rotatable rejects the rotation of a locked or destroyed secret.
func (c *Cloud) rotatable(a Actor, s *managedSecret) error {
	if v := s.previous(); v != nil && len(v.locks) > 0 {
		c.announce(a, s, "secret_rotation_blocked", "")
		return smLocked()
	}
	if s.State == StateDestroyed {
		return c.destroyed()
	}
	return nil
}

// ListSecretVersions returns the metadata of all versions, oldest first.
func (c *Cloud) ListSecretVersions(a Actor, instance, id string) ([]SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, id, "secret-versions.list")
	if err != nil {
		return nil, err
	}
	out := []SecretVersion{}
	for _, v := range s.versions {
		out = append(out, v.copy(false))
	}
	return out, nil
}

func (c *Cloud) findVersion(a Actor, instance, secret, id, action string) (*managedSecret, *secretVersion, error) {
	s, err := c.secret(a, instance, secret, action)
	if err != nil {
		return nil, nil, err
	}
	v := s.version(id)
	if v == nil {
		return nil, nil, smNotFound("version", id)
	}
	return s, v, nil
}

// GetSecretVersion returns a version, with its data if it still has any.
func (c *Cloud) GetSecretVersion(a Actor, instance, secret, id string) (SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, v, err := c.findVersion(a, instance, secret, id, "secret-version.read")
	if err != nil {
		return SecretVersion{}, err
	}
	return c.retrieve(s, v)
}

// retrieve returns a version's data and records the retrieval.
func (c *Cloud) retrieve(s *managedSecret, v *secretVersion) (SecretVersion, error) {
	if s.IAM != nil && !s.IAM.ReuseAPIKey {
		return c.leaseKey(s, v)
	}
	if v.Data != nil {
		s.RetrievedAt, v.Downloaded = c.now(), true
	}
	return v.copy(true), nil
}

// SecretVersionMetadata returns a version without its data.
func (c *Cloud) SecretVersionMetadata(a Actor, instance, secret, id string) (SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, v, err := c.findVersion(a, instance, secret, id, "secret-version-metadata.read")
	if err != nil {
		return SecretVersion{}, err
	}
	return v.copy(false), nil
}

// UpdateSecretVersionMetadata replaces a version's custom metadata; nil leaves
// it as it is.
func (c *Cloud) UpdateSecretVersionMetadata(a Actor, instance, secret, id string, metadata map[string]any) (SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, v, err := c.findVersion(a, instance, secret, id, "secret-version-metadata.update")
	if err != nil {
		return SecretVersion{}, err
	}
	if err := checkMetadata("version_custom_metadata", metadata); err != nil {
		return SecretVersion{}, err
	}
	if metadata != nil {
		v.CustomMetadata, s.UpdatedAt = metadata, c.now()
	}
	return v.copy(false), nil
}

// DeleteSecretVersionData deletes a version's data for good. Only generated
// credentials can be deleted: of iam_credentials those of the current version,
// of custom_credentials those of the current and the previous one.
func (c *Cloud) DeleteSecretVersionData(a Actor, instance, secret, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, v, err := c.findVersion(a, instance, secret, id, versionDataDelete)
	if err != nil {
		return err
	}
	switch {
	case s.IAM == nil && s.Custom == nil:
		return smInvalid("The data of a secret of the type %s can't be deleted.", s.Type)
	case s.IAM != nil && v.Alias != "current":
		return smInvalid("Only the data of the current version can be deleted.")
	case len(v.locks) > 0:
		return smLocked()
	case v.Data == nil:
		return smError(404, "not_found", "The version has no data.")
	}
	if s.Custom != nil {
		c.deleteCredentials(a, s, "secret_version_data_deletion", v)
	}
	c.clear(s, v)
	s.UpdatedAt = c.now()
	c.announce(a, s, "secret_version_data_deleted", "")
	return nil
}
