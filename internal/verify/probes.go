package verify

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// A probe tries something, and settles switches.
type probe struct {
	what    string
	run     func(context.Context) error
	settles []string
}

// try runs all probes, one after the other: each depends on what those before it made.
func (b *bench) try(ctx context.Context) error {
	probes := []probe{
		{"key values", b.values, []string{"duplicateKeyValueStatus"}},
		{"entity tags", b.tags, []string{"updateKeepsLeakAction", "staleIdentityStatus", "missingIfMatchStatus"}},
		{"expiry", b.expiry, []string{"pastExpiryRefused"}},
		{"groups of service IDs", b.idGroups, []string{"missingIDGroupStatus"}},
		{"names of groups", b.groups, []string{"idGroupConflictStatus", "groupConflictStatus"}},
		{"policies", b.policies, []string{"stalePolicyStatus", "conflictComparesRoles", "conflictShowsPolicy", "askedRolesEchoed", "nothingGrantedRole"}},
		{"rights of a key", b.rights, []string{"programsCreateServiceIDs"}},
		{"keys of other service IDs", b.keysOfOthers, []string{"keysNeedAdministrator"}},
		{"policies of other service IDs", b.policiesOfOthers, []string{"subjectNeedsAdministrator"}},
		{"links of trusted profiles", b.links, []string{"linkNameChecked"}},
		{"Cloud Logs", b.logs, []string{"logsTokenStatus", "logsSuccessBody", "logsAgeStatus"}},
		{"Code Engine", b.codeEngine, []string{"existingCodeEngineStatus", "staleCodeEngineStatus", "invalidCodeEngineStatus", "suitePlaceholders"}},
		{"jobs and functions", b.workloads, []string{"oversizedJobStatus", "anyFunctionMemory", "missingBuildStatus", "vpeNotEnabled", "versionlessIsOldest"}},
		{"a new project", b.newProject, []string{"inactiveProjectStatus", "projectNamesPerRegion"}},
		{"an app", b.app, []string{"newestRevisionStatus", "failedRolloutStatus"}},
		{"Secrets Manager", b.secrets, []string{"existingSecretStatus", "groupWithSecretsStatus", "secretNamesPerGroup", "underscoresInSecretNames"}},
		{"the data of a version", b.versionData, []string{"versionDataDeleteRole"}},
		{"custom credentials", b.custom, []string{"busySecretStatus", "undeletedCredentialsStatus"}},
		{"a registration", b.registration, []string{"usedRegistrationStatus"}},
		{"an event", b.notification, []string{"notificationTimeChecked"}},
		{"a secret that has expired", b.expired, []string{"destroyedSecretStatus"}},
		{"the limit of a project", b.fill, []string{"quotaStatus"}},
		{"the limit of secret groups", b.fillGroups, []string{"secretLimitStatus"}},
		{"the limit of policies", b.fillPolicies, []string{"identityLimitStatus"}},
		{"limits of the account", b.limits, []string{"policyPageSize"}},
		{"a disabled key", b.disabled, []string{"unusableKeyStatus", "unusableKeyCode"}},
		{"a locked service ID", b.locked, []string{"lockedStatus", "lockedTakesKeys", "lockedSubjectStatus"}},
		{"the limit of keys", b.keyLimit, []string{"keyLimitCode"}},
		{"a deleted key", b.deleted, []string{"deletedKeysLive", "deletedListed"}},
	}
	err := b.setup(ctx)
	for _, p := range probes {
		failed := err
		if failed == nil {
			failed = p.run(ctx)
		}
		for _, name := range p.settles {
			if _, settled := b.report.Switches[name]; !settled && failed != nil {
				b.report.Untried[name] = failed.Error()
			}
		}
		if err == nil && failed != nil {
			b.say("%s: not tried to the end: %v", p.what, failed)
			if ctx.Err() != nil {
				err = fmt.Errorf("trying %s: %w", p.what, failed)
			}
		}
	}
	return err
}

// removeLeftovers deletes service IDs that a killed verification left.
func (b *bench) removeLeftovers(ctx context.Context) {
	var old []answer
	_, err := b.pages(ctx, b.IAM+"/v1/serviceids?pagesize=100&sort=created_at&order=desc&account_id="+url.QueryEscape(b.Account),
		func(a answer) string { return a.text("next") }, func(a answer) { old = append(old, a) })
	if err != nil {
		return
	}
	for _, page := range old { // a list is read before anything of it is deleted
		b.removeOld(page, "serviceids", func(a answer) bool { return a.text("description") == about }, func(a answer) error {
			return b.deleteServiceID(ctx, a.text("id"))
		})
	}
}

