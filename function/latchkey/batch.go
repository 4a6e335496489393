package main

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// batchWidth is how many events of a batch are answered at once.
const batchWidth = 8

// part is what became of one event of a batch. The specification defines no
// answer to a batch; this is a list of them in the order of the events.
type part struct {
	Event    string              `json:"event,omitempty"` // its ID, where it has one
	Status   int                 `json:"status"`          // as the answer to the event alone
	Outcomes []reconcile.Outcome `json:"outcomes,omitempty"`
	Detail   string              `json:"detail,omitempty"` // what is wrong
}

// batch answers each event of a batch by itself. The status is the worst of
// theirs, so that a sender that knows no parts repeats what is not done; a
// repetition changes nothing where it is.
func (d *desk) batch(ctx context.Context, header http.Header, body []byte, known bool) answer {
	items, err := event.DecodeBatch(header, body)
	if err != nil {
		return d.refuse(err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	answers := make([]answer, len(items))
	var g errgroup.Group
	g.SetLimit(batchWidth)
	for i, item := range items {
		if item.Err != nil {
			answers[i] = d.refuse(item.Err)
			continue
		}
		if i > 0 && !known && !d.looks.Allow() { // the request has paid for the first
			answers[i] = answer{status: http.StatusTooManyRequests, retry: 1}
			continue
		}
		g.Go(func() error {
			answers[i] = d.take(ctx, item.Event, known)
			return nil
		})
	}
	_ = g.Wait() // faults are answers
	return together(items, answers)
}

// together makes one answer of many.
func together(items []event.Item, answers []answer) answer {
	whole := answer{status: http.StatusNoContent, parts: make([]part, len(items))}
	for i, a := range answers {
		whole.parts[i] = part{Event: items[i].Event.ID(), Status: a.status, Outcomes: a.outcomes, Detail: a.problem}
		whole.retry = max(whole.retry, a.retry)
		if severity(a.status) > severity(whole.status) {
			whole.status = a.status
		}
	}
	if whole.status == http.StatusNoContent {
		whole.parts = nil
	}
	return whole
}

// severities has the statuses from the best to the worst: what a repetition
// may mend comes last, since a sender repeats for no other status.
var severities = []int{
	http.StatusNoContent, http.StatusOK, http.StatusAccepted,
	http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge,
	http.StatusUnauthorized, http.StatusForbidden, http.StatusNotImplemented,
	http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

func severity(status int) int {
	return cmp.Or(slices.Index(severities, status)+1, status)
}

// secretsOf is a catalog of what has one of several names in Secrets Manager:
// one notification covers up to a hundred secrets, and one look at the config
// and the projects finds them all.
type secretsOf struct {
	reconcile.Catalog
	names map[string]bool
}

// Credentials returns those that are called like one of the secrets, or kept in
// it.
func (s *secretsOf) Credentials(ctx context.Context, scope reconcile.Scope) ([]reconcile.Credential, error) {
	all, err := s.Catalog.Credentials(ctx, scope)
	var kept []reconcile.Credential
	for _, c := range all {
		if there, _ := keptIn(c, s.names); there || s.names[c.ServiceIDName] || s.names[c.Name] {
			kept = append(kept, c)
		}
	}
	return kept, err
}

// bundled puts requests about secrets that differ in the secret alone together.
func bundled(requests []event.Request) (bundles [][]event.Request) {
	for _, req := range requests {
		i := len(bundles)
		if req.Secret != "" {
			found := slices.IndexFunc(bundles, func(b []event.Request) bool {
				return b[0].Secret != "" && b[0].Verb == req.Verb && b[0].Trigger == req.Trigger
			})
			if found >= 0 {
				i = found
			}
		}
		if i == len(bundles) {
			bundles = append(bundles, nil)
		}
		bundles[i] = append(bundles[i], req)
	}
	return bundles
}
