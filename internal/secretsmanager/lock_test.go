package secretsmanager_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

var ours = secretsmanager.LockName("prod")

var kinds = []string{secretsmanager.Arbitrary, secretsmanager.KeyValue}

func locks(c *secretsmanager.StoreConfig) { c.Lock, c.Credential = true, "logs-sender/one" }

// lockWorld is one in which we are Manager.
func lockWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, emulator.Options{})
	w.Cloud().Grant(w.Cloud().Minter().IAMID, "secrets-manager", manager)
	return w
}

// locking is the place with locks.
func (w *world) locking(kind string) storetest.Location {
	me := w.Cloud().Minter().IAMID
	w.Cloud().Grant(me, "secrets-manager", manager)
	p := w.place(kind)
	p.Exclusive = true
	p.Store, p.Other = w.store(kind, locks), w.store(kind, locks)
	p.Remove = func(*testing.T) { // a locked secret can not be deleted
		s, _ := w.secret(kind)
		w.lift(kind)
		if err := w.Cloud().DeleteManagedSecret(cloud.Owner(), cloud.SecretsInstanceID, s.ID, false); err != nil {
			w.t.Fatal(err)
		}
	}
	p.Deny = func(*testing.T) func() {
		w.Cloud().Revoke(me, "secrets-manager")
		w.Cloud().Grant(me, "secrets-manager", reader)
		return func() { w.Cloud().Grant(me, "secrets-manager", manager) }
	}
	p.Permission = []string{"secrets-manager.secret", "role"}
	p.WriteOnly = nil // an identity that may remove locks may read values, too
	byHand := p.Handwrite
	p.Handwrite = func(t *testing.T, value string) {
		w.lift(kind)
		byHand(t, value)
	}
	if kind == secretsmanager.KeyValue {
		neighbour := p.Neighbour
		p.Neighbour = func(t *testing.T) func(*testing.T) {
			w.lift(kind)
			return neighbour(t)
		}
	}
	return p
}

// lift takes all locks away, as a person does who has to write or delete.
func (w *world) lift(kind string) {
	w.t.Helper()
	if s, ok := w.secret(kind); ok {
		must[cloud.LockedSecret](w)(w.Cloud().DeleteSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, s.ID, "", nil))
	}
}

// lock sets a foreign lock on the version with an alias.
func (w *world) lock(kind, alias, name string) {
	w.t.Helper()
	s, _ := w.secret(kind)
	must[cloud.LockedSecret](w)(w.Cloud().CreateSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, s.ID, alias, "", []cloud.NewSecretLock{{Name: name}}))
}

// locked are the locks per version, such as "current[app] previous[]".
func (w *world) locked(kind string) string {
	w.t.Helper()
	s, _ := w.secret(kind)
	var out []string
	for _, v := range slices.Backward(s.Versions) {
		if v.Alias != "" {
			out = append(out, fmt.Sprint(v.Alias, v.Locks))
		}
	}
	return strings.ReplaceAll(strings.Join(out, " "), ours, "ours")
}

func (w *world) wantLocks(kind, want string) {
	w.t.Helper()
	if got := w.locked(kind); got != want {
		w.t.Errorf("%s: locks %s, want %s", kind, got, want)
	}
}

// publish reads and publishes the n-th entry.
func publish(t *testing.T, s *secretsmanager.Store, n int) error {
	t.Helper()
	now, err := s.Read(t.Context())
	if err != nil && !errors.Is(err, port.ErrNotFound) {
		t.Fatal(err)
	}
	err = s.Publish(t.Context(), entry(n), now.Revision)
	never(t, err)
	return err
}

// published publishes some entries, which must succeed.
func published(t *testing.T, s *secretsmanager.Store, entries ...int) {
	t.Helper()
	for _, n := range entries {
		if err := publish(t, s, n); err != nil {
			t.Fatalf("publishing entry %d: %v", n, err)
		}
	}
}

