package cloud

import (
	"maps"
	"slices"
	"time"
)

// SecretEvent is an event that Secrets Manager sends to Event Notifications.
type SecretEvent struct {
	Instance SecretsInstance
	// Type is the short name, such as secret_about_to_expire. SubType is a text
	// like in_10_days, or empty.
	Type, SubType string
	At            time.Time
	By            string // IAM ID, or SecretsManager
	Secret        ManagedSecret
	Task          *SecretTask // set for events of tasks
	Reason        string      // set for failures
}

// bySecretsManager is the originator of events that no caller caused.
const bySecretsManager = "SecretsManager"

func (c *Cloud) announce(a Actor, s *managedSecret, kind, sub string) {
	if c.notifySecret == nil {
		return
	}
	by := a.IAMID
	if a == s.in.actor() {
		by = bySecretsManager
	}
	c.notifySecret(SecretEvent{Instance: s.in.SecretsInstance, Type: kind, SubType: sub, At: c.now(), By: by, Secret: s.copy()})
}

// warnings lists the days before the expiry when secret_about_to_expire is
// sent. The days are documented. Guess: a secret is N days from its expiry
// while at least N and less than N+1 days are left.
var warnings = []int{90, 60, 30, 10, 1, 0}

func daysLeft(at, now time.Time) int {
	if !at.After(now) {
		return -1
	}
	return int(at.Sub(now) / (24 * time.Hour))
}

// expire sets a secret's expiration date; zero removes it. Warnings count from
// here: only a date that comes nearer is announced.
func (c *Cloud) expire(s *managedSecret, at time.Time) {
	s.ExpirationDate, s.expiryAnnounced = at, time.Time{}
	if v := s.current(); v != nil {
		v.ExpirationDate = at
	}
	s.warned = -1
	if !at.IsZero() {
		s.warned = daysLeft(at, c.now())
		c.wake(c.now())
	}
}

// wake makes the next tick examine the secrets at that time or earlier.
func (c *Cloud) wake(at time.Time) {
	if !at.IsZero() && (c.nextTick.IsZero() || at.Before(c.nextTick)) {
		c.nextTick = at
	}
}

// ExpireSecrets processes what is due in Secrets Manager: secrets expire,
// warnings are sent, secrets with a rotation rule rotate, and tasks time out.
// Every operation does this first. A caller that moves the clock calls it to
// get the events without an operation.
func (c *Cloud) ExpireSecrets() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick()
}

func (c *Cloud) tick() {
	now := c.now()
	if c.nextTick.IsZero() || now.Before(c.nextTick) {
		return
	}
	c.nextTick = time.Time{}
	for _, id := range slices.Sorted(maps.Keys(c.secretsInstances)) {
		for _, s := range slices.Clone(c.secretsInstances[id].order) {
			c.endLeases(s, now)
			c.endTasks(s, now)
			c.rotateByPlan(s, now)
			c.expireSecret(s, now)
		}
	}
}

func (c *Cloud) expireSecret(s *managedSecret, now time.Time) {
	if s.ExpirationDate.IsZero() {
		return
	}
	by := s.in.actor()
	left := daysLeft(s.ExpirationDate, now)
	for _, days := range warnings { // a clock that jumps passes several: each is announced
		if left >= 0 && left <= days && s.warned > days {
			s.warned = days
			c.announce(by, s, "secret_about_to_expire", subType(days))
		}
	}
	if left >= 0 {
		c.wake(s.ExpirationDate.Add(-time.Duration(left) * 24 * time.Hour).Add(time.Nanosecond))
		return
	}
	if !s.expiryAnnounced.IsZero() && now.Before(s.expiryAnnounced.Add(24*time.Hour)) {
		c.wake(s.expiryAnnounced.Add(24 * time.Hour))
		return
	}
	s.expiryAnnounced = now
	c.wake(now.Add(24 * time.Hour))
	if slices.ContainsFunc(s.versions, func(v *secretVersion) bool { return len(v.locks) > 0 }) {
		c.announce(by, s, "secret_expiration_blocked", "")
		return
	}
	if s.State != StateDestroyed {
		if s.Custom != nil {
			c.deleteCredentials(by, s, "secret_version_expiration", s.versions...)
		}
		for _, v := range s.versions {
			c.clear(s, v)
		}
		s.State, s.UpdatedAt = StateDestroyed, now
	}
	c.announce(by, s, "secret_expired", "")
}

func subType(days int) string {
	return map[int]string{90: "in_90_days", 60: "in_60_days", 30: "in_30_days", 10: "in_10_days", 1: "in_1_day", 0: "in_0_days"}[days]
}
