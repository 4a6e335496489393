package iam

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// The most pages of a listing. Each is at least twice what IAM can have, so that a
// list without end does not hold a run for long.
const (
	mostPages      = 2000 // an account has up to 100,000 service IDs, 100 per page
	mostOfKeys     = 10   // an identity has up to 20
	mostOfPolicies = 40   // an identity has up to 1,000, 50 per page
	mostNamed      = 40   // a group has up to 2,000 service IDs
)

// budget is how many pages may still be read. Lists that are read side by side may share one.
type budget struct{ left atomic.Int64 }

func atMost(pages int) *budget {
	b := &budget{}
	b.left.Store(int64(pages))
	return b
}

// eachPage calls page with the token of each page, nil for the first, until no
// next page exists. A list with more pages than the budget, or without end, is an error, so
// a partial list never passes for a complete one.
func eachPage(doing string, pages *budget, page func(token *string) (next string, err error)) error {
	seen := map[string]bool{}
	var token *string
	for pages.left.Add(-1) >= 0 {
		next, err := page(token)
		if err != nil || next == "" {
			return err
		}
		if seen[next] {
			break
		}
		seen[next] = true
		token = &next
	}
	return fmt.Errorf("%s: %w: the list does not end", doing, port.ErrUnavailable)
}

// getFrom reads an object, or a page of a list.
func getFrom[T any](ctx context.Context, s upstream.Service, path []string, query url.Values) (*T, *upstream.Reply, error) {
	return upstream.Send[T](ctx, s, upstream.Request{Method: http.MethodGet, Path: path, Query: query})
}

// pageToken returns the token in the URL of a next page, or "" if next is empty.
func pageToken(doing, next string) (string, error) {
	if next == "" {
		return "", nil
	}
	if u, err := url.Parse(next); err == nil {
		if token := u.Query().Get("pagetoken"); token != "" {
			return token, nil
		}
	}
	return "", upstream.Incomplete(doing, "token of the next page")
}
