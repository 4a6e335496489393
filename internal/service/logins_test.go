package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// login is an audit record of a login with a key of a service ID.
func login(iamID, agent, address string, at time.Time) string {
	return fmt.Sprintf(`{"action":"iam-identity.serviceid-apikey.login","outcome":"success","eventTime":%q,"initiator":{"id":%q,"host":{"agent":%q,"address":%q}},"target":{"id":"x"}}`,
		at.UTC().Format("2006-01-02T15:04:05.00-0700"), iamID, agent, address)
}

func TestALoginNamesItsClientAtItsTime(t *testing.T) {
	at := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	l := NewLogins()
	l.read([]byte("["+login("iam-ServiceId-1", "curl/8", "192.0.2.7", at.Add(20*time.Second))+","+login("iam-ServiceId-1", "curl/8", "192.0.2.7", at.Add(30*time.Second))+"]"), at)
	l.read([]byte(login("iam-ServiceId-1", "java[31m/21", "", at.Add(-40*time.Second))), at)
	l.read([]byte(login("iam-ServiceId-1", "late", "", at.Add(2*time.Minute))), at)
	l.read([]byte(login("iam-ServiceId-2", "other", "", at)), at)
	l.read([]byte(strings.Replace(login("iam-ServiceId-1", "refused", "", at), "success", "failure", 1)), at)
	l.read([]byte(login("iam-ServiceId-1", "", "", at)), at)
	l.read([]byte(login("iam-ServiceId-1", "broken", "", at)[:100]), at)
	if got, want := l.By("iam-ServiceId-1", at), "curl/8 at 192.0.2.7 or java_31m/21"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := l.By("iam-ServiceId-1", at.Add(time.Hour)); got != "" {
		t.Errorf("an hour later: %q", got)
	}
	if got := l.By("iam-ServiceId-3", at); got != "" {
		t.Errorf("of another service ID: %q", got)
	}
	(*Logins)(nil).read([]byte(login("iam-ServiceId-1", "x", "", at)), at)
}

func TestLoginsAreBounded(t *testing.T) {
	at := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	l := NewLogins()
	for i := range mostOwners + 50 {
		now := at.Add(time.Duration(i) * time.Hour) // within the rate
		for j := range mostLogins + 5 {
			l.read([]byte(login(fmt.Sprintf("iam-ServiceId-%d", i), fmt.Sprintf("agent-%d", j), "", now.Add(time.Duration(j)*time.Second))), now.Add(time.Duration(j)*time.Second))
		}
	}
	most := 0
	for _, all := range l.of {
		most = max(most, len(all))
	}
	if len(l.of) != mostOwners || most != mostLogins {
		t.Errorf("%d owners, %d logins of one", len(l.of), most)
	}
	if got := l.By("iam-ServiceId-0", at); got != "" {
		t.Errorf("the oldest is still there: %q", got)
	}
	last := at.Add((mostOwners + 49) * time.Hour)
	if got := l.By(fmt.Sprintf("iam-ServiceId-%d", mostOwners+49), last.Add(40*time.Second)); strings.Count(got, " or ") != mostClients-1 {
		t.Errorf("a note would name %q", got)
	}
	for range 2 * loginsBurst {
		l.read([]byte(login("iam-ServiceId-flood", "x", "", last.Add(time.Hour))), last)
	}
	if l.limit.TokensAt(last) >= 1 {
		t.Error("a flood is not limited")
	}
}
