package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// walked is something that happens once in a key's life, written so that every
// call in it can fail.
type walked struct {
	config string
	before func(s *stage)
	act    func(s *stage) reply
	// after looks at the end of it: the answer was the one that was given, and
	// three sweeps found nothing in their way.
	after func(s *stage, r reply) error
}

// authenticates reports whether IAM takes what consumers read in a place.
func (s *stage) authenticates(project, secret, entry string) error {
	key, value := s.entry(project, secret, entry)
	if _, err := s.cloud.Cloud().ExchangeAPIKey(value); err != nil {
		return fmt.Errorf("%s names key %s, which does not authenticate: %w", project, key, err)
	}
	return nil
}

// walks returns the walks with variables of their own.
func walks() map[string]walked {
	var first, foreign string
	begin := func(s *stage) {
		s.sweep()
		first = s.publishedKey()
		s.cloud.Advance(time.Hour)
	}
	both := func(s *stage) error {
		a, _ := s.entry("team-a", "logs-sender", "IAM_API_KEY")
		b, _ := s.entry("team-b", "logs-sender", "IAM_API_KEY")
		if a != b {
			return fmt.Errorf("one store names %s, the other %s", a, b)
		}
		return s.authenticates("team-b", "logs-sender", "IAM_API_KEY")
	}
	dead := func(s *stage, id string) error {
		if k, there := s.keys("c")[id]; there && !k.Disabled {
			return fmt.Errorf("key %s still works", id)
		}
		return nil
	}
	replaced := func(s *stage, r reply) error {
		if r.status != http.StatusOK && r.status != http.StatusAccepted && r.status != http.StatusServiceUnavailable {
			return fmt.Errorf("answered %d", r.status)
		}
		if s.publishedKey() == first && r.status != http.StatusServiceUnavailable {
			return fmt.Errorf("answered %d, and %s is still published", r.status, first)
		}
		return both(s)
	}
	var taken cloud.APIKey
	adopting := func(s *stage) string {
		for _, id := range s.cloud.State(false).ServiceIDs {
			if id.Name == "old" {
				return strings.Replace(static("a", "eu-de/team-a/old#KEY", "us-south/team-b/old#KEY"), "serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}",
					fmt.Sprintf("adopt: %s\n  serviceID: {id: %s, manage: keys}", taken.ID, id.ID), 1)
			}
		}
		return ""
	}
	return map[string]walked{
		"a rotation": {
			config: static("c", place1, place2), before: begin,
			act:   func(s *stage) reply { return s.post(s.url, sample.Rotate("c", s.cloud.Now()), testToken) },
			after: replaced,
		},
		"a revocation": {
			config: static("c", place1, place2), before: begin,
			act: func(s *stage) reply {
				r := s.revoke("c", first, false)
				if err := dead(s, first); r.status == http.StatusOK && err != nil {
					s.t.Errorf("answered 200: %v", err)
				}
				return r
			},
			after: func(s *stage, r reply) error {
				if err := replaced(s, r); err != nil || r.status == http.StatusServiceUnavailable {
					return err
				}
				return dead(s, first)
			},
		},
		"a containment": {
			config: static("c", place1, place2), before: begin,
			act: func(s *stage) reply {
				r := s.revoke("c", first, true)
				if err := dead(s, first); r.status == http.StatusOK && err != nil {
					s.t.Errorf("answered 200: %v", err)
				}
				return r
			},
			after: func(s *stage, r reply) error {
				if err := replaced(s, r); err != nil || r.status == http.StatusServiceUnavailable {
					return err
				}
				return dead(s, first)
			},
		},
		"a new name": {
			config: static("c", place1, place2), before: begin,
			act: func(s *stage) reply {
				s.url = s.serve(holesHead + strings.Replace(static("e", place1, place2), "serviceID:", "formerly: [c]\n  serviceID:", 1))
				return s.post(s.url, sample.Rotate("e", s.cloud.Now()), testToken)
			},
			after: replaced,
		},
		"a takeover": {
			config: static("c", place1),
			before: func(s *stage) {
				given := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "old", AccountID: s.cloud.Ready().Account})
				s.cloud.Cloud().Grant(given.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
				taken = s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: given.IAMID, AccountID: s.cloud.Ready().Account, Name: "by hand"})
				foreign = s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: given.IAMID, AccountID: s.cloud.Ready().Account, Name: "another"}).ID
				s.cloud.Cloud().PutSecret(s.project("team-a").ID, "old", map[string]string{"KEY": taken.Value})
				s.url = s.serve(holesHead + adopting(s))
			},
			act: func(s *stage) reply { return s.sweep() },
			after: func(s *stage, _ reply) error {
				for _, project := range []string{"team-a", "team-b"} {
					if id, value := s.entry(project, "old", "KEY"); id != taken.ID || value != taken.Value {
						return fmt.Errorf("%s names %q", project, id)
					}
				}
				there := false
				for _, k := range s.cloud.State(false).APIKeys {
					there = there || k.ID == foreign
					if k.ID == taken.ID && (k.Disabled || !k.ExpiresAt.IsZero()) {
						return fmt.Errorf("the adopted key ends: %+v", k)
					}
				}
				if !there {
					return fmt.Errorf("the foreign key is gone")
				}
				return nil
			},
		},
		"the end of a project": {
			config: fmt.Sprintf(perProject, "revoke"),
			before: func(s *stage) {
				s.cloud.Cloud().AddProject("team-shop", "eu-de")
				s.sweep()
				first = s.project("team-shop").ID
				s.cloud.Cloud().RemoveProject(first)
				s.cloud.Cloud().PurgeProject(first)
			},
			act: func(s *stage) reply { return s.sweep() },
			after: func(s *stage, _ reply) error {
				s.cloud.Advance(25 * time.Hour)
				s.sweeps(3)
				if n := len(s.keys("logs-sender/" + first)); n != 0 {
					return fmt.Errorf("%d keys are left", n)
				}
				for _, project := range []string{"team-a", "team-b"} {
					if err := s.authenticates(project, "logs-sender", "IAM_API_KEY"); err != nil {
						return err
					}
				}
				for _, k := range s.cloud.State(false).APIKeys {
					if strings.Contains(k.Description, "superseded=") {
						return fmt.Errorf("key %s of a project that is there ends", k.Name)
					}
				}
				return nil
			},
		},
	}
}

