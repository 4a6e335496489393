package event

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// Passing reports whether a request is a valid event that requests nothing of latchkey's
// own senders, and returns the event's type and data. It only reads the header and scans
// the body, so that a flood of such events is cheap. It returns false for every unusual
// form; Decode and Interpret then decide.
func Passing(h http.Header, body []byte) (kind string, data []byte, passing bool) {
	found, structured := 0, false
	for key, values := range h {
		if len(key) < 3 || (key[0] != 'C' && key[0] != 'c') {
			continue
		}
		if key == "Content-Type" {
			structured = len(values) == 1 && values[0] == structuredType+"+json"
			if len(values) != 1 || values[0] != "application/json" && !structured {
				return "", nil, false
			}
			continue
		}
		if key[:3] != "Ce-" {
			if strings.EqualFold(key, "Content-Type") || strings.EqualFold(key, "Content-Encoding") || strings.EqualFold(key[:3], "ce-") {
				return "", nil, false
			}
			continue
		}
		if len(values) != 1 || !plainValue(values[0]) {
			return "", nil, false
		}
		switch value := values[0]; key[3:] {
		case "Specversion":
			if value != "1.0" {
				return "", nil, false
			}
			found++
		case "Type":
			kind = value
			found++
		case "Id":
			found++
		case "Source":
			if !plainReference(value) {
				return "", nil, false
			}
			found++
		case "Time":
			if _, err := parseTime(value); err != nil {
				return "", nil, false
			}
		case "Subject":
		default:
			if !plainExtension(key[3:]) {
				return "", nil, false
			}
		}
	}
	switch {
	case len(body) > MaxBody:
		return "", nil, false
	case structured:
		return passingStructured(body)
	}
	return kind, body, found == required && !mayAsk(kind, body)
}

// required is how many attributes an event must have.
const required = 4

// passingStructured is Passing for structured mode.
func passingStructured(body []byte) (kind string, data []byte, passing bool) {
	found, usual := 0, true
	isPlain := plain(body, func(name []byte, value json.RawMessage) {
		text := ""
		if value[0] == '"' && !bytes.ContainsRune(value, '\\') {
			text = string(value[1 : len(value)-1])
		}
		switch string(name) {
		case "specversion":
			usual = usual && text == "1.0"
			found++
		case "type":
			kind = text
			usual = usual && plainValue(text)
			found++
		case "id":
			usual = usual && plainValue(text)
			found++
		case "source":
			usual = usual && plainReference(text)
			found++
		case "time":
			_, err := parseTime(text)
			usual = usual && err == nil
		case "subject":
			usual = usual && plainValue(text)
		case "datacontenttype":
			usual = usual && text == "application/json"
		case "data":
			data = value
		default:
			usual = false
		}
	})
	// Event Notifications' envelope may have any content type.
	usual = usual && found == required && !bytes.Contains(body, []byte(`"notification_id"`))
	return kind, data, isPlain && usual && !mayAsk(kind, data)
}

// mayAsk scans the data of an event of a type for what Interpret handles.
func mayAsk(kind string, data []byte) bool {
	switch {
	case kind == typeKafka:
		return auditMayAsk(data)
	case Own(kind), kind == TypeTick, strings.HasPrefix(kind, typeSecrets):
		return true
	}
	return bytes.Contains(data, []byte(lifecyclePrefix))
}

// plainValue reports whether a header value needs no decoding.
func plainValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' || c == '"' {
			return false
		}
	}
	return s != ""
}

// plainReference reports whether s is an absolute path with an optional fragment, as
// Knative's sources are.
func plainReference(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !lowerOrDigit(c|0x20) && !lowerOrDigit(c) && c != '/' && c != '-' && c != '_' && c != '.' && c != '#' {
			return false
		}
	}
	return len(s) > 1 && s[0] == '/' && lowerOrDigit(s[1]|0x20) && strings.Count(s, "#") <= 1
}

// plainExtension reports whether name is an extension in the spelling of net/http.
// Another spelling could repeat an attribute. The remaining attributes of the
// specification are left to Decode.
func plainExtension(name string) bool {
	if name == "" || (name[0] < 'A' || name[0] > 'Z') && !isDigit(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if !lowerOrDigit(name[i]) {
			return false
		}
	}
	return name != "Data" && name != "Datacontenttype" && name != "Dataschema"
}

func lowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) }
