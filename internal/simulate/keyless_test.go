package simulate

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// trip is a way in which a credential goes keyless and back.
type trip string

const (
	ended   trip = "the key ends, and comes back"
	undone  trip = "the config goes back while the keys are disabled"
	inUse   trip = "a second consumer keeps using the key"
	idle    trip = "no consumer logs in"
	foreign trip = "another's profile has the name"
	parted  trip = "the credential is deprovisioned, and has no key any more"
	early   trip = "the credential is deprovisioned, and has a key"
)

var trips = []trip{ended, undone, inUse, idle, foreign, parted, early}

var pod = keyless.Link{Type: "IKS_SA", CRN: "crn:v1:bluemix:public:containers-kubernetes:eu-de:a/" + cloud.AccountID + ":c0d19dnd0uii3pk7po40::", Namespace: "n", Name: "s"}

// traveller is a trip under way.
type traveller struct {
	*sim
	trip
	keyless   bool   // the config's mode
	byProfile bool   // the consumer logs in with the profile
	resting   bool   // it does not log in
	others    string // the ID of another's profile
	demanded  bool   // the end of the credential is demanded, and keep is false
	mutant    *mutant
	turn      int
}

// bend gives a replica the trip's config, and then the mutant's faults.
func (w *traveller) bend(s *sim, in *replica) {
	in.rec.Profiles = profiles{iam{s}, w}
	in.rec.Identities, in.rec.Keys = grants{iam{s}, w}, ends{iam{s}, w}
	in.cred.Profile = &port.TrustedProfile{Name: idName, Wanted: w.keyless, Links: []keyless.Link{pod}}
	in.cred.Kept, in.cred.NotAgain, in.cred.Existing = !w.keyless, w.demanded, false
	if w.mutant != nil {
		w.mutant.bend(s, in)
	}
}

// profiles is the adapter for trusted profiles.
type profiles struct {
	iam
	w *traveller
}

func (p profiles) now() (cloud.Profile, bool) {
	page, err := p.cloud.ListProfiles(cloud.Owner(), cloud.ProfileQuery{AccountID: cloud.AccountID, Name: idName, PageSize: 100, IncludeHistory: true})
	if err != nil || len(page.Items) == 0 {
		return cloud.Profile{}, false
	}
	found, err := p.cloud.GetProfile(cloud.Owner(), page.Items[0].ID)
	if err != nil {
		return cloud.Profile{}, false
	}
	found.History = page.Items[0].History
	return found, true
}

func (p profiles) FindProfile(ctx ctx, _ string) (found port.Profile, err error) {
	err = p.call(ctx, find, "profile", func() error {
		now, there := p.now()
		if !there {
			return port.ErrNotFound
		}
		found = port.Profile{ID: now.ID, IAMID: now.IAMID, Assumed: now.Activity.LastAuthn}
		found.Marker, _, found.Ours = marker.Parse(now.Description)
		found.Ours = found.Ours && now.History[0].IAMID == p.minter.IAMID
		links, err := p.cloud.ListLinks(cloud.Owner(), now.ID)
		for _, l := range links {
			found.Links = append(found.Links, keyless.Link{Type: l.CRType, CRN: l.Link.CRN, Namespace: l.Link.Namespace, Name: l.Link.Name})
		}
		return err
	})
	return found, err
}

func (p profiles) CreateProfile(ctx ctx, name, description string) (made port.Profile, err error) {
	err = p.call(ctx, create, "profile", func() error {
		got, err := p.cloud.CreateProfile(p.minter.Actor(), cloud.NewProfile{Name: name, AccountID: cloud.AccountID, Description: description})
		if err == nil {
			p.mutated("create profile", "")
			made = port.Profile{ID: got.ID, IAMID: got.IAMID, Ours: true}
			made.Marker, _, _ = marker.Parse(description)
		}
		return err
	})
	return made, err
}

func (p profiles) LinkProfile(ctx ctx, id string, l keyless.Link) error {
	err := p.call(ctx, grant, "link", func() error {
		_, err := p.cloud.CreateLink(cloud.Owner(), id, cloud.ProfileLinkSpec{
			CRType: l.Type, Link: cloud.LinkedResource{CRN: l.CRN, Namespace: l.Namespace, Name: l.Name},
		})
		if p.mutated("link", ""); id == p.w.others {
			p.violate("P11", "links the profile of others")
		}
		return err
	})
	if is(err, port.ErrConflict) {
		return nil
	}
	return err
}

