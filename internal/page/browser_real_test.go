//go:build real

package page

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a tab of a real Chromium. It keeps what a page must not do: errors on the
// console, and requests to anything but the page's own server.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu  sync.Mutex
	bad []string
}

func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run make test-real", name)
	}
	return value
}

// open serves the page and opens it.
func open(t *testing.T, p Page) *tab {
	t.Helper()
	server := httptest.NewServer(Handler(func() Page { return p }))
	t.Cleanup(server.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(variable(t, "LATCHKEY_CHROMIUM")), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, url: server.URL}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, cdplog.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	b.do(chromedp.Navigate(server.URL + "/"))
	return b
}

// call calls a command of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// run runs an action within five minutes, and returns its value. Printing or checking 5,000
// credentials takes half a minute on a quiet machine.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// eval evaluates an expression, which may be a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.url+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			b.bad = append(b.bad, "it requests "+e.Request.URL)
		}
	case *runtime.EventConsoleAPICalled:
		b.bad = append(b.bad, fmt.Sprintf("its console has %s %v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		b.bad = append(b.bad, "its script throws "+e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		b.bad = append(b.bad, "its log has "+e.Entry.Text)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		run(b, action)
	}
}

// rows returns how many rows are visible, and the name in the first.
func (b *tab) rows() (n int, first string) {
	b.t.Helper()
	const visible = `[...document.querySelectorAll("section[aria-labelledby=credentials] tbody tr")].filter(r => !r.hidden)`
	return eval[int](b, visible+".length"), eval[string](b, "("+visible+`[0]?.cells[0].textContent || "")`)
}

// end fails the test if the page did what it must not.
func (b *tab) end() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.bad {
		b.t.Error("the page is not self-contained: " + text)
	}
}

// accessible runs axe, which finds what keeps people from using a page.
func (b *tab) accessible(about string) {
	b.t.Helper()
	script, err := os.ReadFile(variable(b.t, "LATCHKEY_AXE"))
	if err != nil {
		b.t.Fatal(err)
	}
	found := eval[[]string](b, string(script)+`;axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}).then(r =>
		r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html).join(" ")))`)
	for _, text := range found {
		b.t.Errorf("%s: %s", about, text)
	}
}

// picture keeps a screenshot, if a folder for them is set.
func (b *tab) picture(name string) {
	b.t.Helper()
	folder := os.Getenv("LATCHKEY_SCREENSHOTS")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), run(b, chromedp.CaptureScreenshot()), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// dark asks for dark or light colours, as a browser's settings do.
func (b *tab) dark(on bool) {
	b.t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
}

// choose sets a field of the form, and tells the page so.
func (b *tab) choose(field, value string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(f => { f.value = %q; return f.dispatchEvent(new Event("input")) && f.dispatchEvent(new Event("change")) })(document.getElementById(%q))`, value, field))
}

func TestRealBrowserSearchesFiltersAndOrdersWithoutARequest(t *testing.T) {
	for _, n := range []int{50, 5000} {
		t.Run(fmt.Sprint(n, " credentials"), func(t *testing.T) {
			begun := time.Now()
			b := open(t, many(n))
			t.Logf("loaded after %s", time.Since(begun))
			if got, first := b.rows(); got != n || !strings.HasSuffix(first, "000000000000") {
				t.Errorf("%d rows, the first %s", got, first)
			}
			b.do(chromedp.SendKeys("#q", "000000000042"))
			if got, first := b.rows(); got != 1 || !strings.HasSuffix(first, "000000000042") {
				t.Errorf("searched: %d rows, the first %s", got, first)
			}
			b.choose("q", "")
			b.choose("condition", "blocked")
			if got, _ := b.rows(); got != n/25 {
				t.Errorf("filtered: %d rows, want %d", got, n/25)
			}
			b.choose("condition", "")
			b.do(chromedp.Click(`thead th[data-sort=credential] a`))
			if _, first := b.rows(); !strings.HasSuffix(first, "000000000000") {
				t.Errorf("by name: the first is %s", first)
			}
			b.do(chromedp.Click(`thead th[data-sort=expires] a`))
			sorted := eval[string](b, `document.querySelector("thead th[aria-sort]").dataset.sort`)
			if got, _ := b.rows(); got != n || sorted != "expires" {
				t.Errorf("ordered by %s: %d rows", sorted, got)
			}
			b.end()
		})
	}
}

func TestRealBrowserNeedsNoScript(t *testing.T) {
	p := many(50)
	b := open(t, p)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(chromedp.Navigate(b.url+"/"), chromedp.SendKeys("#q", "000000000042\r"), chromedp.WaitReady(`input[value="000000000042"]`))
	table := run(b, chromedp.Text("section[aria-labelledby=credentials] tbody"))
	if strings.Count(table, "logs-sender/") != 1 {
		t.Errorf("the table has\n%s", table)
	}
	b.end()
}

func TestRealBrowserIsAccessibleInLightAndDark(t *testing.T) {
	empty := Page{Owner: "prod-eu", Version: "latchkey v1", Now: now}
	for name, p := range map[string]Page{"no credential": empty, "50 credentials": many(50), "5,000 credentials": many(5000)} {
		t.Run(name, func(t *testing.T) {
			b := open(t, p)
			for _, on := range []bool{false, true} {
				b.dark(on)
				background := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
				if isDark := background != "rgb(255, 255, 255)"; isDark != on {
					t.Errorf("dark %t: the background is %s", on, background)
				}
				b.accessible(fmt.Sprintf("dark %t", on))
				b.picture(fmt.Sprintf("page-%d-dark-%t", len(p.Credentials), on))
			}
			b.end()
		})
	}
}

func TestRealBrowserShowsACredential(t *testing.T) {
	p := many(50)
	b := open(t, p)
	b.do(chromedp.Click(".urgent a"), chromedp.WaitReady(".life"))
	title := run(b, chromedp.Text("h1"))
	if title != p.Credentials[0].Credential {
		t.Errorf("the page of %s", title)
	}
	b.accessible("a credential")
	b.picture("credential")
	b.end()
}

func TestRealBrowserPrintsEveryCredential(t *testing.T) {
	for _, n := range []int{50, 5000} {
		t.Run(fmt.Sprint(n, " credentials"), func(t *testing.T) {
			b := open(t, many(n))
			pdf := run(b, chromedp.PrintToPDF())
			// A page of paper has at most 100 rows.
			if sheets := bytes.Count(pdf, []byte("/Type /Page\n")); !bytes.HasPrefix(pdf, []byte("%PDF-")) || sheets < n/100 {
				t.Errorf("printed %d bytes, %d sheets", len(pdf), sheets)
			}
			b.end()
		})
	}
}

// A file has no server: a browser reads it from the disk.
func TestRealBrowserReadsTheReportAsAFile(t *testing.T) {
	p := many(50)
	p.File = true
	var text strings.Builder
	if err := p.Write(&text, Query{Sort: Orders[0]}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, p)
	b.url = "file://" + filepath.Dir(file)
	b.do(chromedp.Navigate("file://"+file), chromedp.SendKeys("#q", "000000000042"))
	if got, _ := b.rows(); got != 1 {
		t.Errorf("searched: %d rows", got)
	}
	b.end()
}
