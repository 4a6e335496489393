package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
)

// Record is an audit record about a service ID's key.
type Record struct {
	At time.Time
	// Verb is create, update, delete or login.
	Verb string
	// Key is the key's ID, and Name its name in IAM.
	Key, Name string
	// By is the initiator: its name, and its IAM ID.
	By string
	// Owner is the IAM ID that logged in, and Client the program and its address. A
	// login's record need not name the key.
	Owner, Client string
}

// auditTimes are the forms of an audit record's time. IBM's has no colon in the offset.
var auditTimes = []string{"2006-01-02T15:04:05.999-0700", time.RFC3339Nano}

// keyID is the ID of a key, which is in the CRN of an audit record's target.
var keyID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`ApiKey-[A-Za-z0-9-]{1,64}`) })

// mostRecord bounds a file of audit records.
const mostRecord = 256 << 20

// ReadAudit reads the records of Activity Tracker about keys of service IDs: JSON
// objects, one after the other or in lists. Other records and failed calls are skipped.
// A text without a record of any kind is an error: it would tell of nothing.
func ReadAudit(r io.Reader) ([]Record, error) {
	var all []Record
	found := false
	d := json.NewDecoder(io.LimitReader(r, mostRecord))
	for {
		var raw json.RawMessage
		switch err := d.Decode(&raw); {
		case errors.Is(err, io.EOF) && !found:
			return nil, errors.New("reading audit records: there is none: a record has an action and an eventTime")
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("reading audit records at byte %d: %w", d.InputOffset(), err)
		}
		list := []json.RawMessage{raw}
		if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, fmt.Errorf("reading audit records: %w", err)
			}
		}
		for _, item := range list {
			record, ok, audit := readRecord(item)
			found = found || audit
			if ok {
				all = append(all, record)
			}
		}
	}
}

// verbs are the last words of the actions that concern a key's life.
var verbs = []string{"create", "update", "delete", "login"}

// readRecord reads a record about a key. audit reports whether it is any audit record.
func readRecord(raw json.RawMessage) (r Record, ok, audit bool) {
	var in struct {
		Action, Outcome, EventTime string
		Initiator                  struct {
			ID, Name string
			Host     struct{ Agent, Address string }
		}
		Target struct{ ID, Name string }
	}
	if json.Unmarshal(raw, &in) != nil || in.Action == "" || in.EventTime == "" {
		return r, false, false
	}
	if in.Outcome != "success" {
		return r, false, true
	}
	verb, is := strings.CutPrefix(in.Action, "iam-identity.serviceid-apikey.")
	if !is || !slices.Contains(verbs, verb) {
		return r, false, true
	}
	r = Record{Verb: verb, Key: keyID().FindString(in.Target.ID), Name: in.Target.Name, By: in.Initiator.ID}
	if in.Initiator.Name != "" && in.Initiator.Name != in.Initiator.ID {
		r.By = strings.TrimSpace(in.Initiator.Name + " " + in.Initiator.ID)
	}
	if verb == "login" {
		r.Owner, r.Client = in.Initiator.ID, client(in.Initiator.Host.Agent, in.Initiator.Host.Address)
	}
	for _, form := range auditTimes {
		if at, err := time.Parse(form, in.EventTime); err == nil {
			r.At = at
			return r, true, true
		}
	}
	return r, false, true
}

// client returns a program and its address as one text. Both are what the program says
// of itself.
func client(agent, address string) string {
	const most = 60
	agent, address = marker.Printable(agent, most), marker.Printable(address, most)
	if agent == "" || address == "" {
		return agent + address
	}
	return agent + " at " + address
}
