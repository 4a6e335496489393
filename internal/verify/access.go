package verify

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Roles that a probe grants. latchkey holds the first; most installations do not hold
// the second.
const (
	sender = "crn:v1:bluemix:public:logs::::serviceRole:Sender"
	reader = "crn:v1:bluemix:public:iam::::serviceRole:Reader"
)

// noInstance is what a policy is on for which no instance of Cloud Logs was given: it
// grants nothing.
const noInstance = "55555555-5555-4555-8555-555555555555"

// policy returns a policy of the throw-away service ID on an instance of Cloud Logs.
func (b *bench) policy(role, instance string) map[string]any {
	return b.grant(b.id.IAMID, []string{"serviceName", "logs", "serviceInstance", cmp.Or(instance, noInstance)}, role)
}

// grant returns a policy with roles on what the pairs of on name.
func (b *bench) grant(iamID string, on []string, roles ...string) map[string]any {
	attribute := func(key, value string) map[string]any {
		return map[string]any{"key": key, "operator": "stringEquals", "value": value}
	}
	resource := []map[string]any{attribute("accountId", b.Account)}
	for i := 0; i+1 < len(on); i += 2 {
		resource = append(resource, attribute(on[i], on[i+1]))
	}
	var granted []any
	for _, role := range roles {
		granted = append(granted, map[string]any{"role_id": role})
	}
	return map[string]any{
		"type":     "access",
		"subject":  map[string]any{"attributes": []any{attribute("iam_id", iamID)}},
		"control":  map[string]any{"grant": map[string]any{"roles": granted}},
		"resource": map[string]any{"attributes": resource},
	}
}

func (b *bench) policyURL(id string) string { return b.IAM + "/v2/policies/" + url.PathEscape(id) }

// dropPolicy deletes a policy that was made, if it was.
func (b *bench) dropPolicy(ctx context.Context, made answer) error {
	if made.status != http.StatusCreated {
		return nil
	}
	return b.remove(ctx, b.policyURL(made.text("id")))
}

func rolesOf(a answer) (roles []string) {
	control, _ := a.body["control"].(map[string]any)
	grant, _ := control["grant"].(map[string]any)
	list, _ := grant["roles"].([]any)
	for _, r := range list {
		roles = append(roles, answer{body: asMap(r)}.text("role_id"))
	}
	return roles
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func (b *bench) policies(ctx context.Context) error {
	const instance = "22222222-2222-4222-8222-222222222222"
	create := func(role, instance string) (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.policy(role, instance))
	}
	made, err := create(sender, b.Logs.Instance)
	switch {
	case err != nil:
		return err
	case made.status != http.StatusCreated:
		return impossible("granting Sender on logs was answered %d", made.status)
	}
	p := made.thing()
	b.later("policy "+p.ID, func(ctx context.Context) error { return b.remove(ctx, b.policyURL(p.ID)) })
	shown, err := b.until(ctx, look{"a new policy is shown", func() (bool, answer, error) {
		a, err := b.call(ctx, b.HTTP, http.MethodGet, b.policyURL(p.ID), nil)
		return a.status == http.StatusOK, a, err
	}})
	if err != nil {
		return err
	}
	twice, err := create(sender, b.Logs.Instance)
	if err != nil {
		return err
	}
	if twice.status == http.StatusConflict {
		b.settle("conflictShowsPolicy", strings.Contains(twice.raw, `"resource"`))
	}
	if err := b.dropPolicy(ctx, twice); err != nil {
		return err
	}
	other, err := create(reader, b.Logs.Instance)
	if err != nil {
		return err
	}
	if other.status == http.StatusCreated || other.status == http.StatusConflict {
		b.settle("conflictComparesRoles", other.status == http.StatusCreated)
	}
	if err := b.dropPolicy(ctx, other); err != nil {
		return err
	}
	if err := b.roles(ctx, instance); err != nil {
		return err
	}
	// The tag of the first answer is stale after a change.
	again := b.policy(sender, b.Logs.Instance)
	again["description"] = "changed"
	if _, err := b.call(ctx, b.HTTP, http.MethodPut, b.policyURL(p.ID), again, "If-Match", shown.thing().ETag); err != nil {
		return err
	}
	again["description"] = "changed again"
	stale, err := b.call(ctx, b.HTTP, http.MethodPut, b.policyURL(p.ID), again, "If-Match", shown.thing().ETag)
	if err != nil {
		return err
	}
	b.settle("stalePolicyStatus", stale.status)
	return nil
}

