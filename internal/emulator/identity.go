package emulator

import (
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

type contextOut struct {
	TransactionID string `json:"transaction_id"`
	Operation     string `json:"operation"`
}

type historyOut struct {
	Timestamp string   `json:"timestamp"`
	IAMID     string   `json:"iam_id"`
	Account   string   `json:"iam_id_account"`
	Action    string   `json:"action"`
	Params    []string `json:"params"`
	Message   string   `json:"message"`
}

type activityOut struct {
	LastAuthn  string `json:"last_authn,omitempty"`
	AuthnCount int    `json:"authn_count"`
}

type serviceIDOut struct {
	Context     *contextOut  `json:"context,omitempty"`
	ID          string       `json:"id"`
	IAMID       string       `json:"iam_id"`
	EntityTag   string       `json:"entity_tag"`
	CRN         string       `json:"crn"`
	Locked      bool         `json:"locked"`
	CreatedAt   string       `json:"created_at"`
	ModifiedAt  string       `json:"modified_at"`
	AccountID   string       `json:"account_id"`
	GroupID     string       `json:"group_id,omitempty"`
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Instances   []string     `json:"unique_instance_crns,omitempty"`
	History     []historyOut `json:"history,omitempty"`
	APIKey      *keyOut      `json:"apikey,omitempty"`
	Activity    *activityOut `json:"activity,omitempty"`
}

type keyOut struct {
	Context          *contextOut  `json:"context,omitempty"`
	ID               string       `json:"id"`
	EntityTag        string       `json:"entity_tag"`
	CRN              string       `json:"crn"`
	Locked           bool         `json:"locked"`
	Disabled         bool         `json:"disabled"`
	CreatedAt        string       `json:"created_at"`
	CreatedBy        string       `json:"created_by"`
	ModifiedAt       string       `json:"modified_at"`
	Name             string       `json:"name"`
	Description      string       `json:"description,omitempty"`
	ActionWhenLeaked string       `json:"action_when_leaked,omitempty"`
	ExpiresAt        string       `json:"expires_at,omitempty"`
	IAMID            string       `json:"iam_id"`
	AccountID        string       `json:"account_id"`
	Value            string       `json:"apikey,omitempty"`
	History          []historyOut `json:"history,omitempty"`
	Activity         *activityOut `json:"activity,omitempty"`
}

type keyIn struct {
	Name             string `json:"name"`
	IAMID            string `json:"iam_id"`
	AccountID        string `json:"account_id"`
	Description      string `json:"description"`
	Value            string `json:"apikey"`
	StoreValue       bool   `json:"store_value"`
	ActionWhenLeaked string `json:"action_when_leaked"`
	ExpiresAt        string `json:"expires_at"`
}

func (in keyIn) request() cloud.NewAPIKey {
	return cloud.NewAPIKey{Name: in.Name, IAMID: in.IAMID, AccountID: in.AccountID, Description: in.Description,
		Value: in.Value, StoreValue: in.StoreValue, ActionWhenLeaked: in.ActionWhenLeaked, ExpiresAt: in.ExpiresAt}
}

func historyList(records []cloud.HistoryRecord) []historyOut {
	var out []historyOut
	for _, h := range records {
		out = append(out, historyOut{Timestamp: cloud.FormatTime(h.Timestamp), IAMID: h.IAMID, Account: cloud.AccountID,
			Action: h.Action, Params: []string{}, Message: h.Message})
	}
	return out
}

func identityContext(operation string) *contextOut {
	return &contextOut{TransactionID: trace(), Operation: operation}
}

func serviceIDBody(x cloud.ServiceID, group bool) serviceIDOut {
	out := serviceIDOut{ID: x.ID, IAMID: x.IAMID, EntityTag: x.EntityTag, CRN: x.CRN, Locked: x.Locked,
		CreatedAt: cloud.FormatTime(x.CreatedAt), ModifiedAt: cloud.FormatTime(x.ModifiedAt), AccountID: x.AccountID,
		Name: x.Name, Description: x.Description, Instances: x.Instances, History: historyList(x.History)}
	if group {
		out.GroupID = x.GroupID
	}
	if x.APIKey != nil {
		k := keyBody(*x.APIKey)
		out.APIKey = &k
	}
	return out
}

func keyBody(k cloud.APIKey) keyOut {
	out := keyOut{ID: k.ID, EntityTag: k.EntityTag, CRN: k.CRN, Locked: k.Locked, Disabled: k.Disabled,
		CreatedAt: cloud.FormatTime(k.CreatedAt), CreatedBy: k.CreatedBy, ModifiedAt: cloud.FormatTime(k.ModifiedAt),
		Name: k.Name, Description: k.Description, ActionWhenLeaked: k.ActionWhenLeaked, IAMID: k.IAMID,
		AccountID: k.AccountID, Value: k.Value, History: historyList(k.History)}
	out.ExpiresAt = optionalTime(k.ExpiresAt)
	return out
}

func activityBody(x cloud.Activity) *activityOut {
	return &activityOut{AuthnCount: x.AuthnCount, LastAuthn: optionalTime(x.LastAuthn)}
}

func optionalTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return cloud.FormatTime(t)
}

