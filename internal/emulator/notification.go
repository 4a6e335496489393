package emulator

import (
	"cmp"
	"encoding/json"
	"fmt"
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

// sendNotification stores an event.
func (s *Server) sendNotification(c *call) (answer, error) {
	if err := c.json(new(json.RawMessage)); err != nil {
		return answer{}, err
	}
	n, err := s.cloud.SendNotification(c.actor, c.path("instance"), c.body)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 202, body: map[string]string{"notification_id": n.ID}, id: n.ID}, nil
}

// severities has the events whose severity is not low.
var severities = map[string]string{
	"secret_about_to_expire": "high", "secret_expired": "high", "secret_expiration_blocked": "high", "secret_rotation_failed": "high",
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
	short := strings.ReplaceAll(fmt.Sprintf("1 %s %s", e.Secret.Type, e.Type), "_", " ")
	id := eventID()
	body := map[string]any{
		"specversion": "1.0", "id": id, "source": e.Instance.CRN(), "type": kind, "time": e.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		"datacontenttype": "application/json", "ibmensourceid": e.Instance.CRN(), "ibmenseverity": cmp.Or(severities[e.Type], "low"),
		"ibmendefaultshort": short, "ibmendefaultlong": short + " in " + e.Instance.ID, "notification_id": eventID(), "data": data,
	}
	raw, err := json.Marshal(body)
	if err != nil {
		panic("encoding an event: " + err.Error()) // plain data
	}
	s.hub.publish(message{of: KindSecrets, id: id, kind: kind, time: e.At, data: raw, bare: true})
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
