package upstream

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Pages follows the pages of a list. A list without end, or with a page that
// repeats, is an error, so a partial list never passes for a complete one.
type Pages struct {
	// Doing names the step.
	Doing string
	// Most bounds the number of pages.
	Most int

	seen map[string]bool
}

// Next reports whether a page with this token follows. An empty token is the end.
func (p *Pages) Next(token string) (more bool, err error) {
	switch {
	case token == "":
		return false, nil
	case p.seen[token], len(p.seen)+1 >= p.Most:
		return false, fmt.Errorf("%s: %w: the list does not end", p.Doing, port.ErrUnavailable)
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[token] = true
	return true, nil
}
