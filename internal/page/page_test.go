package page

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/evidence"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const days = 24 * time.Hour

// credential has a superseded key and a published one.
func credential(name string, c condition.Condition, why reason.Reason, expires time.Duration) evidence.Credential {
	old := protocol.Key{ID: "ApiKey-0-" + name, Created: now.Add(-60 * days), Expires: now.Add(days), Superseded: now.Add(-time.Hour)}
	key := protocol.Key{ID: "ApiKey-1-" + name, Created: now.Add(expires - 90*days), Expires: now.Add(expires)}
	return evidence.Of(result.Outcome{
		Credential: name, Condition: c, Reason: why, Message: why.Sentence(), ServiceID: "ServiceId-1",
		Key: key.ID, KeyCreated: key.Created, KeyExpires: key.Expires, Next: now.Add(30 * days),
		Keys:   []protocol.Key{old, key},
		Stores: []result.Store{{Name: "codeEngine/eu-de/p/logs#KEY", Key: key.ID}},
	})
}

func some() Page {
	return Page{Owner: "prod-eu", Version: "latchkey v1", Now: now, LastSweep: now.Add(-time.Hour), Credentials: []evidence.Credential{
		credential("logs/a", condition.OK, "", 80*days),
		credential("logs/b", condition.Blocked, reason.StoreDenied, 10*days),
		credential("audit/c", condition.Due, reason.Aged, 30*days),
		credential("logs/d", condition.Blocked, reason.Paused, 20*days),
	}}
}

func get(p Page, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler(func() Page { return p }).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// rows returns the names in the table, in their order.
func rows(body string) string {
	var names []string
	for _, m := range regexp.MustCompile(`<tr><th scope=row>(?:<a href="[^"]*">)?([^<]+)`).FindAllStringSubmatch(body, -1) {
		names = append(names, m[1])
	}
	return strings.Join(names, " ")
}

func TestTheTableIsSearchedFilteredAndOrderedWithoutAScript(t *testing.T) {
	for name, tc := range map[string]struct{ path, want string }{
		"the worst condition first":            {"/", "logs/b logs/d audit/c logs/a"},
		"by name":                              {"/?sort=credential", "audit/c logs/a logs/b logs/d"},
		"by expiry":                            {"/?sort=expires", "logs/b logs/d audit/c logs/a"},
		"the oldest key first":                 {"/?sort=age", "logs/b logs/d audit/c logs/a"},
		"an unknown order is the default":      {"/?sort=%27", "logs/b logs/d audit/c logs/a"},
		"one condition":                        {"/?condition=due", "audit/c"},
		"an unknown condition is all":          {"/?condition=x", "logs/b logs/d audit/c logs/a"},
		"a part of a name":                     {"/?q=LOGS/", "logs/b logs/d logs/a"},
		"a key":                                {"/?q=ApiKey-1-audit", "audit/c"},
		"a reason, in one condition":           {"/?q=store-denied&condition=blocked", "logs/b"},
		"nothing":                              {"/?q=none", ""},
		"a text that would break out of a tag": {"/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := get(some(), tc.path).Body.String()
			if got := rows(body); got != tc.want {
				t.Errorf("shows %q, want %q", got, tc.want)
			}
			if strings.Contains(body, "<script>alert") {
				t.Error("the text of the search is not escaped")
			}
		})
	}
}

func TestWhatAPersonMustDoComesFirst(t *testing.T) {
	body := get(some(), "/").Body.String()
	urgent, _, _ := strings.Cut(body, "All credentials")
	if !strings.Contains(urgent, "logs/b") || !strings.Contains(html.UnescapeString(urgent), reason.StoreDenied.Fix()) {
		t.Error("the blocked credential is not first, with its fix")
	}
	if strings.Contains(urgent, "logs/d") || strings.Contains(urgent, "audit/c") {
		t.Error("a paused or due credential is listed")
	}
}

func TestAPageNeedsNothingBesideItself(t *testing.T) {
	for _, path := range []string{"/", "/credentials/logs/b"} {
		w := get(some(), path)
		body := w.Body.String()
		for _, tag := range []string{"src=", "url(", "@import", "http:", "https:", "<link rel=stylesheet", "style=", "onclick"} {
			if strings.Contains(body, tag) {
				t.Errorf("%s has %s", path, tag)
			}
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s has the policy %s", path, policy)
		}
		for _, m := range regexp.MustCompile(`(?s)<(?:style|script)>(.*?)</`).FindAllStringSubmatch(body, -1) {
			sum := sha256.Sum256([]byte(m[1]))
			if !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) {
				t.Errorf("%s: the policy does not have the hash of %.40q", path, m[1])
			}
		}
	}
}

