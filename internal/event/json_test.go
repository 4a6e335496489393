package event

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseJSON(t *testing.T) {
	for text, want := range map[string]any{
		`null`:                               nil,
		` {"a":[1,-2.5,"x",true,null]} `:     map[string]any{"a": []any{int64(1), -2.5, "x", true, nil}},
		`9007199254740993`:                   int64(9007199254740993),
		`9223372036854775808`:                9223372036854775808.0,
		`[[[]]]`:                             []any{[]any{[]any{}}},
		`[[[[]]]]`:                           errors.New("it nests deeper than 3 levels"),
		`[1,2,3,4,5,6,7]`:                    errors.New("it has more than 7 values"),
		`1e999`:                              errors.New("a number is out of range"),
		`{"a":{"canary":1,"can\u0061ry":2}}`: errors.New("a name occurs twice in one object"),
		``:                                   errors.New("it is not JSON"),
		`{"a"`:                               errors.New("the JSON ends early"),
		`[1,]`:                               errors.New("it is not JSON"),
		`1 2`:                                errors.New("more than one JSON value"),
		"\"\xff\"":                           errors.New("it is not UTF-8"),
	} {
		got, err := ParseJSON([]byte(text), Limits{Depth: 3, Values: 7})
		if fails, is := want.(error); is {
			if err == nil || err.Error() != fails.Error() || got != nil {
				t.Errorf("%s: %v, %v; want the error %v", text, got, err, want)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v; want %#v", text, got, err, want)
		}
	}
}

var jsonErrors = regexp.MustCompile(`^(it is not UTF-8|it is not JSON|the JSON ends early|more than one JSON value|it nests deeper than 40 levels|` +
	`it has more than 1000 values|a number is out of range|a name occurs twice in one object)$`)

// FuzzJSON compares ParseJSON with encoding/json: what it accepts survives a round
// trip, and what it rejects is invalid or breaks one of its own rules. checkJSON
// accepts it too.
func FuzzJSON(f *testing.F) {
	f.Add(`{"a":[1,-2.5,{"b":null}],"c":"\u00e4"}`)
	f.Add(`{"a":1,"a":2}`)
	f.Add(`[` + strings.Repeat(`[`, 50) + strings.Repeat(`]`, 50) + `]`)
	f.Add(`{"a":1} {"b":2}`)
	f.Add(`[1e999, 123456789012345678901234567890]`)
	f.Add("[\"\xff\", \"\\ud800\"]")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseJSON([]byte(text), Limits{Depth: 40, Values: 1000})
		checked := checkJSON([]byte(text))
		if err != nil {
			if !jsonErrors.MatchString(err.Error()) {
				t.Fatalf("the error repeats the text: %v", err)
			}
			if json.Valid([]byte(text)) && utf8.ValidString(text) && !strings.ContainsAny(err.Error(), "0123456789") &&
				!strings.HasPrefix(err.Error(), "a n") {
				t.Fatalf("valid and rejected: %v", err)
			}
			return
		}
		if !json.Valid([]byte(text)) || checked != nil {
			t.Fatalf("accepted: valid %v, checked %v", json.Valid([]byte(text)), checked)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		same, err := ParseJSON(again, Limits{Depth: 40, Values: 1000})
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if third, err := json.Marshal(same); err != nil || string(third) != string(again) {
			t.Fatalf("%s becomes %s, %v", again, third, err)
		}
	})
}
