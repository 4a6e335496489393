package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is one thing wrong with a config, at the place that has to change.
// Line and Column count from 1. Path is empty where the text as a whole is at
// fault, as with YAML that can't be read.
type Fault struct {
	File         string
	Line, Column int
	Path         string
	Message      string
}

// String gives "latchkey.yaml:12:5: credentials[0].rotation.after: …", which
// editors and terminals turn into a link.
func (f Fault) String() string {
	s := fmt.Sprintf("%s:%d:%d: ", f.File, f.Line, f.Column)
	if f.Path != "" {
		s += f.Path + ": "
	}
	return s + f.Message
}

// Faults is everything that is wrong with a config, in the order of the lines.
type Faults []Fault

// Error gives one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts by place; faults at one place keep the order they were found in.
func (fs Faults) inOrder() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return fs
}
