package codeengine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/keyless"
)

// The emulated team-a has the app shipper, which reads the entry.
func TestTheReadersAreAllAppsAndJobsThatHaveTheEntry(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	key := map[string]any{"type": "secret_key_reference", "name": "KEY", "key": entryName, "reference": secretName}
	other := map[string]any{"type": "secret_key_reference", "name": "KEY", "key": "OTHER", "reference": secretName}
	image := map[string]any{"image_reference": "example.com/x"}
	with := func(more map[string]any) map[string]any {
		more["image_reference"] = image["image_reference"]
		return more
	}
	w.Cloud().AddApp(w.team().ID, "by-key", with(env(key)))
	w.Cloud().AddApp(w.team().ID, "by-another-key", with(env(other)))
	w.Cloud().AddApp(w.team().ID, "mounted", with(map[string]any{"run_volume_mounts": []any{map[string]any{"type": "secret", "name": "keys", "mount_path": "/keys", "reference": secretName}}}))
	w.Cloud().AddApp(w.team().ID, "stranger", image)
	w.job("nightly", with(env(key)))
	w.job("weekly", image)
	got, err := w.store().Readers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range got.Names {
		names = append(names, strings.ReplaceAll(n, w.team().ID, "team-a"))
	}
	if want := []string{"app/team-a/by-key", "app/team-a/mounted", "app/team-a/shipper", "job/team-a/nightly"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if got.Platform != keyless.CodeEngine || got.PullsImages {
		t.Errorf("%+v", got)
	}
	login, err := w.store(func(c *codeengine.StoreConfig) {
		c.Entry, c.Registry = codeengine.RegistryEntry, &codeengine.Registry{Server: "de.icr.io", Username: "iamapikey"}
	}).Readers(t.Context())
	if err != nil || !login.PullsImages {
		t.Errorf("%+v, %v", login, err)
	}
}

// job makes a job in team-a.
func (w *world) job(name string, spec map[string]any) {
	w.t.Helper()
	if _, err := w.Cloud().CreateWorkload(cloud.Owner(), w.team().ID, cloud.Jobs, name, spec); err != nil {
		w.t.Fatal(err)
	}
}
