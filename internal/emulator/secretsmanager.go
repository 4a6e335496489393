package emulator

import (
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

var secretsHost = regexp.MustCompile(`^([0-9a-f-]{36})\.(?:private\.)?([a-z]+-[a-z]+)\.secrets-manager\.appdomain\.cloud$`)

// secretsInstance returns the instance in the request's host, or the seeded
// one.
func (s *Server) secretsInstance(c *call) string {
	m := secretsHost.FindStringSubmatch(hostname(c.request.Host))
	if m == nil {
		return cloud.SecretsInstanceID
	}
	if in, ok := s.cloud.SecretsInstanceIn(m[1]); !ok || in.Region != m[2] {
		return m[1] + " in " + m[2] // an ID that does not exist
	}
	return m[1]
}

// smTime formats a time as Secrets Manager does.
func smTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// splitList splits a comma-separated query parameter.
func splitList(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// offsetAndLimit reads offset and limit. An absent limit is 0.
func (c *call) offsetAndLimit() (offset, limit int, err error) {
	if limit, err = c.number("limit"); err != nil {
		return 0, 0, err
	}
	if v := c.query.Get("offset"); v != "" {
		if offset, err = strconv.Atoi(v); err != nil || offset < 0 {
			return 0, 0, &cloud.Error{Status: 400, Code: "bad_request", Message: "offset must not be negative."}
		}
	}
	return offset, limit, nil
}

var stateNames = map[int]string{cloud.StatePreActivation: "pre_activation", cloud.StateActive: "active", cloud.StateDestroyed: "destroyed"}

// secretMetadata returns the fields of every secret and those of its type.
func secretMetadata(x cloud.ManagedSecret) object {
	out := fields(x, smTime, "iam", "custom", "referenced_by")
	out["description"], out["state_description"] = x.Description, stateNames[x.State]
	out["referenced_by"] = append([]string{}, x.ReferencedBy...)
	out["downloaded"] = !x.RetrievedAt.IsZero()
	if x.RetrievedAt.IsZero() {
		out["retrieved_at"] = "1970-01-01T00:00:00Z"
	}
	if x.IAM != nil {
		maps.Copy(out, fields(*x.IAM, smTime))
	}
	if x.Custom != nil {
		maps.Copy(out, fields(*x.Custom, smTime))
		out["parameters"] = x.Custom.Parameters
	}
	return out
}

// secretBodyOf returns the metadata of a secret with the data of its version.
func secretBodyOf(x cloud.ManagedSecret, v cloud.SecretVersion) map[string]any {
	out := secretMetadata(x)
	maps.Copy(out, v.Data)
	if v.APIKeyID != "" {
		out["api_key_id"] = v.APIKeyID
	}
	return out
}

func versionBody(v cloud.SecretVersion) object {
	out := fields(v, smTime, "locks", "secret_data")
	maps.Copy(out, v.Data)
	return out
}

func (s *Server) createManagedSecret(c *call) (answer, error) {
	var n cloud.NewManagedSecret
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	if n.Type == cloud.IAMCredentials && n.ReuseAPIKey == nil {
		return answer{}, &cloud.Error{Status: 400, Code: "bad_request", Message: "reuse_api_key is required."}
	}
	x, v, err := s.cloud.CreateManagedSecret(c.actor, s.secretsInstance(c), n)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: secretBodyOf(x, v), id: x.ID}, nil
}

func (s *Server) listManagedSecrets(c *call) (answer, error) {
	offset, limit, err := c.offsetAndLimit()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListManagedSecrets(c.actor, s.secretsInstance(c), cloud.ManagedSecretQuery{
		Offset: offset, Limit: limit, Sort: c.query.Get("sort"), Search: c.query.Get("search"), Groups: splitList(c.query.Get("groups")),
		Types: splitList(c.query.Get("secret_types")), MatchAllLabels: splitList(c.query.Get("match_all_labels")),
	})
	if err != nil {
		return answer{}, err
	}
	return offsetPage(c, "secrets", page, secretMetadata), nil
}

func (s *Server) getManagedSecret(c *call) (answer, error) {
	x, v, err := s.cloud.GetManagedSecret(c.actor, s.secretsInstance(c), c.path("secret"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretBodyOf(x, v)}, nil
}

func (s *Server) managedSecretByName(c *call) (answer, error) {
	x, v, err := s.cloud.ManagedSecretByName(c.actor, s.secretsInstance(c), c.path("group"), c.path("type"), c.path("name"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretBodyOf(x, v)}, nil
}

func (s *Server) deleteManagedSecret(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteManagedSecret(c.actor, s.secretsInstance(c), c.path("secret"), c.flag("force_delete"))
}

func (s *Server) managedSecretMetadata(c *call) (answer, error) {
	x, err := s.cloud.ManagedSecretMetadata(c.actor, s.secretsInstance(c), c.path("secret"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretMetadata(x)}, nil
}

func (s *Server) updateManagedSecret(c *call) (answer, error) {
	var change cloud.ManagedSecretChange
	if err := c.json(&change); err != nil {
		return answer{}, err
	}
	var dates struct {
		ExpirationDate json.RawMessage `json:"expiration_date"`
	}
	if err := c.json(&dates); err != nil {
		return answer{}, err
	}
	switch string(dates.ExpirationDate) {
	case "null": // which the pointer does not tell from an absent field
		change.ExpirationDate = new(cloud.Date)
	case `""`:
		return answer{}, &cloud.Error{Status: 400, Code: "bad_request", Message: "expiration_date is not a date."}
	}
	x, err := s.cloud.UpdateManagedSecret(c.actor, s.secretsInstance(c), c.path("secret"), change)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretMetadata(x)}, nil
}
