package cloud

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The emulated types of secrets.
const (
	Arbitrary         = "arbitrary"
	KeyValue          = "kv"
	IAMCredentials    = "iam_credentials"
	CustomCredentials = "custom_credentials"
)

// SecretTypes lists all types of Secrets Manager.
var SecretTypes = []string{Arbitrary, KeyValue, IAMCredentials, CustomCredentials,
	"imported_cert", "private_cert", "public_cert", "service_credentials", "username_password"}

// States of a secret, from NIST SP 800-57.
const (
	StatePreActivation = 0
	StateActive        = 1
	StateDestroyed     = 5
)

// ManagedSecret is the metadata of a secret of Secrets Manager.
type ManagedSecret struct {
	ID             string         `json:"id"`
	Name           string         `json:"name"`
	Type           string         `json:"secret_type"`
	GroupID        string         `json:"secret_group_id"`
	CRN            string         `json:"crn"`
	Description    string         `json:"description,omitempty"`
	Labels         []string       `json:"labels"`
	CustomMetadata map[string]any `json:"custom_metadata"`
	State          int            `json:"state"`
	CreatedAt      time.Time      `json:"created_at"`
	CreatedBy      string         `json:"created_by"`
	UpdatedAt      time.Time      `json:"updated_at"`
	RetrievedAt    time.Time      `json:"retrieved_at,omitzero"`
	ExpirationDate time.Time      `json:"expiration_date,omitzero"`
	LocksTotal     int            `json:"locks_total"`
	VersionsTotal  int            `json:"versions_total"`
	ReferencedBy   []string       `json:"referenced_by,omitempty"`
	// IAM is set for the type iam_credentials, Custom for custom_credentials.
	IAM    *IAMSecret    `json:"iam,omitempty"`
	Custom *CustomSecret `json:"custom,omitempty"`
}

type managedSecret struct {
	ManagedSecret
	in              *secretsInstance
	versions        []*secretVersion // oldest first
	tasks           []*SecretTask    // oldest first
	leases          []lease          // keys that single reads created
	warned          int              // days of the last warning; -1 before the first
	expiryAnnounced time.Time        // last event about its expiry
}

// NewManagedSecret is the request for a secret. Some fields belong to one type
// only.
type NewManagedSecret struct {
	Type                  string         `json:"secret_type"`
	Name                  string         `json:"name"`
	GroupID               string         `json:"secret_group_id"` // "" = default
	Description           string         `json:"description"`
	Labels                []string       `json:"labels"`
	CustomMetadata        map[string]any `json:"custom_metadata"`
	VersionCustomMetadata map[string]any `json:"version_custom_metadata"`
	ExpirationDate        string         `json:"expiration_date"` // RFC 3339, for arbitrary
	Payload               string         `json:"payload"`         // of arbitrary
	Data                  map[string]any `json:"data"`            // of kv
	TTL                   TTL            `json:"ttl"`             // of iam_credentials and custom_credentials
	Rotation              *RotationRule  `json:"rotation"`
	AccessGroups          []string       `json:"access_groups"` // of iam_credentials, like the next two
	ServiceID             string         `json:"service_id"`
	ReuseAPIKey           *bool          `json:"reuse_api_key"`
	Configuration         string         `json:"configuration"` // of custom_credentials, like Parameters
	Parameters            map[string]any `json:"parameters"`
}

// copy returns the secret with its present counts.
func (s *managedSecret) copy() ManagedSecret {
	out := s.ManagedSecret
	out.Labels = slices.Clone(s.Labels)
	out.CustomMetadata, _ = cloneJSON(s.CustomMetadata).(map[string]any)
	out.VersionsTotal = len(s.versions)
	out.LocksTotal = 0
	for _, v := range s.versions {
		out.LocksTotal += len(v.locks)
	}
	if s.IAM != nil {
		own := *s.IAM
		out.IAM = &own
	}
	if s.Custom != nil {
		own := *s.Custom
		own.count(s.tasks)
		out.Custom = &own
	}
	return out
}

var managedName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// checkManagedName checks what
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-known-issues-and-limits
// says about names.
func (c *Cloud) checkManagedName(name string) error {
	if err := checkSize("name", name, 256); err != nil {
		return err
	}
	if c.switches.UnderscoresInSecretNames {
		name = strings.ReplaceAll(name, "_", "0")
	}
	if !managedName.MatchString(name) {
		return smInvalid("The name %q is not valid.", name)
	}
	return nil
}