// identityList wraps a page as IAM does: links are URLs, and there is no next
// on the last page.
func identityList[T, U any](c *call, field string, page cloud.Page[T], view func(T) U) answer {
	items := make([]U, 0, len(page.Items))
	for _, x := range page.Items {
		items = append(items, view(x))
	}
	path := c.origin() + c.request.URL.Path
	query := c.request.URL.Query()
	query.Del("pagetoken")
	first := path
	if q := query.Encode(); q != "" {
		first += "?" + q
	}
	out := map[string]any{"context": identityContext("list"), "offset": 0, "limit": page.Limit, "first": first, field: items}
	if page.Next != "" {
		out["next"] = path + "?" + withToken(query, page.Next).Encode()
	}
	return answer{status: 200, body: out}
}

func withToken(q url.Values, token string) url.Values {
	q.Set("pagetoken", token)
	return q
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
	return identityList(c, "serviceids", page, func(x cloud.ServiceID) serviceIDOut {
		return serviceIDBody(x, c.flag("show_group_id"))
	}), nil
}

func (s *Server) createServiceID(c *call) (answer, error) {
	var in struct {
		AccountID   string   `json:"account_id"`
		Name        string   `json:"name"`
		Description string   `json:"description"`
		GroupID     string   `json:"group_id"`
		Instances   []string `json:"unique_instance_crns"`
		APIKey      *keyIn   `json:"apikey"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	n := cloud.NewServiceID{AccountID: in.AccountID, Name: in.Name, Description: in.Description, GroupID: in.GroupID,
		Instances: in.Instances, Locked: strings.EqualFold(c.header("Entity-Lock"), "true")}
	if in.APIKey != nil {
		k := in.APIKey.request()
		n.APIKey = &k
	}
	x, err := s.cloud.CreateServiceID(c.actor, n)
	if err != nil {
		return answer{}, err
	}
	return serviceIDAnswer(c, 201, x, "create"), nil
}

func serviceIDAnswer(c *call, status int, x cloud.ServiceID, operation string) answer {
	out := serviceIDBody(x, c.flag("show_group_id"))
	out.Context = identityContext(operation)
	return answer{status: status, etag: x.EntityTag, body: out, id: x.ID}
}

func (s *Server) getServiceID(c *call) (answer, error) {
	x, err := s.cloud.GetServiceID(c.actor, c.path("id"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	out := serviceIDBody(x, c.flag("show_group_id"))
	out.Context = identityContext("get")
	if c.flag("include_activity") {
		out.Activity = activityBody(x.Activity)
	}
	return answer{status: 200, etag: x.EntityTag, body: out}, nil
}

func (s *Server) updateServiceID(c *call) (answer, error) {
	var in struct {
		Name        *string   `json:"name"`
		Description *string   `json:"description"`
		Instances   *[]string `json:"unique_instance_crns"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.UpdateServiceID(c.actor, c.path("id"), c.header("If-Match"),
		cloud.ServiceIDChange{Name: in.Name, Description: in.Description, Instances: in.Instances})
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
	return identityList(c, "apikeys", page, keyBody), nil
}

func (s *Server) createKey(c *call) (answer, error) {
	var in keyIn
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	n := in.request()
	n.Locked = strings.EqualFold(c.header("Entity-Lock"), "true")
	n.Disabled = strings.EqualFold(c.header("Entity-Disable"), "true")
	k, err := s.cloud.CreateAPIKey(c.actor, n)
	if err != nil {
		return answer{}, err
	}
	return keyAnswer(201, k, "create"), nil
}

func keyAnswer(status int, k cloud.APIKey, operation string) answer {
	out := keyBody(k)
	out.Context = identityContext(operation)
	return answer{status: status, etag: k.EntityTag, body: out, id: k.ID}
}

func (s *Server) keyDetails(c *call) (answer, error) {
	k, err := s.cloud.APIKeyByValue(c.actor, c.header("IAM-ApiKey"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	return keyAnswer(200, k, "details"), nil
}

func (s *Server) getKey(c *call) (answer, error) {
	k, err := s.cloud.GetAPIKey(c.actor, c.path("id"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	out := keyBody(k)
	out.Context = identityContext("get")
	if c.flag("include_activity") {
		out.Activity = activityBody(k.Activity)
	}
	return answer{status: 200, etag: k.EntityTag, body: out}, nil
}

func (s *Server) updateKey(c *call) (answer, error) {
	var in struct {
		Name             *string `json:"name"`
		Description      *string `json:"description"`
		ActionWhenLeaked *string `json:"action_when_leaked"`
		ExpiresAt        *string `json:"expires_at"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	k, err := s.cloud.UpdateAPIKey(c.actor, c.path("id"), c.header("If-Match"), cloud.APIKeyChange{
		Name: in.Name, Description: in.Description, ActionWhenLeaked: in.ActionWhenLeaked, ExpiresAt: in.ExpiresAt})
	if err != nil {
		return answer{}, err
	}
	return keyAnswer(200, k, "update"), nil
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
