package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// APIKey is a key of a service ID or user.
type APIKey struct {
	ID               string    `json:"id"`
	EntityTag        string    `json:"entity_tag"`
	CRN              string    `json:"crn"`
	Locked           bool      `json:"locked"`
	Disabled         bool      `json:"disabled"`
	CreatedAt        time.Time `json:"created_at"`
	CreatedBy        string    `json:"created_by"`
	ModifiedAt       time.Time `json:"modified_at"`
	Name             string    `json:"name"`
	Description      string    `json:"description,omitempty"`
	IAMID            string    `json:"iam_id"`
	AccountID        string    `json:"account_id"`
	ActionWhenLeaked string    `json:"action_when_leaked,omitempty"`
	SupportSessions  bool      `json:"support_sessions,omitempty"` // keys of users only
	// ExpiresAt is enforced to the second; zero means never.
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	StoreValue bool      `json:"store_value"`
	// Value is set in the answer to a creation, in answers about a key with a
	// stored value, and in a State with values.
	Value string `json:"apikey,omitempty"`
	Activity
	History []HistoryRecord `json:"history,omitempty"`
}

type apiKey struct {
	APIKey
	seq   int64
	group string // group of its service ID
	fresh authnTimes
}

// deletedKey authenticates until the key lag has passed.
type deletedKey struct {
	key *apiKey
	at  time.Time
}

// NewAPIKey is the request for a key.
type NewAPIKey struct {
	Name             string `json:"name"`
	IAMID            string `json:"iam_id"`
	AccountID        string `json:"account_id"` // optional
	Description      string `json:"description"`
	Value            string `json:"apikey"` // optional; at least 32 characters
	StoreValue       bool   `json:"store_value"`
	ActionWhenLeaked string `json:"action_when_leaked"` // "" = disable
	SupportSessions  bool   `json:"support_sessions"`   // keys of users only
	ExpiresAt        string `json:"expires_at"`         // "" = never
	Locked           bool   `json:"-"`                  // a header in the API, like Disabled
	Disabled         bool   `json:"-"`
}

// APIKeyChange is the request to change a key. A nil field stays as it is; an
// empty string clears the field.
type APIKeyChange struct {
	Name             *string `json:"name"`
	Description      *string `json:"description"`
	ActionWhenLeaked *string `json:"action_when_leaked"`
	SupportSessions  *bool   `json:"support_sessions"`
	ExpiresAt        *string `json:"expires_at"`
}

// APIKeyQuery selects the keys of one identity or, with the scope "account",
// all keys.
type APIKeyQuery struct {
	AccountID, IAMID, Scope, Type, GroupID string
	Sort, Order, Filter                    string
	PageSize                               int    // 0 = 20
	PageToken                              string `json:"-"`
	IncludeHistory                         bool
}

// CreateAPIKey creates a key. Only its answer has the value, unless the value
// is stored.
func (c *Cloud) CreateAPIKey(a Actor, n NewAPIKey) (APIKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return APIKey{}, err
	}
	if n.IAMID == "" {
		return APIKey{}, identityInvalid("iam_id is required")
	}
	if err := c.checkNewKey(a, n); err != nil {
		return APIKey{}, err
	}
	if c.isUser(n.IAMID) {
		if a.IAMID != n.IAMID || !c.mayCreateOwnKey(a) { // even the owner creates no keys for others
			return APIKey{}, identityForbidden(a, "iam-identity.user-apikey.create")
		}
		if n.StoreValue {
			return APIKey{}, identityInvalid("store_value is not allowed for keys of users")
		}
	} else {
		s, ok := c.serviceIDs[strings.TrimPrefix(n.IAMID, "iam-")]
		if !ok || s.IAMID != n.IAMID {
			return APIKey{}, identityNotFound("ServiceId", n.IAMID)
		}
		if !c.onKeysOf(a, s.ID, "create") {
			return APIKey{}, identityForbidden(a, "iam-identity.serviceid-apikey.create")
		}
		if s.Locked && !c.switches.LockedTakesKeys {
			return APIKey{}, c.lockedError("service ID", s.ID)
		}
	}
	if len(c.keysByIAM[n.IAMID]) >= keysPerIdentity {
		return APIKey{}, identityError(422, c.switches.KeyLimitCode, "BXNIM0151E",
			"The limit of supported API keys is reached", fmt.Sprintf("An identity has at most %d API keys.", keysPerIdentity))
	}
	out := c.putKey(a.IAMID, n).copy(false)
	return out, nil
}

