package marker

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAMarkerReadsBackAsItWasWritten(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9-]{0,20}(/[A-Za-z0-9_-]{1,40})?`)
	value := rapid.StringMatching(`[ -~]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		at := func(label string) time.Time {
			if rapid.Bool().Draw(t, label+" set") {
				return time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, label), 123).UTC()
			}
			return time.Time{}
		}
		m := Marker{Owner: rapid.StringMatching(`[a-z][a-z0-9-]{0,20}`).Draw(t, "owner"), Credential: name.Draw(t, "credential")}
		m.Superseded, m.Renew, m.Answers, m.Served = at("superseded"), at("renew"), at("answers"), at("served")
		m.Replaces = rapid.StringMatching(`(ApiKey-[a-f0-9-]{36})?`).Draw(t, "replaces")
		if with := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,5}`), value, 0, 3).Draw(t, "with"); len(with) > 0 {
			m.With = with
		}
		text := strings.TrimSpace(rapid.StringMatching(`[a-zA-Z .,]{0,40}`).Draw(t, "text"))
		got, gotText, ok := Parse(m.Describe(text))
		if !ok || gotText != text || cmp.Diff(m, got) != "" {
			t.Fatalf("%q reads as %v %q: %s", m.Describe(text), ok, gotText, cmp.Diff(m, got))
		}
	})
}

func TestOnlyAMarkerOfThisVersionAtTheEndIsOurs(t *testing.T) {
	for name, description := range map[string]string{
		"no marker":           "Sends the logs",
		"an unknown version":  "x [latchkey v=2 owner=a credential=b]",
		"no version":          "x [latchkey owner=a credential=b]",
		"no owner":            "x [latchkey v=1 credential=b]",
		"no credential":       "x [latchkey v=1 owner=a]",
		"text behind it":      "x [latchkey v=1 owner=a credential=b] and more",
		"a time that is none": "x [latchkey v=1 owner=a credential=b superseded=soon]",
		"broken parameters":   `x [latchkey v=1 owner=a credential=b with={"a":}]`,
		"empty":               "",
	} {
		t.Run(name, func(t *testing.T) {
			if m, text, ok := Parse(description); ok || text != description {
				t.Errorf("read as %+v %q", m, text)
			}
		})
	}
}

// Two versions run at once during an upgrade. The older one must not lose the marks
// of the newer one.
func TestUnknownFieldsOfAMarkerSurvive(t *testing.T) {
	const description = `x [latchkey v=1 owner=a credential=b renew=2026-11-24T08:30:00Z asof=2026-11-24T08:30:00Z flag with={"p":"q r=s"}]`
	m, text, ok := Parse(strings.Replace(description, " flag", " flag=", 1))
	if !ok || len(m.Unknown) != 2 {
		t.Fatalf("read as %+v %t", m, ok)
	}
	m.Leaked = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	again, _, ok := Parse(m.Describe(text))
	if !ok || cmp.Diff(m, again) != "" {
		t.Errorf("%q: %s", m.Describe(text), cmp.Diff(m, again))
	}
}

func TestAKeysNameTellsWhenItWasMinted(t *testing.T) {
	at := time.Date(2026, 11, 24, 8, 30, 1, 234e6, time.UTC)
	name := KeyName("logs-sender/4f6a", at, "0a1b")
	if name != "logs-sender/4f6a.20261124T083001.234Z.0a1b" {
		t.Errorf("name %q", name)
	}
	if got := Stamp(name); !got.Equal(at) {
		t.Errorf("stamp %v, want %v", got, at)
	}
	for _, other := range []string{"", "my-key", "a.20261124T083001Z.b", "a.20269924T083001.234Z.b"} {
		if got := Stamp(other); !got.IsZero() {
			t.Errorf("stamp of %q is %v", other, got)
		}
	}
}

func FuzzParseMarker(f *testing.F) {
	f.Add("x [latchkey v=1 owner=a credential=b/c with={\"p\":\"q]\"}]")
	f.Add("[latchkey v=1 owner=a credential=b superseded=2026-11-24T08:30:00Z]")
	f.Add("[latchkey v=1 owner=a credential=b stores=]")
	f.Add("[latchkey v=1 owner=a credential=b stores=file%2Fa+b,,c with={}]")
	f.Add("[latchkey v=1 owner=a credential=b stores=" + strings.Repeat("a", 301) + "]")
	f.Fuzz(func(t *testing.T, description string) {
		m, text, ok := Parse(description)
		if !ok {
			return
		}
		again, textAgain, ok := Parse(m.Describe(text))
		if !ok || textAgain != text || cmp.Diff(m, again) != "" {
			t.Errorf("%q is read as %+v, then as %+v", description, m, again)
		}
	})
}
