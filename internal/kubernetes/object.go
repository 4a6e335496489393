package kubernetes

import (
	"bytes"
	"encoding/json"
)

// object is an object of the API, or a part of one. Its members are read one by one: one
// of an unexpected type counts as absent, and leaves the others readable.
type object map[string]any

// UnmarshalJSON satisfies json.Unmarshaler. It keeps numbers as they are written.
func (o *object) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode((*map[string]any)(o))
}

// at returns the member at the path, or nil.
func (o object) at(path ...string) any {
	last := len(path) - 1
	for _, name := range path[:last] {
		o, _ = o[name].(map[string]any)
	}
	return o[path[last]]
}

// part returns the object at the path, or nil.
func (o object) part(path ...string) object {
	m, _ := o.at(path...).(map[string]any)
	return m
}

// list returns the objects in the list at the path.
func (o object) list(path ...string) (found []object) {
	items, _ := o.at(path...).([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
}

// text returns the text at the path, or "".
func (o object) text(path ...string) string {
	s, _ := o.at(path...).(string)
	return s
}

// texts returns the texts by their names in the object at the path.
func (o object) texts(path ...string) map[string]string {
	found := map[string]string{}
	for name, value := range o.part(path...) {
		if s, ok := value.(string); ok {
			found[name] = s
		}
	}
	return found
}

// is reports whether the member at the path is true.
func (o object) is(path ...string) bool {
	b, _ := o.at(path...).(bool)
	return b
}

// number returns the integer at the path, or another one.
func (o object) number(otherwise int64, path ...string) int64 {
	n, ok := o.at(path...).(json.Number)
	if !ok {
		return otherwise
	}
	i, err := n.Int64()
	if err != nil {
		return otherwise
	}
	return i
}

// deleted reports whether the object is the Status that a server may answer a delete with.
// The deleted object is the other answer.
func (o object) deleted() bool { return o.text("kind") == "Status" && o.text("status") == "Success" }

// name returns the name of a whole object.
func (o object) name() string { return o.text("metadata", "name") }

// revision returns the resourceVersion of a whole object.
func (o object) revision() string { return o.text("metadata", "resourceVersion") }
