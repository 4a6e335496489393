package event

import (
	"errors"
	"mime"
	"net/url"
	"strings"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"
)

func legalName(s string) bool {
	return s != "" && s != "data" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

func badName(name string) error {
	return malformed("attribute name %s: a name consists of lower-case letters and digits", quote(name))
}

func isControl(r rune) bool { return r < 0x20 || (r >= 0x7f && r <= 0x9f) }

// defined reports whether the specification defines the attribute. All others are
// extensions.
func defined(name string) bool {
	switch name {
	case "specversion", "id", "type", "source", "subject", "datacontenttype", "dataschema", "time":
		return true
	}
	return false
}

// assemble checks the attributes, whose names differ, and builds the event.
func assemble(attributes []attribute) (Event, error) {
	find := func(name string) any {
		for _, a := range attributes {
			if a.name == name {
				return a.value
			}
		}
		return nil
	}
	if v, _ := find("specversion").(string); v != "1.0" {
		if v == "" {
			return Event{}, malformed("specversion is missing")
		}
		return Event{}, malformed("specversion %s: only 1.0 is supported", quote(v))
	}
	e := ce.New("1.0")
	for _, a := range attributes {
		name, value := a.name, a.value
		if !legalName(name) {
			return Event{}, badName(name)
		}
		text, isText := value.(string)
		if isText && unset(name, text) {
			continue
		}
		if isText && strings.ContainsFunc(text, isControl) {
			return Event{}, malformed("%s has a control character", shown(name, text))
		}
		var err error
		switch name {
		case "specversion":
		case "id", "type", "source", "subject", "datacontenttype", "dataschema", "time":
			if strings.TrimSpace(text) == "" {
				return Event{}, malformed("%s is empty", name)
			}
			err = setCore(&e, name, text)
		default:
			err = e.Context.SetExtension(name, value)
		}
		if err != nil {
			return Event{}, malformed("%s: %w", shown(name, text), err)
		}
	}
	for _, name := range []string{"id", "source", "type"} {
		if find(name) == nil {
			return Event{}, malformed("%s is missing", name)
		}
	}
	return e, nil
}

// unset reports whether the text stands for an attribute that the sender does not have.
// Azure Event Grid sends the data schema "#" and an empty subject. latchkey resolves no
// schema, so one that is not an absolute URI costs no event.
func unset(name, text string) bool {
	switch name {
	case "subject":
		return strings.TrimSpace(text) == ""
	case "dataschema":
		u, err := url.Parse(text)
		return err != nil || !u.IsAbs()
	}
	return false
}

// setCore sets an attribute that the specification defines. It does not return the
// SDK's errors where they repeat the whole value.
func setCore(e *Event, name, text string) error {
	switch name {
	case "id":
		return e.Context.SetID(text)
	case "type":
		return e.Context.SetType(text)
	case "subject":
		return e.Context.SetSubject(text)
	case "source":
		// "#" is an empty reference.
		if err := e.Context.SetSource(text); err != nil || e.Source() == "" {
			return errors.New("not a URI reference")
		}
		return nil
	case "dataschema":
		return e.Context.SetDataSchema(text)
	case "datacontenttype":
		if err := checkMediaType(text); err != nil {
			return err
		}
		return e.Context.SetDataContentType(text)
	}
	t, err := parseTime(text)
	if err != nil {
		return err
	}
	return e.Context.SetTime(t)
}

func checkMediaType(s string) error {
	media, _, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(media, "/") {
		return errors.New("not a media type")
	}
	return nil
}

// rfc3339 reports whether s has the form of a time, with a capital T and Z.
// time.Parse alone also accepts 9:00, commas and offsets of 99 hours.
func rfc3339(s string) bool {
	const shape = "dddd-dd-ddTdd:dd:dd"
	if len(s) <= len(shape) {
		return false
	}
	for i := range len(shape) {
		if shape[i] == 'd' && !isDigit(s[i]) || shape[i] != 'd' && s[i] != shape[i] {
			return false
		}
	}
	s = s[len(shape):]
	if s[0] == '.' {
		n := 1
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n == 1 {
			return false
		}
		s = s[n:]
	}
	if s == "Z" {
		return true
	}
	return len(s) == len("+hh:mm") && (s[0] == '+' || s[0] == '-') && s[3] == ':' &&
		isDigit(s[1]) && isDigit(s[2]) && isDigit(s[4]) && isDigit(s[5]) && s[1:3] < "24" && s[4:6] < "60"
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseTime parses a time of RFC 3339 whose year in UTC is from 1 to 9999. It rejects
// the zero time, which stands for an absent time elsewhere.
func parseTime(s string) (time.Time, error) {
	s = strings.ToUpper(s)
	t, err := time.Parse(time.RFC3339, s)
	if y := t.UTC().Year(); err != nil || !rfc3339(s) || t.IsZero() || y < 1 || y > 9999 {
		return time.Time{}, errors.New("not an RFC 3339 time")
	}
	return t, nil
}
