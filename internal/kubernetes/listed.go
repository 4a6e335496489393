package kubernetes

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// labels are those of each Secret that latchkey writes to. They keep other Secrets out of
// lists.
var labels = map[string]any{entry.Label: "true"}

// place is a namespace.
type place struct {
	client    *Client
	namespace string
}

// Place satisfies listing.Placed.
func (s *Store) Place() any { return place{s.client, s.cfg.Namespace} }

// listed returns the Secret from the list of the namespace's Secrets with our label, if the
// looks of a sweep share it, or nil. That it is not listed proves nothing.
func (s *Store) listed(ctx context.Context, api dynamic.ResourceInterface) *unstructured.Unstructured {
	all, _ := listing.Of(ctx, s.Place(), "secrets", func() (map[string]*unstructured.Unstructured, error) {
		all := map[string]*unstructured.Unstructured{}
		doing := fmt.Sprintf("listing the Secrets of namespace %s in %s", s.cfg.Namespace, s.client.cfg.Cluster)
		err := each(doing, func(opts metav1.ListOptions) (*unstructured.UnstructuredList, error) {
			opts.LabelSelector = entry.Label
			page, err := api.List(ctx, opts)
			return page, s.fault(ctx, doing, "list", err)
		}, func(got *unstructured.Unstructured) { all[got.GetName()] = got })
		return all, err
	})
	return all[s.cfg.Secret]
}

// pageSize is the number of objects per answer. maxPages bounds a list that never ends.
const (
	pageSize = 250
	maxPages = 100
)

// each calls do for every object of a list.
func each(doing string, list func(metav1.ListOptions) (*unstructured.UnstructuredList, error), do func(*unstructured.Unstructured)) error {
	opts := metav1.ListOptions{Limit: pageSize}
	seen := upstream.Pages{Doing: doing, Most: maxPages}
	for {
		page, err := list(opts)
		if err != nil {
			return err
		}
		for i := range page.Items {
			do(&page.Items[i])
		}
		opts.Continue = page.GetContinue()
		if more, err := seen.Next(opts.Continue); !more {
			return err
		}
	}
}
