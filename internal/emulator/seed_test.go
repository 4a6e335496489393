package emulator_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestSeededCredentials(t *testing.T) {
	w := newWorldWith(t, emulator.Options{SeedCredentials: 250})
	o := w.identity.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetPagesize(100).SetFilter(`name sw "seed-"`)
	found, pages := map[string]string{}, 0
	for {
		list := done(w.identity.ListServiceIds(o))(t)
		pages++
		for _, s := range list.Serviceids {
			if !strings.HasSuffix(*s.Description, "[latchkey v=1 owner=example credential="+*s.Name+"]") {
				t.Fatalf("description %q of %s", *s.Description, *s.Name)
			}
			found[*s.Name] = *s.IamID
		}
		token, err := core.GetQueryParam(list.Next, "pagetoken")
		if err != nil {
			t.Fatal(err)
		}
		if token == nil {
			break
		}
		o.SetPagetoken(*token)
	}
	if len(found) != 250 || pages != 3 || found["seed-1"] == "" || found["seed-250"] == "" {
		t.Errorf("%d credentials on %d pages", len(found), pages)
	}
	iamID := found["seed-7"]
	keys := done(w.identity.ListAPIKeys(w.identity.NewListAPIKeysOptions().SetIamID(iamID)))(t)
	if len(keys.Apikeys) != 1 {
		t.Fatalf("%d keys", len(keys.Apikeys))
	}
	k, _ := w.State(true).Key(*keys.Apikeys[0].ID)
	if status := w.as(w.token(k.Value)).sendLog(oneLine); status != 200 {
		t.Errorf("a seeded key sends with status %d", status)
	}
	w.newKey(iamID, "rotated") // the minter made the service ID, so it may
	if _, err := w.identity.DeleteAPIKey(w.identity.NewDeleteAPIKeyOptions(k.ID)); err != nil {
		t.Error(err)
	}
}

func TestSeedingIsBounded(t *testing.T) {
	for _, n := range []int{-1, 100_001} {
		if s, err := emulator.Start(emulator.Options{SeedCredentials: n}); err == nil {
			_ = s.Close()
			t.Errorf("%d credentials are accepted", n)
		}
	}
}

// TestSettingsWhileTheCloudWorks hangs if the locks of server and cloud are
// taken in two orders.
func TestSettingsWhileTheCloudWorks(t *testing.T) {
	w := newWorld(t)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 2000 {
				w.Set(w.Settings())
			}
		})
		work.Go(func() {
			for range 2000 {
				_, _ = w.Cloud().GetProject(cloud.Owner(), w.teamA(), "")
			}
		})
	}
	work.Wait()
}
