package emulator

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

var secretsHost = regexp.MustCompile(`^([0-9a-f-]{36})\.(?:private\.)?([a-z]+-[a-z]+)\.secrets-manager\.appdomain\.cloud$`)

// safe is the instance that the host names, or the seeded one.
func (s *Server) safe(c *call) string {
	m := secretsHost.FindStringSubmatch(hostname(c.request.Host))
	if m == nil {
		return cloud.SecretsInstanceID
	}
	if in, ok := s.cloud.SecretsInstanceIn(m[1]); !ok || in.Region != m[2] {
		return m[1] + " in " + m[2] // which there is not
	}
	return m[1]
}

// smTime is the form of Secrets Manager's timestamps.
func smTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// words splits the lists of a query.
func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// window reads offset and limit; a limit that is not there is 0.
func (c *call) window() (offset, limit int, err error) {
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

// smPage is a page with the links to the others.
func smPage[T any](c *call, field string, page cloud.Slice[T], view func(T) map[string]any) answer {
	items := make([]map[string]any, 0, len(page.Items))
	for _, x := range page.Items {
		items = append(items, view(x))
	}
	at := func(offset int) map[string]string {
		q := maps.Clone(map[string][]string(c.query))
		if q == nil {
			q = map[string][]string{}
		}
		q["limit"], q["offset"] = []string{strconv.Itoa(page.Limit)}, []string{strconv.Itoa(max(offset, 0))}
		return map[string]string{"href": c.origin() + c.request.URL.Path + "?" + url.Values(q).Encode()}
	}
	body := map[string]any{
		field: items, "total_count": page.Total, "limit": page.Limit, "offset": page.Offset,
		"first": at(0), "last": at((max(page.Total, 1) - 1) / page.Limit * page.Limit),
	}
	if next := page.Offset + page.Limit; next < page.Total {
		body["next"] = at(next)
	}
	if page.Offset > 0 {
		body["previous"] = at(page.Offset - page.Limit)
	}
	return answer{status: 200, body: body}
}

var stateNames = map[int]string{cloud.StatePreActivation: "pre_activation", cloud.StateActive: "active", cloud.StateDestroyed: "destroyed"}

// secretMetadata has the fields of every type, and then those of one.
func secretMetadata(x cloud.ManagedSecret) map[string]any {
	out := map[string]any{
		"id": x.ID, "name": x.Name, "secret_type": x.Type, "secret_group_id": x.GroupID, "crn": x.CRN, "description": x.Description,
		"labels": x.Labels, "custom_metadata": x.CustomMetadata, "state": x.State, "state_description": stateNames[x.State],
		"created_at": smTime(x.CreatedAt), "created_by": x.CreatedBy, "updated_at": smTime(x.UpdatedAt),
		"retrieved_at": "1970-01-01T00:00:00Z", "downloaded": !x.RetrievedAt.IsZero(),
		"locks_total": x.LocksTotal, "versions_total": x.VersionsTotal, "referenced_by": x.ReferencedBy,
	}
	for _, list := range []string{"labels", "referenced_by"} {
		if out[list].([]string) == nil {
			out[list] = []string{}
		}
	}
	if x.CustomMetadata == nil {
		out["custom_metadata"] = map[string]any{}
	}
	if !x.RetrievedAt.IsZero() {
		out["retrieved_at"] = smTime(x.RetrievedAt)
	}
	if !x.ExpirationDate.IsZero() {
		out["expiration_date"] = smTime(x.ExpirationDate)
	}
	if i := x.IAM; i != nil {
		addLease(out, i.Lease)
		out["service_id"], out["service_id_is_static"], out["reuse_api_key"] = i.ServiceID, i.StaticServiceID, i.ReuseAPIKey
		if len(i.AccessGroups) > 0 {
			out["access_groups"] = i.AccessGroups
		}
		if i.APIKeyID != "" {
			out["api_key_id"] = i.APIKeyID
		}
	}
	if u := x.Custom; u != nil {
		addLease(out, u.Lease)
		out["configuration"], out["parameters"] = u.Configuration, u.Parameters
		out["task_count"], out["queued_task_count"], out["last_rotation_failed"] = u.TaskCount, u.QueuedTaskCount, u.LastRotationFailed
		for field, id := range map[string]string{"processing_task_id": u.ProcessingTaskID, "last_failed_task_id": u.LastFailedTaskID} {
			if id != "" {
				out[field] = id
			}
		}
	}
	return out
}

func addLease(out map[string]any, l cloud.Lease) {
	if l.TTL != "" {
		out["ttl"] = l.TTL
	}
	if l.Rotation != nil {
		out["rotation"] = l.Rotation
	}
	if !l.NextRotation.IsZero() {
		out["next_rotation_date"] = smTime(l.NextRotation)
	}
}

// secretBodyOf is the metadata of a secret with the data of its version.
func secretBodyOf(x cloud.ManagedSecret, v cloud.SecretVersion) map[string]any {
	out := secretMetadata(x)
	maps.Copy(out, v.Data)
	if v.APIKeyID != "" {
		out["api_key_id"] = v.APIKeyID
	}
	return out
}

func versionBody(v cloud.SecretVersion) map[string]any {
	out := map[string]any{
		"id": v.ID, "secret_id": v.SecretID, "secret_name": v.SecretName, "secret_type": v.SecretType, "secret_group_id": v.GroupID,
		"created_at": smTime(v.CreatedAt), "created_by": v.CreatedBy, "auto_rotated": v.AutoRotated, "downloaded": v.Downloaded,
		"payload_available": v.PayloadAvailable, "version_custom_metadata": v.CustomMetadata,
	}
	if v.CustomMetadata == nil {
		out["version_custom_metadata"] = map[string]any{}
	}
	for field, text := range map[string]string{"alias": v.Alias, "api_key_id": v.APIKeyID, "service_id": v.ServiceID, "credentials_id": v.CredentialsID} {
		if text != "" {
			out[field] = text
		}
	}
	if !v.ExpirationDate.IsZero() {
		out["expiration_date"] = smTime(v.ExpirationDate)
	}
	maps.Copy(out, v.Data)
	return out
}

// span is a TTL: a number of seconds or a duration.
type span string

func (s *span) UnmarshalJSON(b []byte) error {
	var n json.Number
	if json.Unmarshal(b, &n) == nil {
		*s = span(n)
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*s = span(text)
	return nil
}

func (s *Server) createManagedSecret(c *call) (answer, error) {
	var in struct {
		Type                  string              `json:"secret_type"`
		Name                  string              `json:"name"`
		GroupID               string              `json:"secret_group_id"`
		Description           string              `json:"description"`
		Labels                []string            `json:"labels"`
		CustomMetadata        map[string]any      `json:"custom_metadata"`
		VersionCustomMetadata map[string]any      `json:"version_custom_metadata"`
		ExpirationDate        string              `json:"expiration_date"`
		Payload               string              `json:"payload"`
		Data                  map[string]any      `json:"data"`
		TTL                   span                `json:"ttl"`
		Rotation              *cloud.RotationRule `json:"rotation"`
		AccessGroups          []string            `json:"access_groups"`
		ServiceID             string              `json:"service_id"`
		ReuseAPIKey           *bool               `json:"reuse_api_key"`
		Configuration         string              `json:"configuration"`
		Parameters            map[string]any      `json:"parameters"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	n := cloud.NewManagedSecret{Type: in.Type, Name: in.Name, GroupID: in.GroupID, Description: in.Description, Labels: in.Labels,
		CustomMetadata: in.CustomMetadata, VersionCustomMetadata: in.VersionCustomMetadata, ExpirationDate: in.ExpirationDate,
		Payload: in.Payload, Data: in.Data, TTL: string(in.TTL), Rotation: in.Rotation, Configuration: in.Configuration, Parameters: in.Parameters}
	if in.Type == cloud.IAMCredentials {
		if in.ReuseAPIKey == nil {
			return answer{}, &cloud.Error{Status: 400, Code: "bad_request", Message: "reuse_api_key is required."}
		}
		n.IAM = &cloud.IAMSecret{AccessGroups: in.AccessGroups, ServiceID: in.ServiceID, ReuseAPIKey: *in.ReuseAPIKey}
	}
	x, v, err := s.cloud.CreateManagedSecret(c.actor, s.safe(c), n)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: secretBodyOf(x, v), id: x.ID}, nil
}

func (s *Server) listManagedSecrets(c *call) (answer, error) {
	offset, limit, err := c.window()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListManagedSecrets(c.actor, s.safe(c), cloud.ManagedSecretQuery{
		Offset: offset, Limit: limit, Sort: c.query.Get("sort"), Search: c.query.Get("search"), Groups: words(c.query.Get("groups")),
		Types: words(c.query.Get("secret_types")), MatchAllLabels: words(c.query.Get("match_all_labels")),
	})
	if err != nil {
		return answer{}, err
	}
	return smPage(c, "secrets", page, secretMetadata), nil
}

func (s *Server) getManagedSecret(c *call) (answer, error) {
	x, v, err := s.cloud.GetManagedSecret(c.actor, s.safe(c), c.path("secret"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretBodyOf(x, v)}, nil
}

func (s *Server) managedSecretByName(c *call) (answer, error) {
	x, v, err := s.cloud.ManagedSecretByName(c.actor, s.safe(c), c.path("group"), c.path("type"), c.path("name"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretBodyOf(x, v)}, nil
}

func (s *Server) deleteManagedSecret(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteManagedSecret(c.actor, s.safe(c), c.path("secret"))
}

func (s *Server) managedSecretMetadata(c *call) (answer, error) {
	x, err := s.cloud.ManagedSecretMetadata(c.actor, s.safe(c), c.path("secret"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretMetadata(x)}, nil
}

func (s *Server) updateManagedSecret(c *call) (answer, error) {
	var in struct {
		Name           *string             `json:"name"`
		Description    *string             `json:"description"`
		Labels         []string            `json:"labels"`
		CustomMetadata map[string]any      `json:"custom_metadata"`
		ExpirationDate *string             `json:"expiration_date"`
		TTL            *span               `json:"ttl"`
		Rotation       *cloud.RotationRule `json:"rotation"`
		Parameters     map[string]any      `json:"parameters"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.UpdateManagedSecret(c.actor, s.safe(c), c.path("secret"), cloud.ManagedSecretChange{
		Name: in.Name, Description: in.Description, Labels: in.Labels, CustomMetadata: in.CustomMetadata,
		ExpirationDate: in.ExpirationDate, TTL: (*string)(in.TTL), Rotation: in.Rotation, Parameters: in.Parameters,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretMetadata(x)}, nil
}
