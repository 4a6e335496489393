package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/evidence"
)

// The small time line of a row shows 90 days before and after now. It is 240 units
// wide, and now is in the middle.
const (
	lineDays  = 90
	lineWidth = 240
)

// timeline draws a credential's keys in one row, the published one below the others. It
// has numbers only, so nothing in it needs escaping. The columns beside it say the same
// in words.
func timeline(c evidence.Credential, now time.Time) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d 10" aria-hidden=true>`, lineWidth)
	at := func(t time.Time) int {
		days := t.Sub(now).Hours() / 24
		return min(max(int((days+lineDays)*lineWidth/(2*lineDays)), 0), lineWidth)
	}
	for _, k := range c.Keys {
		y := 0
		if k.ID == c.Key {
			y = 5
		}
		for _, s := range spans(c, k, now) {
			if x, end := at(s.from), at(s.to); end > x {
				fmt.Fprintf(&b, `<rect class=%s x=%d y=%d width=%d height=4 />`, s.phase, x, y, end-x)
			}
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers and our own words
}

// span is a part of a key's life.
type span struct {
	phase    string
	from, to time.Time
}

// spans returns the parts of a key's life: until it was superseded, and its overlap.
func spans(c evidence.Credential, k evidence.Key, now time.Time) []span {
	end := k.Expires
	if end.IsZero() {
		end = now.AddDate(10, 0, 0) // it never expires
	}
	p := phase(c, k, now)
	if k.Superseded.IsZero() || !k.Superseded.Before(end) {
		return []span{{p, k.Created, end}}
	}
	return []span{{"past", k.Created, k.Superseded}, {p, k.Superseded, end}}
}

// lifeline draws the keys of one credential, one below the other, with the months.
func lifeline(d detail) template.HTML {
	const width, left, row = 900, 10, 34
	first, last := d.Now.AddDate(0, 0, -30), d.Now.AddDate(0, 0, 30)
	for _, k := range d.Keys {
		for _, s := range spans(d.Credential, k, d.Now) {
			if s.from.Before(first) {
				first = s.from
			}
			if s.to.After(last) && s.to.Before(d.Now.AddDate(2, 0, 0)) {
				last = s.to
			}
		}
	}
	at := func(t time.Time) int {
		share := float64(t.Sub(first)) / float64(last.Sub(first))
		return left + int(min(max(share, 0), 1)*(width-2*left))
	}
	height := 30 + row*len(d.Keys) + 24
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class=life viewBox="0 0 %d %d" role=img aria-label="Time line of %d keys, the same as in the table of keys below">`, width, height, len(d.Keys))
	shown := -100
	for m := time.Date(first.Year(), first.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, 1, 0); m.Before(last); m = m.AddDate(0, 1, 0) {
		fmt.Fprintf(&b, `<line class=grid x1=%d x2=%d y1=20 y2=%d />`, at(m), at(m), height-20)
		if at(m)-shown > 60 {
			fmt.Fprintf(&b, `<text x=%d y=14>%s</text>`, at(m)+2, m.Format("2006-01"))
			shown = at(m)
		}
	}
	for i, k := range d.Keys {
		y := 28 + i*row
		for _, s := range spans(d.Credential, k, d.Now) {
			fmt.Fprintf(&b, `<rect class=%s x=%d y=%d width=%d height=14 rx=2 />`, s.phase, at(s.from), y, max(at(s.to)-at(s.from), 2))
		}
		fmt.Fprintf(&b, `<text x=%d y=%d>key %d, %s</text>`, min(at(k.Created), width-160), y+26, i+1, phase(d.Credential, k, d.Now))
	}
	fmt.Fprintf(&b, `<line class=now x1=%d x2=%d y1=20 y2=%d /><text x=%d y=%d>now</text></svg>`, at(d.Now), at(d.Now), height-16, min(at(d.Now)+3, width-40), height-6)
	return template.HTML(b.String()) //nolint:gosec // numbers and our own words
}
