package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// workloadRoutes returns the operations of a kind. change is the method of an
// update, or empty.
func workloadRoutes(kind cloud.Kind, change string, created int) []route {
	const base = "/v2/projects/{project}/"
	list := base + string(kind)
	one := list + "/{name}"
	out := []route{
		{"GET", list, familyCodeEngine, func(s *Server, c *call) (answer, error) { return s.listWorkloads(c, kind) }},
		{"POST", list, familyCodeEngine, func(s *Server, c *call) (answer, error) { return s.createWorkload(c, kind, created) }},
		{"GET", one, familyCodeEngine, func(s *Server, c *call) (answer, error) {
			x, err := s.cloud.GetWorkload(c.actor, c.path("project"), kind, c.path("name"))
			return s.workloadAnswer(c, 200, x, err)
		}},
		{"DELETE", one, familyCodeEngine, func(s *Server, c *call) (answer, error) {
			return answer{status: 202}, s.cloud.DeleteWorkload(c.actor, c.path("project"), kind, c.path("name"))
		}},
	}
	if change != "" {
		out = append(out, route{change, one, familyCodeEngine, func(s *Server, c *call) (answer, error) {
			var patch map[string]any
			if err := c.json(&patch); err != nil {
				return answer{}, err
			}
			x, err := s.cloud.UpdateWorkload(c.actor, c.path("project"), kind, c.path("name"), c.header("If-Match"), patch)
			return s.workloadAnswer(c, 200, x, err)
		}})
	}
	return out
}

func (s *Server) workloadBody(c *call) func(cloud.Workload) map[string]any {
	return func(x cloud.Workload) map[string]any {
		out := maps.Clone(x.Spec)
		maps.Copy(out, fields(x, ceTime, "kind", "spec", "reason"))
		out["resource_type"] = x.ResourceType()
		out["href"] = c.origin() + "/v2/projects/" + x.ProjectID + "/" + string(x.Kind) + "/" + x.Name
		job, _ := x.Spec["job_name"].(string)
		switch x.Kind {
		case cloud.Jobs:
			s.asVersion(c, out, "CE_JOB", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
		case cloud.Functions:
			s.asVersion(c, out, "CE_FUNCTION", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
			out["status_details"] = map[string]any{"reason": x.Reason}
			out["endpoint"] = "https://" + x.Name + "." + x.ProjectID[:12] + "." + x.Region + ".codeengine.appdomain.cloud"
		case cloud.JobRuns:
			s.asVersion(c, out, "CE_JOB", job, "CE_JOBRUN", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
			delete(out, "entity_tag")
			out["status_details"] = map[string]any{"requested": 0, "pending": 0, "running": 0, "failed": 0, "succeeded": 1,
				"start_time": ceTime(x.CreatedAt), "completion_time": ceTime(x.CreatedAt)}
		case cloud.Builds:
			out["status_details"] = map[string]any{"reason": x.Reason}
		case cloud.BuildRuns:
			delete(out, "entity_tag")
			details := map[string]any{"reason": x.Reason, "start_time": ceTime(x.CreatedAt), "completion_time": ceTime(x.CreatedAt)}
			if sum := sha256.Sum256([]byte(x.ID)); x.Status == "succeeded" {
				details["output_digest"] = "sha256:" + hex.EncodeToString(sum[:])
			}
			out["status_details"] = details
		case cloud.Bindings:
			for _, k := range []string{"name", "entity_tag", "region", "created_at"} {
				delete(out, k)
			}
		case cloud.DomainMappings:
			out["status_details"] = map[string]any{"reason": x.Reason}
			out["user_managed"], out["visibility"] = true, "custom"
			out["cname_target"] = "custom." + x.ProjectID[:8] + x.ProjectID[9:12] + "." + x.Region + ".codeengine.appdomain.cloud"
		}
		return out
	}
}

func (s *Server) workloadAnswer(c *call, status int, x cloud.Workload, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	out := answer{status: status, body: s.workloadBody(c)(x), id: x.ID}
	if x.Kind != cloud.JobRuns && x.Kind != cloud.BuildRuns && x.Kind != cloud.Bindings {
		out.etag = x.EntityTag
	}
	return out, nil
}

func (s *Server) listWorkloads(c *call, kind cloud.Kind) (answer, error) {
	q, err := c.listQuery()
	if err != nil {
		return answer{}, err
	}
	origin := ""
	switch kind {
	case cloud.JobRuns:
		origin = c.query.Get("job_name")
	case cloud.BuildRuns:
		origin = c.query.Get("build_name")
	}
	page, err := s.cloud.ListWorkloads(c.actor, c.path("project"), kind, origin, q)
	if err != nil {
		return answer{}, err
	}
	return startPage(c, string(kind), page, s.workloadBody(c)), nil
}

func (s *Server) createWorkload(c *call, kind cloud.Kind, status int) (answer, error) {
	var in map[string]any
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	name, _ := in["name"].(string)
	x, err := s.cloud.CreateWorkload(c.actor, c.path("project"), kind, name, in)
	return s.workloadAnswer(c, status, x, err)
}
