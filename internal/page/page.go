// Package page renders the credentials for people: one page with all of them, and one
// page for each.
//
// A page needs nothing beside itself: style and script are in it, and its
// Content-Security-Policy allows no others and no request. Search, filter and order are
// query parameters, so they work without a script. With one, they need no request.
// A page shows names, IDs, dates and reasons, and never a key's value.
package page

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed" // the template, the style and the script
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/evidence"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/report"
)

//go:embed page.html
var text string

//go:embed page.css
var style string

//go:embed page.js
var script string

// Page is what is rendered.
type Page struct {
	// Owner is the installation, and Version the build.
	Owner, Version string
	// Now is the time that the page tells. LastSweep is when the last sweep ended that
	// looked at every credential; zero is never.
	Now, LastSweep time.Time
	Credentials    []evidence.Credential
	// Records are audit records for the histories.
	Records []evidence.Record
	// File is set if the page is a file. It then has the details of single credentials
	// in itself.
	File bool
	// Report, if set, adds what the controls ask to the page.
	Report *report.Report
}

// Query selects and orders credentials.
type Query struct {
	// Text is part of a credential's name, its key, its reason or a store.
	Text string
	// Condition is the only condition that is shown; empty is all.
	Condition condition.Condition
	// Sort is one of Orders.
	Sort string
}

// Orders are the values of Query.Sort, the default first.
var Orders = []string{"condition", "credential", "expires", "age", "next"}

// mostDetails is how many credentials have their details in a file.
const mostDetails = 200

// mostUrgent is how many credentials are listed before the table.
const mostUrgent = 50

// Policy returns the Content-Security-Policy of a page. Its style and its script are
// named by their hashes.
func Policy() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; img-src data:; style-src " + hash(style) + "; script-src " + hash(script) + "; base-uri 'none'; form-action 'self'"
}

// parsed is built when the first page is rendered: the start of the program does not
// wait for it.
var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"date": date, "minute": minute, "label": label, "since": since, "symbol": symbol,
		"timeline": timeline, "lifeline": lifeline, "phase": phase, "join": strings.Join,
	}).Parse(text))
})

// total is how many credentials have a condition.
type total struct {
	Condition condition.Condition
	Count     int
}

// view is what the template gets.
type view struct {
	Page
	Query
	Style  template.CSS
	Script template.JS
	Policy string
	Totals []total
	Urgent []evidence.Credential
	// More counts the urgent credentials that are not listed.
	More    int
	Shown   []evidence.Credential
	Details []detail
	Orders  []string
}

// detail is a credential with the life of its keys.
type detail struct {
	evidence.Credential
	History evidence.History
	Now     time.Time
}

// urgent reports whether a person has to act.
func urgent(c evidence.Credential) bool {
	switch c.Condition {
	case condition.Expired, condition.Leaked, condition.Missing:
		return true
	case condition.Blocked:
		return c.Reason != reason.Paused
	}
	return false
}

// Write renders the page with all credentials that the query selects.
func (p Page) Write(w io.Writer, q Query) error {
	v := p.view(q)
	for _, c := range p.Credentials {
		if urgent(c) {
			v.Urgent = append(v.Urgent, c)
		}
	}
	slices.SortStableFunc(v.Urgent, byCondition)
	if n := len(v.Urgent) - mostUrgent; n > 0 {
		v.Urgent, v.More = v.Urgent[:mostUrgent], n
	}
	counts := map[condition.Condition]int{}
	for _, c := range p.Credentials {
		counts[c.Condition]++
	}
	for _, c := range condition.Worst {
		if counts[c] > 0 {
			v.Totals = append(v.Totals, total{c, counts[c]})
		}
	}
	v.Shown = selected(p.Credentials, q)
	if p.File {
		for _, c := range v.Shown[:min(len(v.Shown), mostDetails)] {
			v.Details = append(v.Details, p.detail(c))
		}
	}
	return render(w, "list", v)
}

// WriteCredential renders the page of one credential. It returns false if there is none
// of this name.
func (p Page) WriteCredential(w io.Writer, name string) (found bool, err error) {
	i := slices.IndexFunc(p.Credentials, func(c evidence.Credential) bool { return c.Credential == name })
	if i < 0 {
		return false, nil
	}
	v := p.view(Query{})
	v.Details = []detail{p.detail(p.Credentials[i])}
	return true, render(w, "one", v)
}