// checkNewKey checks everything that does not depend on the key's owner.
func (c *Cloud) checkNewKey(a Actor, n NewAPIKey) error {
	if n.Name == "" {
		return identityInvalid("name is required")
	}
	if n.AccountID != "" && n.AccountID != AccountID {
		return identityForbidden(a, "iam-identity.serviceid-apikey.create")
	}
	if n.SupportSessions && strings.HasPrefix(n.IAMID, "iam-") {
		return identityInvalid("support_sessions is for the keys of users only")
	}
	if n.Value != "" && len([]rune(n.Value)) < 32 {
		return identityInvalid("apikey must have at least 32 characters")
	}
	if err := checkLeakAction(n.ActionWhenLeaked); err != nil {
		return err
	}
	if _, err := c.parseExpiry(n.ExpiresAt); err != nil {
		return err
	}
	if n.Value != "" && c.keyByValue[n.Value] != nil {
		return identityError(c.switches.DuplicateKeyValueStatus, "conflict", "",
			"An API key with this value exists already", "")
	}
	return nil
}

// leakDefault is what happens to a leaked key whose creator chose nothing
// (ibm-cloud-docs/iam, iam-userid_keys.md).
const leakDefault = "disable"

func checkLeakAction(action string) error {
	switch action {
	case "", "none", "disable", "delete":
		return nil
	}
	return identityInvalid("action_when_leaked must be none, disable or delete")
}

func (c *Cloud) parseExpiry(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, ok := ParseTime(s)
	if !ok {
		return time.Time{}, identityInvalid("expires_at is not a date and time of the form yyyy-MM-ddTHH:mm+0000")
	}
	if c.switches.PastExpiryRefused && !t.After(c.now()) {
		return time.Time{}, identityInvalid("expires_at is not in the future")
	}
	return t, nil
}

func (c *Cloud) putKey(creator string, n NewAPIKey) *apiKey {
	now := c.now()
	id := "ApiKey-" + c.uuid()
	k := &apiKey{APIKey: APIKey{
		ID: id, EntityTag: c.nextTag(""),
		CRN:    fmt.Sprintf("crn:v1:bluemix:public:iam-identity::a/%s::apikey:%s", AccountID, id),
		Locked: n.Locked, Disabled: n.Disabled, CreatedAt: now, CreatedBy: creator, ModifiedAt: now,
		Name: n.Name, Description: n.Description, IAMID: n.IAMID, AccountID: AccountID,
		ActionWhenLeaked: cmp.Or(n.ActionWhenLeaked, leakDefault), SupportSessions: n.SupportSessions, StoreValue: n.StoreValue, Value: n.Value,
	}}
	k.ExpiresAt, _ = ParseTime(n.ExpiresAt)
	c.reapLater(k)
	if k.Value == "" {
		k.Value = c.keyValue()
	}
	if s, ok := c.serviceIDs[strings.TrimPrefix(k.IAMID, "iam-")]; ok {
		k.group = s.GroupID
	}
	k.seq = c.keySequence.add(k)
	c.keys[id] = k
	c.keysByIAM[k.IAMID] = append(c.keysByIAM[k.IAMID], k)
	c.keyByValue[k.Value] = k
	return k
}

// copy includes the value; shown omits it unless it is stored.
func (k *apiKey) copy(history bool) APIKey {
	out := k.APIKey
	out.History = nil
	if history {
		created := HistoryRecord{Timestamp: k.CreatedAt, IAMID: k.CreatedBy, Action: "CREATED", Message: "Created"}
		out.History = append([]HistoryRecord{created}, k.History...)
	}
	return out
}

func (k *apiKey) shown(history bool) APIKey {
	out := k.copy(history)
	if !k.StoreValue {
		out.Value = ""
	}
	return out
}

func (c *Cloud) touchKey(a Actor, k *apiKey, action string) {
	k.EntityTag, k.ModifiedAt = c.nextTag(k.EntityTag), c.now()
	c.reapLater(k)
	k.History = append(k.History, HistoryRecord{Timestamp: k.ModifiedAt, IAMID: a.IAMID, Action: action, Message: action})
}

