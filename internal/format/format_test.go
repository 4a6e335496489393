package format_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/secret"
)

const value = "mIa7Qf-0B_hT5uW9xQ2mZ7rB4nC8vL1pS6hJ3fD0gYzK"

var (
	facts = format.Facts{
		Credential: "kafka/p-1", Account: "acc1", Expire: 90 * 24 * time.Hour,
		Project: format.Project{ID: "p-1", Name: `team "a" <b>`, Region: "eu-de"},
	}
	key = entry.Metadata{
		KeyID: "ApiKey-1", IAMID: "iam-ServiceId-1", Owner: "prod",
		Created: time.Date(2026, time.November, 24, 10, 0, 0, 5, time.UTC),
	}
)

func parse(t testing.TB, source string) *format.Text {
	t.Helper()
	text, err := format.Parse(source)
	if err != nil {
		t.Fatalf("parsing %q: %v", source, err)
	}
	return text
}

// write returns the texts and the metadata that a store keeps.
func write(t testing.TB, f *format.Form, v string) (map[string]secret.Value, entry.Metadata) {
	t.Helper()
	texts, m, err := f.Write("KEY", key, secret.New(v))
	if err != nil {
		t.Fatal(err)
	}
	companions, err := m.Companions("KEY")
	if err != nil {
		t.Fatal(err)
	}
	return texts, entry.FromCompanions("KEY", func(name string) string { return companions[name] })
}

func read(f *format.Form, m entry.Metadata, texts map[string]secret.Value) (secret.Value, error) {
	return f.Read("KEY", m, func(name string) secret.Value { return texts[name] })
}

func TestEachFormatIsWhatItsReadersExpect(t *testing.T) {
	auth := base64.StdEncoding.EncodeToString([]byte("iamapikey:" + value))
	for name, tc := range map[string]struct{ source, want string }{
		"a docker config": {format.DockerConfig("de.icr.io", format.IBMUser),
			`{"auths":{"de.icr.io":{"username":"iamapikey","password":"` + value + `","auth":"` + auth + `"}}}`},
		"a line of an .env file": {format.Env("API_KEY"), "API_KEY=" + value + "\n"},
		"a JSON document": {format.JSON, `{"apikey":"` + value + `","id":"ApiKey-1","serviceID":"ServiceId-1",` +
			`"created":"2026-11-24T10:00:00Z","expires":"2027-02-22T10:00:00Z"}`},
		"a JAAS login": {format.JAAS("token"),
			`org.apache.kafka.common.security.plain.PlainLoginModule required username="token" password="` + value + `";`},
		"a Java property":                   {format.Properties("sasl password"), `sasl\ password=` + value + "\n"},
		"a text of the user's own":          {"# {{.Credential}} in {{.Account}}, {{.Owner}}\n{{env .Project.Name}} {{.Value}} {{.IAMID}}", "# kafka/p-1 in acc1, prod\n" + `"team \"a\" <b>" ` + value + " iam-ServiceId-1"},
		"a text that depends on a fact":     {"{{if .Project.ID}}{{.Value}}{{else}}none{{end}}", value},
		"a header with the value in base64": {`Basic {{base64 (print "iamapikey:" .Value)}}`, "Basic " + auth},
	} {
		t.Run(name, func(t *testing.T) {
			f := &format.Form{Facts: facts, First: parse(t, tc.source)}
			if !f.First.Holds() {
				t.Error("the value can't be read from it")
			}
			texts, m := write(t, f, value)
			if got := texts["KEY"].Expose(); got != tc.want {
				t.Errorf("written %q, want %q", got, tc.want)
			}
			if got, err := read(f, m, texts); err != nil || got.Expose() != value {
				t.Errorf("read back %d bytes, %v", got.Len(), err)
			}
		})
	}
}

