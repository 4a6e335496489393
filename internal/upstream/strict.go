package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Route is one call of an API and what its success must have.
type Route struct {
	Method string
	// Path is a pattern. * is one segment. {id} is one that the answer repeats in its
	// member id, as {metadata.name} in a member of a member: an answer with another
	// text there is about another object.
	Path string
	// Has are the members that the JSON object of a success must have, such as id or
	// metadata.name, which is a member of a member. A name with
	// [] must be a list, and a name behind it is a member of each of its objects, as
	// in apps[].name. Empty means any member.
	Has []string
	// Empty allows a 204, which has no body. Without Has it demands one.
	Empty bool
	// Free allows a success of any form but a page. The form is not documented.
	Free bool
	// Anyone allows an answer about another account's object.
	Anyone bool
}

// match reports whether the route has the path, and returns the segments that an
// answer repeats.
func (r Route) match(path string) (repeated map[string]string, ok bool) {
	want, have := strings.Split(r.Path, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	repeated = map[string]string{}
	for i, segment := range want {
		switch member, named := strings.CutPrefix(segment, "{"); {
		case named:
			repeated[strings.TrimSuffix(member, "}")] = have[i]
		case segment != "*" && segment != have[i]:
			return nil, false
		}
	}
	return repeated, true
}

// Route returns the route of a request. ok is false if the API has none, which
// a test of the adapter must reject.
func (p API) Route(req *http.Request) (r Route, ok bool) {
	r, _, ok = p.route(req)
	return r, ok
}

func (p API) route(req *http.Request) (r Route, repeated map[string]string, ok bool) {
	at, below := strings.CutPrefix(strings.TrimSuffix(req.URL.Path, "/"), p.prefix)
	for _, r := range p.Routes {
		if repeated, ok := r.match(at); below && ok && r.Method == req.Method {
			return r, repeated, true
		}
	}
	return Route{Method: req.Method, Path: at}, nil, false
}

// At returns the API of a server at a base URL. Its routes are below the path of that.
func (p API) At(base string) API {
	p.prefix = ""
	if at, err := url.Parse(base); err == nil {
		p.prefix = strings.TrimSuffix(at.Path, "/")
	}
	return p
}

// Strict returns a transport that lets only answers of the API pass: a success
// has the JSON object that its route promises, about the objects that the request
// named and of our account, and a 404 is in the server's own words. Every other answer is a
// BentError, and so no clear answer. A call without a route is not sent, since nothing says
// what its answer must have. Strict includes Bound. An API without routes gets Bound only.
func (p API) Strict(next http.RoundTripper) http.RoundTripper {
	if len(p.Routes) == 0 {
		return Bound(next)
	}
	return strict{p, Bound(next)}
}

type strict struct {
	api  API
	next http.RoundTripper
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (s strict) CloseIdleConnections() { closeIdle(s.next) }

// RoundTrip satisfies http.RoundTripper.
func (s strict) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, known := s.api.Route(req); !known {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was sent
		}
		return nil, Unsent("the call is none of " + s.api.Name)
	}
	resp, err := s.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := whole(req, resp) // Bound has read it
	if err != nil {
		return nil, err
	}
	if err := s.api.Check(req, resp.StatusCode, body); err != nil {
		return nil, err
	}
	resp.Body = newAnswerBody(body)
	return resp, nil
}

// Check returns a BentError for an answer that is not one of the API.
func (p API) Check(req *http.Request, status int, body []byte) error {
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		if p.Absent == nil || !p.Absent(body) {
			return Bent("status %d, but not in the words of %s", status, p.Name)
		}
	case status >= 200 && status < 300:
		r, repeated, _ := p.route(req)
		text := bytes.TrimSpace(body)
		if r.Free {
			if bytes.HasPrefix(text, []byte("<")) {
				return Bent("status %d with a page instead of an answer", status)
			}
			return nil
		}
		if len(text) == 0 {
			if r.Empty && status == http.StatusNoContent {
				return nil
			}
			return Bent("status %d without an answer", status)
		}
		if r.Empty && r.Has == nil {
			return Bent("status %d with an answer, where a success has none", status)
		}
		objects, err := has(status, body, r.Has)
		if err != nil || r.Anyone {
			return err
		}
		return p.about(req.Context(), status, objects, repeated)
	}
	return nil
}

// object is a JSON object.
type object map[string]json.RawMessage

// text returns the text of a member, or of a member of a member, or "".
func (o object) text(member string) (text string) {
	name, rest, deeper := strings.Cut(member, ".")
	if !deeper {
		_ = json.Unmarshal(o[name], &text)
		return text
	}
	var in object
	_ = json.Unmarshal(o[name], &in)
	return in.text(rest)
}

// twice reports whether an object that is a member has a member twice.
func (o object) twice(member string) bool {
	var in object
	_ = json.Unmarshal(o[member], &in)
	return in != nil && twice(o[member], 1, in)
}

// has reports whether the object has a member, or a member of a member, with content.
func (o object) has(member string) bool {
	name, rest, deeper := strings.Cut(member, ".")
	if deeper {
		var in object
		return json.Unmarshal(o[name], &in) == nil && in.has(rest)
	}
	value := string(bytes.TrimSpace(o[member]))
	return value != "" && value != "null" && value != `""`
}

