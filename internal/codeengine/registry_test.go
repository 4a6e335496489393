package codeengine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func registry(c *codeengine.StoreConfig) {
	c.Entry, c.Registry = codeengine.RegistryEntry, &codeengine.Registry{Server: "de.icr.io", Username: "iamapikey"}
}

func TestASecretOfTheFormatRegistryHoldsAKey(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(registry)
	e, err := s.Read(t.Context())
	if !errors.Is(err, port.ErrNotFound) {
		t.Fatalf("reading an absent secret: %v", err)
	}
	for n := 1; n <= 2; n++ {
		if err := s.Publish(t.Context(), entry(n), e.Revision); err != nil {
			t.Fatal(err)
		}
		if e, err = w.store(registry).Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := entry(n); e.KeyID != want.KeyID || !e.Value.Equal(want.Value) || e.Owner != "prod" {
			t.Errorf("read key %s of %s", e.KeyID, e.Owner)
		}
	}
	for _, secret := range w.team().Secrets {
		if secret.Name != secretName {
			continue
		}
		if d := secret.Data; secret.Format != "registry" || len(d) != 4 || d["server"] != "de.icr.io" || d["username"] != "iamapikey" || d["password"] != canary+"2" || d["email"] != "ApiKey-2@prod.latchkey.dev" {
			t.Errorf("the secret is of the format %s: %v", secret.Format, d)
		}
	}
	if err := s.Publish(t.Context(), entry(3), "stale"); !errors.Is(err, port.ErrConflict) {
		t.Errorf("publishing at a stale revision: %v", err)
	}
}

func TestALoginOfAnotherRegistryIsAltered(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	if err := w.store(registry).Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	other := w.store(registry, func(c *codeengine.StoreConfig) { c.Registry.Server = "us.icr.io" })
	if e, err := other.Read(t.Context()); err != nil || e.KeyID != "ApiKey-1" || e.Value.Equal(entry(1).Value) {
		t.Errorf("with another server it reads the value of key %s, %v", e.KeyID, err)
	}
}

func TestASecretOfAnotherFormatIsRefusedAndKept(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.set("NEIGHBOUR", "kept")
	s := w.store(registry)
	_, err := s.Read(t.Context())
	if !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), `its format is "generic", not registry`) {
		t.Errorf("reading: %v", err)
	}
	for _, x := range w.team().Secrets {
		if err := s.Publish(t.Context(), port.Entry{KeyID: "ApiKey-1", Value: secret.New("v")}, x.EntityTag); x.Name == secretName && !errors.Is(err, port.ErrRefused) {
			t.Errorf("writing: %v", err)
		}
	}
	if got := w.data(); len(got) != 1 || got["NEIGHBOUR"] != "kept" {
		t.Errorf("the data is %v", got)
	}
}
