package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep JSON may nest.
const maxDepth = 64

// object splits a JSON object into its members, each as raw JSON. A name that
// occurs twice, at any depth, is refused: readers differ on which one counts.
func object(body []byte) (map[string]json.RawMessage, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, errors.New("it is not one JSON object")
	}
	return fields, nil
}

func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8") // json would put U+FFFD there
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil in an array
		key   bool            // a name comes next
	}
	var stack []*level
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(stack) > 0 {
				return errors.New("the JSON ends early")
			}
			return nil
		}
		if err != nil {
			return errors.New("it is not JSON")
		}
		top := func() *level {
			if len(stack) == 0 {
				return nil
			}
			return stack[len(stack)-1]
		}
		if name, is := t.(string); is && top() != nil && top().names != nil && top().key {
			if top().names[name] {
				return fmt.Errorf("the name %s occurs twice", quote(name))
			}
			top().names[name], top().key = true, false
			continue
		}
		if delim, is := t.(json.Delim); is {
			switch delim {
			case '{':
				stack = append(stack, &level{names: map[string]bool{}, key: true})
			case '[':
				stack = append(stack, &level{})
			default:
				stack = stack[:len(stack)-1]
			}
			if len(stack) > maxDepth {
				return fmt.Errorf("the JSON nests deeper than %d", maxDepth)
			}
			if delim == '{' || delim == '[' {
				continue
			}
		}
		if l := top(); l != nil && l.names != nil {
			l.key = true
		}
	}
}
