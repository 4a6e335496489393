package cloud

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// MFAStatus is the multifactor authentication that a user must enroll in. No
// user is enrolled.
type MFAStatus struct {
	IAMID, Email   string
	AccountDefault string // mode of the account
	UserSpecific   string // mode of the user, or ""
}

// Effective returns the mode that holds for the user.
func (s MFAStatus) Effective() string { return cmp.Or(s.UserSpecific, s.AccountDefault) }

// Complies reports whether the mode needs no enrollment.
func (s MFAStatus) Complies() bool { return s.Effective() == "NONE" || s.Effective() == "NONE_NO_ROPC" }

// MFAReport has the status of every user of the account.
type MFAReport struct {
	Reference, CreatedBy string
	At                   time.Time
	Users                []MFAStatus

	ready time.Time
}

func (c *Cloud) mfaStatus(iamID string) MFAStatus {
	out := MFAStatus{IAMID: iamID, Email: cmp.Or(c.users[iamID].Email, ownerEmail), AccountDefault: c.account.MFA}
	for _, x := range c.account.UserMFA {
		if x["iam_id"] == iamID {
			out.UserSpecific, _ = x["mfa"].(string)
		}
	}
	return out
}

// MFAStatus returns the status of one user.
func (c *Cloud) MFAStatus(a Actor, account, iamID string) (MFAStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onReports(a, account); err != nil {
		return MFAStatus{}, err
	}
	switch {
	case iamID == "":
		return MFAStatus{}, identityInvalid("iam_id is required")
	case !c.isUser(iamID):
		return MFAStatus{}, identityNotFound("User", iamID)
	}
	return c.mfaStatus(iamID), nil
}

// CreateMFAReport starts a report and returns its reference. It replaces the
// previous report.
func (c *Cloud) CreateMFAReport(a Actor, account, kind string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onReports(a, account); err != nil {
		return "", err
	}
	if kind != "" && kind != "mfa_status" {
		return "", identityInvalid("type must be mfa_status")
	}
	now := c.now()
	r := &MFAReport{Reference: c.uuid(), CreatedBy: a.IAMID, At: now, ready: now.Add(c.settings.ReportDelay), Users: []MFAStatus{c.mfaStatus(OwnerIAMID)}}
	for _, iamID := range slices.Sorted(maps.Keys(c.users)) {
		if iamID != OwnerIAMID {
			r.Users = append(r.Users, c.mfaStatus(iamID))
		}
	}
	c.mfaReport = r
	return r.Reference, nil
}

// MFAReport returns the latest report if reference is its reference or "latest".
// While the report is being made, ready is false.
func (c *Cloud) MFAReport(a Actor, account, reference string) (r MFAReport, ready bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onReports(a, account); err != nil {
		return MFAReport{}, false, err
	}
	now := c.now()
	if c.mfaReport == nil || reference != c.mfaReport.Reference && reference != "latest" || !now.Before(c.mfaReport.At.Add(reportLife)) {
		return MFAReport{}, false, identityNotFound("Report", reference)
	}
	return *c.mfaReport, !now.Before(c.mfaReport.ready), nil
}
