package emulator

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// longestIngestion is the limit of Cloud Logs for one request.
const longestIngestion = 2 << 20

var ingressHost = regexp.MustCompile(`^([0-9a-f-]{36})\.ingress\.(?:private\.)?([a-z]+-[a-z]+)\.logs\.cloud\.ibm\.com$`)

// instance returns the instance in the request's host, or the seeded one.
func (s *Server) instance(c *call) (string, error) {
	m := ingressHost.FindStringSubmatch(hostname(c.request.Host))
	if m == nil {
		return cloud.LogsInstanceID, nil
	}
	if in, ok := s.cloud.LogsInstanceIn(m[1]); !ok || in.Region != m[2] {
		return "", &cloud.Error{Status: 404, Code: "not_found", Message: "There is no such instance in this region."}
	}
	return m[1], nil
}

func (s *Server) singles(c *call) (answer, error) {
	if c.actor == (cloud.Actor{}) {
		_, err := s.cloud.Ingest(c.actor, "", nil)
		return answer{}, err
	}
	if len(c.body) > longestIngestion {
		return answer{}, &cloud.Error{Status: 413, Code: "payload_too_large", Message: "The request is larger than 2 MB."}
	}
	instance, err := s.instance(c)
	if err != nil {
		return answer{}, err
	}
	var entries []cloud.LogEntry
	if err := json.Unmarshal(c.body, &entries); err != nil || entries == nil {
		return answer{}, &cloud.Error{Status: 400, Code: "bad_request", Message: "The request body must be a JSON array of log entries."}
	}
	rejected, err := s.cloud.Ingest(c.actor, instance, entries)
	if err != nil {
		return answer{}, err
	}
	if rejected > 0 {
		return answer{status: 200, body: map[string]any{
			"message":  fmt.Sprintf("Not all logs were accepted: %d of %d were rejected.", rejected, len(entries)),
			"rejected": rejected,
		}}, nil
	}
	return answer{status: 200, raw: s.cloud.Switches().LogsSuccessBody}, nil
}