// Each call fails in one of three ways, drawn from a seed that is printed. With
// -kills it fails in each of them.
func TestWhateverCallFailsTheLifeGoesOn(t *testing.T) {
	kinds := []struct {
		name   string
		fault  emulator.Fault
		sweeps int // until all is done: the next key after a refusal waits for eight hours
	}{
		{"500", emulator.Fault{Kind: emulator.FaultStatus, Status: 500, Count: 1}, 3},
		{"403", emulator.Fault{Kind: emulator.FaultStatus, Status: 403, Count: 1}, 9},
		{"lost", emulator.Fault{Kind: emulator.FaultLost, Count: 1}, 3},
	}
	r := chance(t)
	for name := range walks() {
		offset, step := r.IntN(len(kinds)), len(kinds)
		if *everyKill {
			offset, step = 0, 1
		}
		for i, kind := range kinds {
			t.Run(name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				w, f := walks()[name], kind.fault
				for n, hit := (offset+i)%step, true; hit && n < 80; n += step {
					s := holed(t, w.config)
					w.before(s)
					f.Path, f.After = "*", n
					calls := s.cloud.Counter("*", "*")
					s.cloud.Inject(f)
					r := w.act(s)
					hit = int(s.cloud.Counter("*", "*")-calls) > n
					s.cloud.ClearFaults()
					s.sweeps(kind.sweeps)
					if err := w.after(s, r); err != nil {
						t.Errorf("when call %d fails: answered %d %s: %v", n, r.status, r.body, err)
					}
				}
			})
		}
	}
}
