package config

import (
	"cmp"
	"fmt"
	"strings"
)

// Describe returns lines that tell what the config yields: its entries, rules, resolved
// defaults, and what it needs.
func (c *Config) Describe() (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, e := range c.Entries {
		each := "one credential"
		switch {
		case e.ForEach != "":
			each = "one credential for each of " + e.ForEach
		case e.UsesWith():
			each = "one credential for each set of parameters that a provision event gives"
		}
		say("%s: %s", e.Name, each)
	}
	for _, r := range c.Rules {
		say("%s (line %d): %s", r.Name, r.Line, r.Verb)
	}
	say("owner %s, regions %s, a sweep every %s", c.Owner, cmp.Or(strings.Join(c.Regions, ", "), "none"), Days(c.SweepEvery))
	for _, e := range c.Entries {
		r := e.Rotation
		say("%s: rotation after %s, expire %s, overlap %s, onLeak %s, onDisabled %s", e.Name, Days(r.After), Days(r.Expire), Days(r.Overlap), r.OnLeak, r.OnDisabled)
		for _, f := range e.formats() {
			say("%s: %s", e.Name, f)
		}
	}
	n := c.Needs()
	for _, v := range n.Variables {
		say("needs the variable %s: %s", v.Name, v.For)
	}
	for _, f := range n.Files {
		say("needs the file %s: %s", f.Name, f.For)
	}
	for _, g := range n.Grants {
		limit := ""
		if g.Attribute != "" {
			limit = " (" + g.Attribute + " " + g.Value + ")"
		}
		say("needs the role %s on %s%s: %s", g.Role, g.Service, limit, g.Why)
	}
	for _, e := range n.Endpoints {
		say("needs to reach %s: %s", e, e.For)
	}
	return lines
}
