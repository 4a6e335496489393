package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AccessGroup is a group of identities that share access.
type AccessGroup struct {
	ID          string    `json:"id"`
	ETag        string    `json:"etag"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	AccountID   string    `json:"account_id"`
	CRN         string    `json:"crn"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by_id"`
	ModifiedAt  time.Time `json:"last_modified_at"`
	ModifiedBy  string    `json:"last_modified_by_id"`
}

// GroupMember is a member of an access group. A new member has the group's
// access after the policy lag; a removed one loses it at once.
type GroupMember struct {
	IAMID     string    `json:"iam_id"`
	Type      string    `json:"type"` // user, service or profile
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by_id"`
}

type group struct {
	AccessGroup
	members map[string]GroupMember
}

// GroupQuery selects access groups.
type GroupQuery struct {
	AccountID, IAMID, Search, Sort string
	Limit, Offset                  int // limit 0 = 50
}

// Slice is a page selected by offset and limit.
type Slice[T any] struct {
	Items                []T
	Limit, Offset, Total int
}

const groupsPerAccount = 500

func groupInvalid(format string, args ...any) *Error {
	return serviceError(400, "invalid_body", fmt.Sprintf(format, args...))
}

func groupNotFound(id string) *Error {
	return serviceError(404, "not_found_error", "Failed to find access group "+id)
}

func groupForbidden() *Error {
	return serviceError(403, "insufficient_permissions", "You are not authorized to use this access group.")
}

func (g *group) sorted() []GroupMember {
	out := make([]GroupMember, 0, len(g.members))
	for _, m := range g.members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b GroupMember) int { return strings.Compare(a.IAMID, b.IAMID) })
	return out
}

// onGroups checks the identity and its role on one access group, or on all if id is
// empty. It is the first check of every operation on them. That a policy names a group
// as its resource is inferred.
func (c *Cloud) onGroups(a Actor, id, role string) error {
	if err := c.known(a); err != nil {
		return policyError(err)
	}
	if !c.may(a, target{service: serviceGroups, id: id}, role) {
		return groupForbidden()
	}
	return nil
}

func (c *Cloud) findGroup(a Actor, id, role string) (*group, error) {
	if err := c.onGroups(a, id, role); err != nil {
		return nil, err
	}
	g, ok := c.groups[id]
	if !ok {
		return nil, groupNotFound(id)
	}
	return g, nil
}

func (c *Cloud) checkGroup(name, description string, except *group) error {
	switch {
	case name == "" || len(name) > 100:
		return groupInvalid("name must have 1 to 100 characters")
	case len(description) > 250:
		return groupInvalid("description must have at most 250 characters")
	}
	for _, g := range c.groupOrder {
		if g != except && strings.EqualFold(g.Name, name) {
			return serviceError(c.switches.GroupConflictStatus, "conflict_error", "A group with this name exists already")
		}
	}
	return nil
}

// CreateGroup creates an access group. Its name is unique in the account,
// regardless of case.
func (c *Cloud) CreateGroup(a Actor, account, name, description string) (AccessGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onGroups(a, "", "Editor"); err != nil {
		return AccessGroup{}, err
	}
	if account == "" {
		return AccessGroup{}, groupInvalid("account_id is required")
	}
	if account != AccountID {
		return AccessGroup{}, groupForbidden()
	}
	if err := c.checkGroup(name, description, nil); err != nil {
		return AccessGroup{}, err
	}
	if len(c.groups) >= groupsPerAccount {
		return AccessGroup{}, serviceError(c.switches.IdentityLimitStatus, "limit_exceeded", "The limit of access groups is reached.")
	}
	return c.putGroup(a.IAMID, name, description).AccessGroup, nil
}

