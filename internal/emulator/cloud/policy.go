package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Attribute is one condition on a policy's subject or resource.
type Attribute struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    any    `json:"value"`
}

// Tag is an access management tag of a policy's resource.
type Tag struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Operator string `json:"operator"`
}

// PolicySpec is the part of a policy that a caller sets. Pattern is checked and
// returned; Rule says when the policy grants.
type PolicySpec struct {
	Type        string      `json:"type"`
	Description string      `json:"description,omitempty"`
	Subject     []Attribute `json:"subject"`
	Roles       []string    `json:"roles"` // role CRNs
	Resource    []Attribute `json:"resource"`
	Tags        []Tag       `json:"tags,omitempty"`
	Pattern     string      `json:"pattern,omitempty"`
	Rule        any         `json:"rule,omitempty"`
	// V1 is set if the policy was last written with version 1 of the API.
	V1 bool `json:"v1,omitempty"`
}

// Policy is an access policy.
type Policy struct {
	PolicySpec
	ID         string    `json:"id"`
	ETag       string    `json:"etag"`
	State      string    `json:"state"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by_id"`
	ModifiedAt time.Time `json:"last_modified_at"`
	ModifiedBy string    `json:"last_modified_by_id"`
	// Template is set for a policy that an assignment created.
	Template *TemplateOrigin `json:"template,omitempty"`
}

// pastPolicy is a policy as it was before a change or deletion. It is effective
// until the policy lag has passed.
type pastPolicy struct {
	Policy
	since, gone time.Time
}

type policy struct {
	Policy
	seq   int64
	since time.Time // last change of what it grants
	asked []string  // requested roles, sorted
	shape string    // identity of the policy except for its roles
}

// PolicyQuery selects policies; empty fields select all.
type PolicyQuery struct {
	AccountID                                      string
	IAMID, AccessGroupID, Type, ServiceName, State string
	ServiceType, ServiceGroupID, Sort              string
	TagName, TagValue, Format                      string
	Limit                                          int
	Start                                          string `json:"-"`
}

// policyError replaces the code of a 401 by that of policy management.
func policyError(err error) error {
	if e := (*Error)(nil); errors.As(err, &e) && e.Status == 401 {
		return serviceError(401, "invalid_token", e.Message)
	}
	return err
}

func policyNotFound(id string) *Error {
	return serviceError(404, "policy_not_found", fmt.Sprintf("Policy with ID %s not found.", id))
}

func invalidPolicy(format string, args ...any) *Error {
	return serviceError(400, "invalid_body", fmt.Sprintf(format, args...))
}

func policyForbidden(action string) *Error {
	return serviceError(403, "insufficent_permissions", "You are not authorized to "+action+" this policy.")
}

func attribute(attributes []Attribute, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			s, _ := a.Value.(string)
			return s
		}
	}
	return ""
}

// targetOf returns the most general target that a policy's resource covers. An
// instance has a resource group even if the policy does not name it.
func (c *Cloud) targetOf(resource []Attribute) target {
	group, instance := attribute(resource, "resourceGroupId"), attribute(resource, "serviceInstance")
	if p, ok := c.projects[instance]; ok && group == "" {
		group = p.ResourceGroupID
	} else if instance != "" && group == "" {
		group = ResourceGroupID
	}
	return target{
		group:      group,
		kindOf:     attribute(resource, "serviceType"),
		collection: attribute(resource, "service_group_id"),

		service:  attribute(resource, "serviceName"),
		instance: attribute(resource, "serviceInstance"),
		region:   attribute(resource, "region"),
		kind:     attribute(resource, "resourceType"),
		id:       attribute(resource, "resource"),
	}
}