func (p profiles) RemoveProfile(ctx ctx, id string) error {
	err := p.call(ctx, remove, "profile", func() error {
		now, there := p.now()
		switch assumed := p.sim.now.Sub(now.Activity.LastAuthn); {
		case !there || now.ID != id:
		case id == p.w.others:
			p.violate("P11", "deletes the profile of others")
		case p.newest() == nil && !p.w.demanded:
			p.violate("P1", "deletes the profile, and no store names a key that works")
		case assumed < leavingRules.Quiet-slack:
			p.violate("P1", "deletes the profile, which was assumed %s ago", assumed)
		}
		p.mutated("remove profile", "")
		return p.cloud.DeleteProfile(cloud.Owner(), id)
	})
	if is(err, port.ErrNotFound) {
		return nil
	}
	return err
}

// grants is the adapter for policies, of profiles too.
type grants struct {
	iam
	w *traveller
}

func (g grants) Grant(ctx ctx, iamID string, p access.Policy) error {
	now, there := profiles(g).now()
	if !there || iamID != now.IAMID {
		return g.iam.Grant(ctx, iamID, p)
	}
	return g.call(ctx, grant, "profile", func() error {
		if g.mutated("grant", ""); now.ID == g.w.others {
			g.violate("P11", "grants a policy to the profile of others")
		}
		g.cloud.Grant(iamID, p.Service, "crn:v1:bluemix:public:"+p.Service+"::::serviceRole:"+p.Roles[0])
		return nil
	})
}

// ends is the adapter for keys. No key ends before a consumer uses the profile.
type ends struct {
	iam
	w *traveller
}

func (e ends) Disable(ctx ctx, keyID string) error {
	now, there := profiles(e).now()
	if ago := e.now.Sub(now.Activity.LastAuthn); !e.w.demanded && (!there || now.ID == e.w.others || ago > leavingRules.Quiet+slack) {
		e.violate("P1", "disables %s, and no consumer has assumed the profile for %s", e.nick(keyID), ago)
	}
	return e.iam.Disable(ctx, keyID)
}

// config gives the replicas a mode.
func (w *traveller) config(keyless bool) {
	w.keyless = keyless
	for _, in := range w.replicas {
		w.kill(in)
	}
	w.settle()
}

// day lets a day pass: the consumers log in, and a replica sweeps.
func (w *traveller) day() {
	w.until(w.now.Add(24*time.Hour - 20*time.Minute))
	if (!w.byProfile || w.trip == inUse) && !w.resting {
		if _, err := w.cloud.ExchangeAPIKey(w.value()); err != nil {
			w.violate("P1", "a consumer does not get in with the key: %v", err)
		}
	}
	if w.byProfile {
		if err := w.assume(); err != nil {
			w.violate("P1", "a consumer does not get in with the profile: %v", err)
		}
	}
	w.turn++
	w.begin(w.replicas[w.turn%2], reconcile.Request{Cause: "timer"}, 10*time.Minute)
	w.settle()
	w.until(w.now.Add(20 * time.Minute))
}

func (w *traveller) value() string { return w.places[0].entry.Value.Expose() }

// assume logs in with the profile, and needs its link and its policies.
func (w *traveller) assume() error {
	now, there := w.profile()
	if !there || !w.ready() {
		return errors.New("it is not there, or lacks a link or a policy")
	}
	_, err := w.cloud.TokenFor(now.IAMID) // tokens of this cloud are not signed, so none is exchanged
	return err
}

// days lets days pass until it is so, and returns whether it is.
func (w *traveller) days(most int, so func() bool) bool {
	for range most {
		if so() {
			return true
		}
		w.day()
	}
	return so()
}

// all is for days that all pass.
func all() bool { return false }

func (w *traveller) profile() (cloud.Profile, bool) { return profiles{iam{w.sim}, w}.now() }

func (w *traveller) ready() bool {
	now, there := w.profile()
	if !there {
		return false
	}
	links, err := w.cloud.ListLinks(cloud.Owner(), now.ID)
	return err == nil && len(links) == 1 && len(absent(w.wanted, w.policies(now.IAMID, 0))) == 0
}

