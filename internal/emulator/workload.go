package emulator

import (
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
		maps.Copy(out, fields(x, ceTime, "kind", "spec"))
		out["resource_type"] = x.ResourceType()
		out["href"] = c.origin() + "/v2/projects/" + x.ProjectID + "/" + string(x.Kind) + "/" + x.Name
		job, _ := x.Spec["job_name"].(string)
		switch x.Kind {
		case cloud.Jobs:
			s.asVersion(c, out, "CE_JOB", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
		case cloud.Functions:
			s.asVersion(c, out, "CE_FUNCTION", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
			out["status"], out["status_details"] = "ready", map[string]any{"reason": "ready"}
			out["endpoint"] = "https://" + x.Name + "." + x.ProjectID[:12] + "." + x.Region + ".codeengine.appdomain.cloud"
		case cloud.JobRuns:
			s.asVersion(c, out, "CE_JOB", job, "CE_JOBRUN", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
			delete(out, "entity_tag")
			out["status"] = "completed"
			out["status_details"] = map[string]any{"requested": 0, "pending": 0, "running": 0, "failed": 0, "succeeded": 1,
				"start_time": ceTime(x.CreatedAt), "completion_time": ceTime(x.CreatedAt)}
		}
		return out
	}
}

func (s *Server) workloadAnswer(c *call, status int, x cloud.Workload, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	out := answer{status: status, body: s.workloadBody(c)(x), id: x.ID}
	if x.Kind != cloud.JobRuns {
		out.etag = x.EntityTag
	}
	return out, nil
}

func (s *Server) listWorkloads(c *call, kind cloud.Kind) (answer, error) {
	q, err := c.listQuery()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListWorkloads(c.actor, c.path("project"), kind, c.query.Get("job_name"), q)
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
