package iam

import (
	"fmt"
	"net/url"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// mostPages bounds a listing: 100 per page of the 100,000 service IDs that an
// account may have, and as much again.
const mostPages = 2000

// eachPage calls page with the token of each page, nil for the first, until
// there is no next one. A list that does not end or whose next page can't be
// found is an error: half a list must not pass for a whole one.
func eachPage(doing string, page func(token *string) (next string, err error)) error {
	seen := map[string]bool{}
	var token *string
	for range mostPages {
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
	return fmt.Errorf("%s: %w: the list does not end", doing, reconcile.ErrUnavailable)
}

// pageToken is the token in the URL of a next page; empty if there is none.
func pageToken(doing string, next *string) (string, error) {
	if str(next) == "" {
		return "", nil
	}
	if u, err := url.Parse(*next); err == nil {
		if token := u.Query().Get("pagetoken"); token != "" {
			return token, nil
		}
	}
	return "", upstream.Incomplete(doing, "token of the next page")
}
