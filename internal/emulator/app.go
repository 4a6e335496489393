package emulator

import (
	"maps"
	"slices"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// appBody writes an app as the API version of the call shows it.
func (s *Server) appBody(c *call) func(cloud.App) map[string]any {
	return func(x cloud.App) map[string]any {
		out := maps.Clone(x.Spec)
		s.asVersion(c, out, "CE_APP", x.Name, "CE_PROJECT_ID", x.ProjectID, "CE_REGION", x.Region)
		maps.Copy(out, fields(x, ceTime, "spec", "revisions", "rollout"))
		details := map[string]any{"latest_created_revision": x.Rollout.Created, "reason": x.Rollout.Reason}
		if x.Rollout.Ready != "" {
			details["latest_ready_revision"] = x.Rollout.Ready
		}
		maps.Copy(out, map[string]any{
			"resource_type": "app_v2", "status": x.Rollout.Status, "status_details": details,
			"href":     c.origin() + "/v2/projects/" + x.ProjectID + "/apps/" + x.Name,
			"endpoint": "https://" + x.Name + "." + x.ProjectID[:12] + "." + x.Region + ".codeengine.appdomain.cloud",
		})
		return out
	}
}

func (s *Server) appAnswer(c *call, status int, x cloud.App) answer {
	return answer{status: status, etag: x.EntityTag, body: s.appBody(c)(x), id: x.ID}
}

func (s *Server) listApps(c *call) (answer, error) {
	q, err := c.listQuery()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListApps(c.actor, c.path("project"), q)
	if err != nil {
		return answer{}, err
	}
	return startPage(c, "apps", page, s.appBody(c)), nil
}

func (s *Server) createApp(c *call) (answer, error) {
	var in map[string]any
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	name, _ := in["name"].(string)
	x, err := s.cloud.CreateApp(c.actor, c.path("project"), name, in)
	if err != nil {
		return answer{}, err
	}
	return s.appAnswer(c, 201, x), nil
}

func (s *Server) getApp(c *call) (answer, error) {
	x, err := s.cloud.GetApp(c.actor, c.path("project"), c.path("name"))
	if err != nil {
		return answer{}, err
	}
	return s.appAnswer(c, 200, x), nil
}

func (s *Server) updateApp(c *call) (answer, error) {
	var patch map[string]any
	if err := c.json(&patch); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.UpdateApp(c.actor, c.path("project"), c.path("name"), c.header("If-Match"), patch)
	if err != nil {
		return answer{}, err
	}
	return s.appAnswer(c, 200, x), nil
}

func (s *Server) deleteApp(c *call) (answer, error) {
	return answer{status: 202}, s.cloud.DeleteApp(c.actor, c.path("project"), c.path("name"))
}

func (s *Server) deleteRevision(c *call) (answer, error) {
	return answer{status: 202}, s.cloud.DeleteRevision(c.actor, c.path("project"), c.path("name"), c.path("revision"))
}

func (s *Server) revisionBody(c *call, x cloud.App) func(string) map[string]any {
	return func(name string) map[string]any {
		own := x
		own.Spec = x.Specs[name]
		out := s.appBody(c)(own)
		for _, k := range []string{"entity_tag", "endpoint", "managed_domain_mappings"} {
			delete(out, k)
		}
		status := x.Rollout.Revisions[slices.Index(x.Revisions, name)]
		instances := 0
		if least, _ := out["scale_min_instances"].(float64); status.Status == "ready" {
			instances = int(least)
		}
		maps.Copy(out, map[string]any{
			"status": status.Status, "name": name, "app_name": x.Name, "id": x.ID + "/" + name, "resource_type": "app_revision_v2",
			"href":           c.origin() + "/v2/projects/" + x.ProjectID + "/apps/" + x.Name + "/revisions/" + name,
			"status_details": map[string]any{"actual_instances": instances, "reason": status.Reason},
		})
		return out
	}
}

func (s *Server) listRevisions(c *call) (answer, error) {
	q, err := c.listQuery()
	if err != nil {
		return answer{}, err
	}
	x, page, err := s.cloud.ListRevisions(c.actor, c.path("project"), c.path("name"), q)
	if err != nil {
		return answer{}, err
	}
	return startPage(c, "revisions", page, s.revisionBody(c, x)), nil
}

func (s *Server) getRevision(c *call) (answer, error) {
	x, err := s.cloud.GetApp(c.actor, c.path("project"), c.path("name"))
	if err != nil {
		return answer{}, err
	}
	if !slices.Contains(x.Revisions, c.path("revision")) {
		return answer{}, &cloud.Error{Status: 404, Code: "resource_not_found", Message: "Resource not found."}
	}
	return answer{status: 200, body: s.revisionBody(c, x)(c.path("revision"))}, nil
}
