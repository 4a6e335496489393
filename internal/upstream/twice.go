package upstream

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// twice reports whether one of the objects, which are all those at a depth of the JSON,
// has a member twice. A struct takes both: encoding/json ignores case there, and merges
// what is an object. So an adapter might read another one than was checked.
func twice(raw []byte, depth int, objects ...object) bool {
	names := 0
	for _, o := range objects {
		if o.folds() {
			return true
		}
		names += len(o)
	}
	return names != members(raw, depth)
}

// folds reports whether two names of the object differ in case only.
func (o object) folds() bool {
	plain := true
	for name := range o {
		plain = plain && lower(name)
	}
	if plain {
		return false
	}
	seen := make(map[string]bool, len(o))
	for name := range o {
		seen[strings.Map(fold, name)] = true
	}
	return len(seen) < len(o)
}

// lower reports whether a name has no capital letters, and nothing but ASCII. No two such
// names fold to the same.
func lower(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// fold returns the smallest of the letters that differ in case only, as encoding/json does.
func fold(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// members counts the members of all objects at a depth of valid JSON. The depth of the
// outermost object or list is 1.
func members(raw []byte, depth int) (n int) {
	at, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '{', c == '[':
			at++
		case c == '}', c == ']':
			at--
		case c == ':' && at == depth:
			n++
		}
	}
	return n
}