// account returns the account of an object that names it, or "".
func (o object) account() string {
	if account := o.text("account_id"); account != "" {
		return account
	}
	const scope = 6 // the part of a CRN that has the account
	if parts := strings.Split(o.text("crn"), ":"); len(parts) > scope {
		if account, ok := strings.CutPrefix(parts[scope], "a/"); ok {
			return account
		}
	}
	var policy struct {
		Attributes []struct {
			Key   string `json:"key"`
			Value any    `json:"value"`
		} `json:"attributes"`
	}
	_ = json.Unmarshal(o["resource"], &policy)
	for _, a := range policy.Attributes {
		if account, is := a.Value.(string); is && a.Key == "accountId" {
			return account
		}
	}
	return ""
}

// has checks that the body is a JSON object with the members. It returns the object
// and those in its lists.
func has(status int, body []byte, members []string) ([]object, error) {
	var whole object
	if err := json.Unmarshal(body, &whole); err != nil || len(whole) == 0 {
		return nil, Bent("status %d, but the answer can't be read as the JSON object of this call", status)
	}
	if twice(body, 1, whole) {
		return nil, Bent("status %d, but the answer has a member twice", status)
	}
	objects := []object{whole}
	for _, name := range members {
		name, each, list := strings.Cut(name, "[]")
		if !whole.has(name) || list && bytes.TrimSpace(whole[name])[0] != '[' {
			return nil, Bent("status %d, but the answer has no %s", status, name)
		}
		if !list {
			continue
		}
		var listed []object
		if err := json.Unmarshal(whole[name], &listed); err != nil {
			return nil, Bent("status %d, but the answer can't be read as a list of %s", status, name)
		}
		if twice(whole[name], 2, listed...) {
			return nil, Bent("status %d, but one of the %s has a member twice", status, name)
		}
		each = strings.TrimPrefix(each, ".")
		if each != "" && slices.ContainsFunc(listed, func(o object) bool { return !o.has(each) }) {
			return nil, Bent("status %d, but one of the %s has no %s", status, name, each)
		}
		objects = append(objects, listed...)
	}
	return objects, nil
}

// about checks that the objects are those that the request named, and of our
// account. An object may lack the members that say so.
func (p API) about(ctx context.Context, status int, objects []object, repeated map[string]string) error {
	for _, o := range objects {
		for member, want := range repeated {
			if outer, _, deeper := strings.Cut(member, "."); deeper && o.twice(outer) {
				return Bent("status %d, but the %s of the answer has a member twice", status, outer)
			}
			if got := o.text(member); got != "" && got != want {
				return Bent("status %d, but the answer has another %s than the request", status, member)
			}
		}
	}
	if p.Account == nil {
		return nil
	}
	own, err := p.Account(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(objects, func(o object) bool { a := o.account(); return a != "" && a != own }) {
		return Bent("status %d, but the answer has an object of another account", status)
	}
	return nil
}

// ownError reports whether the body is an error of an IBM service which says that
// an object does not exist: the code of its first error ends in not_found or
// not_found_error, as all do that are known (not_found, resource_not_found,
// policy_not_found). A gateway's code names a route instead.
func ownError(body []byte) bool {
	what, absent := strings.CutSuffix(strings.TrimSuffix(code404(body), "_error"), "not_found")
	return absent && !slices.Contains(ofGateway, strings.TrimSuffix(what, "_"))
}

// ownProject is ownError for Code Engine, which may answer 404 for a project that
// is not active. The code of that is a guess.
func ownProject(body []byte) bool {
	return ownError(body) || code404(body) == "project_not_active"
}

// code404 returns the code of the first error of an IBM service's 404 or 410, or "".
func code404(body []byte) string {
	var said struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
		StatusCode *int `json:"status_code"`
	}
	if json.Unmarshal(body, &said) != nil || len(said.Errors) == 0 ||
		said.StatusCode != nil && *said.StatusCode != http.StatusNotFound && *said.StatusCode != http.StatusGone {
		return ""
	}
	return said.Errors[0].Code
}

// ofGateway are what a gateway does not find. None of them is an object that latchkey
// reads.
var ofGateway = []string{"api", "backend", "endpoint", "host", "method", "operation", "page", "path", "route", "service", "upstream", "uri", "url"}

// ownStatus reports whether the body is a Status of Kubernetes that says that
// an object does not exist.
func ownStatus(body []byte) bool {
	var said struct{ Kind, APIVersion, Status, Reason string }
	return json.Unmarshal(body, &said) == nil && said.Kind == "Status" && said.APIVersion == "v1" &&
		(said.Reason == "NotFound" || said.Reason == "Gone" || said.Reason == "Expired")
}

// ownList reports whether the body is a Vault's: a list of errors, empty for an
// absent path, or the metadata of a deleted version.
func ownList(body []byte) bool {
	var said struct {
		Errors *[]string `json:"errors"`
		Data   *struct {
			Metadata map[string]json.RawMessage `json:"metadata"`
		} `json:"data"`
	}
	return json.Unmarshal(body, &said) == nil && (said.Errors != nil || said.Data != nil && len(said.Data.Metadata) > 0)
}
