package cloud

import (
	"slices"
	"strconv"
	"time"
)

// Values of the account settings that restrict a creation.
const (
	Restricted    = "RESTRICTED"
	NotRestricted = "NOT_RESTRICTED"
	NotSet        = "NOT_SET"
)

// AccountSettings are the IAM settings of the account. The restrictions of
// service IDs and of users' keys, and the life of access tokens, have an effect.
// The others are stored and returned.
type AccountSettings struct {
	AccountID                  string           `json:"account_id"`
	EntityTag                  string           `json:"entity_tag"`
	History                    []HistoryRecord  `json:"history,omitempty"`
	RestrictCreateServiceID    string           `json:"restrict_create_service_id"`
	RestrictCreateAPIKey       string           `json:"restrict_create_platform_apikey"`
	AllowedIPAddresses         string           `json:"allowed_ip_addresses"`
	MFA                        string           `json:"mfa"`
	UserMFA                    []map[string]any `json:"user_mfa"`
	SessionExpiration          string           `json:"session_expiration_in_seconds"`
	SessionInvalidation        string           `json:"session_invalidation_in_seconds"`
	MaxSessions                string           `json:"max_sessions_per_identity"`
	AccessTokenExpiration      string           `json:"system_access_token_expiration_in_seconds"`
	RefreshTokenExpiration     string           `json:"system_refresh_token_expiration_in_seconds"`
	RestrictUserListVisibility string           `json:"restrict_user_list_visibility"`
	RestrictUserDomains        []map[string]any `json:"restrict_user_domains"`
}

// AccountSettingsChange is the request to change the settings. A nil field stays
// as it is.
type AccountSettingsChange struct {
	RestrictCreateServiceID    *string           `json:"restrict_create_service_id,omitempty"`
	RestrictCreateAPIKey       *string           `json:"restrict_create_platform_apikey,omitempty"`
	AllowedIPAddresses         *string           `json:"allowed_ip_addresses,omitempty"`
	MFA                        *string           `json:"mfa,omitempty"`
	UserMFA                    *[]map[string]any `json:"user_mfa,omitempty"`
	SessionExpiration          *string           `json:"session_expiration_in_seconds,omitempty"`
	SessionInvalidation        *string           `json:"session_invalidation_in_seconds,omitempty"`
	MaxSessions                *string           `json:"max_sessions_per_identity,omitempty"`
	AccessTokenExpiration      *string           `json:"system_access_token_expiration_in_seconds,omitempty"`
	RefreshTokenExpiration     *string           `json:"system_refresh_token_expiration_in_seconds,omitempty"`
	RestrictUserListVisibility *string           `json:"restrict_user_list_visibility,omitempty"`
	RestrictUserDomains        *[]map[string]any `json:"restrict_user_domains,omitempty"`
}

func newAccountSettings(tag string) AccountSettings {
	return AccountSettings{
		AccountID: AccountID, EntityTag: tag, RestrictCreateServiceID: NotSet, RestrictCreateAPIKey: NotSet,
		MFA: "NONE", UserMFA: []map[string]any{}, SessionExpiration: NotSet, SessionInvalidation: NotSet, MaxSessions: NotSet,
		AccessTokenExpiration: NotSet, RefreshTokenExpiration: NotSet, RestrictUserListVisibility: NotRestricted,
		RestrictUserDomains: []map[string]any{},
	}
}

// defaultTokenLife is IBM's default for an account.
const defaultTokenLife = time.Hour

func (s *AccountSettings) tokenLife() time.Duration {
	if n, err := strconv.Atoi(s.AccessTokenExpiration); err == nil {
		return time.Duration(n) * time.Second
	}
	return defaultTokenLife
}

// check rejects values that the SDK's model does not list.
func (ch AccountSettingsChange) check() error {
	for _, f := range []struct {
		name   string
		value  *string
		values []string
	}{
		{"restrict_create_service_id", ch.RestrictCreateServiceID, []string{Restricted, NotRestricted, NotSet}},
		{"restrict_create_platform_apikey", ch.RestrictCreateAPIKey, []string{Restricted, NotRestricted, NotSet}},
		{"restrict_user_list_visibility", ch.RestrictUserListVisibility, []string{Restricted, NotRestricted}},
		{"mfa", ch.MFA, []string{"NONE", "NONE_NO_ROPC", "TOTP", "TOTP4ALL", "LEVEL1", "LEVEL2", "LEVEL3"}},
	} {
		if f.value != nil && !slices.Contains(f.values, *f.value) {
			return identityInvalid(f.name + " has an unknown value")
		}
	}
	for _, f := range []struct {
		name     string
		value    *string
		low, top int
	}{
		{"session_expiration_in_seconds", ch.SessionExpiration, 900, 86_400},
		{"session_invalidation_in_seconds", ch.SessionInvalidation, 900, 7_200},
		{"max_sessions_per_identity", ch.MaxSessions, 1, 1 << 30},
		{"system_access_token_expiration_in_seconds", ch.AccessTokenExpiration, 900, 3_600},
		{"system_refresh_token_expiration_in_seconds", ch.RefreshTokenExpiration, 900, 259_200},
	} {
		if f.value == nil || *f.value == NotSet {
			continue
		}
		if n, err := strconv.Atoi(*f.value); err != nil || n < f.low || n > f.top {
			return identityInvalid(f.name + " is out of range")
		}
	}
	return nil
}

