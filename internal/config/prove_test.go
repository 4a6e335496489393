package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withProofs returns the small config with proofs by HTTP beside its log line.
func withProofs(proofs string) string {
	return strings.Replace(static, "    logs: {instance: 7a1c, region: eu-de}\n", "    logs: {instance: 7a1c, region: eu-de}\n    http:\n"+proofs, 1)
}

func TestProofsByHTTPExpand(t *testing.T) {
	c := mustLoad(t, withProofs(`    - {url: "https://api.example.com/v1/things?limit=1"}
    - {url: "https://api.example.com:8443/v1/things", method: POST, body: '{"ping": true}', expect: [200, 202], retryOn: 404}
    - {logs: {instance: 8b2d, region: us-south}, deny: true}
    - {cos: {bucket: backups, region: eu-de}}
    - {cos: {bucket: backups, region: eu-de, do: read, object: probe}, deny: true, expect: [403, 404]}
    - {eventStreams: {server: "https://a.svc01.eu-de.eventstreams.cloud.ibm.com", topic: orders, do: write}, deny: true}
    - {containerRegistry: {region: global, image: "team/web:latest"}, wait: 3m}
    - {secretsManager: {instance: 4f0c, region: eu-de}, deny: true}
`))
	got, err := c.Entries[0].Expand(Input{})
	if err != nil {
		t.Fatal(err)
	}
	want := []HTTPProof{
		{At: "http[0]", URL: "https://api.example.com/v1/things?limit=1", Method: "GET", Expect: []int{200}, Wait: time.Minute},
		{At: "http[1]", URL: "https://api.example.com:8443/v1/things", Method: "POST", Body: `{"ping": true}`, Expect: []int{200, 202}, RetryOn: []int{404}, Wait: time.Minute},
		{At: "http[2]", Logs: &LogsProof{"8b2d", "us-south"}, Expect: []int{403}, Deny: true, Wait: time.Minute},
		{At: "http[3]", Objects: &ObjectsProof{Bucket: "backups", Region: "eu-de", Do: "list", Object: "latchkey-proof"}, Expect: []int{200}, Wait: time.Minute},
		{At: "http[4]", Objects: &ObjectsProof{Bucket: "backups", Region: "eu-de", Do: "read", Object: "probe"}, Expect: []int{403, 404}, Deny: true, Wait: time.Minute},
		{At: "http[5]", Topic: &TopicProof{"https://a.svc01.eu-de.eventstreams.cloud.ibm.com", "orders", "write"}, Expect: []int{401, 403}, Deny: true, Wait: 5 * time.Minute},
		{At: "http[6]", Image: &ImageProof{"icr.io", "team/web:latest"}, Expect: []int{200}, Wait: 3 * time.Minute},
		{At: "http[7]", Secrets: &SecretsProof{"4f0c", "eu-de"}, Expect: []int{403}, Deny: true, Wait: time.Minute},
	}
	if diff := cmp.Diff(want, got.Prove.HTTP); diff != "" {
		t.Errorf("proofs (-want +got)\n%s", diff)
	}
	if got.Prove.Logs == nil {
		t.Error("the log line is lost")
	}
}

