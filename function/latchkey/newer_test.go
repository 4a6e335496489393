package main

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestWhatANewerVersionManagesIsLeftAloneAndReported(t *testing.T) {
	newer := func(description string) *string {
		d := strings.Replace(description, "[latchkey v=1 ", "[latchkey v=2 ", 1)
		return &d
	}
	keys := func(t *testing.T, s *stage) {
		c := s.cloud.Cloud()
		for _, k := range s.keys("c") {
			if _, err := c.UpdateAPIKey(c.Minter().Actor(), k.ID, "*", cloud.APIKeyChange{Description: newer(k.Description)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	serviceID := func(t *testing.T, s *stage) {
		c := s.cloud.Cloud()
		for _, id := range s.cloud.State(false).ServiceIDs {
			if id.Name != "c" {
				continue
			}
			if _, err := c.UpdateServiceID(c.Minter().Actor(), id.ID, "*", cloud.ServiceIDChange{Description: newer(id.Description)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, changes := range map[string][]func(*testing.T, *stage){
		"the service ID":           {serviceID},
		"a key":                    {keys},
		"a key and the service ID": {keys, serviceID},
	} {
		t.Run(name, func(t *testing.T) {
			s := holed(t, static("c", place1))
			s.sweep()
			for _, change := range changes {
				change(t, s)
			}
			s.cloud.Advance(61 * 24 * time.Hour) // a key of ours would be due
			before := len(s.cloud.Events())
			s.url = s.serve(holesHead + static("c", place1)) // a process that does not know the service ID yet
			if out := s.sweep().only(t, result.Blocked); out.Reason != reason.NewerVersion {
				t.Errorf("blocked for the reason %s: %s", out.Reason, out.Message)
			}
			if events := s.cloud.Events()[before:]; len(events) > 0 {
				t.Errorf("it changed %+v", events)
			}
		})
	}
}
