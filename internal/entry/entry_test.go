package entry_test

import (
	"errors"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
)

var example = entry.Metadata{
	KeyID: "ApiKey-1", Owner: "prod", IAMID: "iam-ServiceId-1",
	Created: time.Date(2026, time.November, 24, 11, 0, 0, 0, time.FixedZone("CET", 3600)),
}

func TestCompanionsAreWrittenAndReadBack(t *testing.T) {
	got, err := example.Companions("KEY")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"KEY_ID": "ApiKey-1", "KEY_LATCHKEY": `{"owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-1"}`}
	if !maps.Equal(got, want) {
		t.Errorf("companions %v, want %v", got, want)
	}
	if back := entry.FromCompanions("KEY", func(name string) string { return got[name] }); !same(back, example) {
		t.Errorf("read back %+v, want %+v", back, example)
	}
}

func TestAnnotationsAreWrittenAndReadBack(t *testing.T) {
	got := example.Annotations("KEY")
	want := map[string]string{
		"key-id.latchkey.dev/KEY": "ApiKey-1", "created.latchkey.dev/KEY": "2026-11-24T10:00:00Z",
		"iam-id.latchkey.dev/KEY": "iam-ServiceId-1", "owner.latchkey.dev/KEY": "prod",
	}
	if !maps.Equal(got, want) {
		t.Errorf("annotations %v, want %v", got, want)
	}
	if back := entry.FromAnnotations("KEY", got); !same(back, example) {
		t.Errorf("read back %+v, want %+v", back, example)
	}
}

func same(a, b entry.Metadata) bool {
	sameTime := a.Created.Equal(b.Created)
	a.Created, b.Created = time.Time{}, time.Time{}
	return sameTime && a == b
}

func TestEncodedMetadataNamesTheKeyAndTheVersion(t *testing.T) {
	m := example
	m.Version = 7
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"key_id":"ApiKey-1","version":7,"owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-1"}`; text != want {
		t.Errorf("encoded %s, want %s", text, want)
	}
	if back := entry.Decode(text); !same(back, m) {
		t.Errorf("decoded %+v, want %+v", back, m)
	}
}

func TestSpoiltMetadataIsZeroAndKeepsTheKeyID(t *testing.T) {
	for _, text := range []string{"", "{", "prod", `{"owner":"prod","created":"yesterday"}`, `{"owner":1}`} {
		if got := entry.Decode(text); got != (entry.Metadata{}) {
			t.Errorf("%q is %+v", text, got)
		}
		data := map[string]string{"KEY_ID": "ApiKey-1", "KEY_LATCHKEY": text}
		if got := entry.FromCompanions("KEY", func(name string) string { return data[name] }); got != (entry.Metadata{KeyID: "ApiKey-1"}) {
			t.Errorf("beside %q the metadata is %+v", text, got)
		}
	}
	m := entry.Metadata{KeyID: "ApiKey-1", Created: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := m.Companions("KEY"); err == nil {
		t.Error("a year of five digits was encoded")
	}
	if got := entry.FromAnnotations("KEY", map[string]string{"key-id.latchkey.dev/KEY": "ApiKey-1", "created.latchkey.dev/KEY": "yesterday"}); got != (entry.Metadata{KeyID: "ApiKey-1"}) {
		t.Errorf("with a spoilt time the annotations are %+v", got)
	}
}

// qualified is the rule for the name of an annotation.
//
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/
var qualified = regexp.MustCompile(`^key-id\.latchkey\.dev/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)

func TestATemplateAnnotationIsValidAndUnique(t *testing.T) {
	if got := entry.TemplateAnnotation("logs-agent", "IAM_API_KEY"); got != "key-id.latchkey.dev/logs-agent.IAM_API_KEY" {
		t.Errorf("the annotation is %s", got)
	}
	seen := map[string]bool{}
	long := strings.Repeat("a", 250)
	for _, secret := range []string{"a", "a.b", long, long + "b"} {
		for _, name := range []string{"KEY", strings.Repeat("K", 62), strings.Repeat("K", 63)} {
			got := entry.TemplateAnnotation(secret, name)
			if !qualified.MatchString(got) || seen[got] {
				t.Errorf("%s and %s have the annotation %s; another has it: %v", secret, name, got, seen[got])
			}
			seen[got] = true
		}
	}
}

func TestCheckNamesTheFirstFaultAndItsText(t *testing.T) {
	invalid := errors.New("refused")
	err := entry.Check(invalid,
		entry.Name{What: "region", Text: "eu-de", Rule: entry.CheckRegion},
		entry.Name{What: "entry", Text: "KEY_ID", Rule: entry.CheckEntry},
		entry.Name{What: "secret", Text: "A", Rule: entry.CheckSecret})
	if !errors.Is(err, invalid) || err.Error() != `checking the entry "KEY_ID": refused: ends in _ID, which is reserved for what latchkey writes beside an entry` {
		t.Errorf("error %v", err)
	}
	if err := entry.Check(invalid, entry.Name{What: "region", Text: "eu-de", Rule: entry.CheckRegion}); err != nil {
		t.Errorf("error %v for a region", err)
	}
}
