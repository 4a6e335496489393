package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Activity records when and how often an identity or key authenticated.
type Activity struct {
	LastAuthn  time.Time `json:"last_authn,omitzero"`
	AuthnCount int       `json:"authn_count"`
}

// authnTimes holds the authentications that the activity lag may hide, oldest
// first. Element 0 is the last visible one before them; zero means none.
type authnTimes []time.Time

func (c *Cloud) authenticated(x *Activity, fresh *authnTimes) {
	now := c.now()
	if lag := c.settings.ActivityLag; lag <= 0 {
		*fresh = nil
	} else {
		if len(*fresh) == 0 {
			*fresh = append(*fresh, x.LastAuthn)
		}
		for len(*fresh) > 1 && !c.hidden((*fresh)[1], lag) {
			*fresh = (*fresh)[1:]
		}
		*fresh = append(*fresh, now)
	}
	x.LastAuthn = now
	x.AuthnCount++
}

// loggedIn counts an authentication of a user or profile.
func (c *Cloud) loggedIn(iamID string) {
	x := c.logins[iamID]
	c.logins[iamID] = Activity{LastAuthn: c.now(), AuthnCount: x.AuthnCount + 1}
}

// seen returns the activity without what the lag hides.
func (c *Cloud) seen(x Activity, fresh authnTimes) Activity {
	last := len(fresh) - 1
	for i := last; i > 0; i-- {
		if !c.hidden(fresh[i], c.settings.ActivityLag) {
			return Activity{LastAuthn: fresh[i], AuthnCount: x.AuthnCount - (last - i)}
		}
	}
	if last < 0 {
		return x
	}
	return Activity{LastAuthn: fresh[0], AuthnCount: x.AuthnCount - last}
}

// keptExpired is how long IAM keeps an expired key that is not changed. Then it
// deletes the key, locked or not (ibm-cloud-docs/iam, iam-apikeys.md).
const keptExpired = 90 * 24 * time.Hour

func deletionDue(k *apiKey) time.Time {
	if k.ExpiresAt.IsZero() {
		return time.Time{}
	}
	return later(k.ExpiresAt, k.ModifiedAt).Add(keptExpired)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reapLater schedules reap for when the key is due.
func (c *Cloud) reapLater(k *apiKey) {
	if due := deletionDue(k); !due.IsZero() && (c.reapAt.IsZero() || due.Before(c.reapAt)) {
		c.reapAt = due
	}
}

// reap deletes the keys whose keptExpired has passed.
func (c *Cloud) reap() {
	if c.reapAt.IsZero() {
		return
	}
	now := c.now()
	if now.Before(c.reapAt) {
		return
	}
	c.reapAt = time.Time{}
	var gone []*apiKey
	for _, k := range c.keySequence.after(0) {
		if due := deletionDue(k); !due.IsZero() && !now.Before(due) {
			gone = append(gone, k)
		} else {
			c.reapLater(k)
		}
	}
	for _, k := range gone {
		c.dropKey(k, false)
	}
}

// Report lists the identities and keys that have not authenticated for a
// duration.
type Report struct {
	Reference, CreatedBy string
	Hours                int
	Start, End           time.Time
	Users, Profiles      []Inactive
	ServiceIDs, Keys     []Inactive
}

// Inactive is an identity or key in a report.
type Inactive struct {
	ID, Name  string
	Owner     string // IAM ID of a key's owner
	OwnerName string
	LastAuthn time.Time // zero means never
}

type report struct {
	Report
	ready time.Time
}

// reportLife is how long a report is available if no newer one replaces it.
const reportLife = 24 * time.Hour

const mostHours = 100_000 // eleven years

// CreateReport starts a report on the given number of hours and returns its
// reference. It replaces the previous report.
func (c *Cloud) CreateReport(a Actor, account, kind string, hours int) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onReports(a, account); err != nil {
		return "", err
	}
	if kind != "" && kind != "inactive" {
		return "", identityInvalid("type must be inactive")
	}
	if hours < 1 || hours > mostHours {
		return "", identityInvalid(fmt.Sprintf("duration must be from 1 to %d hours", mostHours))
	}
	now := c.now()
	r := &report{ready: now.Add(c.settings.ReportDelay), Report: Report{
		Reference: c.uuid(), CreatedBy: a.IAMID, Hours: hours, Start: now.Add(-time.Duration(hours) * time.Hour), End: now,
	}}
	idle := func(last time.Time) bool { return last.Before(r.Start) }
	for iamID, u := range c.users {
		if last := c.logins[iamID].LastAuthn; idle(last) {
			r.Users = append(r.Users, Inactive{ID: iamID, Name: u.Email, LastAuthn: last})
		}
	}
	for _, p := range c.profiles {
		if last := c.logins[p.IAMID].LastAuthn; idle(last) {
			r.Profiles = append(r.Profiles, Inactive{ID: p.ID, Name: p.Name, LastAuthn: last})
		}
	}
	for _, list := range [][]Inactive{r.Users, r.Profiles} {
		slices.SortFunc(list, func(a, b Inactive) int { return cmp.Compare(a.ID, b.ID) })
	}
	for _, s := range c.serviceIDSequence.after(0) {
		if last := c.seen(s.Activity, s.fresh).LastAuthn; idle(last) {
			r.ServiceIDs = append(r.ServiceIDs, Inactive{ID: s.ID, Name: s.Name, LastAuthn: last})
		}
	}
	for _, k := range c.keySequence.after(0) {
		if last := c.seen(k.Activity, k.fresh).LastAuthn; idle(last) {
			x := Inactive{ID: k.ID, Name: k.Name, Owner: k.IAMID, LastAuthn: last}
			if s, ok := c.serviceIDs[strings.TrimPrefix(k.IAMID, "iam-")]; ok {
				x.OwnerName = s.Name
			}
			r.Keys = append(r.Keys, x)
		}
	}
	c.report = r
	return r.Reference, nil
}

func (c *Cloud) onReports(a Actor, account string) error {
	if err := c.known(a); err != nil {
		return err
	}
	if account != AccountID || !c.may(a, target{service: serviceIdentity}, "Administrator") {
		return identityForbidden(a, "iam-identity.activity.get")
	}
	return nil
}

// GetReport returns the latest report if reference is its reference or
// "latest". While the report is being made, ready is false.
func (c *Cloud) GetReport(a Actor, account, reference string) (r Report, ready bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onReports(a, account); err != nil {
		return Report{}, false, err
	}
	now := c.now()
	if c.report == nil || reference != c.report.Reference && reference != "latest" || !now.Before(c.report.End.Add(reportLife)) {
		return Report{}, false, identityNotFound("Report", reference)
	}
	return c.report.Report, !now.Before(c.report.ready), nil
}
