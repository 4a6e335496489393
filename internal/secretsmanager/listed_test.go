package secretsmanager_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

// sweep returns lists that the stores share, and their looks.
func sweep(stores ...*secretsmanager.Store) *listing.Shared {
	lists := new(listing.Shared)
	for range 4 { // more than few
		for _, s := range stores {
			lists.Want(s)
		}
	}
	return lists
}

func (w *world) listsAndLooks() (lists, looks int) {
	return w.Counter("GET", "/api/v2/secrets"), w.Counter("GET", "/api/v2/secrets/{secret}/versions/{version}")
}

func TestStoresOfOneInstanceShareItsList(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	client := w.client(w.Ready().APIKey)
	var stores []*secretsmanager.Store
	for i := range 6 {
		c := w.config(secretsmanager.Arbitrary)
		c.Secret = fmt.Sprint("key-", i)
		s := client.Store(c)
		if i != 5 { // a list does not show that it is absent
			if err := s.Publish(t.Context(), entry(i), ""); err != nil {
				t.Fatal(err)
			}
		}
		stores = append(stores, s)
	}
	ctx := sweep(stores...).With(t.Context())
	list, look := w.listsAndLooks()
	for i, s := range stores {
		listed, lerr := s.Read(ctx)
		alone, err := s.Read(t.Context())
		if !errors.Is(err, lerr) && !errors.Is(lerr, port.ErrNotFound) || listed.KeyID != alone.KeyID || !listed.Created.Equal(alone.Created) ||
			listed.IAMID != alone.IAMID || listed.Owner != alone.Owner {
			t.Errorf("key-%d: %v, %v: %+v, alone %+v", i, lerr, err, listed, alone)
		}
	}
	lists, looks := w.listsAndLooks()
	if lists-list != 1+2 || looks-look != 5 { // the absent one is searched for twice
		t.Errorf("%d lists, %d looks", lists-list, looks-look)
	}
	few := new(listing.Shared)
	few.Want(stores[0])
	if _, err := stores[0].Read(few.With(t.Context())); err != nil {
		t.Error(err)
	}
	if again, alone := w.listsAndLooks(); again != lists || alone != looks+1 {
		t.Errorf("a look at one secret takes %d lists and %d looks", again-lists, alone-looks)
	}
}

func TestAListShowsOnlyTheVersionThatLatchkeyMade(t *testing.T) {
	for _, kind := range []string{secretsmanager.Arbitrary, secretsmanager.KeyValue} {
		for name, c := range map[string]struct {
			then   func(*testing.T, *world, *secretsmanager.Store)
			change func(*secretsmanager.StoreConfig)
			listed bool
		}{
			"a first version":  {then: func(*testing.T, *world, *secretsmanager.Store) {}, listed: true},
			"a second version": {then: func(t *testing.T, _ *world, s *secretsmanager.Store) { publishOver(t, s, 2) }, listed: true},
			"a version by another writer": {then: func(_ *testing.T, w *world, _ *secretsmanager.Store) {
				w.write(kind, "another", map[string]any{entryName: "another"})
			}},
			"a version after one by another writer": {then: func(t *testing.T, w *world, s *secretsmanager.Store) {
				w.write(kind, "another", map[string]any{entryName: "another"})
				publishOver(t, s, 2)
			}, listed: true},
			"custom metadata without latchkey's": {then: func(_ *testing.T, w *world, _ *secretsmanager.Store) {
				s, _ := w.secret(kind)
				must[cloud.ManagedSecret](w)(w.Cloud().UpdateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, s.ID,
					cloud.ManagedSecretChange{CustomMetadata: map[string]any{"team": "a"}}))
			}},
			"metadata that can't be read before a version": {then: func(t *testing.T, w *world, s *secretsmanager.Store) {
				w.Inject(emulator.Fault{Method: "GET", Path: "/api/v2/secrets/*/metadata", Kind: emulator.FaultStatus, Status: 403, Count: 1})
				publishOver(t, s, 2)
			}},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				w := newWorld(t, emulator.Options{})
				s := w.store(kind)
				if err := s.Publish(t.Context(), entry(1), ""); err != nil {
					t.Fatal(err)
				}
				c.then(t, w, s)
				ctx := sweep(s).With(t.Context())
				_, before := w.listsAndLooks()
				listed, lerr := s.Read(ctx)
				_, looks := w.listsAndLooks()
				if (looks == before) != c.listed {
					t.Errorf("%d looks, listed: %v", looks-before, c.listed)
				}
				alone, err := s.Read(t.Context())
				if listed.KeyID != alone.KeyID || err != nil || lerr != nil {
					t.Errorf("%s, alone %s: %v, %v", listed.KeyID, alone.KeyID, lerr, err)
				}
			})
		}
	}
}

func publishOver(t *testing.T, s *secretsmanager.Store, n int) {
	t.Helper()
	e, err := s.Read(t.Context())
	if err == nil {
		err = s.Publish(t.Context(), entry(n), e.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachEntryOfASecretStaysListedWhenAnotherIsPublished(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	first := w.store(secretsmanager.KeyValue)
	second := w.store(secretsmanager.KeyValue, func(c *secretsmanager.StoreConfig) { c.Entry = "OTHER" })
	if err := first.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	s, _ := w.secret(secretsmanager.KeyValue)
	custom := map[string]any{"team": "a"}
	for name, text := range s.CustomMetadata {
		custom[name] = text
	}
	must[cloud.ManagedSecret](w)(w.Cloud().UpdateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, s.ID, cloud.ManagedSecretChange{CustomMetadata: custom}))
	e, err := second.Read(t.Context())
	if !errors.Is(err, port.ErrNotFound) {
		t.Fatal(err)
	}
	if err := second.Publish(t.Context(), entry(2), e.Revision); err != nil {
		t.Fatal(err)
	}
	ctx := sweep(first, second).With(t.Context())
	_, before := w.listsAndLooks()
	one, err := first.Read(ctx)
	two, serr := second.Read(ctx)
	if _, looks := w.listsAndLooks(); looks != before || err != nil || serr != nil || one.KeyID != "ApiKey-1" || two.KeyID != "ApiKey-2" {
		t.Errorf("%d looks, %s, %s: %v, %v", looks-before, one.KeyID, two.KeyID, err, serr)
	}
	if s, _ = w.secret(secretsmanager.KeyValue); s.CustomMetadata["team"] != "a" {
		t.Errorf("the owner's custom metadata became %v", s.CustomMetadata)
	}
}

func TestATextIsReadBySweeps(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.form = storetest.Form(false)
	s := w.store(secretsmanager.Arbitrary)
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	e, err := s.Read(sweep(s).With(t.Context()))
	if err != nil || e.Value.Empty() {
		t.Errorf("the value is not read: %+v, %v", e, err)
	}
}
