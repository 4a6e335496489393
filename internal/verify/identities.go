package verify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Roles that throw-away identities get.
const (
	viewer        = "crn:v1:bluemix:public:iam::::role:Viewer"
	operator      = "crn:v1:bluemix:public:iam::::role:Operator"
	editor        = "crn:v1:bluemix:public:iam::::role:Editor"
	administrator = "crn:v1:bluemix:public:iam::::role:Administrator"
	writer        = "crn:v1:bluemix:public:iam::::serviceRole:Writer"
	manager       = "crn:v1:bluemix:public:iam::::serviceRole:Manager"
)

// An identity is a throw-away service ID with a key, and with roles on one thing.
type identity struct {
	thing
	bearer string // the header Authorization
}

// newServiceID makes a service ID, which goes with its keys and policies at the end.
func (b *bench) newServiceID(ctx context.Context, name string) (answer, error) {
	return b.making("service ID "+name, func() (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v1/serviceids", map[string]any{
			"account_id": b.Account, "name": name, "description": about,
		})
	}, b.dropServiceID(name))
}

// dropServiceID deletes a service ID that was made, or those with its name if the answer
// is not known.
func (b *bench) dropServiceID(name string) func(context.Context, answer) error {
	return func(ctx context.Context, made answer) error {
		if id := made.text("id"); id != "" {
			return b.deleteServiceID(ctx, id)
		}
		list, err := b.call(ctx, b.HTTP, http.MethodGet, b.IAM+"/v1/serviceids?account_id="+url.QueryEscape(b.Account)+"&name="+url.QueryEscape(name), nil)
		if err != nil {
			return err
		}
		return b.removeThese(list, "serviceids", func(a answer) bool { return a.text("name") == name }, func(a answer) error {
			return b.deleteServiceID(ctx, a.text("id"))
		})
	}
}

// newIdentity makes a service ID with roles on what the pairs of on name, which are a
// policy's attributes. It waits until the key gets a token.
func (b *bench) newIdentity(ctx context.Context, suffix string, on []string, roles ...string) (identity, error) {
	made, err := b.newServiceID(ctx, b.name+"-"+suffix)
	if err != nil {
		return identity{}, err
	}
	if made.status != http.StatusCreated {
		return identity{}, impossible("making a second service ID was answered %d", made.status)
	}
	who, value := identity{thing: made.thing()}, newValue()
	if made, err = b.newKey(ctx, who.IAMID, value); err != nil {
		return identity{}, err
	}
	if made.status != http.StatusCreated {
		return identity{}, impossible("making a key of a second service ID was answered %d", made.status)
	}
	granting := fmt.Sprintf("granting %s on %s", names(roles), on[1])
	if made, err = b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.grant(who.IAMID, on, roles...)); err != nil {
		return identity{}, err
	}
	if made.status != http.StatusCreated {
		return identity{}, impossible("%s was answered %d", granting, made.status)
	}
	stored, shown, err := b.await(ctx, b.Patience, func() (bool, answer, error) {
		a, err := b.call(ctx, b.HTTP, http.MethodGet, b.policyURL(made.text("id")), nil)
		return a.status == http.StatusOK, a, err
	})
	if err != nil {
		return identity{}, err
	}
	got := rolesOf(stored)
	if !shown || slices.ContainsFunc(roles, func(role string) bool { return !slices.Contains(got, role) }) {
		return identity{}, impossible("%s gave %s: latchkey lacks them", granting, names(got))
	}
	token, _, err := b.await(ctx, b.Patience, func() (bool, answer, error) {
		a, err := b.exchange(ctx, value)
		return a.status == http.StatusOK, a, err
	})
	if err != nil {
		return identity{}, err
	}
	if token.status != http.StatusOK {
		return identity{}, impossible("the key of a second service ID got no token: status %d", token.status)
	}
	who.bearer = "Bearer " + token.text("access_token")
	return who, nil
}

// names returns the last parts of roles.
func names(roles []string) string {
	var list []string
	for _, r := range roles {
		list = append(list, r[strings.LastIndex(r, ":")+1:])
	}
	return strings.Join(list, " and ")
}

// as calls a service as an identity.
func (b *bench) as(ctx context.Context, who identity, method, at string, body any, header ...string) (answer, error) {
	return b.call(ctx, b.Plain, method, at, body, append([]string{"Authorization", who.bearer}, header...)...)
}

// allowed returns the answer to what an identity tries. A refusal counts only after
// control, which the same policy allows, had success, and if it lasts for a while.
func (b *bench) allowed(ctx context.Context, control, try func() (answer, error)) (answer, error) {
	until := func(limit time.Duration, call func() (answer, error), done func(status int) bool) (answer, bool, error) {
		return b.await(ctx, limit, func() (bool, answer, error) {
			a, err := call()
			return done(a.status), a, err
		})
	}
	a, works, err := until(b.Patience, control, func(status int) bool { return status < 300 })
	if err != nil {
		return a, err
	}
	if !works {
		return a, impossible("a second service ID could not use its roles: status %d", a.status)
	}
	a, _, err = until(b.Patience/4, try, func(status int) bool { return status != http.StatusForbidden })
	return a, err
}

// keysOfOthers makes a key of the throw-away service ID as another one that is Operator
// and Editor of it.
func (b *bench) keysOfOthers(ctx context.Context) error {
	who, err := b.newIdentity(ctx, "editor", []string{"serviceName", "iam-identity", "resourceType", "serviceid", "resource", b.id.ID}, operator, editor)
	if err != nil {
		return err
	}
	a, err := b.allowed(ctx, func() (answer, error) {
		return b.as(ctx, who, http.MethodPut, b.IAM+"/v1/serviceids/"+url.PathEscape(b.id.ID), map[string]any{"description": about}, "If-Match", "*")
	}, func() (answer, error) {
		return b.as(ctx, who, http.MethodPost, b.IAM+"/v1/apikeys", map[string]any{
			"name": b.name, "iam_id": b.id.IAMID, "expires_at": b.Now().Add(life).UTC().Format(minutes),
		})
	})
	if err != nil {
		return err
	}
	switch a.status {
	case http.StatusCreated, http.StatusForbidden:
		b.settle("keysNeedAdministrator", a.status == http.StatusForbidden)
	default:
		return impossible("making a key as Operator and Editor was answered %d", a.status)
	}
	return b.gone(ctx, a)
}

// policiesOfOthers grants the throw-away service ID a role as another one that is
// Administrator of the policy's resource only: an instance of Cloud Logs that does not exist.
func (b *bench) policiesOfOthers(ctx context.Context) error {
	const instance = "44444444-4444-4444-8444-444444444444"
	who, err := b.newIdentity(ctx, "granter", []string{"serviceName", "logs", "serviceInstance", instance}, administrator)
	if err != nil {
		return err
	}
	shown, err := b.making("a policy", func() (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.policy(sender, instance))
	}, b.dropPolicy)
	if err != nil {
		return err
	}
	a, err := b.allowed(ctx, func() (answer, error) {
		return b.as(ctx, who, http.MethodGet, b.policyURL(shown.text("id")), nil)
	}, func() (answer, error) {
		return b.as(ctx, who, http.MethodPost, b.IAM+"/v2/policies", b.policy(viewer, instance))
	})
	if err != nil {
		return err
	}
	switch a.status {
	case http.StatusCreated, http.StatusConflict, http.StatusForbidden: // a conflict comes after the rights
		b.settle("subjectNeedsAdministrator", a.status == http.StatusForbidden)
	default:
		return impossible("granting a role as Administrator of its resource was answered %d", a.status)
	}
	return b.dropPolicy(ctx, a)
}
