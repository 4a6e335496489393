package cloud

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// ManagedSecretQuery selects a page of secrets.
type ManagedSecretQuery struct {
	Offset, Limit  int // limit 0 = 200
	Sort, Search   string
	Groups, Types  []string
	MatchAllLabels []string
}

// ListManagedSecrets returns one page of the metadata of the secrets that the
// actor may view. The default order is that of creation.
func (c *Cloud) ListManagedSecrets(a Actor, instance string, q ManagedSecretQuery) (Slice[ManagedSecret], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.secretsInstanceFor(a, instance)
	if err != nil {
		return Slice[ManagedSecret]{}, err
	}
	if !c.anywhere(a, in, "secrets.list") {
		return Slice[ManagedSecret]{}, smForbidden("secrets-manager.secrets.list")
	}
	less, err := secretOrder(q.Sort)
	if err != nil {
		return Slice[ManagedSecret]{}, err
	}
	for _, t := range q.Types {
		if !slices.Contains(SecretTypes, t) {
			return Slice[ManagedSecret]{}, smInvalid("The secret type %q is not known.", t)
		}
	}
	found := []ManagedSecret{}
	for _, s := range in.order {
		if s.matches(q) && c.holds(a, in, s.GroupID, "secrets.list") {
			found = append(found, s.copy())
		}
	}
	if less != nil {
		slices.SortStableFunc(found, less)
	}
	return smSliced(found, q.Limit, q.Offset, 200)
}

func (s *managedSecret) matches(q ManagedSecretQuery) bool {
	if len(q.Groups) > 0 && !slices.Contains(q.Groups, s.GroupID) || len(q.Types) > 0 && !slices.Contains(q.Types, s.Type) {
		return false
	}
	for _, l := range q.MatchAllLabels {
		if !slices.Contains(s.Labels, l) {
			return false
		}
	}
	return q.Search == "" || slices.ContainsFunc(append([]string{s.ID, s.Name, s.Description, s.Type}, s.Labels...),
		func(field string) bool { return contains(field, q.Search) })
}

func secretOrder(by string) (func(a, b ManagedSecret) int, error) {
	field, descending := strings.CutPrefix(by, "-")
	orders := map[string]func(a, b ManagedSecret) int{
		"id":              func(a, b ManagedSecret) int { return cmp.Compare(a.ID, b.ID) },
		"created_at":      func(a, b ManagedSecret) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"updated_at":      func(a, b ManagedSecret) int { return a.UpdatedAt.Compare(b.UpdatedAt) },
		"retrieved_at":    func(a, b ManagedSecret) int { return a.RetrievedAt.Compare(b.RetrievedAt) },
		"expiration_date": func(a, b ManagedSecret) int { return a.ExpirationDate.Compare(b.ExpirationDate) },
		"secret_type":     func(a, b ManagedSecret) int { return cmp.Compare(a.Type, b.Type) },
		"name":            func(a, b ManagedSecret) int { return cmp.Compare(a.Name, b.Name) },
	}
	less, ok := orders[field]
	switch {
	case by == "":
		return nil, nil
	case !ok:
		return nil, smInvalid("sort must be one of %s.", strings.Join(slices.Sorted(maps.Keys(orders)), ", "))
	case descending:
		return func(a, b ManagedSecret) int { return less(b, a) }, nil
	}
	return less, nil
}

// smSliced takes a page; limit 0 is the default.
func smSliced[T any](all []T, limit, offset, usual int) (Slice[T], error) {
	limit = cmp.Or(limit, usual)
	if limit < 1 || limit > mostSecretsPerPage || offset < 0 {
		return Slice[T]{}, smInvalid("limit must be from 1 to %d, and offset not negative.", mostSecretsPerPage)
	}
	from := min(offset, len(all))
	return Slice[T]{Items: all[from:min(from+limit, len(all))], Limit: limit, Offset: offset, Total: len(all)}, nil
}
