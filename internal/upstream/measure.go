package upstream

import (
	"net/http"
	"strings"
	"time"
)

// Call is a request that was sent to an upstream, and its answer.
type Call struct {
	// Service is the upstream in one word: iam, codeengine, secretsmanager, logs,
	// notifications, kubernetes, vault or other.
	Service string
	// Status is that of the answer, or 0 if there was none.
	Status int
	// Took is the time from the request to the head of the answer.
	Took time.Duration
}

// Measure returns a transport that reports each request that was sent to a service.
// If service is empty, the path of a request names one of IBM Cloud's. A nil sent
// measures nothing.
func Measure(next http.RoundTripper, service string, sent func(Call)) http.RoundTripper {
	if sent == nil {
		return next
	}
	return measured{next, service, sent}
}

type measured struct {
	next    http.RoundTripper
	service string
	sent    func(Call)
}

// RoundTrip satisfies http.RoundTripper.
func (m measured) RoundTrip(req *http.Request) (*http.Response, error) {
	begun := time.Now()
	resp, err := m.next.RoundTrip(req)
	call := Call{Service: m.service, Took: time.Since(begun)}
	if call.Service == "" {
		call.Service = serviceAt(req.URL.Path)
	}
	if err == nil {
		call.Status = resp.StatusCode
	}
	m.sent(call)
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (m measured) CloseIdleConnections() { closeIdle(m.next) }

// services has the beginning of the paths of each of IBM Cloud's services. The
// emulator serves all of them at one host.
var services = []struct{ path, service string }{
	{"/identity/", "iam"}, {"/v1/", "iam"}, {"/v2/policies", "iam"}, {"/v2/roles", "iam"}, {"/v2/groups", "iam"},
	{"/v2/projects", "codeengine"}, {"/api/v2/", "secretsmanager"}, {"/logs/", "logs"}, {"/event-notifications/", "notifications"},
}

func serviceAt(path string) string {
	for _, s := range services {
		if strings.HasPrefix(path, s.path) {
			return s.service
		}
	}
	return "other"
}