func (c *Cloud) onAccount(a Actor, account, action string, roles ...string) error {
	if err := c.known(a); err != nil {
		return err
	}
	if account != AccountID || !c.mayAs(a, target{service: serviceIdentity}, roles...) {
		return identityForbidden(a, "iam-identity.account."+action)
	}
	return nil
}

// AccountSettings returns the settings of the account.
func (c *Cloud) AccountSettings(a Actor, account string, history bool) (AccountSettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onAccount(a, account, "get", "Viewer", "Operator", "Editor", "Administrator"); err != nil {
		return AccountSettings{}, err
	}
	return c.account.copy(history), nil
}

func (s *AccountSettings) copy(history bool) AccountSettings {
	out := *s
	out.UserMFA, out.RestrictUserDomains = slices.Clone(s.UserMFA), slices.Clone(s.RestrictUserDomains)
	out.History = []HistoryRecord{}
	if history {
		out.History = slices.Concat(out.History, s.History)
	}
	return out
}

// UpdateAccountSettings changes the settings if ifMatch is their entity tag or
// "*". Operator, Editor and Administrator may.
func (c *Cloud) UpdateAccountSettings(a Actor, account, ifMatch string, ch AccountSettingsChange) (AccountSettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onAccount(a, account, "update", "Operator", "Editor", "Administrator"); err != nil {
		return AccountSettings{}, err
	}
	if err := c.identityIfMatch(ifMatch, c.account.EntityTag); err != nil {
		return AccountSettings{}, err
	}
	if err := ch.check(); err != nil {
		return AccountSettings{}, err
	}
	c.changeAccount(a, ch)
	return c.account.copy(true), nil
}

func (c *Cloud) changeAccount(a Actor, ch AccountSettingsChange) {
	s := &c.account
	s.set(ch, func(string) bool { return true })
	s.EntityTag = c.nextTag(s.EntityTag)
	s.History = append(s.History, HistoryRecord{Timestamp: c.now(), IAMID: a.IAMID, Action: "UPDATED", Message: "UPDATED"})
}

// set applies the settings of a change whose values count.
func (s *AccountSettings) set(ch AccountSettingsChange, counts func(value string) bool) {
	for _, f := range []struct{ to, from *string }{
		{&s.RestrictCreateServiceID, ch.RestrictCreateServiceID}, {&s.RestrictCreateAPIKey, ch.RestrictCreateAPIKey},
		{&s.AllowedIPAddresses, ch.AllowedIPAddresses}, {&s.MFA, ch.MFA}, {&s.SessionExpiration, ch.SessionExpiration},
		{&s.SessionInvalidation, ch.SessionInvalidation}, {&s.MaxSessions, ch.MaxSessions},
		{&s.AccessTokenExpiration, ch.AccessTokenExpiration}, {&s.RefreshTokenExpiration, ch.RefreshTokenExpiration},
		{&s.RestrictUserListVisibility, ch.RestrictUserListVisibility},
	} {
		if f.from != nil && counts(*f.from) {
			*f.to = *f.from
		}
	}
	if ch.UserMFA != nil {
		s.UserMFA = slices.Clone(*ch.UserMFA)
	}
	if ch.RestrictUserDomains != nil {
		s.RestrictUserDomains = slices.Clone(*ch.RestrictUserDomains)
	}
}

// mayCreateServiceID reports whether the identity may create service IDs. Every
// user may, unless the account restricts it: then even the owner needs the role
// Service ID creator (ibm-cloud-docs/iam, iam-restrict-service-id.md).
func (c *Cloud) mayCreateServiceID(a Actor) bool {
	t := target{service: serviceIdentity}
	if c.account.RestrictCreateServiceID == Restricted {
		return slices.Contains(c.heldRoles(a, t), "ServiceIdCreator")
	}
	return c.isUser(a.IAMID) || c.switches.ProgramsCreateServiceIDs || c.may(a, t, "Operator", "ServiceIdCreator")
}

// mayCreateOwnKey reports whether a user may create a key of its own.
func (c *Cloud) mayCreateOwnKey(a Actor) bool {
	return c.account.RestrictCreateAPIKey != Restricted ||
		slices.Contains(c.heldRoles(a, target{service: serviceIdentity}), "UserApiKeyCreator")
}