func (w *traveller) profileGone() bool { _, there := w.profile(); return !there }

func (w *traveller) keyGone() bool {
	return len(w.ids) == 0 && !w.places[0].there && !w.places[1].there && !slices.ContainsFunc(w.order, func(f *fact) bool { return f.gone.IsZero() })
}

func (w *traveller) keyBack() bool { return w.places[0].there && w.newest() != nil && !w.marked() }

// there goes keyless.
func (w *traveller) there() {
	w.config(true)
	switch ready := w.days(6, w.ready); {
	case w.trip == foreign, w.trip == idle:
		w.resting = w.trip == idle
		w.days(10, all)
		w.resting = false
		if !w.keyBack() {
			w.violate("P1", "a key ended, and no consumer uses a profile")
		}
		return
	case !ready:
		w.violate("P9", "there is no profile")
		return
	case w.trip == early:
		return
	}
	w.byProfile = true
	switch {
	case w.trip == undone:
		if !w.days(20, w.marked) {
			w.violate("P9", "the end of the key does not begin")
		}
	case w.trip == inUse:
		w.days(12, all)
	case !w.days(20, w.keyGone):
		w.violate("P9", "the key is not gone")
	}
}

// leave demands the end of the credential twice: before its consumer stops, and after the
// quiet time.
func (w *traveller) leave() {
	w.demanded = true
	w.config(true)
	end := offboard.Demand{Ask: offboard.End}
	w.part(w.replicas[0], end)
	if w.byProfile && w.profileGone() || !w.byProfile && w.marked() {
		w.violate("P1", "the credential ends while a consumer uses it")
	}
	w.days(1, all)
	w.byProfile, w.resting = false, true
	w.days(8, all)
	w.part(w.replicas[1], end)
	if w.trip == parted && !w.profileGone() || w.trip == early && !w.marked() {
		w.part(w.replicas[0], end) // the caller was not told that it is recorded
	}
	if !w.days(4, func() bool { return w.keyGone() && w.profileGone() }) {
		w.violate("P9", "the credential is not gone")
	}
	if w.days(2, all); !w.keyGone() || !w.profileGone() {
		w.violate("P9", "the credential is made again")
	}
}

// back goes back to a key.
func (w *traveller) back() {
	w.config(false)
	if !w.days(6, w.keyBack) {
		w.violate("P9", "the key does not come back")
		return
	}
	if w.byProfile = false; w.trip != foreign && !w.days(14, w.profileGone) {
		w.violate("P9", "the profile is not gone")
	}
	w.days(2, all)
	if now, there := w.profile(); w.trip == foreign && (!there || now.ID != w.others) {
		w.violate("P11", "the profile of others is gone")
	}
	if !w.keyBack() {
		w.violate("P1", "at the end no store names a key that works")
	}
}

// run plays a trip with faults by the index of the call.
func (tr trip) run(t *testing.T, faults map[int]fault, m *mutant) (calls []step, v Verdict) {
	synctest.Test(t, func(*testing.T) {
		w := &traveller{trip: tr, mutant: m}
		bent := ported("goes keyless", w.bend)
		if m != nil {
			bent.name = m.name
		}
		s := staged(1, Options{mutant: &bent}, "GPO", 0, "A", "B")
		w.sim = s
		s.policy = &script{sim: s}
		for _, role := range []string{"Editor", "Operator"} {
			s.cloud.Grant(s.minter.IAMID, "iam-identity", "crn:v1:bluemix:public:iam::::role:"+role)
		}
		rested(s)
		others := s.neighbours()
		if tr == foreign {
			made, err := s.cloud.CreateProfile(cloud.Owner(), cloud.NewProfile{Name: idName, AccountID: cloud.AccountID, Description: marker.Marker{Owner: owner, Credential: credential}.Describe("")})
			if err != nil {
				s.violate("P11", "%v", err)
			}
			w.others = made.ID
		}
		s.leaving = &leaving{}
		sc := &script{sim: s, faults: faults}
		s.policy = sc
		if w.there(); tr == parted || tr == early {
			w.leave()
		} else {
			w.back()
		}
		calls = sc.calls
		if last := s.places[len(s.places)-1]; last.keyID() != others.entry.KeyID {
			s.violate("P11", "the entry of others is %q", last.keyID())
		}
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(1)
	})
	return calls, v
}