func checkLabels(labels []string) error {
	if len(labels) > labelsPerSecret {
		return smInvalid("A secret has at most %d labels.", labelsPerSecret)
	}
	for _, l := range labels {
		if err := checkSize("a label", l, 64); err != nil {
			return err
		}
	}
	return nil
}

func checkMetadata(field string, m map[string]any) error {
	if b, err := json.Marshal(m); err != nil || len(b) > longestMetadata {
		return smInvalid("%s is larger than 10 KB.", field)
	}
	return nil
}

// checkContent checks the secret data of the types that take it from the
// caller.
func checkContent(kind, payload string, data map[string]any) error {
	switch kind {
	case Arbitrary:
		if payload == "" {
			return smInvalid("payload is required.")
		}
		if len(payload) > longestPayload {
			return smInvalid("payload is larger than 1 MB.")
		}
	case KeyValue:
		if len(data) == 0 {
			return smInvalid("data is required.")
		}
		if b, err := json.Marshal(data); err != nil || len(b) > longestKeyValue {
			return smInvalid("data is larger than 512 KB.")
		}
	}
	return nil
}

func content(kind, payload string, data map[string]any) map[string]any {
	if kind == KeyValue {
		return map[string]any{"data": cloneJSON(data)}
	}
	return map[string]any{"payload": payload}
}

// parseExpiration parses an expiration date, which must be in the future.
func (c *Cloud) parseExpiration(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, smInvalid("expiration_date is not a date.")
	}
	if !t.After(c.now()) {
		return time.Time{}, smInvalid("expiration_date must be in the future.")
	}
	return t.UTC(), nil
}

// named finds a secret in a group, or in any group if group is empty.
func (in *secretsInstance) named(group, kind, name string) *managedSecret {
	i := slices.IndexFunc(in.order, func(s *managedSecret) bool {
		return s.Name == name && s.Type == kind && (group == "" || s.GroupID == group)
	})
	if i < 0 {
		return nil
	}
	return in.order[i]
}

// nameTaken rejects a second secret with a type and name.
func (c *Cloud) nameTaken(in *secretsInstance, group, kind, name string) error {
	if !c.switches.SecretNamesPerGroup {
		group = ""
	}
	if in.named(group, kind, name) != nil {
		return smError(c.switches.ExistingSecretStatus, "conflict", "A secret of this type and name exists already.")
	}
	return nil
}

// CreateManagedSecret creates a secret with its first version. A secret of the
// type custom_credentials has none until its task succeeds.
func (c *Cloud) CreateManagedSecret(a Actor, instance string, n NewManagedSecret) (ManagedSecret, SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.GroupID = cmp.Or(n.GroupID, DefaultGroup)
	in, err := c.allowed(a, instance, n.GroupID, "secret.create")
	if err != nil {
		return ManagedSecret{}, SecretVersion{}, err
	}
	s, err := c.newManagedSecret(in, a, n)
	if err != nil {
		return ManagedSecret{}, SecretVersion{}, err
	}
	switch n.Type {
	case IAMCredentials:
		err = c.newIAMSecret(s, n)
	case CustomCredentials:
		err = c.newCustomSecret(a, s, n)
	default:
		c.addVersion(s, a, content(n.Type, n.Payload, n.Data), n.VersionCustomMetadata)
	}
	if err != nil {
		return ManagedSecret{}, SecretVersion{}, err
	}
	in.secrets[s.ID] = s
	in.order = append(in.order, s)
	if s.State == StateActive {
		c.announce(a, s, "secret_created", "")
	}
	var first SecretVersion
	if v := s.current(); v != nil {
		first = v.copy(true)
	}
	return s.copy(), first, nil
}

