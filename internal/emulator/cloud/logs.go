package cloud

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// LogsInstance is an instance of Cloud Logs.
type LogsInstance struct {
	ID     string `json:"id"` // the GUID
	Region string `json:"region"`
}

// LogEntry is one entry of a log ingestion.
type LogEntry struct {
	ApplicationName string          `json:"applicationName"`
	SubsystemName   string          `json:"subsystemName"`
	Severity        int             `json:"severity,omitempty"`
	Timestamp       json.Number     `json:"timestamp,omitempty"` // milliseconds
	Text            json.RawMessage `json:"text"`
}

// LogLine is an accepted log entry.
type LogLine struct {
	LogEntry
	Instance string    `json:"instance"`
	Sender   string    `json:"sender"` // IAM ID
	Received time.Time `json:"received"`
}

// An entry is rejected if it is older or further ahead than this
// (logs/limits.md).
const (
	oldestEntry  = 24 * time.Hour
	newestFuture = 4 * time.Hour
)

// timely reports whether an entry is accepted at a time. Without a timestamp it
// has the time of arrival.
func (e LogEntry) timely(now time.Time) bool {
	if e.Timestamp == "" {
		return true
	}
	ms, err := e.Timestamp.Float64()
	if err != nil {
		return false
	}
	at := time.UnixMilli(int64(ms))
	return !at.Before(now.Add(-oldestEntry)) && !at.After(now.Add(newestFuture))
}

// Ingest stores log entries for an instance and returns how many it rejected.
// One invalid entry fails the whole request.
func (c *Cloud) Ingest(a Actor, instance string, entries []LogEntry) (rejected int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(a.IAMID) {
		return 0, serviceError(c.switches.LogsTokenStatus, "unauthorized", "The access token is missing, invalid or expired.")
	}
	in, ok := c.instances[instance]
	if !ok {
		return 0, serviceError(404, "not_found", "There is no such instance.")
	}
	for i, e := range entries {
		if e.ApplicationName == "" || e.SubsystemName == "" || len(e.Text) == 0 || string(e.Text) == "null" || string(e.Text) == `""` {
			return 0, serviceError(400, "bad_request", fmt.Sprintf("Entry %d needs applicationName, subsystemName and text.", i))
		}
		if e.Severity < 0 || e.Severity > 6 {
			return 0, serviceError(400, "bad_request", fmt.Sprintf("The severity of entry %d is not from 1 to 6.", i))
		}
	}
	if !c.may(a, target{service: serviceLogs, instance: in.ID, region: in.Region, group: ResourceGroupID}, "Sender", "Writer") {
		return 0, serviceError(403, "forbidden", "The identity is not allowed to send logs to this instance.")
	}
	if c.settings.RejectLogs {
		return len(entries), nil
	}
	now := c.now()
	late := func(e LogEntry) bool { return !e.timely(now) }
	if status := c.switches.LogsAgeStatus; status != 0 && slices.ContainsFunc(entries, late) {
		return 0, serviceError(status, "bad_request", "An entry is older than 24 hours or more than 4 hours ahead.")
	}
	for _, e := range entries {
		if late(e) {
			rejected++
			continue
		}
		c.lines = append(c.lines, LogLine{LogEntry: e, Instance: in.ID, Sender: a.IAMID, Received: now})
	}
	return rejected, nil
}

// Lines returns the accepted entries, oldest first.
func (c *Cloud) Lines() []LogLine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]LogLine(nil), c.lines...)
}

// LogsInstanceIn finds an instance by GUID; an empty GUID means the seeded one.
func (c *Cloud) LogsInstanceIn(id string) (LogsInstance, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == "" {
		id = LogsInstanceID
	}
	in, ok := c.instances[id]
	return in, ok
}
