package emulator

import (
	"cmp"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// statusesOf returns the statuses that a kind of hostile answers may have.
func statusesOf(kind string) (from, to int) {
	if kind == FaultRedirect {
		return 300, 399
	}
	return 200, 599
}

// loginPage is where a redirect leads that has no location of its own.
const loginPage = "https://login.example.com/"

// writeHostile writes an answer as it comes from a gateway or proxy between the
// client and IBM Cloud, not from a service.
func writeHostile(w http.ResponseWriter, f Fault) {
	h := w.Header()
	status, body := cmp.Or(f.Status, http.StatusNotFound), ""
	switch f.Kind {
	case FaultRedirect:
		status = cmp.Or(f.Status, http.StatusFound)
		h.Set("Location", cmp.Or(f.Location, loginPage))
	case FaultProxy:
		status = http.StatusProxyAuthRequired
		h.Set("Proxy-Authenticate", `Basic realm="proxy"`)
	case FaultEmpty:
		status = cmp.Or(f.Status, http.StatusOK)
	}
	if f.Kind != FaultEmpty {
		h.Set("Content-Type", "text/html")
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		body = "<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1><hr>gateway</body></html>\n"
	}
	if f.RetryAfter != "" {
		h.Set("Retry-After", f.RetryAfter)
	}
	if status != http.StatusNoContent && status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may be gone
}

var notificationsHost = regexp.MustCompile(`^(?:private\.)?([a-z]+-[a-z]+)\.event-notifications\.cloud\.ibm\.com$`)

// regionOf returns the region of a call: that of its host or, on the emulator's
// own host, that of its project or instance. IAM has none.
func (s *Server) regionOf(c *call) string {
	host := hostname(c.request.Host)
	for _, form := range []*regexp.Regexp{regionalHost, secretsHost, ingressHost, notificationsHost, objectsHost} {
		if m := form.FindStringSubmatch(host); m != nil {
			return m[len(m)-1]
		}
	}
	switch c.family {
	case familyCodeEngine:
		if id := c.path("project"); id != "" {
			return s.cloud.Resource(id).Region
		}
	case familySecrets:
		return cloud.SecretsInstanceRegion
	case familyLogs:
		return cloud.LogsInstanceRegion
	}
	return ""
}