func (b *bench) setup(ctx context.Context) error {
	b.skip("lagHidesServiceIDs", "no service ID was made")
	made, err := b.newServiceID(ctx, b.name)
	switch {
	case err != nil:
		return err
	case made.status != http.StatusCreated:
		return fmt.Errorf("making %s: %w: status %d", b.name, ErrSetup, made.status)
	}
	b.id = made.thing()
	lateIDs := false
	if _, err := b.until(ctx, look{"a new service ID is listed", func() (bool, answer, error) {
		a, err := b.call(ctx, b.HTTP, http.MethodGet, b.IAM+"/v1/serviceids?account_id="+url.QueryEscape(b.Account)+"&name="+url.QueryEscape(b.name), nil)
		listed := strings.Contains(a.raw, b.id.ID)
		lateIDs = lateIDs || !listed
		return listed, a, err
	}}); err != nil {
		return err
	}
	b.value = newValue()
	key, err := b.newKey(ctx, b.id.IAMID, b.value)
	switch {
	case err != nil:
		return err
	case key.status != http.StatusCreated:
		return fmt.Errorf("making a key: %w: status %d", ErrSetup, key.status)
	}
	b.key = key.thing()
	lateKeys := false
	if _, err := b.until(ctx, look{"a new key gets a token", func() (bool, answer, error) {
		a, err := b.exchange(ctx, b.value)
		return a.status == http.StatusOK, a, err
	}}, look{"a new key is shown by its ID", func() (bool, answer, error) {
		a, err := b.getKey(ctx)
		return a.status == http.StatusOK, a, err
	}}, look{"a new key is listed", func() (bool, answer, error) {
		a, err := b.listKeys(ctx)
		listed := strings.Contains(a.raw, b.key.ID)
		lateKeys = lateKeys || !listed
		return listed, a, err
	}}); err != nil {
		return err
	}
	if lateIDs || lateKeys {
		b.settle("lagHidesServiceIDs", lateIDs)
	} else {
		b.skip("lagHidesServiceIDs", "no list was late")
	}
	return nil
}

// newValue returns a key's value in the form of IBM's own.
func newValue() secret.Value { return secret.New("lkverify" + rand.Text() + rand.Text()) }

// minutes is the form of times in requests to IAM Identity.
const minutes = "2006-01-02T15:04-0700"

func (b *bench) newKey(ctx context.Context, iamID string, value secret.Value) (answer, error) {
	body := map[string]any{
		"name": b.name, "iam_id": iamID, "action_when_leaked": "delete", "expires_at": b.Now().Add(life).UTC().Format(minutes),
	}
	if !value.Empty() {
		body["apikey"] = value.Expose()
	}
	return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v1/apikeys", body)
}

func (b *bench) keyURL(id string) string { return b.IAM + "/v1/apikeys/" + url.PathEscape(id) }

func (b *bench) getKey(ctx context.Context) (answer, error) {
	return b.call(ctx, b.HTTP, http.MethodGet, b.keyURL(b.key.ID), nil)
}

func (b *bench) listKeys(ctx context.Context) (answer, error) {
	return b.call(ctx, b.HTTP, http.MethodGet, b.IAM+"/v1/apikeys?pagesize=100&account_id="+url.QueryEscape(b.Account)+"&iam_id="+url.QueryEscape(b.id.IAMID), nil)
}

// gone deletes a key that a probe made, if it was made.
func (b *bench) gone(ctx context.Context, made answer) error {
	if made.status != http.StatusCreated {
		return nil
	}
	return b.remove(ctx, b.keyURL(made.text("id")))
}

func (b *bench) deleteServiceID(ctx context.Context, id string) error {
	at := b.IAM + "/v1/serviceids/" + url.PathEscape(id)
	if _, err := b.call(ctx, b.HTTP, http.MethodDelete, at+"/lock", nil); err != nil {
		return err
	}
	return b.remove(ctx, at)
}

// remove deletes something. What is gone already is deleted, too.
func (b *bench) remove(ctx context.Context, at string) error {
	a, err := b.call(ctx, b.HTTP, http.MethodDelete, at, nil)
	if err == nil && a.status >= 300 && a.status != http.StatusNotFound {
		return fmt.Errorf("deleting %s: status %d", at, a.status)
	}
	return err
}