func TestEveryVersionThatIsPublishedIsLockedUntilItsKeyEnds(t *testing.T) {
	for _, kind := range kinds {
		w := lockWorld(t)
		s := w.store(kind, locks)
		published(t, s, 1)
		w.wantLocks(kind, "current[ours]")
		secret, _ := w.secret(kind)
		list, err := w.Cloud().ListSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, secret.ID, "", cloud.LockQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if l := list.Items[0]; l.Attributes["key_id"] != "ApiKey-1" || l.Attributes["credential"] != "logs-sender/one" ||
			!strings.Contains(l.Description, "ApiKey-1") || !strings.Contains(l.Description, "logs-sender/one") {
			t.Errorf("the lock says %+v", l)
		}
		published(t, s, 2)
		w.wantLocks(kind, "current[ours] previous[ours]")
		for _, id := range []string{"ApiKey-7", ""} {
			if err := s.Release(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		w.wantLocks(kind, "current[ours] previous[ours]")
		for range 2 { // absent is success
			if err := w.store(kind, locks).Release(t.Context(), "ApiKey-1"); err != nil {
				t.Error(err)
			}
			w.wantLocks(kind, "current[ours] previous[]")
		}
		published(t, s, 3, 4, 5) // our own locks block nothing
		w.wantLocks(kind, "current[ours] previous[ours]")
	}
}

func TestAStoreWithoutLocksAsksForNone(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	s := w.store(secretsmanager.Arbitrary)
	published(t, s, 1, 2)
	w.ResetCounters()
	if err := s.Release(t.Context(), "ApiKey-1"); err != nil || w.Counter("", "*") != 0 {
		t.Errorf("releasing: %v, with %d calls", err, w.Counter("", "*"))
	}
	w.wantLocks(secretsmanager.Arbitrary, "current[] previous[]")
}

func TestAReleaseOfADeletedSecretSucceeds(t *testing.T) {
	w := lockWorld(t)
	s := w.store(secretsmanager.Arbitrary, locks)
	if err := s.Release(t.Context(), "ApiKey-1"); err != nil {
		t.Errorf("without a secret: %v", err)
	}
	published(t, s, 1)
	w.locking(secretsmanager.Arbitrary).Remove(t)
	if err := s.Release(t.Context(), "ApiKey-1"); err != nil {
		t.Errorf("without the secret that it knew: %v", err)
	}
}

func TestALockIsNamedAfterItsInstallation(t *testing.T) {
	long := strings.Repeat("a", 62)
	names := map[string]bool{}
	for _, owner := range []string{"prod", "dev", long + "b", long + "c"} {
		name := secretsmanager.LockName(owner)
		if names[name] || len(name) > 64 || !strings.HasPrefix(name, secretsmanager.LockPrefix) {
			t.Errorf("%s gives %s", owner, name)
		}
		names[name] = true
	}
}

// Where a publication can stand still, as the request that comes next.
const (
	atTheVersion = "POST /versions"
	atTheLocks   = "GET /locks"
)

// slipping is a store whose process stands still once right before a request,
// and something happens meanwhile.
func (w *world) slipping(kind, at string, meanwhile func()) *secretsmanager.Store {
	method, end, _ := strings.Cut(at, " ")
	plain := w.http
	defer func() { w.http = plain }()
	var once atomic.Bool
	w.http = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == method && strings.HasSuffix(r.URL.Path, end) && !once.Swap(true) {
			meanwhile()
		}
		return plain.Transport.RoundTrip(r)
	})}
	return w.store(kind, locks)
}

func TestTheSecondPublicationFromAVersionIsRefusedByItsLock(t *testing.T) {
	for _, kind := range kinds {
		w := lockWorld(t)
		n := 0
		next := func(times int) {
			for range times {
				n++
				published(t, w.store(kind, locks), n)
			}
		}
		next(1)
		for name, first := range map[string]func(){
			"a publication":                   func() { next(1) },
			"one whose lock could not be set": func() { next(1); w.unlockCurrent(kind) },
			"two of them":                     func() { next(2) },
			"two, and the last is not locked": func() { next(2); w.unlockCurrent(kind) },
			"one that has a foreign lock too": func() { next(1); w.lock(kind, "previous", "app") },
		} {
			for _, at := range []string{atTheVersion, atTheLocks} {
				w.lift(kind)
				before := ""
				s := w.slipping(kind, at, func() {
					first()
					before = w.locked(kind)
				})
				now, err := s.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				late := entry(59)
				err = s.Publish(t.Context(), late, now.Revision)
				if never(t, err); !errors.Is(err, port.ErrConflict) || errors.Is(err, port.ErrRefused) {
					t.Errorf("%s, at %s after %s: %v", kind, at, name, err)
				}
				if got, err := s.Read(t.Context()); err != nil || got.KeyID == late.KeyID {
					t.Errorf("%s, at %s after %s: it names %s, %v", kind, at, name, got.KeyID, err)
				}
				if before == "" || w.locked(kind) != before {
					t.Errorf("%s, at %s after %s: locks %s, before %s", kind, at, name, w.locked(kind), before)
				}
			}
		}
	}
}

