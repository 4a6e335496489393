package main

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// More sequences that once broke a promise of a key's life.

func TestAServiceIDThatGetsAnotherNameKeepsItsKeysFresh(t *testing.T) {
	for what, rename := range map[string]func(*stage){
		"by the config": func(s *stage) {
			s.url = s.serve(holesHead + strings.Replace(static("c", place1), "serviceID: {name: c,", "serviceID: {name: c-sender,", 1))
		},
		"with its entry": func(s *stage) {
			s.url = s.serve(holesHead + strings.Replace(static("d", place1), "serviceID:", "formerly: [c]\n  serviceID:", 1))
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := holed(t, static("c", place1))
			first := s.sweep().only(t, reconcile.ResultPublished)
			rename(s)
			s.cloud.Advance(61 * 24 * time.Hour)
			s.sweep()
			s.sweeps(1)
			key, value := s.entry("team-b", "logs-sender", "IAM_API_KEY")
			if _, err := s.cloud.Cloud().ExchangeAPIKey(value); err != nil || key == first.Key {
				t.Fatalf("the key that was due is still %s: %v", key, err)
			}
			s.sweeps(26)
			for _, k := range s.cloud.State(false).APIKeys {
				if k.ID == first.Key {
					t.Error("the old key was not ended")
				}
			}
			n := 0
			for _, id := range s.cloud.State(false).ServiceIDs {
				if strings.Contains(id.Description, "[latchkey ") {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d service IDs of ours", n)
			}
		})
	}
}

