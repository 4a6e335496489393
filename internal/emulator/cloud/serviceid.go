package cloud

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"
)

// ServiceID is an identity for programs.
type ServiceID struct {
	ID          string          `json:"id"`
	IAMID       string          `json:"iam_id"`
	EntityTag   string          `json:"entity_tag"`
	CRN         string          `json:"crn"`
	Locked      bool            `json:"locked"`
	CreatedAt   time.Time       `json:"created_at"`
	CreatedBy   string          `json:"created_by"`
	ModifiedAt  time.Time       `json:"modified_at"`
	AccountID   string          `json:"account_id"`
	GroupID     string          `json:"group_id,omitempty"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Instances   []string        `json:"unique_instance_crns,omitempty"`
	Activity                    // of all its keys
	History     []HistoryRecord `json:"history,omitempty"`
	// APIKey is the key that was created with the service ID. It is set only in
	// the answer to that creation.
	APIKey *APIKey `json:"apikey,omitempty"`
}

// HistoryRecord is one change of a service ID or key.
type HistoryRecord struct {
	Timestamp time.Time `json:"timestamp"`
	IAMID     string    `json:"iam_id"`
	Action    string    `json:"action"`
	Message   string    `json:"message"`
}

type serviceID struct {
	ServiceID
	seq   int64
	fresh authnTimes
}

// NewServiceID is the request for a service ID.
type NewServiceID struct {
	AccountID   string     `json:"account_id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	GroupID     string     `json:"group_id"`
	Instances   []string   `json:"unique_instance_crns"`
	Locked      bool       `json:"-"`      // a header in the API
	APIKey      *NewAPIKey `json:"apikey"` // created with the service ID; its IAMID is filled in
}

// ServiceIDChange is the request to change a service ID. A nil field stays as
// it is.
type ServiceIDChange struct {
	Name        *string   `json:"name"`
	Description *string   `json:"description"`
	Instances   *[]string `json:"unique_instance_crns"`
}

// ServiceIDQuery selects service IDs of one group. An empty GroupID is the
// default group.
type ServiceIDQuery struct {
	AccountID, Name, GroupID string
	Sort, Order, Filter      string
	PageSize                 int    // 0 = 20
	PageToken                string `json:"-"`
	IncludeHistory           bool
}

// CreateServiceID creates a service ID. Names need not be unique.
func (c *Cloud) CreateServiceID(a Actor, n NewServiceID) (ServiceID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return ServiceID{}, err
	}
	switch {
	case n.AccountID == "":
		return ServiceID{}, identityInvalid("account_id is required")
	case n.Name == "":
		return ServiceID{}, identityInvalid("name is required")
	case n.AccountID != AccountID, !c.mayCreateServiceID(a):
		return ServiceID{}, identityForbidden(a, "iam-identity.serviceid.create")
	case c.serviceIDSequence.len()-c.seeded >= serviceIDsPerAccount:
		return ServiceID{}, identityError(c.switches.IdentityLimitStatus, "limit_exceeded", "",
			"The limit of service IDs is reached", fmt.Sprintf("limit %d", serviceIDsPerAccount))
	}
	if err := c.checkIDGroup(n.GroupID); err != nil {
		return ServiceID{}, err
	}
	if n.APIKey != nil {
		nested := *n.APIKey
		nested.IAMID, nested.AccountID = "iam-ServiceId-", "" // no field of the request
		if err := c.checkNewKey(a, nested); err != nil {
			return ServiceID{}, err
		}
	}
	s := c.putServiceID(a.IAMID, n)
	answer := s.copy(false)
	if n.APIKey != nil {
		nested := *n.APIKey
		nested.IAMID, nested.SupportSessions = s.IAMID, false
		k := c.putKey(a.IAMID, nested).copy(false)
		answer.APIKey = &k
	}
	return answer, nil
}

