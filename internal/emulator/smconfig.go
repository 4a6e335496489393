package emulator

import (
	"maps"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func engineMetadata(e cloud.Engine) object {
	return object{"name": e.Name, "config_type": e.Type, "secret_type": e.SecretType(),
		"created_at": smTime(e.CreatedAt), "created_by": e.CreatedBy, "updated_at": smTime(e.UpdatedAt)}
}

func engineBody(e cloud.Engine) object {
	out := engineMetadata(e)
	if e.Type != cloud.CustomEngine {
		maps.Copy(out, e.Fields)
		return out
	}
	out["code_engine"] = map[string]string{"job_name": e.JobName, "project_id": e.ProjectID, "region": e.Region}
	out["task_timeout"] = e.TaskTimeout
	out["schema"] = object{"parameters": e.Parameters, "credentials": e.Credentials}
	if e.APIKeyRef != "" {
		out["api_key_ref"] = e.APIKeyRef
	}
	return out
}

// engineType is the type that the caller requires of a configuration.
func (c *call) engineType() string { return c.header("X-Sm-Accept-Configuration-Type") }

func (s *Server) listEngines(c *call) (answer, error) {
	offset, limit, err := c.offsetAndLimit()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListEngines(c.actor, s.secretsInstance(c), cloud.EngineQuery{Offset: offset, Limit: limit,
		Sort: c.query.Get("sort"), Search: c.query.Get("search"), SecretTypes: splitList(c.query.Get("secret_types"))})
	if err != nil {
		return answer{}, err
	}
	return offsetPage(c, "configurations", page, engineMetadata), nil
}

func (s *Server) createEngine(c *call) (answer, error) {
	var in struct {
		Name       string `json:"name"`
		ConfigType string `json:"config_type"`
		APIKeyRef  string `json:"api_key_ref"`
		CodeEngine struct {
			JobName   string `json:"job_name"`
			ProjectID string `json:"project_id"`
			Region    string `json:"region"`
		} `json:"code_engine"`
		TaskTimeout cloud.TTL `json:"task_timeout"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	fields := map[string]any{}
	if err := c.json(&fields); err != nil {
		return answer{}, err
	}
	e, err := s.cloud.CreateEngine(c.actor, s.secretsInstance(c), cloud.Engine{Type: in.ConfigType, Name: in.Name, JobName: in.CodeEngine.JobName,
		ProjectID: in.CodeEngine.ProjectID, Region: in.CodeEngine.Region, APIKeyRef: in.APIKeyRef, TaskTimeout: string(in.TaskTimeout), Fields: fields})
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: engineBody(e), id: e.Name}, nil
}

func (s *Server) getEngine(c *call) (answer, error) {
	e, err := s.cloud.GetEngine(c.actor, s.secretsInstance(c), c.path("name"), c.engineType())
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: engineBody(e)}, nil
}

func (s *Server) updateEngine(c *call) (answer, error) {
	patch := map[string]any{}
	if err := c.json(&patch); err != nil {
		return answer{}, err
	}
	e, err := s.cloud.UpdateEngine(c.actor, s.secretsInstance(c), c.path("name"), c.engineType(), patch)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: engineBody(e)}, nil
}

func (s *Server) deleteEngine(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteEngine(c.actor, s.secretsInstance(c), c.path("name"), c.engineType())
}

// actionType reads the body of an action.
func (c *call) actionType() (string, error) {
	var in struct {
		ActionType string `json:"action_type"`
	}
	return in.ActionType, c.json(&in)
}

func (s *Server) createEngineAction(c *call) (answer, error) {
	kind, err := c.actionType()
	if err != nil {
		return answer{}, err
	}
	return answer{}, s.cloud.CreateEngineAction(c.actor, s.secretsInstance(c), c.path("name"), c.engineType(), kind)
}

func (s *Server) createSecretAction(c *call) (answer, error) {
	kind, err := c.actionType()
	if err != nil {
		return answer{}, err
	}
	return answer{}, s.cloud.CreateSecretAction(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"), kind)
}