func (c *Cloud) putGroup(creator, name, description string) *group {
	now := c.now()
	g := &group{members: map[string]GroupMember{}, AccessGroup: AccessGroup{
		ID: "AccessGroupId-" + c.uuid(), ETag: c.nextTag(""), Name: name, Description: description, AccountID: AccountID,
		CreatedAt: now, CreatedBy: creator, ModifiedAt: now, ModifiedBy: creator,
	}}
	g.CRN = "crn:v1:bluemix:public:iam-groups::a/" + AccountID + "::access-group:" + g.ID
	c.groups[g.ID] = g
	c.groupOrder = append(c.groupOrder, g)
	return g
}

// GetGroup returns one access group.
func (c *Cloud) GetGroup(a Actor, id string) (AccessGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Viewer")
	if err != nil {
		return AccessGroup{}, err
	}
	return g.AccessGroup, nil
}

// UpdateGroup changes an access group if ifMatch is its ETag or "*".
func (c *Cloud) UpdateGroup(a Actor, id, ifMatch string, name, description *string) (AccessGroup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Editor")
	if err != nil {
		return AccessGroup{}, err
	}
	switch ifMatch {
	case "":
		return AccessGroup{}, serviceError(c.switches.MissingIfMatchStatus, "invalid_body", "If-Match is required")
	case g.ETag, "*":
	default:
		return AccessGroup{}, serviceError(c.switches.StalePolicyStatus, "conflict_error", "If-Match does not name the current revision.")
	}
	next := g.AccessGroup
	if name != nil {
		next.Name = *name
	}
	if description != nil {
		next.Description = *description
	}
	if err := c.checkGroup(next.Name, next.Description, g); err != nil {
		return AccessGroup{}, err
	}
	next.ETag, next.ModifiedAt, next.ModifiedBy = c.nextTag(g.ETag), c.now(), a.IAMID
	g.AccessGroup = next
	return next, nil
}

// DeleteGroup deletes an access group with its policies. A group with members
// needs force.
func (c *Cloud) DeleteGroup(a Actor, id string, force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Editor")
	if err != nil {
		return err
	}
	if len(g.members) > 0 && !force {
		return serviceError(c.switches.GroupConflictStatus, "conflict_error", "The group has members.")
	}
	c.dropGroup(g)
	return nil
}

func (c *Cloud) dropGroup(g *group) {
	for iamID := range g.members {
		c.unjoin(g, iamID)
	}
	for _, p := range slices.Clone(c.policiesBySubject[g.ID]) {
		c.dropPolicy(p, false)
	}
	delete(c.groups, g.ID)
	c.groupOrder = slices.DeleteFunc(c.groupOrder, func(x *group) bool { return x == g })
}

// ListGroups returns one page of the access groups.
func (c *Cloud) ListGroups(a Actor, q GroupQuery) (Slice[AccessGroup], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onGroups(a, "", "Viewer"); err != nil {
		return Slice[AccessGroup]{}, err
	}
	if q.AccountID == "" {
		return Slice[AccessGroup]{}, groupInvalid("account_id is required")
	}
	if q.AccountID != AccountID {
		return Slice[AccessGroup]{}, groupForbidden()
	}
	field, text, search := strings.Cut(q.Search, ":")
	if q.Search != "" && (!search || !slices.Contains([]string{"id", "name", "description"}, field)) {
		return Slice[AccessGroup]{}, groupInvalid("search must be id:, name: or description: and a text")
	}
	found := []AccessGroup{}
	for _, g := range c.groupOrder {
		_, member := g.members[q.IAMID]
		if (q.IAMID == "" || member) && (q.Search == "" || strings.Contains(strings.ToLower(g.field(field)), strings.ToLower(text))) {
			found = append(found, g.AccessGroup)
		}
	}
	if q.Sort != "" {
		by := strings.TrimPrefix(q.Sort, "-")
		if !slices.Contains([]string{"id", "name", "description"}, by) {
			return Slice[AccessGroup]{}, groupInvalid("sort is not valid")
		}
		slices.SortStableFunc(found, func(x, y AccessGroup) int {
			n := strings.Compare((&group{AccessGroup: x}).field(by), (&group{AccessGroup: y}).field(by))
			if strings.HasPrefix(q.Sort, "-") {
				return -n
			}
			return n
		})
	}
	return sliced(found, q.Limit, q.Offset)
}