func (b *bench) values(ctx context.Context) error {
	a, err := b.newKey(ctx, b.id.IAMID, b.value)
	if err != nil {
		return err
	}
	b.settle("duplicateKeyValueStatus", a.status)
	return b.gone(ctx, a)
}

func (b *bench) tags(ctx context.Context) error {
	first, err := b.getKey(ctx)
	if err != nil {
		return err
	}
	stale := first.thing().ETag
	put := func(text string, header ...string) (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPut, b.keyURL(b.key.ID), map[string]any{"description": text}, header...)
	}
	changed, err := put("changed", "If-Match", stale)
	if err != nil {
		return err
	}
	if changed.status == http.StatusOK {
		now, err := b.getKey(ctx)
		if err != nil {
			return err
		}
		b.settle("updateKeepsLeakAction", now.text("action_when_leaked") == "delete")
	}
	a, err := put("changed again", "If-Match", stale)
	if err != nil {
		return err
	}
	b.settle("staleIdentityStatus", a.status)
	if a, err = put("changed again"); err != nil {
		return err
	}
	b.settle("missingIfMatchStatus", a.status)
	return nil
}

func (b *bench) expiry(ctx context.Context) error {
	a, err := b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v1/apikeys", map[string]any{
		"name": b.name, "iam_id": b.id.IAMID, "expires_at": b.Now().Add(-24 * time.Hour).UTC().Format(minutes),
	})
	if err != nil {
		return err
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusCreated:
		b.settle("pastExpiryRefused", a.status == http.StatusBadRequest)
	default:
		b.skip("pastExpiryRefused", fmt.Sprintf("the answer was %d", a.status))
	}
	return b.gone(ctx, a)
}

func (b *bench) idGroups(ctx context.Context) error {
	a, err := b.making("service ID "+b.name, func() (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v1/serviceids", map[string]any{
			"account_id": b.Account, "name": b.name, "description": about, "group_id": "ServiceIdGroup-00000000-0000-4000-8000-000000000000",
		})
	}, b.dropServiceID(b.name))
	if err == nil {
		b.settleRefusal("missingIDGroupStatus", "making a service ID in a group that does not exist", a.status)
	}
	return err
}

// groups makes a group of service IDs and an access group twice.
func (b *bench) groups(ctx context.Context) error {
	for _, of := range []struct{ name, at, query, items string }{
		{"idGroupConflictStatus", b.IAM + "/v1/serviceid_groups", "", "serviceid_groups"},
		{"groupConflictStatus", b.IAM + "/v2/groups", "?account_id=" + url.QueryEscape(b.Account), "groups"},
	} {
		list, err := b.call(ctx, b.HTTP, http.MethodGet, of.at+"?account_id="+url.QueryEscape(b.Account), nil)
		if err != nil {
			return err
		}
		b.removeOld(list, of.items, func(a answer) bool { return a.text("description") == about }, func(a answer) error {
			return b.remove(ctx, of.at+"/"+url.PathEscape(a.text("id")))
		})
		create := func() (answer, error) {
			return b.making("group "+b.name, func() (answer, error) {
				return b.call(ctx, b.HTTP, http.MethodPost, of.at+of.query, map[string]any{"account_id": b.Account, "name": b.name, "description": about})
			}, func(ctx context.Context, made answer) error {
				if id := made.text("id"); id != "" {
					return b.remove(ctx, of.at+"/"+url.PathEscape(id))
				}
				list, err := b.call(ctx, b.HTTP, http.MethodGet, of.at+"?account_id="+url.QueryEscape(b.Account), nil)
				if err != nil {
					return err
				}
				return b.removeThese(list, of.items, func(a answer) bool { return a.text("name") == b.name }, func(a answer) error {
					return b.remove(ctx, of.at+"/"+url.PathEscape(a.text("id")))
				})
			})
		}
		a, err := create()
		if err != nil {
			return err
		}
		if a.status != http.StatusCreated {
			b.skip(of.name, fmt.Sprintf("making a group was answered %d", a.status))
			continue
		}
		if a, err = create(); err != nil {
			return err
		}
		b.settle(of.name, a.status)
	}
	return nil
}

