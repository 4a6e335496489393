package emulator

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// object is the JSON form of something that a service returns.
type object = map[string]any

// field is a JSON field of a struct.
type field struct {
	name     string
	index    []int
	optional bool // omitempty or omitzero
	isTime   bool
}

var fieldsOfType sync.Map // reflect.Type to []field

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldsOfType.Load(t); ok {
		return known.([]field)
	}
	var list []field
	for _, f := range reflect.VisibleFields(t) {
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			list = append(list, field{name, f.Index, options != "", f.Type == reflect.TypeFor[time.Time]()})
		}
	}
	fieldsOfType.Store(t, list)
	return list
}

// fields returns the JSON fields of a struct of [cloud], whose tags have the
// names that IBM uses. Each service has its own form of times. A field named in
// without is left out. A nil list or map becomes an empty one. Service IDs, keys
// and policies, of which there may be 100,000, embed the struct instead: that
// lists them four times faster.
func fields(x any, form func(time.Time) string, without ...string) object {
	v := reflect.ValueOf(x)
	list := fieldsOf(v.Type())
	out := make(object, len(list))
	for _, f := range list {
		value := v.FieldByIndex(f.index)
		isList := value.Kind() == reflect.Slice || value.Kind() == reflect.Map
		empty := isList && value.Len() == 0
		switch {
		case f.optional && (empty || value.IsZero()) || slices.Contains(without, f.name):
		case f.isTime:
			out[f.name] = form(value.Interface().(time.Time))
		case empty && value.Kind() == reflect.Slice:
			out[f.name] = []any{}
		case empty:
			out[f.name] = object{}
		default:
			out[f.name] = value.Interface()
		}
	}
	return out
}

// hidden has the JSON name of an embedded field that the API does not show.
type hidden *struct{}

// views applies a view to each item. The list is never nil.
func views[T, U any](items []T, view func(T) U) []U {
	out := make([]U, 0, len(items))
	for _, x := range items {
		out = append(out, view(x))
	}
	return out
}

// tokenPage writes a page of IAM identity. Its links are URLs, and the last page
// has no next.
func tokenPage[T, U any](c *call, name string, page cloud.Page[T], view func(T) U) answer {
	path := c.origin() + c.request.URL.Path
	query := c.request.URL.Query()
	query.Del("pagetoken")
	first := path
	if q := query.Encode(); q != "" {
		first += "?" + q
	}
	out := object{"context": c.identityContext("list"), "offset": 0, "limit": page.Limit, "first": first, name: views(page.Items, view)}
	if page.Next != "" {
		query.Set("pagetoken", page.Next)
		out["next"] = path + "?" + query.Encode()
	}
	return answer{status: 200, body: out}
}

// startPage writes a page of policies or of Code Engine. Its links are objects.
func startPage[T, U any](c *call, name string, page cloud.Page[T], view func(T) U) answer {
	path := c.origin() + c.request.URL.Path
	query := c.request.URL.Query()
	query.Del("start")
	out := object{name: views(page.Items, view), "limit": page.Limit, "first": object{"href": path + "?" + query.Encode()}}
	if page.Next != "" {
		query.Set("start", page.Next)
		out["next"] = object{"href": path + "?" + query.Encode(), "start": page.Next}
	}
	return answer{status: 200, body: out}
}

// offsetPage writes a page of access groups or of Secrets Manager, with links
// to the first, last, previous and next page.
func offsetPage[T any](c *call, name string, page cloud.Slice[T], view func(T) object) answer {
	at := func(offset int) object {
		query := c.request.URL.Query()
		query.Set("limit", strconv.Itoa(page.Limit))
		query.Set("offset", strconv.Itoa(offset))
		return object{"href": c.origin() + c.request.URL.Path + "?" + query.Encode()}
	}
	out := object{name: views(page.Items, view), "limit": page.Limit, "offset": page.Offset, "total_count": page.Total,
		"first": at(0), "last": at(max(0, page.Total-1) / page.Limit * page.Limit)}
	if page.Offset > 0 {
		out["previous"] = at(max(0, page.Offset-page.Limit))
	}
	if page.Offset+page.Limit < page.Total {
		out["next"] = at(page.Offset + page.Limit)
	}
	return answer{status: 200, body: out}
}
