package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// ceTime formats a time as Code Engine does.
func ceTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var regionalHost = regexp.MustCompile(`^api\.(?:private\.)?([a-z]+-[a-z]+)\.codeengine\.cloud\.ibm\.com$`)

// region returns the region in the request's host, or an empty string for all
// regions.
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

// bearerOf returns the access token of a request. Code Engine also takes one
// without a scheme, as IBM's examples with curl send it
// (cedoc/getting-started-api.md).
func bearerOf(f *family, r *http.Request) string {
	if header := r.Header.Get("Authorization"); f == familyCodeEngine && !strings.Contains(header, " ") {
		return header
	}
	return bearer(r)
}

func (c *call) listQuery() (cloud.ListQuery, error) {
	limit, err := c.number("limit")
	return cloud.ListQuery{Limit: limit, Start: c.query.Get("start")}, err
}

func (c *call) projectBody(p cloud.Project) object {
	out := fields(p, ceTime)
	out["resource_type"], out["href"] = "project_v2", c.origin()+"/v2/projects/"+p.ID
	return out
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
	return startPage(c, "projects", page, c.projectBody), nil
}

// createProject takes the region from the host. The field region is an addition
// of the emulator, which serves all regions on one origin.
func (s *Server) createProject(c *call) (answer, error) {
	var n cloud.NewProject
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	n.Region = cmp.Or(c.region(), n.Region)
	p, err := s.cloud.CreateProject(c.actor, n)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 202, body: c.projectBody(p), id: p.ID}, nil
}

func (s *Server) getProject(c *call) (answer, error) {
	p, err := s.cloud.GetProject(c.actor, c.path("project"), c.region())
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: c.projectBody(p)}, nil
}

func (s *Server) deleteProject(c *call) (answer, error) {
	return answer{status: 202}, s.cloud.DeleteProject(c.actor, c.path("project"), c.region())
}

func (s *Server) projectStatus(c *call) (answer, error) {
	p, err := s.cloud.GetProject(c.actor, c.path("project"), c.region())
	if err != nil {
		return answer{}, err
	}
	body := object{"project": "disabled", "domain": "unknown", "vpe": "unknown", "cbr": object{"data_plane": object{
		"enforcement": "none", "inbound_private": "allowed", "inbound_public": "allowed",
	}}}
	if p.Status == "active" {
		body["project"], body["domain"], body["vpe"] = "enabled", "ready", "ready"
	}
	if s.cloud.Switches().VPENotEnabled {
		body["vpe"], body["vpe_not_enabled"] = "unknown", true
	}
	return answer{status: 200, body: body}, nil
}

// egressIPs returns addresses of the blocks that are for documents: nothing runs
// that could send from them.
func (s *Server) egressIPs(c *call) (answer, error) {
	if _, err := s.cloud.GetProject(c.actor, c.path("project"), c.region()); err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: object{"private": []string{"198.51.100.10", "198.51.100.11"}, "public": []string{"203.0.113.10", "203.0.113.11"}}}, nil
}

func (c *call) secretBody(x cloud.Secret) object {
	out := fields(x, ceTime)
	if len(x.Data) == 0 {
		out["data"] = object{}
	}
	out["resource_type"], out["href"] = x.ResourceType(), c.origin()+"/v2/projects/"+x.ProjectID+"/secrets/"+x.Name
	return out
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
	return startPage(c, "secrets", page, c.secretBody), nil
}

func secretAnswer(c *call, status int, x cloud.Secret) answer {
	return answer{status: status, etag: x.EntityTag, body: c.secretBody(x), id: x.ID}
}

func (s *Server) createSecret(c *call) (answer, error) {
	var n cloud.NewSecret
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.CreateSecret(c.actor, c.path("project"), n)
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
	var n cloud.NewSecret
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.ReplaceSecret(c.actor, c.path("project"), c.path("name"), c.header("If-Match"), n)
	if err != nil {
		return answer{}, err
	}
	return secretAnswer(c, 200, x), nil
}

func (s *Server) deleteSecret(c *call) (answer, error) {
	return answer{status: 202}, s.cloud.DeleteSecret(c.actor, c.path("project"), c.path("name"))
}

// The API versions that changed the form of apps, jobs and functions
// (cedoc/api-changelog.md).
const (
	separateVariables = "2024-05-13" // CE_ variables are not in run_env_variables
	namelessMounts    = "2025-07-10" // entries of run_volume_mounts have no name
)

// since reports whether the call asks for an API version or a later one.
func (s *Server) since(c *call, version string) bool {
	asked := c.query.Get("version")
	return asked >= version || asked == "" && !s.cloud.Switches().VersionlessIsOldest
}

// asVersion adds the variables that Code Engine sets and gives the body the form
// of the call's API version. names has pairs of a variable and its value.
func (s *Server) asVersion(c *call, body object, names ...string) {
	own := []any{}
	for pair := range slices.Chunk(names, 2) {
		if pair[1] == "" {
			continue // a run without a job
		}
		own = append(own, object{"type": "literal", "name": pair[0], "value": pair[1]})
	}
	if s.since(c, separateVariables) {
		body["computed_env_variables"] = own
	} else {
		theirs, _ := body["run_env_variables"].([]any)
		body["run_env_variables"] = slices.Concat(theirs, own)
	}
	nameless := s.since(c, namelessMounts)
	mounts, _ := body["run_volume_mounts"].([]any)
	for _, m := range mounts {
		mount, _ := m.(object)
		switch reference, _ := mount["reference"].(string); {
		case nameless:
			delete(mount, "name")
		case mount["name"] == nil:
			sum := sha256.Sum256(fmt.Append(nil, mount["mount_path"]))
			mount["name"] = strings.ReplaceAll(reference[:min(len(reference), 58)], ".", "-") + "-" + hex.EncodeToString(sum[:2])
		}
	}
}
