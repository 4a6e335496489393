package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxConfig is how many bytes a config has. Real configs are far smaller, since they
// may have to fit into an environment variable.
const maxConfig = 1 << 20

// parse reads one YAML document. It rejects anchors, aliases and merge keys, which make
// a config hard to read and can expand a small text to a large one, and further
// documents. The result has no node if the text cannot be read.
func (d *decoder) parse(data []byte) value {
	at := func(line int) value { return value{node: &yaml.Node{Line: line, Column: 1}} }
	if len(data) > maxConfig {
		d.fault(at(1), "the config has %d bytes; the maximum is %d", len(data), maxConfig)
		return value{}
	}
	if line, message := unreadable(data); line > 0 {
		d.fault(at(line), "%s", message)
		return value{}
	}
	var document, second yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(readableVersion(data)))
	err := in.Decode(&document)
	if errors.Is(err, io.EOF) {
		d.fault(at(1), "the config is empty; start from deploy/examples/emulator.yaml")
		return value{}
	}
	if err != nil {
		line, message := syntaxError(err, bytes.Count(data, []byte("\n"))+1)
		d.fault(at(line), "reading YAML: %s", message)
		return value{}
	}
	switch err := in.Decode(&second); {
	case err == nil:
		d.fault(at(second.Line), "a second YAML document starts here; a config has one")
	case !errors.Is(err, io.EOF):
		line, message := syntaxError(err, bytes.Count(data, []byte("\n"))+1)
		d.fault(at(line), "reading YAML: %s", message)
	}
	if len(document.Content) != 1 || document.Content[0].Tag == "!!null" {
		d.fault(at(1), "the config is empty; start from deploy/examples/emulator.yaml")
		return value{}
	}
	d.rejectReferences(&document)
	return value{node: document.Content[0]}
}

// prune parts a tree into nodes, of which only those live on that something keeps.
func prune(n *yaml.Node) {
	for _, child := range n.Content {
		prune(child)
	}
	n.Content = nil
}

// release drops the nodes of what large configs have much of. Its later faults name a path,
// and no line.
func (d *decoder) release(c *Config) {
	for _, t := range d.all {
		t.at.node = nil
	}
	for _, e := range c.Entries {
		for i := range e.stores {
			s := &e.stores[i]
			s.at.node = nil
			if s.codeEngine != nil {
				s.codeEngine.at.node = nil
			}
			if s.kubernetes != nil {
				s.kubernetes.at.node = nil
			}
		}
		for i := range e.policies {
			e.policies[i].at.node = nil
		}
	}
}

// rejectReferences adds a fault for each anchor, alias and merge key.
func (d *decoder) rejectReferences(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fault(value{node: n}, "aliases are not supported; write the value out")
	case n.Tag == "!!merge":
		d.fault(value{node: n}, "merge keys are not supported; write the values out")
	case n.Anchor != "":
		d.fault(value{node: n}, "anchors are not supported; write the value out where it is needed")
	}
	for _, child := range n.Content {
		d.rejectReferences(child)
	}
}

// unreadable finds the first line with invalid UTF-8 or a control character. The YAML
// library rejects them without a position.
func unreadable(data []byte) (line int, message string) {
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, "the text is not valid UTF-8"
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line, fmt.Sprintf("the text has the control character %U", r)
		}
		data = data[size:]
	}
	return 0, ""
}

var yaml12 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\x{FEFF})?(?:[%#][^\n]*\n|[ \t\r]*\n)*?%YAML[ \t]+1\.2[ \t\r]*(?:#[^\n]*)?\n`)
})

// readableVersion lets the library read a text that says it is YAML 1.2. The library
// knows 1.1 by name only, and reads what both have.
func readableVersion(data []byte) []byte {
	if !bytes.Contains(data, []byte("%YAML")) {
		return data
	}
	at := yaml12().FindIndex(data)
	if at == nil {
		return data
	}
	i := bytes.LastIndex(data[:at[1]], []byte("%YAML"))
	head := append(bytes.Clone(data[:i]), bytes.Replace(data[i:at[1]], []byte("1.2"), []byte("1.1"), 1)...)
	return append(head, data[at[1]:]...)
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^line (\d+): `) })

// syntaxError returns the line and message of an error of the YAML library. The
// library gives the line only in the text, omits the first one, and counts from
// 0 for errors of its parser but not of its scanner. The message never contains the
// name of an anchor, which may be part of an unquoted secret.
func syntaxError(err error, lines int) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(message, "unknown anchor") {
		return 1, "an alias (*…) names an unknown anchor; quote a value that starts with *"
	}
	line = 1
	if m := yamlLine().FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
		if fromParser(message) {
			line++
		}
	}
	if strings.HasPrefix(message, "did not find expected ',' or") {
		message += "; quote a value with ${…} inside { } and [ ]"
	}
	return min(max(line, 1), lines), message
}

func fromParser(message string) bool {
	return slices.ContainsFunc([]string{
		"did not find expected node content", "did not find expected '-' indicator", "did not find expected key",
		"did not find expected ',' or", "did not find expected <",
	}, func(s string) bool { return strings.HasPrefix(message, s) })
}
