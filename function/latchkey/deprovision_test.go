package main

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

const tenants = `- name: tenant
  serviceID: {name: "tenant-${with.tenant}", policies: [{service: logs, roles: [Sender]}]}
  deprovision: {quiet: 7d, wait: 24h}
  stores:
  - codeEngine: {project: team-a, region: eu-de, secret: "tenant-${with.tenant}", entry: IAM_API_KEY}
    entries: [{entry: login.json, format: json}]
  - codeEngine: {project: team-b, region: us-south, secret: shared, entry: "${with.tenant}"}
`

// ask posts an event about the credential of the tenant acme.
func (s *stage) ask(kind string, more map[string]any) reply {
	s.t.Helper()
	data := map[string]any{"credential": "tenant/acme"}
	maps.Copy(data, more)
	return s.post(s.url, sample.Binary("dev.latchkey."+kind, "/desk", s.cloud.Now(), data), testToken)
}

func newTenant(t *testing.T) (s *stage, first result.Outcome) {
	t.Helper()
	s = holed(t, tenants)
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "shared", map[string]string{"NEIGHBOUR": "kept"})
	made := map[string]any{"credential": "tenant", "with": map[string]string{"tenant": "acme"}}
	first = s.post(s.url, sample.Binary("dev.latchkey.provision", "/desk", s.cloud.Now(), made), testToken).only(t, result.Published)
	return s, first
}

// left returns what the emulator has of the credential.
func (s *stage) remains() (things []string) {
	s.t.Helper()
	state := s.cloud.State(true)
	for _, id := range state.ServiceIDs {
		if strings.Contains(id.Description, "credential=tenant/acme") {
			things = append(things, "service ID "+id.ID)
		}
	}
	for _, k := range state.APIKeys {
		if strings.Contains(k.Description, "credential=tenant/acme") {
			things = append(things, "key "+k.ID)
		}
	}
	for _, p := range state.Projects {
		for _, secret := range p.Secrets {
			for name := range secret.Data {
				if name != "NEIGHBOUR" && strings.Contains(secret.Name+name, "acme") {
					things = append(things, "entry "+name)
				}
			}
		}
	}
	return things
}

func TestADeprovisionedCredentialLeavesNothingAndItsNeighboursEverything(t *testing.T) {
	s, first := newTenant(t)
	before := len(s.cloud.State(true).Policies)

	used := s.ask("deprovision", nil).only(t, result.Blocked)
	if used.Reason != reason.InUse || !strings.Contains(used.Message, first.Key) {
		t.Errorf("a key that was proven an hour ago: %s: %s", used.Reason, used.Message)
	}
	s.cloud.Advance(8 * 24 * time.Hour)
	begun := s.ask("deprovision", nil).only(t, result.InProgress)
	if begun.Reason != reason.Deprovisioning || s.authenticates("team-a", "tenant-acme", "IAM_API_KEY") == nil {
		t.Errorf("after the demand: %s, and the key works", begun.Reason)
	}
	s.cloud.Advance(23 * time.Hour)
	if out := s.sweep().only(t, result.InProgress); out.Reason != reason.Deprovisioning || len(out.Steps) > 0 {
		t.Errorf("within the wait: %s, %v", out.Reason, out.Steps)
	}
	s.cloud.Advance(2 * time.Hour)
	over := s.sweep().only(t, result.Changed)
	if things := s.remains(); len(things) > 0 {
		t.Errorf("left: %v, after %+v", things, over.Steps)
	}
	shared, _ := func() (map[string]string, bool) {
		for _, secret := range s.project("team-b").Secrets {
			if secret.Name == "shared" {
				return secret.Data, true
			}
		}
		return nil, false
	}()
	if len(shared) != 1 || shared["NEIGHBOUR"] != "kept" {
		t.Errorf("the neighbour's secret is %v", shared)
	}
	if now := len(s.cloud.State(true).Policies); now != before-1 {
		t.Errorf("%d policies, of %d before", now, before)
	}
	if r := s.sweep(); len(r.outcomes) != 0 || len(s.remains()) > 0 {
		t.Errorf("it is made again: %s", r.body)
	}
}

func TestAnUndoWithinTheWaitBringsTheConsumerBack(t *testing.T) {
	s, first := newTenant(t)
	s.ask("deprovision", map[string]any{"force": true}).only(t, result.InProgress)
	if s.authenticates("team-a", "tenant-acme", "IAM_API_KEY") == nil {
		t.Fatal("the key still works")
	}
	s.cloud.Advance(20 * time.Hour)
	waits := s.sweep().only(t, result.InProgress)
	undone := s.ask("deprovision", map[string]any{"undo": true}).only(t, result.Changed)
	for _, out := range []result.Outcome{waits, undone} { // no note promises another key
		if got := noted(out); len(got) > 0 {
			t.Errorf("%s: noted %v", out.Result, got)
		}
	}
	if err := s.authenticates("team-a", "tenant-acme", "IAM_API_KEY"); err != nil {
		t.Errorf("after the undo: %v", err)
	}
	s.cloud.Advance(30 * time.Hour)
	if out := s.sweep().only(t, result.Unchanged); out.Key != first.Key {
		t.Errorf("key %s is published, want %s", out.Key, first.Key)
	}
}