func TestSeveralEntriesAreOne(t *testing.T) {
	f := &format.Form{Facts: facts, More: []format.Entry{
		{Name: "jaas", Text: parse(t, format.JAAS("token"))}, {Name: "id", Text: parse(t, "{{.ID}}")}, {Name: "copy"},
	}}
	texts, m := write(t, f, value)
	if len(texts) != 4 || texts["id"].Expose() != "ApiKey-1" || m.Entries != "jaas,id,copy" {
		t.Fatalf("written %d entries; the metadata name %q", len(texts), m.Entries)
	}
	if got, err := read(f, m, texts); err != nil || got.Expose() != value {
		t.Errorf("read back %d bytes, %v", got.Len(), err)
	}
	for name := range texts {
		for what, change := range map[string]func(map[string]secret.Value){
			"altered":  func(all map[string]secret.Value) { all[name] = secret.New(all[name].Expose() + "x") },
			"deleted":  func(all map[string]secret.Value) { delete(all, name) },
			"replaced": func(all map[string]secret.Value) { all[name] = secret.New("mine") },
		} {
			changed := maps.Clone(texts)
			change(changed)
			if got, err := read(f, m, changed); err != nil || got.Empty() || got.Expose() == value {
				t.Errorf("with %s %s, it reads %d bytes (the value: %t), %v", name, what, got.Len(), got.Expose() == value, err)
			}
		}
	}
}

func TestAnEntryOfAnotherWriterIsNotTaken(t *testing.T) {
	one := &format.Form{Facts: facts}
	two := &format.Form{Facts: facts, More: []format.Entry{{Name: "id", Text: parse(t, "{{.ID}}")}}}
	texts, m := write(t, one, value)
	if got, err := read(two, m, texts); err != nil || got.Empty() || got.Expose() == value {
		t.Errorf("a further entry that is missing: %d bytes, %v", got.Len(), err)
	}
	texts["id"] = secret.New("of another writer")
	if _, err := read(two, m, texts); !errors.Is(err, format.ErrTaken) || strings.Contains(err.Error(), "of another") {
		t.Errorf("a further entry that another writer made: %v", err)
	}
	// Without a key ID nothing is ours, so the entry counts as a value that latchkey did not write.
	if got, err := read(two, entry.Metadata{}, map[string]secret.Value{"id": secret.New("mine")}); err != nil || got.Expose() != "mine" {
		t.Errorf("a further entry beside no first one: %d bytes, %v", got.Len(), err)
	}
	if got, err := read(two, entry.Metadata{KeyID: "ApiKey-1"}, nil); err != nil || !got.Empty() {
		t.Errorf("no entry at all: %d bytes, %v", got.Len(), err)
	}
}

func TestAChangedTemplateOrFactMakesAnotherText(t *testing.T) {
	f := &format.Form{Facts: facts, First: parse(t, `{{json .Expires}} {{.Value}}`)}
	texts, m := write(t, f, value)
	longer := *f
	longer.Facts.Expire++
	if got, _ := read(&longer, m, texts); got.Expose() != value {
		t.Error("a nanosecond changes the text")
	}
	longer.Facts.Expire += time.Hour
	other := *f
	other.First = parse(t, "{{.Value}} {{json .Expires}}")
	stranger := m
	stranger.KeyID = "ApiKey-2"
	for what, tc := range map[string]struct {
		f *format.Form
		m entry.Metadata
	}{"another lifetime": {&longer, m}, "another template": {&other, m}, "none at all": {&format.Form{}, m}} {
		if got, err := read(tc.f, tc.m, texts); err != nil || got.Expose() == value || got.Empty() {
			t.Errorf("%s: it reads %d bytes, %v", what, got.Len(), err)
		}
	}
}

