package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// mostPlainNames is how many names an object may have for a plainReader, which compares
// each with the others.
const mostPlainNames = 32

// A plainReader checks JSON as checkJSON does, without a token for each value. It gives up
// on everything unusual: escapes in names, objects with many names, several values.
type plainReader struct {
	text  []byte
	at    int
	names [][]byte // of the objects around the position, the outermost first
}

// plain reports whether the text is one JSON value that checkJSON accepts. If it is false,
// the text may still be such a value. member, if set, receives the members of an object.
func plain(text []byte, member func(name []byte, value json.RawMessage)) bool {
	if !utf8.Valid(text) || !json.Valid(text) {
		return false
	}
	r := plainReader{text: text, names: make([][]byte, 0, mostPlainNames)}
	return r.value(0, member)
}

// value passes over the value at the position. The text is valid JSON.
func (r *plainReader) value(depth int, member func(name []byte, value json.RawMessage)) bool {
	r.space()
	switch r.text[r.at] {
	case '{':
		return depth < maxDepth && r.object(depth+1, member)
	case '[':
		return depth < maxDepth && r.list(depth+1)
	case '"':
		r.quoted()
	default:
		for r.at < len(r.text) && !bytes.ContainsRune([]byte(" \t\r\n,]}"), rune(r.text[r.at])) {
			r.at++
		}
	}
	return true
}

func (r *plainReader) object(depth int, member func(name []byte, value json.RawMessage)) bool {
	outer := len(r.names)
	for !r.closes('}') {
		name, escaped := r.quoted()
		same := func(other []byte) bool { return bytes.Equal(other, name) }
		if escaped || len(r.names)-outer == mostPlainNames || slices.ContainsFunc(r.names[outer:], same) {
			return false
		}
		r.names = append(r.names, name)
		r.space()
		r.at++ // the colon
		r.space()
		begun := r.at
		if !r.value(depth, nil) {
			return false
		}
		if member != nil {
			member(name, r.text[begun:r.at])
		}
	}
	r.names = r.names[:outer]
	return true
}

func (r *plainReader) list(depth int) bool {
	for !r.closes(']') {
		if !r.value(depth, nil) {
			return false
		}
	}
	return true
}

// closes passes over the opening bracket or a comma, and over the closing bracket if it
// follows.
func (r *plainReader) closes(bracket byte) bool {
	r.space()
	if r.text[r.at] != bracket {
		r.at++
		r.space()
	}
	if r.text[r.at] != bracket {
		return false
	}
	r.at++
	return true
}

// quoted passes over a string and returns what is between its quotes.
func (r *plainReader) quoted() (inner []byte, escaped bool) {
	begun := r.at + 1
	for r.at = begun; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	return r.text[begun : r.at-1], escaped
}

func (r *plainReader) space() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\t' || r.text[r.at] == '\r' || r.text[r.at] == '\n') {
		r.at++
	}
}
