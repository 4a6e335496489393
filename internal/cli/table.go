package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-io/latchkey/internal/condition"
)

// Colours of a terminal, as parameters of ECMA-48's SGR.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
)

var colours = map[condition.Condition]string{
	condition.OK: green, condition.Due: yellow, condition.InProgress: yellow, condition.Unconfigured: yellow, condition.Expiring: yellow,
	condition.Missing: yellow, condition.Unknown: red, condition.Blocked: red, condition.Leaked: red, condition.Expired: red,
}

type cell struct{ text, colour string }

// table is text in columns. If it has a width, the first column is cut to fit it,
// and then the end of each line.
type table struct {
	width  int
	header []string
	rows   [][]cell
}

const columnGap = 2

func (t table) write(out io.Writer) error {
	widths := make([]int, len(t.header))
	header := make([]cell, len(t.header))
	for i, h := range t.header {
		header[i].text = h
	}
	rows := append([][]cell{header}, t.rows...)
	for _, row := range rows {
		for i := range row {
			row[i].text = visible(row[i].text)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	if t.width > 0 {
		all := columnGap * (len(widths) - 1)
		for _, w := range widths {
			all += w
		}
		widths[0] = max(min(widths[0], widths[0]+t.width-all), len(t.header[0]))
	}
	var b strings.Builder
	for _, row := range rows {
		used := 0
		for i, c := range row {
			text := shorten(c.text, widths[i])
			if t.width > 0 {
				text = cut(text, max(t.width-used, 0))
			}
			length := utf8.RuneCountInString(text)
			used += widths[i] + columnGap
			pad := ""
			if i < len(row)-1 && (t.width == 0 || used < t.width) {
				pad = strings.Repeat(" ", widths[i]+columnGap-length)
			}
			if c.colour != "" {
				text = "\x1b[" + c.colour + "m" + text + "\x1b[0m"
			}
			b.WriteString(text + pad)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// visible writes out what a terminal acts on or does not show, such as U+202E, which
// turns a line round. Names of projects and messages of upstreams may contain it.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsGraphic(r) }

// cut cuts the end of a text.
func cut(s string, most int) string {
	r := []rune(s)
	switch {
	case len(r) <= most:
		return s
	case most < 1:
		return ""
	}
	return string(r[:most-1]) + "…"
}

// shorten cuts the middle of a text, since names differ at both ends.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most || most < 1 {
		return s
	}
	tail := (most - 1) / 2
	return string(r[:most-1-tail]) + "…" + string(r[len(r)-tail:])
}

var uuid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
})

// shortIDs cuts UUIDs to their first eight digits.
func shortIDs(s string) string { return uuid().ReplaceAllString(s, "$1…") }

// relative is how far a time is from now.
func relative(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := t.Sub(now)
	var text string
	switch a := d.Abs(); {
	case a < time.Minute:
		return "now"
	case a < time.Hour:
		text = fmt.Sprintf("%dm", a/time.Minute)
	case a < 48*time.Hour:
		text = fmt.Sprintf("%dh", a/time.Hour)
	default:
		text = fmt.Sprintf("%dd", a/(24*time.Hour))
	}
	if d < 0 {
		return text + " ago"
	}
	return "in " + text
}

// wrap breaks a line between words. What follows is indented by two blanks more.
func wrap(line string, width int) string {
	hang := len(line) - len(strings.TrimLeft(line, " ")) + 2 // where a further line begins
	out, used := "", 0
	for rest := line; rest != ""; {
		gap := len(rest) - len(strings.TrimLeft(rest, " "))
		word, _, _ := strings.Cut(rest[gap:], " ")
		n := utf8.RuneCountInString(word)
		switch {
		case strings.TrimSpace(out) != "" && used+gap+n > width:
			out += "\n" + strings.Repeat(" ", hang)
			used = hang
		case used > 0 && gap > 1 && hang <= used: // a column, as in "ok    identity: …"
			hang = used + gap
			fallthrough
		default:
			out += strings.Repeat(" ", gap)
			used += gap
		}
		out += word
		used += n
		rest = rest[gap+len(word):]
	}
	return out
}