func (c *Cloud) checkPolicy(p PolicySpec) error {
	if p.Type != "access" {
		if p.Type == "authorization" {
			return serviceError(501, "not_emulated", "Authorization policies are not emulated.")
		}
		return invalidPolicy("type must be access or authorization")
	}
	if len(p.Subject) == 0 {
		return invalidPolicy("subject.attributes is required")
	}
	if attribute(p.Resource, "accountId") == "" {
		return invalidPolicy("The resource attribute accountId is required")
	}
	if err := checkAttributes(p.Subject, subjectOperators); err != nil {
		return err
	}
	if err := checkAttributes(p.Resource, resourceOperators); err != nil {
		return err
	}
	for _, t := range p.Tags {
		if t.Key == "" || t.Value == "" || !slices.Contains(tagOperators, t.Operator) {
			return invalidPolicy("A tag needs key, value and one of the operators %s", strings.Join(tagOperators, ", "))
		}
	}
	if err := checkRule(p); err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Resource, func(a Attribute) bool {
		return slices.Contains([]string{"serviceType", "serviceName", "resourceGroupId", "service_group_id"}, a.Key)
	}) {
		return invalidPolicy("The resource needs one of serviceType, serviceName, resourceGroupId and service_group_id")
	}
	if attribute(p.Resource, "accountId") != AccountID {
		return policyForbidden("create")
	}
	if len(p.Roles) == 0 {
		return invalidPolicy("control.grant.roles is required")
	}
	for _, crn := range p.Roles {
		if _, ok := c.roleFor(p.Resource, crn); !ok {
			return invalidPolicy("Role %q does not exist or is not supported by the service", crn)
		}
	}
	return c.checkSubject(p)
}

func (c *Cloud) checkSubject(p PolicySpec) error {
	subject, group := attribute(p.Subject, "iam_id"), attribute(p.Subject, "access_group_id")
	switch {
	case subject != "" && group != "":
		return invalidPolicy("The subject must not have both iam_id and access_group_id")
	case group != "":
		if c.groups[group] == nil {
			return invalidPolicy("The subject %s does not exist", group)
		}
		return nil
	case subject == "":
		return invalidPolicy("The subject needs iam_id or access_group_id")
	}
	// Policies may precede the invitation of a user to the account.
	if !c.alive(subject) && !strings.HasPrefix(subject, "IBMid-") {
		return invalidPolicy("The subject %s does not exist", subject)
	}
	return c.checkUnlocked(subject)
}

// mayAssign reports whether the identity may give policies to the subject. The
// creator of a service ID administers it.
func (c *Cloud) mayAssign(a Actor, subject string) bool {
	s, ok := c.serviceIDs[strings.TrimPrefix(subject, "iam-")]
	return !ok || !c.switches.SubjectNeedsAdministrator || c.administers(a, s) || c.may(a, target{service: serviceAccess}, "Administrator")
}

func (c *Cloud) checkUnlocked(subject string) error {
	if s, ok := c.serviceIDs[strings.TrimPrefix(subject, "iam-")]; ok && s.Locked {
		return becauseLocked(serviceError(c.switches.LockedSubjectStatus, "request_not_processed", "The service ID is locked: its policies cannot change."))
	}
	return nil
}

// grantable returns those of the requested roles that the creator holds on the
// resource. IAM lets an identity grant no others.
func (c *Cloud) grantable(a Actor, p PolicySpec) []string {
	if a.IAMID == OwnerIAMID {
		return p.Roles
	}
	t := c.targetOf(p.Resource)
	var kept []string
	for _, crn := range p.Roles {
		if r, ok := roleOn(p.Resource, crn); ok && c.may(a, t, r.Name) {
			kept = append(kept, crn)
		} else if r, custom := c.roleFor(p.Resource, crn); !ok && custom && c.mayGrantCustom(a, t, r) {
			kept = append(kept, crn)
		}
	}
	if len(kept) == 0 {
		kept = []string{c.switches.NothingGrantedRole}
	}
	return kept
}

// shapeOf returns the same text for two policies that give access to the same
// subject on the same resource.
func shapeOf(p PolicySpec) string {
	part := func(attributes []Attribute) string {
		lines := make([]string, 0, len(attributes))
		for _, a := range attributes {
			lines = append(lines, fmt.Sprintf("%q %q %q", a.Key, a.Operator, fmt.Sprint(a.Value)))
		}
		slices.Sort(lines)
		return strings.Join(lines, ",")
	}
	return fmt.Sprintf("%s|%s|%s|%v|%v", p.Type, part(p.Subject), part(p.Resource), p.Tags, p.Rule)
}

