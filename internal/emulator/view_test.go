package emulator

import (
	"reflect"
	"testing"
	"time"
)

func TestFields(t *testing.T) {
	type inner struct {
		Count int `json:"count"`
	}
	type thing struct {
		inner
		Name    string         `json:"name,omitempty"`
		List    []string       `json:"list"`
		Absent  []string       `json:"absent,omitempty"`
		Data    map[string]any `json:"data"`
		At      time.Time      `json:"at"`
		Never   time.Time      `json:"never,omitzero"`
		Secret  string         `json:"secret"`
		Ignored string         `json:"-"`
		hidden  string
	}
	year := func(t time.Time) string { return t.Format("2006") }
	got := fields(thing{inner: inner{3}, Absent: []string{}, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Ignored: "x", hidden: "x"}, year, "secret")
	if want := (object{"count": 3, "list": []any{}, "data": object{}, "at": "2026"}); !reflect.DeepEqual(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
}

func TestRoutesMatchWholePaths(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]int{
		"/v1/apikeys": 200, "/v1/apikeys/": 200, "/v1/apikeys//": 501, "/v1//apikeys": 501, "/v1/./apikeys": 501, "/v1/apikeys/a%2Fb": 404,
	} {
		if status, _ := s.call(s.owner, "GET", path, ""); status != want {
			t.Errorf("GET %s: status %d, want %d", path, status, want)
		}
	}
	if status, _ := s.call(s.owner, "HEAD", "/v1/apikeys", ""); status != 501 {
		t.Errorf("HEAD of a GET route: status %d", status)
	}
}