// unlockCurrent leaves the current version without locks, as a publication does
// that ends too early.
func (w *world) unlockCurrent(kind string) {
	w.t.Helper()
	s, _ := w.secret(kind)
	must[cloud.LockedSecret](w)(w.Cloud().DeleteSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, s.ID, "current", nil))
}

func TestADelayedLockOnThePreviousVersionIsRemovedAgain(t *testing.T) {
	for _, kind := range kinds {
		w := lockWorld(t)
		published(t, w.store(kind, locks), 1, 2)
		s := w.slipping(kind, atTheVersion, func() { w.lock(kind, "previous", ours) })
		published(t, s, 3)
		w.wantLocks(kind, "current[ours] previous[ours]")
	}
}

func TestAnotherUsersLockOnThePreviousVersionRefusesAndStays(t *testing.T) {
	for _, kind := range kinds {
		w := lockWorld(t)
		s := w.store(kind, locks)
		published(t, s, 1, 2)
		for _, beside := range []bool{true, false} { // the first attempt takes ours off
			w.lock(kind, "previous", "app")
			err := publish(t, s, 3)
			if !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), "locks of others: app") {
				t.Errorf("%s, beside ours %v: %v", kind, beside, err)
			}
			w.wantLocks(kind, "current[ours] previous[app]")
			if got, err := s.Read(t.Context()); err != nil || got.KeyID != "ApiKey-2" {
				t.Errorf("%s: it names %s, %v", kind, got.KeyID, err)
			}
		}
		if err := s.Release(t.Context(), "ApiKey-1"); err != nil {
			t.Error(err)
		}
		w.wantLocks(kind, "current[ours] previous[app]")
		w.lift(kind)
		published(t, s, 3)
		w.wantLocks(kind, "current[ours] previous[ours]")
	}
}

// TestAnInterruptedPublicationIsCompletedByTheNext lets a process die after each of
// the requests that change something, and another one go on.
func TestAnInterruptedPublicationIsCompletedByTheNext(t *testing.T) {
	for _, kind := range kinds {
		for first := range 2 { // a creation, or a replacement
			for requests := 0; ; requests++ {
				w := lockWorld(t)
				n := 1
				if first == 1 {
					published(t, w.store(kind, locks), 1, 2)
					n = 3
				}
				plain := w.http
				var sent atomic.Int64
				w.http = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method != http.MethodGet && !strings.HasPrefix(r.URL.Path, "/identity") && sent.Add(1) > int64(requests) {
						return nil, errors.New("the process is dead")
					}
					return plain.Transport.RoundTrip(r)
				})}
				dying := w.store(kind, locks)
				w.http = plain
				err := publish(t, dying, n)
				whole := sent.Load() <= int64(requests)
				got, rerr := dying.Read(t.Context())
				if there := rerr == nil && got.KeyID == entry(n).KeyID; there != (err == nil || errors.Is(err, port.ErrUnlocked)) {
					t.Errorf("%s, dead after %d: it is there %v, and the error says %v", kind, requests, there, err)
				}
				published(t, w.store(kind, locks), n+1)
				want := "current[ours] previous[ours]"
				if s, _ := w.secret(kind); len(s.Versions) == 1 {
					want = "current[ours]"
				}
				w.wantLocks(kind, want)
				if got, err := dying.Read(t.Context()); err != nil || got.KeyID != entry(n+1).KeyID {
					t.Errorf("%s, dead after %d: it names %s, %v", kind, requests, got.KeyID, err)
				}
				if whole {
					if err != nil || requests < 3 {
						t.Errorf("%s: with %d requests: %v", kind, requests, err)
					}
					break
				}
			}
		}
	}
}

