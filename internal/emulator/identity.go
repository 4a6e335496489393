package emulator

import (
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func historyBody(h cloud.HistoryRecord) object {
	out := fields(h, cloud.FormatTime)
	out["iam_id_account"], out["params"] = cloud.AccountID, []string{}
	return out
}

func activityBody(x cloud.Activity) object { return fields(x, cloud.FormatTime) }

type serviceIDView struct {
	Context object `json:"context,omitempty"`
	cloud.ServiceID
	CreatedAt  string   `json:"created_at"`
	ModifiedAt string   `json:"modified_at"`
	History    []object `json:"history,omitempty"`
	APIKey     *keyView `json:"apikey,omitempty"`
	Activity   object   `json:"activity,omitempty"`
	CreatedBy  hidden   `json:"created_by,omitempty"`
	LastAuthn  hidden   `json:"last_authn,omitempty"`
	AuthnCount hidden   `json:"authn_count,omitempty"`
}

type keyView struct {
	Context object `json:"context,omitempty"`
	cloud.APIKey
	CreatedAt  string   `json:"created_at"`
	ModifiedAt string   `json:"modified_at"`
	ExpiresAt  string   `json:"expires_at,omitempty"`
	History    []object `json:"history,omitempty"`
	Activity   object   `json:"activity,omitempty"`
	StoreValue hidden   `json:"store_value,omitempty"`
	LastAuthn  hidden   `json:"last_authn,omitempty"`
	AuthnCount hidden   `json:"authn_count,omitempty"`
}

func (c *call) serviceIDBody(x cloud.ServiceID) serviceIDView {
	out := serviceIDView{ServiceID: x, CreatedAt: cloud.FormatTime(x.CreatedAt), ModifiedAt: cloud.FormatTime(x.ModifiedAt),
		History: views(x.History, historyBody)}
	if !c.flag("show_group_id") {
		out.GroupID = ""
	}
	if x.APIKey != nil {
		k := keyBody(*x.APIKey)
		out.APIKey = &k
	}
	return out
}

func keyBody(k cloud.APIKey) keyView {
	out := keyView{APIKey: k, CreatedAt: cloud.FormatTime(k.CreatedAt), ModifiedAt: cloud.FormatTime(k.ModifiedAt),
		History: views(k.History, historyBody)}
	if !k.ExpiresAt.IsZero() {
		out.ExpiresAt = cloud.FormatTime(k.ExpiresAt)
	}
	return out
}

func (s *Server) listServiceIDs(c *call) (answer, error) {
	size, err := c.number("pagesize")
	if err != nil {
		return answer{}, err
	}
	q := c.query
	page, err := s.cloud.ListServiceIDs(c.actor, cloud.ServiceIDQuery{
		AccountID: q.Get("account_id"), Name: q.Get("name"), GroupID: q.Get("group_id"), Sort: q.Get("sort"),
		Order: q.Get("order"), Filter: q.Get("filter"), PageSize: size, PageToken: q.Get("pagetoken"),
		IncludeHistory: c.flag("include_history"),
	})
	if err != nil {
		return answer{}, err
	}
	return tokenPage(c, "serviceids", page, c.serviceIDBody), nil
}

func (s *Server) createServiceID(c *call) (answer, error) {
	var n cloud.NewServiceID
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	n.Locked = strings.EqualFold(c.header("Entity-Lock"), "true")
	x, err := s.cloud.CreateServiceID(c.actor, n)
	if err != nil {
		return answer{}, err
	}
	return serviceIDAnswer(c, 201, x, "create"), nil
}

func serviceIDAnswer(c *call, status int, x cloud.ServiceID, operation string) answer {
	out := c.serviceIDBody(x)
	out.Context = c.identityContext(operation)
	return answer{status: status, etag: x.EntityTag, body: out, id: x.ID}
}

func (s *Server) getServiceID(c *call) (answer, error) {
	x, err := s.cloud.GetServiceID(c.actor, c.path("id"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	out := c.serviceIDBody(x)
	out.Context = c.identityContext("get")
	if c.flag("include_activity") {
		out.Activity = activityBody(x.Activity)
	}
	return answer{status: 200, etag: x.EntityTag, body: out}, nil
}

func (s *Server) updateServiceID(c *call) (answer, error) {
	var change cloud.ServiceIDChange
	if err := c.json(&change); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.UpdateServiceID(c.actor, c.path("id"), c.header("If-Match"), change)
	if err != nil {
		return answer{}, err
	}
	return serviceIDAnswer(c, 200, x, "update"), nil
}

func (s *Server) deleteServiceID(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteServiceID(c.actor, c.path("id"))
}

func (s *Server) lockServiceID(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.LockServiceID(c.actor, c.path("id"), c.request.Method == "POST")
}

func (s *Server) listKeys(c *call) (answer, error) {
	size, err := c.number("pagesize")
	if err != nil {
		return answer{}, err
	}
	q := c.query
	page, err := s.cloud.ListAPIKeys(c.actor, cloud.APIKeyQuery{
		AccountID: q.Get("account_id"), IAMID: q.Get("iam_id"), Scope: q.Get("scope"), Type: q.Get("type"),
		GroupID: q.Get("group_id"), Sort: q.Get("sort"), Order: q.Get("order"), Filter: q.Get("filter"),
		PageSize: size, PageToken: q.Get("pagetoken"), IncludeHistory: c.flag("include_history"),
	})
	if err != nil {
		return answer{}, err
	}
	return tokenPage(c, "apikeys", page, keyBody), nil
}

func (s *Server) createKey(c *call) (answer, error) {
	var n cloud.NewAPIKey
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	n.Locked = strings.EqualFold(c.header("Entity-Lock"), "true")
	n.Disabled = strings.EqualFold(c.header("Entity-Disable"), "true")
	k, err := s.cloud.CreateAPIKey(c.actor, n)
	if err != nil {
		return answer{}, err
	}
	return keyAnswer(c, 201, k, "create"), nil
}

func keyAnswer(c *call, status int, k cloud.APIKey, operation string) answer {
	out := keyBody(k)
	out.Context = c.identityContext(operation)
	return answer{status: status, etag: k.EntityTag, body: out, id: k.ID}
}

func (s *Server) keyDetails(c *call) (answer, error) {
	k, err := s.cloud.APIKeyByValue(c.actor, c.header("IAM-ApiKey"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	return keyAnswer(c, 200, k, "details"), nil
}

func (s *Server) getKey(c *call) (answer, error) {
	k, err := s.cloud.GetAPIKey(c.actor, c.path("id"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	out := keyBody(k)
	out.Context = c.identityContext("get")
	if c.flag("include_activity") {
		out.Activity = activityBody(k.Activity)
	}
	return answer{status: 200, etag: k.EntityTag, body: out}, nil
}

func (s *Server) updateKey(c *call) (answer, error) {
	var change cloud.APIKeyChange
	if err := c.json(&change); err != nil {
		return answer{}, err
	}
	k, err := s.cloud.UpdateAPIKey(c.actor, c.path("id"), c.header("If-Match"), change)
	if err != nil {
		return answer{}, err
	}
	return keyAnswer(c, 200, k, "update"), nil
}

func (s *Server) deleteKey(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteAPIKey(c.actor, c.path("id"))
}

func (s *Server) lockKey(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.LockAPIKey(c.actor, c.path("id"), c.request.Method == "POST")
}

func (s *Server) disableKey(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DisableAPIKey(c.actor, c.path("id"), c.request.Method == "POST")
}