func (c *Cloud) conflict(shape string, asked []string, except *policy, subject string) error {
	for _, p := range c.policiesBySubject[subject] {
		if p == except || p.shape != shape || c.switches.ConflictComparesRoles && !slices.Equal(p.asked, asked) {
			continue
		}
		found := &Conflict{ETag: p.ETag, PolicyID: p.ID}
		if c.switches.ConflictShowsPolicy {
			whole := p.copy()
			found.Policy = &whole
		}
		return &Error{Status: 409, Code: "policy_conflict_error",
			Message: "The policy wasn't created because an access policy with identical attributes and roles already exists.", Conflict: found}
	}
	return nil
}

func (p *policy) copy() Policy {
	out := p.Policy
	out.Subject, out.Resource = slices.Clone(p.Subject), slices.Clone(p.Resource)
	out.Roles, out.Tags = slices.Clone(p.Roles), slices.Clone(p.Tags)
	return out
}

// CreatePolicy creates a policy. The stored policy lacks the roles that its
// creator does not hold; the answer may still show them.
func (c *Cloud) CreatePolicy(a Actor, spec PolicySpec) (Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Policy{}, policyError(err)
	}
	if err := c.checkPolicy(spec); err != nil {
		return Policy{}, err
	}
	if !c.may(a, c.targetOf(spec.Resource), "Administrator") || !c.mayAssign(a, subjectOf(spec)) {
		return Policy{}, policyForbidden("create")
	}
	asked := slices.Sorted(slices.Values(spec.Roles))
	if err := c.conflict(shapeOf(spec), asked, nil, subjectOf(spec)); err != nil {
		return Policy{}, err
	}
	if err := c.checkPolicyLimits(subjectOf(spec)); err != nil {
		return Policy{}, err
	}
	stored := spec
	stored.Roles = slices.Clone(c.grantable(a, spec))
	answer := c.putPolicy(a, stored, asked).copy()
	if c.switches.AskedRolesEchoed {
		answer.Roles = slices.Clone(spec.Roles)
	}
	return answer, nil
}

func (c *Cloud) checkPolicyLimits(subject string) error {
	switch {
	case len(c.policies)-c.seeded >= policiesPerAccount:
		return serviceError(c.switches.IdentityLimitStatus, "request_not_processed",
			fmt.Sprintf("The limit of %d policies in the account is reached.", policiesPerAccount))
	case len(c.policiesBySubject[subject]) >= policiesPerSubject:
		return serviceError(c.switches.IdentityLimitStatus, "request_not_processed",
			fmt.Sprintf("The limit of %d policies of the subject is reached.", policiesPerSubject))
	}
	return nil
}

// subjectOf returns the identity or access group of a policy.
func subjectOf(p PolicySpec) string {
	return cmp.Or(attribute(p.Subject, "iam_id"), attribute(p.Subject, "access_group_id"))
}

// keepEffect keeps the present effect of a policy for the policy lag.
func (c *Cloud) keepEffect(p *policy) {
	lag, subject := c.settings.PolicyLag, subjectOf(p.PolicySpec)
	rest := slices.DeleteFunc(c.pastPolicies[subject], func(f pastPolicy) bool { return !c.hidden(f.gone, lag) })
	if lag > 0 {
		rest = append(rest, pastPolicy{Policy: p.Policy, since: p.since, gone: c.now()})
	}
	if len(rest) == 0 {
		delete(c.pastPolicies, subject)
	} else {
		c.pastPolicies[subject] = rest
	}
}

func (c *Cloud) putPolicy(a Actor, spec PolicySpec, asked []string) *policy {
	now := c.now()
	p := &policy{since: now, asked: asked, shape: shapeOf(spec), Policy: Policy{
		PolicySpec: spec, ID: c.uuid(), ETag: c.nextTag(""), State: "active",
		CreatedAt: now, CreatedBy: a.IAMID, ModifiedAt: now, ModifiedBy: a.IAMID,
	}}
	p.seq = c.policySequence.add(p)
	c.policies[p.ID] = p
	subject := subjectOf(spec)
	c.policiesBySubject[subject] = append(c.policiesBySubject[subject], p)
	return p
}

