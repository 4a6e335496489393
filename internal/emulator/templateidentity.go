package emulator

import (
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// identityTemplateBody is the view of a template of IAM identity.
func (c *call) identityTemplateBody(kind cloud.TemplateKind) func(cloud.Template) object {
	return func(t cloud.Template) object {
		out := fields(t, policyTime, "etag", "state")
		out["version"], out["entity_tag"] = number(t.Version), t.ETag
		out["crn"] = "crn:v1:bluemix:public:iam-identity::a/" + t.AccountID + "::" + string(kind) + "_template:" + t.ID
		if c.flag("include_history") {
			out["history"] = changes(t.CreatedAt, t.CreatedBy, t.ModifiedAt, t.ModifiedBy)
		}
		return out
	}
}

// number returns a version as IAM identity writes it.
func number(version string) int {
	n, _ := strconv.Atoi(version) // the emulator made it
	return n
}

// changes is a history of a creation and the latest change.
func changes(created time.Time, creator string, modified time.Time, modifier string) []object {
	out := []cloud.HistoryRecord{{Timestamp: created, IAMID: creator, Action: "CREATED", Message: "Created"}}
	if !modified.Equal(created) {
		out = append(out, cloud.HistoryRecord{Timestamp: modified, IAMID: modifier, Action: "UPDATED", Message: "UPDATED"})
	}
	return views(out, historyBody)
}

// identityAssignmentBody is the view of an assignment of IAM identity.
func (c *call) identityAssignmentBody(kind cloud.TemplateKind) func(cloud.Assignment) object {
	return func(x cloud.Assignment) object {
		out := fields(x, policyTime, "etag", "resource_id", "target", "template", "operation")
		out["context"] = c.identityContext("get")
		out["template_id"], out["template_version"], out["entity_tag"] = x.Template.ID, number(x.Template.Version), x.ETag
		out["target_type"], out["target"] = x.Target.Type, x.Target.ID
		created := func(of cloud.TemplateRef, id string) object {
			return object{"id": of.ID, "version": of.Version, "resource_created": object{"id": id}, "status": x.Status}
		}
		resource := object{"target": x.Target.ID, string(kind): created(x.Template, x.ResourceID)}
		if len(x.Policies) > 0 {
			resource["policy_template_references"] = views(x.Policies, func(p cloud.TemplateRef) object { return created(p, p.ID) })
		}
		out["resources"] = []object{resource}
		out["href"] = c.origin() + "/v1/" + string(kind) + "_assignments/" + x.ID
		if c.flag("include_history") {
			out["history"] = changes(x.CreatedAt, x.CreatedBy, x.ModifiedAt, x.ModifiedBy)
		}
		return out
	}
}

func (s *Server) assignIdentity(c *call, kind cloud.TemplateKind) (answer, error) {
	var in struct {
		TemplateID string `json:"template_id"`
		Version    int    `json:"template_version"`
		TargetType string `json:"target_type"`
		Target     string `json:"target"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	if in.TemplateID == "" || in.Version == 0 {
		return answer{}, &cloud.Error{Status: 400, Code: c.family.badBody, Message: "Validation error", Details: "template_id and template_version are required"}
	}
	list, err := s.cloud.Assign(c.actor, kind, cloud.AssignmentTarget{Type: in.TargetType, ID: in.Target},
		[]cloud.TemplateRef{{ID: in.TemplateID, Version: strconv.Itoa(in.Version)}})
	if err != nil {
		return answer{}, err
	}
	return assignmentAnswer(c, kind, 202, list[0], nil)
}

func (s *Server) reassignIdentity(c *call, kind cloud.TemplateKind) (answer, error) {
	var in struct {
		Version int `json:"template_version"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	version := ""
	if in.Version != 0 {
		version = strconv.Itoa(in.Version)
	}
	x, err := s.cloud.UpdateAssignment(c.actor, kind, c.path("id"), c.header("If-Match"), version)
	return assignmentAnswer(c, kind, 202, x, err)
}

func (s *Server) unassignIdentity(c *call, kind cloud.TemplateKind) (answer, error) {
	return answer{status: 202}, s.cloud.Unassign(c.actor, kind, c.path("id"))
}

func (s *Server) getEffectiveSettings(c *call) (answer, error) {
	x, err := s.cloud.EffectiveAccountSettings(c.actor, c.path("account"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	own := fields(x.Account, cloud.FormatTime, "history")
	own["history"] = views(x.Account.History, historyBody)
	return answer{status: 200, body: object{
		"context": c.identityContext("get"), "account_id": x.AccountID, "account": own,
		"effective": fields(x.Effective, cloud.FormatTime, "history", "entity_tag", "account_id", "restrict_user_domains"),
		"assigned_templates": views(x.Assigned, func(t cloud.Template) object {
			out := fields(*t.Settings, cloud.FormatTime)
			out["template_id"], out["template_version"], out["template_name"] = t.ID, number(t.Version), t.Name
			return out
		}),
	}}, nil
}