func (p Page) view(q Query) view {
	return view{Page: p, Query: q, Style: template.CSS(style), Script: template.JS(script), Policy: Policy(), Orders: Orders} //nolint:gosec // both are embedded
}

func (p Page) detail(c evidence.Credential) detail {
	return detail{Credential: c, History: c.Tell(p.Records, p.Now), Now: p.Now}
}

func render(w io.Writer, name string, v view) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := parsed().ExecuteTemplate(b, name, v); err != nil {
		return fmt.Errorf("rendering the page: %w", err)
	}
	return b.Flush()
}

// selected returns the credentials that the query selects, in its order.
func selected(all []evidence.Credential, q Query) []evidence.Credential {
	shown := make([]evidence.Credential, 0, len(all))
	words := strings.ToLower(strings.TrimSpace(q.Text))
	for _, c := range all {
		if (q.Condition == "" || c.Condition == q.Condition) && (words == "" || strings.Contains(strings.ToLower(searched(c)), words)) {
			shown = append(shown, c)
		}
	}
	slices.SortStableFunc(shown, order(q.Sort))
	return shown
}

// searched is the text of a credential that a search looks in.
func searched(c evidence.Credential) string {
	parts := []string{c.Credential, c.Key, string(c.Reason)}
	for _, s := range c.Stores {
		parts = append(parts, s.Name)
	}
	return strings.Join(parts, " ")
}

func order(by string) func(a, b evidence.Credential) int {
	name := func(a, b evidence.Credential) int { return cmp.Compare(a.Credential, b.Credential) }
	at := func(of func(evidence.Credential) time.Time) func(a, b evidence.Credential) int {
		return func(a, b evidence.Credential) int {
			x, y := of(a), of(b)
			if x.IsZero() != y.IsZero() { // those without a time come last
				return y.Compare(x)
			}
			return cmp.Or(x.Compare(y), name(a, b))
		}
	}
	switch by {
	case "credential":
		return name
	case "expires":
		return at(func(c evidence.Credential) time.Time { return c.KeyExpires })
	case "age":
		return at(func(c evidence.Credential) time.Time { return c.KeyCreated })
	case "next":
		return at(func(c evidence.Credential) time.Time { return c.Next })
	}
	return byCondition
}

func byCondition(a, b evidence.Credential) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Credential, b.Credential))
}

func rank(c evidence.Credential) int { return slices.Index(condition.Worst, c.Condition) }

// Ranks are the conditions in the order of the script.
func (v view) Ranks() string {
	words := make([]string, len(condition.Worst))
	for i, c := range condition.Worst {
		words[i] = string(c)
	}
	return strings.Join(words, " ")
}

// Link is the address of a credential's page.
func (v view) Link(name string) string {
	if v.File {
		return "#" + anchor(name)
	}
	return "/credentials/" + (&url.URL{Path: name}).EscapedPath()
}

// Linked reports whether a credential has details.
func (v view) Linked(name string) bool {
	return !v.File || slices.ContainsFunc(v.Details, func(d detail) bool { return d.Credential.Credential == name })
}

// Address is the address of the table in another order.
func (v view) Address(sort string) string {
	return "?" + url.Values{"q": {v.Text}, "condition": {string(v.Condition)}, "sort": {sort}}.Encode()
}

// Anchor is the place of the details in a file.
func (d detail) Anchor() string { return anchor(d.Credential.Credential) }

func anchor(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("c%x", sum[:6])
}

// symbol is a sign beside a condition, since a colour alone does not tell it.
func symbol(c condition.Condition) string {
	switch c {
	case condition.OK:
		return "✓"
	case condition.Expired, condition.Leaked, condition.Blocked, condition.Missing:
		return "✕"
	case condition.Unknown:
		return "?"
	}
	return "•"
}

func label(c condition.Condition) string { return strings.ReplaceAll(string(c), "-", " ") }

func date(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateOnly)
}

func minute(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// since is how many days ago a time is.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return fmt.Sprintf("%d", int(now.Sub(t)/(24*time.Hour)))
}

// phase is what a key is, in one word, for its colour and its legend.
func phase(c evidence.Credential, k evidence.Key, now time.Time) string {
	switch {
	case k.Expired(now) || k.Disabled:
		return "ended"
	case !k.Leaked.IsZero():
		return "leaked"
	case k.ID == c.Key:
		return "published"
	case !k.Superseded.IsZero():
		return "overlapping"
	case len(k.Stores) > 0:
		return "held"
	}
	return "pending"
}
