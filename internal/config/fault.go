package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is one error in a config.
type Fault struct {
	File         string // as passed to Load
	Line, Column int    // position to change, from 1
	Path         string // such as credentials[0].rotation.after; "": the whole file, for example invalid YAML
	Message      string // one line of at most 600 characters
}

// String returns "latchkey.yaml:12:5: credentials[0].rotation.after: …". Editors
// and terminals turn it into a link.
func (f Fault) String() string {
	s := fmt.Sprintf("%s:%d:%d: ", f.File, f.Line, f.Column)
	if f.Path != "" {
		s += f.Path + ": "
	}
	return s + f.Message
}

// Faults is a list of faults, sorted by line.
type Faults []Fault

// Error returns one fault per line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts by position and is stable.
func (fs Faults) inOrder() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return fs
}
