package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// maxDepth is how many levels the JSON of an event may nest.
const maxDepth = 64

// Limits bound JSON in addition to its length.
type Limits struct {
	Depth  int // levels of nesting
	Values int // values, those inside of others included; 0: no limit
}

// ParseJSON reads one JSON value: nil, bool, int64, float64, string, []any or
// map[string]any. It rejects a name that occurs twice in one object, since
// readers differ on which one counts, and a number that neither int64 nor float64
// holds. Its errors repeat nothing of the text.
func ParseJSON(text []byte, l Limits) (any, error) {
	values, err := (&jsonReader{limits: l, keep: true}).all(text)
	switch {
	case err != nil:
		return nil, err
	case len(values) == 0:
		return nil, errNotJSON
	case len(values) > 1:
		return nil, errors.New("more than one JSON value")
	}
	return values[0], nil
}

// object splits a JSON object into its members, each as raw JSON, after
// checkJSON.
func object(body []byte) (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if plain(body, func(name []byte, value json.RawMessage) { members[string(name)] = value }) && len(members) > 0 {
		return members, nil
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, errors.New("it is not one JSON object")
	}
	return fields, nil
}

// checkJSON reads any number of JSON values and rejects what ParseJSON rejects,
// except for numbers.
func checkJSON(text []byte) error {
	if plain(text, nil) {
		return nil
	}
	return checkTokens(text)
}

// checkTokens is checkJSON for texts that are not plain.
func checkTokens(text []byte) error {
	_, err := (&jsonReader{limits: Limits{Depth: maxDepth}, anyNumber: true, names: true}).all(text)
	return err
}

// parseStream reads any number of JSON values like ParseJSON. A number that neither
// int64 nor float64 holds becomes a string.
func parseStream(text []byte) ([]any, error) {
	return (&jsonReader{limits: Limits{Depth: maxDepth}, keep: true, anyNumber: true, names: true}).all(text)
}

// A jsonReader reads one text.
type jsonReader struct {
	limits    Limits
	keep      bool // return values, instead of nil for each
	anyNumber bool // a number out of range becomes a string
	names     bool // an error may repeat a name
	d         *json.Decoder
	values    int
}

var (
	errNotJSON = errors.New("it is not JSON")
	errEarly   = errors.New("the JSON ends early")
)

func (r *jsonReader) all(text []byte) (values []any, err error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8") // encoding/json would replace it by U+FFFD
	}
	r.d = json.NewDecoder(bytes.NewReader(text))
	r.d.UseNumber()
	for {
		t, err := r.d.Token()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, errNotJSON
		}
		v, err := r.value(t, 0)
		if err != nil {
			return nil, err
		}
		if r.keep {
			values = append(values, v)
		}
	}
}

// next reads a token inside of a value.
func (r *jsonReader) next() (json.Token, error) {
	t, err := r.d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errEarly
	case err != nil:
		return nil, errNotJSON
	}
	return t, nil
}

// value reads the value that starts with the token.
func (r *jsonReader) value(t json.Token, depth int) (v any, err error) {
	if r.values++; r.limits.Values > 0 && r.values > r.limits.Values {
		return nil, fmt.Errorf("it has more than %d values", r.limits.Values)
	}
	switch t := t.(type) {
	case json.Number:
		v, err = r.number(t)
	case json.Delim:
		switch depth++; {
		case depth > r.limits.Depth:
			return nil, fmt.Errorf("it nests deeper than %d levels", r.limits.Depth)
		case t == '{':
			v, err = r.object(depth)
		default:
			v, err = r.list(depth)
		}
	default:
		v = t // string, bool, nil
	}
	if !r.keep {
		v = nil
	}
	return v, err
}

func (r *jsonReader) object(depth int) (any, error) {
	o := map[string]any{}
	for {
		t, err := r.next()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return o, nil // the closing brace: no other token can stand here
		}
		if _, twice := o[name]; twice {
			if r.names {
				return nil, fmt.Errorf("the name %s occurs twice in one object", quote(name))
			}
			return nil, errors.New("a name occurs twice in one object")
		}
		if t, err = r.next(); err != nil {
			return nil, err
		}
		if o[name], err = r.value(t, depth); err != nil {
			return nil, err
		}
	}
}

func (r *jsonReader) list(depth int) (any, error) {
	l := []any{}
	for {
		t, err := r.next()
		if err != nil {
			return nil, err
		}
		if t == json.Delim(']') {
			return l, nil
		}
		v, err := r.value(t, depth)
		if err != nil {
			return nil, err
		}
		if r.keep {
			l = append(l, v)
		}
	}
}

// number returns whole numbers as int64, so that an ID of digits does not become
// 1.2e+07.
func (r *jsonReader) number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	switch {
	case err == nil && !math.IsInf(f, 0):
		return f, nil
	case r.anyNumber:
		return n.String(), nil
	}
	return nil, errors.New("a number is out of range")
}