func TestATemplateThatCanNotRenderIsAFaultWithItsLine(t *testing.T) {
	for source, want := range map[string]string{
		"{{.Value}}\n{{.Values}}":                      "2: reads .Values; known are .Value, .ID,",
		"{{.Value}}\n\n{{.Project}}":                   "3: reads .Project; known are",
		"{{.Value":                                     "1: unclosed action",
		"\n{{upper .Value}}":                           `2: function "upper" not defined`,
		"{{printf \"%s\" .Value}}":                     "1: calls printf; known are base64, env,",
		"{{range .Value}}{{end}}":                      "1: has an action that is not allowed",
		"{{$x := .Value}}{{$x}}":                       "1: declares a variable",
		"{{.}}":                                        "1: reads . as a whole",
		"{{define \"a\"}}{{end}}{{.Value}}":            "1: it defines templates",
		"{{with .Value}}{{.}}{{end}}":                  "1: has an action that is not allowed",
		"{{json 1}}":                                   "has an action that is not allowed",
		"{{json .Value .ID}}":                          "the template fails",
		strings.Repeat("x", 70_000) + "{{.Value}}":     "more than 64 KiB",
		"{{if .ID}}{{.Value}}{{else}}{{.Nope}}{{end}}": "1: reads .Nope",
	} {
		if _, err := format.Parse(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", source, err, want)
		}
	}
	for _, source := range []string{"{{.ID}}", "fixed", "{{json (base64 (base64 .Value))}}"} {
		if parse(t, source).Holds() {
			t.Errorf("%q holds the value", source)
		}
	}
}

func TestNoErrorQuotesTheValueInBase64(t *testing.T) {
	f := &format.Form{Facts: facts, First: parse(t, format.DockerConfig("de.icr.io", format.IBMUser))}
	texts, _ := write(t, f, value)
	auth := base64.StdEncoding.EncodeToString([]byte("iamapikey:" + value))
	for _, hidden := range format.Hidden(secret.New(value), texts) {
		if hidden.Expose() == auth {
			return
		}
	}
	t.Error("the coded value is not hidden")
}

// sources are the templates of the fuzz tests.
var sources = []string{
	format.DockerConfig("de.icr.io", format.IBMUser), format.Env("KEY"), format.JSON, format.JAAS("token"), format.Properties("apikey"),
	"{{.Value}}", "{{.Value}}{{.Value}}", "a{{.Value}}a{{.ID}}", `Basic {{base64 (print .ID ":" .Value)}}`, "{{json .Value}}{{env .Value}}",
}

// minted makes of any text a value as IBM's keys have it: letters, digits, - and _.
func minted(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := []byte(s)
	for i := range b {
		b[i] = alphabet[b[i]%64]
	}
	return string(b)
}

// FuzzAValueIsReadBack checks both directions of the promise of Read: of a text that
// Write made, the value; of any other text, never a value that it was not made of.
func FuzzAValueIsReadBack(f *testing.F) {
	forms := make([]*format.Form, len(sources))
	for i, source := range sources {
		forms[i] = &format.Form{Facts: facts, First: parse(f, source), More: []format.Entry{{Name: "more", Text: parse(f, sources[(i+1)%len(sources)])}}}
	}
	f.Add("", "x", 0)
	f.Add(value, `","x":"`, 0)
	f.Add(value[:10], "\n", 3)
	f.Fuzz(func(t *testing.T, raw, noise string, at int) {
		// IBM's keys have 44 characters.
		v := (minted(raw) + value)[:44]
		for i, form := range forms {
			texts, m := write(t, form, v)
			if got, err := read(form, m, texts); err != nil || got.Expose() != v {
				t.Fatalf("%s: %q is not read back: %v", sources[i], v, err)
			}
			stored := texts["KEY"].Expose()
			cut := ((at % (len(stored) + 1)) + len(stored) + 1) % (len(stored) + 1)
			changed := stored[:cut] + noise + stored[cut:]
			if changed == stored {
				continue
			}
			texts["KEY"] = secret.New(changed)
			got, err := read(form, m, texts)
			if err != nil {
				t.Fatal(err)
			}
			if again, _, _ := form.Write("KEY", m, got); got.Expose() == v || len(got.Expose()) == 44 && again["KEY"].Expose() != changed && got.Expose() != changed {
				t.Fatalf("%s: a changed text is read as a value", sources[i])
			}
		}
	})
}