// TestGoingKeylessUnderFaults puts faults at the calls of the way from a key to a trusted
// profile and back: a consumer always gets in, no key and no profile ends while it is used,
// and nothing is granted to the profile of others.
func TestGoingKeylessUnderFaults(t *testing.T) {
	type scenario struct {
		trip
		faults map[int]fault
		calls  []step
	}
	var all []scenario
	for _, tr := range trips {
		calls, v := tr.run(t, nil, nil)
		for _, line := range v.Violations {
			t.Errorf("%s, without a fault: %s", tr, line)
		}
		for i := range calls {
			all = append(all, scenario{tr, map[int]fault{i: enumerated[i%len(enumerated)]}, calls})
		}
	}
	done, bad := enumerate(t, sampled(all, 3), func(t *testing.T, sc scenario) Verdict {
		_, v := sc.run(t, sc.faults, nil)
		return v
	}, func(sc scenario) string { return flow{name: string(sc.trip)}.describe(sc.faults, sc.calls) })
	report(t, false, fmt.Sprintf("trips=%d violations=%d", done, bad))
}

// bentProfile is a profile that is read wrongly.
type bentProfile struct {
	profiles
	read func(*port.Profile)
}

func (b bentProfile) FindProfile(ctx ctx, name string) (port.Profile, error) {
	p, err := b.profiles.FindProfile(ctx, name)
	if err == nil && b.read != nil {
		b.read(&p)
	}
	return p, err
}

// TestGoingKeylessShowsWrongProtocols plays wrong protocols, each of which breaks a promise.
func TestGoingKeylessShowsWrongProtocols(t *testing.T) {
	reads := func(name string, read func(w profiles, p *port.Profile)) mutant {
		return ported(name, func(_ *sim, in *replica) {
			p := in.rec.Profiles.(profiles)
			in.rec.Profiles = bentProfile{profiles: p, read: func(found *port.Profile) { read(p, found) }}
		})
	}
	for _, m := range []mutant{
		keysBy("ends the key while it is in use", func(i iam) port.Keys { return unused{i} }),
		reads("ends the key before a consumer uses the profile", func(w profiles, p *port.Profile) {
			if w.w.keyless {
				p.Assumed = w.sim.now
			}
		}),
		reads("takes a foreign profile for its own", func(_ profiles, p *port.Profile) {
			p.Ours, p.Marker = true, marker.Marker{Owner: owner, Credential: credential}
		}),
		reads("deletes the profile while it is in use", func(w profiles, p *port.Profile) {
			if !w.w.keyless {
				p.Assumed = time.Time{}
			}
		}),
		reads("deprovisions the profile while it is in use", func(w profiles, p *port.Profile) {
			if w.w.demanded {
				p.Assumed = time.Time{}
			}
		}),
		reads("leaves the profile of a credential that is deprovisioned", func(w profiles, p *port.Profile) { p.Ours = p.Ours && !w.w.demanded }),
		reads("believes that the profile has its links", func(_ profiles, p *port.Profile) { p.Links = []keyless.Link{pod} }),
		ported("does not grant the profile its policies", func(_ *sim, in *replica) { in.rec.Identities = ungranted{in.rec.Identities.(grants)} }),
		ported("does not go back", func(_ *sim, in *replica) { in.cred.Profile.Wanted = true; in.cred.Kept = false }),
	} {
		t.Run(m.name, func(t *testing.T) {
			for _, tr := range trips {
				for at := -1; at < 15; at++ { // from a crash at one of the first calls on, too
					if _, v := tr.run(t, map[int]fault{at: crashAfter}, &m); len(v.Violations) > 0 {
						t.Logf("killed: %s: %s", tr, v.Violations[0])
						return
					}
				}
			}
			t.Error("survived")
		})
	}
}

// ungranted grants nothing to profiles, and believes that it has.
type ungranted struct{ grants }

func (u ungranted) Granted(ctx ctx, iamID string) ([]access.Policy, error) {
	all, err := u.grants.Granted(ctx, iamID)
	if now, there := u.w.profile(); there && now.IAMID == iamID {
		return u.wanted, err
	}
	return all, err
}
