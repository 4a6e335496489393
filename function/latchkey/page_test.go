package main

import (
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestThePageShowsWhatTheLastRunsFound(t *testing.T) {
	s := newStage(t, emulator.Options{})
	s.url = s.serve(examples.Emulator, s.shown)
	if _, body := s.get("/"); !strings.Contains(body, "next sweep fills this page") {
		t.Errorf("before a run: %s", body)
	}
	e, credential := s.created("team-b")
	out := s.one(e, testToken, result.Published)
	status, body := s.get("/")
	if status != 200 || !strings.Contains(body, credential) || !strings.Contains(body, out.Key) || !strings.Contains(body, "<rect class=published") {
		t.Errorf("answered %d %s", status, body)
	}
	status, body = s.get("/credentials/" + credential)
	if status != 200 || !strings.Contains(body, out.ServiceID) || !strings.Contains(body, "created") {
		t.Errorf("answered %d %s", status, body)
	}
}
