package outcome

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/hosts"
)

// NotificationsConfig configures a NotificationsSink. latchkey's identity needs
// the role Event Source Manager on the instance.
type NotificationsConfig struct {
	Instance string // the GUID of the Event Notifications instance
	Region   string
	Source   string // the ID of the API source
	// Private selects the address inside IBM's network.
	Private bool
	// Endpoint replaces IBM's address, for example with the emulator's URL. If
	// empty, IBM Cloud is used.
	Endpoint string
	// HTTP carries every request and adds the IAM token.
	HTTP *http.Client
}

// NotificationsSink sends events to IBM Cloud Event Notifications, by the API of
// https://cloud.ibm.com/apidocs/event-notifications#send-notifications, whose
// body is a CloudEvent with IBM's extensions.
type NotificationsSink struct {
	cfg  NotificationsConfig
	url  string
	name string
}

var _ Sink = (*NotificationsSink)(nil)

// NewNotifications returns a sink. It sends nothing yet.
func NewNotifications(cfg NotificationsConfig) *NotificationsSink {
	base := "https://" + hosts.EventNotifications(cfg.Region, cfg.Private)
	if cfg.Endpoint != "" {
		base = strings.TrimSuffix(cfg.Endpoint, "/")
	}
	return &NotificationsSink{
		cfg: cfg, url: base + "/event-notifications/v1/instances/" + cfg.Instance + "/notifications",
		name: "eventNotifications/" + cfg.Region + "/" + cfg.Instance,
	}
}

// Name returns eventNotifications/<region>/<instance>.
func (s *NotificationsSink) Name() string { return s.name }

// largest is the largest notification accepted, in bytes:
// https://cloud.ibm.com/docs/event-notifications?topic=event-notifications-en-about.
const largest = 64 << 10

// notification is the body of a send-notification call.
type notification struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	SourceID        string          `json:"ibmensourceid"`
	Severity        string          `json:"ibmenseverity"`
	Short           string          `json:"ibmendefaultshort"`
	Long            string          `json:"ibmendefaultlong"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// Deliver sends one event. If its data make it too large they are left out; the
// sentences remain.
func (s *NotificationsSink) Deliver(ctx context.Context, e Event) error {
	n := notification{
		SpecVersion: "1.0", ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Time: e.Time.Format(time.RFC3339),
		DataContentType: "application/json", SourceID: s.cfg.Source, Severity: e.Severity,
		Short: shortened(e.Short, 256), Long: shortened(e.Long, 2048), Data: e.Data,
	}
	body, err := json.Marshal(n)
	if err == nil && len(body) > largest {
		n.Data = nil
		body, err = json.Marshal(n)
	}
	if err != nil {
		return fmt.Errorf("encoding an event for %s: %w", s.name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("sending to %s: %w", s.name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	return post(s.cfg.HTTP, req, s.name, true)
}

// shortened cuts text to at most so many bytes, at a character boundary.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
