package upstream

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Route is one call of an API and what its success must have.
type Route struct {
	Method string
	// Path is a pattern of path.Match: * is one segment.
	Path string
	// Has are the members that the JSON object of a success must have. A name
	// that ends in [] must be a list. Empty means any member.
	Has []string
	// Empty allows a 204, which has no body. Without Has it demands one.
	Empty bool
}

// Route returns the route of a request. ok is false if the API has none, which
// a test of the adapter must reject.
func (p API) Route(req *http.Request) (r Route, ok bool) {
	at := strings.TrimSuffix(req.URL.Path, "/")
	i := slices.IndexFunc(p.Routes, func(r Route) bool {
		match, _ := path.Match(r.Path, at)
		return match && r.Method == req.Method
	})
	if i < 0 {
		return Route{Method: req.Method, Path: at}, false
	}
	return p.Routes[i], true
}

// Strict returns a transport that lets only answers of the API pass: a success
// has the JSON object that its route promises, and a 404 is in the server's own
// words. Every other answer is a BentError, and so no clear answer. It includes
// Bound. An API without routes gets Bound only.
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
	resp, err := s.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body) // Bound has bounded it
	if err != nil {
		return nil, err
	}
	if err := s.api.Check(req, resp.StatusCode, body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
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
		r, _ := p.Route(req)
		if len(bytes.TrimSpace(body)) == 0 {
			if r.Empty && status == http.StatusNoContent {
				return nil
			}
			return Bent("status %d without an answer", status)
		}
		if r.Empty && r.Has == nil {
			return Bent("status %d with an answer, where a success has none", status)
		}
		return has(status, body, r.Has)
	}
	return nil
}

// has checks that the body is a JSON object with the members.
func has(status int, body []byte, members []string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || len(object) == 0 {
		return Bent("status %d, but the answer can't be read as the JSON object of this call", status)
	}
	for _, name := range members {
		name, list := strings.CutSuffix(name, "[]")
		value := bytes.TrimSpace(object[name])
		if len(value) == 0 || bytes.Equal(value, []byte("null")) || list && value[0] != '[' {
			return Bent("status %d, but the answer has no %s", status, name)
		}
	}
	return nil
}

// ownError reports whether the body is an error of an IBM service: it has the
// code of at least one error.
func ownError(body []byte) bool {
	var said struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
		StatusCode *int `json:"status_code"`
	}
	return json.Unmarshal(body, &said) == nil && len(said.Errors) > 0 && said.Errors[0].Code != "" &&
		(said.StatusCode == nil || *said.StatusCode == http.StatusNotFound || *said.StatusCode == http.StatusGone)
}

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
