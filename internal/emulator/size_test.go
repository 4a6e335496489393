package emulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// heap returns the size of the live heap in MiB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// large starts an emulator with n seeded credentials and returns its heap size.
func large(tb testing.TB, n int) (s *emulator.Server, mib float64) {
	tb.Helper()
	before := heap()
	s, err := emulator.Start(emulator.Options{SeedCredentials: n, Now: func() time.Time { return start }})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s, heap() - before
}

// walk follows the links of a list to its end and returns the number of pages.
func walk(tb testing.TB, client *http.Client, token, link string) int {
	tb.Helper()
	for pages := 1; ; pages++ {
		r, err := http.NewRequest(http.MethodGet, link, nil)
		if err != nil {
			tb.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(r)
		if err != nil {
			tb.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			tb.Fatalf("status %d, %v", answer.StatusCode, err)
		}
		if link = nextLink(tb, body); link == "" {
			return pages
		}
	}
}

// nextLink finds the link in either form. It does not decode the page, since the
// benchmark measures the server only.
func nextLink(tb testing.TB, body []byte) string {
	tb.Helper()
	_, rest, found := bytes.Cut(body, []byte(`"next":`))
	if !found {
		return ""
	}
	rest = bytes.TrimPrefix(rest, []byte(`{"href":`))
	var link string
	if err := json.NewDecoder(bytes.NewReader(rest)).Decode(&link); err != nil {
		tb.Fatal(err)
	}
	return link
}

func lists(s *emulator.Server) map[string]string {
	return map[string]string{
		"serviceids": s.URL() + "/v1/serviceids/?pagesize=100&account_id=" + cloud.AccountID,
		"apikeys":    s.URL() + "/v1/apikeys?pagesize=100&scope=account&type=serviceid&account_id=" + cloud.AccountID,
		"policies":   s.URL() + "/v2/policies?limit=100&account_id=" + cloud.AccountID,
	}
}

// cpuTime returns what the process has used. Unlike the time that passes, it does
// not depend on the load of the machine.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPages lists 100,000 seeded service IDs, keys and policies in pages
// of 100, over HTTP and one connection.
func BenchmarkPages(b *testing.B) {
	s, mib := large(b, 100_000)
	token, err := s.Cloud().TokenFor(cloud.OwnerIAMID)
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for name, link := range lists(s) {
		b.Run(name, func(b *testing.B) {
			pages, began, used := 0, time.Now(), cpuTime(b)
			for b.Loop() {
				pages += walk(b, client, token.AccessToken, link)
			}
			b.ReportMetric(float64(pages)/time.Since(began).Seconds(), "pages/s")
			b.ReportMetric(float64(pages)/(cpuTime(b)-used).Seconds(), "pages/CPU-s")
			b.ReportMetric(mib, "MiB")
		})
	}
}

// TestAPageCostsItsOwnLength compares the first page of a long list with its
// last: time would depend on the machine, allocations do not.
func TestAPageCostsItsOwnLength(t *testing.T) {
	const n = 3_000
	s, mib := large(t, n)
	if each := mib * (1 << 20) / n; each > 4_000 { // 400 MiB for 100,000 would be 4,194
		t.Errorf("a seeded credential takes %.0f bytes", each)
	}
	token, err := s.Cloud().TokenFor(cloud.OwnerIAMID)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for name, link := range lists(s) {
		if pages := walk(t, client, token.AccessToken, link); pages != n/100+1 { // the minter's are on the last
			t.Errorf("%s: %d pages", name, pages)
		}
	}
	first := cloud.APIKeyQuery{AccountID: cloud.AccountID, Scope: "account", PageSize: 100}
	last := first
	for {
		page, err := s.Cloud().ListAPIKeys(cloud.Owner(), last)
		if err != nil {
			t.Fatal(err)
		}
		if page.Next == "" {
			break
		}
		last.PageToken = page.Next
	}

	cost := func(q cloud.APIKeyQuery) float64 {
		return testing.AllocsPerRun(20, func() {
			if _, err := s.Cloud().ListAPIKeys(cloud.Owner(), q); err != nil {
				t.Error(err)
			}
		})
	}
	if at, want := cost(last), cost(first); at > want+20 { // reading the page token
		t.Errorf("the last page takes %.0f allocations, the first %.0f", at, want)
	}
}
