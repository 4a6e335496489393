package cloud

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Profile is a trusted profile: an identity without keys that other identities
// assume.
type Profile struct {
	ID          string    `json:"id"`
	IAMID       string    `json:"iam_id"`
	EntityTag   string    `json:"entity_tag"`
	CRN         string    `json:"crn"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Email       string    `json:"email,omitempty"`
	AccountID   string    `json:"account_id"`
	CreatedAt   time.Time `json:"created_at"`
	ModifiedAt  time.Time `json:"modified_at"`
	// TemplateID and AssignmentID are set in the child account, where only the
	// assignment of a template creates profiles.
	TemplateID   string          `json:"template_id,omitempty"`
	AssignmentID string          `json:"assignment_id,omitempty"`
	History      []HistoryRecord `json:"history,omitempty"`
	// Activity is set only by GetProfile.
	Activity Activity `json:"-"`
}

type profile struct {
	Profile
	seq         int64
	rules       []ClaimRule
	links       []ProfileLink
	identities  ProfileIdentities
	preferences []Preference
}

// ProfileState is a profile with everything that may assume it.
type ProfileState struct {
	Profile
	Rules      []ClaimRule       `json:"rules"`
	Links      []ProfileLink     `json:"links"`
	Identities []ProfileIdentity `json:"identities"`
	// Preferences are those of the profile in the console.
	Preferences []Preference `json:"preferences"`
}

func (p *profile) state() ProfileState {
	return ProfileState{Profile: p.copy(true), Rules: slices.Concat([]ClaimRule{}, p.rules),
		Links: slices.Concat([]ProfileLink{}, p.links), Identities: p.identities.copy().Identities,
		Preferences: slices.Concat([]Preference{}, p.preferences)}
}

func (p *profile) copy(history bool) Profile {
	out := p.Profile
	out.History = nil
	if history {
		out.History = slices.Clone(p.History)
	}
	return out
}

// NewProfile is the request for a trusted profile.
type NewProfile struct {
	Name        string `json:"name"`
	AccountID   string `json:"account_id"`
	Description string `json:"description"`
	Email       string `json:"email"`
}

// ProfileChange is the request to change a profile. A nil field stays as it is.
type ProfileChange struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	Email       *string `json:"email"`
}

// ProfileQuery selects profiles.
type ProfileQuery struct {
	AccountID, Name     string
	Sort, Order, Filter string
	PageSize            int    // 0 = 20
	PageToken           string `json:"-"`
	IncludeHistory      bool
}

var accountForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// onProfile rejects an action that the identity may not perform on a profile.
// The roles are those of service IDs. Adding something that may assume a
// profile is a change of the profile.
func (c *Cloud) onProfile(a Actor, id, action string) error {
	if err := c.known(a); err != nil {
		return err
	}
	if !c.mayAs(a, target{service: serviceIdentity, kind: "profile", id: id}, identityRoles[action]...) {
		return identityForbidden(a, "iam-identity.profile."+action)
	}
	return nil
}

// findProfile finds a profile that the identity may act on. Invalid holds what is
// wrong with the request, which is rejected before the profile is looked up. The
// profiles of the child account can be read only.
func (c *Cloud) findProfile(a Actor, id, action string, invalid ...error) (*profile, error) {
	if err := firstError(c.onProfile(a, id, action), invalid...); err != nil {
		return nil, err
	}
	if p, ok := c.profiles[id]; ok {
		return p, nil
	}
	if p := c.enterprise.profile(id); p != nil && c.seesChild(a) {
		if action == "get" {
			return p, nil
		}
		return nil, identityError(409, "conflict", "", "The trusted profile is managed by an enterprise template", "template "+p.TemplateID)
	}
	return nil, identityNotFound("Profile", id)
}

func (c *Cloud) checkProfileName(name string, except *profile) error {
	if name == "" {
		return identityInvalid("name must not be empty")
	}
	if p := c.profile(name, ""); p != nil && p != except {
		return identityError(409, "conflict", "", "A trusted profile of this name exists already", "id "+p.ID)
	}
	return nil
}

// CreateProfile creates a trusted profile. Its name is unique in the account.
func (c *Cloud) CreateProfile(a Actor, n NewProfile) (Profile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onProfile(a, "", "create"); err != nil {
		return Profile{}, err
	}
	switch {
	case !accountForm.MatchString(n.AccountID):
		return Profile{}, identityInvalid("account_id must be the ID of an account")
	case n.AccountID != AccountID:
		return Profile{}, identityForbidden(a, "iam-identity.profile.create")
	}
	if err := c.checkProfileName(n.Name, nil); err != nil {
		return Profile{}, err
	}
	if len(c.profiles) >= profilesPerAccount {
		return Profile{}, identityError(c.switches.IdentityLimitStatus, "limit_exceeded", "",
			"The limit of trusted profiles is reached", fmt.Sprintf("limit %d", profilesPerAccount))
	}
	return c.putProfile(a.IAMID, n).copy(false), nil
}

func (c *Cloud) newProfile(creator string, n NewProfile) *profile {
	now, id := c.now(), "Profile-"+c.uuid()
	return &profile{Profile: Profile{ID: id, IAMID: "iam-" + id, EntityTag: c.nextTag(""),
		CRN:  "crn:v1:bluemix:public:iam-identity::a/" + n.AccountID + "::profile:" + id,
		Name: n.Name, Description: n.Description, Email: n.Email, AccountID: n.AccountID, CreatedAt: now, ModifiedAt: now,
		History: []HistoryRecord{{Timestamp: now, IAMID: creator, Action: "CREATED", Message: "Created"}},
	}, identities: ProfileIdentities{EntityTag: c.nextTag("")}}
}

func (c *Cloud) putProfile(creator string, n NewProfile) *profile {
	n.AccountID = AccountID
	p := c.newProfile(creator, n)
	p.seq = c.profileSequence.add(p)
	c.profiles[p.ID] = p
	return p
}

func (c *Cloud) touchProfile(a Actor, p *profile) {
	p.EntityTag, p.ModifiedAt = c.nextTag(p.EntityTag), c.now()
	p.History = append(p.History, HistoryRecord{Timestamp: p.ModifiedAt, IAMID: a.IAMID, Action: "UPDATED", Message: "UPDATED"})
}

// GetProfile returns one profile.
func (c *Cloud) GetProfile(a Actor, id string) (Profile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, id, "get")
	if err != nil {
		return Profile{}, err
	}
	out := p.copy(false)
	out.Activity = c.logins[p.IAMID]
	return out, nil
}

// ListProfiles returns one page, oldest first unless the query sorts.
func (c *Cloud) ListProfiles(a Actor, q ProfileQuery) (Page[Profile], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, err := resume(q, q.PageToken)
	if err != nil {
		return Page[Profile]{}, err
	}
	q = at.Query
	limit, conditions, err := checkIdentityList(q.PageSize, q.Filter, q.Order)
	if err != nil {
		return Page[Profile]{}, err
	}
	if err := c.onProfile(a, "", "get"); err != nil {
		return Page[Profile]{}, err
	}
	if q.AccountID == "" {
		return Page[Profile]{}, identityInvalid("account_id is required")
	}
	source := c.profileSequence.after
	switch {
	case q.AccountID == ChildAccountID && c.seesChild(a):
		source = bySeq(c.enterprise.profiles, func(p *profile) int64 { return p.seq })
	case q.AccountID != AccountID:
		return Page[Profile]{}, identityForbidden(a, "iam-identity.profile.get")
	}
	less, err := order(q.Sort, q.Order, func(p *profile) int64 { return p.seq }, map[string]func(a, b *profile) int{
		"name":        func(a, b *profile) int { return cmp.Compare(a.Name, b.Name) },
		"description": func(a, b *profile) int { return cmp.Compare(a.Description, b.Description) },
		"created_at":  func(a, b *profile) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"modified_at": func(a, b *profile) int { return a.ModifiedAt.Compare(b.ModifiedAt) },
	})
	if err != nil {
		return Page[Profile]{}, err
	}
	items, next := cut(at, limit, source, func(p *profile) bool {
		return (q.Name == "" || p.Name == q.Name) &&
			!slices.ContainsFunc(conditions, func(f condition) bool { return !f.holds(p.attribute(f.attribute)) })
	}, less)
	page := Page[Profile]{Limit: limit, Next: next, Items: make([]Profile, len(items))}
	for i, p := range items {
		page.Items[i] = p.copy(q.IncludeHistory)
	}
	return page, nil
}

func (p *profile) attribute(name string) string {
	return map[string]string{"name": p.Name, "description": p.Description, "id": p.ID, "iam_id": p.IAMID}[name]
}

func (ch ProfileChange) check() error {
	if ch.Name != nil && *ch.Name == "" {
		return identityInvalid("name must not be empty")
	}
	return nil
}

// UpdateProfile changes a profile if ifMatch is its entity tag or "*".
func (c *Cloud) UpdateProfile(a Actor, id, ifMatch string, ch ProfileChange) (Profile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, id, "update", ch.check())
	if err != nil {
		return Profile{}, err
	}
	if err := c.identityIfMatch(ifMatch, p.EntityTag); err != nil {
		return Profile{}, err
	}
	if ch.Name != nil {
		if err := c.checkProfileName(*ch.Name, p); err != nil {
			return Profile{}, err
		}
	}
	for _, f := range []struct{ to, from *string }{{&p.Name, ch.Name}, {&p.Description, ch.Description}, {&p.Email, ch.Email}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	c.touchProfile(a, p)
	return p.copy(false), nil
}

// DeleteProfile deletes a profile with its policies, memberships and
// preferences.
func (c *Cloud) DeleteProfile(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, id, "delete")
	if err != nil {
		return err
	}
	c.dropSubject(p.IAMID)
	c.profileSequence.remove(p.seq)
	delete(c.profiles, p.ID)
	delete(c.logins, p.IAMID)
	return nil
}
