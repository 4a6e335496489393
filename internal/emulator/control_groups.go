package emulator

import (
	"net/http"
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// controlGroups serves what is below /emulator/groups. It reports false for an
// operation that does not exist.
func (s *Server) controlGroups(method, path string, body []byte) (out any, known bool, err error) {
	id, one := strings.CutPrefix(path, "groups/")
	switch {
	case path == "groups" && method == http.MethodGet:
		return s.cloud.State(false).Groups, true, nil
	case path == "groups" && method == http.MethodPost:
		var n cloud.NewGroup
		if err := strictJSON(body, &n); err != nil {
			return nil, true, err
		}
		out, err = s.cloud.AddGroup(n)
	case one && method == http.MethodPost:
		var ch cloud.GroupChange
		if err := strictJSON(body, &ch); err != nil {
			return nil, true, err
		}
		out, err = s.cloud.ChangeGroup(id, ch)
	case one && method == http.MethodDelete:
		if err := s.cloud.RemoveGroup(id); err != nil {
			return nil, true, err
		}
		return s.cloud.State(false).Groups, true, nil
	default:
		return nil, false, nil
	}
	return out, true, err
}