// roles finds out what becomes of a role that its creator does not hold.
func (b *bench) roles(ctx context.Context, instance string) error {
	made, err := b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.policy(reader, instance))
	if err != nil || made.status != http.StatusCreated {
		why := fmt.Sprintf("granting a role that latchkey lacks was answered %d", made.status)
		b.skip("askedRolesEchoed", why)
		b.skip("nothingGrantedRole", why)
		return err
	}
	stored, err := b.until(ctx, look{"another policy is shown", func() (bool, answer, error) {
		a, err := b.call(ctx, b.HTTP, http.MethodGet, b.policyURL(made.text("id")), nil)
		return a.status == http.StatusOK, a, err
	}})
	if err != nil {
		return err
	}
	switch has := rolesOf(stored); {
	case len(has) == 0:
	case has[0] == reader:
		b.skip("askedRolesEchoed", "latchkey holds Reader on logs")
		b.skip("nothingGrantedRole", "latchkey holds Reader on logs")
	default:
		b.settle("askedRolesEchoed", strings.Join(rolesOf(made), " ") == reader)
		b.settle("nothingGrantedRole", has[0])
	}
	return b.dropPolicy(ctx, made)
}

// beyond tries with the key's token what its policy does not allow.
func (b *bench) beyond(ctx context.Context, what, method, at string, body any) (answer, error) {
	a, err := b.call(ctx, b.Plain, method, at, body, "Authorization", b.bearer)
	if err == nil {
		b.report.Rights = append(b.report.Rights, Right{what, a.status, a.status >= 400})
		b.say("with the key's token, %s is answered %d", what, a.status)
	}
	return a, err
}

// rights tries with the key what its policy does not allow.
func (b *bench) rights(ctx context.Context) error {
	token, err := b.exchange(ctx, b.value)
	if err != nil {
		return err
	}
	b.bearer = "Bearer " + token.text("access_token")
	try := func(what, method, at string, body any) (answer, error) { return b.beyond(ctx, what, method, at, body) }
	if _, err := try("listing service IDs", http.MethodGet, b.IAM+"/v1/serviceids?account_id="+url.QueryEscape(b.Account), nil); err != nil {
		return err
	}
	granted, err := try("granting itself Administrator", http.MethodPost, b.IAM+"/v2/policies", b.policy(administrator, "33333333-3333-4333-8333-333333333333"))
	if err != nil {
		return err
	}
	if err := b.dropPolicy(ctx, granted); err != nil {
		return err
	}
	another, err := try("making a key of its own", http.MethodPost, b.IAM+"/v1/apikeys", map[string]any{
		"name": b.name, "iam_id": b.id.IAMID, "expires_at": b.Now().Add(life).UTC().Format(minutes),
	})
	if err != nil {
		return err
	}
	if err := b.gone(ctx, another); err != nil {
		return err
	}
	made, err := b.making("service ID "+b.name, func() (answer, error) {
		return try("making a service ID", http.MethodPost, b.IAM+"/v1/serviceids", map[string]any{"account_id": b.Account, "name": b.name, "description": about})
	}, b.dropServiceID(b.name))
	if err == nil {
		b.settle("programsCreateServiceIDs", made.status == http.StatusCreated)
	}
	return err
}

func (b *bench) logs(ctx context.Context) error {
	if b.Logs.Origin == "" {
		return impossible("no Cloud Logs instance was given: pass --logs-instance")
	}
	line := func(at time.Time) []any {
		return []any{map[string]any{
			"applicationName": "latchkey", "subsystemName": "verify", "severity": 3, "timestamp": at.UnixMilli(), "text": "latchkey verify",
		}}
	}
	post := func(token string, at time.Time) (answer, error) {
		return b.call(ctx, b.Plain, http.MethodPost, b.Logs.Origin+"/logs/v1/singles", line(at), "Authorization", "Bearer "+token, "Host", b.Logs.Host)
	}
	a, err := post("no-token", b.Now())
	if err != nil {
		return err
	}
	b.settle("logsTokenStatus", a.status)
	token, err := b.exchange(ctx, b.value)
	if err != nil {
		return err
	}
	accepted, err := b.until(ctx, look{"a new policy has an effect", func() (bool, answer, error) {
		a, err := post(token.text("access_token"), b.Now())
		return a.status < 300, a, err
	}})
	if err != nil {
		return err
	}
	if accepted.status >= 300 {
		return impossible("the line was answered %d", accepted.status)
	}
	b.settle("logsSuccessBody", strings.TrimSpace(accepted.raw))
	if a, err = post(token.text("access_token"), b.Now().Add(-48*time.Hour)); err != nil {
		return err
	}
	if a.status < 300 {
		b.settle("logsAgeStatus", 0)
	} else {
		b.settle("logsAgeStatus", a.status)
	}
	return nil
}