// mayRead reports whether the identity may view a policy: its own, those of
// services that it administers, or all as a Viewer of access management.
func (c *Cloud) mayRead(a Actor, p *policy) bool {
	return subjectOf(p.PolicySpec) == a.IAMID || c.may(a, target{service: serviceAccess}, "Viewer") ||
		c.may(a, c.targetOf(p.Resource), "Administrator")
}

func (c *Cloud) findPolicy(a Actor, id string) (*policy, error) {
	if err := c.known(a); err != nil {
		return nil, policyError(err)
	}
	p, ok := c.policies[id]
	if !ok {
		p = c.childPolicy(id)
	}
	if p == nil {
		return nil, policyNotFound(id)
	}
	return p, nil
}

// GetPolicy returns one policy.
func (c *Cloud) GetPolicy(a Actor, id string) (Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findPolicy(a, id)
	if err != nil {
		return Policy{}, err
	}
	if c.hidden(p.CreatedAt, c.settings.PolicyLag) {
		return Policy{}, policyNotFound(id)
	}
	if p.Template != nil && !c.seesChild(a) || p.Template == nil && !c.mayRead(a, p) {
		return Policy{}, policyForbidden("read")
	}
	return p.copy(), nil
}

// ListPolicies returns one page of the policies that the identity may view.
func (c *Cloud) ListPolicies(a Actor, q PolicyQuery) (Page[Policy], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Page[Policy]{}, policyError(err)
	}
	at := position[PolicyQuery]{Query: q}
	if q.Start != "" {
		var ok bool
		if at, ok = parsePosition[PolicyQuery](q.Start); !ok {
			return Page[Policy]{}, serviceError(400, "invalid_body", "start is not valid")
		}
		q = at.Query
	}
	if q.AccountID == "" {
		return Page[Policy]{}, serviceError(400, "missing_required_query_parameter", "account_id is required")
	}
	child := q.AccountID == ChildAccountID && c.seesChild(a)
	if q.AccountID != AccountID && !child {
		return Page[Policy]{}, serviceError(403, "insufficent_permissions", "You are not authorized to list the policies of this account.")
	}
	limit := cmp.Or(q.Limit, c.switches.PolicyPageSize)
	if limit < 1 || limit > 100 {
		return Page[Policy]{}, serviceError(400, "invalid_body", "limit must be from 1 to 100")
	}
	less, err := policyOrder(q.Sort)
	if err != nil {
		return Page[Policy]{}, err
	}
	if err := q.check(); err != nil {
		return Page[Policy]{}, err
	}
	source := c.policySequence.after
	if q.IAMID != "" {
		source = bySeq(c.policiesBySubject[q.IAMID], func(p *policy) int64 { return p.seq })
	}
	source = c.gonePolicies.with(source, c.now(), c.settings.PolicyLag)
	if q.State == "deleted" {
		source = bySeq(c.trash, func(p *policy) int64 { return p.seq })
	}
	if child {
		source = bySeq(c.enterprise.policies, func(p *policy) int64 { return p.seq })
	}
	items, next := cut(at, limit, source, func(p *policy) bool {
		return inPolicyQuery(p, q) && !c.hidden(p.CreatedAt, c.settings.PolicyLag) && (child || c.mayRead(a, p))
	}, less)
	page := Page[Policy]{Limit: limit, Next: next, Items: make([]Policy, len(items))}
	for i, p := range items {
		page.Items[i] = p.copy()
	}
	return page, nil
}