// ListAPIKeys returns one page, oldest first unless the query sorts.
func (c *Cloud) ListAPIKeys(a Actor, q APIKeyQuery) (Page[APIKey], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Page[APIKey]{}, err
	}
	at, err := resume(q, q.PageToken)
	if err != nil {
		return Page[APIKey]{}, err
	}
	q = at.Query
	limit, conditions, err := checkIdentityList(q.PageSize, q.Filter, q.Order)
	if err != nil {
		return Page[APIKey]{}, err
	}
	if err := c.checkKeyQuery(a, &q); err != nil {
		return Page[APIKey]{}, err
	}
	less, err := order(q.Sort, q.Order, func(k *apiKey) int64 { return k.seq }, map[string]func(a, b *apiKey) int{
		"name":        func(a, b *apiKey) int { return cmp.Compare(a.Name, b.Name) },
		"description": func(a, b *apiKey) int { return cmp.Compare(a.Description, b.Description) },
		"created_at":  func(a, b *apiKey) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"created_by":  func(a, b *apiKey) int { return cmp.Compare(a.CreatedBy, b.CreatedBy) },
	})
	if err != nil {
		return Page[APIKey]{}, err
	}
	source := c.keySequence.after
	if q.Scope != "account" {
		source = bySeq(c.keysByIAM[q.IAMID], func(k *apiKey) int64 { return k.seq })
	}
	source = c.goneKeys.with(source, c.now(), c.settings.ListLag)
	items, next := cut(at, limit, source, func(k *apiKey) bool {
		return k.in(q) && !c.hidden(k.CreatedAt, c.settings.ListLag) &&
			!slices.ContainsFunc(conditions, func(f condition) bool { return !f.holds(k.attribute(f.attribute)) })
	}, less)
	page := Page[APIKey]{Limit: limit, Next: next, Items: make([]APIKey, len(items))}
	for i, k := range items {
		page.Items[i] = k.copy(q.IncludeHistory)
		page.Items[i].Value = "" // lists show no values, not even stored ones
	}
	return page, nil
}

// checkKeyQuery checks a query. Like IAM, it defaults to the identity of the
// token.
func (c *Cloud) checkKeyQuery(a Actor, q *APIKeyQuery) error {
	switch q.Scope {
	case "", "entity", "account":
	default:
		return identityInvalid("scope must be entity or account")
	}
	switch q.Type {
	case "", "user", "serviceid":
	default:
		return identityInvalid("type must be user or serviceid")
	}
	if q.AccountID != "" && q.AccountID != AccountID {
		return identityForbidden(a, "iam-identity.serviceid-apikey.list")
	}
	if q.Scope == "account" {
		if q.AccountID == "" {
			return identityInvalid("account_id is required for the scope account")
		}
		if !c.may(a, target{service: serviceIdentity}, "Viewer") {
			return identityForbidden(a, "iam-identity.serviceid-apikey.list")
		}
		return nil
	}
	if q.IAMID == "" {
		q.IAMID = a.IAMID
	}
	if q.IAMID == a.IAMID {
		return nil
	}
	if c.isUser(q.IAMID) { // not even for an administrator
		return identityForbidden(a, "iam-identity.user-apikey.list")
	}
	id := strings.TrimPrefix(q.IAMID, "iam-")
	if c.onKeysOf(a, id, "get") {
		return nil
	}
	return identityForbidden(a, "iam-identity.serviceid-apikey.list")
}

func (k *apiKey) in(q APIKeyQuery) bool {
	ofService := strings.HasPrefix(k.IAMID, "iam-ServiceId-")
	if q.Type == "user" && ofService || q.Type == "serviceid" && !ofService || q.Scope != "account" && k.IAMID != q.IAMID {
		return false
	}
	return !ofService || k.group == q.GroupID
}

func (k *apiKey) attribute(name string) string {
	switch name {
	case "name":
		return k.Name
	case "description":
		return k.Description
	case "id":
		return k.ID
	default:
		return k.IAMID
	}
}

// GetAPIKey returns one key.
func (c *Cloud) GetAPIKey(a Actor, id string, history bool) (APIKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.findKey(a, id, "get")
	if err != nil {
		return APIKey{}, err
	}
	if c.hidden(k.CreatedAt, c.settings.ListLag) {
		return APIKey{}, identityNotFound("ApiKey", id)
	}
	out := k.shown(history)
	out.Activity = c.seen(k.Activity, k.fresh)
	return out, nil
}

// APIKeyByValue returns the key with the value. Its errors never contain the
// value.
func (c *Cloud) APIKeyByValue(a Actor, value string, history bool) (APIKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return APIKey{}, err
	}
	if value == "" {
		return APIKey{}, identityInvalid("The header IAM-ApiKey is required")
	}
	k := c.keyByValue[value]
	if k == nil || c.hidden(k.CreatedAt, c.settings.ListLag) {
		return APIKey{}, identityError(404, "not_found", "BXNIM0102E", "Unable to find object", `Object type "ApiKey"`)
	}
	if !c.onKey(a, k, "get") {
		return APIKey{}, keyForbidden(a, k, "get")
	}
	return k.shown(history), nil
}

func keyForbidden(a Actor, k *apiKey, action string) *Error {
	if strings.HasPrefix(k.IAMID, "iam-") {
		return identityForbidden(a, "iam-identity.serviceid-apikey."+action)
	}
	return identityForbidden(a, "iam-identity.user-apikey."+action)
}

