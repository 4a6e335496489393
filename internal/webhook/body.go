package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/latchkey-io/latchkey/internal/event"
)

// Bounds of a body. GitHub sends up to 25 MB; what latchkey is told about has a
// few KiB, and an event that is made of it has to fit too.
const (
	// MaxBody is the longest body that is read, in bytes.
	MaxBody   = event.MaxBody - 4<<10
	maxDepth  = 40 // what a hook makes of it may nest deeper, and an event 64
	maxValues = 100_000
)

// readable refuses what is not JSON as it stands. A compressed body is never
// unpacked: a small one can be the size of the machine.
func readable(h http.Header) error {
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return fmt.Errorf("%w: Content-Encoding: send the body as it is", event.ErrUnsupported)
		}
	}
	given := h.Values("Content-Type")
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		return nil // the body tells
	}
	media, _, err := mime.ParseMediaType(given[0])
	if err != nil || len(given) > 1 || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return fmt.Errorf("%w: Content-Type: a hook takes application/json", event.ErrUnsupported)
	}
	return nil
}

// parse reads one JSON value: int64 for whole numbers, float64 for others. Its
// errors repeat nothing of the body.
func parse(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("it is not UTF-8")
	}
	p := parser{d: json.NewDecoder(bytes.NewReader(body))}
	p.d.UseNumber()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	return v, nil
}

type parser struct {
	d      *json.Decoder
	values int
}

var errNotJSON = errors.New("it is not JSON")

func (p *parser) value(depth int) (any, error) {
	t, err := p.d.Token()
	if err != nil {
		return nil, errNotJSON
	}
	if p.values++; p.values > maxValues {
		return nil, fmt.Errorf("it has more than %d values", maxValues)
	}
	switch t := t.(type) {
	case json.Number:
		return number(t)
	case json.Delim:
		if depth++; depth > maxDepth {
			return nil, fmt.Errorf("it nests deeper than %d", maxDepth)
		}
		switch t {
		case '{':
			return p.object(depth)
		case '[':
			return p.list(depth)
		}
		return nil, errNotJSON
	}
	return t, nil // string, bool, nil
}

func (p *parser) object(depth int) (any, error) {
	o := map[string]any{}
	for p.d.More() {
		t, err := p.d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotJSON
		}
		if _, twice := o[name]; twice { // readers differ on which one counts
			return nil, errors.New("a name occurs twice in one object")
		}
		if o[name], err = p.value(depth); err != nil {
			return nil, err
		}
	}
	return o, p.end()
}

func (p *parser) list(depth int) (any, error) {
	l := []any{}
	for p.d.More() {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	return l, p.end()
}

func (p *parser) end() error {
	if _, err := p.d.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

func number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return nil, errors.New("a number is out of range")
	}
	return f, nil
}
