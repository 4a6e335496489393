package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limit is a limit of the account, and how near it is.
type Limit struct {
	Of string `json:"of"`
	// Used is how many there are, and Documented how many IBM's documents allow. Zero
	// is not known.
	Used       int `json:"used,omitempty"`
	Documented int `json:"documented,omitempty"`
	// Accepted is how many there were when the next one was refused with Status.
	Accepted int `json:"accepted,omitempty"`
	Status   int `json:"status,omitempty"`
}

// String says the limit in one line.
func (l Limit) String() string {
	if l.Accepted > 0 {
		return fmt.Sprintf("%s: at most %d, the next one is answered %d", l.Of, l.Accepted, l.Status)
	}
	return fmt.Sprintf("%s: %d of the %d that are documented", l.Of, l.Used, l.Documented)
}

func (b *bench) limit(l Limit) {
	b.report.Limits = append(b.report.Limits, l)
	b.say("%s", l)
}

// mostPages bounds how much of a list is counted.
const mostPages = 100

// limits counts what the account has of what IBM's documents limit.
func (b *bench) limits(ctx context.Context) error {
	account := url.QueryEscape(b.Account)
	for _, of := range []struct {
		what, at, items string
		next            func(answer) string
		documented      int
	}{
		{"service IDs of the account", b.IAM + "/v1/serviceids?pagesize=100&account_id=" + account, "serviceids", func(a answer) string { return a.text("next") }, 100_000},
		{"policies of the account", b.IAM + "/v2/policies?limit=100&account_id=" + account, "policies", func(a answer) string { return a.text("next", "href") }, 4020},
	} {
		n, err := b.count(ctx, of.at, of.items, of.next)
		if err != nil {
			return err
		}
		if n >= 0 {
			b.limit(Limit{Of: of.what, Used: n, Documented: of.documented})
		}
	}
	page, err := b.call(ctx, b.HTTP, http.MethodGet, b.IAM+"/v2/policies?account_id="+account, nil)
	if err != nil {
		return err
	}
	if size, told := page.body["limit"].(float64); told {
		b.settle("policyPageSize", int(size))
	} else {
		b.skip("policyPageSize", fmt.Sprintf("a list of policies, answered %d, has no limit", page.status))
	}
	return nil
}

// count returns how many items a list has, or -1 if it can't be read whole.
func (b *bench) count(ctx context.Context, at, items string, next func(answer) string) (n int, err error) {
	whole, err := b.pages(ctx, at, next, func(a answer) {
		page, _ := a.body[items].([]any)
		n += len(page)
	})
	if err == nil && !whole {
		n = -1
	}
	return n, err
}

// pages reads the pages of a list. Only the query of a next page is used: it must be one
// of the same list.
func (b *bench) pages(ctx context.Context, at string, next func(answer) string, page func(answer)) (whole bool, err error) {
	for range mostPages {
		a, err := b.call(ctx, b.HTTP, http.MethodGet, at, nil)
		if err != nil || a.status != http.StatusOK {
			return false, err
		}
		page(a)
		following, err := url.Parse(next(a))
		if err != nil || following.RawQuery == "" {
			return err == nil, err
		}
		path, _, _ := strings.Cut(at, "?")
		at = path + "?" + following.RawQuery
	}
	return false, nil
}

// fill fills a Code Engine project with secrets, and deletes them.
func (b *bench) fill(ctx context.Context) error {
	const most = 250
	if !b.Fill || b.Project.ID == "" {
		return impossible("it fills a project: pass --project and --fill")
	}
	at := b.inProject("secrets")
	list, err := b.call(ctx, b.HTTP, http.MethodGet, at+version+"&limit=100", nil)
	if err != nil {
		return err
	}
	before, _ := list.body["secrets"].([]any)
	return b.untilRefused("secrets of a Code Engine project", "quotaStatus", len(before), most, func(i int) (answer, error) {
		name := fmt.Sprintf("%s-%d", b.name, i)
		return b.making("secret "+name, func() (answer, error) {
			return b.call(ctx, b.HTTP, http.MethodPost, at+version, map[string]any{"name": name, "format": "generic", "data": map[string]string{"A": "none"}})
		}, func(ctx context.Context, _ answer) error { return b.remove(ctx, at+"/"+name+version) })
	})
}

