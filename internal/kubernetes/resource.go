package kubernetes

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// resource is a kind of objects in one place, such as the Secrets of a namespace.
type resource struct {
	client *Client
	api    upstream.Service
	path   []string // of their list
	kind   string   // of each, such as Secret
	// what names them in the permission that a call takes.
	what string
}

func (c *Client) resource(ctx context.Context, kind, what string, path []string) (resource, error) {
	api, err := c.open(ctx)
	return resource{client: c, api: api, path: path, kind: kind, what: what}, err
}

// dry is the query of a call that the server only tries.
var dry = url.Values{"dryRun": {"All"}}

// at returns the path of one object.
func (r resource) at(name string) []string { return append(r.path[:len(r.path):len(r.path)], name) }

func (r resource) get(ctx context.Context, doing, name string) (object, error) {
	return r.call(ctx, doing, "get", upstream.Request{Method: http.MethodGet, Path: r.at(name)})
}

// list returns one page of the objects.
func (r resource) list(ctx context.Context, doing string, query url.Values) (object, error) {
	return r.call(ctx, doing, "list", upstream.Request{Method: http.MethodGet, Path: r.path, Query: query})
}

func (r resource) create(ctx context.Context, doing string, o object, query url.Values, hidden ...secret.Value) error {
	_, err := r.call(ctx, doing, "create", upstream.Request{Method: http.MethodPost, Path: r.path, Query: query, Body: o}, hidden...)
	return err
}

// patch applies a merge patch and returns the object as it is then.
func (r resource) patch(ctx context.Context, doing, name string, change object, query url.Values, hidden ...secret.Value) (object, error) {
	return r.call(ctx, doing, "patch", upstream.Request{
		Method: http.MethodPatch, Path: r.at(name), Query: query, Body: change, Header: map[string]string{"Content-Type": "application/merge-patch+json"},
	}, hidden...)
}

// remove deletes an object if it is at a revision.
func (r resource) remove(ctx context.Context, doing, name, revision string) error {
	_, err := r.call(ctx, doing, "delete", upstream.Request{Method: http.MethodDelete, Path: r.at(name), Body: object{
		"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": object{"resourceVersion": revision},
	}})
	return err
}

func (r resource) call(ctx context.Context, doing, verb string, req upstream.Request, hidden ...secret.Value) (object, error) {
	got, reply, err := upstream.Send[object](ctx, r.api, req)
	if err := r.client.fault(ctx, r.api, doing, verb+" on "+r.what, reply, err, hidden...); err != nil {
		return nil, err
	}
	want := r.kind
	if verb == "list" {
		want += "List"
	}
	wanted := got != nil && (got.text("kind") == want || verb == "delete" && got.deleted())
	if !wanted {
		return nil, upstream.Incomplete(doing, want)
	}
	return *got, nil
}

// pageSize is the number of objects per answer. maxPages bounds a list that never ends.
const (
	pageSize = 250
	maxPages = 100
)

// each calls do for every object of the list.
func (r resource) each(ctx context.Context, doing string, query url.Values, do func(object)) error {
	page := url.Values{"limit": {strconv.Itoa(pageSize)}}
	maps.Copy(page, query)
	seen := upstream.Pages{Doing: doing, Most: maxPages}
	for {
		got, err := r.list(ctx, doing, page)
		if err != nil {
			return err
		}
		for _, o := range got.list("items") {
			do(o)
		}
		next := got.text("metadata", "continue")
		if more, err := seen.Next(next); !more {
			return err
		}
		page.Set("continue", next)
	}
}
