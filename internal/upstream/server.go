package upstream

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Server is one host of an IBM service.
type Server struct {
	// API is the service. Its routes say which answers are its own.
	API API
	// Host is the name that requests carry.
	Host string
	// Endpoint is the URL that requests are sent to; empty is https://Host.
	Endpoint string
	// Query is added to every request.
	Query url.Values
	// HTTP carries the requests, and logs in.
	HTTP *http.Client
}

// Service returns the server as a Service that lets only answers of its API pass: see
// API.Strict.
func (s Server) Service() Service {
	base := "https://" + s.Host
	if s.Endpoint != "" {
		base = strings.TrimSuffix(s.Endpoint, "/")
	}
	own := *s.HTTP
	own.Transport = &transport{Server: s, next: s.API.At(base).Strict(own.Transport)}
	own.CheckRedirect = NoRedirect
	return Service{Base: base, HTTP: &own}
}

type transport struct {
	Server
	next http.RoundTripper
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (t *transport) CloseIdleConnections() { closeIdle(t.next) }

// RoundTrip satisfies http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	own := req.Clone(req.Context())
	if t.Endpoint != "" {
		own.Host = t.Host
	}
	if len(t.Query) > 0 {
		query := own.URL.Query()
		maps.Copy(query, t.Query)
		own.URL.RawQuery = query.Encode()
	}
	return t.next.RoundTrip(own)
}