func TestWithoutPermissionToRemoveLocksNoneIsPlaced(t *testing.T) {
	for _, kind := range kinds {
		w := newWorld(t, emulator.Options{}) // we are Writer, who may create locks
		s := w.store(kind, locks)
		err := publish(t, s, 1)
		if !errors.Is(err, port.ErrUnlocked) || errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "secrets-manager.secret-locks.delete (role Manager)") {
			t.Errorf("%s: creating: %v", kind, err)
		}
		w.wantLocks(kind, "current[]")
		err = publish(t, s, 2)
		if !errors.Is(err, port.ErrDenied) || !strings.Contains(err.Error(), "secrets-manager.secret-locks.delete (role Manager)") {
			t.Errorf("%s: replacing: %v", kind, err)
		}
		w.wantLocks(kind, "current[]")
		if got, err := s.Read(t.Context()); err != nil || got.KeyID != "ApiKey-1" {
			t.Errorf("%s: it names %s, %v", kind, got.KeyID, err)
		}
	}
}

func TestALockThatFailsAfterAPublicationIsErrUnlocked(t *testing.T) {
	for _, kind := range kinds {
		w := lockWorld(t)
		s := w.store(kind, locks)
		published(t, s, 1) // and v0 is locked, so the next lock is that of the new version
		w.Inject(emulator.Fault{Method: "POST", Path: "/api/v2/secrets/*/locks_bulk", Kind: emulator.FaultStatus, Status: 503})
		err := publish(t, s, 2)
		if !errors.Is(err, port.ErrUnlocked) || errors.Is(err, port.ErrUnavailable) {
			t.Errorf("%s: %v", kind, err)
		}
		w.ClearFaults()
		w.wantLocks(kind, "current[] previous[ours]")
		published(t, s, 3)
		w.wantLocks(kind, "current[ours] previous[ours]")
	}
}

func TestTheEntriesOfOneSecretDoNotBlockEachOther(t *testing.T) {
	w := lockWorld(t)
	const kind = secretsmanager.KeyValue
	one := w.store(kind, locks)
	two := w.store(kind, locks, func(c *secretsmanager.StoreConfig) { c.Entry = "OTHER_KEY" })
	published(t, one, 1)
	published(t, two, 2) // over the version of the first, whose key stays in use
	published(t, one, 3)
	published(t, two, 4)
	w.wantLocks(kind, "current[ours] previous[ours]")
	if err := one.Release(t.Context(), "ApiKey-1"); err != nil { // which is in the version before the previous
		t.Error(err)
	}
	w.wantLocks(kind, "current[ours] previous[ours]")
	if err := two.Release(t.Context(), "ApiKey-2"); err != nil {
		t.Error(err)
	}
	w.wantLocks(kind, "current[ours] previous[]")
}

func TestAVersionWithoutOurKeyIsLockedOnlyDuringAPublication(t *testing.T) {
	for _, kind := range kinds {
		w := lockWorld(t)
		w.write(kind, "by hand", map[string]any{"mine": "kept"})
		published(t, w.store(kind, locks), 1)
		w.wantLocks(kind, "current[ours] previous[]")
	}
}

func TestAVersionWithoutDataIsNotLockedAndBlocksNothing(t *testing.T) {
	w := lockWorld(t)
	const kind = secretsmanager.Arbitrary
	s := w.store(kind, locks)
	published(t, s, 1)
	published(t, s, 2)
	w.lift(kind)
	secret, _ := w.secret(kind)
	must[cloud.LockedSecret](w)(w.Cloud().CreateSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, secret.ID, "current", cloud.RemovePreviousAndDelete,
		[]cloud.NewSecretLock{{Name: "another"}}))
	w.lift(kind)
	published(t, s, 3)
	w.wantLocks(kind, "current[ours] previous[ours]")
}