func (c *Cloud) findKey(a Actor, id, action string) (*apiKey, error) {
	if err := c.known(a); err != nil {
		return nil, err
	}
	k, ok := c.keys[id]
	if !ok {
		return nil, identityNotFound("ApiKey", id)
	}
	if !c.onKey(a, k, action) {
		return nil, keyForbidden(a, k, action)
	}
	return k, nil
}

// onKey reports whether the identity may perform an action on a key. A user may
// do everything with their own keys; a service ID may only view its keys.
func (c *Cloud) onKey(a Actor, k *apiKey, action string) bool {
	if c.isUser(k.IAMID) {
		return a.IAMID == k.IAMID || a.IAMID == OwnerIAMID || action == "get" && c.may(a, target{service: serviceIdentity}, "Administrator")
	}
	return action == "get" && a.IAMID == k.IAMID || c.onKeysOf(a, strings.TrimPrefix(k.IAMID, "iam-"), action)
}

func (c *Cloud) changeableKey(a Actor, id, action string) (*apiKey, error) {
	k, err := c.findKey(a, id, action)
	if err != nil {
		return nil, err
	}
	if k.Locked {
		return nil, c.lockedError("API key", id)
	}
	return k, nil
}

// UpdateAPIKey changes a key if ifMatch is its entity tag or "*".
func (c *Cloud) UpdateAPIKey(a Actor, id, ifMatch string, ch APIKeyChange) (APIKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.changeableKey(a, id, "update")
	if err != nil {
		return APIKey{}, err
	}
	if err := c.identityIfMatch(ifMatch, k.EntityTag); err != nil {
		return APIKey{}, err
	}
	if ch.Name != nil && *ch.Name == "" {
		return APIKey{}, identityInvalid("name must not be empty")
	}
	expires := k.ExpiresAt
	if ch.ExpiresAt != nil {
		if expires, err = c.parseExpiry(*ch.ExpiresAt); err != nil {
			return APIKey{}, err
		}
	}
	leak := k.ActionWhenLeaked
	if ch.ActionWhenLeaked != nil {
		if err := checkLeakAction(*ch.ActionWhenLeaked); err != nil {
			return APIKey{}, err
		}
		leak = cmp.Or(*ch.ActionWhenLeaked, leakDefault)
	} else if !c.switches.UpdateKeepsLeakAction {
		leak = leakDefault
	}
	if ch.SupportSessions != nil {
		if *ch.SupportSessions && !c.isUser(k.IAMID) {
			return APIKey{}, identityInvalid("support_sessions is for the keys of users only")
		}
		k.SupportSessions = *ch.SupportSessions
	}
	k.ActionWhenLeaked = leak
	k.ExpiresAt = expires
	if ch.Name != nil {
		k.Name = *ch.Name
	}
	if ch.Description != nil {
		k.Description = *ch.Description
	}
	c.touchKey(a, k, "UPDATED")
	return k.shown(false), nil
}

// DeleteAPIKey deletes a key.
func (c *Cloud) DeleteAPIKey(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.changeableKey(a, id, "delete")
	if err != nil {
		return err
	}
	c.dropKey(k, true)
	return nil
}

// dropKey removes a key. If it lingers, the key authenticates for the key lag
// and is listed for the list lag.
func (c *Cloud) dropKey(k *apiKey, lingers bool) {
	c.keySequence.remove(k.seq)
	delete(c.keys, k.ID)
	delete(c.keyByValue, k.Value)
	rest := slices.DeleteFunc(c.keysByIAM[k.IAMID], func(x *apiKey) bool { return x == k })
	if len(rest) == 0 {
		delete(c.keysByIAM, k.IAMID)
	} else {
		c.keysByIAM[k.IAMID] = rest
	}
	if lingers && c.settings.KeyLag > 0 && c.switches.DeletedKeysLive {
		c.deleted = append(c.deleted, deletedKey{key: k, at: c.now()})
	}
	if lingers && c.switches.DeletedListed {
		c.goneKeys.add(k.seq, c.now(), c.settings.ListLag, k)
	}
}

// LockAPIKey locks or unlocks a key.
func (c *Cloud) LockAPIKey(a Actor, id string, locked bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.findKey(a, id, "lock")
	if err != nil {
		return err
	}
	if k.Locked != locked {
		k.Locked = locked
		c.touchKey(a, k, map[bool]string{true: "LOCKED", false: "UNLOCKED"}[locked])
	}
	return nil
}

// DisableAPIKey disables or enables a key.
func (c *Cloud) DisableAPIKey(a Actor, id string, disabled bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.changeableKey(a, id, "update")
	if err != nil {
		return err
	}
	if k.Disabled != disabled {
		k.Disabled = disabled
		c.touchKey(a, k, map[bool]string{true: "DISABLED", false: "ENABLED"}[disabled])
	}
	return nil
}
