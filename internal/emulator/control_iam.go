package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

// addActor adds a user, a service ID or an access group: see [cloud.NewActor].
func (s *Server) addActor(body []byte) (any, error) {
	var n cloud.NewActor
	if err := strictJSON(body, &n); err != nil {
		return nil, err
	}
	return s.cloud.AddActor(n)
}

// revoke takes a role or a policy: see [cloud.Revocation].
func (s *Server) revoke(body []byte) (any, error) {
	var r cloud.Revocation
	if err := strictJSON(body, &r); err != nil {
		return nil, err
	}
	n, err := s.cloud.Pull(r)
	if err != nil {
		return nil, err
	}
	return map[string]int{"policies": n}, nil
}

// changeAccount changes account settings: see [cloud.AccountSettingsChange].
func (s *Server) changeAccount(body []byte) (any, error) {
	var ch cloud.AccountSettingsChange
	if err := strictJSON(body, &ch); err != nil {
		return nil, err
	}
	return s.cloud.ChangeAccount(ch)
}
