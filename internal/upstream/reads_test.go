package upstream_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

func TestTheSecondLookReadsOnlyWhatTheFirstDidNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		server := answers(func(_ *http.Request) (*http.Response, error) {
			sent++
			head := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
			return &http.Response{StatusCode: 200, Header: head, Body: io.NopCloser(strings.NewReader(fmt.Sprint("answer ", sent)))}, nil
		})
		reads := &upstream.Reads{}
		first, second := reads.Transport(server, "a", "IAM-ApiKey"), reads.Transport(server, "a", "IAM-ApiKey")
		call := func(over http.RoundTripper, method, url, key string) (body string, date time.Time) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("IAM-ApiKey", key)
			req.Header.Set("Authorization", fmt.Sprint("token ", sent))
			resp, err := over.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			date, err = http.ParseTime(resp.Header.Get("Date"))
			if err != nil {
				t.Fatal(err)
			}
			return string(text), date
		}
		call(first, "GET", "https://iam/keys", "")
		call(first, "GET", "https://iam/keys", "") // the first look reads again what it wants
		call(first, "GET", "https://iam/details", "one")
		reads.Reuse()
		time.Sleep(10 * time.Minute)
		for _, tc := range []struct{ what, method, url, key, want string }{
			{"the last answer to the same read", "GET", "https://iam/keys", "", "answer 2"},
			{"the same again", "GET", "https://iam/keys", "", "answer 2"},
			{"a look-up of the same value", "GET", "https://iam/details", "one", "answer 3"},
			{"a look-up of another value", "GET", "https://iam/details", "two", "answer 4"},
			{"another URL", "GET", "https://iam/keys?page=2", "", "answer 5"},
			{"a call that is no read", "POST", "https://iam/keys", "", "answer 6"},
			{"the same call again", "POST", "https://iam/keys", "", "answer 7"},
		} {
			got, date := call(second, tc.method, tc.url, tc.key)
			if got != tc.want {
				t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
			}
			if off := time.Since(date).Abs(); off > time.Second {
				t.Errorf("%s: the server's clock is %s off", tc.what, off)
			}
		}
		if other, _ := call(reads.Transport(server, "b", "IAM-ApiKey"), "GET", "https://iam/keys", ""); other != "answer 8" {
			t.Errorf("another identity gets %s", other)
		}
	})
}

func TestNoReadsShareNothing(t *testing.T) {
	server := answers(func(*http.Request) (*http.Response, error) { return &http.Response{Body: http.NoBody}, nil })
	if over := (*upstream.Reads)(nil).Transport(server, ""); fmt.Sprintf("%T", over) != "upstream_test.answers" {
		t.Errorf("the transport is %T", over)
	}
}
