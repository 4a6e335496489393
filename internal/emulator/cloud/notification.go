package cloud

import (
	"encoding/json"
	"slices"
	"time"
)

const serviceNotifications = "event-notifications"

// NotificationsInstanceID is the instance of Event Notifications in every
// cloud.
const NotificationsInstanceID = "9f27b3d4-50c8-4e1a-8d36-2b7e90f4a1c5"

// Notification is an event that was sent to Event Notifications.
type Notification struct {
	ID       string          `json:"id"` // from Event Notifications
	Instance string          `json:"instance"`
	Sender   string          `json:"sender"` // IAM ID
	Received time.Time       `json:"received"`
	Body     json.RawMessage `json:"body"`
}

// notificationFields lists the fields that an event needs. Each is a string.
var notificationFields = []string{"id", "source", "type", "specversion", "ibmensourceid", "ibmendefaultshort", "ibmendefaultlong", "ibmenseverity"}

// mostNotifications limits how many events are kept, longestNotification how
// long one may be.
const (
	mostNotifications   = 10_000
	longestNotification = 64 << 10
)

// SendNotification checks an event and stores it. Nothing delivers it.
func (c *Cloud) SendNotification(a Actor, instance string, body []byte) (Notification, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(a.IAMID) {
		return Notification{}, smError(401, "unauthorized", "The access token is missing, invalid or expired.")
	}
	if !c.may(a, target{service: serviceNotifications, instance: instance, group: ResourceGroupID}, "EventSourceManager", "Manager") {
		return Notification{}, smForbidden("event-notifications.notifications.send")
	}
	if len(body) > longestNotification {
		return Notification{}, smError(413, "payload_too_large", "A notification has at most 64 KB.")
	}
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return Notification{}, smInvalid("The request body is not a JSON object.")
	}
	for _, name := range notificationFields {
		if s, _ := fields[name].(string); s == "" {
			return Notification{}, smInvalid("%s is required.", name)
		}
	}
	if fields["specversion"] != "1.0" {
		return Notification{}, smInvalid("specversion must be 1.0.")
	}
	if severity := fields["ibmenseverity"]; !slices.Contains([]any{"LOW", "MEDIUM", "HIGH", "CRITICAL"}, severity) {
		return Notification{}, smInvalid("ibmenseverity must be LOW, MEDIUM, HIGH or CRITICAL.")
	}
	if instance != NotificationsInstanceID {
		return Notification{}, smNotFound("instance", instance)
	}
	n := Notification{ID: c.uuid(), Instance: instance, Sender: a.IAMID, Received: c.now(), Body: slices.Clone(body)}
	if len(c.notifications) >= mostNotifications {
		c.notifications = slices.Delete(c.notifications, 0, mostNotifications/10)
	}
	c.notifications = append(c.notifications, n)
	return n, nil
}

// Notifications returns the accepted events, oldest first.
func (c *Cloud) Notifications() []Notification {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.notifications)
}
