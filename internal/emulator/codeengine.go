package emulator

import (
	"cmp"
	"encoding/json"
	"maps"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// ceTime is the form of Code Engine's timestamps.
func ceTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var regionalHost = regexp.MustCompile(`^api\.(?:private\.)?([a-z]+-[a-z]+)\.codeengine\.cloud\.ibm\.com$`)

// region is that of the host which the client named, or "" for all.
func (c *call) region() string {
	if m := regionalHost.FindStringSubmatch(hostname(c.request.Host)); m != nil {
		return m[1]
	}
	return ""
}

func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

func (c *call) listQuery() (cloud.ListQuery, error) {
	limit, err := c.number("limit")
	return cloud.ListQuery{Limit: limit, Start: c.query.Get("start")}, err
}

func ceList[T any](c *call, field string, page cloud.Page[T], view func(T) map[string]any) answer {
	items := make([]map[string]any, 0, len(page.Items))
	for _, x := range page.Items {
		items = append(items, view(x))
	}
	body := map[string]any{field: items}
	link(c, body, page.Limit, page.Next)
	return answer{status: 200, body: body}
}

func projectBody(c *call) func(cloud.Project) map[string]any {
	return func(p cloud.Project) map[string]any {
		return map[string]any{
			"id": p.ID, "name": p.Name, "region": p.Region, "resource_group_id": p.ResourceGroupID, "account_id": p.AccountID,
			"crn": p.CRN, "status": p.Status, "created_at": ceTime(p.CreatedAt), "resource_type": "project_v2",
			"href": c.origin() + "/v2/projects/" + p.ID,
		}
	}
}

func (s *Server) listProjects(c *call) (answer, error) {
	q, err := c.listQuery()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListProjects(c.actor, c.region(), q)
	if err != nil {
		return answer{}, err
	}
	return ceList(c, "projects", page, projectBody(c)), nil
}

// createProject takes the region from the host; the field is an addition of
// the emulator, which serves all regions on one origin.
func (s *Server) createProject(c *call) (answer, error) {
	var in struct {
		Name            string `json:"name"`
		ResourceGroupID string `json:"resource_group_id"`
		Region          string `json:"region"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	p, err := s.cloud.CreateProject(c.actor, cloud.NewProject{Name: in.Name, ResourceGroupID: in.ResourceGroupID,
		Region: cmp.Or(c.region(), in.Region)})
	if err != nil {
		return answer{}, err
	}
	return answer{status: 202, body: projectBody(c)(p), id: p.ID}, nil
}

func (s *Server) getProject(c *call) (answer, error) {
	p, err := s.cloud.GetProject(c.actor, c.path("project"), c.region())
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: projectBody(c)(p)}, nil
}

func (s *Server) deleteProject(c *call) (answer, error) {
	return answer{status: 202}, s.cloud.DeleteProject(c.actor, c.path("project"), c.region())
}

func (s *Server) projectStatus(c *call) (answer, error) {
	p, err := s.cloud.GetProject(c.actor, c.path("project"), c.region())
	if err != nil {
		return answer{}, err
	}
	body := map[string]string{"project": "disabled", "domain": "unknown", "vpe": "not_enabled"}
	if p.Status == "active" {
		body["project"], body["domain"] = "enabled", "ready"
	}
	return answer{status: 200, body: body}, nil
}

func secretBody(c *call) func(cloud.Secret) map[string]any {
	return func(x cloud.Secret) map[string]any {
		out := map[string]any{
			"id": x.ID, "name": x.Name, "format": x.Format, "entity_tag": x.EntityTag, "created_at": ceTime(x.CreatedAt),
			"project_id": x.ProjectID, "region": x.Region, "resource_type": x.ResourceType(), "data": x.Data,
			"href": c.origin() + "/v2/projects/" + x.ProjectID + "/secrets/" + x.Name,
		}
		if x.Data == nil {
			out["data"] = map[string]string{}
		}
		if len(x.ServiceAccess) > 0 {
			out["service_access"] = x.ServiceAccess
		}
		if len(x.ServiceOperator) > 0 {
			out["service_operator"] = x.ServiceOperator
		}
		return out
	}
}

func (c *call) secret() (cloud.NewSecret, error) {
	var in struct {
		Name            string            `json:"name"`
		Format          string            `json:"format"`
		Data            map[string]string `json:"data"`
		ServiceAccess   json.RawMessage   `json:"service_access"`
		ServiceOperator json.RawMessage   `json:"service_operator"`
	}
	err := c.json(&in)
	return cloud.NewSecret{Name: in.Name, Format: in.Format, Data: in.Data,
		ServiceAccess: in.ServiceAccess, ServiceOperator: in.ServiceOperator}, err
}

func (s *Server) listSecrets(c *call) (answer, error) {
	q, err := c.listQuery()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListSecrets(c.actor, c.path("project"), c.query.Get("format"), q)
	if err != nil {
		return answer{}, err
	}
	return ceList(c, "secrets", page, secretBody(c)), nil
}

func secretAnswer(c *call, status int, x cloud.Secret) answer {
	return answer{status: status, etag: x.EntityTag, body: secretBody(c)(x), id: x.ID}
}

func (s *Server) createSecret(c *call) (answer, error) {
	in, err := c.secret()
	if err != nil {
		return answer{}, err
	}
	x, err := s.cloud.CreateSecret(c.actor, c.path("project"), in)
	if err != nil {
		return answer{}, err
	}
	return secretAnswer(c, 201, x), nil
}

func (s *Server) getSecret(c *call) (answer, error) {
	x, err := s.cloud.GetSecret(c.actor, c.path("project"), c.path("name"))
	if err != nil {
		return answer{}, err
	}
	return secretAnswer(c, 200, x), nil
}

func (s *Server) replaceSecret(c *call) (answer, error) {
	in, err := c.secret()
	if err != nil {
		return answer{}, err
	}
	x, err := s.cloud.ReplaceSecret(c.actor, c.path("project"), c.path("name"), c.header("If-Match"), in)
	if err != nil {
		return answer{}, err
	}
	return secretAnswer(c, 200, x), nil
}

func (s *Server) deleteSecret(c *call) (answer, error) {
	return answer{status: 202}, s.cloud.DeleteSecret(c.actor, c.path("project"), c.path("name"))
}

// separated is the first API version that keeps Code Engine's own variables
// out of run_env_variables.
const separated = "2024-05-13"

// appBody is an app as the API version of the call shows it.
func (s *Server) appBody(c *call) func(cloud.App) map[string]any {
	version := c.query.Get("version")
	mixed := version != "" && version < separated || version == "" && s.cloud.Switches().VersionlessIsOldest
	return func(x cloud.App) map[string]any {
		out := maps.Clone(x.Spec)
		internal := []any{}
		for _, v := range [][2]string{{"CE_APP", x.Name}, {"CE_PROJECT_ID", x.ProjectID}, {"CE_REGION", x.Region}} {
			internal = append(internal, map[string]any{"type": "literal", "name": v[0], "value": v[1]})
		}
		if mixed {
			own, _ := out["run_env_variables"].([]any)
			out["run_env_variables"] = slices.Concat(own, internal)
		} else {
			out["computed_env_variables"] = internal
		}
		maps.Copy(out, map[string]any{
			"id": x.ID, "name": x.Name, "entity_tag": x.EntityTag, "created_at": ceTime(x.CreatedAt),
			"project_id": x.ProjectID, "region": x.Region, "resource_type": "app_v2", "status": "ready",
			"href":     c.origin() + "/v2/projects/" + x.ProjectID + "/apps/" + x.Name,
			"endpoint": "https://" + x.Name + "." + x.ProjectID[:12] + "." + x.Region + ".codeengine.appdomain.cloud",
			"status_details": map[string]any{
				"latest_created_revision": x.Revision(), "latest_ready_revision": x.Revision(), "reason": "ready",
			},
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
	return ceList(c, "apps", page, s.appBody(c)), nil
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

func (s *Server) revisionBody(c *call, x cloud.App) func(string) map[string]any {
	return func(name string) map[string]any {
		// Only the newest revision's fields are kept: all revisions show them.
		out := s.appBody(c)(x)
		for _, k := range []string{"entity_tag", "endpoint", "managed_domain_mappings"} {
			delete(out, k)
		}
		maps.Copy(out, map[string]any{
			"name": name, "app_name": x.Name, "id": x.ID + "/" + name, "resource_type": "app_revision_v2",
			"href":           c.origin() + "/v2/projects/" + x.ProjectID + "/apps/" + x.Name + "/revisions/" + name,
			"status_details": map[string]any{"actual_instances": 0, "reason": "ready"},
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
	return ceList(c, "revisions", page, s.revisionBody(c, x)), nil
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
