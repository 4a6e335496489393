package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

// AppPlay is the body of POST /emulator/apps. It makes something happen to the
// next revision of an app, or to the newest one.
type AppPlay struct {
	Project string `json:"project"` // name or ID
	App     string `json:"app"`
	cloud.Play
	Delay Duration `json:"delay,omitzero"`
}

// playApp returns the app's roll-out after the play.
func (s *Server) playApp(body []byte) (any, error) {
	var in AppPlay
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	in.Play.Delay = in.Delay.Duration
	x, err := s.cloud.PlayApp(in.Project, in.App, in.Play)
	if err != nil {
		return nil, err
	}
	return x.Rollout, nil
}
