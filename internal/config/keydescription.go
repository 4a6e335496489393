package config

import (
	"cmp"
	"fmt"
	"strings"
)

// maxKeyDescription bounds the description of keys, in characters. What a run was
// requested by and the marker follow it.
const maxKeyDescription = 200

var checkKeyDescription = withoutMarker(line(maxKeyDescription))

// keyDescription reads the description of keys. A literal is checked. What
// expressions yield is cleaned, so that no project's name keeps a key from being made.
func (d *decoder) keyDescription(v value, e *entryDraft) {
	e.keyDescription = d.template(v, nil)
	if text, literal := e.keyDescription.literal(); literal {
		if err := checkKeyDescription(text); err != nil {
			d.fault(v, "%q %v", text, err)
		}
	}
}

// renderOnce renders the description of keys of an entry without input, so that one
// that can't be rendered is a fault of the config.
func (d *decoder) renderOnce(e *entryDraft) {
	t := e.keyDescription
	if !t.varies() || e.ForEach != "" || e.UsesWith() {
		return
	}
	if _, err := t.evaluate(map[string]any{"with": map[string]string{}}, nil); err != nil {
		d.fault(t.at, "%v", err)
	}
}

// described returns the description of a credential's keys. By default it is what
// IBM's run-book writes: the service ID, and what it is allowed to do.
func (x *expansion) described(c Credential) string {
	if x.entry.keyDescription != nil {
		return cleaned(x.text(x.entry.keyDescription), maxKeyDescription)
	}
	text := "API key for service ID " + cmp.Or(c.ServiceIDName, c.ServiceID)
	var may []string
	for _, p := range c.Policies {
		may = append(may, strings.Join(p.Roles, " and ")+" on "+cmp.Or(p.Service, "all of type "+p.ServiceType))
	}
	switch {
	case len(may) > 0:
		text += " with permissions to act as " + strings.Join(may, ", ")
	case len(c.AccessGroups) > 0:
		text += fmt.Sprintf(" with permissions of %s", strings.Join(c.AccessGroups, ", "))
	}
	return cleaned(text, maxKeyDescription)
}

// cleaned returns a text as one line of at most the given number of characters.
// Brackets are replaced, since they delimit a marker.
func cleaned(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unprintable(r) || r == '[' || r == ']' {
			return '_'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-1]) + "…"
	}
	return strings.TrimSpace(text)
}
