package iam

import (
	"fmt"
	"net/url"

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

// eachPage calls page with the token of each page, nil for the first, until no
// next page exists. A list with more than most pages, or without end, is an error, so a
// partial list never passes for a complete one.
func eachPage(doing string, most int, page func(token *string) (next string, err error)) error {
	seen := map[string]bool{}
	var token *string
	for range most {
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

// pageToken returns the token in the URL of a next page, or "" if next is empty.
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
