package emulator

import (
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func taskBody(t cloud.SecretTask) object { return fields(t, smTime) }

func (s *Server) listSecretTasks(c *call) (answer, error) {
	tasks, err := s.cloud.ListSecretTasks(c.actor, s.secretsInstance(c), c.path("secret"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: object{"tasks": views(tasks, taskBody)}}, nil
}

func (s *Server) getSecretTask(c *call) (answer, error) {
	t, err := s.cloud.GetSecretTask(c.actor, s.secretsInstance(c), c.path("secret"), c.path("task"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: taskBody(t)}, nil
}

func (s *Server) replaceSecretTask(c *call) (answer, error) {
	var in struct {
		Status      string `json:"status"`
		Credentials struct {
			ID      string         `json:"id"`
			Payload map[string]any `json:"payload"`
		} `json:"credentials"`
		Errors []cloud.TaskError `json:"errors"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	t, err := s.cloud.ReplaceSecretTask(c.actor, s.secretsInstance(c), c.path("secret"), c.path("task"), cloud.TaskUpdate{
		Status: in.Status, CredentialsID: in.Credentials.ID, Payload: in.Credentials.Payload, Errors: in.Errors,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: taskBody(t)}, nil
}

func (s *Server) deleteSecretTask(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteSecretTask(c.actor, s.secretsInstance(c), c.path("secret"), c.path("task"))
}

func engineMetadata(e cloud.Engine) map[string]any {
	return map[string]any{"name": e.Name, "config_type": e.Type, "secret_type": cloud.CustomCredentials,
		"created_at": smTime(e.CreatedAt), "created_by": e.CreatedBy, "updated_at": smTime(e.UpdatedAt)}
}

func engineBody(e cloud.Engine) map[string]any {
	out := engineMetadata(e)
	out["code_engine"] = map[string]string{"job_name": e.JobName, "project_id": e.ProjectID, "region": e.Region}
	out["task_timeout"] = e.TaskTimeout
	out["schema"] = map[string]any{"parameters": e.Parameters, "credentials": e.Credentials}
	if e.APIKeyRef != "" {
		out["api_key_ref"] = e.APIKeyRef
	}
	return out
}

func (s *Server) listEngines(c *call) (answer, error) {
	offset, limit, err := c.offsetAndLimit()
	if err != nil {
		return answer{}, err
	}
	engines, err := s.cloud.ListEngines(c.actor, s.secretsInstance(c))
	if err != nil {
		return answer{}, err
	}
	found := []cloud.Engine{}
	for _, e := range engines {
		if strings.Contains(e.Name, c.query.Get("search")) {
			found = append(found, e)
		}
	}
	if limit == 0 {
		limit = 200
	}
	from := min(offset, len(found))
	return offsetPage(c, "configurations", cloud.Slice[cloud.Engine]{
		Items: found[from:min(from+limit, len(found))], Limit: limit, Offset: offset, Total: len(found),
	}, engineMetadata), nil
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
	e, err := s.cloud.CreateEngine(c.actor, s.secretsInstance(c), cloud.Engine{Type: in.ConfigType, Name: in.Name, JobName: in.CodeEngine.JobName,
		ProjectID: in.CodeEngine.ProjectID, Region: in.CodeEngine.Region, APIKeyRef: in.APIKeyRef, TaskTimeout: string(in.TaskTimeout)})
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: engineBody(e), id: e.Name}, nil
}

func (s *Server) getEngine(c *call) (answer, error) {
	e, err := s.cloud.GetEngine(c.actor, s.secretsInstance(c), c.path("name"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: engineBody(e)}, nil
}

func (s *Server) deleteEngine(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteEngine(c.actor, s.secretsInstance(c), c.path("name"))
}
