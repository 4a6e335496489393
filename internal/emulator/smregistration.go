package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

func registrationAnswer(status int, r cloud.Registration) answer {
	return answer{status: status, body: object{"event_notifications_instance_crn": r.InstanceCRN}}
}

func (s *Server) createRegistration(c *call) (answer, error) {
	var in cloud.Registration
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	r, err := s.cloud.CreateRegistration(c.actor, s.secretsInstance(c), in)
	if err != nil {
		return answer{}, err
	}
	return registrationAnswer(201, r), nil
}

func (s *Server) getRegistration(c *call) (answer, error) {
	r, err := s.cloud.GetRegistration(c.actor, s.secretsInstance(c))
	if err != nil {
		return answer{}, err
	}
	return registrationAnswer(200, r), nil
}

func (s *Server) deleteRegistration(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteRegistration(c.actor, s.secretsInstance(c))
}

func (s *Server) testRegistration(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.TestRegistration(c.actor, s.secretsInstance(c))
}