func (c *Cloud) newManagedSecret(in *secretsInstance, a Actor, n NewManagedSecret) (*managedSecret, error) {
	if !slices.Contains(SecretTypes, n.Type) {
		return nil, smInvalid("The secret_type %q is not known.", n.Type)
	}
	if !slices.Contains(SecretTypes[:4], n.Type) {
		return nil, smError(501, "not_emulated", "The emulator does not know the secret type %s.", n.Type)
	}
	if in.groups[n.GroupID] == nil {
		return nil, smNotFound("secret group", n.GroupID)
	}
	if err := cmp.Or(c.checkManagedName(n.Name), checkDescription(n.Description), checkLabels(n.Labels),
		checkMetadata("custom_metadata", n.CustomMetadata), checkMetadata("version_custom_metadata", n.VersionCustomMetadata),
		checkContent(n.Type, n.Payload, n.Data), c.nameTaken(in, n.GroupID, n.Type, n.Name)); err != nil {
		return nil, err
	}
	now := c.now()
	s := &managedSecret{in: in, warned: -1, ManagedSecret: ManagedSecret{
		ID: c.uuid(), Name: n.Name, Type: n.Type, GroupID: n.GroupID, Description: n.Description,
		Labels: slices.Clone(n.Labels), CustomMetadata: n.CustomMetadata, State: StateActive,
		CreatedAt: now, CreatedBy: a.IAMID, UpdatedAt: now,
	}}
	if n.Type == Arbitrary {
		at, err := c.parseExpiration(n.ExpirationDate)
		if err != nil {
			return nil, err
		}
		c.expire(s, at)
	}
	s.CRN = strings.TrimSuffix(in.CRN(), "::") + ":secret:" + s.ID
	return s, nil
}

// secret finds a secret and checks the action on its group. An actor that may
// perform the action nowhere cannot find out what exists.
func (c *Cloud) secret(a Actor, instance, id, action string) (*managedSecret, error) {
	in, err := c.secretsInstanceFor(a, instance)
	if err != nil {
		return nil, err
	}
	s, ok := in.secrets[id]
	switch {
	case ok && c.holds(a, in, s.GroupID, action):
		return s, nil
	case !ok && c.anywhere(a, in, action):
		return nil, smNotFound("secret", id)
	}
	return nil, smForbidden(serviceSecrets + "." + action)
}

// GetManagedSecret returns a secret with the data of its current version.
func (c *Cloud) GetManagedSecret(a Actor, instance, id string) (ManagedSecret, SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, id, "secret.read")
	if err != nil {
		return ManagedSecret{}, SecretVersion{}, err
	}
	return c.reveal(s)
}

// reveal returns the data of the current version. This counts as a retrieval.
func (c *Cloud) reveal(s *managedSecret) (ManagedSecret, SecretVersion, error) {
	v := s.current()
	if v == nil {
		return s.copy(), SecretVersion{}, nil
	}
	shown, err := c.retrieve(s, v)
	return s.copy(), shown, err
}

// ManagedSecretByName returns what [Cloud.GetManagedSecret] does, by the name
// of the group, the type and the name.
func (c *Cloud) ManagedSecretByName(a Actor, instance, group, kind, name string) (ManagedSecret, SecretVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.secretsInstanceFor(a, instance)
	if err != nil {
		return ManagedSecret{}, SecretVersion{}, err
	}
	i := slices.IndexFunc(in.groupOrder, func(g *SecretGroup) bool { return g.Name == group })
	if !c.anywhere(a, in, "secret.read") || i >= 0 && !c.holds(a, in, in.groupOrder[i].ID, "secret.read") {
		return ManagedSecret{}, SecretVersion{}, smForbidden("secrets-manager.secret.read")
	}
	if !slices.Contains(SecretTypes, kind) {
		return ManagedSecret{}, SecretVersion{}, smInvalid("The secret_type %q is not known.", kind)
	}
	if i < 0 {
		return ManagedSecret{}, SecretVersion{}, smNotFound("secret group", group)
	}
	s := in.named(in.groupOrder[i].ID, kind, name)
	if s == nil {
		return ManagedSecret{}, SecretVersion{}, smNotFound("secret", name)
	}
	return c.reveal(s)
}

// ManagedSecretMetadata returns a secret without data.
func (c *Cloud) ManagedSecretMetadata(a Actor, instance, id string) (ManagedSecret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, id, "secret-metadata.read")
	if err != nil {
		return ManagedSecret{}, err
	}
	return s.copy(), nil
}

// ManagedSecretChange is a patch of a secret's metadata. A nil field stays as
// it is.
type ManagedSecretChange struct {
	Name           *string        `json:"name"`
	Description    *string        `json:"description"`
	Labels         []string       `json:"labels"`
	CustomMetadata map[string]any `json:"custom_metadata"`
	ExpirationDate *Date          `json:"expiration_date"` // of arbitrary
	TTL            *TTL           `json:"ttl"`             // of iam_credentials and custom_credentials
	Rotation       *RotationRule  `json:"rotation"`
	Parameters     map[string]any `json:"parameters"` // of custom_credentials
}

