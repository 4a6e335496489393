package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"go.yaml.in/yaml/v3"
)

// Bounds of the data that a hook makes.
const (
	maxData  = 1 << 20 // bytes that expressions yield, roughly
	maxShape = 16      // levels in the config
)

// A shape is the config of an event's data: a mapping or a list that contains
// expressions, or one expression that yields all of it.
type shape struct {
	path    string
	fields  []shapeField
	list    []*shape
	isList  bool
	whole   *expression // any value
	text    *template   // a string
	literal any
	mapping bool
}

type shapeField struct {
	name string
	of   *shape
}

func (d *decoder) shape(v value, depth int) *shape {
	if p := d.probed[v.node]; p != nil {
		p.accepted = true
		return &shape{}
	}
	at := strings.Index(v.path, ".event.")
	s := &shape{path: v.path[at+len(".event."):]}
	if depth > maxShape {
		d.fault(v, "nests deeper than %d", maxShape)
		return s
	}
	switch v.node.Kind {
	case yaml.MappingNode:
		s.mapping = true
		seen := map[string]bool{}
		for i := 0; i+1 < len(v.node.Content); i += 2 {
			key := v.node.Content[i]
			if key.Tag == "!!merge" {
				continue
			}
			if key.Kind != yaml.ScalarNode || seen[key.Value] {
				d.fault(value{node: key, path: v.path}, "a key must be a string and occur once")
				continue
			}
			seen[key.Value] = true
			s.fields = append(s.fields, shapeField{key.Value, d.shape(value{node: v.node.Content[i+1], path: join(v.path, key.Value)}, depth+1)})
		}
	case yaml.SequenceNode:
		s.isList = true
		d.list(v, func(_ int, item value) { s.list = append(s.list, d.shape(item, depth+1)) })
	case yaml.ScalarNode:
		d.shapeScalar(v, s)
	}
	return s
}

func (d *decoder) shapeScalar(v value, s *shape) {
	switch v.node.ShortTag() {
	case "!!str":
		parts := d.hookParts(v, v.node.Value, cel.DynType)
		if len(parts) == 1 && parts[0].source != "" {
			s.whole = parts[0].expression
			return
		}
		s.text = &template{parts: parts}
	case "!!bool", "!!int", "!!float", "!!null":
		if err := v.node.Decode(&s.literal); err != nil {
			d.fault(v, "cannot be read")
		}
	default:
		d.fault(v, "must be a string, a number, true or false; quote it to make it a string")
	}
}

func (s *shape) evaluate(vars map[string]any) (any, error) {
	left := maxData
	return s.fill(vars, &left)
}

// fill returns the value and subtracts its size from left.
func (s *shape) fill(vars map[string]any, left *int) (any, error) {
	switch {
	case s.mapping:
		out := make(map[string]any, len(s.fields))
		for _, f := range s.fields {
			v, err := f.of.fill(vars, left)
			if err != nil {
				return nil, err
			}
			out[f.name] = v
		}
		return out, nil
	case s.isList:
		out := make([]any, 0, len(s.list))
		for _, of := range s.list {
			v, err := of.fill(vars, left)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case s.whole != nil:
		v, err := s.whole.evaluate(vars, nil)
		if err == nil {
			var out any
			if out, err = plain(v, left, 0); err == nil {
				return out, nil
			}
		}
		return nil, fmt.Errorf("%s: evaluating ${%s}: %w", s.path, shortened(s.whole.source, maxRepeated), err)
	case s.text != nil:
		t, err := s.text.evaluate(vars, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.path, err)
		}
		return t, nil
	}
	return s.literal, nil
}

// plain converts a CEL value to one that encoding/json encodes.
func plain(v ref.Val, left *int, depth int) (any, error) {
	if *left -= 8; *left < 0 || depth > 2*maxNesting {
		return nil, errors.New("its value is too large")
	}
	switch v := v.(type) {
	case types.String:
		*left -= len(v)
		return string(v), nil
	case types.Bool, types.Int, types.Uint, types.Double:
		return v.Value(), nil
	case types.Null:
		return nil, nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return plain(v.GetValue(), left, depth+1)
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, errors.New("it yields a map with keys that are not strings")
			}
			*left -= len(name)
			item, err := plain(v.Get(key), left, depth+1)
			if err != nil {
				return nil, err
			}
			out[string(name)] = item
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			item, err := plain(it.Next(), left, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, item)
		}
		return out, nil
	}
	return nil, errors.New("it yields a value that JSON cannot represent")
}