// Limits of an account from IBM's documents (ibm-cloud-docs/iam,
// iam-manageaccess.md and iam-serviceid.md). Seeded credentials do not count,
// as in an account whose limits IBM raised.
const (
	serviceIDsPerAccount = 100_000 // in all groups
	serviceIDsPerGroup   = 2_000   // also in the default group
	keysPerIdentity      = 20
	policiesPerAccount   = 4_020
	policiesPerSubject   = 1_000
)

func (c *Cloud) putServiceID(creator string, n NewServiceID) *serviceID {
	now := c.now()
	id := "ServiceId-" + c.uuid()
	s := &serviceID{ServiceID: ServiceID{
		ID: id, IAMID: "iam-" + id, EntityTag: c.nextTag(""),
		CRN:    fmt.Sprintf("crn:v1:bluemix:public:iam-identity::a/%s::serviceid:%s", AccountID, id),
		Locked: n.Locked, CreatedAt: now, CreatedBy: creator, ModifiedAt: now,
		AccountID: AccountID, GroupID: n.GroupID, Name: n.Name, Description: n.Description, Instances: n.Instances,
	}}
	s.seq = c.serviceIDSequence.add(s)
	c.serviceIDs[id] = s
	c.inGroup[s.GroupID]++
	c.serviceIDsByName[s.Name] = append(c.serviceIDsByName[s.Name], s)
	return s
}

func (s *serviceID) copy(history bool) ServiceID {
	out := s.ServiceID
	out.Instances = slices.Clone(s.Instances)
	out.History = nil
	if history {
		created := HistoryRecord{Timestamp: s.CreatedAt, IAMID: s.CreatedBy, Action: "CREATED", Message: "Created"}
		out.History = append([]HistoryRecord{created}, s.History...)
	}
	return out
}

func (c *Cloud) touchServiceID(a Actor, s *serviceID, action string) {
	s.EntityTag, s.ModifiedAt = c.nextTag(s.EntityTag), c.now()
	s.History = append(s.History, HistoryRecord{Timestamp: s.ModifiedAt, IAMID: a.IAMID, Action: action, Message: action})
}

// ListServiceIDs returns one page, oldest first unless the query sorts.
func (c *Cloud) ListServiceIDs(a Actor, q ServiceIDQuery) (Page[ServiceID], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Page[ServiceID]{}, err
	}
	at, err := resume(q, q.PageToken)
	if err != nil {
		return Page[ServiceID]{}, err
	}
	q = at.Query
	if q.AccountID == "" {
		return Page[ServiceID]{}, identityInvalid("account_id is required")
	}
	limit, conditions, err := checkIdentityList(q.PageSize, q.Filter, q.Order)
	if err != nil {
		return Page[ServiceID]{}, err
	}
	if q.AccountID != AccountID || !c.may(a, target{service: serviceIdentity}, "Viewer") {
		return Page[ServiceID]{}, identityForbidden(a, "iam-identity.serviceid.get")
	}
	less, err := order(q.Sort, q.Order, func(s *serviceID) int64 { return s.seq }, map[string]func(a, b *serviceID) int{
		"name":        func(a, b *serviceID) int { return cmp.Compare(a.Name, b.Name) },
		"description": func(a, b *serviceID) int { return cmp.Compare(a.Description, b.Description) },
		"created_at":  func(a, b *serviceID) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"modified_at": func(a, b *serviceID) int { return a.ModifiedAt.Compare(b.ModifiedAt) },
	})
	if err != nil {
		return Page[ServiceID]{}, err
	}
	source := c.serviceIDSequence.after
	if q.Name != "" {
		source = bySeq(c.serviceIDsByName[q.Name], func(s *serviceID) int64 { return s.seq })
	}
	source = c.goneServiceIDs.with(source, c.now(), c.settings.ListLag)
	items, next := cut(at, limit, source, func(s *serviceID) bool {
		return s.GroupID == q.GroupID && (q.Name == "" || s.Name == q.Name) &&
			(!c.switches.LagHidesServiceIDs || !c.hidden(s.CreatedAt, c.settings.ListLag)) &&
			!slices.ContainsFunc(conditions, func(f condition) bool { return !f.holds(s.attribute(f.attribute)) })
	}, less)
	page := Page[ServiceID]{Limit: limit, Next: next, Items: make([]ServiceID, len(items))}
	for i, s := range items {
		page.Items[i] = s.copy(q.IncludeHistory)
	}
	return page, nil
}

