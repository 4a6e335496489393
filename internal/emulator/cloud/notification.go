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

// The attributes of an event. Each is a string; those of
// mandatoryAttributes are not empty.
// https://cloud.ibm.com/docs/event-notifications?topic=event-notifications-en-spec-payload
var (
	mandatoryAttributes = []string{"id", "source", "specversion", "type", "ibmensourceid"}
	optionalAttributes  = []string{"time", "subject", "datacontenttype", "ibmenseverity", "ibmendefaultshort", "ibmendefaultlong"}
)

// mostNotifications limits how many events are kept, longestNotification how
// long one may be.
const (
	mostNotifications   = 10_000
	longestNotification = 64 << 10
)

// notificationSenders may send events, from the page of Event Notifications on
// IAM.
var notificationSenders = []string{"Writer", "Manager", "Administrator", "Event Source Manager", "Event Notification Publisher"}

// SendNotification checks an event in the form of a structured CloudEvent and
// stores it. Nothing delivers it.
func (c *Cloud) SendNotification(a Actor, instance string, body []byte) (Notification, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(a.IAMID) {
		return Notification{}, smError(401, "unauthorized", "The access token is missing, invalid or expired.")
	}
	if !c.may(a, target{service: serviceNotifications, instance: instance, group: ResourceGroupID}, notificationSenders...) {
		return Notification{}, smForbidden("event-notifications.notifications.post")
	}
	if len(body) > longestNotification {
		return Notification{}, smError(413, "payload_too_large", "A notification has at most 64 KB.")
	}
	if err := c.checkNotification(body); err != nil {
		return Notification{}, err
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

// checkNotification checks what the specification of the payload requires. The
// severity is the sender's own word.
func (c *Cloud) checkNotification(body []byte) error {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return smInvalid("The request body is not a JSON object.")
	}
	for _, name := range mandatoryAttributes {
		if s, _ := fields[name].(string); s == "" {
			return smInvalid("%s is required.", name)
		}
	}
	for _, name := range optionalAttributes {
		if _, ok := fields[name].(string); !ok && fields[name] != nil {
			return smInvalid("%s must be a string.", name)
		}
	}
	if fields["specversion"] != "1.0" {
		return smInvalid("specversion must be 1.0.")
	}
	if kind, ok := fields["datacontenttype"]; ok && kind != "application/json" {
		return smInvalid("datacontenttype must be application/json.")
	}
	if at, ok := fields["time"].(string); ok && c.switches.NotificationTimeChecked {
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			return smInvalid("time must be of the form of RFC 3339.")
		}
	}
	if _, ok := fields["data"].(map[string]any); !ok && fields["data"] != nil {
		return smInvalid("data must be a JSON object.")
	}
	return nil
}

// Notifications returns the accepted events, oldest first.
func (c *Cloud) Notifications() []Notification {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.notifications)
}
