package event

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// maxSecrets is how many secrets one notification covers.
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-event-notifications
const maxSecrets = 100

// secrets reads a notification of Secrets Manager. Two of its types request
// a rotation. The others announce completed changes, including latchkey's own:
// every publication causes a secret_rotated.
//
// Up to six notices, and then one a day, are about the same expiry date. They
// demand one key (protocol.Trigger.Expiry). A secret without a date that can be true
// demands none, since no key could serve it: each of its notices would make another.
// It is looked at.
//
// The type is <event type>:<sub-type>; the sub-type is the number of days left. URLs
// in the data are never used. A notification with one invalid secret is rejected as
// a whole, because a partial success would be acknowledged and not sent again.
func (r Reader) secrets(e Event) ([]Request, error) {
	short, _, _ := strings.Cut(strings.TrimPrefix(e.Type(), typeSecrets), ":")
	if short != "secret_about_to_expire" && short != "secret_expired" {
		return nil, notForUs("type", e.Type())
	}
	fields, err := object(e.Data())
	if err != nil {
		return nil, malformed("data: %w", err)
	}
	var secrets []json.RawMessage
	if fields["secrets"] != nil && json.Unmarshal(fields["secrets"], &secrets) != nil {
		return nil, malformed("data.secrets is not a list")
	}
	if n := len(secrets); n == 0 || n > maxSecrets {
		return nil, malformed("data.secrets has %d secrets; a notification covers 1 to %d", n, maxSecrets)
	}
	latest := r.Now().Add(ahead)
	requests := make([]Request, 0, len(secrets))
	for i, raw := range secrets {
		var s struct {
			Name string `json:"secret_name"`
			ID   string `json:"secret_id"`
			Time string `json:"event_time"`
			Date string `json:"secret_expiration"`
		}
		if json.Unmarshal(raw, &s) != nil {
			return nil, malformed("data.secrets[%d]: secret_name, secret_id, event_time and secret_expiration must be strings", i)
		}
		if err := checkName(fmt.Sprintf("secrets[%d].secret_name", i), s.Name); err != nil {
			return nil, err
		}
		at := e.Time()
		if at.IsZero() {
			// The secret's own time is read only if the event has none.
			if at, err = parseTime(s.Time); err != nil {
				return nil, malformed("time is missing, and data.secrets[%d].event_time %s: %w", i, quote(s.Time), err)
			}
		}
		if at.After(latest) {
			return nil, malformed("data.secrets[%d]: the time %s is in the future", i, at.Format(time.RFC3339))
		}
		date := expiry(s.Date, latest)
		if date.IsZero() {
			requests = append(requests, Request{Verb: Look, Secret: s.Name, Sender: SenderSecretsManager, Undated: true})
			continue
		}
		requests = append(requests, Request{
			Verb: Rotate, Secret: s.Name, SecretID: secretID(s.ID), Sender: SenderSecretsManager,
			Trigger: protocol.Trigger{NewerThan: at, Expiry: date},
		})
	}
	return requests, nil
}

// mostNotice is how long before its date a secret is announced to expire.
const mostNotice = 100 * 24 * time.Hour

// expiry returns the date of a secret, or zero if it is missing or cannot be true.
// A date that is far away would make later notices look served.
func expiry(date string, latest time.Time) time.Time {
	at, err := parseTime(date)
	for _, form := range dateForms {
		if err == nil {
			break
		}
		at, err = time.Parse(form, strings.ToUpper(date))
	}
	if err != nil || at.Year() < 1 || at.After(latest.Add(mostNotice)) {
		return time.Time{}
	}
	return at
}

// dateForms are the forms of ISO 8601 that dates of secrets have besides RFC 3339. A date
// without a zone is in UTC.
var dateForms = []string{"2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateTime, time.DateOnly}

// plainID matches an ID that is safe in a path.
var plainID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`) })

// secretID returns the last part of a secret's CRN, or the ID itself. It is empty if
// s is neither.
//
//	crn:v1:<cloud>:public:secrets-manager:<region>:a/<account>:<instance>:secret:<ID>
func secretID(s string) string {
	if strings.HasPrefix(s, "crn:") {
		s = s[strings.LastIndexByte(s, ':')+1:]
	}
	if !plainID().MatchString(s) {
		return ""
	}
	return s
}