// bySeq returns a source for a short slice that is in the order of arrival.
func bySeq[T any](items []T, seq func(T) int64) func(int64) iter.Seq2[int64, T] {
	return func(after int64) iter.Seq2[int64, T] {
		return func(yield func(int64, T) bool) {
			for _, v := range items {
				if n := seq(v); n > after && !yield(n, v) {
					return
				}
			}
		}
	}
}

func checkIdentityList(size int, filter, order string) (limit int, conditions []condition, err error) {
	if limit = size; limit == 0 {
		limit = 20
	}
	if limit < 1 || limit > 100 {
		return 0, nil, identityInvalid("pagesize must be from 1 to 100")
	}
	if order != "" && order != "asc" && order != "desc" {
		return 0, nil, identityInvalid("order must be asc or desc")
	}
	conditions, ok := parseFilter(filter)
	if !ok {
		return 0, nil, identityInvalid("filter is not valid")
	}
	for _, q := range conditions {
		if q.attribute != "name" && q.attribute != "description" && q.attribute != "id" && q.attribute != "iam_id" {
			return 0, nil, identityInvalid("filter: unknown attribute " + q.attribute)
		}
	}
	return limit, conditions, nil
}

func (s *serviceID) attribute(name string) string {
	switch name {
	case "name":
		return s.Name
	case "description":
		return s.Description
	case "id":
		return s.ID
	default:
		return s.IAMID
	}
}

// resume returns where a list goes on: at its start, or where a page token of IAM
// identity says.
func resume[Q any](q Q, token string) (position[Q], error) {
	if token == "" {
		return position[Q]{Query: q}, nil
	}
	at, ok := parsePosition[Q](token)
	if !ok {
		return at, identityInvalid("pagetoken is not valid")
	}
	return at, nil
}

// order returns the comparison of a sorted list of IAM identity. It is nil if the
// list is in the order of arrival.
func order[T any](by, direction string, seq func(T) int64, known map[string]func(a, b T) int) (func(a, b T) int, error) {
	less, ok := known[by]
	switch {
	case by == "" && direction != "desc":
		return nil, nil
	case by == "":
		less = func(a, b T) int { return cmp.Compare(seq(a), seq(b)) }
	case !ok:
		return nil, identityInvalid("sort is not valid")
	}
	if direction == "desc" {
		return func(a, b T) int { return less(b, a) }, nil
	}
	return less, nil
}

// GetServiceID returns one service ID.
func (c *Cloud) GetServiceID(a Actor, id string, history bool) (ServiceID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.findServiceID(a, id)
	if err != nil {
		return ServiceID{}, err
	}
	if a.IAMID != s.IAMID && !c.onServiceID(a, id, "get") {
		return ServiceID{}, identityForbidden(a, "iam-identity.serviceid.get")
	}
	out := s.copy(history)
	out.Activity = c.seen(s.Activity, s.fresh)
	return out, nil
}

func (c *Cloud) findServiceID(a Actor, id string) (*serviceID, error) {
	if err := c.known(a); err != nil {
		return nil, err
	}
	s, ok := c.serviceIDs[id]
	if !ok {
		return nil, identityNotFound("ServiceId", id)
	}
	return s, nil
}

// changeableServiceID finds a service ID that the identity may change.
func (c *Cloud) changeableServiceID(a Actor, id, action string) (*serviceID, error) {
	s, err := c.findServiceID(a, id)
	if err != nil {
		return nil, err
	}
	if !c.onServiceID(a, id, action) {
		return nil, identityForbidden(a, "iam-identity.serviceid."+action)
	}
	if s.Locked {
		return nil, c.lockedError("service ID", id)
	}
	return s, nil
}

func (c *Cloud) lockedError(kind, id string) *Error {
	return becauseLocked(identityError(c.switches.LockedStatus, "conflict", "", "The "+kind+" is locked", kind+" "+id+" must be unlocked first"))
}

