package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

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