func TestTheNamesOfOthersAreEscaped(t *testing.T) {
	hostile := `x"><img src=a onerror=alert(1)>`
	c := credential(hostile, condition.Blocked, reason.StoreDenied, 10*days)
	c.Stores[0].Name, c.Stores[0].Error, c.Message = hostile, hostile, hostile
	c.Keys[0].Creator, c.Keys[0].Cause = hostile, hostile
	p := some()
	p.Credentials = append(p.Credentials, c)
	var file strings.Builder
	p.File = true
	if err := p.Write(&file, Query{}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{file.String(), get(p, "/").Body.String()} {
		if strings.Contains(body, "<img") || strings.Count(body, hostile) > 0 {
			t.Error("a name is not escaped")
		}
	}
	var one strings.Builder
	if found, err := p.WriteCredential(&one, hostile); !found || err != nil || strings.Contains(one.String(), "<img") {
		t.Errorf("found %t, %v: a name is not escaped", found, err)
	}
}

func TestACredentialHasAPageWithItsHistory(t *testing.T) {
	w := get(some(), "/credentials/logs/b")
	for _, text := range []string{"superseded by a newer key", "overlapping", "codeEngine/eu-de/p/logs#KEY", reason.StoreDenied.Sentence(), "ServiceId-1", "keeps nothing of a key that was deleted"} {
		if !strings.Contains(html.UnescapeString(w.Body.String()), text) {
			t.Errorf("the page does not have %q", text)
		}
	}
	if w := get(some(), "/credentials/none"); w.Code != 404 {
		t.Errorf("a credential that does not exist: %d", w.Code)
	}
}

func TestAnEmptyPageSaysWhy(t *testing.T) {
	p := Page{Owner: "prod", Now: now}
	if body := get(p, "/").Body.String(); !strings.Contains(body, "0 credentials") || !strings.Contains(body, "next sweep fills this page") || strings.Contains(body, "<table") {
		t.Error(body)
	}
}

func TestFiveThousandCredentialsFitOnePage(t *testing.T) {
	p := many(5000)
	var b strings.Builder
	begun := cpu(t)
	if err := p.Write(&b, Query{Sort: "condition"}); err != nil {
		t.Fatal(err)
	}
	took := cpu(t) - begun
	t.Logf("%d bytes in %s of CPU", b.Len(), took)
	if most := slower * time.Second; took > most {
		t.Errorf("it took %s of CPU, want at most %s", took, most)
	}
	if b.Len() > 3<<20 {
		t.Errorf("%d bytes, want at most 3 MiB", b.Len())
	}
	p.File = true
	b.Reset()
	if err := p.Write(&b, Query{Sort: "condition"}); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 4<<20 {
		t.Errorf("a file of %d bytes, want at most 4 MiB", b.Len())
	}
}

// cpu returns the CPU time of this process. Other processes do not count in it, so a bound
// holds on a busy machine, too.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// many has credentials as an account has them.
func many(n int) Page {
	p := Page{Owner: "prod-eu", Version: "latchkey v1", Now: now, LastSweep: now}
	for i := range n {
		c, why := condition.OK, reason.Reason("")
		if i%25 == 0 {
			c, why = condition.Blocked, reason.StoreDenied
		}
		one := credential(fmt.Sprintf("logs-sender/39726e08-8c64-4447-8b0f-%012d", i), c, why, time.Duration(i%90)*days)
		id := fmt.Sprintf("ApiKey-d31f63a0-5202-4021-904f-%012d", i)
		for j := range one.Keys {
			if one.Keys[j].ID == one.Key {
				one.Keys[j].ID = id
			}
		}
		one.Key, one.Stores[0].Key = id, id
		p.Credentials = append(p.Credentials, one)
	}
	return p
}

func BenchmarkFiveThousand(b *testing.B) {
	p := many(5000)
	for b.Loop() {
		var s strings.Builder
		if err := p.Write(&s, Query{}); err != nil {
			b.Fatal(err)
		}
	}
}
