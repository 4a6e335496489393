package emulator

import (
	"errors"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func groupBody(c *call, g cloud.AccessGroup) map[string]any {
	out := fields(g, policyTime, "etag", "crn")
	out["href"] = c.origin() + "/v2/groups/" + g.ID
	if c.flag("show_federated") {
		out["is_federated"] = false // rules are not emulated
	}
	if c.flag("show_crn") {
		out["crn"] = g.CRN
	}
	return out
}

func groupAnswer(c *call, status int, g cloud.AccessGroup) answer {
	return answer{status: status, etag: g.ETag, body: groupBody(c, g), id: g.ID}
}

// limitAndOffset reads limit and offset. An offset of 0 is the same as none.
func (c *call) limitAndOffset() (limit, offset int, err error) {
	if limit, err = c.number("limit"); err != nil {
		return 0, 0, err
	}
	if c.query.Get("offset") != "0" {
		offset, err = c.number("offset")
	}
	return limit, offset, err
}

func (s *Server) listGroups(c *call) (answer, error) {
	limit, offset, err := c.limitAndOffset()
	if err != nil {
		return answer{}, err
	}
	q := c.query
	page, err := s.cloud.ListGroups(c.actor, cloud.GroupQuery{AccountID: q.Get("account_id"), IAMID: q.Get("iam_id"),
		Search: q.Get("search"), Sort: q.Get("sort"), Limit: limit, Offset: offset})
	if err != nil {
		return answer{}, err
	}
	return offsetPage(c, "groups", page, func(g cloud.AccessGroup) map[string]any { return groupBody(c, g) }), nil
}

func (s *Server) createGroup(c *call) (answer, error) {
	var in struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	g, err := s.cloud.CreateGroup(c.actor, c.query.Get("account_id"), in.Name, in.Description)
	if err != nil {
		return answer{}, err
	}
	return groupAnswer(c, 201, g), nil
}

func (s *Server) getGroup(c *call) (answer, error) {
	g, err := s.cloud.GetGroup(c.actor, c.path("group"))
	if err != nil {
		return answer{}, err
	}
	return groupAnswer(c, 200, g), nil
}

func (s *Server) updateGroup(c *call) (answer, error) {
	var in struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	g, err := s.cloud.UpdateGroup(c.actor, c.path("group"), c.header("If-Match"), in.Name, in.Description)
	if err != nil {
		return answer{}, err
	}
	return groupAnswer(c, 200, g), nil
}

func (s *Server) deleteGroup(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteGroup(c.actor, c.path("group"), c.flag("force"))
}

func (s *Server) listMembers(c *call) (answer, error) {
	limit, offset, err := c.limitAndOffset()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListMembers(c.actor, c.path("group"), c.query.Get("type"), limit, offset)
	if err != nil {
		return answer{}, err
	}
	return offsetPage(c, "members", page, func(m cloud.GroupMember) map[string]any {
		out := fields(m, policyTime)
		out["membership_type"] = "static"
		out["href"] = c.origin() + "/v2/groups/" + c.path("group") + "/members/" + m.IAMID
		return out
	}), nil
}

// outcome completes one element of a 207 with its own status and errors.
func outcome(out map[string]any, ok int, err error) map[string]any {
	out["status_code"], out["trace"] = ok, trace()
	if e := (*cloud.Error)(nil); errors.As(err, &e) {
		out["status_code"] = e.Status
		out["errors"] = []errorItem{{Code: e.Code, Message: e.Message}}
	}
	return out
}

func (s *Server) addMembers(c *call) (answer, error) {
	var in struct {
		Members []struct {
			IAMID string `json:"iam_id"`
			Type  string `json:"type"`
		} `json:"members"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	if _, err := s.cloud.GetGroup(c.actor, c.path("group")); err != nil {
		return answer{}, err
	}
	if len(in.Members) == 0 || len(in.Members) > 50 {
		return answer{}, &cloud.Error{Status: 400, Code: "invalid_body", Message: "members must have 1 to 50 elements"}
	}
	members := []map[string]any{}
	for _, m := range in.Members {
		made, err := s.cloud.AddMember(c.actor, c.path("group"), m.IAMID, m.Type)
		out := map[string]any{"iam_id": m.IAMID, "type": m.Type}
		if err == nil {
			out["created_at"], out["created_by_id"] = policyTime(made.CreatedAt), made.CreatedBy
		}
		members = append(members, outcome(out, 200, err))
	}
	return answer{status: 207, body: map[string]any{"members": members}, id: c.path("group")}, nil
}

func (s *Server) removeMembers(c *call) (answer, error) {
	var in struct {
		Members []string `json:"members"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	if _, err := s.cloud.GetGroup(c.actor, c.path("group")); err != nil {
		return answer{}, err
	}
	members := []map[string]any{}
	for _, id := range in.Members {
		members = append(members, outcome(map[string]any{"iam_id": id}, 204, s.cloud.RemoveMember(c.actor, c.path("group"), id)))
	}
	return answer{status: 207, body: map[string]any{"access_group_id": c.path("group"), "members": members}}, nil
}

func (s *Server) joinGroups(c *call) (answer, error) {
	var in struct {
		Type   string   `json:"type"`
		Groups []string `json:"groups"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	if err := c.ownAccount(); err != nil {
		return answer{}, err
	}
	groups := []map[string]any{}
	for _, id := range in.Groups {
		_, err := s.cloud.AddMember(c.actor, id, c.path("member"), in.Type)
		groups = append(groups, outcome(map[string]any{"access_group_id": id}, 200, err))
	}
	return answer{status: 207, body: map[string]any{"iam_id": c.path("member"), "groups": groups}}, nil
}

func (s *Server) leaveGroups(c *call) (answer, error) {
	if err := c.ownAccount(); err != nil {
		return answer{}, err
	}
	ids, err := s.cloud.GroupsOf(c.actor, c.path("member"))
	if err != nil {
		return answer{}, err
	}
	groups := []map[string]any{}
	for _, id := range ids {
		groups = append(groups, outcome(map[string]any{"access_group_id": id}, 204, s.cloud.RemoveMember(c.actor, id, c.path("member"))))
	}
	return answer{status: 207, body: map[string]any{"iam_id": c.path("member"), "groups": groups}}, nil
}

func (s *Server) isMember(c *call) (answer, error) {
	ok, err := s.cloud.IsMember(c.actor, c.path("group"), c.path("member"))
	if err == nil && !ok {
		err = &cloud.Error{Status: 404, Code: "not_found_error", Message: c.path("member") + " is not a member of the group"}
	}
	return answer{status: 204}, err
}

func (s *Server) removeMember(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.RemoveMember(c.actor, c.path("group"), c.path("member"))
}

// ownAccount checks the account of an operation on all groups.
func (c *call) ownAccount() error {
	switch c.query.Get("account_id") {
	case cloud.AccountID:
		return nil
	case "":
		return &cloud.Error{Status: 400, Code: "invalid_body", Message: "account_id is required"}
	}
	return &cloud.Error{Status: 403, Code: "insufficient_permissions", Message: "You are not authorized to use the groups of this account."}
}
