package emulator

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// Hosts of services of which the emulator knows only who may use their data. They share
// paths with other services, so the host decides.
var (
	objectsHost  = regexp.MustCompile(`^s3\.(?:private\.)?([a-z]+-[a-z]+)\.cloud-object-storage\.appdomain\.cloud$`)
	streamsHost  = regexp.MustCompile(`^[a-z0-9.-]+\.eventstreams\.cloud\.ibm\.com$`)
	registryHost = regexp.MustCompile(`^(?:private\.)?([a-z0-9]+)\.icr\.io$`)
)

var familyData = &family{"", "bad_request"}

// dataRoutes are the operations of these hosts.
var dataRoutes = []struct {
	host *regexp.Regexp
	route
}{
	{objectsHost, route{pattern: "cos/{bucket}/{object}", family: familyData, handle: (*Server).object}},
	{streamsHost, route{pattern: "eventstreams/{topic}", family: familyData, handle: (*Server).topic}},
	{registryHost, route{pattern: "registry/{image}", family: familyData, handle: (*Server).image}},
}

// dataRoute returns the route of a request to one of these hosts.
func dataRoute(r *http.Request) (route, bool) {
	for _, d := range dataRoutes {
		if d.host.MatchString(hostname(r.Host)) {
			return d.route, true
		}
	}
	return route{}, false
}

// segments returns the unescaped segments of a call's path.
func segments(c *call) (all []string) {
	for _, s := range strings.Split(strings.Trim(c.request.URL.EscapedPath(), "/"), "/") {
		plain, err := url.PathUnescape(s)
		if err != nil {
			plain = s
		}
		all = append(all, plain)
	}
	return all
}

func dataNotFound() error {
	return &cloud.Error{Status: 404, Code: "not_found", Message: "There is no such operation."}
}

func (s *Server) object(c *call) (answer, error) {
	at := segments(c)
	bucket, object := at[0], strings.Join(at[1:], "/")
	write := c.request.Method == http.MethodPut
	if bucket == "" || write && object == "" || !write && c.request.Method != http.MethodGet {
		return answer{}, dataNotFound()
	}
	region := objectsHost.FindStringSubmatch(hostname(c.request.Host))[1]
	if err := s.cloud.Object(c.actor, region, bucket, object, write); err != nil {
		return answer{}, err
	}
	return answer{status: 200, raw: `{}`}, nil
}

func (s *Server) topic(c *call) (answer, error) {
	at := segments(c)
	switch {
	case c.request.Method == http.MethodGet && len(at) == 3 && at[0] == "admin" && at[1] == "topics":
		return answer{status: 200, body: map[string]any{"name": at[2]}}, s.cloud.Topic(c.actor, at[2], false)
	case c.request.Method == http.MethodPost && len(at) == 4 && at[0] == "v2" && at[1] == "topics" && at[3] == "records":
		return answer{status: 200, body: map[string]any{"metadata": map[string]any{"topic": at[2]}}}, s.cloud.Topic(c.actor, at[2], true)
	}
	return answer{}, dataNotFound()
}

// registryRegions has the region of each registry.
var registryRegions = map[string]string{
	"au": "au-syd", "br": "br-sao", "ca": "ca-tor", "de": "eu-de", "es": "eu-es", "jp": "jp-tok", "jp2": "jp-osa", "uk": "eu-gb", "us": "us-south",
}

func (s *Server) image(c *call) (answer, error) {
	at := segments(c)
	if c.request.Method != http.MethodGet || len(at) != 5 || strings.Join(at[:3], "/") != "api/v1/images" || at[4] != "inspect" {
		return answer{}, dataNotFound()
	}
	_, name, _ := strings.Cut(at[3], "/") // after the host
	namespace, _, _ := strings.Cut(name, "/")
	region := registryRegions[registryHost.FindStringSubmatch(hostname(c.request.Host))[1]]
	return answer{status: 200, body: map[string]any{"Id": at[3]}}, s.cloud.Image(c.actor, c.header("Account"), region, namespace)
}
