package service

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
)

func TestWrongTokensAreSlowedDownCountedAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := w.service(t)
		const each = refusalsBurst + 10
		start := time.Now()
		var at sync.Map // the number of the request → how long its answer took
		var wait sync.WaitGroup
		for i := range each {
			wait.Go(func() {
				a := post(s, "/", sample.Rotate("logs-sender/a", now), "Authorization", "Bearer wrong-canary-0123456789", "X-Forwarded-For", "192.0.2.7, 10.0.0.1")
				if a.Code != http.StatusUnauthorized || a.Body.Len() > 0 {
					t.Errorf("answered %d %s", a.Code, a.Body)
				}
				at.Store(i, time.Since(start))
			})
		}
		synctest.Wait()
		if a := post(s, "/", sample.Rotate("logs-sender/a", now), withToken(testToken)...); a.Code != http.StatusOK || time.Since(start) != 0 {
			t.Errorf("a known caller beside them is answered %d after %s", a.Code, time.Since(start))
		}
		wait.Wait()
		slow := 0
		at.Range(func(_, took any) bool {
			if took == refusalPause {
				slow++
			} else if took != time.Duration(0) {
				t.Errorf("an answer took %s", took)
			}
			return true
		})
		if slow != each-refusalsBurst {
			t.Errorf("%d answers were slow, want %d", slow, each-refusalsBurst)
		}
		time.Sleep(time.Second)
		post(s, "/hooks/github", sample.Event{}, "X-Hub-Signature-256", "sha256=none")
		log := w.logged()
		if n := strings.Count(log, "refusing callers: not verified"); n != 2 {
			t.Errorf("%d lines, want one for each second:\n%s", n, log)
		}
		for _, want := range []string{`"path":"/","remote":"192.0.2.1:1234","forwarded_for":"192.0.2.7, 10.0.0.1"`, `"count":50,"path":"/hooks/github"`} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %s:\n%s", want, log)
			}
		}
	})
}

func TestRefusedCallersThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newWorld().service(t)
		const each = refusalsBurst + mostSlowed + 100
		start := time.Now()
		var wait sync.WaitGroup
		for range each {
			wait.Go(func() { post(s, "/", sample.Tick(now), withToken("wrong")...) })
		}
		synctest.Wait()
		if n := len(s.refused.slowed); n != mostSlowed || time.Since(start) != 0 {
			t.Errorf("%d requests wait, want %d", n, mostSlowed)
		}
		wait.Wait()
	})
}
