package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secret"
)

type ctx = context.Context

func is(err, target error) bool { return errors.Is(err, target) }

func runOf(ctx ctx) *run { return ctx.Value(runKey{}).(*run) }

// iam is the adapter for IAM, over the state machine of the emulator.
type iam struct {
	*sim
}

var (
	_ port.Identities = iam{}
	_ port.Keys       = iam{}
	_ port.Exchange   = iam{}
)

// sorted sorts IAM's errors by sentinels, as the adapter does.
func sorted(err error) error {
	var e *cloud.Error
	if !errors.As(err, &e) {
		return err
	}
	meaning := port.ErrRefused
	switch {
	case e.Status == 401 || e.Status == 429 || e.Status >= 500:
		meaning = port.ErrUnavailable
	case strings.Contains(e.Code, "limit"):
		meaning = port.ErrQuota
	case e.Status == 403:
		meaning = port.ErrDenied
	case e.Status == 404:
		meaning = port.ErrNotFound
	case e.Status == 409 || e.Status == 412:
		meaning = port.ErrConflict
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

// call waits for the scheduler and then calls IAM, which may have an outage.
func (i iam) call(ctx ctx, st step, detail string, op func() error) error {
	return i.yield(ctx, st, detail, func() error {
		switch i.out {
		case "unavailable":
			return fmt.Errorf("%w: IAM is down", port.ErrUnavailable)
		case "denied":
			if st != exchange {
				return fmt.Errorf("%w: IAM refuses us", port.ErrDenied)
			}
		}
		return sorted(op())
	})
}

// lagged sets the lags for one read.
func (w *world) lagged(keys, lists, policies time.Duration) {
	w.cloud.Set(cloud.Settings{KeyLag: keys, ListLag: lists, PolicyLag: policies})
}

func (i iam) date() time.Time { return i.now.Truncate(time.Second) }

func (w *world) serviceID(s cloud.ServiceID) port.ServiceID {
	id := port.ServiceID{ID: s.ID, IAMID: s.IAMID, Name: s.Name, Locked: s.Locked, Created: s.CreatedAt.Truncate(time.Minute)}
	id.Version = s.EntityTag
	id.Marker, id.Text, id.Marked = w.parse(s.Description)
	id.Creator = s.CreatedBy
	id.Ours = id.Marked && id.Marker.Owner == owner && s.CreatedBy == w.minter.IAMID
	return id
}

func (i iam) Find(ctx ctx, name string) ([]port.ServiceID, time.Time, error) {
	var out []port.ServiceID
	var date time.Time
	r := runOf(ctx)
	err := i.call(ctx, find, "", func() error {
		i.lagged(0, i.delay(), 0)
		page, err := i.cloud.ListServiceIDs(i.minter.Actor(), cloud.ServiceIDQuery{AccountID: cloud.AccountID, Name: name, PageSize: 100})
		r.noID = true
		for _, s := range page.Items {
			out = append(out, i.serviceID(s))
			r.lockedID = r.lockedID || s.Locked
			r.noID = r.noID && !out[len(out)-1].Ours
		}
		date = i.date()
		r.found = i.now
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	i.compare(r)
	return out, date, nil
}

func (i iam) Lookup(ctx ctx, iamID string) (port.ServiceID, error) {
	var out port.ServiceID
	err := i.call(ctx, lookup, "", func() error {
		s, err := i.cloud.GetServiceID(i.minter.Actor(), strings.TrimPrefix(iamID, "iam-"), false)
		out = i.serviceID(s)
		r := runOf(ctx)
		r.lockedID = r.lockedID || out.Locked
		return err
	})
	return out, err
}

func (i iam) Create(ctx ctx, name, description string) (port.ServiceID, error) {
	var out port.ServiceID
	err := i.call(ctx, create, "", func() error {
		s, err := i.cloud.CreateServiceID(i.minter.Actor(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: name, Description: description})
		if err == nil {
			i.checkCreate(s)
			out = i.serviceID(s)
		}
		return err
	})
	return out, err
}

func (i iam) Remove(ctx ctx, id string) error {
	err := i.call(ctx, remove, "", func() error {
		keys := 0
		for _, f := range i.order {
			if f.iamID == "iam-"+id && f.gone.IsZero() {
				keys++
			}
		}
		i.lagged(0, i.lag, 0)
		err := i.cloud.DeleteServiceID(i.minter.Actor(), id)
		if err == nil {
			i.checkRemove(id, keys)
		}
		return err
	})
	if is(err, port.ErrNotFound) {
		return nil
	}
	return err
}

func (i iam) Granted(ctx ctx, iamID string) ([]access.Policy, error) {
	var out []access.Policy
	r := runOf(ctx)
	err := i.call(ctx, granted, i.nick(iamID), func() error {
		out = i.policies(iamID, i.delay())
		r.granted = out
		r.weaker = r.weaker || len(out) > 0 && len(absent(r.wants, out)) > 0
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// policies returns an identity's policies, as read with a lag.
func (w *world) policies(iamID string, lag time.Duration) (out []access.Policy) {
	w.lagged(0, 0, lag)
	page, err := w.cloud.ListPolicies(cloud.Owner(), cloud.PolicyQuery{AccountID: cloud.AccountID, IAMID: iamID, Type: "access", Limit: 100})
	if err != nil {
		panic(err) // the account's owner may list
	}
	for _, p := range page.Items {
		q := access.Policy{ID: p.ID, Creator: p.CreatedBy, Ours: p.CreatedBy == w.minter.IAMID, Since: p.ModifiedAt}
		for _, a := range p.Resource {
			text, _ := a.Value.(string)
			switch a.Key {
			case "serviceName":
				q.Service = text
			case "serviceInstance":
				q.Instance = text
			}
		}
		for _, crn := range p.Roles {
			q.Roles = append(q.Roles, crn[strings.LastIndexByte(crn, ':')+1:])
		}
		out = append(out, q)
	}
	return out
}

func (i iam) Grant(ctx ctx, iamID string, p access.Policy) error {
	return i.call(ctx, grant, i.nick(iamID), func() error {
		spec := cloud.PolicySpec{
			Type:    "access",
			Subject: []cloud.Attribute{{Key: "iam_id", Operator: "stringEquals", Value: iamID}},
			Resource: []cloud.Attribute{
				{Key: "accountId", Operator: "stringEquals", Value: cloud.AccountID},
				{Key: "serviceName", Operator: "stringEquals", Value: p.Service},
			},
		}
		if p.Instance != "" {
			spec.Resource = append(spec.Resource, cloud.Attribute{Key: "serviceInstance", Operator: "stringEquals", Value: p.Instance})
		}
		for _, r := range p.Roles {
			spec.Roles = append(spec.Roles, "crn:v1:bluemix:public:"+p.Service+"::::serviceRole:"+r)
		}
		i.lagged(0, 0, 0)
		_, err := i.cloud.CreatePolicy(i.minter.Actor(), spec)
		var e *cloud.Error
		switch {
		case err == nil:
			i.checkGrant(iamID, p)
		case errors.As(err, &e) && e.Conflict != nil:
			return nil // it is there
		case is(sorted(err), port.ErrConflict):
			return port.ErrLocked
		}
		return err
	})
}

func (i iam) keyOf(k cloud.APIKey) (protocol.Key, marker.Marker, bool) {
	m, _, marked := i.parse(k.Description)
	f := i.keys[k.ID]
	ours := marked && m.Owner == owner && (k.CreatedBy == i.minter.IAMID || f != nil && f.adopted)
	out := protocol.Key{ID: k.ID, Created: k.CreatedAt.Truncate(time.Minute), Expires: k.ExpiresAt, Disabled: k.Disabled, Locked: k.Locked}
	if f != nil && k.Disabled && !f.found.IsZero() {
		out.DisabledBy, out.Leaked = cloud.LeakScannerID, f.found
	}
	if ours {
		out = marker.Mark(out, k.Name, m)
	}
	return out, m, ours
}

func (i iam) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	return i.listIn(ctx, i.group, iamID, creds...)
}

// listIn lists the keys of a service ID in a group.
func (i iam) listIn(ctx ctx, group, iamID string, creds ...string) (port.KeyList, error) {
	var out port.KeyList
	r := runOf(ctx)
	err := i.call(ctx, list, i.nick(iamID), func() error {
		lag := i.delay()
		i.lagged(0, lag, 0)
		page, err := i.cloud.ListAPIKeys(i.minter.Actor(), cloud.APIKeyQuery{AccountID: cloud.AccountID, IAMID: iamID, GroupID: group, PageSize: 100})
		for _, k := range page.Items {
			k, m, ours := i.keyOf(i.seen(k, lag))
			r.lockedKey = r.lockedKey || k.Locked
			if ours && slices.Contains(creds, m.Credential) {
				out.Keys = append(out.Keys, k)
				continue
			}
			out.Foreign++
			if !ours && m.Owner == owner {
				out.Forged = append(out.Forged, port.Forgery{ID: k.ID})
			}
		}
		out.Date = i.date()
		r.listed[iamID] = i.now
		r.mostKeys = max(r.mostKeys, len(page.Items))
		return err
	})
	if err != nil {
		return port.KeyList{}, err
	}
	i.compare(r)
	return out, nil
}

// compare records that the run compares its clock with IAM's now.
func (i iam) compare(r *run) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r.settling, r.moved = true, time.Time{}
	r.asListed = r.offset
}

// drifted records that an answer shows that the clock has moved. IAM's Date has
// seconds, and is up to ten seconds old when it arrives, like that of the list.
func (i iam) drifted(r *run) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if (r.offset - r.asListed).Abs() > 2*time.Minute+25*time.Second {
		r.moved = i.now
	}
}

func (i iam) Get(ctx ctx, keyID string) (port.KeyRecord, error) {
	var out port.KeyRecord
	r := runOf(ctx)
	err := i.call(ctx, get, i.nick(keyID), func() error {
		lag := i.delay()
		i.lagged(0, lag, 0)
		k, err := i.cloud.GetAPIKey(i.minter.Actor(), keyID, false)
		if err != nil {
			return err
		}
		out = i.record(i.seen(k, lag))
		r.lockedKey = r.lockedKey || out.Locked
		return nil
	})
	if err != nil {
		return port.KeyRecord{}, err
	}
	i.drifted(r)
	return out, nil
}

// Mint retries a create like the adapter does, call by call.
func (i iam) Mint(ctx ctx, m port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	if m.Reason == reason.Demanded || m.Reason == reason.Remembered || m.Reason == reason.KeyLeaked {
		in := runOf(ctx).replica
		in.forced = append(in.forced, i.now)
	}
	var err error
	unclear := false
	for try := range 3 {
		if try > 0 {
			if serr := i.nap(ctx, 400*time.Millisecond<<(try-1)); serr != nil {
				return port.KeyRecord{}, fmt.Errorf("%w: %w", err, serr)
			}
		}
		if late := fence.MayWrite(ctx); late != nil { // as its transport asks
			return port.KeyRecord{}, late
		}
		var made port.KeyRecord
		made, err = i.post(ctx, m, v)
		if err == nil {
			return made, nil
		}
		conflict, gone := is(err, port.ErrConflict), is(err, port.ErrDenied) || is(err, port.ErrNotFound)
		missed := is(err, port.ErrUnavailable)
		if gone && !unclear {
			return port.KeyRecord{}, err
		}
		found, ferr := i.findByValue(ctx, v, !missed && (conflict || unclear))
		switch {
		case ferr == nil:
			return found, nil
		case !is(ferr, port.ErrNotFound):
			return port.KeyRecord{}, fmt.Errorf("%w: %v; %v", port.ErrUnavailable, err, ferr) //nolint:errorlint // what they mean alone is not kept
		case missed:
			unclear = true
		case conflict || unclear:
			return port.KeyRecord{}, fmt.Errorf("%w: %v; %v", port.ErrUnavailable, err, ferr) //nolint:errorlint // as above
		default:
			return port.KeyRecord{}, err
		}
	}
	return port.KeyRecord{}, err
}

const stampForm = "2006-01-02T15:04+0000"

func roundUp(t time.Time) string {
	return t.UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute).Format(stampForm)
}

func (i iam) post(ctx ctx, m port.MintRequest, v secret.Value) (made port.KeyRecord, err error) {
	r := runOf(ctx)
	err = i.call(ctx, post, "", func() error {
		k, err := i.cloud.CreateAPIKey(i.minter.Actor(), cloud.NewAPIKey{
			Name: m.Name, IAMID: m.IAMID, Description: m.Description, Value: v.Expose(), ExpiresAt: roundUp(m.Expires), ActionWhenLeaked: m.OnLeak,
		})
		if err != nil {
			return err
		}
		i.checkMint(r, m, v, k)
		made = i.record(k)
		return nil
	})
	return made, err
}

func (i iam) findByValue(ctx ctx, v secret.Value, patient bool) (port.KeyRecord, error) {
	tries := 3
	if patient {
		tries = 6
	}
	for try := 1; ; try++ {
		var found port.KeyRecord
		err := i.call(ctx, byValue, "", func() error {
			i.lagged(0, i.delay(), 0)
			k, err := i.cloud.APIKeyByValue(i.minter.Actor(), v.Expose(), false)
			if err == nil {
				found = i.record(k)
			}
			return err
		})
		again := is(err, port.ErrUnavailable) || (patient && is(err, port.ErrNotFound))
		if err == nil || !again || try == tries {
			return found, err
		}
		if serr := i.nap(ctx, 250*time.Millisecond<<(try-1)); serr != nil {
			return port.KeyRecord{}, fmt.Errorf("%w: %w", port.ErrUnavailable, serr)
		}
	}
}

func (i iam) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (now port.KeyRecord, err error) {
	st := remember
	switch {
	case !c.Superseded.IsZero(), !c.Withdrawn.IsZero():
		st = supersede
	case !c.Leaked.IsZero():
		st = condemn
	case !c.Expires.IsZero() && !rec.Superseded.IsZero():
		st = extend
	case !c.Expires.IsZero():
		st = unfuse
	}
	m, text, ok := marker.Parse(rec.Description)
	if !ok || m.Owner != owner || !rec.Ours {
		return now, fmt.Errorf("%w: it has not our marker", port.ErrRefused)
	}
	m.Superseded = cmp.Or(c.Superseded, m.Superseded)
	m.Withdrawn = cmp.Or(c.Withdrawn, m.Withdrawn)
	if !c.Renew.IsZero() {
		m.Renew, m.RenewCause = c.Renew, c.RenewCause
	}
	m.Leaked, m.Suspended = cmp.Or(c.Leaked, m.Leaked), cmp.Or(c.Suspended, m.Suspended)
	m.Served = cmp.Or(c.Served, m.Served)
	m.Refused, m.Refusal = cmp.Or(c.Refused, m.Refused), cmp.Or(c.Refusal, m.Refusal)
	description := m.Describe(text)
	change := cloud.APIKeyChange{Description: &description}
	if at := cmp.Or(c.Expires, rec.Expires); at.After(rec.Date) || !c.Expires.IsZero() {
		stamp := roundUp(at)
		change.ExpiresAt = &stamp
	}
	err = i.call(ctx, st, i.nick(rec.ID), func() error {
		i.lagged(0, 0, 0)
		k, err := i.cloud.UpdateAPIKey(i.minter.Actor(), rec.ID, rec.Version, change)
		if err != nil {
			return err
		}
		if f := i.keys[rec.ID]; f != nil {
			i.checkFields(rec.ID, f.last().Description, k.Description)
		}
		i.checkUpdate(rec, c, st)
		i.changed(k)
		now = i.record(k)
		return nil
	})
	if rec.Locked && (is(err, port.ErrConflict) || is(err, port.ErrRefused)) {
		return now, port.ErrLocked
	}
	if err == nil {
		i.drifted(runOf(ctx))
	}
	return now, err
}

func (i iam) Disable(ctx ctx, keyID string) error {
	err := i.call(ctx, disable, i.nick(keyID), func() error {
		err := i.cloud.DisableAPIKey(i.minter.Actor(), keyID, true)
		if err == nil {
			i.checkDisable(keyID)
			i.refresh(i.keys[keyID])
		}
		return err
	})
	switch {
	case is(err, port.ErrNotFound):
		return nil
	case is(err, port.ErrConflict):
		return port.ErrLocked
	}
	return err
}

func (i iam) Enable(ctx ctx, keyID string) error {
	return i.call(ctx, enable, i.nick(keyID), func() error {
		err := i.cloud.DisableAPIKey(i.minter.Actor(), keyID, false)
		if err == nil {
			i.refresh(i.keys[keyID])
		}
		return err
	})
}

func (i iam) Used(ctx ctx, keyID string) (time.Time, error) {
	var at time.Time
	err := i.call(ctx, used, i.nick(keyID), func() error {
		i.lagged(0, 0, 0)
		k, err := i.cloud.GetAPIKey(i.minter.Actor(), keyID, false)
		at = k.LastAuthn
		return err
	})
	return at, err
}

// Mark clears a key for publication, or renames the credential.
func (i iam) Mark(ctx ctx, id port.ServiceID, m marker.Marker) error {
	return i.call(ctx, clearing, i.nick(m.Current), func() error {
		description := m.Describe(id.Text)
		if now, err := i.cloud.GetServiceID(cloud.Owner(), id.ID, false); err == nil && now.EntityTag == id.Version {
			i.checkFields(id.ID, now.Description, description)
		}
		_, err := i.cloud.UpdateServiceID(i.minter.Actor(), id.ID, id.Version, cloud.ServiceIDChange{Description: &description})
		switch {
		case err == nil:
			i.mutated("clear", m.Current)
		case id.Locked && is(sorted(err), port.ErrConflict):
			return port.ErrLocked
		}
		return err
	})
}

// Groups returns the access groups of an identity.
func (i iam) Groups(ctx ctx, iamID string) (found []port.Group, err error) {
	err = i.call(ctx, granted, i.nick(iamID), func() error {
		ids, err := i.cloud.GroupsOf(cloud.Owner(), iamID)
		for _, id := range ids {
			found = append(found, port.Group{ID: id})
		}
		return err
	})
	return found, err
}

// Join adds an identity to an access group.
func (i iam) Join(ctx ctx, iamID, group string) error {
	return i.call(ctx, grant, i.nick(iamID), func() error {
		_, err := i.cloud.AddMember(cloud.Owner(), group, iamID, "service")
		i.mutated("join", iamID)
		return err
	})
}

func (i iam) Retire(ctx ctx, keyID string) error {
	err := i.call(ctx, retire, i.nick(keyID), func() error {
		i.lagged(i.lag, i.lag, 0)
		err := i.cloud.DeleteAPIKey(i.minter.Actor(), keyID)
		if err == nil {
			i.checkRetire(keyID)
			if f := i.keys[keyID]; f.gone.IsZero() {
				f.gone = i.now
			}
		}
		return err
	})
	switch {
	case is(err, port.ErrNotFound):
		return nil
	case is(err, port.ErrConflict):
		return port.ErrLocked
	case err == nil:
		runOf(ctx).retired = append(runOf(ctx).retired, keyID)
	}
	return err
}

func (i iam) Exchange(ctx ctx, v secret.Value) (port.Bearer, error) {
	var out port.Bearer
	err := i.call(ctx, exchange, "", func() error {
		i.lagged(i.delay(), 0, 0)
		t, err := i.cloud.ExchangeAPIKey(v.Expose())
		if err != nil {
			return fmt.Errorf("%w: %w", port.ErrNotYet, err)
		}
		out = port.Bearer{IAMID: t.IAMID, Account: cloud.AccountID, Token: secret.New(t.AccessToken)}
		return nil
	})
	if err != nil {
		return port.Bearer{}, err
	}
	return out, nil
}

// logs proves that the bearer may send a log line.
type logs struct{ *sim }

func (logs) Name() string { return "logs" }

func (l logs) Prove(ctx ctx, p port.Proof) error {
	return l.yield(ctx, prove, l.nick(p.KeyID), func() error {
		f := l.keys[p.KeyID]
		if f == nil {
			return fmt.Errorf("%w: no such key", port.ErrRefused)
		}
		if len(absent(l.wanted, l.policies(f.iamID, l.delay()))) > 0 {
			return fmt.Errorf("%w: the role is missing", port.ErrNotYet)
		}
		f.proven = true
		return nil
	})
}

// absent returns the wanted policies that are not granted in full.
func absent(wanted, have []access.Policy) (labels []string) {
	for _, w := range wanted {
		for _, role := range w.Roles {
			if !slices.ContainsFunc(have, func(g access.Policy) bool {
				return g.Service == w.Service && (g.Instance == "" || g.Instance == w.Instance) && slices.Contains(g.Roles, role)
			}) {
				labels = append(labels, role+" on "+w.Service)
			}
		}
	}
	return labels
}

// Narrow takes down a policy, or all of its roles but some.
func (i iam) Narrow(ctx ctx, iamID string, p access.Policy, keep []string) error {
	return i.call(ctx, narrow, i.nick(iamID), func() error {
		i.lagged(0, 0, 0)
		now, err := i.cloud.GetPolicy(i.minter.Actor(), p.ID)
		if err != nil {
			return nil //nolint:nilerr // it is gone
		}
		if len(keep) == 0 {
			return i.cloud.DeletePolicy(i.minter.Actor(), p.ID)
		}
		spec := now.PolicySpec
		spec.Roles = slices.DeleteFunc(slices.Clone(spec.Roles), func(crn string) bool {
			return !slices.Contains(keep, crn[strings.LastIndexByte(crn, ':')+1:])
		})
		_, err = i.cloud.ReplacePolicy(i.minter.Actor(), p.ID, now.ETag, spec)
		return err
	})
}
