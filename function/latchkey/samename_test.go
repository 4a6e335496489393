package main

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

const untilPurged = 8 * 24 * time.Hour // a deleted project keeps its name for 7 days

// of returns the outcome of a project's credential.
func (r reply) of(t *testing.T, project string) result.Outcome {
	t.Helper()
	for _, o := range r.outcomes {
		if strings.HasSuffix(o.Credential, "/"+project) {
			return o
		}
	}
	t.Fatalf("no outcome of %s: %d %s", project, r.status, r.body)
	return result.Outcome{}
}

// again deletes the project team-a and makes another one under its name.
func (s *stage) again() (gone, made cloud.Project) {
	s.t.Helper()
	gone = s.project("team-a").Project
	if err := s.cloud.Cloud().DeleteProject(cloud.Owner(), gone.ID, gone.Region); err != nil {
		s.t.Fatal(err)
	}
	s.cloud.Advance(untilPurged)
	return gone, s.cloud.Cloud().AddProject("team-a", gone.Region)
}

func (s *stage) nameOf(serviceID string) string {
	for _, id := range s.cloud.State(true).ServiceIDs {
		if id.ID == serviceID {
			return id.Name
		}
	}
	return ""
}

func TestAProjectMadeAgainUnderItsNameGetsAKey(t *testing.T) {
	s := newStage(t, emulator.Options{})
	old := s.sweep().of(t, s.project("team-a").ID)
	gone, made := s.again()

	first := s.sweep()
	o := first.of(t, made.ID)
	if want := "logs-sender-team-a-" + made.ID[:8]; o.Result != result.Published || s.nameOf(o.ServiceID) != want {
		t.Fatalf("%+v: want a key of %s, not of %s", o, want, s.nameOf(o.ServiceID))
	}
	if left := first.of(t, gone.ID); left.Result != result.Unconfigured || left.ServiceID != old.ServiceID {
		t.Errorf("the service ID of the project before: %+v", left)
	}
	s.url = s.serve(examples.Emulator) // a replica that knows nothing
	for range 2 {
		if again := s.sweep().of(t, made.ID); again.Result != result.Unchanged || again.Key != o.Key {
			t.Errorf("the next sweep: %+v", again)
		}
	}
	s.cloud.Cloud().RemoveServiceID(old.ServiceID) // as the message says
	s.url = s.serve(examples.Emulator)
	if again := s.sweep().of(t, made.ID); again.Result != result.Unchanged || again.ServiceID != o.ServiceID {
		t.Errorf("the name is free, and the service ID stays: %+v", again)
	}
}

func TestAProjectMadeAgainMayWaitForItsName(t *testing.T) {
	s := newStage(t, emulator.Options{})
	old := s.sweep().of(t, s.project("team-a").ID)
	_, made := s.again()
	s.url = s.serve(strings.Replace(examples.Emulator, "    serviceID:", "    onSameName: wait\n    serviceID:", 1))
	o := s.sweep().of(t, made.ID)
	if o.Result != result.Blocked || o.Reason != reason.NameCollision || !strings.Contains(o.Message, "ibmcloud iam service-id-delete "+old.ServiceID) {
		t.Fatalf("%+v", o)
	}
	s.cloud.Cloud().RemoveServiceID(old.ServiceID)
	if o = s.sweep().of(t, made.ID); o.Result != result.Published || s.nameOf(o.ServiceID) != "logs-sender-team-a" {
		t.Errorf("%+v", o)
	}
}

func TestOfTwoProjectsWithOneNameTheFirstKeepsItsServiceID(t *testing.T) {
	for mode, newcomer := range map[string]result.Result{"suffix": result.Published, "wait": result.Blocked} {
		t.Run(mode, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			s.url = s.serve(strings.Replace(examples.Emulator, "    serviceID:", "    onSameName: "+mode+"\n    serviceID:", 1))
			first := s.sweep().of(t, s.project("team-a").ID)
			id := s.project("team-a").ID
			second := s.cloud.Cloud().AddProject("team-a", "us-south")
			s.cloud.Advance(time.Hour)
			r := s.sweep()
			if o := r.of(t, id); o.Result != result.Unchanged || o.ServiceID != first.ServiceID {
				t.Errorf("the first one: %+v", o)
			}
			if o := r.of(t, second.ID); o.Result != newcomer {
				t.Errorf("the second one: %+v, want %s", o, newcomer)
			}
			s.cloud.Advance(60 * 24 * time.Hour)
			if o := s.sweep().of(t, id); o.Result != result.Published || o.Key == first.Key {
				t.Errorf("the first one, when it is due: %+v", o)
			}
		})
	}
}

func TestAProjectWhoseNameMakesNoServiceIDBlocksItselfOnly(t *testing.T) {
	for _, name := range []string{"team-\u200bx", "team-x\u00a0"} {
		s := newStage(t, emulator.Options{})
		s.url = s.serve(strings.Replace(examples.Emulator, "    serviceID:", "    onGone: revoke\n    serviceID:", 1))
		old := s.sweep().of(t, s.project("team-a").ID)
		bad := s.cloud.Cloud().AddProject(name, "eu-de")
		gone, _ := s.again()
		r := s.sweep()
		o := r.of(t, bad.ID)
		if r.status != 202 || o.Result != result.Blocked || o.Reason != reason.ExpansionFailed || !strings.Contains(o.Message, "serviceID.name") {
			t.Errorf("%q: %d %+v", name, r.status, o)
		}
		if code, out := s.job(nil); code != cli.ExitOK {
			t.Errorf("%q: a job exits %d: %s", name, code, out)
		}
		for range 3 {
			s.cloud.Advance(25 * time.Hour)
			s.sweep()
		}
		if left := s.keys("logs-sender/" + gone.ID); len(left) > 0 {
			t.Errorf("%q: key %s of the deleted project lives on: %v", name, old.Key, left)
		}
	}
}