// disabled finds out what the exchange of an unusable key is answered.
func (b *bench) disabled(ctx context.Context) error {
	at := b.keyURL(b.key.ID) + "/disable"
	if _, err := b.call(ctx, b.HTTP, http.MethodPost, at, nil); err != nil {
		return err
	}
	a, err := b.until(ctx, look{"a disabled key gets no token", func() (bool, answer, error) {
		a, err := b.exchange(ctx, b.value)
		return a.status != http.StatusOK, a, err
	}})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		b.settle("unusableKeyStatus", a.status)
		b.settle("unusableKeyCode", a.text("errorCode"))
	}
	if _, err = b.call(ctx, b.HTTP, http.MethodDelete, at, nil); err != nil {
		return err
	}
	_, err = b.until(ctx, look{"an enabled key gets a token again", func() (bool, answer, error) {
		a, err := b.exchange(ctx, b.value)
		return a.status == http.StatusOK, a, err
	}})
	return err
}

func (b *bench) locked(ctx context.Context) error {
	at := b.IAM + "/v1/serviceids/" + url.PathEscape(b.id.ID)
	a, err := b.call(ctx, b.HTTP, http.MethodPost, at+"/lock", nil)
	if err != nil || a.status >= 300 {
		b.skip("lockedStatus", fmt.Sprintf("locking was answered %d", a.status))
		return err
	}
	now, err := b.call(ctx, b.HTTP, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	if a, err = b.call(ctx, b.HTTP, http.MethodPut, at, map[string]any{"description": "changed"}, "If-Match", now.thing().ETag); err != nil {
		return err
	}
	b.settle("lockedStatus", a.status)
	if a, err = b.newKey(ctx, b.id.IAMID, nil); err != nil {
		return err
	}
	b.settle("lockedTakesKeys", a.status == http.StatusCreated)
	if err := b.gone(ctx, a); err != nil {
		return err
	}
	if a, err = b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.policy(sender, "11111111-1111-4111-8111-111111111111")); err != nil {
		return err
	}
	b.settle("lockedSubjectStatus", a.status)
	if err := b.dropPolicy(ctx, a); err != nil {
		return err
	}
	_, err = b.call(ctx, b.HTTP, http.MethodDelete, at+"/lock", nil)
	return err
}

// moreThanKeys is above any limit of keys per service ID that IBM documents.
const moreThanKeys = 25

func (b *bench) keyLimit(ctx context.Context) error {
	var made []answer
	for range moreThanKeys {
		a, err := b.newKey(ctx, b.id.IAMID, nil)
		if err != nil {
			return err
		}
		if a.status != http.StatusCreated && len(made) == 0 {
			return impossible("making a key was answered %d", a.status)
		}
		if a.status != http.StatusCreated {
			b.settle("keyLimitCode", a.text("errors", "code"))
			if !b.unsure {
				b.limit(Limit{Of: "keys of a service ID", Accepted: len(made) + 1, Status: a.status})
			}
			break
		}
		made = append(made, a)
	}
	if len(made) == moreThanKeys {
		b.skip("keyLimitCode", fmt.Sprintf("no key of %d was refused", moreThanKeys))
	}
	for _, a := range made {
		if err := b.gone(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) deleted(ctx context.Context) error {
	works, err := b.exchange(ctx, b.value)
	if err != nil {
		return err
	}
	if works.status != http.StatusOK {
		return impossible("the key got no token before it was deleted: status %d", works.status)
	}
	if err := b.remove(ctx, b.keyURL(b.key.ID)); err != nil {
		return err
	}
	lived, shown := false, false
	if _, err := b.until(ctx, look{"a deleted key gets no token", func() (bool, answer, error) {
		a, err := b.exchange(ctx, b.value)
		lived = lived || a.status == http.StatusOK
		return a.status != http.StatusOK, a, err
	}}, look{"a deleted key is not listed", func() (bool, answer, error) {
		a, err := b.listKeys(ctx)
		shown = shown || strings.Contains(a.raw, b.key.ID)
		return !strings.Contains(a.raw, b.key.ID), a, err
	}}); err != nil {
		return err
	}
	lag := slices.ContainsFunc(b.report.Lags, func(l Lag) bool { return l.Of == "a new key gets a token" && l.late })
	if lived || lag {
		b.settle("deletedKeysLive", lived)
	} else {
		b.skip("deletedKeysLive", "no lag of keys was seen")
	}
	lag = slices.ContainsFunc(b.report.Lags, func(l Lag) bool { return l.Of == "a new key is listed" && l.late })
	if shown || lag {
		b.settle("deletedListed", shown)
	} else {
		b.skip("deletedListed", "no lag of lists was seen")
	}
	return nil
}