// Date is an expiration date in a patch: a date of RFC 3339, or "" for null,
// which removes the date.
type Date string

// UpdateManagedSecret changes metadata. Guesses: custom_metadata is replaced as
// a whole, and a field of another type is ignored.
func (c *Cloud) UpdateManagedSecret(a Actor, instance, id string, ch ManagedSecretChange) (ManagedSecret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, id, "secret-metadata.update")
	if err != nil {
		return ManagedSecret{}, err
	}
	next := s.ManagedSecret
	if ch.Name != nil && *ch.Name != s.Name {
		next.Name = *ch.Name
		if err := cmp.Or(c.checkManagedName(next.Name), c.nameTaken(s.in, s.GroupID, s.Type, next.Name)); err != nil {
			return ManagedSecret{}, err
		}
	}
	if ch.Description != nil {
		next.Description = *ch.Description
	}
	if ch.Labels != nil {
		next.Labels = slices.Clone(ch.Labels)
	}
	if ch.CustomMetadata != nil {
		next.CustomMetadata = ch.CustomMetadata
	}
	if err := cmp.Or(checkDescription(next.Description), checkLabels(next.Labels), checkMetadata("custom_metadata", next.CustomMetadata)); err != nil {
		return ManagedSecret{}, err
	}
	expires := s.ExpirationDate
	if ch.ExpirationDate != nil && s.Type == Arbitrary {
		if s.State == StateDestroyed {
			return ManagedSecret{}, c.destroyed()
		}
		if expires, err = c.parseExpiration(string(*ch.ExpirationDate)); err != nil {
			return ManagedSecret{}, err
		}
	}
	if s.IAM != nil {
		own := *s.IAM
		next.IAM = &own
		err = c.changeLease(&own.Lease, ch)
	}
	if s.Custom != nil {
		own := *s.Custom
		next.Custom = &own
		if ch.Parameters != nil {
			own.Parameters = ch.Parameters
		}
		err = cmp.Or(c.changeLease(&own.Lease, ch), s.in.checkParameters(own))
	}
	if err != nil {
		return ManagedSecret{}, err
	}
	next.UpdatedAt = c.now()
	s.ManagedSecret = next
	if !expires.Equal(s.ExpirationDate) {
		c.expire(s, expires)
	}
	return s.copy(), nil
}

func (c *Cloud) destroyed() *Error {
	return smError(c.switches.DestroyedSecretStatus, "destroyed", "The secret has expired: it is in the Destroyed state.")
}

// DeleteManagedSecret deletes a secret with all its versions, unless a version
// is locked. A secret of the type custom_credentials must not have credentials
// at its provider: the data of its versions are deleted first. With force, it is
// deleted in spite of them, and its provider keeps them.
func (c *Cloud) DeleteManagedSecret(a Actor, instance, id string, force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.secret(a, instance, id, "secret.delete")
	if err != nil {
		return err
	}
	if len(s.ReferencedBy) > 0 {
		return smError(c.switches.GroupWithSecretsStatus, "conflict", "The secret is referenced by %s.", strings.Join(s.ReferencedBy, ", "))
	}
	if slices.ContainsFunc(s.versions, func(v *secretVersion) bool { return len(v.locks) > 0 }) {
		c.announce(a, s, "secret_deletion_blocked", "")
		return smLocked()
	}
	if !force && slices.ContainsFunc(s.versions, func(v *secretVersion) bool { return v.atProvider }) {
		return smError(c.switches.UndeletedCredentialsStatus, "conflict",
			"The secret has a version that still has to be deleted at its credentials provider.")
	}
	c.dropManagedSecret(a, s)
	return nil
}

func (c *Cloud) dropManagedSecret(a Actor, s *managedSecret) {
	c.dropLeases(s)
	for _, v := range s.versions {
		c.clear(s, v)
	}
	if s.IAM != nil && !s.IAM.StaticServiceID {
		if id, ok := c.serviceIDs[s.IAM.ServiceID]; ok {
			c.dropServiceID(id, true)
		}
	}
	s.in.unreference(s)
	delete(s.in.secrets, s.ID)
	s.in.order = slices.DeleteFunc(s.in.order, func(x *managedSecret) bool { return x == s })
	c.announce(a, s, "secret_deleted", "")
}

// actor returns the instance as an actor.
func (in *secretsInstance) actor() Actor { return Actor{IAMID: fmt.Sprintf("crn-%s", in.CRN())} }