func inPolicyQuery(p *policy, q PolicyQuery) bool {
	if q.TagName+q.TagValue != "" && !slices.ContainsFunc(p.Tags, func(t Tag) bool {
		return (q.TagName == "" || t.Key == q.TagName) && (q.TagValue == "" || t.Value == q.TagValue)
	}) {
		return false
	}
	for _, pair := range [][2]string{
		{attribute(p.Subject, "iam_id"), q.IAMID},
		{p.Type, q.Type},
		{p.State, cmp.Or(q.State, "active")},
		{attribute(p.Resource, "serviceName"), q.ServiceName},
		{attribute(p.Resource, "serviceType"), q.ServiceType},
		{attribute(p.Resource, "service_group_id"), q.ServiceGroupID},
		{attribute(p.Subject, "access_group_id"), q.AccessGroupID},
	} {
		if have, want := pair[0], pair[1]; want != "" && have != want {
			return false
		}
	}
	return true
}

func policyOrder(sort string) (func(a, b *policy) int, error) {
	if sort == "" {
		return nil, nil
	}
	var less func(a, b *policy) int
	switch strings.TrimPrefix(sort, "-") {
	case "id", "href":
		less = func(a, b *policy) int { return cmp.Compare(a.ID, b.ID) }
	case "type":
		less = func(a, b *policy) int { return cmp.Compare(a.Type, b.Type) }
	case "created_at":
		less = func(a, b *policy) int { return a.CreatedAt.Compare(b.CreatedAt) }
	case "created_by_id":
		less = func(a, b *policy) int { return cmp.Compare(a.CreatedBy, b.CreatedBy) }
	case "last_modified_at":
		less = func(a, b *policy) int { return a.ModifiedAt.Compare(b.ModifiedAt) }
	case "last_modified_by_id":
		less = func(a, b *policy) int { return cmp.Compare(a.ModifiedBy, b.ModifiedBy) }
	case "last_permit_at", "last_permit_frequency": // no policy has them
		less = func(*policy, *policy) int { return 0 }
	case "state":
		less = func(a, b *policy) int { return cmp.Compare(a.State, b.State) }
	default:
		return nil, serviceError(400, "invalid_body", "sort is not valid")
	}
	if strings.HasPrefix(sort, "-") {
		return func(a, b *policy) int { return less(b, a) }, nil
	}
	return less, nil
}

// ReplacePolicy replaces the PolicySpec of a policy if ifMatch is its ETag or
// "*".
func (c *Cloud) ReplacePolicy(a Actor, id, ifMatch string, spec PolicySpec) (Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findPolicy(a, id)
	if err != nil {
		return Policy{}, err
	}
	if p.Template != nil || !c.may(a, c.targetOf(p.Resource), "Administrator") {
		return Policy{}, policyForbidden("replace")
	}
	if err := c.policyIfMatch(ifMatch, p.ETag); err != nil {
		return Policy{}, err
	}
	if spec.V1 && !p.V1 {
		return Policy{}, invalidPolicy("A policy of version 2 cannot be replaced by one of version 1")
	}
	if err := c.checkPolicy(spec); err != nil {
		return Policy{}, err
	}
	if !c.may(a, c.targetOf(spec.Resource), "Administrator") || !c.mayAssign(a, subjectOf(spec)) {
		return Policy{}, policyForbidden("replace")
	}
	if err := c.checkUnlocked(subjectOf(p.PolicySpec)); err != nil {
		return Policy{}, err
	}
	subject := subjectOf(spec)
	asked := slices.Sorted(slices.Values(spec.Roles))
	if err := c.conflict(shapeOf(spec), asked, p, subject); err != nil {
		return Policy{}, err
	}
	old := subjectOf(p.PolicySpec)
	stored := spec
	stored.Roles = slices.Clone(c.grantable(a, spec))
	c.keepEffect(p)
	p.PolicySpec, p.asked, p.shape = stored, asked, shapeOf(spec)
	p.ETag, p.ModifiedAt, p.ModifiedBy = c.nextTag(p.ETag), c.now(), a.IAMID
	p.since = p.ModifiedAt
	if old != subject {
		c.dropFromSubject(p, old)
		same := append(c.policiesBySubject[subject], p)
		slices.SortFunc(same, func(a, b *policy) int { return cmp.Compare(a.seq, b.seq) })
		c.policiesBySubject[subject] = same
	}
	answer := p.copy()
	if c.switches.AskedRolesEchoed {
		answer.Roles = slices.Clone(spec.Roles)
	}
	return answer, nil
}

