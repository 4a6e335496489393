package proof

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/latchkey-io/latchkey/internal/hosts"
)

// The requests below are those of IBM's services, from the services' API documents.
// Private selects the address inside IBM's network.

const jsonType = "application/json"

// What a proof does with objects and topics.
const (
	List  = "list"
	Read  = "read"
	Write = "write"
)

// Objects lists a bucket of Cloud Object Storage, or reads or writes one object.
func Objects(bucket, region, object, do string, private bool) Request {
	base := "https://" + hosts.ObjectStorage(region, private) + "/" + url.PathEscape(bucket)
	switch do {
	case Read:
		return Request{Method: http.MethodGet, URL: base + "/" + url.PathEscape(object)}
	case Write:
		return Request{Method: http.MethodPut, URL: base + "/" + url.PathEscape(object), Body: "proof of a new key\n", ContentType: "text/plain"}
	}
	return Request{Method: http.MethodGet, URL: base + "?list-type=2&max-keys=1"}
}

// Topic reads the settings of a topic of Event Streams, or writes one record. The server
// is kafka_admin_url or kafka_http_url of the instance.
func Topic(server, topic, do string) Request {
	if do == Write {
		return Request{Method: http.MethodPost, URL: server + "/v2/topics/" + url.PathEscape(topic) + "/records", Body: `{"value":{"type":"text","data":"proof of a new key"}}`, ContentType: jsonType}
	}
	return Request{Method: http.MethodGet, URL: server + "/admin/topics/" + url.PathEscape(topic)}
}

// Image inspects an image of Container Registry, given by its namespace, repository and
// tag. The host is that of the registry.
func Image(host, image string, private bool) Request {
	return Request{Method: http.MethodGet, URL: "https://" + hosts.ContainerRegistry(host, private) + "/api/v1/images/" + url.PathEscape(host+"/"+image) + "/inspect", Account: true}
}

// Secrets lists at most one secret of an instance of Secrets Manager.
func Secrets(instance, region string, private bool) Request {
	return Request{Method: http.MethodGet, URL: "https://" + hosts.SecretsManager(instance, region, private) + "/api/v2/secrets?limit=1"}
}

// Logs sends one line to Cloud Logs, which must deny it. Package logs proves that an
// instance accepts a line.
func Logs(instance, region string, private bool) Request {
	body, _ := json.Marshal([]map[string]any{{ // plain data
		"applicationName": "latchkey", "subsystemName": "proof", "severity": 3, "text": map[string]string{"event": "key_proof"},
	}})
	return Request{
		Method: http.MethodPost, URL: "https://" + hosts.CloudLogs(instance, region, private) + "/logs/v1/singles",
		Body: string(body), ContentType: jsonType,
	}
}