// fillGroups fills an instance of Secrets Manager with groups, and deletes them.
func (b *bench) fillGroups(ctx context.Context) error {
	const most = 250
	switch {
	case b.Secrets.Origin == "" || !b.Fill:
		return impossible("it fills an instance with groups: pass --secrets-manager and --fill")
	case b.group == "":
		return errNoGroup
	}
	list, err := b.secretsCall(ctx, http.MethodGet, "/secret_groups", nil)
	if err != nil {
		return err
	}
	before, _ := list.body["secret_groups"].([]any)
	return b.untilRefused("groups of a Secrets Manager instance", "secretLimitStatus", len(before), most, func(i int) (answer, error) {
		return b.makeGroup(ctx, fmt.Sprintf("%s-full-%d", b.name, i))
	})
}

// fillPolicies gives a service ID as many policies as it may have, on instances of Cloud
// Logs that do not exist. They go with it. An account that has many is left alone.
func (b *bench) fillPolicies(ctx context.Context) error {
	const most, room = 1100, 2000
	if !b.Fill {
		return impossible("it makes a thousand policies: pass --fill")
	}
	of := b.IAM + "/v2/policies?limit=100&account_id=" + url.QueryEscape(b.Account)
	next := func(a answer) string { return a.text("next", "href") }
	n, err := b.count(ctx, of, "policies", next)
	if err != nil {
		return err
	}
	if n < 0 || n > room {
		return impossible("the account has %d policies: only one with at most %d gets a thousand more", n, room)
	}
	iamID := ""
	b.later("policies of a service ID", func(ctx context.Context) error { // after the service ID, with which they go
		if iamID == "" {
			return nil
		}
		list, err := b.call(ctx, b.HTTP, http.MethodGet, of+"&iam_id="+url.QueryEscape(iamID), nil)
		if err != nil {
			return err
		}
		return b.removeThese(list, "policies", func(answer) bool { return true }, func(a answer) error { return b.remove(ctx, b.policyURL(a.text("id"))) })
	})
	made, err := b.newServiceID(ctx, b.name+"-full")
	if err != nil {
		return err
	}
	if made.status != http.StatusCreated {
		return impossible("making a second service ID was answered %d", made.status)
	}
	iamID = made.text("iam_id")
	return b.untilRefused("policies of a service ID", "identityLimitStatus", 0, most, func(i int) (answer, error) {
		on := []string{"serviceName", "logs", "serviceInstance", fmt.Sprintf("66666666-6666-4666-8666-%012d", i)}
		return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.grant(iamID, on, sender))
	})
}

// untilRefused makes things until one is refused.
func (b *bench) untilRefused(of, name string, before, most int, create func(i int) (answer, error)) error {
	for i := range most {
		a, err := create(i)
		if err != nil {
			return err
		}
		switch {
		case a.status < 300:
		case i == 0: // no right, or no room
			return impossible("%s: after %d, the next was answered %d", of, i, a.status)
		default:
			b.settle(name, a.status)
			b.limit(Limit{Of: of, Accepted: before + i, Status: a.status})
			return nil
		}
	}
	return impossible("none of %d was refused", most)
}

// removeThese deletes the items of a list that match.
func (b *bench) removeThese(list answer, items string, match func(answer) bool, remove func(answer) error) error {
	found, _ := list.body[items].([]any)
	var errs []error
	for _, item := range found {
		if a := (answer{body: asMap(item)}); match(a) {
			errs = append(errs, remove(a))
		}
	}
	return errors.Join(errs...)
}

// removeOld deletes those items of a list that a verification made and that are too old
// for one that is under way.
func (b *bench) removeOld(list answer, items string, ours func(answer) bool, remove func(answer) error) {
	found, _ := list.body[items].([]any)
	for _, item := range found {
		a := answer{body: asMap(item)}
		made, err := moment(a.text("created_at"))
		name := strings.ReplaceAll(a.text("name"), "_", "-")
		if !strings.HasPrefix(name, prefix) || !ours(a) || err != nil || b.Now().Sub(made) < life {
			continue
		}
		if err := remove(a); err == nil {
			b.say("deleted %s, which an earlier verification left", a.text("name"))
		}
	}
}

// moment reads a time as IAM Identity writes it, or as the other services do.
func moment(text string) (time.Time, error) {
	if t, err := time.Parse("2006-01-02T15:04-0700", text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text) //nolint:wrapcheck // the caller takes an error for a thing of others
}
