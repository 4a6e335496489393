package kubernetes

import (
	"context"
	"fmt"
	"net/url"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/listing"
)

// labels are those of each Secret that latchkey writes to. They keep other Secrets out of
// lists.
var labels = object{entry.Label: "true"}

// place is a namespace.
type place struct {
	client    *Client
	namespace string
}

// Place satisfies listing.Placed.
func (s *Store) Place() any { return place{s.client, s.cfg.Namespace} }

// listed returns the Secret from the list of the namespace's Secrets with our label, if the
// looks of a sweep share it, or nil. That it is not listed proves nothing.
func (s *Store) listed(ctx context.Context, api resource) object {
	all, _ := listing.Of(ctx, s.Place(), "secrets", func() (map[string]object, error) {
		all := map[string]object{}
		doing := fmt.Sprintf("listing the Secrets of namespace %s in %s", s.cfg.Namespace, s.client.cfg.Cluster)
		return all, api.each(ctx, doing, url.Values{"labelSelector": {entry.Label}}, func(got object) { all[got.name()] = got })
	})
	return all[s.cfg.Secret]
}
