package cloud

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ServiceIDGroup is a group of service IDs. Groups let an account have more
// service IDs. A service ID cannot change its group.
type ServiceIDGroup struct {
	ID          string    `json:"id"`
	EntityTag   string    `json:"entity_tag"`
	AccountID   string    `json:"account_id"`
	CRN         string    `json:"crn"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
	ModifiedAt  time.Time `json:"modified_at"`
}

// User is a user of the account.
type User struct {
	IAMID string `json:"iam_id"`
	Email string `json:"email"`
}

func (c *Cloud) isUser(iamID string) bool {
	_, ok := c.users[iamID]
	return ok || iamID == OwnerIAMID
}

const (
	serviceIDGroupsPerAccount = serviceIDsPerAccount / serviceIDsPerGroup
	profilesPerAccount        = 2_000
)

// checkIDGroup rejects a group that is unknown or full.
func (c *Cloud) checkIDGroup(id string) error {
	taken := c.inGroup[id]
	if id == "" {
		taken -= c.seeded
	}
	switch {
	case id != "" && c.idGroups[id] == nil:
		return identityError(c.switches.MissingIDGroupStatus, "not_found", "BXNIM0102E", "Unable to find object",
			fmt.Sprintf("Object type %q, id %q", "ServiceIdGroup", id))
	case taken >= serviceIDsPerGroup:
		return identityError(c.switches.IdentityLimitStatus, "limit_exceeded", "",
			"The limit of service IDs in this group is reached", fmt.Sprintf("limit %d", serviceIDsPerGroup))
	}
	return nil
}

func (c *Cloud) onIDGroups(a Actor, role, action string) error {
	if err := c.known(a); err != nil {
		return err
	}
	if !c.may(a, target{service: serviceIdentity}, role) {
		return identityForbidden(a, "iam-identity.serviceid-group."+action)
	}
	return nil
}

func (c *Cloud) findIDGroup(a Actor, id, role, action string) (*ServiceIDGroup, error) {
	if err := c.onIDGroups(a, role, action); err != nil {
		return nil, err
	}
	g, ok := c.idGroups[id]
	if !ok {
		return nil, identityNotFound("ServiceIdGroup", id)
	}
	return g, nil
}

func (c *Cloud) checkIDGroupName(name string, except *ServiceIDGroup) error {
	if name == "" {
		return identityInvalid("name is required")
	}
	if slices.ContainsFunc(c.idGroupOrder, func(g *ServiceIDGroup) bool { return g != except && g.Name == name }) {
		return identityError(c.switches.IDGroupConflictStatus, "conflict", "", "A service ID group of this name exists already", "")
	}
	return nil
}

// CreateServiceIDGroup creates a group. Its name is unique in the account.
func (c *Cloud) CreateServiceIDGroup(a Actor, account, name, description string) (ServiceIDGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onIDGroups(a, "Editor", "create"); err != nil {
		return ServiceIDGroup{}, err
	}
	if account == "" {
		return ServiceIDGroup{}, identityInvalid("account_id is required")
	}
	if account != AccountID {
		return ServiceIDGroup{}, identityForbidden(a, "iam-identity.serviceid-group.create")
	}
	if err := c.checkIDGroupName(name, nil); err != nil {
		return ServiceIDGroup{}, err
	}
	if len(c.idGroups) >= serviceIDGroupsPerAccount {
		return ServiceIDGroup{}, identityError(c.switches.IdentityLimitStatus, "limit_exceeded", "",
			"The limit of service ID groups is reached", fmt.Sprintf("limit %d", serviceIDGroupsPerAccount))
	}
	now := c.now()
	g := &ServiceIDGroup{ID: "ServiceIdGroup-" + c.uuid(), EntityTag: c.nextTag(""), AccountID: AccountID, Name: name,
		Description: description, CreatedAt: now, CreatedBy: a.IAMID, ModifiedAt: now}
	g.CRN = "crn:v1:bluemix:public:iam-identity::a/" + AccountID + "::serviceid-group:" + g.ID
	c.idGroups[g.ID] = g
	c.idGroupOrder = append(c.idGroupOrder, g)
	return *g, nil
}

// ListServiceIDGroups returns all groups except the default one, oldest first.
func (c *Cloud) ListServiceIDGroups(a Actor, account string) ([]ServiceIDGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onIDGroups(a, "Viewer", "list"); err != nil {
		return nil, err
	}
	if account == "" {
		return nil, identityInvalid("account_id is required")
	}
	if account != AccountID {
		return nil, identityForbidden(a, "iam-identity.serviceid-group.list")
	}
	out := []ServiceIDGroup{}
	for _, g := range c.idGroupOrder {
		out = append(out, *g)
	}
	return out, nil
}

// GetServiceIDGroup returns one group.
func (c *Cloud) GetServiceIDGroup(a Actor, id string) (ServiceIDGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findIDGroup(a, id, "Viewer", "get")
	if err != nil {
		return ServiceIDGroup{}, err
	}
	return *g, nil
}

// UpdateServiceIDGroup changes a group if ifMatch is its entity tag or "*".
func (c *Cloud) UpdateServiceIDGroup(a Actor, id, ifMatch, name string, description *string) (ServiceIDGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findIDGroup(a, id, "Editor", "update")
	if err != nil {
		return ServiceIDGroup{}, err
	}
	if err := c.identityIfMatch(ifMatch, g.EntityTag); err != nil {
		return ServiceIDGroup{}, err
	}
	if err := c.checkIDGroupName(name, g); err != nil {
		return ServiceIDGroup{}, err
	}
	g.Name = name
	if description != nil {
		g.Description = *description
	}
	g.EntityTag, g.ModifiedAt = c.nextTag(g.EntityTag), c.now()
	return *g, nil
}

// DeleteServiceIDGroup deletes an empty group.
func (c *Cloud) DeleteServiceIDGroup(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findIDGroup(a, id, "Editor", "delete")
	if err != nil {
		return err
	}
	if c.inGroup[id] > 0 {
		return identityError(c.switches.IDGroupConflictStatus, "conflict", "", "The service ID group is not empty", "")
	}
	delete(c.idGroups, id)
	c.idGroupOrder = slices.DeleteFunc(c.idGroupOrder, func(x *ServiceIDGroup) bool { return x == g })
	return nil
}

// LimitQuery selects the limits to count.
type LimitQuery struct {
	ServiceIDGroups    bool     `json:"serviceid_groups"`
	ServiceIDsPerGroup []string `json:"serviceids_per_group"` // IDs of groups
	Profiles           bool     `json:"profiles"`
	APIKeysPerIdentity []string `json:"apikeys_per_identity"` // IAM IDs
}

// Use is the number that counts toward a limit. ID names a group or identity
// and is empty for the account.
type Use struct {
	ID    string
	Count int
}

// Limit is a limit with its uses: one for the account, or one for each group or
// identity.
type Limit struct {
	Limit int
	Uses  []Use
}

// Limits is the answer to a LimitQuery. Fields that were not selected are nil.
type Limits struct {
	ServiceIDGroups, ServiceIDsPerGroup, Profiles, APIKeysPerIdentity *Limit
}

// AccountLimits counts what the query selects. Unknown IDs are left out.
func (c *Cloud) AccountLimits(a Actor, account string, q LimitQuery) (Limits, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Limits{}, err
	}
	if account != AccountID || !c.may(a, target{service: serviceIdentity}, "Viewer") {
		return Limits{}, identityForbidden(a, "iam-identity.account.get")
	}
	var out Limits
	if q.ServiceIDGroups {
		out.ServiceIDGroups = &Limit{serviceIDGroupsPerAccount, []Use{{Count: len(c.idGroups)}}}
	}
	if q.Profiles {
		out.Profiles = &Limit{profilesPerAccount, []Use{{Count: len(c.profiles)}}}
	}
	if len(q.ServiceIDsPerGroup) > 0 {
		out.ServiceIDsPerGroup = &Limit{Limit: serviceIDsPerGroup}
		for _, id := range q.ServiceIDsPerGroup {
			if id = strings.TrimSpace(id); c.idGroups[id] != nil {
				out.ServiceIDsPerGroup.Uses = append(out.ServiceIDsPerGroup.Uses, Use{id, c.inGroup[id]})
			}
		}
	}
	if len(q.APIKeysPerIdentity) > 0 {
		out.APIKeysPerIdentity = &Limit{Limit: keysPerIdentity}
		for _, id := range q.APIKeysPerIdentity {
			if id = strings.TrimSpace(id); c.alive(id) {
				out.APIKeysPerIdentity.Uses = append(out.APIKeysPerIdentity.Uses, Use{id, len(c.keysByIAM[id])})
			}
		}
	}
	return out, nil
}
