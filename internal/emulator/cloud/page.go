package cloud

import (
	"encoding/base64"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"
)

// Page is one page of a list. Next is the token of the next page and empty on
// the last one.
type Page[T any] struct {
	Items []T
	Limit int
	Next  string
}

// position is the content of a page token: the whole query, since IAM needs no
// other parameter with the token, and where the previous page ended.
type position[Q any] struct {
	Query Q     `json:"q"`
	After int64 `json:"a,omitempty"` // sequence number, in the order of arrival
	Skip  int   `json:"s,omitempty"` // number of items, in any other order
}

func (p position[Q]) token() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("encoding page token: " + err.Error()) // a query is plain data
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePosition[Q any](token string) (position[Q], bool) {
	var p position[Q]
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(b, &p) != nil || p.Skip < 0 || p.After < 0 {
		return position[Q]{}, false
	}
	return p, true
}

// cut takes one page from a source. Without less, the page is in the source's
// order and costs what it examines. With less, all matches are sorted first.
func cut[Q, T any](p position[Q], limit int, source func(after int64) iter.Seq2[int64, T],
	match func(T) bool, less func(a, b T) int) (items []T, next string) {
	if less == nil {
		last := int64(0)
		for seq, v := range source(p.After) {
			if !match(v) {
				continue
			}
			if len(items) == limit {
				return items, position[Q]{Query: p.Query, After: last}.token()
			}
			items, last = append(items, v), seq
		}
		return items, ""
	}
	for _, v := range source(0) {
		if match(v) {
			items = append(items, v)
		}
	}
	slices.SortStableFunc(items, less)
	from := min(p.Skip, len(items))
	to := min(from+limit, len(items))
	if to < len(items) {
		next = position[Q]{Query: p.Query, Skip: to}.token()
	}
	return items[from:to], next
}

// condition is one comparison of IAM's filter language. Only the common part is
// emulated: attribute, operator and quoted string, joined by "and".
type condition struct{ attribute, operator, value string }

func parseFilter(filter string) ([]condition, bool) {
	var conditions []condition
	for rest := strings.TrimSpace(filter); rest != ""; {
		attribute, tail, ok := strings.Cut(rest, " ")
		if !ok {
			return nil, false
		}
		operator, tail, ok := strings.Cut(strings.TrimSpace(tail), " ")
		tail = strings.TrimSpace(tail)
		if !ok || !strings.HasPrefix(tail, `"`) {
			return nil, false
		}
		value, tail, ok := strings.Cut(tail[1:], `"`)
		if !ok || !slices.Contains([]string{"eq", "ne", "co", "sw", "ew"}, operator) {
			return nil, false
		}
		conditions = append(conditions, condition{attribute, operator, value})
		rest = strings.TrimSpace(tail)
		if rest == "" {
			break
		}
		if rest, ok = strings.CutPrefix(rest, "and "); !ok {
			return nil, false
		}
		rest = strings.TrimSpace(rest)
		if rest == "" {
			return nil, false
		}
	}
	return conditions, true
}

func (q condition) holds(value string) bool {
	switch q.operator {
	case "eq":
		return value == q.value
	case "ne":
		return value != q.value
	case "sw":
		return strings.HasPrefix(value, q.value)
	case "ew":
		return strings.HasSuffix(value, q.value)
	default:
		return strings.Contains(value, q.value)
	}
}

// Minute is the layout of IAM's timestamps, without seconds.
const Minute = "2006-01-02T15:04-0700"

// FormatTime formats a time as IAM does: in UTC, truncated to the minute.
func FormatTime(t time.Time) string { return t.UTC().Format(Minute) }

// ParseTime parses the layouts that IAM accepts.
func ParseTime(s string) (time.Time, bool) {
	for _, layout := range []string{Minute, "2006-01-02T15:04:05-0700", "2006-01-02T15:04Z", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