// FuzzEscapes renders any text with each escape, and reads it as its readers do.
func FuzzEscapes(f *testing.F) {
	texts := map[string]*format.Text{}
	for _, fn := range []string{"json", "env", "properties", "jaas", "base64"} {
		texts[fn] = parse(f, "{{"+fn+" .Value}}")
	}
	for _, s := range []string{"", value, `a"b\c$d` + "`\n\r\t\f\x00\x7f", "größe 😀 \u2028", " lead", "#!:=", "\\u0041", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		for fn, back := range map[string]func(string) (string, error){
			"json": fromJSON, "env": fromEnv, "properties": fromProperties, "jaas": fromJAAS, "base64": fromBase64,
		} {
			form := &format.Form{First: texts[fn]}
			all, _, err := form.Write("KEY", key, secret.New(s))
			if err != nil {
				if len(s) > 8000 {
					continue // it is too long once it is escaped
				}
				t.Fatal(err)
			}
			text := all["KEY"].Expose()
			if fn != "base64" && strings.ContainsAny(text, "\n\r") {
				t.Fatalf("%s of %q is more than a line: %q", fn, s, text)
			}
			if got, err := back(text); err != nil || got != s {
				t.Fatalf("%s of %q is %q, which reads as %q, %v", fn, s, text, got, err)
			}
		}
	})
}

func fromJSON(text string) (s string, err error) {
	err = json.Unmarshal([]byte(text), &s)
	return s, err
}

func fromBase64(text string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	return string(b), err
}

// fromEnv reads as Docker Compose and godotenv do: within double quotes a backslash
// escapes.
func fromEnv(text string) (string, error) {
	inner, quoted := strings.CutPrefix(text, `"`)
	if !quoted {
		if strings.ContainsAny(text, " \t#$\"'`\\") || text == "" {
			return "", fmt.Errorf("%q needs quotes", text)
		}
		return text, nil
	}
	return unescape(inner, '"', func(r rune, _ *bufio.Reader) (rune, error) {
		switch r {
		case 'n':
			return '\n', nil
		case 'r':
			return '\r', nil
		}
		return r, nil
	})
}

// fromProperties reads as java.util.Properties does.
func fromProperties(text string) (string, error) {
	var high rune
	s, err := unescape(text, 0, func(r rune, rest *bufio.Reader) (rune, error) {
		switch r {
		case 'n', 'r', 't', 'f':
			return rune("\n\r\t\f"[strings.IndexRune("nrtf", r)]), nil
		case 'u':
			var hex string
			for range 4 {
				r, _, err := rest.ReadRune()
				if err != nil {
					return 0, err
				}
				hex += string(r)
			}
			var unit rune
			if _, err := fmt.Sscanf(hex, "%04X", &unit); err != nil {
				return 0, err
			}
			switch {
			case unit >= 0xD800 && unit < 0xDC00:
				high = unit
				return -1, nil
			case unit >= 0xDC00 && unit < 0xE000:
				unit = (high-0xD800)<<10 | (unit - 0xDC00) + 0x10000
			}
			return unit, nil
		}
		return r, nil
	})
	return s, err
}

// fromJAAS reads as java.io.StreamTokenizer does.
func fromJAAS(text string) (string, error) {
	inner, quoted := strings.CutPrefix(text, `"`)
	if !quoted {
		return "", errors.New("no quote")
	}
	return unescape(inner, '"', func(r rune, rest *bufio.Reader) (rune, error) {
		if r < '0' || r > '7' {
			return r, nil
		}
		octal := r - '0'
		for range 2 {
			next, _, err := rest.ReadRune()
			if err != nil || next < '0' || next > '7' {
				return 0, errors.Join(err, rest.UnreadRune())
			}
			octal = octal*8 + next - '0'
		}
		return octal, nil
	})
}

// unescape reads up to the end rune, or to the end of the text if it is 0.
func unescape(text string, end rune, escape func(rune, *bufio.Reader) (rune, error)) (string, error) {
	in := bufio.NewReader(strings.NewReader(text))
	var b strings.Builder
	for {
		r, _, err := in.ReadRune()
		switch {
		case err != nil && end == 0:
			return b.String(), nil
		case err != nil:
			return "", errors.New("no end")
		case r == end && end != 0:
			if _, _, err := in.ReadRune(); err == nil {
				return "", errors.New("it goes on behind its end")
			}
			return b.String(), nil
		case r == '\\':
			if r, _, err = in.ReadRune(); err != nil {
				return "", err
			}
			if r, err = escape(r, in); err != nil {
				return "", err
			}
			if r < 0 {
				continue
			}
		}
		b.WriteRune(r)
	}
}
