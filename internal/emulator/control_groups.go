package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

// addGroup adds an access group: see [cloud.NewGroup].
func (s *Server) addGroup(body []byte) (any, error) {
	var n cloud.NewGroup
	if err := strictJSON(body, &n); err != nil {
		return nil, err
	}
	return s.cloud.AddGroup(n)
}

// changeGroup changes an access group: see [cloud.GroupChange].
func (s *Server) changeGroup(r controlRequest) (any, error) {
	var ch cloud.GroupChange
	if err := strictJSON(r.body, &ch); err != nil {
		return nil, err
	}
	return s.cloud.ChangeGroup(r.id, ch)
}
