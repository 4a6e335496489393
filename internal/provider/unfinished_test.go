package provider_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/provider"
)

// unfinished returns a key with its fuse, whose task has it.
func (w *world) unfinished() port.KeyRecord {
	w.t.Helper()
	w.complete(created("ApiKey-1"))
	k := w.key("ApiKey-1")
	k.Credential = fmt.Sprintf("%s/%s/%s", provider.Entry, w.secret.ID, w.task().ID)
	k.Created, k.Expires, k.Date = start.Add(-time.Hour), start.Add(23*time.Hour), start
	k.Stores = []string{fmt.Sprintf("secretsManager/%s/%s/task/%s/%s", cloud.SecretsInstanceRegion, cloud.SecretsInstanceID, w.secret.ID, w.task().ID)}
	return k
}

func TestASweepFindsTasksWhoseKeyLacksItsFullLife(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world, k *port.KeyRecord)
		want   bool
		err    error
	}{
		"the task has the key, and the key its fuse": {want: true},
		"the key expires within the margin of a fuse": {
			change: func(w *world, k *port.KeyRecord) {
				k.Expires = k.Created.Add(w.cfg.Rules.Fuse + w.cfg.Rules.ExpiryMargin)
			}, want: true,
		},
		"the key has its full life": {
			change: func(_ *world, k *port.KeyRecord) { k.Expires = k.Created.Add(90 * 24 * time.Hour) },
		},
		"the key is so young that its run may be at work": {
			change: func(w *world, k *port.KeyRecord) {
				k.Created = k.Date.Add(-w.cfg.Rules.Window + time.Second)
				k.Expires = k.Created.Add(w.cfg.Rules.Fuse)
			},
		},
		"the key is as old as the window": {
			change: func(w *world, k *port.KeyRecord) {
				k.Created = k.Date.Add(-w.cfg.Rules.Window)
				k.Expires = k.Created.Add(w.cfg.Rules.Fuse)
			}, want: true,
		},
		"the key has expired": {change: func(_ *world, k *port.KeyRecord) {
			k.Created, k.Expires = k.Date.Add(-25*time.Hour), k.Date.Add(-time.Hour)
		}},
		"the key is disabled":         {change: func(_ *world, k *port.KeyRecord) { k.Disabled = true }},
		"the task has another key":    {change: func(_ *world, k *port.KeyRecord) { k.ID = "ApiKey-2" }},
		"the task was cancelled":      {change: func(w *world, _ *port.KeyRecord) { w.cancel() }},
		"the key records no store":    {change: func(_ *world, k *port.KeyRecord) { k.Stores = nil }},
		"the key records two stores":  {change: func(_ *world, k *port.KeyRecord) { k.Stores = append(k.Stores, k.Stores[0]) }},
		"the store is no location":    {change: func(_ *world, k *port.KeyRecord) { k.Stores[0] = "secretsManager/eu-de" }},
		"the store is another task's": {change: func(_ *world, k *port.KeyRecord) { k.Stores[0] += "x" }},
		"the store is in an instance that the config does not name": {change: func(_ *world, k *port.KeyRecord) {
			k.Stores[0] = strings.Replace(k.Stores[0], cloud.SecretsInstanceID, "another", 1)
		}},
		"the key is no task's": {change: func(_ *world, k *port.KeyRecord) { k.Credential = provider.Entry + "/x" }},
		"the task can't be read": {
			change: func(w *world, _ *port.KeyRecord) {
				w.fault(http.MethodGet, taskPath, http.StatusServiceUnavailable)
			}, err: port.ErrUnavailable,
		},
		"the service ID is gone": {change: func(w *world, _ *port.KeyRecord) { w.keys.errs["marked"] = port.ErrNotFound }},
		"the keys can't be listed": {
			change: func(w *world, _ *port.KeyRecord) { w.keys.errs["marked"] = port.ErrUnavailable }, err: port.ErrUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k := w.unfinished()
			if tc.change != nil {
				tc.change(w, &k)
			}
			w.keys.add(k)
			found, err := provider.New(w.cfg).Unfinished(t.Context())
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if (len(found) == 1) != tc.want {
				t.Fatalf("found %+v, want one: %t", found, tc.want)
			}
			if !tc.want {
				return
			}
			c := found[0]
			if c.Name != k.Credential || c.Entry != provider.Entry || c.Given != serviceID || c.OnLeak != "disable" || c.Rules != w.cfg.Rules ||
				len(c.Stores) != 1 || c.Stores[0].Name() != k.Stores[0] {
				t.Errorf("the credential is %+v", c)
			}
		})
	}
}

func TestATaskThatIsNotFinalHasNoUnfinishedKey(t *testing.T) {
	w := newWorld(t)
	k := w.unfinished()
	if _, err := w.Cloud().CreateSecretVersion(cloud.Owner(), cloud.SecretsInstanceID, w.secret.ID, cloud.NewSecretVersion{}); err != nil {
		t.Fatal(err)
	}
	old := k.Credential[strings.LastIndexByte(k.Credential, '/')+1:]
	k.Credential = strings.Replace(k.Credential, old, w.task().ID, 1)
	k.Stores[0] = strings.Replace(k.Stores[0], old, w.task().ID, 1)
	w.keys.add(k)
	if found, err := provider.New(w.cfg).Unfinished(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestEachServiceIDIsListedOnce(t *testing.T) {
	w := newWorld(t)
	w.cfg.Allow = []provider.Allow{{ServiceIDs: []string{"ServiceId-2", serviceID}}, {ServiceIDs: []string{serviceID}, Groups: []string{"x"}}}
	k := w.unfinished()
	w.keys.add(k)
	w.keys.errs["marked"], w.keys.times["marked"] = port.ErrUnavailable, 1
	// The first list fails, and the second is read all the same.
	found, err := provider.New(w.cfg).Unfinished(t.Context())
	if !errors.Is(err, port.ErrUnavailable) || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	if want := []string{"marked iam-" + serviceID + " " + provider.Entry + "/", "marked iam-ServiceId-2 " + provider.Entry + "/"}; !slices.Equal(w.keys.calls, want) {
		t.Errorf("calls %q, want %q", w.keys.calls, want)
	}
	if found, err := provider.New(w.cfg).Unfinished(t.Context()); err != nil || len(found) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
}
