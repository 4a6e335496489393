package page

import (
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/condition"
)

// Handler answers GET / and GET /credentials/NAME with the page that current returns.
// The caller decides who may see it.
func Handler(current func() Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", Policy()+"; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		p := current()
		if name, one := strings.CutPrefix(r.URL.Path, "/credentials/"); one {
			if found, _ := p.WriteCredential(w, name); !found {
				http.Error(w, "This process has seen no such credential.", http.StatusNotFound)
			}
			return
		}
		_ = p.Write(w, queryOf(r)) // the caller may be gone
	})
}

// queryOf reads a query. What it does not know is the default.
func queryOf(r *http.Request) Query {
	v := r.URL.Query()
	q := Query{Text: v.Get("q"), Condition: condition.Condition(v.Get("condition")), Sort: v.Get("sort")}
	if len(q.Text) > 200 {
		q.Text = q.Text[:200]
	}
	if !slices.Contains(condition.Worst, q.Condition) {
		q.Condition = ""
	}
	if !slices.Contains(Orders, q.Sort) {
		q.Sort = Orders[0]
	}
	return q
}
