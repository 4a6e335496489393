package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsPlainJSON(t *testing.T) {
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"%d":0`, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	for name, tc := range map[string]struct {
		text string
		want bool
	}{
		"an object":                              {`{"a":1,"b":{"a":[true,null,"x\"}"]}}`, true},
		"an empty object and list":               {` { "a" : { } , "b" : [ ] } `, true},
		"a number alone":                         {`12e3`, true},
		"one name in two objects":                {`[{"a":1},{"a":2},{"b":{"a":3},"a":4}]`, true},
		"a name twice":                           {`{"a":1,"b":2,"a":3}`, false},
		"a name twice, further inside":           {`{"x":[{"a":1,"a":3}]}`, false},
		"a name twice around an object":          {`{"a":{"b":1},"a":3}`, false},
		"an escape in a name, which may be none": {`{"\u0061":1}`, false},
		"an escape in a value":                   {`{"a":"\\"}`, true},
		"as many names as are compared":          {names(mostPlainNames), true},
		"more names than are compared":           {names(mostPlainNames + 1), false},
		"as deep as is read":                     {strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), true},
		"deeper":                                 {strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), false},
		"two values":                             {`{} {}`, false},
		"no value":                               {` `, false},
		"no UTF-8":                               {"{\"a\":\"\xff\"}", false},
		"no JSON":                                {`{"a":1,}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plain([]byte(tc.text), nil); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// FuzzPlain checks that what is plain is what the reader of tokens accepts, with the same
// members.
func FuzzPlain(f *testing.F) {
	for _, text := range []string{`{"a":1,"b":{"a":[true,"x"]}}`, `{"a":1,"a":2}`, `[{},"\\",{"":"\""}]`, ` -1e5 `, `{"a" : [ ] , "b":{ } }`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := map[string]json.RawMessage{}
		if !plain(text, func(name []byte, value json.RawMessage) { got[string(name)] = value }) {
			return
		}
		if err := checkTokens(text); err != nil {
			t.Fatalf("it is plain, and rejected: %v", err)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil || len(want) == 0 {
			return // it is no object
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkStructuredNotForUs(b *testing.B) {
	header := map[string][]string{"Content-Type": {"application/cloudevents+json"}}
	body := []byte(`{"id":"1","source":"/bench","specversion":"1.0","type":"com.acme.order","data":{"order":1,"lines":[{"sku":"a","n":2},{"sku":"b","n":1}]}}`)
	b.ReportAllocs()
	for b.Loop() {
		e, err := Decode(header, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := here.Interpret(e); err == nil {
			b.Fatal("it is for us")
		}
	}
}
