package cloud

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// ClaimCondition compares a claim of a token with a value.
type ClaimCondition struct {
	Claim    string `json:"claim"`
	Operator string `json:"operator"`
	Value    string `json:"value"` // JSON
}

// ClaimRuleSpec is the part of a claim rule that a caller sets.
type ClaimRuleSpec struct {
	Name       string           `json:"name,omitempty"`
	Type       string           `json:"type"`
	RealmName  string           `json:"realm_name,omitempty"`
	CRType     string           `json:"cr_type,omitempty"`
	Expiration int              `json:"expiration"` // of the session, in seconds
	Conditions []ClaimCondition `json:"conditions"`
}

// ClaimRule says which federated users or compute resources may assume a
// profile. Those for federated users have no effect.
type ClaimRule struct {
	ClaimRuleSpec
	ID         string    `json:"id"`
	EntityTag  string    `json:"entity_tag"`
	CreatedAt  time.Time `json:"created_at"`
	ModifiedAt time.Time `json:"modified_at"`
}

var (
	computeResources = []string{"VSI", "PVS", "BMS", "IKS_SA", "ROKS_SA", "CE"}
	claimOperators   = []string{"EQUALS", "NOT_EQUALS", "EQUALS_IGNORE_CASE", "NOT_EQUALS_IGNORE_CASE", "CONTAINS", "IN"}
)

func checkComputeResource(name, kind string) error {
	if !slices.Contains(computeResources, kind) {
		return identityInvalid(name + " must be VSI, PVS, BMS, IKS_SA, ROKS_SA or CE")
	}
	return nil
}

// check rejects what the SDK's model does not allow.
func (s ClaimRuleSpec) check() error {
	switch {
	case s.Type != "Profile-SAML" && s.Type != ruleOfResources:
		return identityInvalid("type must be Profile-SAML or Profile-CR")
	case s.Type == "Profile-SAML" && (s.RealmName == "" || s.Expiration <= 0):
		return identityInvalid("realm_name and expiration are required for the type Profile-SAML")
	case s.Type == ruleOfResources && checkComputeResource("cr_type", s.CRType) != nil:
		return checkComputeResource("cr_type", s.CRType)
	case len(s.Conditions) == 0:
		return identityInvalid("conditions is required")
	}
	for _, q := range s.Conditions {
		switch {
		case q.Claim == "":
			return identityInvalid("conditions.claim is required")
		case !slices.Contains(claimOperators, q.Operator):
			return identityInvalid("conditions.operator has an unknown value")
		case !json.Valid([]byte(q.Value)):
			return identityInvalid("conditions.value must be JSON")
		}
	}
	return nil
}

func (p *profile) rule(id string) (*ClaimRule, error) {
	i := slices.IndexFunc(p.rules, func(r ClaimRule) bool { return r.ID == id })
	if i < 0 {
		return nil, identityNotFound("ClaimRule", id)
	}
	return &p.rules[i], nil
}

// CreateClaimRule adds a claim rule to a profile.
func (c *Cloud) CreateClaimRule(a Actor, profileID string, s ClaimRuleSpec) (ClaimRule, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update", s.check())
	if err != nil {
		return ClaimRule{}, err
	}
	r := c.newClaimRule(s)
	p.rules = append(p.rules, r)
	return r, nil
}

// defaultRuleExpiration is how long a session lasts if a rule does not say it.
// The length is a guess.
const defaultRuleExpiration = 3600

func (c *Cloud) newClaimRule(s ClaimRuleSpec) ClaimRule {
	now := c.now()
	s.Expiration = cmp.Or(s.Expiration, defaultRuleExpiration)
	return ClaimRule{ClaimRuleSpec: s, ID: "ClaimRule-" + c.uuid(), EntityTag: c.nextTag(""), CreatedAt: now, ModifiedAt: now}
}

// ListClaimRules returns the claim rules of a profile, oldest first.
func (c *Cloud) ListClaimRules(a Actor, profileID string) ([]ClaimRule, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "get")
	if err != nil {
		return nil, err
	}
	return slices.Clone(p.rules), nil
}

// GetClaimRule returns a claim rule of a profile.
func (c *Cloud) GetClaimRule(a Actor, profileID, id string) (ClaimRule, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "get")
	if err != nil {
		return ClaimRule{}, err
	}
	r, err := p.rule(id)
	if err != nil {
		return ClaimRule{}, err
	}
	return *r, nil
}

// UpdateClaimRule replaces a claim rule if ifMatch is its entity tag or "*".
func (c *Cloud) UpdateClaimRule(a Actor, profileID, id, ifMatch string, s ClaimRuleSpec) (ClaimRule, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update", s.check())
	if err != nil {
		return ClaimRule{}, err
	}
	r, err := p.rule(id)
	if err != nil {
		return ClaimRule{}, err
	}
	if err := c.identityIfMatch(ifMatch, r.EntityTag); err != nil {
		return ClaimRule{}, err
	}
	s.Expiration = cmp.Or(s.Expiration, r.Expiration)
	r.ClaimRuleSpec, r.EntityTag, r.ModifiedAt = s, c.nextTag(r.EntityTag), c.now()
	return *r, nil
}

// DeleteClaimRule deletes a claim rule of a profile.
func (c *Cloud) DeleteClaimRule(a Actor, profileID, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update")
	if err != nil {
		return err
	}
	if _, err := p.rule(id); err != nil {
		return err
	}
	p.rules = slices.DeleteFunc(p.rules, func(r ClaimRule) bool { return r.ID == id })
	return nil
}
