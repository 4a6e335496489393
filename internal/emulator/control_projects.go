package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

// giveProject adds a Code Engine project and returns it.
func (s *Server) giveProject(body []byte) (any, error) {
	var in cloud.GivenProject
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	p, err := s.cloud.GiveProject(in)
	if err != nil {
		return nil, err
	}
	return Project{ID: p.ID, Name: p.Name, Region: p.Region}, nil
}
