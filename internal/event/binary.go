package event

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// attribute is an attribute of an event. Its value is a string, a bool or an int32.
type attribute struct {
	name  string
	value any
}

// header returns the content type and the ce- headers. It ignores the case of names,
// since not every caller uses net/http. A compressed body is not supported: a small
// one can exhaust the memory.
func header(h http.Header) (contentType string, attributes []attribute, err error) {
	const prefix = "ce-"
	types := 0
	for key, values := range h {
		switch {
		case strings.EqualFold(key, "Content-Type") && len(values) > 0:
			types += len(values)
			contentType = strings.TrimSpace(values[0])
		case strings.EqualFold(key, "Content-Encoding"):
			if slices.ContainsFunc(values, func(v string) bool { return v != "" && !strings.EqualFold(v, "identity") }) {
				return "", nil, fmt.Errorf("%w: Content-Encoding: send the body uncompressed", ErrUnsupported)
			}
		case len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix):
			name := strings.ToLower(key[len(prefix):])
			for _, value := range values {
				attributes = append(attributes, attribute{name, value})
			}
		}
	}
	if types > 1 {
		return "", nil, malformed("header Content-Type occurs %d times", types)
	}
	return contentType, attributes, nil
}

// binary reads binary mode: attributes in headers, data in the body.
func binary(contentType string, attributes []attribute, body []byte) (Event, error) {
	slices.SortStableFunc(attributes, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	for i, a := range attributes {
		if a.name == "datacontenttype" {
			return Event{}, malformed("header ce-datacontenttype: use Content-Type instead")
		}
		if i > 0 && a.name == attributes[i-1].name { // readers differ on which one counts
			return Event{}, malformed("header ce-%s occurs more than once", Clip(a.name))
		}
	}
	read := attributes[:0]
	for _, a := range attributes {
		encoded, _ := a.value.(string)
		value, err := headerValue(encoded)
		switch {
		case errors.Is(err, errPercent) && a.name == "subject" && utf8.ValidString(encoded):
			value = encoded // not every sender encodes
		case !defined(a.name) && (err != nil || strings.ContainsFunc(value, isControl)):
			// Knative's Kafka source sends keys and headers of a record as they are.
			// An unreadable extension is left out.
			if legalName(a.name) {
				continue
			}
			value = ""
		case err != nil:
			return Event{}, malformed("header ce-%s: %w", shown(a.name, encoded), err)
		}
		read = append(read, attribute{a.name, value})
	}
	attributes = read
	if contentType != "" {
		attributes = append(attributes, attribute{"datacontenttype", contentType})
	}
	e, err := assemble(attributes)
	if err != nil || len(body) == 0 {
		return e, err
	}
	e.DataEncoded = body
	return e, nil
}

var errPercent = errors.New("the percent-encoding is invalid")

// headerValue decodes a value as the HTTP binding encodes it: quotes first, then one
// round of percent-encoding.
func headerValue(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		inner, err := unquote(s)
		if err != nil {
			return "", err
		}
		s = inner
	}
	s, err := url.PathUnescape(s)
	if err != nil {
		return "", errPercent
	}
	if !utf8.ValidString(s) {
		return "", errors.New("it is not UTF-8")
	}
	return s, nil
}

// unquote reads a quoted string of RFC 9110. A backslash escapes the next character,
// and the first unescaped quote must be the last character.
func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' && i == len(s)-1:
			return b.String(), nil
		case c == '"':
			return "", errors.New("text follows the quoted string")
		case c == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", errors.New("the quoted string does not end")
}
