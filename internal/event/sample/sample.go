// Package sample makes events as their senders put them on the wire. The demo and
// tests send them.
package sample

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Event is an event as its sender puts it on the wire.
type Event struct {
	// Header are HTTP headers.
	Header map[string]string
	Body   []byte
}

// Binary returns a CloudEvent in binary mode; nil data is no body.
func Binary(kind, source string, at time.Time, data any) Event {
	e := Event{Header: map[string]string{
		"ce-specversion": "1.0", "ce-id": uuid.NewString(), "ce-source": source, "ce-type": kind,
		"ce-time": at.UTC().Format(time.RFC3339Nano),
	}}
	if data != nil {
		e.Header["Content-Type"] = "application/json"
		e.Body = Encode(data)
	}
	return e
}

// Encode returns the JSON of an event's data.
func Encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("encoding an event: " + err.Error()) // maps of strings
	}
	return b
}

// ID returns the ID of the event, in either form.
func (e Event) ID() string {
	if id := e.Header["ce-id"]; id != "" {
		return id
	}
	var envelope struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(e.Body, &envelope) // an event without an ID has none
	return envelope.ID
}

// notification returns an event in the envelope of Event Notifications, which
// comes without ce- headers.
func notification(kind, source, severity string, at time.Time, data any) Event {
	return Event{
		Header: map[string]string{"Content-Type": "application/json"},
		Body: Encode(map[string]any{
			"specversion": "1.0", "id": uuid.NewString(), "source": source, "type": kind, "time": at.UTC().Format("2006-01-02T15:04:05.000Z"),
			"datacontenttype": "application/json",
			"ibmensourceid":   source, "ibmenseverity": severity, "notification_id": uuid.NewString(), "data": data,
		}),
	}
}

// ProjectCreated is the event about a new Code Engine project that Event
// Notifications' resource lifecycle source sends.
func ProjectCreated(account, project, name string, at time.Time) Event {
	crn := fmt.Sprintf("crn:v1:bluemix:public:codeengine:eu-de:a/%s:%s::", account, project)
	source := fmt.Sprintf("crn:v1:bluemix:public:resource-controller:global:a/%s:::", account)
	return notification("com.ibm.cloud.resource-controller.instance:create", source, "low", at, map[string]any{
		"account_id": account, "event_id": uuid.NewString(), "event_type": "resource-controller.instance.create",
		"timestamp": at.UTC().Format(time.RFC3339),
		"context": map[string]any{"activity": map[string]any{
			"action": "codeengine.instance.create", "outcome": "success", "target_name": name,
		}},
		"event_properties": map[string]any{
			"crn": crn, "guid": project, "name": name, "region_id": "eu-de", "state": "active", "type": "service_instance",
			"last_operation": map[string]any{"type": "create", "state": "succeeded"},
		},
	})
}

// SecretExpiring is Secrets Manager's notification that a secret expires in ten
// days.
func SecretExpiring(account, name string, at time.Time) Event {
	instance := fmt.Sprintf("crn:v1:bluemix:public:secrets-manager:eu-de:a/%s:5b2d0e7c-9a41-4b57-8f3e-1c6d2a9b8e70::", account)
	return notification("com.ibm.cloud.secrets-manager.secret_about_to_expire:in_10_days", instance, "high", at, map[string]any{
		"event_type": "secret_about_to_expire", "event_sub_type": "in_10_days", "secret_type": "arbitrary",
		"secrets": []any{map[string]any{
			"event_time": at.UTC().Format(time.RFC3339), "event_triggered_by": "SecretsManager",
			"secret_expiration": at.Add(10 * 24 * time.Hour).UTC().Format(time.RFC3339), "secret_group_id": "default",
			"secret_id":   instance[:len(instance)-1] + "secret:7b1e5a52-30c8-4c8e-9a5b-2f1d6c7e8f90",
			"secret_name": name,
		}},
		"source_instance_crn": instance, "source_service": "SecretsManager",
	})
}

// Rotate demands a newer key of the credential.
func Rotate(credential string, at time.Time) Event {
	return Binary("dev.latchkey.rotate", "/tickets/4711", at, map[string]string{"credential": credential})
}

// Tick is what a Code Engine timer without data sends.
func Tick(at time.Time) Event {
	return Binary("dev.knative.sources.ping", "/apis/v1/namespaces/demo/pingsources/hourly", at, nil)
}

// Notified returns an event in the envelope in which Event Notifications hands it
// to a job.
func Notified(e Event) []byte {
	if e.Header["ce-id"] == "" {
		return e.Body // it is in one already
	}
	envelope := map[string]any{"ibmensourceid": e.Header["ce-source"], "notification_id": uuid.NewString()}
	for name, value := range e.Header {
		if attribute, is := strings.CutPrefix(name, "ce-"); is {
			envelope[attribute] = value
		}
	}
	if len(e.Body) > 0 {
		envelope["data"] = json.RawMessage(e.Body)
	}
	return Encode(envelope)
}