// DeletePolicy deletes a policy.
func (c *Cloud) DeletePolicy(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findPolicy(a, id)
	if err != nil {
		return err
	}
	if p.Template != nil || !c.may(a, c.targetOf(p.Resource), "Administrator") {
		return policyForbidden("delete")
	}
	if err := c.checkUnlocked(subjectOf(p.PolicySpec)); err != nil {
		return err
	}
	c.dropPolicy(p, true)
	return nil
}

// dropPolicy removes a policy. If it lingers, it stays listed and effective for
// the policy lag, and can be restored.
func (c *Cloud) dropPolicy(p *policy, lingers bool) {
	if lingers {
		c.keepEffect(p)
		c.discard(p)
		c.gonePolicies.add(p.seq, c.now(), c.settings.PolicyLag, p)
	}
	c.policySequence.remove(p.seq)
	delete(c.policies, p.ID)
	c.dropFromSubject(p, subjectOf(p.PolicySpec))
}

func (c *Cloud) dropFromSubject(p *policy, subject string) {
	rest := slices.DeleteFunc(c.policiesBySubject[subject], func(x *policy) bool { return x == p })
	if len(rest) == 0 {
		delete(c.policiesBySubject, subject)
	} else {
		c.policiesBySubject[subject] = rest
	}
}

func (c *Cloud) policyIfMatch(ifMatch, tag string) error {
	switch ifMatch {
	case "":
		return serviceError(c.switches.MissingIfMatchStatus, "invalid_body", "If-Match is required")
	case tag, "*":
		return nil
	}
	return serviceError(c.switches.StalePolicyStatus, "policy_conflict_error", "If-Match does not name the current revision.")
}

// mostDeleted limits how many deleted policies can be restored. How long IAM
// keeps them is not documented.
const mostDeleted = 10_000

// discard adds a deleted policy to the trash, in the order of creation.
func (c *Cloud) discard(p *policy) {
	gone := *p
	gone.State = "deleted"
	if len(c.trash) >= mostDeleted {
		c.trash = slices.Delete(c.trash, 0, 1)
	}
	i, _ := slices.BinarySearchFunc(c.trash, gone.seq, func(p *policy, seq int64) int { return cmp.Compare(p.seq, seq) })
	c.trash = slices.Insert(c.trash, i, &gone)
}

// SetPolicyState restores a deleted policy. The only valid state is "active".
// An active policy gets a new ETag only.
func (c *Cloud) SetPolicyState(a Actor, id, ifMatch, state string) (Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.known(a); err != nil {
		return Policy{}, policyError(err)
	}
	p, active := c.policies[id]
	if !active {
		i := slices.IndexFunc(c.trash, func(p *policy) bool { return p.ID == id })
		if i < 0 {
			return Policy{}, policyNotFound(id)
		}
		p = c.trash[i]
	}
	if !c.may(a, c.targetOf(p.Resource), "Administrator") {
		return Policy{}, policyForbidden("restore")
	}
	if err := c.policyIfMatch(ifMatch, p.ETag); err != nil {
		return Policy{}, err
	}
	if state != "active" {
		return Policy{}, invalidPolicy("state must be active")
	}
	if !active {
		if err := c.checkSubject(p.PolicySpec); err != nil {
			return Policy{}, err
		}
		subject := subjectOf(p.PolicySpec)
		if err := c.conflict(p.shape, p.asked, nil, subject); err != nil {
			return Policy{}, err
		}
		if err := c.checkPolicyLimits(subject); err != nil {
			return Policy{}, err
		}
		c.trash = slices.DeleteFunc(c.trash, func(x *policy) bool { return x == p })
		c.gonePolicies.drop(p.seq)
		p.State, p.since = "active", c.now()
		p.seq = c.policySequence.add(p)
		c.policies[id] = p
		c.policiesBySubject[subject] = append(c.policiesBySubject[subject], p)
	}
	p.ETag, p.ModifiedAt, p.ModifiedBy = c.nextTag(p.ETag), c.now(), a.IAMID
	return p.copy(), nil
}
