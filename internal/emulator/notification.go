package emulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// KindSecrets selects the events of Secrets Manager, as Event Notifications
// delivers them to a Code Engine application or a webhook. Each is one JSON
// object that looks like a structured CloudEvent with a notification_id, but
// comes as application/json without ce- headers. Events and data:
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-event-notifications.
// Guessed: the headers, which are not documented, and when a secret counts as N
// days from its expiry. Each event names one secret; IBM collects up to 100
// within a minute or two.
const KindSecrets = "secrets"

// sendNotification stores an event that was sent in either mode of CloudEvents.
func (s *Server) sendNotification(c *call) (answer, error) {
	envelope, err := c.envelope()
	if err != nil {
		return answer{}, err
	}
	n, err := s.cloud.SendNotification(c.actor, c.path("instance"), envelope)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 202, body: map[string]string{"notification_id": n.ID}, id: n.ID}, nil
}

// envelope returns a sent event in the structured form. The binary mode has ce-
// headers, and its body is the data. The type application/json without ce-
// headers is that of IBM's SDKs.
func (c *call) envelope() ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	fields := map[string]any{}
	for name, values := range c.request.Header {
		if attribute, ok := strings.CutPrefix(name, "Ce-"); ok {
			fields[strings.ToLower(attribute)] = values[0]
		}
	}
	bad := &cloud.Error{Status: 400, Code: c.family.badBody}
	if kind != "application/json" && kind != "application/cloudevents+json" {
		bad.Message = "The content type must be application/json or application/cloudevents+json."
		return nil, bad
	}
	if kind == "application/cloudevents+json" || len(fields) == 0 {
		return c.body, nil
	}
	if len(c.body) > 0 {
		if !json.Valid(c.body) {
			bad.Message = "The request body is not valid JSON."
			return nil, bad
		}
		fields["data"] = json.RawMessage(c.body)
	}
	fields["datacontenttype"] = kind
	return json.Marshal(fields)
}

// severities has the events whose severity is not low.
var severities = map[string]string{
	"secret_about_to_expire": "high", "secret_expired": "high", "secret_expiration_blocked": "high", "secret_rotation_failed": "high",
	"secret_deletion_failed": "high", "secret_task_failed": "high",
}

// secretChanged publishes an event of Secrets Manager.
func (s *Server) secretChanged(e cloud.SecretEvent) {
	if !s.hub.hasSubscriber(KindSecrets) {
		return
	}
	kind := "com.ibm.cloud.secrets-manager." + e.Type
	if e.SubType != "" {
		kind += ":" + e.SubType
	}
	at := e.At.UTC().Format(time.RFC3339)
	base := e.Instance.ID + ".%s" + e.Instance.Region + ".secrets-manager.appdomain.cloud/api"
	data := map[string]any{
		"event_type": e.Type, "secret_type": e.Secret.Type,
		"source_instance_crn":             e.Instance.CRN(),
		"source_instance_api_public_url":  "https://" + fmt.Sprintf(base, ""),
		"source_instance_api_private_url": "https://" + fmt.Sprintf(base, "private."),
		"source_instance_dashboard_url":   "https://cloud.ibm.com/services/secrets-manager/" + e.Instance.CRN(),
		"source_service":                  "SecretsManager",
	}
	if e.SubType != "" {
		data["event_sub_type"] = e.SubType
	}
	about := map[string]any{
		"event_time": at, "event_triggered_by": e.By, "secret_group_id": e.Secret.GroupID, "secret_id": e.Secret.CRN, "secret_name": e.Secret.Name,
	}
	if e.Reason != "" {
		about["failure_reason"] = e.Reason
	}
	if t := e.Task; t != nil {
		about["task_id"], about["task_type"], about["task_trigger"], about["secret_status"] = t.ID, t.Type, t.Trigger, t.Status
		data["tasks"] = []any{about}
	} else {
		if !e.Secret.ExpirationDate.IsZero() {
			about["secret_expiration"] = e.Secret.ExpirationDate.UTC().Format(time.RFC3339)
		}
		data["secrets"] = []any{about}
	}
	if e.Type == "test_event" {
		delete(data, "secrets") // it is about none
		delete(data, "secret_type")
	}
	short := strings.ReplaceAll(fmt.Sprintf("1 %s %s", e.Secret.Type, e.Type), "_", " ")
	s.notify(KindSecrets, notification{kind: kind, source: e.Instance.CRN(), time: e.At, severity: cmp.Or(severities[e.Type], "low"),
		short: short, long: short + " in " + e.Instance.ID, data: data})
}

// notification is an event that Event Notifications delivers.
type notification struct {
	kind, source          string
	time                  time.Time
	severity, short, long string
	data                  map[string]any
}

// notify publishes an event in the envelope of Event Notifications: see
// https://cloud.ibm.com/docs/event-notifications?topic=event-notifications-en-map-notificationpayload-destination-params.
func (s *Server) notify(of string, n notification) {
	id := eventID()
	body := map[string]any{
		"specversion": "1.0", "id": id, "source": n.source, "type": n.kind, "time": n.time.UTC().Format("2006-01-02T15:04:05.000Z"),
		"datacontenttype": "application/json", "ibmensourceid": n.source, "ibmenseverity": n.severity,
		"ibmendefaultshort": n.short, "ibmendefaultlong": n.long, "notification_id": eventID(), "data": n.data,
	}
	raw, err := json.Marshal(body)
	if err != nil {
		panic("encoding an event: " + err.Error()) // plain data
	}
	s.hub.publish(message{of: of, id: id, kind: n.kind, time: n.time, data: raw, bare: true})
}

// passTime expires secrets on time even if no call arrives.
func (s *Server) passTime() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-t.C:
			s.cloud.ExpireSecrets()
		}
	}
}