func (c *Cloud) identityIfMatch(ifMatch, tag string) error {
	switch ifMatch {
	case "":
		return identityError(c.switches.MissingIfMatchStatus, "validation_error", "", "Validation error", "If-Match is required")
	case "*", tag:
		return nil
	}
	return c.identityStale(tag)
}

// UpdateServiceID changes a service ID if ifMatch is its entity tag or "*".
func (c *Cloud) UpdateServiceID(a Actor, id, ifMatch string, ch ServiceIDChange) (ServiceID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.changeableServiceID(a, id, "update")
	if err != nil {
		return ServiceID{}, err
	}
	if err := c.identityIfMatch(ifMatch, s.EntityTag); err != nil {
		return ServiceID{}, err
	}
	if ch.Name != nil && *ch.Name == "" {
		return ServiceID{}, identityInvalid("name must not be empty")
	}
	if ch.Name != nil && *ch.Name != s.Name {
		c.dropName(s)
		s.Name = *ch.Name
		same := append(c.serviceIDsByName[s.Name], s)
		slices.SortFunc(same, func(a, b *serviceID) int { return cmp.Compare(a.seq, b.seq) })
		c.serviceIDsByName[s.Name] = same
	}
	if ch.Description != nil {
		s.Description = *ch.Description
	}
	if ch.Instances != nil {
		s.Instances = slices.Clone(*ch.Instances)
	}
	c.touchServiceID(a, s, "UPDATED")
	return s.copy(false), nil
}

func (c *Cloud) dropName(s *serviceID) {
	rest := slices.DeleteFunc(c.serviceIDsByName[s.Name], func(x *serviceID) bool { return x == s })
	if len(rest) == 0 {
		delete(c.serviceIDsByName, s.Name)
	} else {
		c.serviceIDsByName[s.Name] = rest
	}
}

// DeleteServiceID deletes a service ID with its keys and policies.
func (c *Cloud) DeleteServiceID(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.changeableServiceID(a, id, "delete")
	if err != nil {
		return err
	}
	c.dropServiceID(s, true)
	return nil
}

// dropServiceID removes a service ID with its keys and policies. If it lingers,
// it stays listed for the list lag, with its keys. Its tokens are invalid at
// once.
func (c *Cloud) dropServiceID(s *serviceID, lingers bool) {
	for _, k := range slices.Clone(c.keysByIAM[s.IAMID]) {
		c.dropKey(k, lingers)
	}
	if lingers && c.switches.DeletedListed {
		c.goneServiceIDs.add(s.seq, c.now(), c.settings.ListLag, s)
	}
	c.dropSubject(s.IAMID)
	c.dropName(s)
	c.serviceIDSequence.remove(s.seq)
	delete(c.serviceIDs, s.ID)
	if c.inGroup[s.GroupID]--; c.inGroup[s.GroupID] == 0 {
		delete(c.inGroup, s.GroupID)
	}
}

// dropSubject removes what belongs to an identity that is deleted: its policies
// and its memberships.
func (c *Cloud) dropSubject(iamID string) {
	for _, p := range slices.Clone(c.policiesBySubject[iamID]) {
		c.dropPolicy(p, false)
	}
	c.leaveGroups(iamID)
}

// LockServiceID locks or unlocks a service ID.
func (c *Cloud) LockServiceID(a Actor, id string, locked bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.findServiceID(a, id)
	if err != nil {
		return err
	}
	if !c.onServiceID(a, id, "lock") {
		return identityForbidden(a, "iam-identity.serviceid.lock")
	}
	if s.Locked != locked {
		s.Locked = locked
		c.touchServiceID(a, s, map[bool]string{true: "LOCKED", false: "UNLOCKED"}[locked])
	}
	return nil
}

// hidden reports whether a lag still hides something created at that time.
func (c *Cloud) hidden(created time.Time, lag time.Duration) bool {
	return lag > 0 && c.now().Before(created.Add(lag))
}