func TestADeprovisionNeedsItsVerb(t *testing.T) {
	s := holed(t, tenants)
	s.url = s.serve(strings.Replace(holesHead, ", deprovision]", "]", 1) + tenants)
	if r := s.ask("deprovision", nil); r.status != http.StatusForbidden {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

// A ticket's credential ends at its date, and is not made again.
func TestACredentialEndsAtItsDate(t *testing.T) {
	s := holed(t, strings.ReplaceAll(tenants, "serviceID: {", `serviceID: {description: "until ${with.expiresOn}", `))
	made := map[string]any{"credential": "tenant", "with": map[string]string{"tenant": "acme", "expiresOn": s.cloud.Now().AddDate(0, 0, 10).Format(time.DateOnly)}}
	s.post(s.url, sample.Binary("dev.latchkey.provision", "/desk", s.cloud.Now(), made), testToken).only(t, result.Published)
	s.cloud.Advance(9 * 24 * time.Hour)
	s.sweep().only(t, result.Unchanged)
	s.cloud.Advance(3 * 24 * time.Hour)
	s.sweep().only(t, result.InProgress)
	s.cloud.Advance(25 * time.Hour)
	s.sweep().only(t, result.Changed)
	if r := s.sweep(); len(r.outcomes) != 0 || len(s.remains()) > 0 {
		t.Errorf("left %v, %s", s.remains(), r.body)
	}
	wrong := map[string]any{"credential": "tenant", "with": map[string]string{"tenant": "acme", "expiresOn": "tomorrow"}}
	if r := s.post(s.url, sample.Binary("dev.latchkey.provision", "/desk", s.cloud.Now(), wrong), testToken); r.status != http.StatusBadRequest || !strings.Contains(r.body, "expiresOn") {
		t.Errorf("a date that is none: %d %s", r.status, r.body)
	}
}

func TestAStaticCredentialEndsOnceTheConfigLetsItGo(t *testing.T) {
	kept := static("c", place1)
	s := holed(t, kept)
	s.sweep().only(t, result.Published)
	let := strings.Replace(kept, "serviceID:", "keep: false\n  serviceID:", 1)
	s.url = s.serve(holesHead + let)
	s.post(s.url, sample.Binary("dev.latchkey.deprovision", "/desk", s.cloud.Now(), map[string]any{"credential": "c", "force": true}), testToken).only(t, result.InProgress)
	s.cloud.Advance(25 * time.Hour)
	s.sweep().only(t, result.Changed)
	s.sweeps(30)
	if keys := s.keys("c"); len(keys) > 0 {
		t.Errorf("keys %v", keys)
	}
	if out := s.sweep().only(t, result.Unchanged); out.Condition != "ok" {
		t.Errorf("it is %s: %s", out.Condition, out.Message)
	}
}

func TestTheProjectOfARetiredCredentialIsGone(t *testing.T) {
	s := holed(t, `- name: sender
  forEach: codeengine.projects
  where: project.name == "team-a"
  onGone: retire
  serviceID: {name: "sender-${project.name}", policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: "${project.id}", secret: logs, entry: IAM_API_KEY}
`)
	s.sweep().only(t, result.Published)
	s.cloud.Advance(8 * 24 * time.Hour)
	team := s.project("team-a").ID
	if err := s.cloud.Cloud().DeleteProject(cloud.Owner(), team, ""); err != nil {
		t.Fatal(err)
	}
	s.cloud.Advance(8 * 24 * time.Hour)
	s.sweep().only(t, result.InProgress)
	s.cloud.Advance(25 * time.Hour)
	s.sweep().only(t, result.Changed)
	if keys := s.keys("sender/" + team); len(keys) > 0 {
		t.Errorf("keys %v", keys)
	}
}

// A credential with parameters is known by its service ID. If a person deletes that,
// the entries in stores still show it, and deprovision removes them.
func TestACredentialWhoseServiceIDWasDeletedIsNotForgotten(t *testing.T) {
	s, first := newTenant(t)
	s.sweep().only(t, result.Unchanged)
	id := first.ServiceID
	if err := s.cloud.Cloud().DeleteServiceID(cloud.Owner(), id); err != nil {
		t.Fatal(err)
	}
	s.cloud.Advance(time.Hour)
	out := s.sweep().only(t, result.Blocked)
	if out.Credential != "tenant/acme" || out.Reason != reason.IdentityGone {
		t.Errorf("%s: %s %s", out.Credential, out.Reason, out.Message)
	}
	if code, text := s.as(s.cloud.Ready().APIKey, holesHead+tenants, "status", "tenant/acme"); code == 0 || !strings.Contains(text, "blocked") {
		t.Errorf("status: %d %s", code, text)
	}
	s.url = s.serve(holesHead + tenants)
	if r := s.sweep(); len(r.outcomes) > 0 {
		t.Errorf("a new process knows of it: %s", r.body)
	}
	done := s.ask("deprovision", nil).only(t, result.Changed)
	if things := s.remains(); len(things) > 0 {
		t.Errorf("left %v after %+v", things, done.Steps)
	}
	if code, text := s.as(s.cloud.Ready().APIKey, holesHead+tenants, "status", "tenant/acme"); code == 0 || strings.Contains(text, "blocked") {
		t.Errorf("status of one that is over: %d %s", code, text)
	}
	s.sweeps(2)
	if things := s.remains(); len(things) > 0 {
		t.Errorf("made again: %v", things)
	}
}