func (g *group) field(name string) string {
	switch name {
	case "id":
		return g.ID
	case "name":
		return g.Name
	}
	return g.Description
}

func sliced[T any](all []T, limit, offset int) (Slice[T], error) {
	limit = cmp.Or(limit, 50)
	if limit < 1 || limit > 100 || offset < 0 {
		return Slice[T]{}, groupInvalid("limit must be from 1 to 100, and offset not negative")
	}
	from := min(offset, len(all))
	return Slice[T]{Items: all[from:min(from+limit, len(all))], Limit: limit, Offset: offset, Total: len(all)}, nil
}

// ListMembers returns one page of a group's members, sorted by IAM ID.
func (c *Cloud) ListMembers(a Actor, id, kind string, limit, offset int) (Slice[GroupMember], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Viewer")
	if err != nil {
		return Slice[GroupMember]{}, err
	}
	found := slices.DeleteFunc(g.sorted(), func(m GroupMember) bool { return kind != "" && m.Type != kind })
	return sliced(found, limit, offset)
}

// IsMember reports whether an identity is a member of a group.
func (c *Cloud) IsMember(a Actor, id, iamID string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Viewer")
	if err != nil {
		return false, err
	}
	_, ok := g.members[iamID]
	return ok, nil
}

// AddMember adds an identity to a group. An existing member stays unchanged.
func (c *Cloud) AddMember(a Actor, id, iamID, kind string) (GroupMember, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Editor")
	if err != nil {
		return GroupMember{}, err
	}
	if want := memberType(iamID); kind != want {
		return GroupMember{}, groupInvalid("The type of %s must be %s", iamID, want)
	}
	if !c.alive(iamID) {
		return GroupMember{}, serviceError(404, "not_found_error", "Failed to find "+iamID)
	}
	return c.join(g, a.IAMID, iamID), nil
}

func memberType(iamID string) string {
	switch {
	case strings.HasPrefix(iamID, "iam-ServiceId-"):
		return "service"
	case strings.HasPrefix(iamID, "iam-Profile-"):
		return "profile"
	}
	return "user"
}

func (c *Cloud) join(g *group, creator, iamID string) GroupMember {
	if m, ok := g.members[iamID]; ok {
		return m
	}
	m := GroupMember{IAMID: iamID, Type: memberType(iamID), CreatedAt: c.now(), CreatedBy: creator}
	g.members[iamID] = m
	c.groupsByMember[iamID] = append(c.groupsByMember[iamID], g)
	return m
}

// RemoveMember removes an identity from a group.
func (c *Cloud) RemoveMember(a Actor, id, iamID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.findGroup(a, id, "Editor")
	if err != nil {
		return err
	}
	if _, ok := g.members[iamID]; !ok {
		return serviceError(404, "not_found_error", iamID+" is not a member of the group")
	}
	c.unjoin(g, iamID)
	return nil
}

// GroupsOf returns the IDs of the groups that an identity is a member of.
func (c *Cloud) GroupsOf(a Actor, iamID string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onGroups(a, "", "Viewer"); err != nil {
		return nil, err
	}
	ids := []string{}
	for _, g := range c.groupsByMember[iamID] {
		ids = append(ids, g.ID)
	}
	return ids, nil
}

func (c *Cloud) unjoin(g *group, iamID string) {
	delete(g.members, iamID)
	rest := slices.DeleteFunc(c.groupsByMember[iamID], func(x *group) bool { return x == g })
	if len(rest) == 0 {
		delete(c.groupsByMember, iamID)
	} else {
		c.groupsByMember[iamID] = rest
	}
}

func (c *Cloud) leaveGroups(iamID string) {
	for _, g := range slices.Clone(c.groupsByMember[iamID]) {
		c.unjoin(g, iamID)
	}
}