func TestAProofThatProvesNothingIsAFault(t *testing.T) {
	const at = "credentials[0].prove.http[0]"
	for name, tc := range map[string]struct{ proof, fault string }{
		"no request":                            {`{deny: true}`, at + `: needs one of url, logs, cos, eventStreams, containerRegistry and secretsManager`},
		"two requests":                          {`{url: "https://a.example/x", logs: {instance: 7a1c, region: eu-de}}`, at + `.logs: url and logs cannot be combined; choose one`},
		"a server without TLS":                  {`{url: "http://a.example/x"}`, at + `.url: "http://a.example/x" must be an https URL`},
		"a URL without a host":                  {`{url: "https:///x"}`, at + `.url: "https:///x" must be an https URL`},
		"a password in the URL":                 {`{url: "https://u:p@a.example/x"}`, at + `.url: "https://u:p@a.example/x" must not contain a user or password`},
		"a fragment, which is never sent":       {`{url: "https://a.example/x#y"}`, at + `.url: "https://a.example/x#y" must not have a part after #`},
		"a path that leaves its folder":         {`{url: "https://a.example/x/../y"}`, at + `.url: "https://a.example/x/../y" must not have . or .. in its path`},
		"a path that leaves it in disguise":     {`{url: "https://a.example/x/%2E%2e/y"}`, at + `.url: "https://a.example/x/%2E%2e/y" must not have . or .. in its path`},
		"a method that no proof needs":          {`{url: "https://a.example/x", method: TRACE}`, at + `.method: "TRACE" must be GET, HEAD, POST, PUT, PATCH or DELETE`},
		"a GET with a body":                     {`{url: "https://a.example/x", body: y}`, at + `.body: needs a method such as POST: a GET has no body`},
		"a method of a ready proof":             {`{cos: {bucket: abc, region: eu-de}, method: POST}`, at + `.method: needs url: the other proofs know their method`},
		"a body of a ready proof":               {`{cos: {bucket: abc, region: eu-de}, body: x}`, at + `.body: needs url: the other proofs know their body`},
		"a log line that must be accepted":      {`{logs: {instance: 7a1c, region: eu-de}}`, at + `.logs: needs deny: true: prove.logs proves that an instance accepts a line`},
		"an object of a list":                   {`{cos: {bucket: abc, region: eu-de, object: x}}`, at + `.cos.object: needs do: read or do: write`},
		"an unknown use of a bucket":            {`{cos: {bucket: abc, region: eu-de, do: delete}}`, at + `.cos.do: "delete" must be list, read or write`},
		"the name of no bucket":                 {`{cos: {bucket: A_B, region: eu-de}}`, at + `.cos.bucket: "A_B" must be the name of a bucket`},
		"a server with a query":                 {`{eventStreams: {server: "https://a.example?x=1", topic: t}}`, at + `.eventStreams.server: "https://a.example?x=1" must be an address without a query`},
		"a region without a registry":           {`{containerRegistry: {region: eu-xx, image: "a/b:c"}}`, at + `.containerRegistry.region: "eu-xx" must be au-syd`},
		"an image without a tag":                {`{containerRegistry: {region: eu-de, image: team/web}}`, at + `.containerRegistry.image: "team/web" must be an image: NAMESPACE/REPOSITORY:TAG`},
		"a status that HTTP does not have":      {`{url: "https://a.example/x", expect: 99}`, at + `.expect: 99 is not a whole number from 200 to 599`},
		"no status":                             {`{url: "https://a.example/x", expect: []}`, at + `.expect: is an empty list`},
		"a success as a denial":                 {`{url: "https://a.example/x", deny: true, expect: 204}`, at + `.expect: 204 is no denial`},
		"a status that is wanted and retried":   {`{url: "https://a.example/x", expect: 404, retryOn: [404]}`, at + `.retryOn: 404 is in expect, too`},
		"a wait that a run has no time for":     {`{url: "https://a.example/x", wait: 11m}`, at + `.wait: 11m must be from 1m to 10m`},
		"no proofs":                             {``, `credentials[0].prove.http: is an empty list`},
		"more proofs than a run has time for":   {strings.Repeat(`{url: "https://a.example/x"}, `, 21), `credentials[0].prove.http: has 21 proofs; the maximum is 20`},
		"a project's host":                      {`{url: "https://${project.name}.example/x"}`, at + `.url: has an expression in the host`},
		"a project's host before a literal end": {`{url: "https://a.${project.name}/x"}`, at + `.url: has an expression in the host`},
		"a project's port":                      {`{url: "https://a.example:${project.name}/x"}`, at + `.url: has an expression in the host`},
	} {
		t.Run(name, func(t *testing.T) {
			text := withProofs("")
			text = strings.Replace(text, "    http:\n", "    http: ["+tc.proof+"]\n", 1)
			_, err := Load("latchkey.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("got %v, want %s", err, tc.fault)
			}
		})
	}
}

func TestADenialNeedsAProofBesideItOfWhatTheKeyMayDo(t *testing.T) {
	text := strings.Replace(withProofs("    - {secretsManager: {instance: 4f0c, region: eu-de}, deny: true}\n"), "    logs: {instance: 7a1c, region: eu-de}\n", "", 1)
	_, err := Load("latchkey.yaml", []byte(text))
	if err == nil || !strings.Contains(err.Error(), "credentials[0].prove.http[0]: needs a proof of what the key may do beside it") {
		t.Errorf("got %v", err)
	}
	mustLoad(t, strings.Replace(text, "    http:\n", "    http:\n    - {url: \"https://a.example/x\"}\n", 1))
}

func TestAnExpressionChangesNoRequest(t *testing.T) {
	c := mustLoad(t, entryWith("logs-${project.name}", `codeEngine: {project: "${project.id}", secret: s, entry: KEY}`, "  forEach: codeengine.projects",
		`  prove: {http: [{url: "https://a.example/teams/${project.name}/keys?of=${project.id}", method: POST, body: '{"id": "${project.name}"}'}]}`))
	proof := func(name string) (HTTPProof, error) {
		got, err := c.Entries[0].Expand(Input{Project: &Project{ID: "p1", Name: name, Region: "eu-de"}})
		if err != nil {
			return HTTPProof{}, err
		}
		return got.Prove.HTTP[0], nil
	}
	got, err := proof("blue")
	if err != nil || got.URL != "https://a.example/teams/blue/keys?of=p1" || got.Body != `{"id": "blue"}` {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, want := range map[string]string{
		"a/b":                   `has a '/' that comes from an expression`,
		"a?b":                   `has a '?' that comes from an expression`,
		"a#b":                   `must not have a part after #`,
		"a&b":                   `has a '&' that comes from an expression`,
		"a%2Fb":                 `has a '%' that comes from an expression`,
		"..":                    `must not have . or .. in its path`,
		`x","admin":true,"y":"`: `has a `,
	} {
		if _, err := proof(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
