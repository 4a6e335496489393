package emulator

import (
	"net/http"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// leak makes IBM's scanner find a key. What it changes is audited. Guessed: the
// initiator and its kind.
func (s *Server) leak(body []byte) (any, error) {
	var in struct {
		ID     string `json:"id"`
		APIKey string `json:"apikey"`
		Where  string `json:"where"`
	}
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	if in.Where == "" {
		in.Where = "https://github.com/example/app/blob/main/.env"
	}
	before := s.cloud.Resource(in.ID)
	if in.ID == "" {
		before = s.cloud.KeyResource(in.APIKey)
	}
	found, err := s.cloud.LeakKey(in.ID, in.APIKey, in.Where)
	if err != nil {
		return nil, err
	}
	if found.Action != "none" && s.hub.hasSubscriber(KindAudit) {
		s.leakAudit(found, before)
	}
	return found, nil
}

func (s *Server) leakAudit(found cloud.Leak, key cloud.Resource) {
	action, status := "iam-identity.serviceid-apikey.", http.StatusOK
	if key.OfUser {
		action = "iam-identity.user-apikey."
	}
	if found.Action == "delete" {
		action, status = action+"delete", http.StatusNoContent
	} else {
		action += "update"
	}
	now := s.Now()
	r := s.auditOf(now, action, key, "crn:v1:bluemix:public:iam-identity:global:a/"+cloud.AccountID+":::", status)
	r.Initiator = map[string]any{"id": cloud.LeakScannerID, "name": "IAM leak scanner", "typeURI": "service/security/account/serviceid",
		"credential": map[string]any{"type": "token"}, "host": map[string]any{"address": "127.0.0.1", "addressType": "IPv4", "agent": "leak scanner"}}
	s.record(now, r)
}
