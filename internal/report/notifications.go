package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// NotificationsConfig is an API source of an instance of IBM Cloud Event
// Notifications. Our identity needs the role Event Source Manager there.
type NotificationsConfig struct {
	Instance string // GUID
	Region   string
	Source   string // the ID of the API source
	// Private takes the address inside IBM's network.
	Private bool
	// Endpoint serves in place of IBM's address: the emulator's URL. Empty is
	// IBM Cloud.
	Endpoint string
	// HTTP carries every call and logs in.
	HTTP *http.Client
}

// NotificationsSink sends to Event Notifications: the send-notification API of
// https://cloud.ibm.com/apidocs/event-notifications#send-notifications, whose
// body is a CloudEvent with IBM's extensions.
type NotificationsSink struct {
	cfg  NotificationsConfig
	url  string
	name string
}

var _ Sink = (*NotificationsSink)(nil)

// NewNotifications builds a sink. Nothing is called yet.
func NewNotifications(cfg NotificationsConfig) *NotificationsSink {
	region := cfg.Region
	if cfg.Private {
		region = "private." + region
	}
	base := "https://" + region + ".event-notifications.cloud.ibm.com"
	if cfg.Endpoint != "" {
		base = strings.TrimSuffix(cfg.Endpoint, "/")
	}
	return &NotificationsSink{
		cfg: cfg, url: base + "/event-notifications/v1/instances/" + cfg.Instance + "/notifications",
		name: "eventNotifications/" + cfg.Region + "/" + cfg.Instance,
	}
}

// Name is eventNotifications/<region>/<instance>.
func (s *NotificationsSink) Name() string { return s.name }

// largest is the longest notification that is taken:
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

// Send sends one event. Data that make it too long are left out: the sentences
// say what matters.
func (s *NotificationsSink) Send(ctx context.Context, e Event) error {
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

// shortened cuts a text to at most so many bytes, between its letters.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
